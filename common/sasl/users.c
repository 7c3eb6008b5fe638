/*
 * See users.h.
 */
#include "common/sasl/users.h"

#include <stdlib.h>

#include "common/base/map.h"
#include "common/base/utf8.h"

#define CLASSES_MAX	32	/* kinds of hashes that are counted */

struct class {
	char		 name[HASH_CLASS_MAX];
	size_t		 n;
	struct span	 hash;		/* the first one's */
};
struct users {
	struct user	*list;
	size_t		 n, cap;
	struct map	*index;		/* name → number + 1 */
	struct class	 classes[CLASSES_MAX];
	size_t		 nclasses;
	unsigned	 schemes;	/* of those who can log in */
};

bool
users_name_ok(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 127 || s.p[i] == ':')
			return false;
	return s.len > 0 && s.len <= USERS_NAME_MAX && s.p[0] != '#' &&
	    span_trim(s).len == s.len && utf8_valid(s);
}

/* The fields behind the shell, blanks between. */
static bool
is_barred(struct span rest)
{
	static const char *const bars[] = { "nologin", "nologin=", "nopassword",
	    "nopassword=", "allow_nets=" };
	struct span	w;

	for (int i = 0; i < 5; i++) {
		size_t	 n = span_find(rest, ':');

		if (n == rest.len)
			return false;
		span_skip(&rest, n + 1);
	}
	while (span_word(&rest, " \t", &w))
		for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
			struct span	 b = span_str(bars[i]);

			if (b.p[b.len - 1] == '=' ? span_casestarts(w, b) :
			    span_caseeq(w, b))
				return true;
		}
	return false;
}

int
users_line(struct span line, struct user *u, const char **why)
{
	struct span	 body;
	size_t		 n;

	*u = (struct user){ .barred = false };
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	if (span_trim(line).len == 0 || line.p[0] == '#')
		return 0;
	n = span_find(line, ':');
	u->name = span_sub(line, 0, n);
	if (n == line.len) {
		*why = "user:hash is expected";
		return -1;
	}
	if (!users_name_ok(u->name)) {
		*why = "no name of a user";
		return -1;
	}
	span_skip(&line, n + 1);
	n = span_find(line, ':');
	u->hash = span_sub(line, 0, n);
	if (!hash_parse(u->hash, &u->scheme, &body, why))
		return -1;
	if (n < line.len) {
		span_skip(&line, n + 1);
		u->barred = is_barred(line);
	}
	return 1;
}

static void
count_class(struct users *u, const struct user *one)
{
	char	name[HASH_CLASS_MAX];
	size_t	i;

	if (one->barred || one->scheme == HASH_LOCKED)
		return;
	u->schemes |= 1U << one->scheme;
	hash_class(one->hash, name);
	for (i = 0; i < u->nclasses; i++)
		if (strcmp(u->classes[i].name, name) == 0)
			break;
	if (i == CLASSES_MAX)
		return;
	if (i == u->nclasses) {
		u->classes[u->nclasses++].hash = one->hash;
		memcpy(u->classes[i].name, name, sizeof(name));
	}
	u->classes[i].n++;
}

static const char *
add(struct users *u, const struct user *new)
{
	struct user	*list;
	size_t		 cap;

	if (map_get(u->index, new->name) != NULL)
		return "the user stands twice";
	if (u->n == USERS_MAX)
		return "too many users";
	if (u->n == u->cap) {
		cap = u->cap == 0 ? 64 : u->cap * 2;
		if ((list = reallocarray(u->list, cap, sizeof(*list))) == NULL)
			return "out of memory";
		u->list = list;
		u->cap = cap;
	}
	u->list[u->n++] = *new;
	if (!map_set(u->index, new->name, (void *)(uintptr_t)u->n))
		return "out of memory";
	count_class(u, new);
	return NULL;
}

struct users *
users_parse(struct span text, const char **why, unsigned *line)
{
	struct users	*u = calloc(1, sizeof(*u));
	struct user	 one;
	size_t		 n;
	int		 is;

	*line = 0;
	if (u == NULL || (u->index = map_new(USERS_MAX)) == NULL) {
		*why = "out of memory";
		users_free(u);
		return NULL;
	}
	while (text.len > 0) {
		n = span_find(text, '\n');
		++*line;
		is = users_line(span_sub(text, 0, n), &one, why);
		if (is == -1 || (is == 1 && (*why = add(u, &one)) != NULL)) {
			users_free(u);
			return NULL;
		}
		span_skip(&text, n + 1);
	}
	return u;
}

void
users_free(struct users *u)
{
	if (u == NULL)
		return;
	map_free(u->index);
	free(u->list);
	free(u);
}

size_t
users_count(const struct users *u)
{
	return u->n;
}

const struct user *
users_at(const struct users *u, size_t n)
{
	return n < u->n ? &u->list[n] : NULL;
}

const struct user *
users_get(const struct users *u, struct span name)
{
	uintptr_t	n = (uintptr_t)map_get(u->index, name);

	return n == 0 ? NULL : &u->list[n - 1];
}

struct span
users_decoy(const struct users *u)
{
	const struct class	*most = NULL;

	for (size_t i = 0; i < u->nclasses; i++)
		if (most == NULL || u->classes[i].n > most->n)
			most = &u->classes[i];
	return most == NULL ? span(NULL, 0) : most->hash;
}

bool
users_all(const struct users *u, unsigned schemes)
{
	return u->schemes != 0 && (u->schemes & ~schemes) == 0;
}
