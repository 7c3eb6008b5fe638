/*
 * hosts.h over ask.h: the addresses of an action's servers, found by asking
 * lookupd. The last piece that deliverd and proxyd share.
 */
#ifndef LOOKUP_FIND_H
#define LOOKUP_FIND_H

#include "common/lookup/ask.h"
#include "common/lookup/hosts.h"

struct find;

/*
 * Calls done once, with a list that is borrowed until it returns: from within
 * if nothing has to be asked (then NULL is given back), else later. done may
 * not call find_cancel() for itself.
 */
struct find *find_start(struct ask *, const struct conf *,
	    const struct conf_action *, const char *domain,
	    void (*done)(void *arg, const struct hosts_list *), void *arg);
/* The same for a list of servers that a table has (NULL: the action's own),
 * which outlives it; lax as hosts_lax(). */
struct find *find_in(struct ask *, const struct conf *,
	    const struct conf_action *, const struct conf_pool *, bool lax,
	    const char *domain,
	    void (*done)(void *arg, const struct hosts_list *), void *arg);
void	 find_cancel(struct find *);	/* takes NULL */

#endif
