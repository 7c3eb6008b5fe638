/*
 * From words to the tree: what the grammar's actions call, and conf_parse()
 * itself. See build.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/conf/build.h"
#include "common/conf/gram.h"

#define TREE_MAX	(512UL << 20)	/* bytes of a tree */

int	gram_parse(struct build *);

static char *
lit(const char *s)
{
	return (char *)(uintptr_t)s;
}

void
build_later(struct build *b, const struct conf_pos *pos, const char *what)
{
	lex_error(&b->lex, pos, "\"%s\" is not supported yet", what);
}

void *
build_alloc(struct build *b, size_t n)
{
	void	*p = arena_alloc(b->mem, n);

	/* The arena's bound is far above any real configuration; whoever gets
	 * there is told, and reads zeros from a static place. */
	if (p == NULL) {
		static uint8_t	 nowhere[65536];

		lex_error(&b->lex, &b->lex.pos, "the configuration is too "
		    "large");
		memset(nowhere, 0, sizeof(nowhere));
		return n <= sizeof(nowhere) ? nowhere : NULL;
	}
	return p;
}

void
build_push(struct build *b, void ***array, size_t *n, void *p)
{
	void	**a;

	/* Powers of two are where a longer array is needed. */
	if ((*n & (*n - 1)) == 0) {
		a = build_alloc(b, (*n == 0 ? 1 : *n * 2) * sizeof(*a));
		if (*n > 0)
			memcpy(a, *array, *n * sizeof(*a));
		*array = a;
	}
	(*array)[(*n)++] = p;
}

/* ---- values --------------------------------------------------------------------- */

int64_t
build_duration(struct build *b, const struct conf_pos *pos, const char *s)
{
	int64_t	 ms;

	if (s == NULL || !clock_parse_duration(s, &ms)) {
		lex_error(&b->lex, pos, "a duration is expected, as 30s, 5m, 4h "
		    "or 5d");
		return 1000;
	}
	return ms;
}

uint64_t
build_size(struct build *b, const struct conf_pos *pos, const char *s)
{
	struct span	 n = span_str(s);
	unsigned	 shift = 0;
	uint64_t	 v;

	if (n.len > 0) {
		switch (n.p[n.len - 1] | 0x20) {
		case 'k': shift = 10; break;
		case 'm': shift = 20; break;
		case 'g': shift = 30; break;
		}
		if (shift > 0)
			n.len--;
	}
	if (!span_u64(n, (1ULL << 40) >> shift, &v) || v == 0) {
		lex_error(&b->lex, pos, "a size is expected, as 512K, 50M or 1G");
		return 1 << 20;
	}
	return v << shift;
}

unsigned
build_number(struct build *b, const struct conf_pos *pos, uint64_t n,
    unsigned min, unsigned max)
{
	if (n < min || n > max) {
		lex_error(&b->lex, pos, "a number from %u to %u is expected",
		    min, max);
		return min;
	}
	return (unsigned)n;
}

struct addr
build_addr(struct build *b, const struct conf_pos *pos, const char *s,
    uint16_t port)
{
	struct addr	 a = { 0 };

	if (port == 0 ? !addr_parse(span_str(s), &a) :
	    !addr_parse_port(span_str(s), port, &a)) {
		lex_error(&b->lex, pos, "\"%s\" is no IP address", s);
		a = (struct addr){ 0 };
	}
	return a;
}

const char *
build_hostname(struct build *b, const struct conf_pos *pos, const char *s)
{
	char	 tmp[256];

	if (!utf8_domain_to_ascii(span_str(s), tmp, sizeof(tmp))) {
		lex_error(&b->lex, pos, "\"%s\" is no host name", s);
		return s;
	}
	s = arena_str(b->mem, span_str(tmp));
	return s == NULL ? "" : s;
}

/* ---- tables ---------------------------------------------------------------------- */

struct conf_table *
build_table(struct build *b, const struct conf_pos *pos, const char *name)
{
	struct conf_table	*t;

	for (size_t i = 0; i < b->conf->ntables; i++)
		if (b->conf->tables[i]->name != NULL &&
		    strcmp(b->conf->tables[i]->name, name) == 0) {
			b->conf->tables[i]->used = true;
			return b->conf->tables[i];
		}
	if ((t = table_new(b->mem, name)) == NULL)
		abort();
	t->pos = *pos;
	t->used = true;
	build_push(b, (void ***)&b->conf->tables, &b->conf->ntables, t);
	return t;
}

struct conf_table *
build_inline(struct build *b, const struct conf_pos *pos)
{
	struct conf_table	*t = table_new(b->mem, NULL);

	if (t == NULL)
		abort();
	t->pos = *pos;
	t->used = t->defined = true;
	build_push(b, (void ***)&b->conf->tables, &b->conf->ntables, t);
	return t;
}

void
build_entry(struct build *b, const struct conf_pos *pos, struct conf_table *t,
    const char *key, const char *value)
{
	if (key[0] == '\0')
		lex_error(&b->lex, pos, "an entry may not be empty");
	else if (!table_add(b->mem, t, span_str(key), span_str(value)))
		lex_error(&b->lex, pos, "this entry is too long");
}

void
build_table_begin(struct build *b, const struct conf_pos *pos,
    const char *name)
{
	struct conf_table	*t = NULL;

	for (size_t i = 0; i < b->conf->ntables; i++)
		if (b->conf->tables[i]->name != NULL &&
		    strcmp(b->conf->tables[i]->name, name) == 0)
			t = b->conf->tables[i];
	if (t == NULL) {
		t = build_table(b, pos, name);
		t->used = false;
	} else if (t->defined) {
		lex_error(&b->lex, pos, "table \"%s\" is defined twice, first "
		    "at %s:%u", name, t->pos.file, t->pos.line);
		t = build_inline(b, pos);
	}
	t->defined = true;
	t->pos = *pos;
	b->table = t;
}

void
build_table_file(struct build *b, const struct conf_pos *pos, const char *path)
{
	struct bundle_item	 item;
	struct span		 s = b->lex.bundle;
	unsigned		 bad;

	b->table->path = path;
	while (bundle_next(&s, &item)) {
		if (item.kind != BUNDLE_TABLE || !span_is(item.key, path))
			continue;
		if ((bad = table_load(b->mem, b->table, item.text)) != 0)
			lex_error(&b->lex, pos, "%s:%u: this entry is too long",
			    path, bad);
		return;
	}
	lex_error(&b->lex, pos, "cannot read the table's file \"%s\"", path);
}

/* ---- actions ---------------------------------------------------------------------- */

static struct build_action *
action_of(struct build *b, const char *name)
{
	struct build_action	*a;

	for (a = b->actions; a != NULL; a = a->next)
		if (strcmp(a->act.name, name) == 0)
			return a;
	a = build_alloc(b, sizeof(*a));
	a->act.name = lit(name);
	a->next = b->actions;
	b->actions = a;
	return a;
}

void
build_action_begin(struct build *b, const struct conf_pos *pos,
    const char *name, enum conf_action_type type)
{
	struct build_action	*a = action_of(b, name);

	if (strlen(name) > ACTION_NAME_MAX || name[0] == '\0')
		lex_error(&b->lex, pos, "an action's name has 1 to %d "
		    "characters", ACTION_NAME_MAX);
	if (a->defined) {
		lex_error(&b->lex, pos, "action \"%s\" is defined twice, first "
		    "at %s:%u", name, a->act.pos.file, a->act.pos.line);
		a = build_alloc(b, sizeof(*a));
		a->act.name = lit(name);
	} else {
		a->defined = true;
		build_push(b, (void ***)&b->conf->actions, &b->conf->nactions,
		    &a->act);
	}
	a->act.type = type;
	a->act.pos = *pos;
	b->action = a;
}

const struct conf_action *
build_action_named(struct build *b, const struct conf_pos *pos,
    const char *name)
{
	struct build_action	*a = action_of(b, name);

	if (!a->used)
		a->used_pos = *pos;
	a->used = true;
	return &a->act;
}

/* A scheme in front of a destination; *s moves behind it. */
static enum conf_scheme
dest_scheme(struct build *b, const struct conf_pos *pos, struct span *s)
{
	static const struct {
		const char	*text;
		enum conf_scheme scheme;
		bool		 later;
	} schemes[] = {
		{ "smtp://", SCHEME_SMTP, false },
		{ "smtp+notls://", SCHEME_SMTP_NOTLS, false },
		{ "smtp+tls://", SCHEME_SMTP_TLS, true },
		{ "smtps://", SCHEME_SMTPS, true },
		{ "lmtp://", SCHEME_LMTP, true }
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!span_casestarts(*s, span_str(schemes[i].text)))
			continue;
		if (schemes[i].later)
			build_later(b, pos, schemes[i].text);
		span_skip(s, strlen(schemes[i].text));
		return schemes[i].scheme;
	}
	return SCHEME_NONE;
}

/* "host", "host:port", "[IPv6]:port", "mx:domain". */
static bool
dest_parse(struct build *b, const struct conf_pos *pos, struct span s,
    struct conf_dest *d)
{
	char		 name[256];
	uint64_t	 port = 25;
	size_t		 colon;

	if (span_casestarts(s, span_str("mx:"))) {
		d->kind = DEST_MX;
		span_skip(&s, 3);
	} else if (span_casestarts(s, span_str("unix:"))) {
		build_later(b, pos, "unix: destinations");
		return true;
	} else if (addr_parse_port(s, 25, &d->addr)) {
		char	 text[ADDR_STRLEN];

		d->port = d->addr.port;
		d->host = arena_str(b->mem, span_str(addr_str(&d->addr, text)));
		return d->host != NULL;
	}
	if (d->kind == DEST_HOST && (colon = span_rfind(s, ':')) < s.len) {
		if (!span_u64(span_sub(s, colon + 1, s.len), 65535, &port) ||
		    port == 0)
			return false;
		s.len = colon;
	}
	d->port = (uint16_t)port;
	if (!utf8_domain_to_ascii(s, name, sizeof(name)))
		return false;
	d->host = arena_str(b->mem, span_str(name));
	return d->host != NULL;
}

void
build_dest(struct build *b, const struct conf_pos *pos, const char *text)
{
	struct conf_action	*a = &b->action->act;
	struct conf_dest	*d = build_alloc(b, (a->ndests + 1) *
				    sizeof(*d));
	struct span		 s = span_str(text);

	if (a->ndests > 0)
		memcpy(d, a->dests, a->ndests * sizeof(*d));
	a->dests = d;
	d += a->ndests++;
	d->scheme = dest_scheme(b, pos, &s);
	if (!dest_parse(b, pos, s, d))
		lex_error(&b->lex, pos, "\"%s\" is no destination; one is a "
		    "host, host:port, [IPv6]:port or mx:domain", text);
	if (d->host == NULL)
		d->host = lit("");
}

/* ---- listeners --------------------------------------------------------------------- */

static void
listen_new(struct build *b, const struct conf_pos *pos,
    enum conf_listen_kind kind)
{
	b->listen = build_alloc(b, sizeof(*b->listen));
	b->listen->kind = kind;
	b->listen->pos = *pos;
	b->listen->tag = lit("");
	b->port = 25;
}

void
build_listen_begin(struct build *b, const struct conf_pos *pos,
    const char *where)
{
	listen_new(b, pos, LISTEN_INET);
	b->listen_on = where;
	b->listen_pos = *pos;
}

void
build_listen_socket(struct build *b, const struct conf_pos *pos,
    const char *path)
{
	listen_new(b, pos, LISTEN_UNIX);
	b->listen->path = lit(path);
	b->submission = true;
}

void
build_listen_end(struct build *b)
{
	struct conf_listen	*l = b->listen;
	struct span		 on = span_str(b->listen_on);

	l->index = (unsigned)b->conf->nlistens;
	if (l->kind == LISTEN_INET) {
		l->addrs = build_alloc(b, 2 * sizeof(*l->addrs));
		l->naddrs = 1;
		if (span_is(on, "*")) {
			l->naddrs = 2;
			l->addrs[0].family = 6;
			l->addrs[1].family = 4;
		} else if (on.len > 1 && on.p[0] == '[') {
			if (on.p[on.len - 1] != ']' || !addr_parse(span_sub(on,
			    1, on.len - 2), &l->addrs[0]))
				lex_error(&b->lex, &b->listen_pos,
				    "\"%s\" is no IP address", b->listen_on);
		} else if (!addr_parse(on, &l->addrs[0])) {
			if (on.len > 0 && ((on.p[0] >= 'a' && on.p[0] <= 'z') ||
			    (on.p[0] >= 'A' && on.p[0] <= 'Z')))
				build_later(b, &b->listen_pos,
				    "listen on an interface");
			else
				lex_error(&b->lex, &b->listen_pos, "\"%s\" is "
				    "no IP address", b->listen_on);
		}
		for (size_t i = 0; i < l->naddrs; i++)
			l->addrs[i].port = (uint16_t)b->port;
	}
	build_push(b, (void ***)&b->conf->listens, &b->conf->nlistens, l);
}

/* ---- rules --------------------------------------------------------------------------- */

void
build_rule_begin(struct build *b, const struct conf_pos *pos)
{
	b->rule = build_alloc(b, sizeof(*b->rule));
	b->rule->pos = *pos;
	b->rule->from = FROM_LOCAL;	/* `from` left out */
	b->seen_for = b->seen_from = false;
}

void
build_rule_end(struct build *b)
{
	if (!b->seen_for)
		b->rule->fors = FOR_ANY;
	build_push(b, (void ***)&b->conf->rules, &b->conf->nrules, b->rule);
}

void
build_reject(struct build *b, const struct conf_pos *pos, const char *text)
{
	struct span	 s, code, rest;
	uint64_t	 v;

	b->rule->reject_code = 550;
	b->rule->reject_text = lit("5.7.1 refused by policy");
	if (text == NULL)
		return;
	s = span_str(text);
	rest = s;
	if (!span_word(&rest, " ", &code) || !span_u64(code, 599, &v) ||
	    v < 400 || rest.len == 0) {
		lex_error(&b->lex, pos, "a reply begins with a code from 400 "
		    "to 599, as \"550 5.7.1 go away\"");
		return;
	}
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~') {
			lex_error(&b->lex, pos, "a reply is printable ASCII");
			return;
		}
	b->rule->reject_code = (uint16_t)v;
	b->rule->reject_text = lit(text + code.len + 1);
}

/* ---- the whole ------------------------------------------------------------------------ */

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
	    .recipients = 1000, .message_size = 50 << 20, .errors = 20,
	    .received = 50, .deliveries = 200, .deliveries_per_dest = 20 };
}

/* Facts of the machine that the parent put into the bundle. */
static void
facts(struct build *b)
{
	struct bundle_item	 item;
	struct span		 s = b->lex.bundle;
	struct conf		*c = b->conf;
	uint64_t		 n;
	struct addr		 a, *list;

	while (bundle_next(&s, &item)) {
		if (item.kind == BUNDLE_HOSTNAME)
			c->hostname = arena_str(b->mem, item.text);
		else if (item.kind == BUNDLE_GENERATION &&
		    span_u64(item.text, UINT32_MAX, &n))
			c->generation = (uint32_t)n;
		else if (item.kind == BUNDLE_ADDRESS &&
		    addr_parse(item.text, &a)) {
			list = build_alloc(b, (c->nself + 1) * sizeof(a));
			if (c->nself > 0)
				memcpy(list, c->self, c->nself * sizeof(a));
			list[c->nself++] = a;
			c->self = list;
		}
	}
}

/* Without a statement of their own the machine's nameservers are used. */
static void
resolvers(struct build *b)
{
	struct bundle_item	 item;
	struct span		 s = b->lex.bundle;
	struct conf		*c = b->conf;
	struct addr		 a, *list;

	if (c->nresolvers > 0)
		return;
	while (bundle_next(&s, &item))
		if (item.kind == BUNDLE_RESOLVER &&
		    addr_parse_port(item.text, 53, &a)) {
			list = build_alloc(b, (c->nresolvers + 1) * sizeof(a));
			if (c->nresolvers > 0)
				memcpy(list, c->resolvers, c->nresolvers *
				    sizeof(a));
			list[c->nresolvers++] = a;
			c->resolvers = list;
		}
}

struct conf *
conf_parse(struct span bundle, struct buf *msgs)
{
	struct conf_full	*full = calloc(1, sizeof(*full));
	struct build		 b = { 0 };

	if (full == NULL || (full->mem = arena_new(TREE_MAX)) == NULL) {
		free(full);
		return NULL;
	}
	b.conf = &full->conf;
	b.mem = full->mem;
	lex_init(&b.lex, b.mem, bundle, msgs);
	defaults(b.conf);
	facts(&b);
	if (b.lex.depth == 0)
		lex_error(&b.lex, &b.lex.pos, "there is no configuration");
	else if (gram_parse(&b) != 0 && b.lex.errors == 0)
		lex_error(&b.lex, &b.lex.pos, "out of memory");
	resolvers(&b);
	check_all(&b);
	if (b.lex.errors > 0) {
		conf_free(b.conf);
		return NULL;
	}
	return b.conf;
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
