/*
 * Certificates and contexts that tests make for themselves.
 */
#ifndef TLSHELP_H
#define TLSHELP_H

#include <openssl/ssl.h>

/* A P-256 key, and a certificate for a host name that it signs itself. */
EVP_PKEY *tls_key(void);
X509	*tls_cert(EVP_PKEY *, const char *host);
/* A context of either side for these versions at most and least. */
SSL_CTX	*tls_server(X509 *, EVP_PKEY *, int least, int most);
/* It trusts this certificate, or nobody and does not care (NULL). */
SSL_CTX	*tls_client(X509 *, int least, int most);

#endif
