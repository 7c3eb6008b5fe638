/*
 * Which server a link gets: the health of addresses and the number of sessions
 * of an action.
 */
#ifndef PROXYD_SERVERS_H
#define PROXYD_SERVERS_H

#include "common/lookup/hosts.h"

#define SERVERS_DOWN_MS	10000	/* who was not reached is passed over */
#define SERVERS_MAX	256	/* of which that is remembered */

void	 servers_init(const struct conf *);
/* Puts those that were down lately behind the others, in place. */
void	 servers_order(struct hosts_cand *, size_t n);
void	 servers_failed(const struct addr *);
void	 servers_works(const struct addr *);
/* One more session by this action; false: at its max-connections. */
bool	 servers_take(const struct conf_action *);
void	 servers_release(const struct conf_action *);
unsigned servers_count(const struct conf_action *);
bool	 servers_is_down(const struct addr *);

#endif
