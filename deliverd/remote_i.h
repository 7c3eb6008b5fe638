/*
 * What remote.c (the connection) and transaction.c share; for them alone.
 */
#ifndef DELIVERD_REMOTE_I_H
#define DELIVERD_REMOTE_I_H

#include "deliverd/remote.h"

/* ---- remote.c ---- */
void	 remote_phase(struct conn *, enum conn_phase);
/* How long the next thing that has to happen may take. */
void	 remote_timer(struct conn *);
bool	 remote_has(const struct conn *, enum smtp_cap);
/* A server's reply as one line "CODE TEXT"; lives until the next call. */
struct span remote_flat(uint16_t code, struct span text);
/* Said EHLO, and logged in if it has to: it may take a job. */
void	 remote_ready(struct conn *);
/* 421, or no welcome: the server is of no use (RFC 5321, 3.8). */
void	 remote_refused(struct conn *, const struct smtp_client_event *);

/* ---- secure.c: TLS; each but the first may end the connection ---- */
void	 secure_init(const struct conf *);
/* Is the session as secret as it has been asked to be? */
bool	 secure_is(const struct conn *);
/* EHLO has been answered in plain. True: STARTTLS follows, or the end. */
bool	 secure_helloed(struct conn *);
/* The reply to STARTTLS. */
void	 secure_replied(struct conn *, const struct smtp_client_event *);
/* Begins the handshake. */
void	 secure_begin(struct conn *);
/* It is done. True: go on with the session that there is now. */
bool	 secure_done(struct conn *);
/* EHLO has been answered in the session as it stays. False: the connection has
 * ended, since mail with REQUIRETLS may not go there. */
bool	 secure_keeps(struct conn *);
/* The session was lost on the way there. */
void	 secure_failed(struct conn *, const char *what);
/* Says EHLO; false: the connection has ended. */
bool	 remote_hello(struct conn *);

/* ---- transaction.c ---- */
/* A reply while a job is at work. */
void	 transaction_reply(struct conn *, const struct smtp_client_event *);
/* The output buffer has room again. */
void	 transaction_drained(struct conn *);
/* The same result for all of the transaction that have none yet. */
void	 transaction_settle(struct conn *, enum d_status, struct span reply,
	    bool remote);

#endif
