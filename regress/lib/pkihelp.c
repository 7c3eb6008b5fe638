/*
 * See pkihelp.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "regress/lib/pkihelp.h"

#define DAY	86400L

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

struct pkih
pkih_make(struct pkih_make m)
{
	struct pkih	 p = { X509_new(), EVP_EC_gen("P-256") };
	X509		*issuer = m.issuer != NULL ? m.issuer->cert : p.cert;
	X509_NAME	*name;

	assert_non_null(p.cert);
	assert_non_null(p.key);
	if (m.from_days == 0 && m.to_days == 0) {
		m.from_days = -1;
		m.to_days = 30;
	}
	X509_set_version(p.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(p.cert), m.serial != 0 ?
	    m.serial : 1);
	X509_gmtime_adj(X509_getm_notBefore(p.cert), m.from_days * DAY);
	X509_gmtime_adj(X509_getm_notAfter(p.cert), m.to_days * DAY);
	name = X509_get_subject_name(p.cert);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)(m.cn != NULL ? m.cn : "test"), -1, -1, 0);
	X509_set_issuer_name(p.cert, X509_get_subject_name(issuer));
	X509_set_pubkey(p.cert, p.key);
	extension(p.cert, issuer, NID_subject_key_identifier, "hash");
	if (m.ca) {
		extension(p.cert, issuer, NID_basic_constraints,
		    "critical,CA:TRUE");
		extension(p.cert, issuer, NID_key_usage,
		    "critical,keyCertSign,cRLSign");
	}
	if (m.san != NULL)
		extension(p.cert, issuer, NID_subject_alt_name, m.san);
	if (m.usage != NULL)
		extension(p.cert, issuer, NID_ext_key_usage, m.usage);
	assert_true(X509_sign(p.cert, m.issuer != NULL ? m.issuer->key : p.key,
	    EVP_sha256()) > 0);
	return p;
}

void
pkih_free(struct pkih *p)
{
	X509_free(p->cert);
	EVP_PKEY_free(p->key);
	*p = (struct pkih){ NULL, NULL };
}

SSL_CTX *
pkih_server(const struct pkih *p, X509 *above)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_server_method());

	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_use_certificate(ctx, p->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, p->key), 1);
	if (above != NULL)
		assert_int_equal(SSL_CTX_add1_chain_cert(ctx, above), 1);
	return ctx;
}

X509_CRL *
pkih_crl(const struct pkih *ca, const long *serials)
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

int
pkih_file(X509 *a, X509 *b, X509_CRL *crl)
{
	BIO		*bio = BIO_new(BIO_s_mem());
	char		*text;
	long		 len;
	int		 fd = memfd_create("ca.pem", 0);

	assert_non_null(bio);
	assert_true(fd != -1);
	if (a != NULL)
		PEM_write_bio_X509(bio, a);
	if (b != NULL)
		PEM_write_bio_X509(bio, b);
	if (crl != NULL)
		PEM_write_bio_X509_CRL(bio, crl);
	len = BIO_get_mem_data(bio, &text);
	assert_int_equal(write(fd, text, (size_t)len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	BIO_free(bio);
	return fd;
}
