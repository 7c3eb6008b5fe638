/*
 * See tables.h.
 */
#include "keyd/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf/table.h"
#include "keyd/file.h"

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

static bool
read_text(struct tables *t, struct table *e, int fd)
{
	const char	*why;

	if ((why = file_size(fd, TABLES_FILE_MAX, &e->len)) != NULL)
		return fault(t, e->path, why);
	if ((e->text = malloc(e->len + 1)) == NULL)
		return fault(t, e->path, "out of memory");
	why = file_read(fd, e->text, e->len);
	return why == NULL || fault(t, e->path, why);
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
