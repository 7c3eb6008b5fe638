/*
 * RCPT (RFC 5321, 4.1.1.3): may this client send to this recipient, and which
 * way does it go. All recipients of a transaction go one way; one that would go
 * another is for a transaction of its own (4.5.3.1.10).
 */
#include "common/base/log.h"
#include "common/conf/table.h"
#include "common/smtp/path.h"
#include "smtpd/cmd.h"
#include "smtpd/expand.h"
#include "smtpd/failover.h"
#include "smtpd/fan.h"
#include "smtpd/known.h"
#include "smtpd/relay.h"
#include "smtpd/route.h"
#include "smtpd/srs.h"

#define RCPT_REFUSED_MAX 1000	/* of a transaction, remembered */

static void	decide(struct cmd *, struct rcpt *);

static void
refuse(struct cmd *c, struct span to, uint16_t code, const char *text,
    const struct conf_pos *rule)
{
	struct session	*s = c->s;

	if (rule != NULL)
		log_info("session=%s id=%s event=rcpt to=<%s> reply=%s "
		    "why=\"%s:%u\"", s->id, s->txn->ids, log_quote(to),
		    log_reply(code, span_str(text)), rule->file, rule->line);
	else
		log_info("session=%s id=%s event=rcpt to=<%s> reply=%s",
		    s->id, s->txn->ids, log_quote(to),
		    log_reply(code, span_str(text)));
	session_reply(c, code, "%s", text);
}

/* The way that the action stands for. */
static const struct handoff *
way_of(const struct session *s, const struct conf_action *a)
{
	return session_proxied(s) || a->type == ACT_PROXY ? &handoff_proxy :
	    &handoff_queue;
}

/* Has the queue taken over from the action's server? */
static bool
is_fallen(const struct txn *t, const struct conf_action *a)
{
	return a->type == ACT_PROXY && a->on_failure != NULL &&
	    (t->s->fallen || t->fallen == a || failover_forced(a));
}

/* Its way is not that of those before: into the queue, if the listener says
 * that postern is to answer for it. */
static bool
beside(struct cmd *c, struct rcpt *r, const struct conf_action *action)
{
	struct txn	*t = c->s->txn;
	bool		 fan = c->s->listen->on_conflict == CONFLICT_FAN_OUT;

	if (c->s->listen->on_conflict == CONFLICT_DEFER ||
	    (fan && !fan_start(t)))
		return false;
	log_debug("session=%s id=%s event=conflict to=<%s> action=%s",
	    c->s->id, t->ids, log_quote(r->to),
	    log_quote(span_str(action->name)));
	if (action->type == ACT_PROXY && fan && !is_fallen(t, action)) {
		fan_rcpt(t, r, c, action);
		return true;
	}
	if (action->type == ACT_PROXY) {
		failover_rcpt(t, r, c, action, true);
		return true;
	}
	r->action = action;
	r->queued = true;
	if (!known_rcpt(t, r, c))
		handoff_queue.rcpt(t, r, c);
	return true;
}

static void
take(struct cmd *c, struct rcpt *r, const struct conf_action *action)
{
	struct txn		*t = c->s->txn;
	bool			 fallen = !session_proxied(c->s) &&
				    is_fallen(t, action);
	const struct handoff	*way = fallen ? &handoff_queue :
				    way_of(c->s, action);
	bool			 other;

	if (!fallen && fan_has(t, action)) {
		fan_rcpt(t, r, c, action);
		return;
	}
	other = t->way != NULL && (t->way != way ||
	    (way == &handoff_proxy && t->action != action));
	if (other && t->asked + t->taken > 0) {
		if (beside(c, r, action))
			return;
		refuse(c, r->to, 452, "4.5.3 This recipient goes another way; "
		    "send it in a transaction of its own", &action->pos);
		return;
	}
	if (other)
		t->way->abort(t);
	t->way = way;
	t->action = action;
	r->action = action;
	if (fallen)
		failover_rcpt(t, r, c, action, false);
	else if (!known_rcpt(t, r, c))
		way->rcpt(t, r, c);
}

static void
on_peer(void *arg)
{
	struct cmd	*c = arg;
	struct txn	*t = c->s->txn;

	/* Nothing was read since, so it is still the last one; but MAIL before
	 * it may have been refused meanwhile. */
	if (t == NULL)
		session_reply(c, 503, "5.5.1 MAIL first");
	else
		decide(c, &t->rcpts[t->nrcpts - 1]);
}

static void
wait_for_name(struct cmd *c, struct rcpt *r)
{
	session_hold(c);
	if (!peer_wait(&c->s->peer, on_peer, c))
		decide(c, r);
}

/* On a proxied listener the actual server decides, but for reject rules. */
static void
decide_proxied(struct cmd *c, struct rcpt *r)
{
	struct match_out	 out;

	route(c->s->txn, r->to, false, 0, &out);
	if (out.kind == MATCH_NEED_RDNS)
		wait_for_name(c, r);
	else if (out.kind == MATCH_REJECT)
		refuse(c, r->to, out.code, out.text, &out.rule->pos);
	else if (relay_denied(c->s))
		refuse(c, r->to, 550, "5.7.1 relaying denied",
		    &c->s->listen->proxy->pos);
	else
		take(c, r, c->s->listen->proxy);
}

static void
expanded(struct cmd *c, struct rcpt *r, const struct expand *x)
{
	switch (x->kind) {
	case EXPAND_NEED_RDNS:
		wait_for_name(c, r);
		break;
	case EXPAND_REFUSED:
		refuse(c, r->to, x->code, x->text, x->rule);
		break;
	case EXPAND_COPIES:
		r->copies = x->copies;
		r->ncopies = x->ncopies;
		/* FALLTHROUGH */
	case EXPAND_LIVE:
		take(c, r, x->action);
		break;
	}
}

/* The sender that a rewritten address stands for; nothing was read since. */
static void
on_sender(void *arg, enum sender_answer answer, struct span address,
    struct span why)
{
	struct cmd	*c = arg;
	struct session	*s = c->s;
	struct txn	*t = s->txn;
	struct rcpt	*r;
	struct expand	 x;

	s->question = 0;
	if (t == NULL) {
		session_reply(c, 503, "5.5.1 MAIL first");
		return;
	}
	r = &t->rcpts[t->nrcpts - 1];
	if (answer == SENDER_OK) {
		expand_as(t, r->to, address, &x);
		expanded(c, r, &x);
		return;
	}
	log_info("session=%s id=%s event=srs to=<%s> result=failed why=%s",
	    s->id, t->ids, log_quote(r->to), log_quote(why));
	if (answer == SENDER_NO)
		refuse(c, r->to, 550, "5.1.1 unknown user", NULL);
	else
		refuse(c, r->to, 451, "4.3.0 The recipient can't be looked up "
		    "now", NULL);
}

static void
decide(struct cmd *c, struct rcpt *r)
{
	struct expand	 x;

	if (c->s->listen->proxy != NULL) {
		decide_proxied(c, r);
	} else if (srs_is(r->to)) {
		session_hold(c);
		if ((c->s->question = srs_ask(r->to, on_sender, c)) == 0)
			refuse(c, r->to, 451, "4.3.0 The recipient can't be "
			    "looked up now", NULL);
	} else {
		expand(c->s->txn, r->to, &x);
		expanded(c, r, &x);
	}
}

/* Is it one that this listener takes (listen … recipients)? */
static bool
wanted(const struct session *s, struct span to)
{
	return s->listen->recipients == NULL ||
	    table_get_mail(s->listen->recipients, to,
	    session_conf()->subaddress, false, NULL);
}

static void
recipient(struct cmd *c, struct span to, const struct smtp_rcpt_params *p)
{
	struct session	*s = c->s;
	struct txn	*t = s->txn;
	struct rcpt	*r;
	unsigned	 max = session_conf()->limits.recipients;

	if (t->asked + t->taken >= max || t->ncopies >= max ||
	    t->nrcpts >= max + RCPT_REFUSED_MAX)
		refuse(c, to, 452, "4.5.3 Too many recipients", NULL);
	else if (!wanted(s, to))
		refuse(c, to, 550, "5.1.1 unknown user", &s->listen->pos);
	else if ((r = txn_rcpt(t, to, p)) == NULL)
		refuse(c, to, 452, "4.5.3 Too many recipients", NULL);
	else
		decide(c, r);
}

void
cmd_rcpt(struct cmd *c, struct span arg)
{
	struct session		*s = c->s;
	struct smtp_rcpt_params	 p;
	struct smtp_path	 path;
	const char		*why = "", *enhanced = "5.5.4";
	uint16_t		 code = 501;
	struct buf		 to;

	if (smtp_rcpt_parse(arg, s->txn->mail.utf8, &path, &p, &code, &why) !=
	    PARSE_OK) {
		enhanced = code == 553 ? "5.6.7" : code == 501 ? "5.1.3" :
		    "5.5.4";
	} else if ((p.notify != 0 || p.orcpt.len > 0) &&
	    (s->caps & CAP_DSN) == 0) {
		code = 555;
		why = "A parameter that was not offered";
	} else {
		buf_init(&to, SMTP_PATH_MAX + 64);
		if (smtp_path_write(&to, &path)) {
			recipient(c, buf_content(&to), &p);
			buf_clear(&to);
			return;
		}
		buf_clear(&to);
		enhanced = "5.1.3";
		why = "No such domain is possible";
	}
	log_info("session=%s id=%s event=rcpt arg=%s reply=\"%u %s %s\"", s->id,
	    s->txn->ids, log_quote(arg), (unsigned)code, enhanced, why);
	session_reply(c, code, "%s %s", enhanced, why);
}
