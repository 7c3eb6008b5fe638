/*
 * Which files the configuration refers to: found by words alone, before it is
 * parsed. See conf.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/conf/alias.h"
#include "common/conf/lex.h"
#include "common/conf/gram.h"
#include "common/conf/table_i.h"

/* One statement at a time: its first four words are all that counts. */
struct scan {
	int		 token[4];
	const char	*text[4];
	size_t		 n;
};

struct wants {
	struct lex	 lex;
	struct conf_pos	 pos;
	void		 (*f)(enum bundle_kind, struct span, void *);
	void		*arg;
};

static void
want(struct wants *w, enum bundle_kind kind, const char *key)
{
	struct bundle_item	 item;
	struct span		 s = w->lex.bundle;

	while (bundle_next(&s, &item))
		if (item.kind == kind && span_is(item.key, key))
			return;
	w->f(kind, span_str(key), w->arg);
}

static void
scan_end(struct wants *w, const struct scan *s)
{
	if (s->n >= 3 && s->token[1] == '=' && s->token[0] == STRING)
		lex_macro_set(&w->lex, &w->pos, s->text[0], s->text[2]);
	if (s->n >= 2 && s->token[0] == K_INCLUDE) {
		want(w, BUNDLE_INCLUDE, s->text[1]);
		lex_include(&w->lex, &w->pos, s->text[1]);
	}
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
	struct span		 s = w->lex.bundle;
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

void
conf_wants(struct span bundle, void (*f)(enum bundle_kind, struct span,
    void *), void *arg)
{
	struct arena	*mem = arena_new(256UL << 20);
	struct wants	*w = calloc(1, sizeof(*w));
	struct scan	 s = { .n = 0 };
	struct buf	 ignored;
	const char	*text;
	int		 token;

	buf_init(&ignored, 65536);
	if (mem == NULL || w == NULL)
		goto out;
	w->f = f;
	w->arg = arg;
	lex_init(&w->lex, mem, bundle, &ignored);
	while ((token = lex_next(&w->lex, &text, &w->pos)) != 0) {
		if (w->lex.braces > 0 && w->lex.first &&
		    lex_is_statement(token)) {
			/* A brace was left open; the parser will tell. */
			lex_skip(&w->lex);
			token = '\n';
		}
		if (token == '\n') {
			scan_end(w, &s);
			s.n = 0;
			continue;
		}
		if (token == STRING && strstr(text, ":include:") != NULL)
			want_lists(span(NULL, 0), span_str(text), w);
		if (s.n < 4) {
			s.token[s.n] = token;
			s.text[s.n++] = text;
		}
	}
	want_of_tables(w, mem);
out:
	buf_clear(&ignored);
	arena_free(mem);
	free(w);
}
