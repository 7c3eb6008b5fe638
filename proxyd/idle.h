/*
 * Sessions at servers that are kept without a client (`idle-connections`): what
 * a client leaves in order is reset and given to the next one, which so pays no
 * connect. A session's place (place.h) stays taken while it is kept.
 */
#ifndef PROXYD_IDLE_H
#define PROXYD_IDLE_H

#include "proxyd/link.h"

#define IDLE_MAX_MS	60000	/* kept for so long, or as the server allows */
#define IDLE_MIN_MS	2000
#define IDLE_RESET_MS	5000	/* for the reply to RSET */
#define IDLE_USES_MAX	100	/* clients of one connection */
#define IDLE_ERRORS_MAX	5	/* refusals in it: servers count them */
#define IDLE_SCARCE_MAX	32	/* servers with a place wanted */
#define IDLE_GREETING_MAX 512	/* of what the next client is greeted with */

void	 idle_init(const struct conf *);
/* May a session serve another client? Not where the server was told who the
 * client is in a way that can't be told anew. */
bool	 idle_may_keep(const struct conf_action *);
/* The client has said QUIT: takes the server's session over, if it may be kept
 * and there is room. False: the link still has it. */
bool	 idle_keep(struct link *);
/* Gives the link one that is kept there, with its place, greeting and all.
 * False: there is none. */
bool	 idle_take(struct link *, const struct addr *);
/* A place is wanted there: one less is kept, and none anew while who wants it
 * may wait. */
void	 idle_scarce(const struct addr *);
/* None is kept at what has been paused. */
void	 idle_paused(void);
/* QUIT to all of them; none is kept from now on. */
void	 idle_end(void);
size_t	 idle_count(const struct conf_action *);	/* NULL: of all */

#endif
