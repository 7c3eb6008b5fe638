/*
 * What a grammar can't check: names without a meaning, what a mode forbids,
 * listeners that cannot be; and defaults that depend on the whole.
 */
#include <stdio.h>
#include <string.h>

#include "common/conf/build.h"
#include "common/conf/dest.h"

static void
check_tables(struct build *b)
{
	for (size_t i = 0; i < b->conf->ntables; i++) {
		struct conf_table *t = b->conf->tables[i];

		if (!t->defined)
			lex_error(&b->lex, &t->pos, "table \"%s\" is not "
			    "defined", table_name(t));
		else if (t->judges && !t->is_users)
			lex_error(&b->lex, &t->pos, "table \"%s\" has no "
			    "passwords for auth: table … passwd \"PATH\", "
			    "table … dovecot \"unix:PATH\"",
			    table_name(t));
		else if (t->is_users && t->used)
			lex_error(&b->lex, &t->pos, "table \"%s\" has users "
			    "with passwords; it can stand behind auth alone",
			    table_name(t));
		else if (!t->used && !t->judges)
			lex_warning(&b->lex, &t->pos, "table \"%s\" is not "
			    "used", table_name(t));
	}
}

/* ---- actions ------------------------------------------------------------- */

/* Does this destination lead to a listener of this very gateway? */
static const struct conf_listen *
own_listener(const struct conf *c, const struct conf_dest *d)
{
	bool	 ours = addr_is_loopback(&d->addr);

	if (d->kind != DEST_HOST || d->addr.family == 0)
		return NULL;
	for (size_t i = 0; i < c->nself; i++)
		ours = ours || addr_eq(&c->self[i], &d->addr);
	for (size_t i = 0; i < c->nlistens; i++)
		for (size_t k = 0; k < c->listens[i]->naddrs; k++) {
			const struct addr *a = &c->listens[i]->addrs[k];

			if (a->port == d->port && a->family == d->addr.family &&
			    (addr_eq(a, &d->addr) ||
			    (ours && c->listens[i]->interface == NULL &&
			    c->listens[i]->naddrs > 1)))
				return c->listens[i];
		}
	return NULL;
}

static void
check_loops(struct build *b, const struct conf_pos *pos,
    const struct conf_dest *d, size_t n)
{
	const struct conf_listen	*l;

	for (size_t i = 0; i < n; i++)
		if ((l = own_listener(b->conf, &d[i])) != NULL)
			lex_error(&b->lex, pos, "a loop: %s port %u is the "
			    "listener at %s:%u", d[i].host, d[i].port,
			    l->pos.file, l->pos.line);
}

static void
check_dests(struct build *b, const struct conf_action *a)
{
	if (a->type == ACT_PROXY && a->ndests == 0)
		lex_error(&b->lex, &a->pos, "a proxy action needs `to`: its "
		    "actual server");
	for (size_t i = 0; i < a->ndests; i++) {
		if (a->dests[i].kind == DEST_MX && a->type == ACT_PROXY)
			lex_error(&b->lex, &a->pos, "a proxy's actual server "
			    "is a host, not mx:");
	}
	check_loops(b, &a->pos, a->dests, a->ndests);
}

static void
check_mode(struct build *b, const struct conf_action *a)
{
	if (b->conf->mode == MODE_FIREWALL && a->type == ACT_MAILBOX)
		lex_error(&b->lex, &a->pos, "mode firewall keeps no mailboxes");
	if (b->conf->mode == MODE_STANDALONE && a->type == ACT_PROXY)
		lex_error(&b->lex, &a->pos, "mode standalone has no server "
		    "behind it to be a proxy for");
}

/* Servers that can be tried at all, and values that are destinations. */
static void
check_pool(struct build *b, const struct conf_pool *p)
{
	for (size_t i = 0; i < p->ndests; i++)
		if (!p->dests[i].standby)
			return;
	lex_error(&b->lex, &p->pos, "every destination is a standby; one at "
	    "least is not");
}

static bool
value_is_dests(struct span key, struct span value, void *arg)
{
	struct build		*b = arg;
	const char		*why;
	struct conf_pool	*p = dest_list(value, &why);

	if (p != NULL && value.len < CONF_TARGET_MAX) {
		check_loops(b, &b->action->act.pos, p->dests, p->ndests);
		check_schemes(b, &b->action->act, p);
		dest_list_free(p);
		return true;
	}
	lex_error(&b->lex, &b->action->act.pos, "the destination of \"%.*s\" "
	    "in table %s: %s", (int)key.len, (const char *)key.p,
	    table_name(b->action->act.to_table), p != NULL ?
	    "at most 255 bytes" : why);
	dest_list_free(p);
	return false;
}

/* What a queued message needs is of no use where none is queued, and the other
 * way. */
static void
check_relay_only(struct build *b, const struct conf_action *a)
{
	const char	*what = a->nknown > 0 ? "recipients" : a->backup_mx ?
			    "backup-mx" : a->mail_from != NULL ||
			    a->mail_from_table != NULL ? "mail-from" :
			    a->srs ? "srs" : a->by != BY_NONE ?
			    "to <table>" : a->ttl_ms > 0 ? "ttl" : NULL;

	if (a->type == ACT_PROXY && what != NULL)
		lex_error(&b->lex, &a->pos, "`%s` is for actions that use the "
		    "queue", what);
	if (a->type != ACT_PROXY && a->identity != IDENTITY_NONE)
		lex_error(&b->lex, &a->pos, "`identity` is for proxy actions");
	if (a->type != ACT_PROXY && a->idle_connections > 0)
		lex_error(&b->lex, &a->pos, "`idle-connections` is for proxy "
		    "actions");
	if (a->srs && b->conf->srs_key == NULL)
		lex_error(&b->lex, &a->pos, "srs needs its key: srs key "
		    "\"PATH\"");
	if (a->mail_from != NULL && a->srs)
		lex_error(&b->lex, &a->pos, "the reverse-path is rewritten by "
		    "mail-from or by srs, not by both");
}

static bool
same_dest(const struct conf_dest *a, const struct conf_dest *c)
{
	if (a->kind != DEST_HOST || c->kind != DEST_HOST || a->port != c->port)
		return false;
	return a->addr.family != 0 && c->addr.family != 0 ?
	    addr_eq(&a->addr, &c->addr) :
	    span_caseeq(span_str(a->host), span_str(c->host));
}

/* The mirror is another server, and one at the end of it: once all actions
 * have their servers. */
static void
check_mirror(struct build *b, const struct conf_action *a)
{
	const struct conf_action	*m = a->mirror;

	if (m == NULL || !((const struct build_action *)m)->defined)
		return;
	if (a->type != ACT_PROXY)
		lex_error(&b->lex, &a->pos, "`mirror` is for actions of type "
		    "proxy");
	if (m == a || m->mirror != NULL)
		lex_error(&b->lex, &a->pos, "the mirror \"%s\" is itself "
		    "mirrored", m->name);
	else if (m->type != ACT_PROXY)
		lex_error(&b->lex, &a->pos, "the mirror \"%s\" is not of type "
		    "proxy", m->name);
	if (m == a)
		return;
	for (size_t i = 0; i < a->ndests; i++)
		for (size_t k = 0; k < m->ndests; k++)
			if (same_dest(&a->dests[i], &m->dests[k]))
				lex_error(&b->lex, &a->pos, "the mirror \"%s\" "
				    "goes to the same server: %s port %u",
				    m->name, m->dests[k].host,
				    m->dests[k].port);
}

static void
check_on_failure(struct build *b, const struct conf_action *a)
{
	const struct conf_action *to = a->on_failure;

	if (to == NULL)
		return;
	if (a->type != ACT_PROXY)
		lex_error(&b->lex, &a->pos, "on-failure is for proxy actions");
	else if (to->pos.file != NULL && to->type != ACT_RELAY)
		lex_error(&b->lex, &a->pos, "on-failure queue: action \"%s\" "
		    "is no relay", to->name);
	else if (to->pos.file != NULL && to->nknown > 0)
		lex_warning(&b->lex, &a->pos, "on-failure queue: recipients "
		    "are those that the actual server took before; "
		    "`recipients` of action \"%s\" is not asked", to->name);
}

static void
check_actions(struct build *b)
{
	for (struct build_pool *p = b->pools; p != NULL; p = p->next) {
		if (!p->defined)
			lex_error(&b->lex, &p->used_pos, "pool \"%s\" is not "
			    "defined", p->pool.name);
		else if (!p->used)
			lex_warning(&b->lex, &p->pool.pos, "pool \"%s\" is not "
			    "used", p->pool.name);
		if (p->defined)
			check_pool(b, &p->pool);
	}
	for (struct build_action *a = b->actions; a != NULL; a = a->next)
		if (!a->defined)
			lex_error(&b->lex, &a->used_pos, "action \"%s\" is not "
			    "defined", a->act.name);
	for (size_t i = 0; i < b->conf->nactions; i++) {
		struct conf_action *a = b->conf->actions[i];

		b->action = (struct build_action *)a;
		if (!b->action->used)
			lex_warning(&b->lex, &a->pos, "action \"%s\" is not "
			    "used", a->name);
		if (a->pool != NULL) {
			a->dests = a->pool->dests;
			a->ndests = a->pool->ndests;
			if (a->pool->name == NULL)
				check_pool(b, a->pool);
		}
		if (a->by != BY_NONE)
			table_each(a->to_table, value_is_dests, b);
		check_relay_only(b, a);
		check_on_failure(b, a);
		check_dests(b, a);
		check_schemes(b, a, a->pool);
		check_mode(b, a);
	}
	for (size_t i = 0; i < b->conf->nactions; i++)
		check_mirror(b, b->conf->actions[i]);
}

/* ---- listeners ----------------------------------------------------------- */

/* The submission socket: there without being asked for, beside the control
 * directory, which strangers cannot enter. */
static void
default_socket(struct build *b)
{
	static const char	 tail[] = "-submission";
	struct conf		*c = b->conf;
	struct conf_pos		 none = { "built-in", 1, 1 };
	char			 path[CONTROL_PATH_MAX + sizeof(tail)];

	snprintf(path, sizeof(path), "%s%s", c->control_path, tail);
	if (!b->submission) {
		build_listen_socket(b, &none, NULL);
		build_listen_end(b);
	}
	for (size_t i = 0; i < c->nlistens; i++)
		if (c->listens[i]->kind == LISTEN_UNIX &&
		    c->listens[i]->path == NULL)
			c->listens[i]->path = build_str(b, span_str(path));
}

static bool
same_socket(const struct conf_listen *a, const struct conf_listen *c)
{
	for (size_t i = 0; i < a->naddrs; i++)
		for (size_t k = 0; k < c->naddrs; k++)
			if (addr_eq(&a->addrs[i], &c->addrs[k]) &&
			    a->addrs[i].port == c->addrs[k].port)
				return true;
	return a->kind == LISTEN_UNIX && c->kind == LISTEN_UNIX &&
	    strcmp(a->path, c->path) == 0;
}

/* An action whose messages wait in the queue for their delivery. */
static bool
is_queued(const struct conf_action *a)
{
	return a->type == ACT_RELAY || a->type == ACT_MAILBOX ||
	    a->type == ACT_LMTP;
}

/* The queue beside a live way. */
static void
check_beside(struct build *b, const struct conf_listen *l)
{
	if (l->copy != NULL && l->proxy == NULL)
		lex_error(&b->lex, &l->pos, "copy is for a listener with "
		    "proxy; elsewhere a rule has several actions");
	else if (l->copy != NULL && l->copy->pos.file != NULL &&
	    !is_queued(l->copy))
		lex_error(&b->lex, &l->pos, "copy: action \"%s\" does not "
		    "deliver from the queue", l->copy->name);
	if (l->proxy == NULL)
		return;
	if (l->on_conflict == CONFLICT_FAN_OUT)
		lex_error(&b->lex, &l->pos, "on-conflict fan-out is for a "
		    "listener without proxy");
	else if (l->on_conflict != CONFLICT_DEFER)
		lex_warning(&b->lex, &l->pos, "on-conflict: all recipients of "
		    "a proxied listener go one way");
	if (l->proxy_at_rcpt && l->auth_plaintext)
		lex_error(&b->lex, &l->pos, "who is at rcpt can't log in at "
		    "the actual server");
}

/* Who may say who the client is; for the time of check_trusted(). */
struct trusted {
	struct build		*b;
	const struct conf_listen *l;
	const char		*what;
};

static bool
trusted_is_addr(struct span key, struct span value, void *arg)
{
	const struct trusted	*t = arg;
	struct addr_prefix	 p;

	(void)value;
	if (!addr_parse_prefix(key, &p))
		lex_error(&t->b->lex, &t->l->pos, "%s from: \"%.*s\" is no "
		    "address", t->what, (int)key.len, (const char *)key.p);
	else if (p.bits == 0)
		lex_warning(&t->b->lex, &t->l->pos, "%s from: anybody may say "
		    "who it is", t->what);
	return true;
}

static void
check_trusted(struct build *b, const struct conf_listen *l, const char *what,
    const struct conf_table *table)
{
	struct trusted	t = { b, l, what };

	if (table == NULL)
		return;
	if (l->kind == LISTEN_UNIX)
		lex_error(&b->lex, &l->pos, "%s is not for the submission "
		    "socket", what);
	table_each(table, trusted_is_addr, &t);
}

static void
check_listen_tls(struct build *b, const struct conf_listen *l)
{
	if (l->tls == LISTEN_PLAIN)
		return;
	if (l->kind == LISTEN_UNIX)
		lex_error(&b->lex, &l->pos, "tls is not for the submission "
		    "socket");
	else if (l->npkis == 0 && l->tls == LISTEN_TLS)
		lex_warning(&b->lex, &l->pos, "tls without `pki NAME`: there "
		    "is no certificate, so it is not offered");
	else if (l->npkis == 0)
		lex_error(&b->lex, &l->pos, "%s needs `pki NAME`: nobody gets "
		    "in without a certificate", l->tls == LISTEN_SMTPS ?
		    "smtps" : "tls-require");
	if (l->tls_verify && b->conf->ca == NULL)
		lex_error(&b->lex, &l->pos, "tls-require verify needs `ca "
		    "\"PATH\"`: whose certificates are enough");
}

static void
check_listen(struct build *b, struct conf_listen *l)
{
	const struct conf	*c = b->conf;

	if (l->hostname == NULL)
		l->hostname = c->hostname;
	if (l->max_message_size == 0 ||
	    l->max_message_size > c->limits.message_size)
		l->max_message_size = c->limits.message_size;
	/* An undefined action has been told already. */
	if (l->proxy != NULL && l->proxy->type != ACT_PROXY &&
	    l->proxy->pos.file != NULL)
		lex_error(&b->lex, &l->pos, "action \"%s\" is no proxy action",
		    l->proxy->name);
	if (l->masquerade != NULL)
		check_senders(b, &l->pos, l->masquerade);
	check_trusted(b, l, "proxy-protocol", l->proxy_protocol);
	check_trusted(b, l, "xclient", l->xclient);
	if (strlen(l->tag) > NAME_MAX_LEN)
		lex_error(&b->lex, &l->pos, "a tag has at most %d bytes",
		    NAME_MAX_LEN);
	check_listen_tls(b, l);
	check_auth(b, l);
	check_beside(b, l);
}

static void
check_listens(struct build *b)
{
	struct conf	*c = b->conf;

	if (c->nlistens == 0 && b->lex.errors == 0)
		lex_error(&b->lex, &b->lex.pos, "nothing listens: a `listen "
		    "on` statement is needed");
	default_socket(b);
	for (size_t i = 0; i < c->nlistens; i++) {
		check_listen(b, c->listens[i]);
		for (size_t k = 0; k < i; k++)
			if (same_socket(c->listens[k], c->listens[i]))
				lex_error(&b->lex, &c->listens[i]->pos, "the "
				    "same address and port as at %s:%u",
				    c->listens[k]->pos.file,
				    c->listens[k]->pos.line);
	}
}

static void
check_archives(struct build *b)
{
	for (size_t i = 0; i < b->conf->narchives; i++) {
		const struct conf_archive *a = b->conf->archives[i];

		if (a->action->pos.file != NULL &&
		    (a->action->type == ACT_PROXY ||
		    a->action->type == ACT_EXPAND))
			lex_error(&b->lex, &a->pos, "action \"%s\" keeps "
			    "nothing: no archive", a->action->name);
	}
}

/* Is there a listener on an address whose recipients the rules decide? */
static bool
has_regular(const struct conf *c)
{
	for (size_t i = 0; i < c->nlistens; i++)
		if (c->listens[i]->kind == LISTEN_INET &&
		    c->listens[i]->proxy == NULL)
			return true;
	return false;
}

/* Does this rule serve some users of a domain, and refuse others? */
static bool
knows_users(const struct conf_rule *r)
{
	if (r->action == NULL || r->from != FROM_ANY || r->from_table.not ||
	    r->for_table.table == NULL || r->for_table.not)
		return false;
	for (size_t i = 0; i < r->nactions; i++)
		if (r->actions[i]->nknown > 0)
			return true;
	return r->fors == FOR_RCPT;
}

/* RFC 5321, 4.5.1; RFC 2142: each domain has a postmaster, and a reader. */
static void
check_postmaster(struct build *b)
{
	const struct conf	*c = b->conf;

	for (size_t i = 0; c->postmaster == NULL && has_regular(c) &&
	    b->lex.errors == 0 && i < c->nrules; i++)
		if (knows_users(c->rules[i])) {
			lex_warning(&b->lex, &c->rules[i]->pos, "nobody may be "
			    "there to read postmaster's and abuse's mail of "
			    "this domain; see `postmaster`");
			return;
		}
}

void
check_all(struct build *b)
{
	struct conf	*c = b->conf;

	check_tables(b);
	check_listens(b);
	check_pki(b);
	check_actions(b);
	check_logins(b);
	check_aliases(b);
	check_archives(b);
	check_policy(b);
	check_rules(b, has_regular(c));
	check_postmaster(b);
	if (c->srs_domain == NULL)
		c->srs_domain = c->hostname;
	if (c->warn_after_ms >= c->ttl_ms)
		lex_warning(&b->lex, &b->lex.pos, "queue warn-after is not "
		    "shorter than ttl: no warning will be sent");
}
