/*
 * What is to be tried now. Rows of the index that are due are brought into
 * memory as jobs of their destination, oldest first, up to a bound; what goes
 * beyond stays in the index and is fetched when there is room. Destinations
 * take turns, and within one its senders do; a message with many recipients has
 * a turn for every hundred of them. Where memory is full, the sender that has
 * most of it makes room for others.
 */
#ifndef QUEUED_DUE_H
#define QUEUED_DUE_H

#include "queued/queue.h"

void	 due_init(struct queue *);
void	 due_free(struct queue *);
/* apply.c tells of each row that it put: handed out at once if it is due. */
void	 due_added(struct queue *, const struct store_due *, bool fresh);
/* Whose message it is; of use where a table goes by it. auth is known only if
 * an action does: its record has to be read for it. */
struct due_sender {
	char		 from[1001], auth[256];
};
void	 due_sender(struct queue *, uint64_t id, struct due_sender *);
/* Who is one sender: the reverse-path, or for <> the client. Never 0. */
uint64_t due_sender_key(struct span from, const struct addr *client);
/* What is paused has changed. */
void	 due_pauses(struct queue *);
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
/* An administrator wants this message tried now, even if its destination is
 * known to be down. Its row is about to become due. */
void	 due_first(struct queue *, uint64_t dest, uint64_t id);
/* A server of this destination answers again: it is tried now. */
void	 due_back_up(struct queue *, uint64_t dest);
/* Its deliverd is gone: back to the ready ones. */
void	 job_again(struct queue *, struct job *, bool crashed);
/* The same without a word about the destination: nothing was tried. */
void	 job_gone(struct queue *, struct job *);
/* Results have been written and nothing runs: free. */
void	 job_release(struct queue *, struct job *);
/*
 * Loads what a job needs: the record, its envelope, its recipients that are
 * waiting (job->rcpts). False: nothing to do or the record can't be read, the
 * job has ended. Spans live until the next load.
 */
bool	 job_load(struct queue *, struct job *, struct rec *, struct rec_msg *);
/* Is (message, destination) at work, or its results not yet in the index? */
bool	 due_runs(const struct queue *, uint64_t id, uint64_t dest);
/* The job of (message, destination) in memory, or NULL. */
struct job *job_find(const struct queue *, uint64_t id, uint64_t dest);
/*
 * A recipient whose delivery an earlier life of queued began: its job, running,
 * with this recipient in it. It ends with the last result of its recipients.
 * NULL: it has been recorded, or is none of ours.
 */
struct job *job_adopt(struct queue *, uint64_t id, uint32_t n,
	    uint32_t attempt);

#endif
