/*
 * The message of several ways; fan.h has the order in which it is committed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/codec.h"
#include "common/smtp/plain.h"
#include "common/smtp/reply.h"
#include "smtpd/archive.h"
#include "smtpd/fan_i.h"
#include "smtpd/proxy.h"
#include "smtpd/window.h"

/* How often each action's server has refused content: the one that does so most
 * often is the first to have the dot. */
#define REFUSERS	64
static struct { const struct conf_action *action; unsigned n; }
    refusers[REFUSERS];

static const struct link_ops	 content_ops;

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

static bool
is_queue(const struct txn *t, const struct rcpt *r)
{
	return r->way == 0 && (r->queued || t->action->type != ACT_PROXY ||
	    t->fallen == t->action);
}

/* Nothing of it may stay at the server; it has had DATA. The session of a
 * proxied listener goes on where it can. */
static void
cut(struct txn *t, struct fan_way *w)
{
	struct link	*l = w->link;
	bool		 flows = w->state == FAN_FLOWS;

	w->link = NULL;
	w->state = FAN_OVER;
	if (l == NULL)
		return;
	if (flows && l == t->s->link && link_abort(l)) {
		l->ops = &proxy_link_ops;
		l->arg = NULL;
		return;
	}
	if (l == t->s->link)
		t->s->link = NULL;
	link_close(l);
}

static void
cut_all(struct txn *t)
{
	for (unsigned i = 0; i < t->fan->n; i++)
		if (t->fan->ways[i].wanted)
			cut(t, &t->fan->ways[i]);
}

static void
void_all(struct txn *t)
{
	struct prepare	*p = t->fan->prep;

	t->fan->prep = NULL;
	if (p != NULL)
		prepare_void(p);
	cut_all(t);
}

static void
log_way(const struct txn *t, const struct link *l, const char *result,
    uint16_t code, struct span text)
{
	log_info("session=%s id=%s event=fan-out server=%s result=%s reply=%s",
	    t->s->id, t->ids, log_quote(span_str(l->server)), result,
	    log_reply(code, text));
}

/* ---- queued ---------------------------------------------- */

static void
put(void *arg, struct ipc_q_rcpt r)
{
	prepare_rcpt(arg, r);
}

static void
send_rcpts(struct txn *t, struct prepare *p)
{
	const struct conf_action *also = t->s->listen->copy;
	uint32_t	 n = 0;

	for (size_t i = 0; i < t->nrcpts; i++) {
		const struct rcpt		*r = &t->rcpts[i];
		const struct conf_action	*a = r->action;

		if (r->state != RCPT_TAKEN)
			continue;
		for (size_t k = 0; is_queue(t, r) && k < r->ncopies; k++) {
			const struct copy	*v = &r->copies[k];

			prepare_rcpt(p, (struct ipc_q_rcpt){ .to = v->to,
			    .action = span_str(v->action->name),
			    .notify = v->quiet ? NOTIFY_NEVER :
			    r->params.notify, .orcpt = r->params.orcpt,
			    .orig = v->expanded ? r->to : span(NULL, 0),
			    .group = n + v->group,
			    .flags = v->expanded ? RCPT_F_EXPANDED : 0 });
		}
		if (is_queue(t, r)) {
			n += (uint32_t)r->ncopies;
			t->fan->queue = true;
			t->fan->alone = false;
			continue;
		}
		if (also != NULL) {
			prepare_rcpt(p, (struct ipc_q_rcpt){ .to = r->to,
			    .action = span_str(also->name), .group = n++,
			    .notify = NOTIFY_NEVER });
			t->fan->queue = true;
		}
		if (a->on_failure != NULL)
			a = a->on_failure;
		prepare_rcpt(p, (struct ipc_q_rcpt){ .to = r->to,
		    .action = span_str(a->name), .notify = r->params.notify,
		    .orcpt = r->params.orcpt, .group = n++,
		    .way = (uint8_t)(r->way + 1) });
	}
	if (archive_wanted(t, &(bool){ false }))
		t->fan->queue = true;
	archive_send(t, put, p, n);
}

static void
on_credit(struct prepare *p, void *arg)
{
	struct txn	*t = arg;

	(void)p;
	if (t->content.full)
		content_go(t);
}

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
		    is_queue(t, &t->rcpts[i]))
			continue;
		w = &t->fan->ways[t->rcpts[i].way];
		if (w->link != NULL && (best == NULL ||
		    *refusals(w->action) > *refusals(best->action)))
			best = w;
	}
	return best;
}

static void
on_prepared(struct prepare *p, enum q_status st, uint64_t id, void *arg)
{
	struct txn	*t = arg;
	struct fan	*f = t->fan;
	struct fan_way	*w;
	char		 text[80], ids[ID_STRLEN];
	bool		 live = false;

	(void)p;
	if (st != Q_OK || id != t->id) {
		f->prep = NULL;
		cut_all(t);
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
	for (unsigned i = 0; i < f->n; i++)
		live |= f->ways[i].wanted;
	if ((w = first(t)) != NULL) {
		w->state = FAN_DOT;
		link_end(w->link, &t->content.out, t);
	} else if (live) {
		void_all(t);
		content_done(t, 451, span_str(NO_SERVER));
	} else
		others(t);
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
	if (f->known) {
		t->s->told = t->id;
		t->s->told_live = false;
	}
	if (f->alone && f->text != NULL && f->said != NULL) {
		/* To all but queued it is what it would have been without. */
		if (f->ways[0].wanted)
			t->way = &handoff_proxy;
		content_done_as(t, f->code, span_str(f->text),
		    span_str(f->said));
		return;
	}
	snprintf(text, sizeof(text), "2.0.0 %s queued", t->ids);
	content_done(t, 250, span_str(text));
}

static const struct prepare_ops	 prep_ops = { on_credit, on_prepared,
    on_finished };

/* ---- beginning ---------------------------------------------- */

/* All servers have said 354. */
static void
ready(struct txn *t)
{
	const struct session	*s = t->s;
	struct fan		*f = t->fan;

	for (unsigned i = 0; i < f->n; i++)
		if (f->ways[i].wanted && f->ways[i].state != FAN_FLOWS)
			return;
	f->prep = prepare_begin((struct ipc_q_env){ .id = t->id,
	    .from = t->from, .body = (uint8_t)t->mail.body,
	    .utf8 = t->mail.utf8, .ret = (uint8_t)t->mail.ret,
	    .envid = t->mail.envid, .client = s->client,
	    .rdns = peer_name(&s->peer), .helo = span_str(s->helo),
	    .auth = span_str(s->user), .tag = span_str(s->listen->tag),
	    .received_ms = t->received_ms }, &prep_ops, t);
	if (f->prep == NULL) {
		cut_all(t);
		content_refuse(t, 451, span_str("4.3.2 The queue takes no mail "
		    "now"));
		return;
	}
	send_rcpts(t, f->prep);
	content_ready(t);
}

void
fan_content(struct txn *t)
{
	struct fan	*f = t->fan;
	unsigned	 nways = 0;
	const char	*text;
	uint16_t	 code;

	f->waits = t->asked > 0;
	if (f->waits)
		return;
	f->ways[0].action = t->action;
	f->ways[0].link = t->s->link;
	for (size_t i = 0; i < t->nrcpts; i++)
		if (t->rcpts[i].state == RCPT_TAKEN &&
		    !is_queue(t, &t->rcpts[i]))
			f->ways[t->rcpts[i].way].wanted = true;
	for (unsigned i = 0; i < f->n; i++)
		nways += f->ways[i].wanted;
	f->alone = nways == 1;
	/* It has had MAIL, and refused all that was asked of it. */
	if (!f->ways[0].wanted && f->ways[0].link != NULL) {
		link_rset(f->ways[0].link, NULL);
		f->ways[0].link = NULL;
	}
	if (t->taken == 0) {
		content_refuse(t, 554, span_str("5.5.1 No valid recipients"));
		return;
	}
	if (!queue_takes(&code, &text) || !archive_possible(t)) {
		content_refuse(t, 451, span_str("4.3.0 The queue can't take it "
		    "now"));
		return;
	}
	for (unsigned i = 0; i < f->n; i++)
		if (f->ways[i].wanted && f->ways[i].link == NULL) {
			content_refuse(t, 451, span_str(NO_SERVER));
			return;
		}
	for (unsigned i = 0; i < f->n; i++) {
		if (!f->ways[i].wanted)
			continue;
		f->ways[i].link->ops = &content_ops;
		f->ways[i].link->arg = &f->ways[i];
		f->ways[i].state = FAN_DATA;
		link_data(f->ways[i].link, NULL, t);
	}
	ready(t);
}

/* ---- bytes ---------------------------------------------- */

static void
fan_write(struct txn *t, struct buf *b)
{
	struct fan	*f = t->fan;
	uint64_t	 n = buf_len(b);
	struct span	 s;

	if (n > prepare_room(f->prep))
		n = prepare_room(f->prep);
	for (unsigned i = 0; i < f->n; i++)
		if (f->ways[i].wanted && n > f->ways[i].link->credit)
			n = f->ways[i].link->credit;
	if (n == 0)
		return;
	s = span_sub(buf_content(b), 0, (size_t)n);
	prepare_data(f->prep, s);
	for (unsigned i = 0; i < f->n; i++)
		if (f->ways[i].wanted)
			link_put(f->ways[i].link, s);
	f->sent += n;
	buf_drain(b, (size_t)n);
}

static void
fan_last(struct txn *t, struct buf *b)
{
	uint8_t	 digest[DIGEST_LEN];
	bool	 known = stage_digest(t, digest);

	t->fan->known = known;
	/* The servers get the end of it later: b stays. */
	prepare_commit(t->fan->prep, (struct ipc_q_commit){
	    .bytes = buf_content(b), .size = t->fan->sent + buf_len(b),
	    .digest = span(digest, known ? sizeof(digest) : 0) });
}

static void
fan_abort(struct txn *t)
{
	void_all(t);
	t->at_server = false;
}

const struct handoff handoff_fan = {
	.name = "fan-out",
	.streams = true,
	.begin = fan_content,
	.write = fan_write,
	.end = fan_last,
	.abort = fan_abort
};

/* ---- the servers ---------------------------------------------- */

/* Will the server tell of success, where that was asked for? */
static enum q_settled
taken_by(const struct link *l)
{
	return (l->caps.bits & CAP_DSN) != 0 ? SETTLED_TAKEN : SETTLED_RELAYED;
}

/* The first server's word. */
static void
decided(struct txn *t, struct fan_way *w, uint16_t code, struct span text)
{
	struct link	*l = w->link;
	struct fan	*f = t->fan;
	struct span	 said;
	struct buf	 b;

	buf_init(&b, SMTP_PLAIN_MAX);
	said = proxy_said(l, code, text, &b);
	if (code / 100 == 2) {
		log_way(t, l, "taken", code, text);
		f->code = code;
		f->text = arena_str(t->arena, text);
		f->said = arena_str(t->arena, said);
		buf_clear(&b);
		settle(t, w, taken_by(l), code, text, l->server);
		others(t);
		return;
	}
	++*refusals(w->action);
	log_way(t, l, "refused", code, text);
	/* Its own transaction is over; it may go on. */
	w->wanted = false;
	void_all(t);
	content_done_as(t, code == 421 ? 451 : code, text, said);
	buf_clear(&b);
}

/* A command of a proxied listener's session, from before the content. */
static void
unanswered(const struct session *s, const struct link_wait *q)
{
	if (q->what == ASK_PLAIN && q->cmd != NULL && s->phase != PH_CLOSING)
		session_answer(q->cmd, 451, span_str(NO_SERVER));
}

static void
lost(struct txn *t, struct fan_way *w, const struct link *l)
{
	enum fan_state		 was = w->state;
	const struct link_wait	*q;

	w->link = NULL;
	if (l == t->s->link)
		t->s->link = NULL;
	STAILQ_FOREACH(q, &l->waits, entry)
		unanswered(t->s, q);
	if (was == FAN_DOT)
		window_server(t, l->server);
	if (was == FAN_DOT && t->fan->taken) {
		settle(t, w, SETTLED_QUEUE, 0, span(NULL, 0), l->server);
		settled(t);
	} else if (was == FAN_DOT) {
		void_all(t);
		content_done(t, 451, span_str("4.4.2 The server is gone; it is "
		    "not known whether it has taken the message"));
	} else if (was == FAN_DATA) {
		w->wanted = false;
		content_refuse(t, 451, span_str(NO_SERVER));
	} else if (was == FAN_FLOWS && !t->committed)
		content_spoil(t, 451, NO_SERVER);
}

/* Its transaction is reset, as the client's is; its session goes on. */
static void
data_refused(struct txn *t, struct fan_way *w, uint16_t code,
    struct span text)
{
	struct span	said;
	struct buf	b;

	buf_init(&b, SMTP_PLAIN_MAX);
	said = proxy_said(w->link, code, text, &b);
	w->wanted = false;
	link_rset(w->link, NULL);
	content_refuse_as(t, code, text, said);
	buf_clear(&b);
}

static void
server_said(struct link *l, const struct link_wait *q, uint16_t code,
    struct span text, bool own)
{
	struct fan_way	*w = l->arg;
	struct txn	*t = l->s->txn;

	if (code == 421 && own) {
		unanswered(t->s, q);
		lost(t, w, l);
		link_close(l);
		return;
	}
	if (q->what == ASK_DATA && code == 354) {
		w->state = FAN_FLOWS;
		ready(t);
	} else if (q->what == ASK_DATA) {
		log_way(t, l, "refused", code, text);
		data_refused(t, w, code == 421 ? 451 : code, text);
	} else if (q->what == ASK_PLAIN) {
		/* Of a proxied listener, before the content. */
		if (q->cmd != NULL)
			proxy_answer(l, q->cmd, code, text);
	} else if (q->what == ASK_END && !t->fan->taken) {
		decided(t, w, code, text);
	} else if (q->what == ASK_END) {
		*refusals(w->action) += code / 100 != 2;
		log_way(t, l, code / 100 == 2 ? "taken" : code / 100 == 5 ?
		    "refused" : "queue", code, text);
		settle(t, w, code / 100 == 2 ? taken_by(l) :
		    code / 100 == 5 ? SETTLED_REFUSED : SETTLED_QUEUE, code,
		    text, l->server);
		settled(t);
	}
}

static void
server_credit(struct link *l)
{
	if (l->s->txn->content.full)
		content_go(l->s->txn);
}

static void
server_closed(struct link *l, const char *why)
{
	struct fan_way	*w = l->arg;
	struct txn	*t = l->s->txn;

	(void)why;
	lost(t, w, l);
}

static const struct link_ops content_ops = { server_said, server_credit,
    server_closed };
