/*
 * How far a long request is, on standard error: one line that is written over
 * on a terminal, a line now and then if that was asked for (-p), else nothing.
 */
#ifndef POSTERNCTL_PROGRESS_H
#define POSTERNCTL_PROGRESS_H

#include "posternctl/words.h"

struct progress {
	const struct call	*call;
	const char		*what;
	int64_t			 told_ms;
	bool			 open;	/* a line without its end is there */
};

/* A row of kind "progress": looked, total, and what else it counts. */
void	 progress_row(struct progress *, const struct row *);
/* Before anything else is written, and at the end. */
void	 progress_end(struct progress *);

#endif
