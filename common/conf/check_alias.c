/*
 * Are the entries of `expand aliases` tables lists of what can be sent to? All
 * of them are looked at here, so that no message meets one that is not.
 */
#include <stdio.h>

#include "common/conf/alias.h"
#include "common/conf/build.h"

struct look {
	struct build		*b;
	const struct conf_table	*table;
	struct conf_pos		 pos;	/* the table's statement */
	struct span		 key;
	unsigned		 depth;
	bool			 good;
};

/* The text of a table's file, and its real name. False: it stands in place. */
static bool
table_text(const struct build *b, const struct conf_table *t,
    struct bundle_item *item)
{
	struct span	 s = b->lex.bundle;

	while (t->path != NULL && !t->is_cdb && bundle_next(&s, item))
		if (item->kind == BUNDLE_TABLE && span_is(item->key, t->path))
			return true;
	return false;
}

/* The line that an entry of a file stands in. */
static unsigned
line_of_key(struct span text, struct span key)
{
	struct span	 line, word;
	unsigned	 n = 0;

	while (span_word(&text, "\n", &line)) {
		n++;
		line = span_trim(line);
		if (!span_word(&line, " \t", &word))
			continue;
		if (span_eq(word, key) || (word.len == key.len + 1 &&
		    word.p[key.len] == ':' && span_starts(word, key)))
			return n;
	}
	return 1;
}

static unsigned
line_at(struct span text, size_t offset)
{
	unsigned	 n = 1;

	for (size_t i = 0; i < offset && i < text.len; i++)
		n += text.p[i] == '\n';
	return n;
}

static struct conf_pos
pos_at(struct build *b, struct span file, unsigned line)
{
	return (struct conf_pos){ build_str(b, file), line, 1 };
}

static void
complain(struct look *l, const struct conf_pos *pos, struct span what,
    const char *why)
{
	struct bundle_item	 item;
	struct conf_pos		 at = *pos;

	l->good = false;
	/* Only now: to find its line is worth while for one that is bad. */
	if (l->depth == 0 && table_text(l->b, l->table, &item))
		at = pos_at(l->b, item.name, line_of_key(item.text, l->key));
	what = span_sub(what, 0, 200);
	lex_error(&l->b->lex, &at, "the alias \"%.*s\": %s%.*s%s%s",
	    (int)l->key.len, (const char *)l->key.p, what.len > 0 ? "\"" : "",
	    (int)what.len, what.len > 0 ? (const char *)what.p : "",
	    what.len > 0 ? "\" is " : "", why);
}

static void	look_at(struct look *, const struct conf_pos *, struct span,
    struct span file);

static void
look_into(struct look *l, const struct conf_pos *pos, struct span path)
{
	struct bundle_item	 item;
	struct span		 s = l->b->lex.bundle;

	while (bundle_next(&s, &item)) {
		if (item.kind != BUNDLE_LIST || !span_eq(item.key, path))
			continue;
		if (++l->depth > ALIAS_DEPTH)
			complain(l, pos, path, "included too deep, or by "
			    "itself");
		else
			look_at(l, pos, item.text, item.name);
		l->depth--;
		return;
	}
	complain(l, pos, path, "a file that can't be read");
}

/* A list; in a file each line has its own place. */
static void
look_at(struct look *l, const struct conf_pos *pos, struct span list,
    struct span file)
{
	struct span	 in = list, from;
	struct alias	 a;
	struct conf_pos	 here = *pos;
	const char	*why;
	enum parse	 got;

	for (;;) {
		from = in;
		if ((got = alias_next(&in, &a, &why)) == PARSE_MORE)
			return;
		if (file.len > 0 && (got == PARSE_BAD ||
		    a.kind == ALIAS_INCLUDE))
			here = pos_at(l->b, file, line_at(list, a.text.len > 0 ?
			    (size_t)(a.text.p - list.p) :
			    (size_t)(from.p - list.p)));
		if (got == PARSE_BAD)
			complain(l, &here, a.text, why);
		else if (a.kind == ALIAS_INCLUDE)
			look_into(l, &here, a.text);
		if (!l->good)
			return;
	}
}

static bool
look_at_entry(struct span key, struct span value, void *arg)
{
	struct look		*l = arg;
	struct span		 in = value;
	struct alias		 a;
	const char		*why;

	l->key = key;
	l->good = true;
	l->depth = 0;
	if (alias_next(&in, &a, &why) == PARSE_MORE)
		complain(l, &l->pos, span(NULL, 0), "it stands for nobody");
	else
		look_at(l, &l->pos, value, span(NULL, 0));
	return l->b->lex.errors < 20;
}

/* Borrowed from the bundle, which outlives the tree. */
static void
lists(struct build *b)
{
	struct bundle_item	 item;
	struct span		 s = b->lex.bundle;
	struct conf_list	*v;

	while (bundle_next(&s, &item)) {
		if (item.kind != BUNDLE_LIST || (v = build_grow(b,
		    b->conf->lists, b->conf->nlists, sizeof(*v))) == NULL)
			continue;
		v[b->conf->nlists++] = (struct conf_list){ item.key,
		    item.text };
		b->conf->lists = v;
	}
}

void
check_aliases(struct build *b)
{
	struct look	 l = { .b = b };

	lists(b);
	for (size_t i = 0; i < b->conf->nactions; i++) {
		const struct conf_action *a = b->conf->actions[i];

		if (a->type != ACT_EXPAND || a->aliases == NULL)
			continue;
		l.table = a->aliases;
		l.pos = a->aliases->pos.file != NULL ? a->aliases->pos : a->pos;
		table_each(a->aliases, look_at_entry, &l);
	}
}
