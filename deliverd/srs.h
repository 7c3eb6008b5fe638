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
/* The channel to keyd; NULL: it is gone. */
void	 srs_join(struct chan *);
chan_handler srs_on_made;
/* A complete job; it is ours until `next` has it or it is done. */
void	 srs_job(struct job *);

#endif
