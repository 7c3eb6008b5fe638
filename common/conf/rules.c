/*
 * The rules looked at as a whole: those that can never match, those that are
 * dead, what their tables may hold, and open relays.
 */
#include <string.h>

#include "common/base/enc.h"
#include "common/base/utf8.h"
#include "common/conf/build.h"

#define COVER_RULES_MAX	1000	/* compared with each other: the time grows
				 * with the square */

/* ---- entries ------------------------------------------------------------- */

struct entries {
	struct build		*b;
	struct conf_table	*table;
	const struct conf_table	*other;
	const char		*what;
	bool			(*good)(struct span);
	bool			 all;
};

static bool
is_prefix(struct span s)
{
	struct addr_prefix	 p;

	return addr_parse_prefix(s, &p);
}

/* "example.org", ".example.org" for all below it, "[192.0.2.1]". */
static bool
is_domain(struct span s)
{
	char	 tmp[256];

	if (s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']')
		return true;
	if (s.len > 1 && s.p[0] == '.')
		span_skip(&s, 1);
	return utf8_domain_to_ascii(s, tmp, sizeof(tmp));
}

static bool
entry_check(struct span key, struct span value, void *arg)
{
	struct entries	*e = arg;

	(void)value;
	if (e->good(key))
		return true;
	lex_error(&e->b->lex, &e->table->pos, "\"%.*s\"%s%s is no %s",
	    (int)key.len, (const char *)key.p, e->table->name == NULL ? "" :
	    " in table ", e->table->name == NULL ? "" : e->table->name,
	    e->what);
	return false;
}

/* Tells the first entry that can't be; a table once. */
static void
entries_check(struct build *b, const struct conf_table *t,
    bool (*good)(struct span), const char *what)
{
	/* The tree has it constant; the parser, which made it, notes here that
	 * its entries were looked at. */
	struct entries	 e = { .b = b, .what = what, .good = good,
		.table = (struct conf_table *)(uintptr_t)t };

	if (e.table->told)
		return;
	e.table->told = true;
	table_each(t, entry_check, &e);
}

static bool
is_fingerprint(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (hex_digit(s.p[i]) == -1)
			return false;
	return s.len == 64;
}

static const char	an_address[] =
    "address or prefix (whose host bits are 0)";
static const char	a_domain[] = "domain, nor a .domain for all below it";

static void
check_entries(struct build *b, const struct conf_rule *r)
{
	if (r->from == FROM_SOURCE)
		entries_check(b, r->from_table.table, is_prefix, an_address);
	if (r->from == FROM_HOST)
		entries_check(b, r->from_table.table, is_domain, a_domain);
	if (r->fors == FOR_DOMAIN)
		entries_check(b, r->for_table.table, is_domain, a_domain);
	if (r->tls_certs != NULL)
		entries_check(b, r->tls_certs, is_fingerprint,
		    "SHA-256 of a certificate in 64 hexadecimal digits");
}

static void
limits_check(struct build *b, const struct conf_limits_for *l,
    bool (*good)(struct span), const char *what)
{
	for (size_t i = 0; i < l->n; i++)
		entries_check(b, l->v[i].table, good, what);
}

/* ---- rules that never match ---------------------------------------------- */

static bool
has_more(const struct conf_rule *r)
{
	return r->auth_user.table != NULL || r->mail_from.table != NULL ||
	    r->helo.table != NULL || r->tag.table != NULL || r->tls_set;
}

/* An action that may have no entry for the recipient: the next rule's turn. */
static bool
falls_through(const struct conf_rule *r)
{
	for (size_t i = 0; i < r->nactions; i++)
		if (r->actions[i]->type == ACT_EXPAND ||
		    r->actions[i]->by != BY_NONE)
			return true;
	return false;
}

static bool
domain_is_in(struct span key, struct span value, void *arg)
{
	struct entries	*e = arg;

	(void)value;
	return e->all = table_get_domain(e->other, key, NULL);
}

static bool
prefix_is_in(struct span key, struct span value, void *arg)
{
	struct entries		*e = arg;
	struct addr_prefix	 p;

	(void)value;
	e->all = false;
	if (!addr_parse_prefix(key, &p))
		return false;
	for (int n = p.bits; n >= 0 && !e->all; n--)
		e->all = table_has_prefix(e->other, &p.addr, (uint8_t)n);
	return e->all;
}

/* Is all of b's table in a's? */
static bool
table_covers(const struct conf_table *a, const struct conf_table *b,
    bool (*is_in)(struct span, struct span, void *))
{
	struct entries	 e = { .other = a, .all = false };

	if (a == b)
		return true;
	table_each(b, is_in, &e);
	return e.all;
}

static bool
from_covers(const struct conf_rule *a, const struct conf_rule *b)
{
	if (a->from == FROM_ANY)
		return !a->from_table.not;
	if (a->from != b->from || a->from_table.not != b->from_table.not)
		return false;
	if (a->from_table.table == b->from_table.table)
		return true;
	return !a->from_table.not && table_covers(a->from_table.table,
	    b->from_table.table, a->from == FROM_SOURCE ? prefix_is_in :
	    domain_is_in);
}

static bool
for_covers(const struct conf_rule *a, const struct conf_rule *b)
{
	if (a->fors == FOR_ANY)
		return !a->for_table.not;
	if (a->fors != b->fors || a->for_table.not != b->for_table.not)
		return false;
	if (a->for_table.table == b->for_table.table)
		return true;
	return a->fors == FOR_DOMAIN && !a->for_table.not &&
	    table_covers(a->for_table.table, b->for_table.table,
	    domain_is_in);
}

static void
check_covered(struct build *b, size_t i)
{
	const struct conf_rule	*r = b->conf->rules[i], *a;

	for (size_t k = 0; k < i && i < COVER_RULES_MAX; k++) {
		a = b->conf->rules[k];
		if (has_more(a) || falls_through(a) || !from_covers(a, r) ||
		    !for_covers(a, r))
			continue;
		lex_warning(&b->lex, &r->pos, "this rule never matches: the "
		    "one at %s:%u takes all of it", a->pos.file, a->pos.line);
		return;
	}
	if ((r->from == FROM_ANY && r->from_table.not) ||
	    (r->fors == FOR_ANY && r->for_table.not))
		lex_warning(&b->lex, &r->pos, "this rule never matches: `not "
		    "any` is nobody");
}

/* ---- open relays --------------------------------------------------------- */

/* Does the table hold this prefix, whole or in parts of up to 8 bits? */
static bool
holds(const struct conf_table *t, struct addr a, uint8_t bits)
{
	struct addr	 half = a;

	if (table_has_prefix(t, &a, bits))
		return true;
	if (bits == 8)
		return false;
	half.ip[0] |= (uint8_t)(0x80 >> bits);
	return holds(t, a, bits + 1) && holds(t, half, bits + 1);
}

static bool
source_is_all(const struct conf_rule *r)
{
	const struct conf_table	*t = r->from_table.table;
	struct addr		 v4 = { .family = 4 }, v6 = { .family = 6 };

	return r->from_table.not ? !holds(t, v4, 0) && !holds(t, v6, 0) :
	    holds(t, v4, 0) || holds(t, v6, 0);
}

static bool
from_anyone(const struct conf_rule *r)
{
	switch (r->from) {
	case FROM_ANY:
		return !r->from_table.not;
	case FROM_SOURCE:
		return source_is_all(r);
	default:
		return r->from_table.not;
	}
}

/* An open relay: what a stranger may choose himself (helo, mail-from, tls)
 * narrows nothing; a listener's tag, a user who has said his password and who
 * holds the key of a certificate do. An
 * action that only serves what stands in a table serves no stranger's domain
 * unless that table is chosen by him too. */
static void
check_open(struct build *b, const struct conf_rule *r)
{
	bool	 anywhere = (r->fors == FOR_ANY) != r->for_table.not;

	if (!from_anyone(r) || !anywhere ||
	    (r->auth_user.table != NULL && !r->auth_user.not) ||
	    (r->tag.table != NULL && !r->tag.not) ||
	    (r->tls_certs != NULL && !r->tls_not))
		return;
	for (size_t i = 0; i < r->nactions; i++) {
		const struct conf_action *a = r->actions[i];

		if (a->open || (a->type != ACT_RELAY && a->type != ACT_PROXY) ||
		    a->by == BY_RCPT_DOMAIN || a->by == BY_RCPT_TO ||
		    a->by == BY_AUTH_USER)
			continue;
		lex_error(&b->lex, &r->pos, "an open relay: anyone may send to "
		    "anywhere through action \"%s\"; if that is meant, the "
		    "action says `open`", a->name);
		return;
	}
}

/* Each copy of a message in the queue has a way of its own there. */
static void
check_list(struct build *b, const struct conf_rule *r)
{
	for (size_t i = 0; r->nactions > 1 && i < r->nactions; i++) {
		const struct conf_action *a = r->actions[i];

		if (a->type == ACT_PROXY || a->type == ACT_EXPAND)
			lex_error(&b->lex, &r->pos, "action \"%s\" can't stand "
			    "in a list: %s", a->name, a->type == ACT_PROXY ?
			    "a proxy keeps nothing" : "it says where to go "
			    "itself");
	}
}

/* Is the rule for the tag of proxied listeners alone? */
static bool
tag_is_proxied(const struct conf *c, const struct conf_rule *r)
{
	bool	 proxied = false;

	if (r->tag.table == NULL || r->tag.not)
		return false;
	for (size_t i = 0; i < c->nlistens; i++) {
		const struct conf_listen *l = c->listens[i];

		if (!table_get(r->tag.table, span_str(l->tag), NULL))
			continue;
		if (l->proxy == NULL)
			return false;
		proxied = true;
	}
	return proxied;
}

/* Nobody but the actual server decides on the recipients of a proxied listener;
 * what is expanded, or handed in here, comes by another. */
static bool
is_dead(const struct conf *c, const struct conf_rule *r, bool regular)
{
	if (r->action == NULL || r->from == FROM_EXPANDED)
		return false;
	return tag_is_proxied(c, r) || (!regular &&
	    (r->from != FROM_LOCAL || r->from_table.not));
}

/* Can recipients of this listener have different ways, one of them live? */
static bool
ways_meet(const struct conf *c, const struct conf_listen *l)
{
	const struct conf_action *live = NULL, *other = NULL;

	for (size_t i = 0; i < c->nrules; i++) {
		const struct conf_rule *r = c->rules[i];

		if (r->action == NULL || (r->tag.table != NULL &&
		    table_get(r->tag.table, span_str(l->tag), NULL) ==
		    r->tag.not))
			continue;
		if (r->action->type == ACT_PROXY && live == NULL)
			live = r->action;
		else if (r->action != live)
			other = r->action;
		if (live != NULL && other != NULL)
			return true;
	}
	return false;
}

static void
check_fan_out(struct build *b)
{
	const struct conf_listen *l;

	for (size_t i = 0; i < b->conf->nlistens; i++) {
		l = b->conf->listens[i];
		if (l->on_conflict == CONFLICT_FAN_OUT && l->proxy == NULL &&
		    !ways_meet(b->conf, l))
			lex_warning(&b->lex, &l->pos, "on-conflict fan-out: no "
			    "rules here lead different ways, one of them to a "
			    "proxy");
	}
}

void
check_rules(struct build *b, bool regular)
{
	struct conf	*c = b->conf;

	for (size_t i = 0; i < c->nrules; i++) {
		const struct conf_rule *r = c->rules[i];

		check_entries(b, r);
		check_open(b, r);
		check_list(b, r);
		if (is_dead(c, r, regular))
			lex_warning(&b->lex, &r->pos, "this rule is dead: %s "
			    "proxied, and only reject rules apply there",
			    regular ? "the listener of this tag is" :
			    "all listeners are");
		else
			check_covered(b, i);
	}
	limits_check(b, &c->limits.sessions_for, is_prefix, an_address);
	limits_check(b, &c->limits.rate_for, is_prefix, an_address);
	limits_check(b, &c->limits.auth_failures_for, is_prefix, an_address);
	limits_check(b, &c->limits.deliveries_for, is_domain, a_domain);
	check_fan_out(b);
	if (regular && c->nrules == 0)
		lex_warning(&b->lex, &b->lex.pos, "there is no match rule: "
		    "every recipient will be refused");
}
