/*
 * What OpenSSL's errors mean to who reads a log. Pure.
 */
#ifndef IO_TLS_WHY_H
#define IO_TLS_WHY_H

#include <stdbool.h>
#include <stddef.h>

struct tls_failure {
	unsigned long	 error;		/* of ERR_get_error(), or 0 */
	long		 verify;	/* of SSL_get_verify_result() */
	int		 sys;		/* errno, or 0 */
	int		 first;		/* byte that the peer sent, or -1 */
	bool		 server;	/* we are */
	bool		 secured;	/* after the handshake */
};

/* Writes a clause without a full stop, at most size bytes with the NUL. */
void	 tls_why(char *, size_t size, const struct tls_failure *);

#endif
