/*
 * A file in another's place: made beside it and renamed once it is on disk, so
 * that whoever reads it, and a crash at any time, has the old or the new one
 * whole.
 */
#ifndef POSTERNCTL_REPLACE_H
#define POSTERNCTL_REPLACE_H

#include <limits.h>
#include <stdbool.h>

struct replace {
	const char	*path;		/* borrowed */
	char		 tmp[PATH_MAX];
	int		 fd;		/* of the new file, for writing */
};

/* A new, empty file beside path with mode 0600. False: errno says why, and
 * there is nothing to end. Else one of the two below ends it. */
bool	 replace_begin(struct replace *, const char *path);
/* Ends it: what was written gets the name. False: errno says why, and the old
 * file stays, but where its folder alone could not be synced. */
bool	 replace_commit(struct replace *);
/* Ends it: the old file stays. Keeps errno. */
void	 replace_drop(struct replace *);

#endif
