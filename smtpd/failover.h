/*
 * The queue takes over where an actual server is away (`on-failure queue` of a
 * proxied action): from a whole session of a proxied listener, which is a
 * regular one for its rest, or from one transaction of a rule. Recipients are
 * then taken only if the server was seen to know them (learn.h), so that nothing
 * is taken that has to be bounced.
 */
#ifndef SMTPD_FAILOVER_H
#define SMTPD_FAILOVER_H

#include "smtpd/link.h"
#include "smtpd/txn.h"

/* By hand (`posternctl fallback`): the server is not tried at all. */
void	 failover_init(const struct conf *);
void	 failover_force(struct span action, bool on);
bool	 failover_forced(const struct conf_action *);

/* A recipient of this proxied action goes into the queue, if he is known; the
 * command is answered, now or later. conflict: as the transaction's way is
 * another one. */
void	 failover_rcpt(struct txn *, struct rcpt *, struct cmd *,
	    const struct conf_action *, bool conflict);
/*
 * The server of this link is away, w being what it said so to, or NULL. True:
 * all that waits for it has been answered by us, and the session, or its
 * transaction, goes on without it. False: the action does not say so, or the
 * server has some of the content. The link is the caller's to close.
 */
bool	 failover(struct link *, const struct link_wait *w, const char *why);
/* The same because of the server's reply to w. */
bool	 failover_reply(struct link *, const struct link_wait *w,
	    uint16_t code, struct span text);
/* One of several ways of a transaction (fan.h) has lost its server: those whom it
 * has taken are the queue's. False: the action does not say so, or the queue
 * takes none. */
bool	 failover_way(struct txn *, uint8_t way, const struct conf_action *,
	    const char *why);
/* Logs and counts that. */
void	 failover_said(struct session *, const struct conf_action *,
	    const char *why);
/* A session of a proxied listener that has no link: it begins, or goes on, as a
 * regular one. False: the action does not say so. */
bool	 failover_session(struct session *, const char *why);

#endif
