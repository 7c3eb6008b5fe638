/*
 * The order in which a message of several ways is committed (fan.h): durable in
 * queued, the dot to one server, its 2xx, the dots to the others, all settled.
 */
#include <stdio.h>

#include "common/base/log.h"
#include "common/ipc/codec.h"
#include "common/smtp/plain.h"
#include "common/smtp/reply.h"
#include "smtpd/fan_i.h"
#include "smtpd/proxy.h"
#include "smtpd/window.h"

#define REPLY_MAX	1000	/* bytes kept of one for its recipients */

/* How often each action's server has refused content: the one that does so most
 * often is the first to have the dot. */
#define REFUSERS	64
static struct { const struct conf_action *action; unsigned n; }
    refusers[REFUSERS];

static unsigned *
refusals(const struct conf_action *a)
{
	static unsigned	 none;

	for (size_t i = 0; i < REFUSERS; i++) {
		if (refusers[i].action == NULL)
			refusers[i].action = a;
		if (refusers[i].action == a)
			return &refusers[i].n;
	}
	return &none;
}

void
fan_forget(void)
{
	memset(refusers, 0, sizeof(refusers));
}

/* ---- ways ---------------------------------------------- */

/* All are settled? It is ours to answer for. */
static void
settled(struct txn *t)
{
	for (unsigned i = 0; i < t->fan->n; i++)
		if (t->fan->ways[i].wanted &&
		    t->fan->ways[i].state != FAN_OVER)
			return;
	prepare_finish(t->fan->prep);
}

static void
settle(struct txn *t, struct fan_way *w, enum q_settled what, uint16_t code,
    struct span text, const char *server)
{
	struct buf	 flat;

	w->state = FAN_OVER;
	buf_init(&flat, 900);
	if (code != 0)
		smtp_reply_flat(&flat, code, text);
	prepare_settle(t->fan->prep, (uint8_t)(w - t->fan->ways + 1), what,
	    buf_content(&flat), span_str(server != NULL ? server : ""));
	buf_clear(&flat);
}

/* Nobody can refuse it any more: the dot to all the others. */
static void
others(struct txn *t)
{
	struct fan	*f = t->fan;

	f->taken = true;
	if (f->queue)
		prepare_settle(f->prep, 0, SETTLED_QUEUE, span(NULL, 0),
		    span(NULL, 0));
	for (unsigned i = 0; i < f->n; i++) {
		struct fan_way	*w = &f->ways[i];

		if (!w->wanted || w->state == FAN_OVER)
			continue;
		if (w->link == NULL) {
			settle(t, w, SETTLED_QUEUE, 0, span(NULL, 0), NULL);
			continue;
		}
		w->state = FAN_DOT;
		link_end(w->link, &t->content.out, t);
	}
	settled(t);
}

static struct fan_way *
first(const struct txn *t)
{
	struct fan_way	*w, *best = NULL;

	for (size_t i = 0; i < t->nrcpts; i++) {
		if (t->rcpts[i].state != RCPT_TAKEN ||
		    fan_is_queue(t, &t->rcpts[i]))
			continue;
		w = &t->fan->ways[t->rcpts[i].way];
		if (w->link != NULL && w->state != FAN_OVER && (best == NULL ||
		    *refusals(w->action) > *refusals(best->action)))
			best = w;
	}
	return best;
}

/* Is one gone whose recipients the queue is not to have instead? */
static bool
lost_one(const struct fan *f)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->ways[i].wanted && f->ways[i].link == NULL &&
		    f->ways[i].action->on_failure == NULL)
			return true;
	return false;
}

/* ---- queued ---------------------------------------------- */

static void
on_credit(struct prepare *p, void *arg)
{
	struct txn	*t = arg;

	(void)p;
	if (t->content.full)
		content_go(t);
}

static void
on_prepared(struct prepare *p, enum q_status st, uint64_t id, void *arg)
{
	struct txn	*t = arg;
	struct fan	*f = t->fan;
	struct fan_way	*w;
	char		 text[80], ids[ID_STRLEN];

	(void)p;
	if (st != Q_OK || id != t->id) {
		f->prep = NULL;
		fan_cut_all(t);
		snprintf(text, sizeof(text), "2.0.0 %s has been taken before",
		    id_str(id, ids));
		if (st == Q_OK)
			content_done(t, 250, span_str(text));
		else if (st == Q_FULL)
			content_done(t, 452, span_str("4.3.1 The queue takes "
			    "no mail now"));
		else
			content_done(t, 451, span_str("4.3.0 The queue did not "
			    "take it"));
		return;
	}
	log_info("session=%s id=%s event=fan-out result=prepared", t->s->id,
	    t->ids);
	if ((w = first(t)) != NULL) {
		w->state = FAN_DOT;
		link_end(w->link, &t->content.out, t);
	} else if (lost_one(f)) {
		fan_void(t);
		content_done(t, 451, span_str(NO_SERVER));
	} else
		others(t);
}

/*
 * The reply to the content. With PRDR each recipient has one of his own before
 * it, in the order of RCPT, unless all go one way.
 */
static void
reply(struct txn *t, uint16_t code, struct span text, struct span said)
{
	struct session	*s = t->s;
	struct cmd	*begins = t->content.cmd, *c;
	char		 queued[64];

	if (t->mail.prdr && !t->fan->alone && s->phase != PH_CLOSING) {
		snprintf(queued, sizeof(queued), "2.0.0 %s queued", t->ids);
		for (size_t i = 0; i < t->nrcpts; i++) {
			const struct rcpt	*r = &t->rcpts[i];
			const struct fan_way	*w = &t->fan->ways[r->way];

			if (r->state != RCPT_TAKEN)
				continue;
			c = session_cmd(s, VERB_DATA);
			if (w->code != 0 && !fan_is_queue(t, r))
				session_answer(c, w->code, span_str(w->said));
			else if (t->fan->taken)
				session_answer(c, 250, span_str(queued));
			else	/* it was void, the queue's part too */
				session_answer(c, 451, span_str(NO_SERVER));
		}
		t->content.cmd = session_cmd(s, VERB_DATA);
		session_answer(begins, 353, span_str("A reply for each "
		    "recipient follows"));
	}
	content_done_as(t, code, text, said);
}

static void
on_finished(struct prepare *p, enum q_status st, void *arg)
{
	struct txn	*t = arg;
	struct fan	*f = t->fan;
	char		 text[64];

	(void)p;
	f->prep = NULL;
	if (st != Q_OK) {
		log_warnx("session=%s id=%s event=doubt result=unknown",
		    t->s->id, t->ids);
		queue_silent(t->s);
		return;
	}
	/* To all but queued it is what it would have been without. */
	if (f->alone && f->code != 0 && f->ways[0].wanted)
		t->way = &handoff_proxy;
	if (f->known) {
		t->s->told = t->id;
		t->s->told_live = false;
	}
	if (f->alone && f->text != NULL && f->said != NULL) {
		reply(t, f->code, span_str(f->text), span_str(f->said));
		return;
	}
	snprintf(text, sizeof(text), "2.0.0 %s queued", t->ids);
	reply(t, 250, span_str(text), span_str(text));
}

const struct prepare_ops fan_prepare_ops = { on_credit, on_prepared,
    on_finished };

/* ---- the servers ---------------------------------------------- */

/* Will the server tell of success, where that was asked for? */
static enum q_settled
taken_by(const struct link *l)
{
	return (l->caps.bits & CAP_DSN) != 0 ? SETTLED_TAKEN : SETTLED_RELAYED;
}

/* For the recipients of this way. False: they can't have a reply of their
 * own. */
static bool
tells(struct txn *t, struct fan_way *w, uint16_t code, struct span said)
{
	if (!t->mail.prdr)
		return false;
	w->said = arena_str(t->arena, span_sub(said, 0, REPLY_MAX));
	w->code = w->said != NULL ? code : 0;
	return w->code != 0;
}

/* Is there anything left that the queue is to deliver? */
static bool
has_queued(const struct txn *t)
{
	const struct fan	*f = t->fan;

	for (size_t i = 0; i < t->nrcpts; i++)
		if (t->rcpts[i].state == RCPT_TAKEN &&
		    fan_is_queue(t, &t->rcpts[i]))
			return true;
	for (unsigned i = 0; i < f->n && !lost_one(f); i++)
		if (f->ways[i].wanted && f->ways[i].link == NULL)
			return true;
	return false;
}

/* Nobody has it: who has no reply of his own has this one. */
static void
none(struct txn *t)
{
	for (unsigned i = 0; i < t->fan->n; i++)
		if (t->fan->ways[i].code == 0) {
			t->fan->ways[i].code = 451;
			t->fan->ways[i].said = NO_SERVER;
		}
}

/* The first server has taken it. */
static void
accepted(struct txn *t, struct fan_way *w, uint16_t code, struct span text,
    struct span said)
{
	struct fan	*f = t->fan;

	fan_log(t, w->link, "taken", code, text);
	if (f->alone) {
		f->code = code;
		f->text = arena_str(t->arena, text);
		f->said = arena_str(t->arena, said);
	}
	tells(t, w, code, said);
	settle(t, w, taken_by(w->link), code, text, w->link->server);
	others(t);
}

/* It has not, and nobody else has: so it is for all, or, where each recipient
 * has a reply of his own, for its own ones. */
static void
refused(struct txn *t, struct fan_way *w, uint16_t code, struct span text,
    struct span said)
{
	struct fan_way	*next;

	++*refusals(w->action);
	fan_log(t, w->link, "refused", code, text);
	code = code == 421 ? 451 : code;
	/* Its own transaction is over; it may go on. */
	w->wanted = false;
	w->state = FAN_OVER;
	if (!t->fan->alone && tells(t, w, code, said)) {
		settle(t, w, SETTLED_TOLD, code, text, w->link->server);
		if ((next = first(t)) != NULL) {
			next->state = FAN_DOT;
			link_end(next->link, &t->content.out, t);
			return;
		}
		if (has_queued(t)) {
			others(t);
			return;
		}
	}
	fan_void(t);
	none(t);
	reply(t, code, text, said);
}

void
fan_answer(struct txn *t, struct fan_way *w, uint16_t code, struct span text)
{
	const struct link	*l = w->link;
	struct span		 said;
	struct buf		 b;
	bool			 told;

	buf_init(&b, SMTP_PLAIN_MAX);
	said = proxy_said(l, code, text, &b);
	if (!t->fan->taken && code / 100 == 2) {
		accepted(t, w, code, text, said);
	} else if (!t->fan->taken) {
		refused(t, w, code, text, said);
	} else {
		*refusals(w->action) += code / 100 != 2;
		fan_log(t, l, code / 100 == 2 ? "taken" : code / 100 == 5 ?
		    "refused" : "queue", code, text);
		told = code / 100 != 4 && tells(t, w, code, said);
		settle(t, w, code / 100 == 2 ? taken_by(l) : code / 100 != 5 ?
		    SETTLED_QUEUE : told ? SETTLED_TOLD : SETTLED_REFUSED,
		    code, text, l->server);
		settled(t);
	}
	buf_clear(&b);
}

void
fan_no_answer(struct txn *t, struct fan_way *w, const char *server)
{
	window_server(t, server);
	if (t->fan->taken) {
		settle(t, w, SETTLED_QUEUE, 0, span(NULL, 0), server);
		settled(t);
		return;
	}
	fan_void(t);
	content_done(t, 451, span_str("4.4.2 The server is gone; it is not "
	    "known whether it has taken the message"));
}
