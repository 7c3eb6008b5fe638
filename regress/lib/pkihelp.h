/*
 * Certificates for unit tests, made on the spot: keys are ECDSA P-256.
 */
#ifndef REGRESS_PKIHELP_H
#define REGRESS_PKIHELP_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/base/span.h"

struct pkih {
	X509		*cert;
	EVP_PKEY	*key;
};
struct pkih_make {
	const struct pkih *issuer;	/* NULL: self-signed */
	const char	*cn;		/* "test" */
	const char	*san;		/* "DNS:a.example,IP:192.0.2.1" */
	bool		 ca;
	int		 from_days, to_days;	/* from now; 0, 0: -1, 30 */
	long		 serial;	/* 1 */
	const char	*usage;		/* extendedKeyUsage */
};

/* The case fails if it can't be made. */
struct pkih pkih_make(struct pkih_make);
#define PKIH(...)	pkih_make((struct pkih_make){ __VA_ARGS__ })
void	 pkih_free(struct pkih *);
/* A server that has it, with above (may be NULL) beside it. */
struct ssl_ctx_st *pkih_server(const struct pkih *, X509 *above);
/* A list of the CA, with these serial numbers (0 ends) revoked. */
X509_CRL *pkih_crl(const struct pkih *ca, const long *serials);
/* A file (a descriptor at its beginning) with these, PEM; NULL: none. */
int	 pkih_file(X509 *, X509 *, X509_CRL *);

#endif
