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
#ifndef QUEUED_AUDIT_H
#define QUEUED_AUDIT_H

#include "queued/queue.h"

struct audit {
	struct queue	*q;		/* its segs, and its store or NULL */
	bool		 offline;
	/* A fault: of a message, or 0; at a place, or segment 0. */
	void		(*problem)(struct audit *, const char *what,
			    uint64_t id, uint64_t segment, uint64_t offset);
	void		*arg;

	uint64_t	 records, messages, bodies, bytes, problems;
	uint64_t	 total_bytes;	/* of segments, about */

	enum { AUDIT_SEGMENTS, AUDIT_INDEX, AUDIT_SCHEDULE, AUDIT_LEFT }
			 phase;
	struct pin	 pin;
	struct map	*seen;		/* id -> struct audit_msg */
	uint64_t	 segment, off, limit;
	bool		 stopped, open_end;
	uint64_t	 from;
	struct store_due due;
	uint64_t	 ids[64];
	struct store_due dues[64];
	size_t		 n;
};

/* q is borrowed until audit_clear(). False: no memory. */
bool	 audit_init(struct audit *, struct queue *, bool offline);
void	 audit_clear(struct audit *);
/* True: there is more to do. */
bool	 audit_step(struct audit *);

#endif
