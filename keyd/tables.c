/*
 * See tables.h.
 */
#include "keyd/tables.h"

#include <sys/stat.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf/table.h"

struct table {
	char		*name, *path;
	char		*text;
	size_t		 len;
	struct users	*users;
};
struct tables {
	struct table	 list[TABLES_MAX];
	size_t		 n;
	char		 why[768];	/* the first fault */
};

struct tables *
tables_new(void)
{
	return calloc(1, sizeof(struct tables));
}

void
tables_free(struct tables *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++) {
		struct table	*e = &t->list[i];

		users_free(e->users);
		if (e->text != NULL)
			freezero(e->text, e->len);
		free(e->name);
		free(e->path);
	}
	free(t);
}

static bool
fault(struct tables *t, const char *path, const char *what)
{
	if (t->why[0] == '\0')
		snprintf(t->why, sizeof(t->why), "%.600s: %s", path, what);
	return false;
}

/* The file's bytes; its size is asked first and must stay what it is. */
static bool
read_text(struct tables *t, struct table *e, int fd)
{
	struct stat	st;
	ssize_t		n;
	size_t		have = 0;

	if (fstat(fd, &st) == -1 || lseek(fd, 0, SEEK_SET) == -1)
		return fault(t, e->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fault(t, e->path, "not a regular file");
	if ((size_t)st.st_size > TABLES_FILE_MAX)
		return fault(t, e->path, "larger than 128 MiB");
	if ((e->text = malloc((size_t)st.st_size + 1)) == NULL)
		return fault(t, e->path, "out of memory");
	e->len = (size_t)st.st_size;
	while (have < e->len) {
		n = read(fd, e->text + have, e->len - have);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return fault(t, e->path, strerror(errno));
		if (n == 0)
			return fault(t, e->path, "became shorter while read");
		have += (size_t)n;
	}
	return true;
}

void
tables_add(struct tables *t, const char *name, const char *path, int fd)
{
	struct table	*e;
	const char	*why = "";
	char		 text[160];
	unsigned	 line;

	if (t->n == TABLES_MAX) {
		fault(t, path, "too many tables of users");
		close(fd);
		return;
	}
	e = &t->list[t->n++];
	e->name = strdup(name);
	e->path = strdup(path);
	if (e->name == NULL || e->path == NULL)
		fault(t, path, "out of memory");
	else if (read_text(t, e, fd) && (e->users = users_parse(span(e->text,
	    e->len), &why, &line)) == NULL) {
		snprintf(text, sizeof(text), "line %u: %s", line, why);
		fault(t, path, text);
	}
	close(fd);
}

bool
tables_finish(struct tables *t, const struct conf *c, const char **why)
{
	bool	ok = t->why[0] == '\0';

	*why = t->why;
	for (size_t i = 0; ok && i < c->ntables; i++)
		if (table_users(c->tables[i]) != NULL && tables_get(t,
		    span_str(table_name(c->tables[i]))) == NULL)
			ok = fault(t, table_users(c->tables[i]),
			    "was not handed over");
	return ok;
}

size_t
tables_count(const struct tables *t)
{
	return t == NULL ? 0 : t->n;
}

const struct users *
tables_at(const struct tables *t, size_t n, const char **name)
{
	*name = t->list[n].name;
	return t->list[n].users;
}

const struct users *
tables_get(const struct tables *t, struct span name)
{
	for (size_t i = 0; i < tables_count(t); i++)
		if (span_is(name, t->list[i].name))
			return t->list[i].users;
	return NULL;
}
