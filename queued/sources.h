/*
 * How many sessions each source has over all smtpd workers: every worker
 * reports its own number and hears the sum.
 */
#ifndef QUEUED_SOURCES_H
#define QUEUED_SOURCES_H

#include "common/base/addr.h"

#define SOURCES_PEERS	64	/* smtpd workers, by slot */

struct sources;

struct sources *sources_new(void);
/*
 * Worker `slot` has count sessions of this source. tell is called for each
 * worker that has any, and for the reporter, with the sum.
 */
void	 sources_set(struct sources *, unsigned slot, const struct addr *,
	    uint32_t count, void (*tell)(unsigned slot, const struct addr *,
	    uint32_t sum, void *), void *arg);
/* The worker is gone with its sessions. */
void	 sources_gone(struct sources *, unsigned slot, void (*tell)(unsigned,
	    const struct addr *, uint32_t, void *), void *arg);
size_t	 sources_count(const struct sources *);

#endif
