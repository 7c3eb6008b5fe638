/*
 * The tree: its defaults, what the machine adds to them, parsing as a whole,
 * and the end of it. See conf.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"
#include "common/conf/build.h"

int	gram_parse(struct build *);

static char *
lit(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void
defaults(struct conf *c)
{
	c->hostname = lit("localhost");
	c->subaddress = lit("+");
	c->queue_path = lit("/var/spool/postern");
	c->control_path = lit("/run/postern");
	c->ttl_ms = 5 * 86400000LL;
	c->bounce_ttl_ms = 86400000;
	c->warn_after_ms = 4 * 3600000;
	c->retry_min_ms = 60000;
	c->retry_max_ms = 2 * 3600000;
	c->reserve = 512 << 20;
	c->log_level = 1;
	c->limits = (struct conf_limits){ .sessions = 4000,
	    .sessions_per_source = 50, .auth_failures_per_source = 20,
	    .auth_failures_per_user = 50,
	    .recipients = 1000, .message_size = 50 << 20, .errors = 20,
	    .received = 50, .deliveries = 200, .deliveries_per_dest = 20 };
}

static const char *
text_of(struct build *b, struct span s)
{
	return build_str(b, span_sub(s, 0, LEX_WORD_MAX));
}

/* Facts of the machine that the parent put into the bundle. */
static void
facts(struct build *b)
{
	struct bundle_item	 item;
	struct span		 s = b->lex.bundle;
	struct addr		 a;
	char			 name[256];
	uint64_t		 n;

	while (bundle_next(&s, &item)) {
		if (item.kind == BUNDLE_HOSTNAME && utf8_domain_to_ascii(
		    item.text, name, sizeof(name)))
			b->conf->hostname = build_str(b, span_str(name));
		else if (item.kind == BUNDLE_GENERATION &&
		    span_u64(item.text, UINT32_MAX, &n))
			b->conf->generation = (uint32_t)n;
		else if (item.kind == BUNDLE_ADDRESS &&
		    addr_parse(item.text, &a))
			build_self(b, &b->lex.pos, text_of(b, item.text));
	}
}

/* Without a statement of their own the machine's nameservers are used. */
static void
resolvers(struct build *b)
{
	struct bundle_item	 item;
	struct span		 s = b->lex.bundle;
	struct addr		 a;

	if (b->conf->nresolvers > 0)
		return;
	while (bundle_next(&s, &item))
		if (item.kind == BUNDLE_RESOLVER &&
		    addr_parse_port(item.text, 53, &a))
			build_resolver(b, &b->lex.pos, text_of(b, item.text));
}

struct conf *
conf_parse(struct span bundle, struct buf *msgs)
{
	struct conf_full	*full = calloc(1, sizeof(*full));
	struct build		*b = calloc(1, sizeof(*b));
	struct conf		*conf = NULL;

	if (full == NULL || b == NULL ||
	    (full->mem = arena_new(TREE_MAX)) == NULL ||
	    (b->spare = table_new(full->mem, NULL)) == NULL) {
		buf_str(msgs, "out of memory\n");
		goto out;
	}
	b->conf = &full->conf;
	b->mem = full->mem;
	lex_init(&b->lex, b->mem, bundle, msgs);
	defaults(b->conf);
	facts(b);
	if (b->lex.depth == 0)
		lex_error(&b->lex, &b->lex.pos, "there is no configuration");
	else if (gram_parse(b) != 0 && b->lex.errors == 0)
		lex_error(&b->lex, &b->lex.pos, "out of memory");
	resolvers(b);
	if (!b->full)
		check_all(b);
	if (b->lex.errors == 0) {
		conf = &full->conf;
		full = NULL;
	}
out:
	if (b != NULL && b->spare != NULL)
		table_clear(b->spare);
	free(b);
	conf_free((struct conf *)full);
	return conf;
}

struct conf *
conf_accept(struct span bundle, const char **why)
{
	struct buf	 msgs;
	struct conf	*c;

	buf_init(&msgs, 64 << 10);
	if ((c = conf_parse(bundle, &msgs)) == NULL)
		*why = "the configuration does not parse";
	buf_clear(&msgs);
	return c;
}

void
conf_free(struct conf *c)
{
	struct conf_full	*full = (struct conf_full *)c;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->ntables; i++)
		table_clear(c->tables[i]);
	arena_free(full->mem);
	free(full);
}

const struct conf_action *
conf_action_find(const struct conf *c, struct span name)
{
	for (size_t i = 0; i < c->nactions; i++)
		if (span_is(name, c->actions[i]->name))
			return c->actions[i];
	return NULL;
}

bool
conf_mirrors(const struct conf *c)
{
	for (size_t i = 0; i < c->nactions; i++)
		if (c->actions[i]->mirror != NULL)
			return true;
	return false;
}
