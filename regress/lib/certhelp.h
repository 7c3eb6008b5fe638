/*
 * For tests of TLS: keys of each kind, certificates for them, files and
 * contexts with both, and what a server signs in its handshake. They are made
 * on the spot, and the case fails if one can't be made. For cmocka.
 */
#ifndef REGRESS_CERTHELP_H
#define REGRESS_CERTHELP_H

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/base/span.h"
#include "common/tls/scheme.h"

/* Whose certificate and key these are: references of its own. */
struct ident {
	X509		*cert;
	EVP_PKEY	*key;
};
struct ident_make {
	const struct ident *issuer;	/* NULL: self-signed */
	EVP_PKEY	*key;		/* NULL: a new one, P-256 */
	const char	*cn;		/* "test" */
	const char	*san;		/* "DNS:a.example,IP:192.0.2.1" */
	bool		 ca;
	int		 from_days, to_days;	/* from now; 0, 0: -10, 90 */
	long		 serial;	/* 0: one of its own, above 1000 */
	const char	*usage;		/* extendedKeyUsage */
};

struct ident ident_make(struct ident_make);
#define IDENT(...)	ident_make((struct ident_make){ __VA_ARGS__ })
void	 ident_free(struct ident *);
EVP_PKEY *key_make(enum tls_key);

/* A server that has it, with above (may be NULL) beside it. */
SSL_CTX	*ident_server(const struct ident *, X509 *above);
/* A client that trusts this certificate, and has one itself or not (NULL). */
SSL_CTX	*ident_client(X509 *trusted, const struct ident *);
/* These versions alone, and no tickets: nothing comes behind a handshake. */
void	 ident_versions(SSL_CTX *, int least, int most);

struct pem { char s[16384]; };
void	 pem_cert(X509 *, struct pem *);
void	 pem_key(EVP_PKEY *, const char *pass, struct pem *);
/* A file (a descriptor at its beginning) with these, PEM; NULL: none. */
int	 pem_file(X509 *, X509 *, X509_CRL *);

/* A list of the CA, with these serial numbers (0 ends) revoked. */
X509_CRL *crl_make(const struct ident *ca, const long *serials);
/* An OCSP response for a certificate that is its own issuer; seconds from now.
 * *der is freed by OPENSSL_free(). */
struct span ocsp_make(const struct ident *, int status, long from, long to,
	    uint8_t **der);

/* Statements of STATEMENT_MAX and more bytes' room; the length is returned. */
size_t	 statement_tls13(uint8_t *, size_t hash);
size_t	 statement_tls12(uint8_t *, uint16_t group, size_t point);
/* Is it the key's signature of this statement? */
bool	 signature_is(EVP_PKEY *, const struct scheme *, struct span statement,
	    struct span sig);

#endif
