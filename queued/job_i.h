/*
 * What job.c and job_send.c share; for them alone.
 */
#ifndef QUEUED_JOB_I_H
#define QUEUED_JOB_I_H

#include "queued/job.h"

#define AGENTS_MAX	64

struct agent {
	struct agents	*agents;
	struct chan	*chan;		/* NULL: this slot is free */
	uint16_t	 worker;
	bool		 synced;
	bool		 old;		/* a newer one has its number */
	bool		 leaving;	/* it drains: gets no more */
	bool		 dirty;		/* confirmations wait to be sent */
	unsigned	 running;
};

struct agents {
	struct event_base *base;
	struct proc	*proc;
	struct queue	*q;
	struct agent	*v[AGENTS_MAX];
	struct map	*jobs;		/* tid -> job */
	uint32_t	 tid;
	struct event	*settle;
	bool		 settled;
};

/* A number of ours for a job of this agent. */
bool	 job_number(struct agents *, struct agent *, struct job *);
/* The same result (enum d_status) for all recipients that have none. */
void	 result_all(struct queue *, struct job *, uint8_t status,
	    const char *text);

#endif
