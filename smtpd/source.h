/*
 * How many sessions each source has, in this worker and, as queued tells, in
 * all; how often it came, and failed to log in, lately. A source is an IPv4 address or an IPv6 /64.
 */
#ifndef SMTPD_SOURCE_H
#define SMTPD_SOURCE_H

#include "common/conf/conf.h"
#include "common/ipc/chan.h"

#define SOURCE_FAILED_MS 3600000	/* the window of failed logins */
#define SOURCE_KEEP_MS	3700000	/* without sessions; the longest window */
#define SOURCES_MAX	65536	/* remembered; beyond it the worker forgets */

void	 source_init(const struct conf *);
/* One more session of this client; NULL, or the reply that it gets instead,
 * without its code 421. Counted only if taken. */
const char *source_enter(const struct addr *);
void	 source_leave(const struct addr *);
/* The channel to queued, NULL: away. All counts are told anew. */
void	 source_queue(struct chan *);
/* queued's sums over all workers. */
void	 source_total(const struct ipc_q_source_total *);
/* A login of this client has failed: how often now, 0 where nothing is counted.
 * May it try another one? */
unsigned source_failed(const struct addr *);
bool	 source_may_try(const struct addr *);

#endif
