/*
 * `srs` on an action: a job's sender is rewritten before the job goes to its
 * destination.
 */
#ifndef DELIVERD_SRS_H
#define DELIVERD_SRS_H

#include "common/ipc/chan.h"
#include "deliverd/job.h"

/* next gets each job, whole, once its sender is what the server shall hear. */
void	 srs_init(struct proc *, void (*next)(struct job *));
/* Others' questions to keyd go over the same channel; sender_share(). */
void	 srs_share(void (*joined)(struct chan *),
	    void (*answered)(const struct ipc_k_auth_answer *));
/* A channel to keyd; fd is taken. */
void	 srs_peer(uint16_t worker, int fd);
/* A complete job; it is ours until `next` has it or it is done. */
void	 srs_job(struct job *);

#endif
