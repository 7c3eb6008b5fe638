/*
 * The reverse-path that a message leaves with: the one place that says it.
 */
#ifndef DELIVERD_SENDER_H
#define DELIVERD_SENDER_H

#include "deliverd/job.h"

void	 sender_init(const struct conf *);
/* Without <>; the job's, as long as it lives. What the action's `mail-from`
 * makes of it, or as it came. */
struct span sender_of(struct job *);

#endif
