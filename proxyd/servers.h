/*
 * Which server a link gets: an action's addresses in the order in which they
 * are tried, by what is known of their health (srv.h).
 */
#ifndef PROXYD_SERVERS_H
#define PROXYD_SERVERS_H

#include "common/lookup/hosts.h"
#include "common/lookup/srv.h"

/* Who was not reached is passed over, and tried again by one link after the
 * first time, then after longer ones; unless its pool says otherwise. */
#define SERVERS_PROBE_MIN_MS	10000
#define SERVERS_PROBE_MAX_MS	300000

void	 servers_init(void);
/* Puts standbys, and then those that are down, behind the others, in place;
 * weights say how often each is first. One whose next probe is due keeps its
 * place once: for this caller, who tells what came of it. Gives the number of
 * those that are not down. */
size_t	 servers_order(const struct conf_action *, struct hosts_cand *,
	    size_t n);
/* What is known of it; one more reference. NULL: too many. */
struct srv *servers_ref(const struct conf_action *, const struct hosts_cand *);
/* What came of it, for who has no reference. why is "CODE TEXT". */
void	 servers_failed(const struct conf_action *, const struct hosts_cand *,
	    const char *why);
void	 servers_works(const struct conf_action *, const struct hosts_cand *);
bool	 servers_is_down(const struct addr *);

#endif
