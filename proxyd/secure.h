/*
 * TLS of a link's session with its server (`tls` of an action): STARTTLS behind
 * an EHLO of our own, before anything of the client's, or at once.
 *
 *	GREETING ─▶ HELLO ─▶ STARTTLS ─▶ TLS ─▶ as if the greeting had just come
 *
 * A server that has no STARTTLS, where plain will do, gets another connection,
 * on which the client's EHLO is the first; and is not asked again for ten minutes
 * (TLS_PLAIN_MS).
 *
 * Each of these but the first three may free the link.
 */
#ifndef PROXYD_SECURE_H
#define PROXYD_SECURE_H

#include "proxyd/link.h"

/* A new connection to this server. */
void	 secure_connect(struct link *, const struct hosts_cand *);
/* There is no connection any more. */
void	 secure_clear(struct link *);
/* 220 has come. True: TLS goes first, and open_welcome() follows. */
bool	 secure_greeted(struct link *, const struct smtp_client_event *);
/* The reply to EHLO. True: it was the one for TLS, and was dealt with. */
bool	 secure_helloed(struct link *, const struct smtp_client_event *);
/* The reply to STARTTLS. */
void	 secure_replied(struct link *, const struct smtp_client_event *);
/* Begins the handshake. */
void	 secure_begin(struct link *);
/* It is done. */
void	 secure_done(struct link *);
/* The connection on which it was not offered is over. */
void	 secure_left(struct link *);
/* The session was lost on the way there. */
void	 secure_failed(struct link *, const char *what);

#endif
