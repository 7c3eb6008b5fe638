/*
 * Who the client is, told to the actual server (`identity` of an action): a
 * PROXY header before anything else, or XCLIENT behind our own EHLO. It gates
 * nothing: a server without XCLIENT, or one that refuses it, has the client in
 * the Received field as with `identity header`.
 */
#ifndef PROXYD_IDENTITY_H
#define PROXYD_IDENTITY_H

#include "common/base/addr.h"
#include "common/conf/conf.h"
#include "common/smtp/client.h"

#define IDENTITY_GREETING_MAX 512	/* of the greeting that is kept */
#define IDENTITY_TOLD_MAX 256	/* servers whose lack is remembered as told */

struct link;
struct ipc_p_open;

/* What smtpd said of a client; family 0 of its address: there is none, a
 * message of this very machine. Owns its strings. */
struct identity {
	struct addr	 client, local;
	char		*rdns;		/* NULL: none … */
	bool		 rdns_known;	/* … for good */
	char		*helo;		/* rule level: the client's; else NULL */
	bool		 esmtp;
	/* This connection: EHLO of ours is on its way or answered; XCLIENT has
	 * been taken; the greeting that p_open's answer is. */
	bool		 asked, told;
	char		*greeting;
};

void	 identity_init(struct identity *, const struct ipc_p_open *);
void	 identity_clear(struct identity *);
/* A new connection: what is to be sent before all else. who NULL: it is for
 * ourselves, not for a client. False: it could not be written. */
bool	 identity_connect(struct identity *who, enum conf_identity,
	    struct buf *out);

/* The name of an EHLO that is not passed on: ours, or the client's once the
 * server takes us for it. Borrowed from the link. */
struct span identity_helo(const struct link *);

/* ---- XCLIENT, called by open.c; each may free the link ---- */
/* 220 has come. True: EHLO of our own goes first, the rest is done here. */
bool	 identity_greeted(struct link *, struct span greeting);
/* The reply to that EHLO, or to the next one. True: it was dealt with. */
bool	 identity_helloed(struct link *, const struct smtp_client_event *);
/* The reply to XCLIENT. */
void	 identity_replied(struct link *, const struct smtp_client_event *);

#endif
