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

/* ---- transaction.c ---- */
/* A reply while a job is at work. */
void	 transaction_reply(struct conn *, const struct smtp_client_event *);
/* The output buffer has room again. */
void	 transaction_drained(struct conn *);
/* The same result for all of the transaction that have none yet. */
void	 transaction_settle(struct conn *, enum d_status, struct span reply,
	    bool remote);

#endif
