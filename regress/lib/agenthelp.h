/*
 * queued's delivery agents over real channels in one event loop: queued with a
 * queue of its own, and deliverds of a few lines. For tests of what the two
 * tell each other.
 */
#ifndef REGRESS_AGENTHELP_H
#define REGRESS_AGENTHELP_H

#include "common/ipc/chan.h"
#include "queued/job.h"

#define FAKE_JOBS	64

/* A deliverd of a few lines. */
struct fake {
	struct chan	*chan;
	struct fake_job {
		uint32_t	 tid;
		uint64_t	 id, size;
		uint32_t	 n[4], attempt[4];
		size_t		 nrcpts;
		struct buf	 content;
		int		 fd;
		bool		 go;
	} jobs[FAKE_JOBS];
	size_t		 njobs;
	unsigned	 recorded;
	bool		 silent;	/* says no d_synced */
	/* At d_sync: at work, and not confirmed; of an earlier queued. */
	struct old { uint64_t id; uint32_t n; bool running; } old[4];
	size_t		 nold;
	bool		 closed;
	unsigned	 states;	/* d_server_state, and the last one */
	uint32_t	 failures;
	uint64_t	 probe_ms;
	unsigned	 policies;	/* d_policy_is, and the last one */
	char		 policy[200];
};
struct CMUnitTest;
extern struct fakes {
	struct conf	*conf;
	struct event_base *base;
	struct queue	*q;
	struct agents	*agents;
	struct fake	 one, two;
	uint32_t	 attempt;	/* that results are of; 1 */
} fakes;

/* Setup and teardown of a case: a queue, and no deliverd yet. */
int	 fakes_enter(void **);
int	 fakes_leave(void **);
/* The group's tests, with what all of them need. */
int	 fakes_run(const char *name, const struct CMUnitTest *, size_t);
/* queued begins (again) with what is on disk. */
void	 fakes_start(void);
/* Until nothing happens any more. */
void	 fakes_turn(void);
/* A message of so many bytes to these, by blanks. */
void	 fakes_send(uint64_t id, const char *to, size_t len);
/* It comes, with this number; it dies; what it got is forgotten. */
void	 fake_connect(struct fake *, uint16_t worker);
void	 fake_gone(struct fake *);
void	 fake_forget(struct fake *);
/* It says what came of a recipient; of a job, all of it. */
void	 fake_result(struct fake *, uint32_t tid, uint64_t id, uint32_t n,
	    uint8_t st);
void	 fake_done(struct fake *, struct fake_job *, uint8_t st, uint8_t dest);

#endif
