/*
 * See aliases.h.
 */
#include "common/lookup/aliases.h"

#include <string.h>

#include "common/conf/alias.h"
#include "common/smtp/path.h"

_Static_assert(ALIAS_LOCAL_MAX == SMTP_LOCAL_MAX,
    "an alias leads where RCPT does");

const char	aliases_too_far[] = "5.4.6 Aliases lead too far";

static void	visit(struct aliases *, const struct aliases_step *);

/* False: it was there. self: as the recipient that it stands for itself. */
static bool
seen(struct aliases *w, struct span to, bool self)
{
	uint8_t		 low[SMTP_PATH_MAX + 64];
	struct span	 key;
	size_t		 n = to.len < sizeof(low) - 1 ? to.len :
			    sizeof(low) - 1;

	for (size_t i = 0; i < n; i++)
		low[i] = (uint8_t)(to.p[i] >= 'A' && to.p[i] <= 'Z' ?
		    to.p[i] | 0x20 : to.p[i]);
	low[n] = self ? '*' : ' ';
	key = span(low, n + 1);
	if (map_get(w->seen, key) != NULL)
		return false;
	if (!map_set(w->seen, key, w))
		w->too_many = w->stop = true;
	return true;
}

/* Most recipients stand for nobody else: what was seen is kept from the first
 * one on that does. */
static bool
note(struct aliases *w, struct span to, bool self)
{
	if (w->seen == NULL) {
		if ((w->seen = map_new(w->max)) == NULL) {
			w->memory = w->stop = true;
			return false;
		}
		seen(w, w->first, false);
	}
	return seen(w, to, self);
}

/* ---- aliases ------------------------------------------------------------- */

static size_t
rule_number(const struct conf *c, const struct conf_rule *r)
{
	size_t	 i = 0;

	while (i < c->nrules && c->rules[i] != r)
		i++;
	return i;
}

bool
aliases_canonical(struct span address, struct buf *out)
{
	struct smtp_path	 path;
	const char		*why;

	return smtp_mailbox_parse(address, true, &path, &why) == PARSE_OK &&
	    smtp_path_write(out, &path);
}

static void
target(struct aliases *w, const struct aliases_step *p,
    const struct conf_rule *r, const struct alias *a, bool by_user)
{
	struct aliases_step	 next = { .depth = p->depth + 1 };
	char			 address[ALIAS_ADDR_MAX];
	struct buf		 out;
	bool			 self;

	buf_init(&out, SMTP_PATH_MAX + 64);
	if (!alias_address(w->conf, a, p->to, by_user, address) ||
	    !aliases_canonical(span_str(address), &out)) {
		next.to = a->text;
		w->ops->refused(w->arg, &next, 550, "5.1.3 An alias leads to "
		    "what is no address", &r->pos);
		buf_clear(&out);
		return;
	}
	next.to = buf_content(&out);
	self = span_caseeq(next.to, p->to);
	if (self) {
		/* He himself, as he stands: what the rules behind say. */
		next.depth = p->depth;
		next.skip = rule_number(w->conf, r) + 1;
	}
	if (next.depth > ALIASES_DEPTH)
		w->ops->refused(w->arg, &next, 550, aliases_too_far, &r->pos);
	else if (note(w, next.to, self))
		visit(w, &next);
	buf_clear(&out);
}

static void
list(struct aliases *w, const struct aliases_step *p,
    const struct conf_rule *r, struct span value, bool by_user,
    unsigned depth)
{
	struct alias	 a;
	struct span	 text;
	const char	*why;

	while (!w->stop && alias_next(&value, &a, &why) == PARSE_OK) {
		if (a.kind != ALIAS_INCLUDE)
			target(w, p, r, &a, by_user);
		else if (depth < ALIAS_DEPTH &&
		    alias_file(w->conf, a.text, &text))
			list(w, p, r, text, by_user, depth + 1);
	}
}

static void
alias(struct aliases *w, const struct aliases_step *p,
    const struct conf_rule *r)
{
	struct span	 value;
	bool		 by_user;

	/* The rule matched, so there is one. */
	if (alias_entry(w->conf, r->action, p->to,
	    conf_is_local(w->conf, p->to), &value, &by_user))
		list(w, p, r, value, by_user, 0);
}

/* ---- postmaster ---------------------------------------------------------- */

static bool
has_domain(struct span to)
{
	return span_rfind(to, '@') < to.len;
}

bool
aliases_is_role(struct span to)
{
	struct span	 local = span_sub(to, 0, span_rfind(to, '@'));

	return span_caseis(local, "postmaster") ||
	    (has_domain(to) && span_caseis(local, "abuse"));
}

static void
postmaster(struct aliases *w, const struct aliases_step *p)
{
	struct aliases_step	 next = { .to = span_str(w->conf->postmaster),
				    .depth = p->depth + 1 };

	if (note(w, next.to, false))
		visit(w, &next);
	else if (!w->memory)
		w->ops->refused(w->arg, p, 550, "5.1.1 unknown user", NULL);
}

/* Refused as unknown: by a rule that says so, or as no rule has him. */
static bool
is_unknown(const struct match_out *out)
{
	return (out->kind == MATCH_NONE || out->kind == MATCH_REJECT) &&
	    strncmp(out->text, "5.1.1", 5) == 0;
}

/* ---- the walk ------------------------------------------------------------ */

static void
visit(struct aliases *w, const struct aliases_step *p)
{
	struct match_out	 out;
	bool			 role = w->conf->postmaster != NULL &&
				    aliases_is_role(p->to);

	if (w->stop)
		return;
	if (role && !has_domain(p->to)) {
		postmaster(w, p);
		return;
	}
	w->ops->match(w->arg, p, &out);
	if (role && is_unknown(&out)) {
		postmaster(w, p);
		return;
	}
	switch (out.kind) {
	case MATCH_NEED_RDNS:
		w->need_rdns = w->stop = true;
		break;
	case MATCH_REJECT:
	case MATCH_NONE:
		w->ops->refused(w->arg, p, out.code, out.text,
		    out.kind == MATCH_REJECT ? &out.rule->pos : NULL);
		break;
	case MATCH_ACTION:
		if (out.action->type == ACT_EXPAND)
			alias(w, p, out.rule);
		else
			w->ops->found(w->arg, p, &out);
		break;
	}
}

void
aliases_walk(struct aliases *w, const struct aliases_step *first)
{
	w->stop = w->too_many = w->need_rdns = w->memory = false;
	w->first = first->to;
	w->seen = NULL;
	visit(w, first);
	map_free(w->seen);
	w->seen = NULL;
}
