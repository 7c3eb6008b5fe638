/*
 * A run of a hundred messages through queued's core with all that may become of
 * them, a protocol of what others were told meanwhile, and the check that a
 * queue found afterwards agrees with it.
 */
#ifndef REGRESS_QUEUERUN_H
#define REGRESS_QUEUERUN_H

#include "regress/lib/queuehelp.h"

#define RUN_MSGS	100
#define RUN_RCPTS	3

/* What others know of a message, and since when: the number of operations that
 * had been done on the disk by then (0: never). */
struct fact {
	uint32_t	 acked;		/* a result of the commit, */
	enum q_status	 status;	/* namely this */
	uint32_t	 given[RUN_RCPTS];	/* its last word came in */
	enum d_status	 fate[RUN_RCPTS];
	uint32_t	 recorded[RUN_RCPTS];	/* and was confirmed */
	uint32_t	 remove, removed;	/* asked for, done */
	uint32_t	 bounce_given, bounce_recorded;
	unsigned	 bounces;	/* handed out */
	uint32_t	 route, routed;	/* another action: asked for, done */
	/* Prepared: the servers' words are `given`; its end was asked for, and
	 * that it is ours was confirmed. */
	uint32_t	 finish, finished;
	bool		 keep;
};
struct run {
	struct help	 h;
	struct fact	 facts[RUN_MSGS + 1];
	uint64_t	 bounce[RUN_MSGS + 1];	/* their bounces' ids */
	uint32_t	 now;		/* operations done, from 1 */
	uint32_t	 until;		/* stop at this step; 0: at the end */
	uint32_t	 steps;
	uint64_t	 next;		/* id of the next message */
	uint64_t	 seed;
};

/*
 * Runs in the working directory; r is zeroed but for seed and until. Stopped
 * before its end the queue is left open; the next call opens another one, as
 * after a crash, and goes on with what was not sent yet.
 */
void	 run_all(struct run *, const struct conf *);
/* Sizes so small that everything happens in a hundred messages. */
extern const struct queue_params run_params;
/* Opens the queue there, holds it against what was known after `now`
 * operations, then delivers all that is left. Ends the process with 99 and a
 * line if something is wrong. */
void	 run_check(const struct run *, const struct conf *, uint32_t now);

#endif
