/*
 * What due.c, due_dest.c and due_job.c share of the schedule; for them alone.
 */
#ifndef QUEUED_DUE_I_H
#define QUEUED_DUE_I_H

#include "queued/due.h"

/* (message, destination): its rows are to be looked at once more. */
struct due_again {
	uint64_t	 id, dest;
};

/* ---- due.c ---- */
/* Rows of sched.db that have become due since the last walk. */
void	 due_scan(struct queue *, int64_t now_ms);
/* More rows of a destination that has room again. */
void	 due_refill(struct queue *, struct dest *, int64_t now_ms);
/* Rows that were passed over while a job of theirs was in memory; no change
 * may wait for its place in the index. */
void	 due_look_again(struct queue *);

/* ---- due_dest.c ---- */
/* The destination of a row, made if it is not in memory. NULL: the row's
 * message is gone, or there are too many destinations. */
struct dest *dest_of_row(struct queue *, const struct store_due *);
/* Puts it where it waits for its turn; after each change to what it has and
 * may. */
void	 dest_place(struct queue *, struct dest *);
/* The same, and frees it if nobody needs to remember it. */
void	 dest_rest(struct queue *, struct dest *);

/* ---- due_sender.c ---- */
struct sender *sender_find(struct queue *, const struct dest *, uint64_t key);
/* Made if need be, last in the turns. NULL: no room. */
struct sender *sender_get(struct queue *, struct dest *, uint64_t key);
/* Its turn is over; or nothing of it waits, and it goes. */
void	 sender_turn(struct dest *, struct sender *);
void	 sender_rest(struct queue *, struct dest *, struct sender *);
/* The next job by turns, or NULL. */
struct job *sender_next(struct dest *);
/* A row of it stays in the index. */
void	 sender_skip(struct dest *, struct sender *, const struct store_due *);
/* No row of it is left there. */
void	 sender_unskip(struct dest *, struct sender *);
/* Room for one more job of this sender (NULL: a new one), if need be by what
 * the one with most has. */
bool	 sender_room(struct queue *, struct dest *, const struct sender *);
/* All of them go, with their jobs. */
void	 sender_reset(struct queue *, struct dest *);

/* ---- due_job.c ---- */
/* The key of (message, destination) in queue.jobs; two may share one. */
uint64_t job_key(uint64_t id, uint64_t dest);
/* A job that is ready, last of its sender. NULL: no memory, or no room. */
struct job *job_push(struct queue *, struct dest *, const struct store_due *,
	    bool fresh);
/* Takes it out of the ready ones; it is the caller's to run or to free. */
void	 job_unready(struct queue *, struct job *);
/* Its recipients go. */
void	 job_clear(struct job *);
/* Frees a job that is neither ready nor running. */
void	 job_free(struct queue *, struct job *);

#endif
