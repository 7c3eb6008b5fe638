/*
 * See route.h.
 */
#include "queued/route.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/due.h"

/* As session_local() of smtpd; what we send ourselves is local as well. */
static bool
was_local(const struct rec_msg *m)
{
	return (m->flags & MSG_BOUNCE) || m->client.family == 0 ||
	    addr_is_loopback(&m->client);
}

struct match_in
route_in(const struct rec_msg *m, struct span to, uint8_t flags)
{
	return (struct match_in){ .client = m->client, .local = was_local(m),
	    .rdns_known = true, .rdns = m->rdns, .helo = m->helo,
	    .auth_user = m->auth, .mail_from = m->from, .rcpt_to = to,
	    .tag = m->tag, .expanded = (flags & RCPT_F_EXPANDED) != 0 };
}

bool
route_queued(const struct conf_action *a, const char **why)
{
	*why = a->type == ACT_PROXY ? "the rule's action is a proxy" :
	    "the rule's action is an alias table";
	return a->type != ACT_PROXY && a->type != ACT_EXPAND;
}

const struct conf_action *
route_action(const struct match_out *out, uint32_t nth)
{
	if (nth < out->rule->nactions)
		return out->rule->actions[nth];
	return nth == 0 ? out->action : NULL;
}

bool
route_find(const struct conf *conf, const struct rec_msg *m, struct span to,
    uint8_t flags, struct match_out *out, const char **why)
{
	struct match_in	 in = route_in(m, to, flags);
	const struct conf_action *a;

	conf_match(conf, &in, out);
	if (out->kind != MATCH_ACTION) {
		*why = out->kind == MATCH_REJECT ? "a rule rejects it" :
		    "no rule";
		return false;
	}
	for (uint32_t i = 0; (a = route_action(out, i)) != NULL; i++)
		if (!route_queued(a, why))
			return false;
	return true;
}

/* ---- reroute ---- */

struct routing {
	struct walk	*w;
	const struct rec_msg *m;
	uint64_t	 id;
	uint32_t	 group, nth;	/* copies of one recipient, in order */
	struct buf	 routes;
	uint32_t	 n;
};

static bool
route_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct routing	*x = arg;
	struct walk	*w = x->w;
	const struct conf_action *a;
	struct match_out out;
	struct rec_route rt = { .n = n };
	const char	*why = NULL;

	x->nth = r->group == x->group && n > 0 ? x->nth + 1 : 0;
	x->group = r->group;
	if (r->state != RCPT_WAITING || (r->flags & RCPT_F_ARCHIVE) ||
	    !filter_rcpt(&w->filter, r))
		return true;
	if (!route_find(w->q->conf, x->m, r->to, r->flags, &out, &why)) {
		w->no_rule++;
		if (w->route_row != NULL)
			w->route_row(w, x->id, r, NULL, why);
		return true;
	}
	/* A copy beyond the rule's actions stays as it is. */
	if ((a = route_action(&out, x->nth)) == NULL ||
	    span_is(r->action, a->name)) {
		w->same++;
		return true;
	}
	/* One at work comes to its end by the old one. */
	if (due_runs(w->q, x->id, r->dest)) {
		w->skipped++;
		return true;
	}
	rt.action = span_str(a->name);
	rec_route_add(&x->routes, &rt);
	x->n++;
	if (w->route_row != NULL)
		w->route_row(w, x->id, r, a->name, NULL);
	return true;
}

bool
route_msg(struct walk *w, const struct walk_msg *p)
{
	struct routing	 x = { .w = w, .id = p->id };
	struct rec_change ch = { .what = CHANGE_ROUTE };
	struct rec	 r = { .kind = REC_CHANGE, .id = p->id }, old;
	struct rec_msg	 m;
	const char	*why;
	bool		 ok;

	if (!load_record(w->q, p->id, &old) ||
	    rec_msg_decode(old.env, old.version, &m, &why) != PARSE_OK)
		return false;
	x.m = &m;
	buf_init(&x.routes, REC_ENV_MAX);
	store_rcpts(w->q->store, p->id, route_rcpt, &x);
	ch.routes = buf_content(&x.routes);
	buf_reset(&w->env);
	ok = x.n > 0 && !x.routes.failed && rec_change_encode(&w->env, &ch);
	if (ok && !w->dry) {
		r.env = buf_content(&w->env);
		ok = queue_record(w->q, &r);
	}
	if (ok)
		w->routed += x.n;
	buf_clear(&x.routes);
	return ok;
}
