/*
 * See replace.h.
 */
#include "posternctl/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
replace_begin(struct replace *r, const char *path)
{
	r->path = path;
	if (snprintf(r->tmp, sizeof(r->tmp), "%s.XXXXXX", path) >=
	    (int)sizeof(r->tmp)) {
		errno = ENAMETOOLONG;
		return false;
	}
	return (r->fd = mkostemp(r->tmp, O_CLOEXEC)) != -1;
}

/* A name is there after a crash once the folder's sync has ended. */
static bool
sync_folder(const char *path)
{
	char	 copy[PATH_MAX];
	int	 fd;
	bool	 ok;

	if (strlcpy(copy, path, sizeof(copy)) >= sizeof(copy))
		return false;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok = fd != -1 && fsync(fd) == 0;
	if (fd != -1)
		close(fd);
	return ok;
}

bool
replace_commit(struct replace *r)
{
	int	fd = r->fd;

	if (fsync(fd) == -1) {
		replace_drop(r);
		return false;
	}
	r->fd = -1;
	if (close(fd) == -1 || rename(r->tmp, r->path) == -1) {
		replace_drop(r);
		return false;
	}
	return sync_folder(r->path);
}

void
replace_drop(struct replace *r)
{
	int	saved = errno;

	if (r->fd != -1)
		close(r->fd);
	unlink(r->tmp);
	errno = saved;
}
