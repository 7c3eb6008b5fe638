/*
 * A database beside the index, in its environment, for what follows from no
 * message: rows by their key, each of use until a time of its own. It is a
 * cache: a rebuild of the index begins it anew, and a crash of the machine may
 * take the last seconds of it. Each change is a transaction of its own, so it
 * goes with none of the queue's. What rows say is their owner's.
 *
 * Rows of the file, by their first byte:
 *	k KEY		the row
 *	t END_MS KEY	when it is of no use any more
 *	n		how many there are
 */
#ifndef QUEUED_SIDE_H
#define QUEUED_SIDE_H

#include "common/base/buf.h"

#define SIDE_KEY_MAX	1000	/* bytes; a longer one is not kept */

struct side;
struct side_kind {
	const char	*file;		/* "verify.db" */
	size_t		 row_max;	/* bytes; a longer one is not kept */
	/* When the row ends (unix time in ms); false: it can't be read. */
	bool		 (*end)(struct span row, int64_t *ms);
};

/* Over an environment (a DB_ENV). 0 or an error of db.h; *out is to be closed
 * in any case. */
int	 side_open(void *env, const struct side_kind *, struct side **out);
void	 side_close(struct side *);		/* takes NULL */

/* *row is borrowed until the next call of any function. */
bool	 side_get(struct side *, struct span key, struct span *row);
/* False: key or row is too long, or the row says no end. */
bool	 side_put(struct side *, struct span key, struct span row);
bool	 side_del(struct side *, struct span key);
uint64_t side_count(const struct side *);
/*
 * Drops rows whose time is over, and those that have least of it left while
 * there are more than max: at most n. How many it were.
 */
unsigned side_sweep(struct side *, int64_t now_ms, uint64_t max, unsigned n);
/* The key of a row whose time is over, the one that ended first; borrowed. */
bool	 side_due(struct side *, int64_t now_ms, struct span *key);
/*
 * Rows whose keys begin so, in order until f returns false; f must not call the
 * store. after (may be empty): from behind this key on.
 */
void	 side_each(struct side *, struct span front, struct span after,
	    bool (*f)(struct span key, struct span row, void *arg), void *arg);

#endif
