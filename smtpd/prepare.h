/*
 * A message of several ways at queued (queued/prepared.h): made durable there
 * before any server has the final dot, settled a way at a time, finished. It
 * survives a restart of queued: what was said is said again to the next one.
 *
 *	begin ─ rcpt… ─ data… ─ commit ─▶ ops->prepared ─ settle… ─ finish
 *		─▶ ops->finished
 */
#ifndef SMTPD_PREPARE_H
#define SMTPD_PREPARE_H

#include "common/ipc/chan.h"

struct prepare;
struct prepare_ops {
	/* There is room for content again. */
	void	(*credit)(struct prepare *, void *arg);
	/*
	 * Q_OK: it is durable; the dots may be sent. With another id than its
	 * own it has come before, and is that one: the client is told 250 and
	 * nothing is sent to anybody. Not Q_OK: nothing is in the queue, nor
	 * will be. In these two cases it is freed after this.
	 */
	void	(*prepared)(struct prepare *, enum q_status, uint64_t id,
		    void *arg);
	/* Q_OK: it is ours, durably: 250. Else it is not known to be, and the
	 * client must get no reply. Freed after this. */
	void	(*finished)(struct prepare *, enum q_status, void *arg);
};

/* The tid and `prepared` of env are set here; all is sent at once. NULL: queued
 * is away or takes no mail, or there are too many. */
struct prepare *prepare_begin(struct ipc_q_env env, const struct prepare_ops *,
	    void *arg);
/* Each before any data; tid is set. */
void	 prepare_rcpt(struct prepare *, struct ipc_q_rcpt);
/* How many bytes there is room for. */
uint64_t prepare_room(const struct prepare *);
/* How many bytes of it were sent; the others after ops->credit. */
size_t	 prepare_data(struct prepare *, struct span);
/* At most 24,576 bytes; tid is set. ops->prepared later. */
void	 prepare_commit(struct prepare *, struct ipc_q_commit);
/* After Q_OK: what came of a way, 0 to 15, once each; copies. */
void	 prepare_settle(struct prepare *, uint8_t way, enum q_settled,
	    struct span reply, struct span server);
/* All ways are settled and it is kept: ops->finished later, or before return if
 * queued has been away for too long. */
void	 prepare_finish(struct prepare *);
/* Nothing was delivered anywhere: it is void, and freed; also before
 * ops->prepared. With a way that was taken queued makes it ours. */
void	 prepare_void(struct prepare *);

#endif
