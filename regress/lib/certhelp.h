/*
 * For tests of TLS: keys of each kind, certificates for them, both as PEM, and
 * what a server signs in its handshake. For cmocka.
 */
#ifndef REGRESS_CERTHELP_H
#define REGRESS_CERTHELP_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "common/tls/scheme.h"

struct pem { char s[16384]; };

static inline void
pem_put(struct pem *t, BIO *bio)
{
	int	n = BIO_read(bio, t->s, sizeof(t->s) - 1);

	assert_true(n > 0);
	t->s[n] = '\0';
	BIO_free(bio);
}

static inline void
pem_key(EVP_PKEY *k, const char *pass, struct pem *t)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PrivateKey(bio, k,
	    pass == NULL ? NULL : EVP_aes_128_cbc(),
	    (const unsigned char *)pass, pass == NULL ? 0 : (int)strlen(pass),
	    NULL, NULL), 1);
	pem_put(t, bio);
}

static inline void
pem_cert(X509 *x, struct pem *t)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	pem_put(t, bio);
}

static inline EVP_PKEY *
key_make(enum tls_key kind)
{
	EVP_PKEY	*k = kind == TLS_RSA ? EVP_RSA_gen(2048) :
			    kind == TLS_P256 ? EVP_EC_gen("P-256") :
			    kind == TLS_P384 ? EVP_EC_gen("P-384") :
			    EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	assert_non_null(k);
	return k;
}

/* Signed by itself, or by issuer's key; for these names ("DNS:a,DNS:*.b", may be
 * NULL) and CN; it ends `days` from now. */
static inline X509 *
cert_by(EVP_PKEY *k, const char *cn, const char *names, long days,
    X509 *issuer, EVP_PKEY *by)
{
	static long	 serial;
	X509		*x = X509_new();
	X509_EXTENSION	*ext;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), (days - 100) * 86400);
	X509_gmtime_adj(X509_getm_notAfter(x), days * 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer == NULL ? x :
	    issuer));
	X509_set_pubkey(x, k);
	if (names != NULL) {
		ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
		    names);
		assert_non_null(ext);
		X509_add_ext(x, ext, -1);
		X509_EXTENSION_free(ext);
	}
	if (by == NULL)
		by = k;
	assert_true(X509_sign(x, by, EVP_PKEY_is_a(by, "ED25519") ? NULL :
	    EVP_sha256()) > 0);
	return x;
}

static inline X509 *
cert_make(EVP_PKEY *k, const char *cn, const char *names, long days)
{
	return cert_by(k, cn, names, days, NULL, NULL);
}

/* Statements of STATEMENT_MAX and more bytes' room; the length is returned. */
static inline size_t
statement_tls13(uint8_t *p, size_t hash)
{
	static const char	 s[] = "TLS 1.3, server CertificateVerify";

	memset(p, ' ', 64);
	memcpy(p + 64, s, sizeof(s));
	memset(p + 64 + sizeof(s), 0xa5, hash);
	return 64 + sizeof(s) + hash;
}

static inline size_t
statement_tls12(uint8_t *p, uint16_t group, size_t point)
{
	memset(p, 0x5a, 68 + point);
	p[64] = 3;
	p[65] = (uint8_t)(group >> 8);
	p[66] = (uint8_t)group;
	p[67] = (uint8_t)point;
	p[68] = 4;
	return 68 + point;
}

/* Is it the key's signature of this statement? */
static inline bool
signature_is(EVP_PKEY *k, const struct scheme *by, struct span statement,
    struct span sig)
{
	EVP_MD_CTX	*md = EVP_MD_CTX_new();
	EVP_PKEY_CTX	*ctx;
	bool		 ok;

	ok = EVP_DigestVerifyInit_ex(md, &ctx, by->digest, NULL, NULL, k,
	    NULL) == 1;
	if (by->pss)
		ok = ok && EVP_PKEY_CTX_set_rsa_padding(ctx,
		    RSA_PKCS1_PSS_PADDING) > 0 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx,
		    RSA_PSS_SALTLEN_DIGEST) > 0;
	ok = ok && EVP_DigestVerify(md, sig.p, sig.len, statement.p,
	    statement.len) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

#endif
