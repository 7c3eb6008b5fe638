/*
 * Keys, certificates and contexts for tests. See tlshelp.h.
 */
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "regress/lib/tlshelp.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

EVP_PKEY *
tls_key(void)
{
	EVP_PKEY	*key = EVP_EC_gen("P-256");

	must(key != NULL);
	return key;
}

X509 *
tls_cert(EVP_PKEY *key, const char *host)
{
	X509		*x = X509_new();
	X509_NAME	*name = X509_get_subject_name(x);
	X509_EXTENSION	*ext;
	char		 alt[300];

	must(X509_set_version(x, 2) == 1);
	must(ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
	must(X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL);
	must(X509_gmtime_adj(X509_getm_notAfter(x), 86400) != NULL);
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)host, -1, -1, 0) == 1);
	must(X509_set_issuer_name(x, name) == 1);
	must(X509_set_pubkey(x, key) == 1);
	snprintf(alt, sizeof(alt), "DNS:%s", host);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
	must(ext != NULL && X509_add_ext(x, ext, -1) == 1);
	X509_EXTENSION_free(ext);
	must(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static void
tls_versions(SSL_CTX *ctx, int least, int most)
{
	must(ctx != NULL);
	must(SSL_CTX_set_min_proto_version(ctx, least) == 1);
	must(SSL_CTX_set_max_proto_version(ctx, most) == 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
}

SSL_CTX *
tls_server(X509 *cert, EVP_PKEY *key, int least, int most)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_server_method());

	tls_versions(ctx, least, most);
	must(SSL_CTX_use_certificate(ctx, cert) == 1);
	must(SSL_CTX_use_PrivateKey(ctx, key) == 1);
	SSL_CTX_set_num_tickets(ctx, 0);
	return ctx;
}

SSL_CTX *
tls_client(X509 *trusted, int least, int most)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_client_method());

	tls_versions(ctx, least, most);
	if (trusted != NULL) {
		must(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx),
		    trusted) == 1);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	}
	return ctx;
}
