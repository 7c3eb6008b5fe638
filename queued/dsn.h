/*
 * Notifications of what became of recipients (RFC 3461, 3464): which fates are
 * told (notice.c), to whom, and in which records (dsn.c).
 */
#ifndef QUEUED_DSN_H
#define QUEUED_DSN_H

#include "common/mime/dsn.h"
#include "queued/queue.h"

/* What becomes of a recipient by a result. */
struct fate {
	struct rec_fate	 f;
	const struct job_rcpt *r;
	enum dsn_action	 told;		/* set by notice_decide() */
	bool		 expired;	/* failed as its time was over */
};

/*
 * ---- notice.c ----
 * Sets what is told of each fate, by NOTIFY, `queue warn-after`, what the
 * server has taken over, and the copies of one recipient: it has failed when
 * the last of them has.
 */
void	 notice_decide(struct queue *, uint64_t id, const struct store_msg *m,
	    const char *action, struct fate *, size_t n);
/* Is there a postmaster who wants to hear of what has no sender? */
bool	 notice_postmaster(const struct queue *);
/*
 * Recipients that an alias of several addresses became, in the encoded ones of
 * a message: SUCCESS is taken from them (RFC 3461, 5.2.7.3), and each such alias
 * is put into *told, which is the caller's to free; spans of it are of `rcpts`
 * before. The number of them; 0: nothing has changed. With `mark` the first
 * recipient of each has RCPT_TELL set, for dsn_expanded_late().
 */
size_t	 notice_expand(struct span rcpts, struct buf *out,
	    struct dsn_rcpt **told, bool mark);

/*
 * ---- dsn.c ----
 * Makes the records of these fates of message id, whose row is m: what is told
 * of them is in the same record as they are; more than one if it does not fit.
 * The fates are in the order of their numbers, and of one action if any is
 * RCPT_DONE. Not while dsn_must_wait().
 */
void	 dsn_record(struct queue *, uint64_t id, const struct store_msg *m,
	    const char *action, struct fate *, size_t n);
/* Fates of copies of its recipients wait to be seen in the index, which they
 * are after the next queue_flush(). */
bool	 dsn_must_wait(const struct queue *, uint64_t id,
	    const struct store_msg *m);
/* Tells the sender of a message that is being accepted (r: its id and content,
 * m) which aliases were expanded, in records of the same batch. */
void	 dsn_expanded(struct queue *, const struct rec *r,
	    const struct rec_msg *m, const struct dsn_rcpt *, size_t n);
/* The same of a prepared message that has become ours, by what is marked. */
void	 dsn_expanded_late(struct queue *, uint64_t id);

#endif
