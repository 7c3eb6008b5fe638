/*
 * See file.h.
 */
#include "keyd/file.h"

#include <sys/stat.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *
file_size(int fd, size_t max, size_t *len)
{
	static char	why[40];
	struct stat	st;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	if ((uintmax_t)st.st_size > max) {
		snprintf(why, sizeof(why), "larger than %zu MiB", max >> 20);
		return why;
	}
	if (lseek(fd, 0, SEEK_SET) == -1)
		return strerror(errno);
	*len = (size_t)st.st_size;
	return NULL;
}

const char *
file_read(int fd, void *to, size_t len)
{
	ssize_t	n;
	size_t	have = 0;

	while (have < len) {
		n = read(fd, (char *)to + have, len - have);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return strerror(errno);
		if (n == 0)
			return "became shorter while read";
		have += (size_t)n;
	}
	return NULL;
}
