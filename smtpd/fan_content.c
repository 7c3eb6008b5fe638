/*
 * The message of several ways on its way to the servers and to queued, up to
 * the dot; what follows is fan_commit.c's.
 */
#include "common/base/log.h"
#include "common/ipc/codec.h"
#include "common/smtp/plain.h"
#include "smtpd/archive.h"
#include "smtpd/failover.h"
#include "smtpd/fan_i.h"
#include "smtpd/proxy.h"

static const struct link_ops	 content_ops;

bool
fan_is_queue(const struct txn *t, const struct rcpt *r)
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

void
fan_cut_all(struct txn *t)
{
	for (unsigned i = 0; i < t->fan->n; i++)
		if (t->fan->ways[i].wanted)
			cut(t, &t->fan->ways[i]);
}

void
fan_void(struct txn *t)
{
	struct prepare	*p = t->fan->prep;

	t->fan->prep = NULL;
	if (p != NULL)
		prepare_void(p);
	fan_cut_all(t);
}

void
fan_log(const struct txn *t, const struct link *l, const char *result,
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
		for (size_t k = 0; fan_is_queue(t, r) && k < r->ncopies; k++) {
			const struct copy	*v = &r->copies[k];

			prepare_rcpt(p, (struct ipc_q_rcpt){ .to = v->to,
			    .action = span_str(v->action->name),
			    .notify = v->quiet ? NOTIFY_NEVER :
			    r->params.notify, .orcpt = r->params.orcpt,
			    .orig = v->expanded ? r->to : span(NULL, 0),
			    .group = n + v->group,
			    .flags = v->expanded ? RCPT_F_EXPANDED : 0 });
		}
		if (fan_is_queue(t, r)) {
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
	    .mail_auth = t->mail.auth, .requiretls = t->mail.requiretls,
	    .received_ms = t->received_ms }, &fan_prepare_ops, t);
	if (f->prep == NULL) {
		fan_cut_all(t);
		content_refuse(t, 451, span_str("4.3.2 The queue takes no mail "
		    "now"));
		return;
	}
	send_rcpts(t, f->prep);
	content_ready(t);
}

static bool
has_rcpts(const struct txn *t, uint8_t way)
{
	for (size_t i = 0; i < t->nrcpts; i++)
		if (t->rcpts[i].state == RCPT_TAKEN &&
		    t->rcpts[i].way == way && !fan_is_queue(t, &t->rcpts[i]))
			return true;
	return false;
}

/* Which ways have recipients? False: one has lost its server for good. */
static bool
find_wanted(struct txn *t)
{
	struct fan	*f = t->fan;
	unsigned	 n = 0;

	for (unsigned i = 0; i < f->n; i++) {
		struct fan_way	*w = &f->ways[i];

		w->wanted = has_rcpts(t, (uint8_t)i);
		if (w->wanted && w->link == NULL) {
			if (!fan_falls(t, w, "its session is lost"))
				return false;
			w->wanted = false;
		}
		n += w->wanted;
	}
	f->alone = n == 1;
	return true;
}

/* May it begin? Else it was refused. */
static bool
may_begin(struct txn *t)
{
	const char	*text;
	uint16_t	 code;

	if (t->taken == 0)
		content_refuse(t, 554, span_str("5.5.1 No valid recipients"));
	else if (!queue_takes(&code, &text) || !archive_possible(t))
		content_refuse(t, 451, span_str("4.3.0 The queue can't take it "
		    "now"));
	else if (!find_wanted(t))
		content_refuse(t, 451, span_str(NO_SERVER));
	else
		return true;
	return false;
}

void
fan_content(struct txn *t)
{
	struct fan	*f = t->fan;

	f->waits = t->asked > 0;
	if (f->waits)
		return;
	f->ways[0].action = t->action;
	f->ways[0].link = t->s->link;
	/* It has had MAIL, and refused all that was asked of it. */
	if (!has_rcpts(t, 0) && f->ways[0].link != NULL) {
		link_rset(f->ways[0].link, NULL);
		f->ways[0].link = NULL;
	}
	if (!may_begin(t))
		return;
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
		if (f->ways[i].link != NULL && f->ways[i].wanted &&
		    n > f->ways[i].link->credit)
			n = f->ways[i].link->credit;
	if (n == 0)
		return;
	s = span_sub(buf_content(b), 0, (size_t)n);
	prepare_data(f->prep, s);
	for (unsigned i = 0; i < f->n; i++)
		if (f->ways[i].link != NULL && f->ways[i].wanted)
			link_put(f->ways[i].link, s);
	f->sent += n;
	buf_drain(b, (size_t)n);
}

static void
fan_last(struct txn *t, struct buf *b)
{
	uint8_t	 digest[DIGEST_LEN];
	/* What is told of each recipient is not told again. */
	bool	 known = !t->mail.prdr && stage_digest(t, digest);

	t->fan->known = known;
	/* The servers get the end of it later: b stays. */
	prepare_commit(t->fan->prep, (struct ipc_q_commit){
	    .bytes = buf_content(b), .size = t->fan->sent + buf_len(b),
	    .digest = span(digest, known ? sizeof(digest) : 0),
	    .tls_optional = content_tls_optional(t) });
}

static void
fan_abort(struct txn *t)
{
	fan_void(t);
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

/* A command of a proxied listener's session, from before the content. */
static void
unanswered(const struct session *s, const struct link_wait *q)
{
	if (q->what == ASK_PLAIN && q->cmd != NULL && s->phase != PH_CLOSING)
		session_answer(q->cmd, 451, span_str(NO_SERVER));
}

static void
lost(struct txn *t, struct fan_way *w, const struct link *l, const char *why)
{
	enum fan_state		 was = w->state;
	const struct link_wait	*q;

	w->link = NULL;
	if (l == t->s->link)
		t->s->link = NULL;
	STAILQ_FOREACH(q, &l->waits, entry)
		unanswered(t->s, q);
	if (was == FAN_DOT) {
		fan_no_answer(t, w, l->server);
	} else if (was == FAN_DATA) {
		w->wanted = false;
		if (fan_falls(t, w, why))
			ready(t);
		else
			content_refuse(t, 451, span_str(NO_SERVER));
	} else if (was == FAN_FLOWS && w->action->on_failure != NULL) {
		/* queued has all of it, and delivers it when it is ours. */
		failover_said(t->s, w->action, why);
		if (t->content.full)
			content_go(t);
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
		lost(t, w, l, "the proxy has given it up");
		link_close(l);
		return;
	}
	if (code == 421 && q->what == ASK_DATA &&
	    w->action->on_failure != NULL) {
		lost(t, w, l, "it said 421 to DATA");
		link_close(l);
		return;
	}
	if (q->what == ASK_DATA && code == 354) {
		w->state = FAN_FLOWS;
		ready(t);
	} else if (q->what == ASK_DATA) {
		fan_log(t, l, "refused", code, text);
		data_refused(t, w, code == 421 ? 451 : code, text);
	} else if (q->what == ASK_PLAIN) {
		/* Of a proxied listener, before the content. */
		if (q->cmd != NULL)
			proxy_answer(l, q->cmd, code, text);
	} else if (q->what == ASK_END)
		fan_answer(t, w, code, text);
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

	lost(t, w, l, why);
}

static const struct link_ops content_ops = { server_said, server_credit,
    server_closed };
