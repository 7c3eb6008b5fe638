/*
 * Destinations: their names, how many jobs each may have at a time, and how
 * success and trouble change that. No I/O.
 *
 *	state	jobs at a time			leaves it
 *	UP	window, grows by success	trouble
 *	SLOW	window, halved			a success: UP
 *	DOWN	none until probe_ms, then 1	a success: UP, all that waited
 *						  is due; trouble: next probe
 *
 * The window grows by one for each success up to the size at which trouble was
 * met, from there on by one for each round of successes; and not while replies
 * take twice as long as when the server has little to do. Trouble halves it,
 * once for all the jobs that were under way then.
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
/* The same of what dest_of() gave. */
uint64_t dest_key(struct span action, struct span domain);
/* Would mail that waits have another destination by the other tree? */
bool	 dest_moves(const struct conf *, const struct conf *);
/* Jobs at a time, at most. */
unsigned dest_limit(const struct conf *, const struct dest *);
bool	 dest_may_start(const struct dest *, int64_t now_ms);
/* What a job that was begun at begun_ms says of its destination, with its
 * slowest reply in reply_ms (0: not known). True if the destination has come
 * back: what waited for it is due. */
struct dest_word {
	enum d_dest	 seen;
	int64_t		 begun_ms;
	uint32_t	 reply_ms;
};
bool	 dest_seen(struct dest *, const struct dest_word *, unsigned limit,
	    const struct retry *, int64_t now_ms, uint32_t random);
const char *dest_state_str(enum dest_state);

#endif
