/*
 * The queue beside the way to an actual server. What is to be kept of a message
 * that goes live (`copy` of the listener, archives, recipients whose way is the
 * queue by `on-conflict queue`) gets the same bytes, at the pace of the slower of
 * both, and is committed once the server has said 2xx: then comes the reply.
 *
 *	NONE ─▶ OPEN ─server's 2xx─▶ COMMIT ─queued's result─▶ (client's reply)
 *	          └─ queued is lost ─▶ FAILED
 */
#ifndef SMTPD_TEE_H
#define SMTPD_TEE_H

#include "common/ipc/chan.h"
#include "smtpd/link.h"
#include "smtpd/txn.h"

/* Content is to come. False: it was refused, as the queue can't take what must
 * be there; nothing was said to the server. */
bool	 tee_begin(struct txn *);
/* The recipients are known: is there anything left to keep? */
void	 tee_ready(struct txn *);
/* Passes on to both what both have room for. */
void	 tee_write(struct txn *, struct link *, struct buf *);
/* The server's reply to the content, and what of it the client gets. True: that
 * comes later. */
bool	 tee_done(struct txn *, uint16_t code, struct span text,
	    struct span said);
/* queued's word, or none to be had any more. */
void	 tee_over(struct txn *, bool ok);
/* Nothing of it may stay, unless it is committed. */
void	 tee_abort(struct txn *);
/* The transaction is over. */
void	 tee_end(struct txn *);
/* Of a recipient that the server has: what queued gets of it, as number n. Gives
 * how many q_rcpts that were. */
uint32_t tee_send(const struct txn *, const struct rcpt *, struct chan *,
	    uint32_t n);
/* No recipient is left for the server, but some are for the queue. */
bool	 tee_alone(const struct txn *);

#endif
