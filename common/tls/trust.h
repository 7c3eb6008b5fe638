/*
 * Files of CAs (PEM), as the parent hands them over: kept as text, and made
 * into a store when one is first asked for. Revocation lists may stand among
 * the certificates: a CA that has one there is held to it.
 */
#ifndef TLS_TRUST_H
#define TLS_TRUST_H

#include <openssl/types.h>

#define TRUST_FILES_MAX	64
#define TRUST_BYTES_MAX	(16UL << 20)	/* of a file */

/* Reads fd, which is taken. One of the same path is replaced; a file that can't
 * be read is told in the log and is as one that is not there. */
void	 trust_add(const char *path, int fd);
/* Borrowed. NULL with *why (static): there is no such file, or no certificate
 * in it. */
X509_STORE *trust_store(const char *path, const char **why);
void	 trust_forget(void);		/* all */

#endif
