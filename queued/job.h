/*
 * The delivery agents: channels to deliverd, jobs sent over them, results that
 * come back. A destination stays with one agent.
 */
#ifndef QUEUED_JOB_H
#define QUEUED_JOB_H

#include "common/proc/start.h"
#include "queued/due.h"

struct agents;

/* conf is asked for actions that need no delivery; it may change. */
struct agents *agents_new(struct event_base *, struct proc *);
/* The queue may be opened after the agents are there, and again. */
void	 agents_queue(struct agents *, struct queue *);
/* A channel (fd, taken) to a deliverd; an older one of that worker drains. */
void	 agents_add(struct agents *, uint16_t worker, int fd);
bool	 agents_can_hand(struct agents *, const struct dest *);
void	 agents_hand(struct agents *, struct job *);
void	 agents_recorded(void *agent, uint32_t tid, uint64_t id, uint32_t n,
	    uint32_t attempt);
/* Sends now what was recorded. */
void	 agents_flush(struct agents *);
/* Has one of them POST a report (rpt.h). False: there is none. */
bool	 agents_post(struct agents *, struct span key, struct span url,
	    struct span body);
unsigned agents_count(const struct agents *);

#endif
