/*
 * See spill.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posternctl/spill.h"

void
spill_init(struct spill *s, uint64_t max)
{
	*s = (struct spill){ .fd = -1, .max = max };
	buf_init(&s->mem, SPILL_MEM);
}

void
spill_clear(struct spill *s)
{
	if (s->fd != -1)
		close(s->fd);
	buf_clear(&s->mem);
	spill_init(s, s->max);
}

uint64_t
spill_len(const struct spill *s)
{
	return s->in_file + buf_len(&s->mem);
}

/* ---- the file ---- */

static int
open_in(const char *dir)
{
	char	 path[4096];
	int	 fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* Not every file system can. */
	if (fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	if ((size_t)snprintf(path, sizeof(path), "%s/sendmailXXXXXX", dir) >=
	    sizeof(path))
		return -1;
	if ((fd = mkostemp(path, O_CLOEXEC)) != -1)
		(void)unlink(path);
	return fd;
}

static bool
fail(struct spill *s, const char *why, bool io)
{
	s->why = why;
	s->io = io;
	return false;
}

static bool
flush(struct spill *s)
{
	const char	*dir = getenv("TMPDIR");
	struct span	 in = buf_content(&s->mem);
	ssize_t		 n;

	if (s->fd == -1 && dir != NULL && dir[0] == '/')
		s->fd = open_in(dir);
	if (s->fd == -1)
		s->fd = open_in("/var/tmp");
	if (s->fd == -1)
		return fail(s, "no file can be made for so large a message in "
		    "TMPDIR or /var/tmp", true);
	while (in.len > 0) {
		n = write(s->fd, in.p, in.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(s, "there is no room for so large a "
			    "message in TMPDIR or /var/tmp", true);
		span_skip(&in, (size_t)n);
		s->in_file += (size_t)n;
	}
	buf_reset(&s->mem);
	return true;
}

bool
spill_span(struct spill *s, struct span in)
{
	size_t	 n;

	if (s->why != NULL)
		return false;
	if (in.len > s->max - spill_len(s))
		return fail(s, "the message is too large", false);
	while (in.len > 0) {
		if (buf_len(&s->mem) == SPILL_MEM && !flush(s))
			return false;
		n = SPILL_MEM - buf_len(&s->mem);
		n = n < in.len ? n : in.len;
		if (!buf_span(&s->mem, span_sub(in, 0, n)))
			return fail(s, "out of memory", true);
		span_skip(&in, n);
	}
	return true;
}

bool
spill_str(struct spill *s, const char *str)
{
	return spill_span(s, span_str(str));
}

/* ---- back ---- */

/* The bytes from there on, at most n; 0 at the end, -1 if they can't be read. */
static ssize_t
get(const struct spill *s, uint64_t at, uint8_t *dst, size_t n)
{
	struct span	 m = buf_content(&s->mem);
	ssize_t		 got;

	if (at < s->in_file) {
		if (n > s->in_file - at)
			n = (size_t)(s->in_file - at);
		do
			got = pread(s->fd, dst, n, (off_t)at);
		while (got == -1 && errno == EINTR);
		return got > 0 ? got : -1;
	}
	at -= s->in_file;
	if (n > m.len - at)
		n = m.len - (size_t)at;
	if (n > 0)
		memcpy(dst, m.p + at, n);
	return (ssize_t)n;
}

/* As many as there are, up to n. */
static ssize_t
fill(const struct spill *s, uint64_t at, uint8_t *dst, size_t n)
{
	size_t	 have = 0;
	ssize_t	 got = 1;

	while (have < n && got > 0)
		if ((got = get(s, at + have, dst + have, n - have)) > 0)
			have += (size_t)got;
	return got == -1 ? -1 : (ssize_t)have;
}

bool
spill_each(const struct spill *s, bool (*f)(struct span, void *), void *arg)
{
	uint8_t		*piece = malloc(SPILL_PIECE);
	uint64_t	 at = 0;
	ssize_t		 n = piece == NULL ? -1 : 0;
	size_t		 end;

	while (n != -1 && at < spill_len(s)) {
		if ((n = fill(s, at, piece, SPILL_PIECE)) == -1)
			break;
		end = (size_t)n;
		if (at + end < spill_len(s))
			while (end > 0 && piece[end - 1] != '\n')
				end--;
		if (end == 0)
			end = (size_t)n;
		if (!f(span(piece, end), arg))
			n = -1;
		at += end;
	}
	free(piece);
	return n != -1;
}
