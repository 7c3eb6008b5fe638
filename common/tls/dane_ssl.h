/*
 * DANE in a session: OpenSSL holds the server's chain against the host's TLSA
 * records (RFC 7671, 7672).
 */
#ifndef TLS_DANE_SSL_H
#define TLS_DANE_SSL_H

#include <openssl/types.h>

#include "common/tls/dane.h"

#define DANE_WHY_MAX	400	/* VERIFY_WHY_MAX */

/* A context whose sessions can be held to records; false: OpenSSL refuses. */
bool	 dane_ssl_context(SSL_CTX *);
/*
 * Before the handshake: the records that the server has to match. base is where
 * they stand (also what SNI says), host the server's name, domain the mail's
 * ("": it proves nothing): the names that are good with usage 2 (RFC 7672,
 * 3.2.2). False: no record could be used, or no memory.
 */
bool	 dane_ssl_begin(SSL *, const struct dane_set *, const char *base,
	    const char *host, const char *domain);
/* After it: has the server proved to be the one? Else why says what it lacks.
 * False for a session without records. */
bool	 dane_ssl_proved(SSL *, char why[DANE_WHY_MAX]);

#endif
