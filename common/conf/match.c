/*
 * The decision for one recipient. See match.h.
 */
#include "common/conf/match.h"
#include "common/conf/table.h"

static struct span
domain_of(struct span mail)
{
	size_t	 at = span_rfind(mail, '@');

	return span_sub(mail, at + 1, mail.len);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]": is it an address of ours? */
static bool
is_our_literal(const struct conf *c, struct span domain)
{
	struct addr	 a;

	if (domain.len < 3 || domain.p[0] != '[')
		return false;
	domain = span_sub(domain, 1, domain.len - 2);
	if (span_casestarts(domain, span_str("IPv6:")))
		span_skip(&domain, 5);
	if (!addr_parse(domain, &a))
		return false;
	for (size_t i = 0; i < c->nself; i++)
		if (addr_eq(&c->self[i], &a))
			return true;
	return false;
}

/* What `for local` means: this host by name or address, and <postmaster>. */
bool
conf_is_local(const struct conf *c, struct span rcpt)
{
	struct span	 d = domain_of(rcpt);

	return d.len == 0 || span_find(rcpt, '@') == rcpt.len ||
	    span_caseis(d, c->hostname) || span_caseis(d, "localhost") ||
	    is_our_literal(c, d);
}

static bool
cond(const struct conf_cond *c, bool hit)
{
	return c->table == NULL || hit != c->not;
}

/* *need is set where the answer hangs on a reverse name that is not known. */
static bool
from_matches(const struct conf_rule *r, const struct match_in *in, bool *need)
{
	bool	 hit = false;

	switch (r->from) {
	case FROM_ANY:
		hit = true;
		break;
	case FROM_LOCAL:
		hit = in->local;
		break;
	case FROM_AUTH:
		hit = in->auth || in->auth_user.len > 0;
		break;
	case FROM_EXPANDED:
		hit = in->expanded;
		break;
	case FROM_SOURCE:
		hit = table_get_addr(r->from_table.table, &in->client, NULL);
		break;
	case FROM_HOST:
		if (!in->rdns_known) {
			*need = true;
			return false;
		}
		hit = in->rdns.len > 0 &&
		    table_get_domain(r->from_table.table, in->rdns, NULL);
		break;
	}
	return hit != r->from_table.not;
}

static bool
for_matches(const struct conf *c, const struct conf_rule *r,
    const struct match_in *in)
{
	bool	 hit = false;

	switch (r->fors) {
	case FOR_ANY:
		hit = true;
		break;
	case FOR_LOCAL:
		hit = conf_is_local(c, in->rcpt_to);
		break;
	case FOR_DOMAIN:
		hit = table_get_domain(r->for_table.table,
		    domain_of(in->rcpt_to), NULL);
		break;
	case FOR_RCPT:
		hit = table_get_mail(r->for_table.table, in->rcpt_to,
		    c->subaddress, conf_is_local(c, in->rcpt_to), NULL);
		break;
	}
	return hit != r->for_table.not;
}

/* The sender <> has no address; in tables it stands as "<>". */
static bool
sender_is_in(const struct conf *c, const struct conf_table *t,
    struct span from)
{
	if (from.len == 0)
		return table_get(t, span_str("<>"), NULL);
	return table_get_mail(t, from, c->subaddress, false, NULL);
}

static bool
tls_holds(const struct conf_rule *r, const struct match_in *in)
{
	return in->tls && (r->tls_certs == NULL || (in->cert.len > 0 &&
	    table_get(r->tls_certs, in->cert, NULL)));
}

/* In the order that is told: cheap and telling ones first; a reverse name,
 * which may have to be asked for, last. */
static enum match_miss
rule_miss(const struct conf *c, const struct conf_rule *r,
    const struct match_in *in, bool *need)
{
	if (!cond(&r->tag, r->tag.table != NULL &&
	    table_get(r->tag.table, in->tag, NULL)))
		return MISS_TAG;
	if (r->tls_set && tls_holds(r, in) == r->tls_not)
		return MISS_TLS;
	if (!for_matches(c, r, in))
		return MISS_FOR;
	if (!cond(&r->auth_user, r->auth_user.table != NULL &&
	    table_get_mail(r->auth_user.table, in->auth_user, "", true, NULL)))
		return MISS_AUTH_USER;
	if (!cond(&r->mail_from, r->mail_from.table != NULL &&
	    sender_is_in(c, r->mail_from.table, in->mail_from)))
		return MISS_MAIL_FROM;
	if (!cond(&r->helo, r->helo.table != NULL &&
	    table_get_domain(r->helo.table, in->helo, NULL)))
		return MISS_HELO;
	if (!from_matches(r, in, need))
		return MISS_FROM;
	return MISS_NOTHING;
}

/* Has each action of the rule an entry in the table that it goes by? */
static bool
entries_there(const struct conf *c, const struct conf_rule *r,
    const struct match_in *in, struct span *aliases)
{
	char	 target[CONF_TARGET_MAX];

	for (size_t i = 0; i < r->nactions; i++) {
		const struct conf_action *a = r->actions[i];

		if (a->type == ACT_EXPAND && !table_get_mail(a->aliases,
		    in->rcpt_to, c->subaddress, conf_is_local(c, in->rcpt_to),
		    aliases))
			return false;
		if (a->by != BY_NONE && !conf_target(c, a, in->rcpt_to,
		    in->mail_from, in->auth_user, target))
			return false;
	}
	return true;
}

/* Is the recipient's domain one that some rule serves by name, for this
 * client? For others it is no business of theirs. */
static bool
domain_served(const struct conf *c, const struct match_in *in)
{
	struct span	 d = domain_of(in->rcpt_to);
	bool		 need = false;

	for (size_t i = 0; i < c->nrules; i++) {
		const struct conf_rule *r = c->rules[i];

		if (r->action == NULL || r->for_table.not ||
		    r->for_table.table == NULL ||
		    !(r->fors == FOR_DOMAIN ?
		    table_get_domain(r->for_table.table, d, NULL) :
		    table_has_domain(r->for_table.table, d)))
			continue;
		if (from_matches(r, in, &need) || need)
			return true;
	}
	return false;
}

void
conf_match(const struct conf *c, const struct match_in *in,
    struct match_out *out)
{
	bool	 need = false;

	out->nlooked = 0;
	out->rule = NULL;
	out->action = NULL;
	out->aliases = span(NULL, 0);
	for (size_t i = in->skip; i < c->nrules; i++) {
		const struct conf_rule	*r = c->rules[i];
		enum match_miss		 miss = rule_miss(c, r, in, &need);

		if (miss == MISS_NOTHING && !need &&
		    !entries_there(c, r, in, &out->aliases))
			miss = MISS_TABLE;
		if (need) {
			out->kind = MATCH_NEED_RDNS;
			out->code = 0;
			out->text = "";
			return;
		}
		if (out->nlooked < MATCH_LOOKED_MAX) {
			out->looked[out->nlooked].rule = r;
			out->looked[out->nlooked].miss = miss;
		}
		out->nlooked++;
		if (miss != MISS_NOTHING)
			continue;
		out->rule = r;
		out->action = r->action;
		out->kind = r->action != NULL ? MATCH_ACTION : MATCH_REJECT;
		out->code = r->action != NULL ? 250 : r->reject_code;
		out->text = r->action != NULL ? "" : r->reject_text;
		return;
	}
	out->kind = MATCH_NONE;
	out->code = 550;
	out->text = domain_served(c, in) ? "5.1.1 unknown user" :
	    "5.7.1 relaying denied";
}

bool
conf_holds(const struct conf *c, const struct conf_rule *r,
    const struct match_in *in, bool *need)
{
	*need = false;
	return rule_miss(c, r, in, need) == MISS_NOTHING;
}
