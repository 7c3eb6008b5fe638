/*
 * Destinations: their names, how many jobs each may have at a time, and how
 * success and trouble change that. No I/O.
 *
 *	state	jobs at a time			leaves it
 *	UP	window, grows by 1 a success	trouble
 *	SLOW	window, halved			a success: UP
 *	DOWN	none until probe_ms, then 1	a success: UP, all that waited
 *						  is due; trouble: next probe
 */
#ifndef QUEUED_DEST_H
#define QUEUED_DEST_H

#include "queued/queue.h"

#define DEST_WINDOW	20	/* at first */

/*
 * The destination of a recipient: its key, and what tells it apart from others
 * of the action, as conf_target() has it: "" if the action has a list of
 * servers, the list that its table has for this mail ("" again if it has none
 * any more), or the domain in A-labels. from and auth_user, the message's, are
 * looked at only where the action goes by them.
 */
uint64_t dest_of(const struct conf *, struct span action, struct span to,
	    struct span from, struct span auth_user,
	    char domain[CONF_TARGET_MAX]);
/* Would mail that waits have another destination by the other tree? */
bool	 dest_moves(const struct conf *, const struct conf *);
/* Jobs at a time, at most. */
unsigned dest_limit(const struct conf *, const struct dest *);
bool	 dest_may_start(const struct dest *, int64_t now_ms);
/* True if the destination has come back: what waited for it is due. */
bool	 dest_seen(struct dest *, enum d_dest, unsigned limit,
	    const struct retry *, int64_t now_ms, uint32_t random);
const char *dest_state_str(enum dest_state);

#endif
