/*
 * Prepared messages: of a client's transaction whose recipients go different
 * ways, to two or more live servers and to the queue (RFC 5321, 4.2.5 and 6.1:
 * who has said 250 answers for it). Content and recipients are durable before
 * any server sees the final dot; smtpd then says what came of each way, and at
 * last that the message is ours (keep) or that nothing was delivered anywhere.
 *
 *	prepared ─ settled, a way at a time ─▶ finished: ours ─▶ waiting, kept, over
 *	    └───────────────────────────────▶ finished: void ─▶ over
 *
 * Nothing of it is scheduled, counted as mail that waits, or changed by an
 * administrator before it is ours. Its recipients then are: DONE where their
 * server took them, WAITING where the queue is to deliver them (by the action
 * that their q_rcpt named), FAILED with a notification in the same record where
 * they were refused for good. A way that is not settled then is the queue's.
 *
 * If smtpd is lost before q_finish, it is decided at once; after a restart of
 * queued when smtpd has not come back within PREPARED_TAKEN_MS (a way is known
 * as taken) or PREPARED_OPEN_MS (none is): with a way taken the message is
 * ours, else it is void; its client was not told 250 and has it still.
 *
 * A settlement is written with the next batch and nobody waits for its sync. So
 * a crash of the machine, or of queued and smtpd together, between a server's
 * 250 and that sync (at most CHANGE_DELAY_MS and the sync itself) leaves
 *	- a message that is void though one server has it, if it was the first:
 *	  the client, which got no reply, sends again, and that server's
 *	  recipients have it twice;
 *	- a way that is not settled though its server has it, if another is known
 *	  as taken: the queue delivers to it a second time.
 * Both are the duplicate of SMTP's own window between the dot and its reply
 * (RFC 5321, 6.1; RFC 1047), which is as long; none is lost. If queued alone is
 * restarted smtpd says again what it knows, and nothing is delivered twice.
 *
 * With `recognise-retry` a message that has become ours without smtpd's knowing
 * is known again when its client sends it once more (again.h).
 */
#ifndef QUEUED_PREPARED_H
#define QUEUED_PREPARED_H

#include "queued/queue.h"

#define PREPARED_MAX	65536		/* at a time; sessions are fewer */
#define PREPARED_OPEN_MS 600000		/* without smtpd, no way taken */
#define PREPARED_TAKEN_MS 60000		/* without smtpd, one taken */

/* Its record is durable; ways: a bit each. owner NULL: nobody waits for it any
 * more, it is void. */
void	 prepared_new(struct queue *, void *owner, uint64_t id, uint16_t ways);
/* At the start: one that the index has. Then prepared_load() for them all. */
void	 prepared_found(struct queue *, uint64_t id);
void	 prepared_load(struct queue *);
void	 prepared_free(struct queue *);
/* False: it has no such way. Of a message that is not known, or of a way that
 * is settled, nothing comes. From here on it is the owner's. */
bool	 prepared_settle(struct queue *, void *owner, uint64_t id,
	    const struct rec_settled *);
/* Not kept it is void, unless a way of it is taken. With keep the owner hears by ops->finished when that is durable. */
void	 prepared_finish(struct queue *, void *owner, uint32_t tid, uint64_t id,
	    bool keep);
void	 prepared_owner_gone(struct queue *, const void *owner);
/* Decides what nobody has come back for; true: call again soon. */
bool	 prepared_step(struct queue *);

#endif
