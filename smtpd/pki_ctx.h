/*
 * One SSL_CTX for the certificates of one name: what all handshakes of servers
 * have in common, the keys that are keyd's, and what is stapled.
 */
#ifndef SMTPD_PKI_CTX_H
#define SMTPD_PKI_CTX_H

#include <openssl/types.h>

#include "common/base/span.h"

/* A certificate as it came. */
struct pki_cert {
	char		 name[256];	/* of the pki */
	X509		*own;
	STACK_OF(X509)	*chain;
	uint8_t		*ocsp;		/* NULL: none */
	size_t		 ocsp_len;
	int64_t		 until;		/* it is good, Unix time; 0: for ever */
};

void	 pki_cert_clear(struct pki_cert *);

/*
 * A context with these certificates, of one name and different kinds of key. It
 * takes what it needs, so that the certificates may be cleared afterwards. sni:
 * SSL_CTX_set_tlsext_servername_callback(). NULL: *why is OpenSSL's reason, good
 * until its next.
 */
SSL_CTX	*pki_ctx_new(const struct pki_cert *const *, size_t n,
	    int (*sni)(SSL *, int *, void *), const char **why);
/* Is this name one of a certificate there? 1: by itself, 2: by a wildcard, 0: it
 * is not. */
int	 pki_ctx_has(SSL_CTX *, const char *name);

#endif
