/*
 * The way to the queue. A short message is one pass: envelope, recipients and
 * commit share a packet. If queued dies with a commit on its way the client
 * waits until the next one says whether it has it (queue.md, Commit in doubt).
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/codec.h"
#include "smtpd/archive.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"
#include "smtpd/listener.h"
#include "smtpd/tee.h"

#define CREDIT_FIRST	(128 << 10)
#define PIECE_MAX	32000	/* of a q_data */

/* ---- a transaction --------------------------------------------------------- */

/* One recipient's; n is the number of the first. */
static void
send_copies(const struct txn *t, const struct rcpt *r, uint32_t n)
{
	for (size_t i = 0; i < r->ncopies; i++) {
		const struct copy	*v = &r->copies[i];

		CHAN_SEND(quser_chan(), q_rcpt, .tid = t->queue.u.tid, .to = v->to,
		    .action = span_str(v->action->name),
		    .notify = v->quiet ? NOTIFY_NEVER : r->params.notify,
		    .orcpt = r->params.orcpt,
		    .orig = v->expanded ? r->to : span(NULL, 0),
		    .group = n + v->group,
		    .flags = v->expanded ? RCPT_F_EXPANDED : 0);
	}
}

static void
send_rcpt(void *arg, struct ipc_q_rcpt r)
{
	const struct txn	*t = arg;

	r.tid = t->queue.u.tid;
	chan_send(quser_chan(), IPC_T_q_rcpt, &r, -1);
}

static void
send_envelope(struct txn *t)
{
	const struct session	*s = t->s;
	uint32_t		 n = 0;	/* of q_rcpt */

	CHAN_SEND(quser_chan(), q_env, .tid = t->queue.u.tid, .id = t->id,
	    .from = t->from, .body = (uint8_t)t->mail.body,
	    .utf8 = t->mail.utf8, .ret = (uint8_t)t->mail.ret,
	    .envid = t->mail.envid, .client = s->client,
	    .rdns = peer_name(&s->peer), .helo = span_str(s->helo),
	    .auth = span_str(s->user), .tag = span_str(s->listen->tag),
	    .mail_auth = t->mail.auth, .requiretls = t->mail.requiretls,
	    .received_ms = t->received_ms);
	for (size_t i = 0; i < t->nrcpts; i++) {
		const struct rcpt	*r = &t->rcpts[i];

		if (r->state != RCPT_TAKEN)
			continue;
		send_copies(t, r, n);
		n += (uint32_t)r->ncopies;
		n += tee_send(t, r, quser_chan(), n);
	}
	archive_send(t, send_rcpt, t, n);
}

static const struct quser_ops	 txn_ops;

/* queued knows of it from here on. False: it is away, or there are too many. */
static bool
announce(struct txn *t)
{
	struct txn_queue	*q = &t->queue;

	if (q->u.tid != 0)
		return true;
	q->u.ops = &txn_ops;
	q->u.arg = t;
	q->u.id = t->id;
	if (!quser_add(&q->u))
		return false;
	q->credit = CREDIT_FIRST;
	send_envelope(t);
	return true;
}

/* ---- what a way offers ----------------------------------------------------- */

bool
queue_takes(uint16_t *code, const char **text)
{
	const char	*why;
	bool		 away = quser_chan() == NULL;

	*code = away ? 451 : 452;
	*text = away ? "4.3.2 The queue is restarting" :
	    "4.3.1 The queue takes no mail now";
	return !away && quser_open(&why);
}

static void
queue_rcpt(struct txn *t, struct rcpt *r, struct cmd *c)
{
	struct session	*s = t->s;
	const char	*text, *why;
	uint16_t	 code;

	if (!queue_takes(&code, &text)) {
		quser_open(&why);
		log_info("session=%s id=%s event=rcpt to=<%s> reply=\"%u %s\" "
		    "why=%s", s->id, t->ids, log_quote(r->to), (unsigned)code,
		    text, log_quote(span_str(why)));
		session_reply(c, code, "%s", text);
		return;
	}
	txn_rcpt_state(t, r, RCPT_TAKEN);
	log_debug("session=%s id=%s event=rcpt to=<%s> action=%s", s->id,
	    t->ids, log_quote(r->to), log_quote(span_str(r->action->name)));
	session_reply(c, 250, "2.1.5 Ok");
}

static void
queue_begin(struct txn *t)
{
	const char	*text;
	uint16_t	 code;

	if (!queue_takes(&code, &text))
		content_refuse(t, code, span_str(text));
	else if (!archive_possible(t))
		content_refuse(t, 451, span_str("4.3.5 The archive can't take "
		    "it now"));
	else
		content_ready(t);
}

/* As many bytes as there is credit for. */
static size_t
pass(struct txn_queue *q, struct span s)
{
	size_t		n = 0;
	struct span	in;

	while (q->credit > 0 && n < s.len) {
		in = span_sub(s, n, PIECE_MAX);
		if (in.len > q->credit)
			in.len = (size_t)q->credit;
		CHAN_SEND(quser_chan(), q_data, .tid = q->u.tid, .bytes = in);
		q->credit -= in.len;
		q->sent += in.len;
		n += in.len;
	}
	return n;
}

static void
queue_write(struct txn *t, struct buf *b)
{
	if (!announce(t))
		content_spoil(t, 451, "4.3.2 The queue is restarting");
	else
		buf_drain(b, pass(&t->queue, buf_content(b)));
}

static void
queue_end(struct txn *t, struct buf *b)
{
	uint8_t	 digest[DIGEST_LEN];
	bool	 known = stage_digest(t, digest);

	if (!announce(t)) {
		content_done(t, 451, span_str("4.3.2 The queue is restarting"));
		return;
	}
	CHAN_SEND(quser_chan(), q_commit, .tid = t->queue.u.tid,
	    .prefix = buf_content(&t->content.prefix), .bytes = buf_content(b),
	    .size = content_size(t),
	    .digest = span(digest, known ? sizeof(digest) : 0),
	    .tls_optional = content_tls_optional(t));
	t->queue.known = known;
	buf_clear(b);
}

void
queue_leave(struct txn *t)
{
	if (t->queue.u.tid != 0 && quser_chan() != NULL && !t->queue.lost)
		CHAN_SEND(quser_chan(), q_abort, .tid = t->queue.u.tid);
	quser_forget(&t->queue.u);
}

/* ---- beside a live way ------------------------------------------------------- */

bool
queue_beside(struct txn *t, struct span s)
{
	if (!announce(t))
		return false;
	pass(&t->queue, s);
	return true;
}

bool
queue_commit(struct txn *t, struct buf *rest)
{
	if (!announce(t))
		return false;
	CHAN_SEND(quser_chan(), q_commit, .tid = t->queue.u.tid,
	    .bytes = buf_content(rest),
	    .size = t->queue.sent + buf_len(rest),
	    .tls_optional = content_tls_optional(t));
	buf_clear(rest);
	return true;
}

const struct handoff handoff_queue = {
	.name = "queue",
	.rcpt = queue_rcpt,
	.begin = queue_begin,
	.write = queue_write,
	.end = queue_end,
	.abort = queue_leave
};

/* ---- queued's answers, to a transaction ------------------------------------ */

static void
txn_credit(struct quser *u, uint32_t bytes)
{
	struct txn	*t = u->arg;

	if (t->committed)
		return;
	if (t->tee.state == TEE_COMMIT)
		return;
	t->queue.credit += bytes;
	if (t->queue.credit > CREDIT_FIRST)
		t->queue.credit = CREDIT_FIRST;
	if (t->content.full)
		content_go(t);
}

/* It is this one; another id than its own: that of one that came before. */
static void
taken(struct txn *t, uint64_t id)
{
	char	text[64], ids[ID_STRLEN];

	snprintf(text, sizeof(text), "2.0.0 %s queued", id_str(id, ids));
	if (t->queue.known) {
		t->s->told = id;
		t->s->told_live = false;
	}
	content_done(t, 250, span_str(text));
}

static void
txn_result(struct quser *u, const struct ipc_q_result *m)
{
	struct txn	*t = u->arg;

	if (t->id != m->id && (m->status != Q_OK || !t->committed ||
	    !t->queue.known))
		return;
	quser_forget(u);
	if (m->status != Q_OK)
		log_info("session=%s id=%s event=queue result=failed why=%s",
		    t->s->id, t->ids, log_quote(m->text));
	/* Refused before it was whole: the client is told at its end. */
	if (t->tee.state != TEE_NONE)
		tee_over(t, m->status == Q_OK);
	else if (!t->committed) {
		t->queue.lost = true;
		content_spoil(t, 451, "4.3.0 The queue did not take it");
	} else if (m->status == Q_OK)
		taken(t, m->id);
	else if (m->status == Q_FULL)
		content_done(t, 452,
		    span_str("4.3.1 The queue takes no mail now"));
	else
		content_done(t, 451,
		    span_str("4.3.0 The queue did not take it"));
}

static void
txn_have(struct quser *u, bool have)
{
	struct txn	*t = u->arg;

	log_info("session=%s id=%s event=doubt result=%s", t->s->id, t->ids,
	    have ? "have" : "have not");
	if (t->tee.state != TEE_NONE)
		tee_over(t, have);
	else if (have)
		taken(t, t->id);
	else
		content_done(t, 451,
		    span_str("4.3.2 The queue was restarted"));
}

static void
txn_lost(struct quser *u)
{
	struct txn	*t = u->arg;

	if (t->tee.state != TEE_NONE && t->tee.state != TEE_COMMIT) {
		t->queue.lost = true;
		quser_forget(u);
		tee_over(t, false);
		return;
	}
	if (t->committed) {
		quser_doubt(u);
		return;
	}
	t->queue.lost = true;
	content_spoil(t, 451, "4.3.2 The queue was restarted");
}

static void
txn_back(struct quser *u)
{
	CHAN_SEND(quser_chan(), q_ask, .tid = u->tid, .id = u->id);
}

void
queue_silent(struct session *s)
{
	if (s->stream != NULL) {
		stream_free(s->stream);
		s->stream = NULL;
		session_end(s, "the queue did not come back");
	}
	session_release(s);
}

/* Nobody can say whether the message is queued: so neither do we. */
static void
txn_over(struct quser *u)
{
	struct txn	*t = u->arg;
	struct session	*s = t->s;

	log_warnx("session=%s id=%s event=doubt result=unknown", s->id, t->ids);
	if (t->tee.state != TEE_NONE) {
		tee_over(t, false);
		return;
	}
	queue_silent(s);
}

static const struct quser_ops	 txn_ops = { .credit = txn_credit,
    .result = txn_result, .have = txn_have, .lost = txn_lost,
    .back = txn_back, .over = txn_over };
