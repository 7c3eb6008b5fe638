/*
 * Copies of what the walk over aliases finds. See expand.h.
 */
#include "smtpd/expand.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/lookup/aliases.h"
#include "common/smtp/path.h"
#include "smtpd/route.h"

struct walk {
	struct txn	*t;
	struct expand	*x;
	struct span	 first;		/* as the client gave it */
	struct aliases	 a;
	struct copy	*copies;
	size_t		 n, cap, refused, max;
	const struct conf_action *other;	/* of a copy that was there */
};

/* ---- refusals -------------------------------------------------------------- */

static void
refused(void *arg, const struct aliases_step *p, uint16_t code,
    const char *text, const struct conf_pos *rule)
{
	struct walk		*w = arg;
	const struct txn	*t = w->t;

	if (++w->refused > w->max + EXPAND_REFUSED_MAX)
		w->a.too_many = w->a.stop = true;
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

/* ---- copies ---------------------------------------------------------------- */

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

static void
copy(struct walk *w, const struct aliases_step *p, const struct conf_action *a,
    size_t group, bool all)
{
	struct copy	*v;
	size_t		 cap;

	if (w->n >= w->max) {
		w->a.too_many = w->a.stop = true;
		return;
	}
	if (w->n == w->cap) {
		cap = w->cap == 0 ? 1 : w->cap * 4;
		if ((v = reallocarray(w->copies, cap, sizeof(*v))) == NULL) {
			w->a.memory = w->a.stop = true;
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
		w->a.memory = w->a.stop = true;
}

/* Those of a rule's actions are one recipient's. */
static void
copies(struct walk *w, const struct aliases_step *p, const struct conf_rule *r)
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

/* ---- the walk -------------------------------------------------------------- */

static void
match(void *arg, const struct aliases_step *p, struct match_out *out)
{
	const struct walk	*w = arg;

	route(w->t, p->to, p->depth > 0, p->skip, out);
}

static void
found(void *arg, const struct aliases_step *p, const struct match_out *out)
{
	struct walk	*w = arg;

	if (out->action->type != ACT_PROXY)
		copies(w, p, out->rule);
	else if (p->depth == 0 && w->n == 0) {
		w->x->kind = EXPAND_LIVE;
		w->x->action = out->action;
	} else
		refused(w, p, 550, "5.3.5 An alias leads to a server that is "
		    "only a proxy's", &out->rule->pos);
}

static const struct aliases_ops ops = { match, found, refused };

static void
result(struct walk *w)
{
	struct expand	*x = w->x;
	struct copy	*v;
	bool		 crowded = w->max < session_conf()->limits.recipients;

	if (w->a.need_rdns)
		x->kind = EXPAND_NEED_RDNS;
	if (w->a.need_rdns || x->kind == EXPAND_LIVE)
		return;
	x->kind = EXPAND_REFUSED;
	v = arena_alloc(w->t->arena, w->n * sizeof(*v) + 1);
	if (w->a.memory || v == NULL) {
		x->code = 452;
		x->text = "4.3.1 No memory for so many recipients";
	} else if (w->a.too_many) {
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
walk(struct txn *t, const struct aliases_step *p, struct span given, struct expand *x)
{
	unsigned	 limit = session_conf()->limits.recipients;
	struct walk	 w = { .t = t, .x = x, .first = given,
			    .max = t->ncopies < limit ? limit - t->ncopies : 0 };

	*x = (struct expand){ .kind = EXPAND_REFUSED };
	w.a = (struct aliases){ .conf = session_conf(), .ops = &ops, .arg = &w,
	    .max = (size_t)limit * 2 + EXPAND_REFUSED_MAX + 16 };
	aliases_walk(&w.a, p);
	result(&w);
	if (x->kind == EXPAND_COPIES && (x->ncopies == 0 ||
	    x->copies[0].expanded))
		log_info("session=%s id=%s event=expand to=<%s> nrcpts=%zu "
		    "result=ok", t->s->id, t->ids, log_quote(given),
		    x->ncopies);
	free(w.copies);
}

void
expand(struct txn *t, struct span to, struct expand *x)
{
	struct aliases_step	first = { .to = to };

	walk(t, &first, to, x);
}

void
expand_as(struct txn *t, struct span to, struct span address,
    struct expand *x)
{
	struct aliases_step	first = { .depth = 1 };
	struct buf	out;

	buf_init(&out, SMTP_PATH_MAX + 64);
	*x = (struct expand){ .kind = EXPAND_REFUSED, .code = 550,
	    .text = "5.1.3 This recipient stands for what is no address" };
	if (aliases_canonical(address, &out)) {
		first.to = buf_content(&out);
		walk(t, &first, to, x);
	}
	buf_clear(&out);
}

bool
expand_unknown(struct txn *t, struct span to, struct expand *x)
{
	struct aliases_step	reader = { .depth = 1 };

	if (session_conf()->postmaster == NULL || !aliases_is_role(to))
		return false;
	reader.to = span_str(session_conf()->postmaster);
	walk(t, &reader, to, x);
	return true;
}
