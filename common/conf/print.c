/*
 * The tree written back, defaults included, as a configuration that parses to
 * the same tree. What `postern -nv` shows, and what the tests compare.
 */
#include <inttypes.h>

#include "common/conf/table_i.h"

static void
put_escaped(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_byte(b, '\\');
		buf_byte(b, s.p[i]);
	}
}

static void
put_quoted_span(struct buf *b, struct span s)
{
	buf_byte(b, '"');
	put_escaped(b, s);
	buf_byte(b, '"');
}

static void
put_quoted(struct buf *b, const char *s)
{
	put_quoted_span(b, span_str(s));
}

/* In the largest unit that loses nothing. */
static void
put_duration(struct buf *b, int64_t ms)
{
	static const struct { int64_t ms; char letter; } units[] = {
		{ 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' }
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ms > 0 && ms % units[i].ms == 0) {
			buf_fmt(b, "%" PRId64 "%c", ms / units[i].ms,
			    units[i].letter);
			return;
		}
	buf_fmt(b, "%" PRId64 "s", ms / 1000);
}

static void
put_size(struct buf *b, uint64_t n)
{
	static const char	 letters[] = "GMK";

	for (unsigned i = 0; i < 3; i++)
		if (n % (1ULL << (30 - 10 * i)) == 0) {
			buf_fmt(b, "%" PRIu64 "%c", n >> (30 - 10 * i),
			    letters[i]);
			return;
		}
	buf_fmt(b, "%" PRIu64, n);
}

static void
put_addr(struct buf *b, const struct addr *a)
{
	char	 text[ADDR_STRLEN];

	buf_str(b, addr_str(a, text));
}

/* ---- tables -------------------------------------------------------------- */

static void
put_entries(struct buf *b, const struct conf_table *t)
{
	buf_str(b, "{");
	for (size_t i = 0; i < t->n; i++) {
		buf_str(b, i == 0 ? " " : ", ");
		put_quoted_span(b, t->entries[i].key);
		if (t->entries[i].value.len > 0) {
			buf_str(b, " = ");
			put_quoted_span(b, t->entries[i].value);
		}
	}
	buf_str(b, " }");
}

/* Where <T> stands. */
static void
put_tspec(struct buf *b, const struct conf_table *t)
{
	buf_byte(b, ' ');
	if (t->name != NULL)
		buf_fmt(b, "<%s>", t->name);
	else
		put_entries(b, t);
}

static void
print_table(struct buf *b, const struct conf_table *t)
{
	buf_str(b, "table ");
	put_quoted(b, t->name);
	if (t->path != NULL) {
		buf_str(b, t->is_cdb ? " cdb " : " file ");
		put_quoted(b, t->path);
	} else {
		buf_byte(b, ' ');
		put_entries(b, t);
	}
	buf_str(b, "\n");
}

/* ---- the whole ----------------------------------------------------------- */

static void
print_global(struct buf *b, const struct conf *c)
{
	static const char *const modes[] = { NULL, "standalone", "firewall",
	    "hybrid" };
	static const char *const levels[] = { "warn", "info", "debug" };
	char			 text[ADDR_STRLEN];

	buf_str(b, "hostname ");
	put_quoted(b, c->hostname);
	buf_str(b, "\n");
	if (modes[c->mode] != NULL)
		buf_fmt(b, "mode %s\n", modes[c->mode]);
	for (size_t i = 0; i < c->nself; i++) {
		buf_str(b, i == 0 ? "self { " : ", ");
		put_addr(b, &c->self[i]);
	}
	buf_str(b, c->nself > 0 ? " }\n" : "");
	buf_str(b, "subaddress ");
	put_quoted(b, c->subaddress);
	buf_str(b, "\n");
	for (size_t i = 0; i < c->nresolvers; i++)
		buf_fmt(b, "%s%s", i == 0 ? "resolver { " : ", ",
		    addr_str_port(&c->resolvers[i], text));
	if (c->nresolvers > 0)
		buf_fmt(b, " }%s\n", c->resolver_trust_ad ? " trust-ad" : "");
	buf_fmt(b, "log level %s\ncontrol path ", levels[c->log_level]);
	put_quoted(b, c->control_path);
	buf_str(b, "\n");
	if (c->postmaster != NULL) {
		buf_str(b, "postmaster ");
		put_quoted(b, c->postmaster);
		buf_str(b, c->double_bounces ? " double-bounces\n" : "\n");
	}
	if (c->srs_key != NULL) {
		buf_str(b, "srs key ");
		put_quoted(b, c->srs_key);
		buf_str(b, " domain ");
		put_quoted(b, c->srs_domain);
		buf_str(b, "\n");
	}
}

static void
print_queue(struct buf *b, const struct conf *c)
{
	buf_str(b, "queue path ");
	put_quoted(b, c->queue_path);
	buf_str(b, " ttl ");
	put_duration(b, c->ttl_ms);
	buf_str(b, " bounces ");
	put_duration(b, c->bounce_ttl_ms);
	buf_str(b, " warn-after ");
	put_duration(b, c->warn_after_ms);
	buf_str(b, " retry ");
	put_duration(b, c->retry_min_ms);
	buf_str(b, "..");
	put_duration(b, c->retry_max_ms);
	buf_str(b, " reserve ");
	put_size(b, c->reserve);
	if (c->keep_ms > 0) {
		buf_str(b, " keep ");
		put_duration(b, c->keep_ms);
	}
	if (c->queue_size > 0) {
		buf_str(b, " size ");
		put_size(b, c->queue_size);
	}
	buf_str(b, "\n");
}

static void
print_limit_for(struct buf *b, const char *what,
    const struct conf_limits_for *l)
{
	for (size_t i = 0; i < l->n; i++) {
		buf_fmt(b, "limit %s %u", what, l->v[i].n);
		if (l->v[i].per_ms > 0) {
			buf_str(b, " per ");
			put_duration(b, l->v[i].per_ms);
		}
		buf_str(b, " for");
		put_tspec(b, l->v[i].table);
		buf_str(b, "\n");
	}
}

static void
print_limits(struct buf *b, const struct conf_limits *l)
{
	buf_fmt(b, "limit sessions %u\n", l->sessions);
	buf_fmt(b, "limit sessions per source %u\n", l->sessions_per_source);
	print_limit_for(b, "sessions per source", &l->sessions_for);
	if (l->rate_per_source > 0) {
		buf_fmt(b, "limit rate per source %u per ", l->rate_per_source);
		put_duration(b, l->rate_per_ms);
		buf_str(b, "\n");
	}
	print_limit_for(b, "rate per source", &l->rate_for);
	buf_fmt(b, "limit auth-failures per source %u\n",
	    l->auth_failures_per_source);
	print_limit_for(b, "auth-failures per source", &l->auth_failures_for);
	buf_fmt(b, "limit recipients %u\nlimit message-size ", l->recipients);
	put_size(b, l->message_size);
	buf_fmt(b, "\nlimit errors %u\nlimit received %u\n", l->errors,
	    l->received);
	if (l->messages > 0)
		buf_fmt(b, "limit messages %u\n", l->messages);
	buf_fmt(b, "limit deliveries %u\n", l->deliveries);
	buf_fmt(b, "limit deliveries per destination %u\n",
	    l->deliveries_per_dest);
	print_limit_for(b, "deliveries per destination", &l->deliveries_for);
}

static void
print_dest(struct buf *b, const struct conf_dest *d)
{
	static const char *const schemes[] = { "", "smtp://", "smtp+notls://",
	    "smtp+tls://", "smtps://", "lmtp://" };
	char			 text[ADDR_STRLEN];

	buf_fmt(b, "\"%s", schemes[d->scheme]);
	if (d->kind == DEST_MX)
		buf_fmt(b, "mx:%s\"", d->host);
	else if (d->addr.family != 0)
		buf_fmt(b, "%s\"", addr_str_port(&d->addr, text));
	else
		buf_fmt(b, "%s:%u\"", d->host, d->port);
	if (d->weight != 0)
		buf_fmt(b, " weight %u", d->weight);
	buf_str(b, d->standby ? " standby" : "");
}

static void
print_dests(struct buf *b, const struct conf_pool *p)
{
	for (size_t i = 0; i < p->ndests; i++) {
		buf_str(b, i == 0 ? "{ " : ", ");
		print_dest(b, &p->dests[i]);
	}
	buf_str(b, " }");
}

static void
print_pool(struct buf *b, const struct conf_pool *p)
{
	buf_str(b, "pool ");
	put_quoted(b, p->name);
	buf_byte(b, ' ');
	print_dests(b, p);
	buf_str(b, " probe ");
	put_duration(b, p->probe_min_ms);
	buf_str(b, "..");
	put_duration(b, p->probe_max_ms);
	if (p->max_connections > 0)
		buf_fmt(b, " max-connections %u", p->max_connections);
	buf_str(b, "\n");
}

/* What says which recipients there are. */
static void
print_known(struct buf *b, const struct conf_action *a)
{
	for (size_t i = 0; i < a->nknown; i++) {
		buf_str(b, i == 0 ? " recipients { " : ", ");
		if (a->known[i].kind == KNOWN_SERVER) {
			buf_str(b, "server cache ");
			put_duration(b, a->known_cache_ms);
			continue;
		}
		if (a->known[i].kind == KNOWN_DIRECTORY)
			buf_str(b, "directory ");
		buf_fmt(b, "<%s>", a->known[i].table->name);
	}
	if (a->nknown > 0) {
		buf_fmt(b, " } unknown %u known-good ", a->unknown_code);
		put_duration(b, a->known_good_ms);
	}
	buf_str(b, a->backup_mx ? " backup-mx" : "");
}

static void
print_to(struct buf *b, const struct conf_action *a)
{
	static const char *const by[] = { "", "rcpt-domain", "rcpt-to",
	    "mail-from", "auth-user" };

	if (a->by != BY_NONE) {
		buf_fmt(b, " to <%s> by %s", a->to_table->name, by[a->by]);
	} else if (a->pool != NULL && a->pool->name != NULL) {
		buf_str(b, " to pool ");
		put_quoted(b, a->pool->name);
	} else if (a->pool != NULL) {
		buf_str(b, " to ");
		print_dests(b, a->pool);
	}
}

static void
print_sender(struct buf *b, const struct conf_action *a)
{
	if (a->mail_from != NULL) {
		buf_str(b, " mail-from ");
		put_quoted(b, a->mail_from);
	} else if (a->mail_from_table != NULL)
		buf_fmt(b, " mail-from <%s>", a->mail_from_table->name);
	buf_str(b, a->srs ? " srs" : "");
}

static void
print_proxied(struct buf *b, const struct conf_action *a)
{
	static const char *const identities[] = { "none", "header", "xclient",
	    "proxy-v1", "proxy-v2" };

	if (a->identity != IDENTITY_NONE)
		buf_fmt(b, " identity %s", identities[a->identity]);
	if (a->on_failure != NULL) {
		buf_str(b, " on-failure queue ");
		put_quoted(b, a->on_failure->name);
	}
	buf_str(b, a->replies_plain ? " replies plain" : "");
	if (a->idle_connections > 0)
		buf_fmt(b, " idle-connections %u", a->idle_connections);
	if (a->mirror != NULL) {
		buf_str(b, " mirror ");
		put_quoted(b, a->mirror->name);
		buf_fmt(b, "%s sample %u%%", a->mirror_what == MIRROR_CONTENT ?
		    " content" : " rcpt", a->mirror_percent);
	}
}

static void
print_action(struct buf *b, const struct conf_action *a)
{
	static const char *const types[] = { "relay", "proxy", "discard",
	    "expand aliases" };

	buf_str(b, "action ");
	put_quoted(b, a->name);
	buf_fmt(b, " %s", types[a->type]);
	if (a->aliases != NULL)
		put_tspec(b, a->aliases);
	print_to(b, a);
	print_sender(b, a);
	print_known(b, a);
	if (a->helo != NULL) {
		buf_str(b, " helo ");
		put_quoted(b, a->helo);
	}
	if (a->source.family != 0) {
		buf_str(b, " source ");
		put_addr(b, &a->source);
	}
	if (a->max_connections > 0)
		buf_fmt(b, " max-connections %u", a->max_connections);
	if (a->ttl_ms > 0) {
		buf_str(b, " ttl ");
		put_duration(b, a->ttl_ms);
	}
	print_proxied(b, a);
	buf_str(b, a->open ? " open\n" : "\n");
}

/* Who is behind it, and who may say so. */
static void
print_ways(struct buf *b, const struct conf_listen *l)
{
	if (l->proxy != NULL) {
		buf_str(b, " proxy ");
		put_quoted(b, l->proxy->name);
		buf_str(b, l->proxy_at_rcpt ? " at rcpt" : "");
	}
	if (l->announce != NULL) {
		buf_str(b, " announce");
		put_tspec(b, l->announce);
	}
	if (l->copy != NULL) {
		buf_str(b, " copy ");
		put_quoted(b, l->copy->name);
	}
	if (l->on_conflict != CONFLICT_DEFER)
		buf_fmt(b, " on-conflict %s", l->on_conflict ==
		    CONFLICT_QUEUE ? "queue" : "fan-out");
	if (l->auth)
		buf_str(b, l->auth_optional ? " auth-optional" : " auth");
	if (l->auth_via != NULL) {
		buf_str(b, " via ");
		put_quoted(b, l->auth_via->name);
	}
	if (l->proxy_protocol != NULL) {
		buf_str(b, " proxy-protocol from");
		put_tspec(b, l->proxy_protocol);
	}
	if (l->xclient != NULL) {
		buf_str(b, " xclient from");
		put_tspec(b, l->xclient);
	}
}

static void
print_listen(struct buf *b, const struct conf *c, const struct conf_listen *l)
{
	buf_str(b, "listen on ");
	if (l->kind == LISTEN_UNIX) {
		buf_str(b, "socket ");
		put_quoted(b, l->path);
	} else {
		if (l->interface != NULL)
			put_quoted(b, l->interface);
		else if (l->naddrs > 1)
			buf_str(b, "*");
		else
			put_addr(b, &l->addrs[0]);
		buf_fmt(b, " port %u", l->addrs[0].port);
	}
	print_ways(b, l);
	buf_str(b, " hostname ");
	put_quoted(b, l->hostname);
	if (l->tag[0] != '\0') {
		buf_str(b, " tag ");
		put_quoted(b, l->tag);
	}
	if (l->recipients != NULL) {
		buf_str(b, " recipients");
		put_tspec(b, l->recipients);
	}
	if (l->max_message_size != c->limits.message_size) {
		buf_str(b, " max-message-size ");
		put_size(b, l->max_message_size);
	}
	if (l->greet_delay_ms > 0) {
		buf_str(b, " greet-delay ");
		put_duration(b, l->greet_delay_ms);
	}
	buf_fmt(b, "%s%s%s%s%s", l->auth_plaintext ? " auth-plaintext" : "",
	    l->bare_normalize ? " bare-newline normalize" : "",
	    l->complete_headers ? " complete-headers" : "",
	    l->mask_source ? " mask-source" : "",
	    l->recognise_retry ? " recognise-retry" : "");
	if (l->long_lines != LONG_PASS)
		buf_fmt(b, " long-lines %s", l->long_lines == LONG_FOLD ?
		    "fold" : "reject");
	if (l->masquerade != NULL) {
		buf_str(b, " masquerade");
		put_tspec(b, l->masquerade);
	}
	buf_str(b, "\n");
}

static void
print_cond(struct buf *b, const char *name, const struct conf_cond *cond)
{
	if (cond->table == NULL)
		return;
	buf_fmt(b, " %s%s", name, cond->not ? " not" : "");
	put_tspec(b, cond->table);
}

static void
print_conditions(struct buf *b, const struct conf_rule *r)
{
	static const char *const from[] = { "local", "any", "auth", "source",
	    "host", "expanded" };
	static const char *const fors[] = { "any", "domain", "rcpt-to",
	    "local" };

	buf_fmt(b, " from %s%s", r->from_table.not ? "not " : "",
	    from[r->from]);
	if (r->from_table.table != NULL)
		put_tspec(b, r->from_table.table);
	print_cond(b, "auth-user", &r->auth_user);
	print_cond(b, "mail-from", &r->mail_from);
	print_cond(b, "helo", &r->helo);
	print_cond(b, "tag", &r->tag);
	if (r->tls_set)
		buf_fmt(b, "%s tls", r->tls_not ? " not" : "");
	buf_fmt(b, " for %s%s", r->for_table.not ? "not " : "", fors[r->fors]);
	if (r->for_table.table != NULL)
		put_tspec(b, r->for_table.table);
}

static void
print_rule(struct buf *b, const struct conf_rule *r)
{
	buf_str(b, "match");
	print_conditions(b, r);
	if (r->nactions == 1) {
		buf_str(b, " action ");
		put_quoted(b, r->action->name);
	} else if (r->nactions > 1) {
		for (size_t i = 0; i < r->nactions; i++) {
			buf_str(b, i == 0 ? " action { " : ", ");
			put_quoted(b, r->actions[i]->name);
		}
		buf_fmt(b, " } accept %s", r->accept_all ? "all" : "any");
	} else {
		buf_fmt(b, " reject \"%u ", r->reject_code);
		put_escaped(b, span_str(r->reject_text));
		buf_byte(b, '"');
	}
	buf_str(b, "\n");
}

static void
print_archive(struct buf *b, const struct conf_archive *a)
{
	buf_str(b, "archive to ");
	put_quoted(b, a->action->name);
	if (a->as != NULL) {
		buf_str(b, " as ");
		put_quoted(b, a->as);
	}
	buf_fmt(b, " format %s on-failure %s", a->journal ? "journal" :
	    "headers", a->ignore ? "ignore" : "tempfail");
	if (a->when != NULL) {
		buf_str(b, " when");
		print_conditions(b, a->when);
	}
	buf_str(b, "\n");
}

void
conf_print(const struct conf *c, struct buf *b)
{
	print_global(b, c);
	print_queue(b, c);
	print_limits(b, &c->limits);
	for (size_t i = 0; i < c->ntables; i++)
		if (c->tables[i]->name != NULL)
			print_table(b, c->tables[i]);
	for (size_t i = 0; i < c->npkis; i++) {
		buf_fmt(b, "pki \"%s\" cert ", c->pkis[i].name);
		put_quoted(b, c->pkis[i].cert);
		buf_str(b, " key ");
		put_quoted(b, c->pkis[i].key);
		buf_str(b, "\n");
	}
	if (c->credentials != NULL) {
		buf_str(b, "credentials ");
		put_quoted(b, c->credentials);
		buf_str(b, "\n");
	}
	for (size_t i = 0; i < c->npools; i++)
		print_pool(b, c->pools[i]);
	for (size_t i = 0; i < c->nactions; i++)
		print_action(b, c->actions[i]);
	for (size_t i = 0; i < c->nlistens; i++)
		print_listen(b, c, c->listens[i]);
	for (size_t i = 0; i < c->nrules; i++)
		print_rule(b, c->rules[i]);
	for (size_t i = 0; i < c->narchives; i++)
		print_archive(b, c->archives[i]);
}
