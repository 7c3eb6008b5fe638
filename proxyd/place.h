/*
 * Which server a session may go to, as all proxyd workers know it together:
 * places at servers, what is paused, and (srv.h) who is down. They hear of it
 * through queued. While queued is away, or does not answer, each goes on with
 * its own view: of a limit it has its share then.
 */
#ifndef PROXYD_PLACE_H
#define PROXYD_PLACE_H

#include "common/lookup/hosts.h"
#include "common/proc/start.h"

#define PLACE_WAIT_MS	5000	/* for a free place, in all */
#define PLACE_ASK_MS	500	/* for a word of queued */

struct place_want;

void	 place_init(struct proc *, const struct conf *);
/* A channel to queued; fd is taken. */
void	 place_peer(uint16_t worker, int fd);

/*
 * A place at the first of these servers (1 .. HOSTS_CANDS_MAX, of one action)
 * that has one. done is called once: with which it is, or -1 if there was none
 * in time; from within if nobody has to be asked, and NULL is given back then.
 */
struct place_want *place_want(const struct conf_action *,
	    const struct hosts_cand *, size_t n, void (*done)(void *arg,
	    int which), void *arg);
void	 place_unwant(struct place_want *);	/* takes NULL */
/* It is free again. full: the server has refused the session for there being
 * too many. False: nothing comes of that, since there are none; the server is
 * as good as down. */
bool	 place_give(const struct conf_action *, const struct addr *, bool full);
bool	 place_is_paused(const struct conf_action *, const char *name,
	    const struct addr *);
/* Sessions of this worker by an action, those kept idle too. */
unsigned place_count(const struct conf_action *);
size_t	 place_waiting(void);

#endif
