/*
 * See certhelp.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "regress/lib/certhelp.h"

#define DAY	86400L

/* ---- keys and certificates ----------------------------------------------- */

EVP_PKEY *
key_make(enum tls_key kind)
{
	EVP_PKEY	*k = kind == TLS_RSA ? EVP_RSA_gen(2048) :
			    kind == TLS_P256 ? EVP_EC_gen("P-256") :
			    kind == TLS_P384 ? EVP_EC_gen("P-384") :
			    EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	assert_non_null(k);
	return k;
}

static void
extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static void
extensions(X509 *cert, X509 *issuer, const struct ident_make *m)
{
	extension(cert, issuer, NID_subject_key_identifier, "hash");
	if (m->ca) {
		extension(cert, issuer, NID_basic_constraints,
		    "critical,CA:TRUE");
		extension(cert, issuer, NID_key_usage,
		    "critical,keyCertSign,cRLSign");
	}
	if (m->san != NULL)
		extension(cert, issuer, NID_subject_alt_name, m->san);
	if (m->usage != NULL)
		extension(cert, issuer, NID_ext_key_usage, m->usage);
}

struct ident
ident_make(struct ident_make m)
{
	static long	 serial = 1000;
	struct ident	 i = { X509_new(), m.key };
	X509		*issuer = m.issuer != NULL ? m.issuer->cert : i.cert;
	EVP_PKEY	*by;
	X509_NAME	*name;

	assert_non_null(i.cert);
	if (i.key == NULL)
		i.key = key_make(TLS_P256);
	else
		EVP_PKEY_up_ref(i.key);
	by = m.issuer != NULL ? m.issuer->key : i.key;
	if (m.from_days == 0 && m.to_days == 0) {
		m.from_days = -10;
		m.to_days = 90;
	}
	assert_int_equal(X509_set_version(i.cert, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(i.cert), m.serial != 0 ?
	    m.serial : ++serial);
	X509_gmtime_adj(X509_getm_notBefore(i.cert), m.from_days * DAY);
	X509_gmtime_adj(X509_getm_notAfter(i.cert), m.to_days * DAY);
	name = X509_get_subject_name(i.cert);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)(m.cn != NULL ? m.cn : "test"), -1, -1, 0),
	    1);
	X509_set_issuer_name(i.cert, X509_get_subject_name(issuer));
	X509_set_pubkey(i.cert, i.key);
	extensions(i.cert, issuer, &m);
	assert_true(X509_sign(i.cert, by, EVP_PKEY_is_a(by, "ED25519") ? NULL :
	    EVP_sha256()) > 0);
	return i;
}

void
ident_free(struct ident *i)
{
	X509_free(i->cert);
	EVP_PKEY_free(i->key);
	*i = (struct ident){ NULL, NULL };
}

/* ---- contexts ------------------------------------------------------------ */

static void
use(SSL_CTX *ctx, const struct ident *i)
{
	assert_int_equal(SSL_CTX_use_certificate(ctx, i->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, i->key), 1);
}

SSL_CTX *
ident_server(const struct ident *i, X509 *above)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_server_method());

	assert_non_null(ctx);
	use(ctx, i);
	if (above != NULL)
		assert_int_equal(SSL_CTX_add1_chain_cert(ctx, above), 1);
	return ctx;
}

SSL_CTX *
ident_client(X509 *trusted, const struct ident *i)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx),
	    trusted), 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (i != NULL)
		use(ctx, i);
	return ctx;
}

void
ident_versions(SSL_CTX *ctx, int least, int most)
{
	assert_int_equal(SSL_CTX_set_min_proto_version(ctx, least), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, most), 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
}

/* ---- files --------------------------------------------------------------- */

static void
pem_put(struct pem *t, BIO *bio)
{
	int	n = BIO_read(bio, t->s, sizeof(t->s) - 1);

	assert_true(n > 0);
	t->s[n] = '\0';
	BIO_free(bio);
}

void
pem_key(EVP_PKEY *k, const char *pass, struct pem *t)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PrivateKey(bio, k,
	    pass == NULL ? NULL : EVP_aes_128_cbc(),
	    (const unsigned char *)pass, pass == NULL ? 0 : (int)strlen(pass),
	    NULL, NULL), 1);
	pem_put(t, bio);
}

void
pem_cert(X509 *x, struct pem *t)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	pem_put(t, bio);
}

int
pem_file(X509 *a, X509 *b, X509_CRL *crl)
{
	BIO		*bio = BIO_new(BIO_s_mem());
	char		*text;
	long		 len;
	int		 fd = memfd_create("ca.pem", 0);

	assert_non_null(bio);
	assert_true(fd != -1);
	if (a != NULL)
		assert_int_equal(PEM_write_bio_X509(bio, a), 1);
	if (b != NULL)
		assert_int_equal(PEM_write_bio_X509(bio, b), 1);
	if (crl != NULL)
		assert_int_equal(PEM_write_bio_X509_CRL(bio, crl), 1);
	len = BIO_get_mem_data(bio, &text);
	assert_int_equal(write(fd, text, (size_t)len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	BIO_free(bio);
	return fd;
}

/* ---- what is said of certificates ---------------------------------------- */

X509_CRL *
crl_make(const struct ident *ca, const long *serials)
{
	X509_CRL	*crl = X509_CRL_new();
	X509_REVOKED	*r;
	ASN1_INTEGER	*n;
	ASN1_TIME	*t = ASN1_TIME_new();

	assert_non_null(crl);
	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert));
	X509_gmtime_adj(t, -DAY);
	X509_CRL_set1_lastUpdate(crl, t);
	for (; *serials != 0; serials++) {
		r = X509_REVOKED_new();
		n = ASN1_INTEGER_new();
		ASN1_INTEGER_set(n, *serials);
		X509_REVOKED_set_serialNumber(r, n);
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(crl, r);
		ASN1_INTEGER_free(n);
	}
	X509_gmtime_adj(t, 30 * DAY);
	X509_CRL_set1_nextUpdate(crl, t);
	ASN1_TIME_free(t);
	assert_true(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
	return crl;
}

struct span
ocsp_make(const struct ident *i, int status, long from, long to, uint8_t **der)
{
	OCSP_BASICRESP	*b = OCSP_BASICRESP_new();
	OCSP_CERTID	*id = OCSP_cert_to_id(EVP_sha1(), i->cert, i->cert);
	ASN1_TIME	*t = X509_gmtime_adj(NULL, from);
	ASN1_TIME	*u = X509_gmtime_adj(NULL, to);
	OCSP_RESPONSE	*r;
	int		 n;

	assert_non_null(OCSP_basic_add1_status(b, id, status, 0, t, t, u));
	assert_int_equal(OCSP_basic_sign(b, i->cert, i->key, EVP_sha256(), NULL,
	    0), 1);
	r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, b);
	*der = NULL;
	n = i2d_OCSP_RESPONSE(r, der);
	assert_true(n > 0);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(b);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(t);
	ASN1_TIME_free(u);
	return span(*der, (size_t)n);
}

/* ---- what a server signs ------------------------------------------------- */

size_t
statement_tls13(uint8_t *p, size_t hash)
{
	static const char	 s[] = "TLS 1.3, server CertificateVerify";

	memset(p, ' ', 64);
	memcpy(p + 64, s, sizeof(s));
	memset(p + 64 + sizeof(s), 0xa5, hash);
	return 64 + sizeof(s) + hash;
}

size_t
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

bool
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
