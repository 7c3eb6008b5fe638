/*
 * makemap: a table's file as a constant database, for tables of the kind cdb.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf/table_i.h"
#include "posternctl/replace.h"
#include "posternctl/words.h"

#define SOURCE_MAX	(2UL << 30)	/* bytes of a text */
#define TREE_MAX	(8UL << 30)	/* bytes of its entries */

static int
complain(const char *path, const char *why, int status)
{
	fprintf(stderr, "posternctl: %s: %s\n", path, why);
	return status;
}

/* The whole of a file. */
static bool
slurp(const char *path, struct buf *b)
{
	int	 fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t	*p = NULL;
	ssize_t	 n = -1;

	if (fd == -1)
		return false;
	while ((p = buf_room(b, 1 << 20)) != NULL &&
	    (n = read(fd, p, 1 << 20)) > 0)
		buf_added(b, (size_t)n);
	if (p == NULL)
		errno = EFBIG;
	close(fd);
	return p != NULL && n == 0;
}

static bool
put(struct span key, struct span value, void *arg)
{
	/* Unchanged keys first: those that stand twice count once. */
	return cdb_make_add(arg, key.p, (unsigned)key.len, value.p == NULL ?
	    (const uint8_t *)"" : value.p, (unsigned)value.len) == 0;
}

static int
make(const struct conf_table *t, const char *target)
{
	struct cdb_make	 m;
	struct replace	 r;
	bool		 ok;

	if (!replace_begin(&r, target))
		return complain(target, strerror(errno), EX_CANTCREAT);
	ok = cdb_make_start(&m, r.fd) == 0 && table_cdb_records(t, put, &m);
	if (cdb_make_finish(&m) == 0 && ok && fchmod(r.fd, 0644) == 0) {
		if (replace_commit(&r))
			return EX_OK;
	} else
		replace_drop(&r);
	return complain(target, strerror(errno), EX_IOERR);
}

static int
run_makemap(const struct call *call)
{
	const char		*source = call->argv[0];
	struct arena		*mem = arena_new(TREE_MAX);
	struct conf_table	*t = mem == NULL ? NULL : table_new(mem, "");
	struct buf		 text;
	char			 where[32];
	unsigned		 line;
	int			 status;

	buf_init(&text, SOURCE_MAX);
	if (t == NULL) {
		status = complain(source, strerror(ENOMEM), EX_OSERR);
	} else if (!slurp(source, &text)) {
		status = complain(source, strerror(errno), EX_NOINPUT);
	} else if ((line = table_load(mem, t, buf_content(&text))) != 0) {
		snprintf(where, sizeof(where), "line %u is no entry", line);
		status = complain(source, where, EX_DATAERR);
	} else {
		status = make(t, call->argv[1]);
		if (status == EX_OK && !call->quiet)
			printf("%zu entries\n", table_count(t));
	}
	buf_clear(&text);
	if (t != NULL)
		table_clear(t);
	if (mem != NULL)
		arena_free(mem);
	return status;
}

const struct command commands_table[] = {
	{ "makemap", "FILE TARGET", "make a table of the kind cdb of a file",
	    2, 2, run_makemap },
	{ NULL }
};
