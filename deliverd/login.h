/*
 * Logging in at a server (AUTH as the client, RFC 4954) before the first job of
 * a connection: the exchange, for which keyd says each response (k_auth), since
 * it alone has the secrets. A server that does not take the login is told to
 * pool.h and left alone for a while (logins.h); the mail waits.
 */
#ifndef DELIVERD_LOGIN_H
#define DELIVERD_LOGIN_H

#include "common/ipc/chan.h"
#include "deliverd/remote.h"

#define LOGINS_ASKED_MAX	4096	/* questions to keyd at a time */
/* Of an AUTH command with an initial response, which is no longer than another
 * command (RFC 4954, 4). */
#define LOGIN_LINE_MAX		510

void	 login_init(void);
/* The channel to keyd; NULL: it is gone. What waits is asked again. */
void	 login_join(struct chan *);
chan_handler login_on_answer;
/* On a connection that has said EHLO and has c->as: remote_ready() follows, or
 * the end of the connection, maybe from within. */
void	 login_begin(struct conn *);
void	 login_reply(struct conn *, const struct smtp_client_event *);
/* keyd does not answer. Ends the connection. */
void	 login_no_keyd(struct conn *);
/* The connection ends. */
void	 login_free(struct conn *);

#endif
