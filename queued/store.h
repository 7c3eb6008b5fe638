/*
 * The index of the queue in a Berkeley DB environment: which messages there
 * are, what is due when and for whom. Everything in it follows from the
 * segments and can be made anew from them; the rest of queued reaches it
 * through these functions alone.
 *
 * States of a message, by its rows (m = msg, r = rcpt, s = sched, d = dest):
 *	unknown		none
 *	waiting		m, an r for each recipient, an s and a d for each
 *			destination that has waiting recipients
 *	held		m, r; no s, no d
 *	kept		m with MSG_KEPT and expire_ms as its end, r; a k; no s,
 *			no d: its last recipient is settled
 *	prepared	m with MSG_PREPARED, r with what is known of its way;
 *			no s, no d: it is not ours yet
 *	over		none
 * A recipient: PREPARED ->, once, WAITING -> DONE | FAILED, once, in its r. All changes of one
 * batch of records and the place up to which records have been applied (hwm)
 * are one transaction; a crash takes the index back to an earlier hwm.
 *
 * Files: msg.db (id), rcpt.db (id, n), sched.db (next, id, dest), dest.db
 * (dest, next, id), keep.db (until, id), meta.db, log.*. Keys are big-endian,
 * so they sort.
 * A function that meets a fault ends the process (diskio.h); what is said to
 * be damaged is made anew at the next start.
 */
#ifndef QUEUED_STORE_H
#define QUEUED_STORE_H

#include "queued/record.h"

struct store;

struct store_params {
	uint32_t	cache, lg_max, lg_bsize;	/* bytes */
};
struct store_hwm {		/* records before this place are applied */
	uint64_t	 segment, offset;
	uint64_t	 oldest;	/* segment that must still be there */
	int64_t		 qtime_ms, wall_ms;	/* when that was */
};
/* A row of msg.db. Spans are borrowed until the next call of any function. */
struct store_msg {
	int64_t		 accepted_ms, expire_ms;	/* queue time */
	uint64_t	 received_ms;			/* unix time */
	uint64_t	 segment, offset;	/* of its message or snapshot */
	uint32_t	 length;		/* of that record */
	uint64_t	 size;			/* of the content */
	uint32_t	 nrcpts, left;		/* left: still waiting */
	uint8_t		 flags;			/* enum msg_flag */
	bool		 held;
	int64_t		 held_since_ms;
	struct addr	 client;
	struct span	 from;
};
/* A row of rcpt.db; the same. */
struct store_rcpt {
	uint8_t		 state, notify;
	uint8_t		 flags;		/* enum rcpt_flag */
	uint32_t	 group;		/* as in its record */
	uint8_t		 way, settled;	/* the same; RCPT_PREPARED alone */
	uint32_t	 attempt;
	int64_t		 next_ms, last_ms;
	uint64_t	 dest;
	struct span	 action, to, reason, server;
};
struct store_due {		/* a row of sched.db and dest.db */
	int64_t		 next_ms;
	uint64_t	 id, dest;
	int64_t		 last_ms;	/* dest.db: the last attempt */
	uint64_t	 sender;	/* in memory: due_sender_key(), or 0 */
};

/*
 * Opens with recovery, in the working directory. NULL and *why (static): it
 * can't be recovered.
 */
struct store *store_open(const struct store_params *, const char **why);
/* Reads the files as they are, without recovery; for a check of a folder that
 * was left in order. NULL and *why. */
struct store *store_open_read(const char **why);
void	 store_close(struct store *);
/* Renames all of the index's files away; the next open finds none. */
void	 store_set_aside(void);

/* One transaction at a time; the functions that change need one. */
void	 store_begin(struct store *);
void	 store_commit(struct store *, const struct store_hwm *);
bool	 store_hwm(struct store *, struct store_hwm *);

bool	 store_msg_get(struct store *, uint64_t id, struct store_msg *);
/* fresh: only if there is none; false if there was. */
bool	 store_msg_put(struct store *, uint64_t id, const struct store_msg *,
	    bool fresh);
/* m and its r, of which there are so many. */
void	 store_msg_del(struct store *, uint64_t id, uint32_t nrcpts);
bool	 store_rcpt_get(struct store *, uint64_t id, uint32_t n,
	    struct store_rcpt *);
void	 store_rcpt_put(struct store *, uint64_t id, uint32_t n,
	    const struct store_rcpt *);
void	 store_due_put(struct store *, const struct store_due *);
void	 store_due_del(struct store *, const struct store_due *);
/* A row of keep.db. */
void	 store_keep_put(struct store *, int64_t until_ms, uint64_t id);
void	 store_keep_del(struct store *, int64_t until_ms, uint64_t id);
/* Are both rows there? */
bool	 store_due_has(struct store *, const struct store_due *);

/* Each walks in the order of keys from the given one (included) until f
 * returns false; f must not call the store but for what it borrowed. */
void	 store_msgs(struct store *, uint64_t from,
	    bool (*f)(uint64_t id, const struct store_msg *, void *), void *);
void	 store_rcpts(struct store *, uint64_t id,
	    bool (*f)(uint32_t n, const struct store_rcpt *, void *), void *);
/* The recipients of all messages from this one on. */
void	 store_rcpts_from(struct store *, uint64_t id,
	    bool (*f)(uint64_t id, uint32_t n, const struct store_rcpt *,
	    void *), void *);
void	 store_sched(struct store *, const struct store_due *from,
	    bool (*f)(const struct store_due *, void *), void *);
void	 store_dest(struct store *, const struct store_due *from,
	    bool (*f)(const struct store_due *, void *), void *);
/* From the one that ends first. */
void	 store_keeps(struct store *,
	    bool (*f)(int64_t until_ms, uint64_t id, void *), void *);

/* Between batches: writes back and bounds recovery if 16 MiB of log (or
 * lg_max, if that is less) have been written since the last time. */
void	 store_checkpoint(struct store *, bool force);
/* All transactions so far are durable on return. */
void	 store_flush(struct store *);

#endif
