/*
 * Messages that may come again, as their client did not see our 250
 * (`recognise-retry`): by their digest, for an hour, in memory alone. Only one
 * whose first session ended in silence behind that reply is known again, and
 * once each time that this happens.
 *
 *	committing ─ durable ─▶ answered ─ session lost ─▶ lost ─ again ─▶ answered
 *	     └─ not taken: forgotten
 */
#ifndef QUEUED_AGAIN_H
#define QUEUED_AGAIN_H

#include "common/base/span.h"

#define AGAIN_MS	3600000
#define AGAIN_MAX	100000		/* messages; the oldest goes */
#define AGAIN_DIGEST	32

struct again;

struct again *again_new(void);
void	 again_free(struct again *);	/* takes NULL */
/* A message is being committed. */
void	 again_commit(struct again *, struct span digest, uint64_t id,
	    int64_t now_ms);
/* It is durable, or it is none. */
void	 again_committed(struct again *, uint64_t id, bool ok);
/* Nothing came behind its 250. */
void	 again_lost(struct again *, uint64_t id);
/* Has it been here, and was its reply lost? Its id; 0: no. */
uint64_t again_known(struct again *, struct span digest, int64_t now_ms);
size_t	 again_count(const struct again *);

#endif
