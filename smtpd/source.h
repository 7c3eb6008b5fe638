/*
 * How many sessions each source has, in this worker and, as queued tells, in
 * all; and how often it came lately. A source is an IPv4 address or an IPv6 /64.
 */
#ifndef SMTPD_SOURCE_H
#define SMTPD_SOURCE_H

#include "common/conf/conf.h"
#include "common/ipc/chan.h"

#define SOURCES_MAX	65536	/* remembered; beyond it the worker forgets */

void	 source_init(const struct conf *);
/* One more session of this client; NULL, or the reply that it gets instead,
 * without its code 421. Counted only if taken. */
const char *source_enter(const struct addr *);
void	 source_leave(const struct addr *);
/* The channel to queued, NULL: away. All counts are told anew. */
void	 source_queue(struct chan *);
/* queued's sum over all workers. */
void	 source_total(const struct addr *, uint32_t count);

#endif
