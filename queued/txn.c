/*
 * Transactions: messages that are being received, until their record is in the
 * batch (commit.c) or they are given up.
 */
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/smtp/param.h"
#include "queued/diskio.h"
#include "queued/dsn.h"
#include "queued/prepared.h"

#define SLACK	(64 << 10)	/* a message may be so much longer than allowed
				 * with what smtpd adds */

struct txn {
	struct queue	*q;
	void		*owner;
	uint32_t	 tid;
	uint64_t	 id;
	struct rec_msg	 m;
	uint32_t	 narchived;	/* of its recipients */
	struct buf	 rcpts, content;
	uint64_t	 got;		/* bytes of content so far */
	int64_t		 ttl_ms;
	uint16_t	 ways;		/* of a prepared one: a bit each */
	bool		 body;		/* content is in a file */
	bool		 expanded;	/* an alias's sender is to be told */
	int		 body_fd;
	enum q_status	 status;	/* Q_OK while all is well */
	const char	*why;
	char		 strings[];
};

static size_t
record_max(const struct queue *q)
{
	return q->params.seg_size / 2;
}

static struct span
keep(char **p, struct span s)
{
	char	*at = *p;

	if (s.len)
		memcpy(at, s.p, s.len);
	*p += s.len;
	return span(at, s.len);
}

struct txn *
txn_begin(struct queue *q, void *owner, uint32_t tid, uint64_t id,
    const struct rec_msg *m)
{
	struct txn	*t;
	char		*p;

	if (queue_has(q, id) || map_get_u64(q->open_ids, id) != NULL)
		return NULL;
	t = calloc(1, sizeof(*t) + m->from.len + m->envid.len + m->rdns.len +
	    m->helo.len + m->auth.len + m->tag.len + m->mail_auth.len);
	if (t == NULL)
		return NULL;
	if (!map_set_u64(q->open_ids, id, t)) {
		free(t);
		return NULL;
	}
	*t = (struct txn){ .q = q, .owner = owner, .tid = tid, .id = id,
	    .m = *m, .body_fd = -1 };
	p = t->strings;
	t->m.from = keep(&p, m->from);
	t->m.envid = keep(&p, m->envid);
	t->m.rdns = keep(&p, m->rdns);
	t->m.helo = keep(&p, m->helo);
	t->m.auth = keep(&p, m->auth);
	t->m.tag = keep(&p, m->tag);
	t->m.mail_auth = keep(&p, m->mail_auth);
	buf_init(&t->rcpts, REC_ENV_MAX - 16384);
	buf_init(&t->content, REC_CONTENT_MAX);
	return t;
}

int
txn_rcpt(struct txn *t, const struct rec_rcpt *r)
{
	const struct conf_action *a;
	struct rec_rcpt	 e = *r;
	uint64_t	 limit = t->q->conf->limits.recipients;
	bool		 archive = r->flags & RCPT_F_ARCHIVE;
	bool		 prepared = t->m.flags & MSG_PREPARED;
	int64_t		 ttl;

	if (archive ? t->narchived >= (t->q->conf->narchives + 1) * limit :
	    t->m.nrcpts - t->narchived >= limit) {
		t->status = Q_REFUSED;
		t->why = "too many recipients";
		return -1;
	}
	a = conf_action_find(t->q->conf, r->action);
	ttl = a != NULL && a->ttl_ms > 0 ? a->ttl_ms : t->q->conf->ttl_ms;
	if (ttl > t->ttl_ms)
		t->ttl_ms = ttl;
	e.n = t->m.nrcpts++;
	t->narchived += archive;
	e.next_ms = queue_now(t->q);
	if (e.group != e.n)
		t->m.flags |= MSG_GROUPS;
	if ((e.flags & RCPT_F_EXPANDED) && (e.notify & NOTIFY_SUCCESS))
		t->expanded = true;
	if (e.way > WAY_MAX || (e.way > 0 && !prepared)) {
		t->status = Q_REFUSED;
		t->why = "a recipient of no way";
		return -1;
	}
	if (prepared) {
		e.state = RCPT_PREPARED;
		t->ways |= (uint16_t)(1u << e.way);
	}
	if (e.group > e.n || (e.flags & ~RCPT_F_ALL) != 0) {
		t->status = Q_REFUSED;
		t->why = "a recipient of no group";
		return -1;
	}
	if (e.flags & RCPT_F_LIVE)
		e.state = RCPT_DONE;
	if (!rec_rcpt_add(&t->rcpts, &e)) {
		t->status = Q_FAILED;
		t->why = "envelope too long";
	}
	return 0;
}

static void
txn_fail(struct txn *t, enum q_status st, const char *why)
{
	if (t->status == Q_OK) {
		t->status = st;
		t->why = why;
	}
}

static void
txn_write(struct txn *t, struct span s, uint64_t off)
{
	if (dio_pwrite(t->body_fd, s.p, s.len, (off_t)off) == -1)
		txn_fail(t, Q_FULL, "disk full");
}

/* The content grows beyond what a record takes: into a file. */
static void
txn_spill(struct txn *t)
{
	struct queue	*q = t->q;

	if (q->body_fds >= BODY_FDS) {
		txn_fail(t, Q_FULL, "too many long messages at a time");
		return;
	}
	if ((t->body_fd = body_open(t->id, true)) == -1) {
		txn_fail(t, Q_FULL, "no file for the content");
		return;
	}
	t->body = true;
	q->body_fds++;
	if (buf_len(&t->content) > 0)
		txn_write(t, buf_content(&t->content), 0);
	q->pool -= buf_len(&t->content);
	buf_clear(&t->content);
}

int
txn_data(struct txn *t, struct span s)
{
	struct queue	*q = t->q;
	uint64_t	 off = t->got;

	if (s.len == 0)
		return 0;
	t->got += s.len;
	if (t->got > q->conf->limits.message_size + SLACK) {
		txn_fail(t, Q_REFUSED, "longer than allowed");
		return -1;
	}
	if (t->status != Q_OK)
		return 0;
	if (!t->body && (t->got > REC_CONTENT_MAX ||
	    q->pool + s.len > POOL_MAX))
		txn_spill(t);
	if (t->status != Q_OK)
		return 0;
	if (t->body)
		txn_write(t, s, off);
	else if (buf_span(&t->content, s))
		q->pool += s.len;
	else
		txn_fail(t, Q_FAILED, "out of memory");
	return 0;
}

static void
txn_free(struct txn *t)
{
	t->q->pool -= buf_len(&t->content);
	if (t->body_fd != -1) {
		t->q->body_fds--;
		dio_close(t->body_fd);
	}
	buf_clear(&t->rcpts);
	buf_clear(&t->content);
	free(t);
}

uint64_t
txn_id(const struct txn *t)
{
	return t->id;
}

void
txn_tls_optional(struct txn *t)
{
	/* RFC 8689, 4.1: what MAIL says goes before the header. */
	if (!(t->m.flags & MSG_REQUIRETLS))
		t->m.flags |= MSG_TLS_OPTIONAL;
}

void
txn_abort(struct txn *t)
{
	map_del_u64(t->q->open_ids, t->id);
	if (t->body)
		body_unlink(t->id);
	txn_free(t);
}

/* Encodes the message into the batch. bytes: content not yet in the pool. */
static bool
txn_encode(struct txn *t, struct span prefix, struct span bytes)
{
	struct queue	*q = t->q;
	struct rec	 r = { .kind = t->ways != 0 ? REC_PREPARED :
			    REC_MESSAGE, .id = t->id, .qtime_ms = queue_now(q), .prefix = prefix,
			    .content = bytes };
	size_t		 before = buf_len(&q->msgs), ntold = 0;
	struct dsn_rcpt	*told = NULL;
	struct buf	 rcpts;
	bool		 ok;

	buf_init(&rcpts, REC_ENV_MAX);
	if (t->expanded)
		ntold = notice_expand(buf_content(&t->rcpts), &rcpts, &told,
		    t->ways != 0);
	r.wall_s = (uint32_t)(clock_wall().ms / 1000);
	t->m.rcpts = buf_content(ntold > 0 ? &rcpts : &t->rcpts);
	t->m.accepted_ms = r.qtime_ms;
	t->m.expire_ms = r.qtime_ms + t->ttl_ms;
	t->m.size = t->got;
	if (t->body)
		t->m.flags |= MSG_BODY_FILE;
	buf_reset(&q->env);
	ok = !rcpts.failed && rec_msg_encode(&q->env, &t->m);
	r.env = buf_content(&q->env);
	ok = ok && rec_encode(&q->msgs, &r) &&
	    buf_len(&q->msgs) - before <= record_max(q);
	if (!ok)
		q->msgs.len = q->msgs.start + before;
	else if (ntold > 0 && t->ways == 0)
		dsn_expanded(q, &r, &t->m, told, ntold);
	free(told);
	buf_clear(&rcpts);
	return ok;
}

void
txn_commit(struct txn *t, struct span prefix, struct span bytes, uint64_t size)
{
	struct queue	*q = t->q;
	bool		 inlined = t->got == 0 && !t->body &&
			    bytes.len <= REC_CONTENT_MAX;

	/* The usual one, all of it in this message, is copied but once. */
	if (inlined)
		t->got = bytes.len;
	else if (txn_data(t, bytes) == 0)
		bytes = buf_content(&t->content);
	if (t->body)
		bytes = span(NULL, 0);
	if (q->down)
		txn_fail(t, Q_FAILED, q->closed_why);
	else if (q->closed)
		txn_fail(t, Q_FULL, q->closed_why);
	else if (t->ways != 0 && map_count(q->prepared) + q->nentries >=
	    PREPARED_MAX)
		txn_fail(t, Q_FULL, "too many prepared messages");
	if (t->got != size || t->m.nrcpts == 0)
		txn_fail(t, Q_REFUSED, "not what was announced");
	if (t->status == Q_OK && !txn_encode(t, prefix, bytes))
		txn_fail(t, Q_FAILED, "envelope too long");
	if (t->status != Q_OK) {
		q->ops->committed(t->owner, t->tid, t->id, t->status, t->why);
		txn_abort(t);
		return;
	}
	q->entries[q->nentries++] = (struct batch_entry){ .owner = t->owner,
	    .tid = t->tid, .id = t->id, .size = t->got,
	    .nrcpts = t->m.nrcpts, .ways = t->ways, .body_fd = t->body_fd };
	t->body_fd = -1;		/* the batch's now */
	txn_free(t);
	if (q->nentries == BATCH_MSGS || buf_len(&q->msgs) >= BATCH_BYTES ||
	    buf_len(&q->msgs) >= q->params.seg_size / 4)
		queue_flush(q);
	else
		q->ops->want_flush(q, true);
}
