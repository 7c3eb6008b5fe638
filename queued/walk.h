/*
 * Walks over the messages of the queue by a filter, for lists and for changes,
 * step by step: between two steps the daemon does all else, other walks too.
 * A step begins with all records applied and ends the same way; what it changes
 * is one batch with one sync. It holds a page of messages, never the list.
 */
#ifndef QUEUED_WALK_H
#define QUEUED_WALK_H

#include "queued/filter.h"

#define WALK_PAGE	256	/* messages that fit, held at a time */
#define WALK_LOOKED	4096	/* messages looked at in one go */
#define WALK_CHANGES	1024	/* of one batch, about */
#define WALK_STEP_MS	10	/* then others have their turn */

enum walk_what { WALK_LIST, WALK_COUNT, WALK_SCHEDULE, WALK_HOLD, WALK_RELEASE,
    WALK_REMOVE, WALK_BOUNCE, WALK_REROUTE };

struct walk_msg {		/* one of the page */
	uint64_t	 id;
	struct store_msg m;	/* m.from lies in walk.senders, from_at on */
	size_t		 from_at;
	bool		 fits;
};
struct walk {
	struct queue	*q;
	enum walk_what	 what;
	struct filter	 filter;
	uint32_t	 uid;		/* who wants it, for the log */
	/* WALK_LIST: each message that fits; it must not call the store. */
	void		(*row)(struct walk *, const struct walk_msg *, void *);
	/* WALK_REROUTE: a recipient that gets an action, or why none; or NULL */
	void		(*route_row)(struct walk *, uint64_t id,
			    const struct store_rcpt *, const char *action,
			    const char *why);
	bool		 dry;		/* WALK_REROUTE: nothing is changed */
	void		*arg;

	uint64_t	 from;		/* the next id to look at */
	uint64_t	 total;		/* messages when it began */
	int64_t		 began_ms;	/* queue time; what comes later, as the
					 * bounces that it makes, is let be */
	uint64_t	 looked, fits;
	uint64_t	 changed;	/* of those that fit */
	uint64_t	 skipped;	/* recipients, as they are at work */
	uint64_t	 routed, same, no_rule;	/* recipients */

	/* Of the message at hand: its recipients that wait, or all of one that
	 * is kept or prepared. */
	uint32_t	 nwaiting;
	int64_t		 next_ms;	/* the earliest */
	uint64_t	 dest;		/* of the last */
	struct buf	 to, reason;	/* of the first */
	struct buf	 fates;
	uint32_t	 nfates;

	struct walk_msg	 page[WALK_PAGE];
	size_t		 npage;
	unsigned	 page_looked, step_changed;
	bool		 more;
	struct buf	 senders, env;
};

/* NULL: no memory. The filter and row are the caller's to set. */
struct walk *walk_new(struct queue *, enum walk_what, uint32_t uid);
void	 walk_free(void *);
/* One step. True: there is more to do. */
bool	 walk_step(struct walk *);
const char *walk_word(enum walk_what);

/* ---- change.c ---- */
/* The record of a change of the message at hand, which fits; logged. False:
 * nothing is to be changed. */
bool	 change_make(struct walk *, const struct walk_msg *);

#endif
