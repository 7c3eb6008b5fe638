/*
 * The tree written back, defaults included, as a configuration that parses to
 * the same tree. What `postern -nv` shows, and what the tests compare.
 */
#include "common/conf/print_i.h"
#include "common/conf/table_i.h"

static void
print_table(struct buf *b, const struct conf_table *t)
{
	buf_str(b, "table ");
	put_quoted(b, t->name);
	if (t->path != NULL) {
		buf_str(b, t->is_dovecot ? " dovecot \"unix:" : t->is_users ?
		    " passwd " : t->is_cdb ? " cdb " : " file ");
		if (t->is_dovecot) {
			put_escaped(b, span_str(t->path));
			buf_byte(b, '"');
		} else
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
	if (c->report_from != NULL) {
		buf_str(b, "report tls from ");
		put_quoted(b, c->report_from);
		if (c->report_contact != NULL) {
			buf_str(b, " contact ");
			put_quoted(b, c->report_contact);
		}
		if (c->report_organization != NULL) {
			buf_str(b, " organization ");
			put_quoted(b, c->report_organization);
		}
		buf_str(b, "\n");
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
	buf_fmt(b, "limit auth-failures per user %u\n",
	    l->auth_failures_per_user);
	print_limit_for(b, "auth-failures per user", &l->auth_users_for);
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
	if (l->tls != LISTEN_PLAIN)
		buf_str(b, l->tls == LISTEN_TLS ? " tls" :
		    l->tls == LISTEN_SMTPS ? " smtps" : " tls-require");
	if (l->tls_verify)
		buf_str(b, " verify");
	if (l->auth)
		buf_str(b, l->auth_optional ? " auth-optional" : " auth");
	if (l->auth_users != NULL)
		put_tspec(b, l->auth_users);
	if (l->auth_via != NULL) {
		buf_str(b, " via ");
		put_quoted(b, l->auth_via->name);
	}
	if (l->senders != NULL) {
		buf_str(b, " senders");
		put_tspec(b, l->senders);
		if (l->senders_strict)
			buf_str(b, " strict");
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
	for (size_t i = 0; i < l->npkis; i++) {
		buf_str(b, " pki ");
		put_quoted(b, l->pkis[i]);
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
	if (r->tls_certs != NULL)
		put_tspec(b, r->tls_certs);
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
		if (c->pkis[i].ocsp != NULL) {
			buf_str(b, " ocsp ");
			put_quoted(b, c->pkis[i].ocsp);
		}
		buf_str(b, "\n");
	}
	if (c->credentials != NULL) {
		buf_str(b, "credentials ");
		put_quoted(b, c->credentials);
		buf_str(b, "\n");
	}
	if (c->ca != NULL) {
		buf_str(b, "ca ");
		put_quoted(b, c->ca);
		buf_str(b, "\n");
	}
	if (c->tls_policy != NULL) {
		buf_str(b, "tls policy");
		put_tspec(b, c->tls_policy);
		buf_str(b, "\n");
	}
	for (size_t i = 0; i < c->ntokens; i++) {
		buf_str(b, "credentials ");
		put_quoted(b, c->tokens[i].label);
		buf_str(b, " user ");
		put_quoted(b, c->tokens[i].user);
		buf_str(b, " file ");
		put_quoted(b, c->tokens[i].path);
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
