/*
 * The rows of sched.db and dest.db that a message has: one a destination, at
 * the earliest time of its waiting recipients. For apply.c.
 */
#ifndef QUEUED_ROWS_H
#define QUEUED_ROWS_H

#include "queued/queue.h"

struct rows {
	struct store_due few[4], *v;
	size_t		 n, cap;
	uint64_t	 sender;	/* of all, or 0: not asked for */
};

void	 rows_init(struct rows *);
void	 rows_clear(struct rows *);
/* A recipient, if it waits; rows_merge() after the last one. */
void	 rows_add(struct rows *, uint64_t id, const struct store_rcpt *);
void	 rows_merge(struct rows *);
/* Those that the index has of a message; none of one that is held. */
void	 rows_collect(struct queue *, struct rows *, uint64_t id,
	    const struct store_msg *);
/* From the rows of before to those of after; what is new is told to due.c. */
void	 rows_replace(struct queue *, const struct rows *before,
	    const struct rows *after, bool fresh);

#endif
