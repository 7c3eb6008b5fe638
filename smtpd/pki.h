/*
 * The certificates of listeners. keyd sends them, and has the keys; here they
 * are contexts of OpenSSL, one for each name, until the next reload's are there:
 * a session keeps the one that it began with.
 */
#ifndef SMTPD_PKI_H
#define SMTPD_PKI_H

#include <openssl/types.h>

#include "common/conf/conf.h"
#include "common/ipc/chan.h"

#define PKI_BYTES_MAX	(8 << 20)	/* of a set; keyd sends half of it */
#define PKI_CERTS_MAX	1000		/* keyd has 500 at most */

/* OpenSSL and its providers, before confinement. */
void	 pki_setup(void);
/* ready is called once, when the first set is there; may be NULL. */
void	 pki_init(const struct conf *, void (*ready)(void));
/* A new keyd: what the one before had begun to send is void. */
void	 pki_join(void);
chan_handler pki_on_cert, pki_on_end;

/*
 * A server's SSL for a new session of this listener, which the caller owns: with
 * the first of its pkis, or the one whose certificate has the name that the
 * client asks for (SNI). It runs in SSL_MODE_ASYNC and waits for keyd inside of
 * the handshake: SSL_ERROR_WANT_ASYNC, and SSL_set_async_callback() tells when to
 * go on. NULL: there is no certificate.
 */
SSL	*pki_ssl(const struct conf_listen *);
/* Is there one? */
bool	 pki_has(const struct conf_listen *);

#endif
