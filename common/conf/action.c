/*
 * From words to the tree: actions, the destinations and pools that they send
 * to, and archives. See build.h.
 */
#include <string.h>

#include "common/conf/build.h"
#include "common/conf/dest.h"

#define PROBE_MIN_MS	10000		/* of a pool, by default */
#define PROBE_MS	(5 * 60000)
#define USER_MAX	255		/* bytes, as in the credentials */
#define KNOWN_CACHE_MS	(4 * 3600000LL)
#define KNOWN_GOOD_MS	(30 * 86400000LL)

static char *
lit(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* ---- actions ------------------------------------------------------------- */

static struct build_action *
action_of(struct build *b, const char *name)
{
	struct build_action	*a;

	for (a = b->actions; a != NULL; a = a->next)
		if (strcmp(a->act.name, name) == 0)
			return a;
	a = build_alloc(b, sizeof(*a));
	a->act.name = lit(name);
	/* At the arena's end all share one place, which no list may hold. */
	if ((uint8_t *)a != b->nowhere) {
		a->next = b->actions;
		b->actions = a;
	}
	return a;
}

void
build_action_begin(struct build *b, const struct conf_pos *pos,
    const char *name, enum conf_action_type type)
{
	struct build_action	*a = action_of(b, name);

	if (strlen(name) > NAME_MAX_LEN || name[0] == '\0')
		lex_error(&b->lex, pos, "an action's name has 1 to %d bytes",
		    NAME_MAX_LEN);
	memset(b->seen, 0, sizeof(b->seen));
	if (a->defined) {
		lex_error(&b->lex, pos, "action \"%s\" is defined twice, first "
		    "at %s:%u", name, a->act.pos.file, a->act.pos.line);
		a = build_alloc(b, sizeof(*a));
		a->act.name = lit("");
	} else
		build_push(b, (void ***)&b->conf->actions, &b->conf->nactions,
		    &a->act);
	b->action = a;
	a->defined = true;
	a->act.type = type;
	a->act.pos = *pos;
	a->act.known_cache_ms = KNOWN_CACHE_MS;
	a->act.known_good_ms = KNOWN_GOOD_MS;
	a->act.unknown_code = 550;
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

void
build_known(struct build *b, enum conf_known kind, struct conf_table *t)
{
	struct conf_action	 *a = &b->action->act;
	struct conf_known_source *v = build_grow(b, a->known, a->nknown,
				    sizeof(*v));

	if (v == NULL)
		return;
	v[a->nknown++] = (struct conf_known_source){ kind, t };
	a->known = v;
}

void
build_unknown(struct build *b, const struct conf_pos *pos, const char *s)
{
	if (strcmp(s, "550") == 0)
		b->action->act.unknown_code = 550;
	else if (strcmp(s, "450") == 0)
		b->action->act.unknown_code = 450;
	else
		lex_error(&b->lex, pos, "an unknown recipient gets 550 or 450");
}

/* Of the credentials: one word, as it stands there. */
char *
build_label(struct build *b, const struct conf_pos *pos, const char *s)
{
	size_t	n = strlen(s);

	if (n == 0 || n > DEST_LABEL_MAX || strpbrk(s, " \t#") != NULL)
		lex_error(&b->lex, pos, "a label is one word of at most %d "
		    "bytes", DEST_LABEL_MAX);
	return lit(s);
}

void
build_token(struct build *b, const struct conf_pos *pos, const char *label,
    const char *user, const char *path)
{
	struct conf_token	*v = build_grow(b, b->conf->tokens,
				    b->conf->ntokens, sizeof(*v));

	if (user[0] == '\0' || strlen(user) > USER_MAX)
		lex_error(&b->lex, pos, "a user has 1 to %d bytes", USER_MAX);
	for (size_t i = 0; i < b->conf->ntokens; i++)
		if (strcmp(b->conf->tokens[i].label, label) == 0)
			lex_error(&b->lex, pos, "the label \"%s\" stands "
			    "twice", label);
	if (v == NULL)
		return;
	v[b->conf->ntokens++] = (struct conf_token){ build_label(b, pos,
	    label), lit(user), lit(path) };
	b->conf->tokens = v;
}

void
build_mail_from(struct build *b, const struct conf_pos *pos, const char *s)
{
	if (s[0] != '@')
		lex_error(&b->lex, pos, "\"@DOMAIN\" or <table> is expected");
	b->action->act.mail_from = build_mail(b, pos, s, true);
}

/* ---- destinations -------------------------------------------------------- */

static void
pool_defaults(struct conf_pool *p, const struct conf_pos *pos)
{
	p->pos = *pos;
	p->probe_min_ms = PROBE_MIN_MS;
	p->probe_max_ms = PROBE_MS;
}

void
build_dests(struct build *b, const struct conf_pos *pos)
{
	b->pool = build_alloc(b, sizeof(*b->pool));
	pool_defaults(b->pool, pos);
	b->action->act.pool = b->pool;
}

void
build_dest(struct build *b, const struct conf_pos *pos, const char *text)
{
	struct conf_pool	*p = b->pool;
	struct conf_dest	*d = build_grow(b, p->dests, p->ndests,
				    sizeof(*d));
	const char		*later;
	char			 host[DEST_NAME_MAX];

	if (d == NULL)
		return;
	p->dests = d;
	d += p->ndests++;
	if (!dest_read(span_str(text), d, host, &later))
		lex_error(&b->lex, pos, "\"%s\" is no destination; one is a "
		    "host, host:port, [IPv6]:port or mx:domain", text);
	if (later != NULL)
		build_later(b, pos, later);
	d->host = build_str(b, span_str(host));
}

struct conf_dest *
build_dest_last(struct build *b)
{
	/* At the arena's end there is none. */
	return b->pool->ndests > 0 ? &b->pool->dests[b->pool->ndests - 1] :
	    build_alloc(b, sizeof(struct conf_dest));
}

static struct build_pool *
pool_of(struct build *b, const char *name)
{
	struct build_pool	*p;

	for (p = b->pools; p != NULL; p = p->next)
		if (strcmp(p->pool.name, name) == 0)
			return p;
	p = build_alloc(b, sizeof(*p));
	p->pool.name = lit(name);
	if ((uint8_t *)p != b->nowhere) {
		p->next = b->pools;
		b->pools = p;
	}
	return p;
}

void
build_pool_begin(struct build *b, const struct conf_pos *pos,
    const char *name)
{
	struct build_pool	*p = pool_of(b, name);

	if (strlen(name) > NAME_MAX_LEN || name[0] == '\0')
		lex_error(&b->lex, pos, "a pool's name has 1 to %d bytes",
		    NAME_MAX_LEN);
	memset(b->seen, 0, sizeof(b->seen));
	if (p->defined) {
		lex_error(&b->lex, pos, "pool \"%s\" is defined twice, first "
		    "at %s:%u", name, p->pool.pos.file, p->pool.pos.line);
		p = build_alloc(b, sizeof(*p));
		p->pool.name = lit("");
	} else
		build_push(b, (void ***)&b->conf->pools, &b->conf->npools,
		    &p->pool);
	p->defined = true;
	b->pool = &p->pool;
	pool_defaults(b->pool, pos);
}

void
build_to_pool(struct build *b, const struct conf_pos *pos, const char *name)
{
	struct build_pool	*p = pool_of(b, name);

	if (!p->used)
		p->used_pos = *pos;
	p->used = true;
	b->action->act.pool = &p->pool;
}

void
build_to_table(struct build *b, const struct conf_pos *pos, const char *name,
    enum conf_by by)
{
	b->action->act.to_table = build_table(b, pos, name);
	b->action->act.by = by;
}

/* ---- archives ------------------------------------------------------------ */

void
build_archive_begin(struct build *b, const struct conf_pos *pos,
    const char *action)
{
	struct conf_archive	*a = build_alloc(b, sizeof(*a));

	a->pos = *pos;
	a->action = build_action_named(b, pos, action);
	memset(b->seen, 0, sizeof(b->seen));
	build_push(b, (void ***)&b->conf->archives, &b->conf->narchives, a);
	b->archive = a;
}
