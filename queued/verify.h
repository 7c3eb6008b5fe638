/*
 * A check of the whole queue, step by step: every record's checksums, and that
 * index, segments and bodies agree. On a running queue mail flows meanwhile; of
 * a folder that nobody runs on all is known by its segments, with an index to
 * hold against them or without.
 *
 * What is followed of a message, by its records: nothing while the index has
 * it. One that the index has not must come to its end in what follows; on a
 * folder each message is followed so.
 */
#ifndef QUEUED_VERIFY_H
#define QUEUED_VERIFY_H

#include "queued/queue.h"

struct verify {
	struct queue	*q;		/* its segs, and its store or NULL */
	bool		 offline;
	/* A fault: of a message, or 0; at a place, or segment 0. */
	void		(*problem)(struct verify *, const char *what,
			    uint64_t id, uint64_t segment, uint64_t offset);
	void		*arg;

	uint64_t	 records, messages, bodies, bytes, problems;
	uint64_t	 total_bytes;	/* of segments, about */

	enum { VERIFY_SEGMENTS, VERIFY_INDEX, VERIFY_SCHEDULE, VERIFY_LEFT }
			 phase;
	struct pin	 pin;
	struct map	*seen;		/* id -> struct verify_msg */
	uint64_t	 segment, off, limit;
	bool		 stopped, open_end;
	uint64_t	 from;
	struct store_due due;
	uint64_t	 ids[64];
	struct store_due dues[64];
	size_t		 n;
};

/* q is borrowed until verify_clear(). False: no memory. */
bool	 verify_init(struct verify *, struct queue *, bool offline);
void	 verify_clear(struct verify *);
/* True: there is more to do. */
bool	 verify_step(struct verify *);

#endif
