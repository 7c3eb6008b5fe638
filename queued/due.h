/*
 * What is to be tried now. Rows of the index that are due are brought into
 * memory as jobs of their destination, oldest first, up to a bound; what goes
 * beyond stays in the index and is fetched when there is room. Destinations
 * take turns.
 */
#ifndef QUEUED_DUE_H
#define QUEUED_DUE_H

#include "queued/queue.h"

void	 due_init(struct queue *);
void	 due_free(struct queue *);
/* apply.c tells of each row that it put: handed out at once if it is due. */
void	 due_added(struct queue *, const struct store_due *, struct span action,
	    const char *domain, bool fresh);
/* The message is over, held, or rescheduled: jobs that don't run go. */
void	 due_forget(struct queue *, uint64_t id);
/* All of memory that doesn't run goes, the index is read anew. */
void	 due_reset(struct queue *);
/*
 * Hands out what is due and possible. Returns the time (ms) until it should be
 * called again if nothing happens before, at most a minute.
 */
int64_t	 queue_run(struct queue *);
/* All results of the job are there (or will never be); dest says what its
 * destination looked like. */
void	 job_ended(struct queue *, struct job *, enum d_dest);
/* Its deliverd is gone: back to the ready ones. */
void	 job_again(struct queue *, struct job *, bool crashed);
/* Results have been written and nothing runs: free. */
void	 job_release(struct queue *, struct job *);
/*
 * Loads what a job needs: the record, its envelope, its recipients that are
 * waiting (job->rcpts). False: nothing to do, the job has ended. Spans live
 * until the next load.
 */
bool	 job_load(struct queue *, struct job *, struct rec *, struct rec_msg *);
/* The job of (message, destination) in memory, or NULL. */
struct job *job_find(const struct queue *, uint64_t id, uint64_t dest);
/* A job of an earlier life that still runs at a deliverd. */
struct job *job_adopt(struct queue *, uint64_t id, uint32_t n,
	    uint32_t attempt, void *agent, uint32_t tid);

#endif
