/*
 * Connections from load balancers, before they are sessions: the PROXY header
 * that `listen … proxy-protocol from` asks of them is waited for. Not an octet
 * behind it is taken from the socket.
 */
#ifndef SMTPD_BALANCER_H
#define SMTPD_BALANCER_H

#include "smtpd/session.h"

#define BALANCER_WAIT_MS 10000	/* for a whole header */

void	 balancer_init(struct event_base *);
/* Must a connection from there begin with a header? */
bool	 balancer_is(const struct conf_listen *, const struct addr *);
/* Takes fd. Once the header is there listener_enter() has it; without one it is
 * closed, and listener_room() told. */
void	 balancer_wait(const struct conf_listen *, const struct origin *,
	    int fd);
size_t	 balancer_count(void);
void	 balancer_close_all(void);

#endif
