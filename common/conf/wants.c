/*
 * Which files the configuration refers to: found by words alone, before it is
 * parsed. See conf.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/conf/alias.h"
#include "common/conf/scan.h"
#include "common/conf/table_i.h"

struct wants {
	struct span	 bundle;
	void		 (*f)(enum bundle_kind, struct span, void *);
	void		*arg;
};

static void
want(struct wants *w, enum bundle_kind kind, const char *key)
{
	struct bundle_item	 item;
	struct span		 s = w->bundle;

	while (bundle_next(&s, &item))
		if (item.kind == kind && span_is(item.key, key))
			return;
	w->f(kind, span_str(key), w->arg);
}

static void
statement(struct wants *w, const struct scan *s)
{
	if (s->n >= 2 && s->token[0] == K_INCLUDE)
		want(w, BUNDLE_INCLUDE, s->text[1]);
	if (s->n >= 4 && s->token[0] == K_TABLE && (s->token[2] == K_FILE ||
	    s->token[2] == K_CDB))
		want(w, BUNDLE_TABLE, s->text[3]);
}

/* ---- files that aliases include -------------------------------------------- */

/* What a list of an alias's includes. Others' values may look alike; only what
 * is such a list in itself counts. */
static bool
want_lists(struct span key, struct span value, void *arg)
{
	struct wants	*w = arg;
	struct alias	 a;
	const char	*why;
	char		 path[ALIAS_PATH_MAX + 1];

	(void)key;
	while (alias_next(&value, &a, &why) == PARSE_OK)
		if (a.kind == ALIAS_INCLUDE &&
		    span_cstr(a.text, path, sizeof(path)))
			want(w, BUNDLE_LIST, path);
	return true;
}

static void
want_of_tables(struct wants *w, struct arena *mem)
{
	static const char	 magic[] = ":include:";
	struct bundle_item	 item;
	struct span		 s = w->bundle;
	struct conf_table	*t;

	while (bundle_next(&s, &item)) {
		if ((item.kind != BUNDLE_TABLE && item.kind != BUNDLE_LIST) ||
		    item.text.len == 0 || memmem(item.text.p, item.text.len, magic,
		    sizeof(magic) - 1) == NULL)
			continue;
		if (item.kind == BUNDLE_LIST)
			want_lists(item.key, item.text, w);
		else if ((t = table_new(mem, NULL)) != NULL) {
			if (table_cdb_open(t, item.text) == NULL ||
			    table_load(mem, t, item.text) == 0)
				table_each(t, want_lists, w);
			table_clear(t);
		}
	}
}

static void
want_in_string(const char *text, void *arg)
{
	if (strstr(text, ":include:") != NULL)
		want_lists(span(NULL, 0), span_str(text), arg);
}

void
conf_wants(struct span bundle, void (*f)(enum bundle_kind, struct span,
    void *), void *arg)
{
	struct wants	 w = { .bundle = bundle, .f = f, .arg = arg };
	struct arena	*mem = arena_new(256UL << 20);
	struct scan	*s = scan_new(bundle);

	if (mem != NULL && s != NULL) {
		s->string = want_in_string;
		s->arg = &w;
		while (scan_next(s))
			statement(&w, s);
		want_of_tables(&w, mem);
	}
	scan_free(s);
	arena_free(mem);
}
