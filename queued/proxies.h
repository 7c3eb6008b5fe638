/*
 * The proxyds as queued knows them. They give it no mail: what they tell of
 * servers the others hear (hosts.h), places at servers are counted for all of
 * them here (common/lookup/places.h), and they hear what is paused.
 */
#ifndef QUEUED_PROXIES_H
#define QUEUED_PROXIES_H

#include "common/lookup/places.h"
#include "common/proc/start.h"
#include "queued/queue.h"

struct proxies;

/* q may change. Fatal without memory. */
struct proxies *proxies_new(struct event_base *, struct proc *,
	    struct queue **q);
/* A channel to a proxyd; fd is taken. */
void	 proxies_add(struct proxies *, uint16_t worker, int fd);
/* All that is paused now, for all of them. */
void	 proxies_pauses(struct proxies *);
const struct places *proxies_places(const struct proxies *);
size_t	 proxies_count(const struct proxies *);

#endif
