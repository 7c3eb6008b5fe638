/*
 * Pools and actions written back: see print_i.h.
 */
#include "common/base/enc.h"
#include "common/conf/print_i.h"
#include "common/conf/table_i.h"

static void
print_auth(struct buf *b, const char *label, bool plaintext)
{
	if (label == NULL)
		return;
	buf_str(b, " auth ");
	put_quoted(b, label);
	buf_str(b, plaintext ? " auth-plaintext" : "");
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
	print_auth(b, d->auth, d->auth_plaintext);
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
print_tls(struct buf *b, const struct conf_tls *t)
{
	if (t->mode == TLS_UNSET)
		return;
	buf_fmt(b, " tls %s", conf_tls_mode_name(t->mode));
	if (t->name != NULL) {
		buf_str(b, " name ");
		put_quoted(b, t->name);
	}
	if (t->ca != NULL) {
		buf_str(b, " ca ");
		put_quoted(b, t->ca);
	}
	for (unsigned i = 0; i < t->npins; i++) {
		buf_str(b, " pin \"");
		enc_hex(b, span(t->pins[i], CONF_PIN_LEN));
		buf_byte(b, '"');
	}
}

void
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
	print_tls(b, &p->tls);
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

void
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
	print_auth(b, a->auth, a->auth_plaintext);
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
	print_tls(b, &a->tls);
	print_proxied(b, a);
	buf_str(b, a->open ? " open\n" : "\n");
}
