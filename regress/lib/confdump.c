/*
 * Parses a configuration as the parent would, on a machine whose name and
 * addresses are always the same, and prints the tree: messages to standard
 * error, the configuration to standard output.
 *	confdump [-D NAME=VALUE] FILE
 */
#include <err.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf/conf.h"

#define WANTS_MAX	256

struct loader {
	struct buf	 bundle;
	const char	*dir;		/* of the main file */
	size_t		 dir_len;
	struct want {
		enum bundle_kind kind;
		char		*key;
		bool		 done;
	}		 wants[WANTS_MAX];
	size_t		 n;
};

static bool
add_file(struct loader *l, enum bundle_kind kind, const char *path,
    const char *key)
{
	struct buf	 text;
	FILE		*f = fopen(path, "rb");
	size_t		 n;
	char		*p = malloc(1 << 20);

	if (f == NULL || p == NULL) {
		if (f != NULL)
			fclose(f);
		free(p);
		return false;
	}
	buf_init(&text, 64 << 20);
	while ((n = fread(p, 1, 1 << 20, f)) > 0)
		buf_add(&text, p, n);
	fclose(f);
	/* Names without folders, so that messages are the same anywhere. */
	bundle_add(&l->bundle, kind, span_str(strrchr(path, '/') == NULL ? path :
	    strrchr(path, '/') + 1), span_str(key), buf_content(&text));
	buf_clear(&text);
	free(p);
	return true;
}

static void
add_fact(struct loader *l, enum bundle_kind kind, const char *key,
    const char *text)
{
	bundle_add(&l->bundle, kind, span(NULL, 0), span_str(key),
	    span_str(text));
}

static void
on_want(enum bundle_kind kind, struct span key, void *arg)
{
	struct loader	*l = arg;

	for (size_t i = 0; i < l->n; i++)
		if (l->wants[i].kind == kind && span_is(key, l->wants[i].key))
			return;
	if (l->n < WANTS_MAX)
		l->wants[l->n++] = (struct want){ kind, span_dup(key), false };
}

static void
fetch(struct loader *l, struct want *w)
{
	char	 path[4096];
	glob_t	 g;

	w->done = true;
	snprintf(path, sizeof(path), "%.*s%s", w->key[0] == '/' ? 0 :
	    (int)l->dir_len, l->dir, w->key);
	if (w->kind == BUNDLE_TABLE || w->kind == BUNDLE_LIST) {
		add_file(l, w->kind, path, w->key);
	} else if (glob(path, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			add_file(l, w->kind, g.gl_pathv[i], w->key);
		globfree(&g);
	}
}

static void
fetch_all(struct loader *l)
{
	size_t	 from;

	do {
		from = l->n;
		conf_wants(buf_content(&l->bundle), on_want, l);
		for (size_t i = 0; i < l->n; i++)
			if (!l->wants[i].done)
				fetch(l, &l->wants[i]);
	} while (l->n > from);
}

static void
put(struct span s, FILE *f)
{
	if (s.len > 0)
		fwrite(s.p, 1, s.len, f);
}

int
main(int argc, char **argv)
{
	static struct loader	 l;
	struct buf		 msgs, out;
	struct conf		*c;
	int			 ch;

	bundle_begin(&l.bundle);
	while ((ch = getopt(argc, argv, "D:")) != -1) {
		if (ch != 'D')
			return 64;
		add_fact(&l, BUNDLE_MACRO, "", optarg);
	}
	if (optind + 1 != argc)
		errx(64, "usage: confdump [-D NAME=VALUE] FILE");
	l.dir = argv[optind];
	l.dir_len = strrchr(l.dir, '/') == NULL ? 0 :
	    (size_t)(strrchr(l.dir, '/') + 1 - l.dir);
	add_fact(&l, BUNDLE_HOSTNAME, "", "mail.example.org");
	add_fact(&l, BUNDLE_ADDRESS, "lo", "127.0.0.1");
	add_fact(&l, BUNDLE_ADDRESS, "eth0", "192.0.2.1");
	add_fact(&l, BUNDLE_RESOLVER, "", "192.0.2.53");
	add_fact(&l, BUNDLE_GENERATION, "", "1");
	if (!add_file(&l, BUNDLE_MAIN, l.dir, l.dir))
		err(66, "%s", l.dir);
	fetch_all(&l);
	buf_init(&msgs, 1 << 20);
	buf_init(&out, 64 << 20);
	c = conf_parse(buf_content(&l.bundle), &msgs);
	put(buf_content(&msgs), stderr);
	if (c != NULL) {
		conf_print(c, &out);
		put(buf_content(&out), stdout);
	}
	conf_free(c);
	buf_clear(&out);
	buf_clear(&msgs);
	buf_clear(&l.bundle);
	for (size_t i = 0; i < l.n; i++)
		free(l.wants[i].key);
	return c == NULL;
}
