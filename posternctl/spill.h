/*
 * The body of a message, in memory while it is small, behind that in a file
 * without a name, so that what a job prints may be larger than memory. Bytes are
 * added at the end and read from the front.
 */
#ifndef POSTERNCTL_SPILL_H
#define POSTERNCTL_SPILL_H

#include "common/base/buf.h"

#define SPILL_MEM	(1UL << 20)	/* bytes in memory */
#define SPILL_PIECE	65536		/* bytes read back in one go */

struct spill {
	const char	*why;		/* it has failed: so, static */
	bool		 io;		/* for want of a file, or of room in it */
	/* private */
	struct buf	 mem;		/* behind what is in the file */
	int		 fd;		/* -1: none yet */
	uint64_t	 in_file, max;
};

/* At most max bytes in all; the file, if it comes to that, is in TMPDIR or
 * /var/tmp. */
void	 spill_init(struct spill *, uint64_t max);
void	 spill_clear(struct spill *);
/* Adds. False, now and from then on: why. */
bool	 spill_span(struct spill *, struct span);
bool	 spill_str(struct spill *, const char *);
uint64_t spill_len(const struct spill *);
/*
 * Calls f with all of it, piece by piece; each ends with a line, if there are
 * lines of less than SPILL_PIECE. False: f returned false, or the file can't be
 * read.
 */
bool	 spill_each(const struct spill *, bool (*f)(struct span, void *),
	    void *arg);

#endif
