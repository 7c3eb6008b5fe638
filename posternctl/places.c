/*
 * See places.h. A file that is not there or may not be read is nothing to speak
 * of: most users have no business with it, and -s names the place.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posternctl/places.h"

#include "common/conf/bundle.h"
#include "common/conf/conf.h"

#define FILE_MAX	(16UL << 20)	/* bytes of one that are looked at */
#define PATTERNS_MAX	256
#define MATCHES_MAX	64		/* as many as postern(8) takes */

struct found {
	const char	*file;		/* the main one */
	struct buf	 bundle;
	char		*patterns[PATTERNS_MAX];
	size_t		 npatterns, done;
};

static bool
read_file(int fd, struct buf *text)
{
	uint8_t		*p;
	ssize_t		 n;

	do {
		if ((p = buf_room(text, 65536)) == NULL)
			return false;
		if ((n = read(fd, p, 65536)) > 0)
			buf_added(text, (size_t)n);
	} while (n > 0);
	return n == 0;
}

static bool
add_file(struct found *f, enum bundle_kind kind, const char *path,
    const char *key)
{
	struct stat	 st;
	struct buf	 text;
	int		 fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool		 ok;

	if (fd == -1)
		return false;
	buf_init(&text, FILE_MAX);
	ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    read_file(fd, &text) && bundle_add(&f->bundle, kind,
	    span_str(path), span_str(key), buf_content(&text));
	buf_clear(&text);
	close(fd);
	return ok;
}

/* One more file that is wanted; tables say nothing of sockets. */
static void
on_want(enum bundle_kind kind, struct span key, void *arg)
{
	struct found	*f = arg;

	if (kind != BUNDLE_INCLUDE || f->npatterns == PATTERNS_MAX)
		return;
	for (size_t i = 0; i < f->npatterns; i++)
		if (span_is(key, f->patterns[i]))
			return;
	if ((f->patterns[f->npatterns] = span_dup(key)) != NULL)
		f->npatterns++;
}

/* A relative name begins where the main file lies. */
static void
include(struct found *f, const char *pattern)
{
	const char	*slash = strrchr(f->file, '/');
	int		 dir = slash != NULL ? (int)(slash - f->file) + 1 : 0;
	char		*path;
	glob_t		 g;

	if (asprintf(&path, "%.*s%s", pattern[0] == '/' ? 0 : dir, f->file,
	    pattern) == -1)
		return;
	if (glob(path, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc && i < MATCHES_MAX; i++)
			(void)add_file(f, BUNDLE_INCLUDE, g.gl_pathv[i],
			    pattern);
		globfree(&g);
	}
	free(path);
}

/* The file with all that it includes. NULL: no memory. */
static struct found *
found_new(const char *file)
{
	struct found	*f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->file = file;
	buf_init(&f->bundle, BUNDLE_MAX);
	bundle_begin(&f->bundle);
	if (add_file(f, BUNDLE_MAIN, file, file))
		do {
			conf_wants(buf_content(&f->bundle), on_want, f);
			if (f->done == f->npatterns)
				break;
			while (f->done < f->npatterns)
				include(f, f->patterns[f->done++]);
		} while (!f->bundle.failed);
	return f;
}

static void
found_free(struct found *f)
{
	for (size_t i = 0; i < f->npatterns; i++)
		free(f->patterns[i]);
	buf_clear(&f->bundle);
	free(f);
}

void
places_find(const char *file, struct conf_places *p)
{
	struct found	*f = found_new(file);

	conf_places(f == NULL ? span(NULL, 0) : buf_content(&f->bundle), p);
	if (f != NULL)
		found_free(f);
}

bool
places_users(const char *file, const char *name, char path[USERS_PATH_LEN])
{
	struct found	*f = found_new(file);
	bool		 ok;

	ok = f != NULL && conf_users(buf_content(&f->bundle), name, path);
	if (f != NULL)
		found_free(f);
	return ok;
}
