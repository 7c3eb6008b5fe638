/*
 * The walk over aliases. See expand.h.
 */
#include "smtpd/expand.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/alias.h"
#include "common/smtp/path.h"
#include "smtpd/route.h"

struct walk {
	struct txn	*t;
	struct expand	*x;
	struct span	 first;		/* as the client gave it */
	struct map	*seen;		/* addresses, in lower case */
	struct copy	*copies;
	size_t		 n, cap, refused, max;
	const struct conf_action *other;	/* of a copy that was there */
	bool		 need_rdns, over, memory;
};
/* A recipient on the walk. */
struct step {
	struct span	 to;
	unsigned	 depth;
	size_t		 skip;		/* rules passed over */
};

static void	visit(struct walk *, const struct step *);

/* ---- refusals -------------------------------------------------------------- */

static void
refused(struct walk *w, const struct step *p, uint16_t code, const char *text,
    const struct conf_pos *rule)
{
	const struct txn	*t = w->t;

	w->refused++;
	/* One that may be better later is what the client shall hear. */
	if (w->x->code == 0 || (w->x->code / 100 == 5 && code / 100 == 4)) {
		w->x->code = code;
		w->x->text = text;
		w->x->rule = rule;
	}
	if (p->depth > 0 || p->skip > 0)
		log_info("session=%s id=%s event=expand to=<%s> orig=<%s> "
		    "result=refused reply=%s", t->s->id, t->ids,
		    log_quote(p->to), log_quote(w->first),
		    log_reply(code, span_str(text)));
}

/* ---- addresses that were there --------------------------------------------- */

/* False: it was there. self: as the recipient that it stands for itself. */
static bool
note(struct walk *w, struct span to, bool self)
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
		w->over = true;
	return true;
}

/* Does a recipient of this transaction have such a copy already? */
static bool
there(const struct txn *t, struct span to, const struct conf_action *a)
{
	for (size_t i = 0; i < t->nrcpts; i++) {
		const struct rcpt	*r = &t->rcpts[i];

		for (size_t k = 0; r->state == RCPT_TAKEN && k < r->ncopies;
		    k++)
			if (r->copies[k].action == a &&
			    span_eq(r->copies[k].to, to))
				return true;
	}
	return false;
}

/* ---- copies ---------------------------------------------------------------- */

static void
copy(struct walk *w, const struct step *p, const struct conf_action *a,
    size_t group, bool all)
{
	struct copy	*v;
	size_t		 cap;

	if (w->n >= w->max) {
		w->over = true;
		return;
	}
	if (w->n == w->cap) {
		cap = w->cap == 0 ? 1 : w->cap * 4;
		if ((v = reallocarray(w->copies, cap, sizeof(*v))) == NULL) {
			w->memory = true;
			return;
		}
		w->copies = v;
		w->cap = cap;
	}
	v = &w->copies[w->n++];
	*v = (struct copy){ .to = arena_span(w->t->arena, p->to), .action = a,
	    .group = (unsigned)group, .expanded = p->depth > 0,
	    .all = all };
	if (v->to.len != p->to.len)
		w->memory = true;
}

/* Those of a rule's actions are one recipient's. */
static void
copies(struct walk *w, const struct step *p, const struct conf_rule *r)
{
	size_t	group = w->n;

	/* Of two lists that name him he gets one. */
	if (p->depth > 0 && there(w->t, p->to, r->action)) {
		w->other = r->action;
		return;
	}
	for (size_t i = 0; i < r->nactions; i++)
		copy(w, p, r->actions[i], group, r->accept_all);
}

/* ---- aliases --------------------------------------------------------------- */

static size_t
rule_number(const struct conf_rule *r)
{
	const struct conf	*c = session_conf();
	size_t			 i = 0;

	while (i < c->nrules && c->rules[i] != r)
		i++;
	return i;
}

/* An address as the session's own are written; false: it can be none. */
static bool
canonical(struct span address, struct buf *out)
{
	struct smtp_path	 path;
	const char		*why;

	return smtp_mailbox_parse(address, true, &path, &why) ==
	    PARSE_OK && smtp_path_write(out, &path);
}

static void
target(struct walk *w, const struct step *p, const struct conf_rule *r,
    const struct alias *a, bool by_user)
{
	struct step	 next = { .depth = p->depth + 1 };
	char		 address[ALIAS_ADDR_MAX];
	struct buf	 out;
	bool		 self;

	buf_init(&out, SMTP_PATH_MAX + 64);
	if (!alias_address(session_conf(), a, p->to, by_user, address) ||
	    !canonical(span_str(address), &out)) {
		next.to = a->text;
		refused(w, &next, 550, "5.1.3 An alias leads to what is no "
		    "address", &r->pos);
		buf_clear(&out);
		return;
	}
	next.to = buf_content(&out);
	self = span_caseeq(next.to, p->to);
	if (self) {
		/* He himself, as he stands: what the rules behind say. */
		next.depth = p->depth;
		next.skip = rule_number(r) + 1;
	}
	if (next.depth > EXPAND_DEPTH)
		refused(w, &next, 550, "5.4.6 Aliases lead too far", &r->pos);
	else if (note(w, next.to, self))
		visit(w, &next);
	buf_clear(&out);
}

static void
list(struct walk *w, const struct step *p, const struct conf_rule *r,
    struct span value, bool by_user, unsigned depth)
{
	struct alias	 a;
	struct span	 text;
	const char	*why;

	while (!w->over && !w->memory && !w->need_rdns &&
	    alias_next(&value, &a, &why) == PARSE_OK) {
		if (a.kind != ALIAS_INCLUDE)
			target(w, p, r, &a, by_user);
		else if (depth < ALIAS_DEPTH &&
		    alias_file(session_conf(), a.text, &text))
			list(w, p, r, text, by_user, depth + 1);
	}
}

static void
alias(struct walk *w, const struct step *p, const struct conf_rule *r)
{
	const struct conf	*c = session_conf();
	struct span		 value;
	bool			 by_user;

	/* The rule matched, so there is one. */
	if (alias_entry(c, r->action, p->to, conf_is_local(c, p->to), &value,
	    &by_user))
		list(w, p, r, value, by_user, 0);
}

/* ---- postmaster ------------------------------------------------------------ */

static bool
is_role(struct span to, bool *domain)
{
	size_t		 at = span_rfind(to, '@');
	struct span	 local = span_sub(to, 0, at);

	*domain = at < to.len;
	return span_caseis(local, "postmaster") ||
	    (*domain && span_caseis(local, "abuse"));
}

static void
postmaster(struct walk *w, const struct step *p)
{
	struct step	 next = { .to = span_str(session_conf()->postmaster),
			    .depth = p->depth + 1 };

	if (note(w, next.to, false))
		visit(w, &next);
	else
		refused(w, p, 550, "5.1.1 unknown user", NULL);
}

/* Refused as unknown: by a rule that says so, or as no rule has him. */
static bool
is_unknown(const struct match_out *out)
{
	return (out->kind == MATCH_NONE || out->kind == MATCH_REJECT) &&
	    strncmp(out->text, "5.1.1", 5) == 0;
}

/* ---- the walk -------------------------------------------------------------- */

static void
visit(struct walk *w, const struct step *p)
{
	const char		*reader = session_conf()->postmaster;
	struct match_out	 out;
	bool			 domain, role = is_role(p->to, &domain);

	if (w->refused > w->max + EXPAND_REFUSED_MAX)
		w->over = true;
	if (w->over)
		return;
	if (reader != NULL && role && !domain) {
		postmaster(w, p);
		return;
	}
	route(w->t, p->to, p->depth > 0, p->skip, &out);
	if (reader != NULL && role && is_unknown(&out)) {
		postmaster(w, p);
		return;
	}
	switch (out.kind) {
	case MATCH_NEED_RDNS:
		w->need_rdns = true;
		break;
	case MATCH_REJECT:
		refused(w, p, out.code, out.text, &out.rule->pos);
		break;
	case MATCH_NONE:
		refused(w, p, out.code, out.text, NULL);
		break;
	case MATCH_ACTION:
		if (out.action->type == ACT_EXPAND)
			alias(w, p, out.rule);
		else if (out.action->type != ACT_PROXY)
			copies(w, p, out.rule);
		else if (p->depth == 0 && w->n == 0) {
			w->x->kind = EXPAND_LIVE;
			w->x->action = out.action;
		} else
			refused(w, p, 550, "5.3.5 An alias leads to a server "
			    "that is only a proxy's", &out.rule->pos);
		break;
	}
}

static void
result(struct walk *w)
{
	struct expand	*x = w->x;
	struct copy	*v;
	bool		 crowded = w->max < session_conf()->limits.recipients;

	if (w->need_rdns)
		x->kind = EXPAND_NEED_RDNS;
	if (w->need_rdns || x->kind == EXPAND_LIVE)
		return;
	x->kind = EXPAND_REFUSED;
	v = arena_alloc(w->t->arena, w->n * sizeof(*v) + 1);
	if (w->memory || v == NULL) {
		x->code = 452;
		x->text = "4.3.1 No memory for so many recipients";
	} else if (w->over) {
		/* By himself he may fit. */
		x->code = crowded ? 452 : 550;
		x->text = crowded ? "4.5.3 Too many recipients" : "5.2.4 This "
		    "recipient stands for too many others";
	} else if (x->code / 100 != 4 && (w->n > 0 || w->other != NULL)) {
		if (w->n > 0)
			memcpy(v, w->copies, w->n * sizeof(*v));
		x->kind = EXPAND_COPIES;
		x->copies = v;
		x->ncopies = w->n;
		x->action = w->n > 0 ? v[0].action : w->other;
		x->code = 0;
	} else if (x->code == 0) {
		x->code = 550;
		x->text = "5.4.6 This alias leads to nobody";
	}
}

static void
walk(struct txn *t, const struct step *p, struct span given, struct expand *x)
{
	unsigned	 limit = session_conf()->limits.recipients;
	struct walk	 w = { .t = t, .x = x, .first = given,
			    .max = t->ncopies < limit ? limit - t->ncopies : 0 };

	*x = (struct expand){ .kind = EXPAND_REFUSED };
	if ((w.seen = map_new((size_t)limit * 2 + EXPAND_REFUSED_MAX + 16)) ==
	    NULL)
		w.memory = true;
	else {
		note(&w, p->to, false);
		visit(&w, p);
	}
	result(&w);
	if (x->kind == EXPAND_COPIES && (x->ncopies == 0 ||
	    x->copies[0].expanded))
		log_info("session=%s id=%s event=expand to=<%s> nrcpts=%zu "
		    "result=ok", t->s->id, t->ids, log_quote(given),
		    x->ncopies);
	free(w.copies);
	map_free(w.seen);
}

void
expand(struct txn *t, struct span to, struct expand *x)
{
	struct step	first = { .to = to };

	walk(t, &first, to, x);
}

void
expand_as(struct txn *t, struct span to, struct span address,
    struct expand *x)
{
	struct step	first = { .depth = 1 };
	struct buf	out;

	buf_init(&out, SMTP_PATH_MAX + 64);
	*x = (struct expand){ .kind = EXPAND_REFUSED, .code = 550,
	    .text = "5.1.3 This recipient stands for what is no address" };
	if (canonical(address, &out)) {
		first.to = buf_content(&out);
		walk(t, &first, to, x);
	}
	buf_clear(&out);
}

bool
expand_unknown(struct txn *t, struct span to, struct expand *x)
{
	struct step	reader = { .depth = 1 };
	bool		domain;

	if (session_conf()->postmaster == NULL || !is_role(to, &domain))
		return false;
	reader.to = span_str(session_conf()->postmaster);
	walk(t, &reader, to, x);
	return true;
}
