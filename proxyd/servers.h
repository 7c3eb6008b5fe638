/*
 * Which server a link gets: the health of addresses and the number of sessions
 * of an action.
 */
#ifndef PROXYD_SERVERS_H
#define PROXYD_SERVERS_H

#include "common/lookup/hosts.h"

/* Who was not reached is passed over, and tried again by one link after the
 * first time, then after longer ones. */
#define SERVERS_PROBE_MIN_MS	10000
#define SERVERS_PROBE_MAX_MS	300000
#define SERVERS_MAX	256	/* of which that is remembered */

void	 servers_init(const struct conf *);
/* Puts standbys, and then those that are down, behind the others, in place;
 * weights say how often each is first. One whose next probe is due keeps its
 * place once: for this caller, who tells what came of it. */
void	 servers_order(struct hosts_cand *, size_t n);
void	 servers_failed(const struct addr *);
void	 servers_works(const struct addr *);
/* One more session by this action; false: at its max-connections. */
bool	 servers_take(const struct conf_action *);
void	 servers_release(const struct conf_action *);
unsigned servers_count(const struct conf_action *);
bool	 servers_is_down(const struct addr *);

#endif
