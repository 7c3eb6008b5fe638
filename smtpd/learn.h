/*
 * What live sessions show of recipients: whom an actual server has taken, whom
 * it does not know. queued remembers it (v_learn), for the time when the server
 * is away (failover.h). What was told lately is not told again. Who is taken is
 * told once the server has shown that it takes one of his domain from strangers,
 * too: then he is one of its own, and not somebody it relays to for this client.
 */
#ifndef SMTPD_LEARN_H
#define SMTPD_LEARN_H

#include "common/ipc/chan.h"
#include "smtpd/txn.h"

#define LEARN_MAX	4096	/* recipients told, remembered by a worker */
#define LEARN_PROOFS	100	/* domains asked for at a time */
#define LEARN_AGAIN_MS	1800000	/* then they are told anew */

void	 learn_init(const struct conf *);
/* The channel to queued, NULL while it is away. */
void	 learn_queue(struct chan *);
/* The actual server's own reply to RCPT. */
void	 learn_rcpt(const struct txn *, const struct conf_action *,
	    struct span to, uint16_t code, struct span text,
	    const char *server);

#endif
