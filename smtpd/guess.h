/*
 * How often logins by a name have failed in this hour of the clock, in this
 * worker and, as queued tells, in all: whoever guesses one user's password from
 * many addresses is slowed down too. Names are kept as hashes alone.
 */
#ifndef SMTPD_GUESS_H
#define SMTPD_GUESS_H

#include "common/conf/conf.h"
#include "common/ipc/chan.h"

#define GUESS_WINDOW_MS	3600000
#define GUESSES_MAX	65536	/* names; beyond it the worker forgets */

void	 guess_init(const struct conf *);
/* A login by this name (not case-sensitive, not empty) has failed. Gives how
 * often that was in this window. */
unsigned guess_failed(const char *name);
/* May one more be tried? */
bool	 guess_may_try(const char *name);
/* The channel to queued, NULL: away. */
void	 guess_queue(struct chan *);
/* queued's sum over all workers; false: not a thing that it may say. */
bool	 guess_total(const struct ipc_q_guess_total *);

#endif
