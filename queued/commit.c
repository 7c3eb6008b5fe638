/*
 * Transactions and batches: messages are collected, appended to the segment in
 * one write, made durable by one sync, answered, and only then brought into the
 * index. Changes ride along. This is the one place that appends records and
 * the one that waits for "durable".
 */
#include <errno.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/diskio.h"
#include "queued/dsn.h"
#include "queued/due.h"

#define SLACK	(64 << 10)	/* room in a segment for the state record */
#define REASONS_PART 16		/* of a segment, for the replies of a message */
#define REASON_MIN 40		/* bytes of a reply that are always kept */

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
	    m->helo.len + m->auth.len + m->tag.len);
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
	struct rec	 r = { .kind = REC_MESSAGE, .id = t->id,
			    .qtime_ms = queue_now(q), .prefix = prefix,
			    .content = bytes };
	size_t		 before = buf_len(&q->msgs), ntold = 0;
	struct dsn_rcpt	*told = NULL;
	struct buf	 rcpts;
	bool		 ok;

	buf_init(&rcpts, REC_ENV_MAX);
	if (t->expanded)
		ntold = notice_expand(buf_content(&t->rcpts), &rcpts, &told);
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
	else if (ntold > 0)
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
	    .nrcpts = t->m.nrcpts, .body_fd = t->body_fd };
	t->body_fd = -1;		/* the batch's now */
	txn_free(t);
	if (q->nentries == BATCH_MSGS || buf_len(&q->msgs) >= BATCH_BYTES ||
	    buf_len(&q->msgs) >= q->params.seg_size / 4)
		queue_flush(q);
	else
		q->ops->want_flush(q, true);
}

void
queue_forget_owner(struct queue *q, const void *owner)
{
	struct job	*j;

	for (size_t i = 0; i < q->nentries; i++)
		if (q->entries[i].owner == owner)
			q->entries[i].owner = NULL;
	for (size_t i = 0; i < q->nacks; i++)
		if (q->acks[i].agent == owner)
			q->acks[i].agent = NULL;
	TAILQ_FOREACH(j, &q->dirty, dirty_entry)
		for (size_t i = 0; i < j->nrcpts; i++)
			if (j->rcpts[i].agent == owner)
				j->rcpts[i].agent = NULL;
}

bool
queue_has(struct queue *q, uint64_t id)
{
	struct store_msg m;

	if (q->down)
		return false;
	if (store_msg_get(q->store, id, &m))
		return true;
	return q->recent != NULL && map_get_u64(q->recent, id) != NULL;
}

/* What goes into a segment that is empty but for its state. */
static size_t
batch_max(const struct queue *q)
{
	return q->params.seg_size - SEG_FIRST - SLACK;
}

/* Appends a record of at most max bytes to b. */
static bool
record_add(struct queue *q, struct buf *b, const struct rec *r, size_t max)
{
	struct rec	 x = *r;
	size_t		 before = buf_len(b);

	x.qtime_ms = queue_now(q);
	x.wall_s = (uint32_t)(clock_wall().ms / 1000);
	if (rec_encode(b, &x) && buf_len(b) - before <= max)
		return true;
	b->len = b->start + before;
	b->failed = false;
	log_warnx("event=fault op=record why=\"%zu bytes are too many\"",
	    r->env.len);
	return false;
}

bool
queue_record_beside(struct queue *q, const struct rec *r)
{
	size_t	 had = buf_len(&q->msgs);

	return had < batch_max(q) &&
	    record_add(q, &q->msgs, r, batch_max(q) - had);
}

bool
queue_record(struct queue *q, const struct rec *r)
{
	if (!record_add(q, &q->changes, r, batch_max(q)))
		return false;
	if (!q->flushing)
		q->ops->want_flush(q, buf_len(&q->changes) >
		    q->params.seg_size / 8);
	return true;
}

size_t
queue_reason_max(const struct queue *q, uint32_t nrcpts)
{
	uint64_t	 n = q->params.seg_size / REASONS_PART /
			    (nrcpts ? nrcpts : 1);

	return n > REC_REASON_MAX ? REC_REASON_MAX :
	    n < REASON_MIN ? REASON_MIN : (size_t)n;
}

void
queue_ack(struct queue *q, void *agent, uint32_t tid, uint64_t id, uint32_t n,
    uint32_t attempt)
{
	struct batch_ack *v;

	if (q->nacks == q->acks_cap) {
		q->acks_cap = q->acks_cap ? q->acks_cap * 2 : 256;
		v = reallocarray(q->acks, q->acks_cap, sizeof(*v));
		if (v == NULL)
			fatal("results");
		q->acks = v;
	}
	q->acks[q->nacks++] = (struct batch_ack){ agent, tid, n, attempt, id };
	if (!q->flushing)
		q->ops->want_flush(q, false);
}

/* What is paused, as a whole record. */
void
queue_state_record(struct queue *q, struct buf *b)
{
	struct buf	 names, env;
	struct rec_state st = { .mta_paused = q->mta_paused };
	struct rec	 r = { .kind = REC_STATE, .qtime_ms = queue_now(q) };

	buf_init(&names, REC_ENV_MAX);
	buf_init(&env, REC_ENV_MAX);
	st.npaused = queue_paused_names(q, &names);
	st.paused = buf_content(&names);
	r.wall_s = (uint32_t)(clock_wall().ms / 1000);
	rec_state_encode(&env, &st);
	r.env = buf_content(&env);
	if (!rec_encode(b, &r))
		fatalx("state record");
	buf_clear(&names);
	buf_clear(&env);
}

/* ---- the batch ---- */

static void
answer(struct queue *q, enum q_status st, const char *text)
{
	struct batch_entry *e;
	char		 id[ID_STRLEN];

	for (size_t i = 0; i < q->nentries; i++) {
		e = &q->entries[i];
		if (st == Q_OK) {
			q->stats.accepted++;
			log_debug("id=%s event=enqueue nrcpts=%u size=%llu",
			    id_str(e->id, id), e->nrcpts,
			    (unsigned long long)e->size);
		} else if (e->body_fd != -1)
			body_unlink(e->id);
		if (e->body_fd != -1) {
			q->body_fds--;
			dio_close(e->body_fd);
		}
		if (e->owner != NULL)
			q->ops->committed(e->owner, e->tid, e->id, st, text);
		map_del_u64(q->open_ids, e->id);
	}
	q->nentries = 0;
}

static void
acknowledge(struct queue *q)
{
	struct batch_ack *a;

	for (size_t i = 0; i < q->nacks; i++) {
		a = &q->acks[i];
		if (a->agent != NULL)
			q->ops->recorded(a->agent, a->tid, a->id, a->n,
			    a->attempt);
	}
	q->nacks = 0;
}

/* The next segment, which begins with the state. */
static int
next_segment(struct queue *q)
{
	struct buf	 b;
	int		 st;

	buf_init(&b, 2 * REC_ENV_MAX);
	queue_state_record(q, &b);
	st = segs_next(q->segs, segs_tail(q->segs), b.p, buf_len(&b));
	buf_clear(&b);
	return st;
}

/* Durable on return 0. -1: the disk is full; nothing of it is ever read. */
static int
write_batch(struct queue *q, struct buf *b)
{
	size_t	 len = buf_len(b);

	if (!segs_fit(q->segs, len) && next_segment(q) == -1)
		return -1;
	for (size_t i = 0; i < q->nentries; i++)
		if (q->entries[i].body_fd != -1)
			dio_sync(q->entries[i].body_fd);
	segs_stamp_all(q->segs, b->p + b->start, len);
	if (segs_append(q->segs, b->p + b->start, len) == 0) {
		segs_sync(q->segs);
		return 0;
	}
	/* What part of it has reached the file must never be read: the next
	 * segment says that this one ends before it. Then it is refused. */
	if (next_segment(q) == -1)
		dio_stop("void", "a batch", ENOSPC);
	return -1;
}

/* Brings the records of the batch, written at offset, into the index. */
static void
index_batch(struct queue *q, struct span s, uint64_t segment, uint64_t offset)
{
	struct store_hwm h = { .segment = segs_newest(q->segs),
	    .offset = segs_tail(q->segs), .oldest = segs_oldest(q->segs),
	    .qtime_ms = queue_now(q), .wall_ms = clock_wall().ms };
	struct rec	 r;
	const char	*why;
	size_t		 need;

	store_begin(q->store);
	while (s.len > 0 && rec_decode(s, &r, &need, &why) == PARSE_OK) {
		if (r.kind == REC_MESSAGE && r.content.len > 0)
			live_put(q, r.id, span(s.p, r.total));
		apply(q, &r, segment, offset);
		offset += r.total;
		span_skip(&s, r.total);
	}
	store_commit(q->store, &h);
	store_checkpoint(q->store, false);
}

/* Bytes of whole changes, from the first, that fit. */
static size_t
changes_fit(const struct queue *q, size_t room)
{
	struct span	 s = buf_content(&q->changes);
	size_t		 n = 0, len;

	if (s.len <= room)
		return s.len;
	for (; n < s.len && n + (len = rec_total(s.p + n)) <= room; n += len)
		;
	return n;
}

static bool
flush_once(struct queue *q)
{
	struct buf	*b = &q->msgs;
	size_t		 nchanges;
	uint64_t	 offset;
	struct span	 s;

	/* On a disk that is nearly full only changes are written: they free. */
	space_check(q, false);
	if (q->closed && q->nentries > 0) {
		answer(q, Q_FULL, q->closed_why);
		q->ops->answered(q);
		buf_reset(&q->msgs);
	}
	nchanges = changes_fit(q, buf_len(b) < batch_max(q) ?
	    batch_max(q) - buf_len(b) : 0);
	if (!buf_span(b, span_sub(buf_content(&q->changes), 0, nchanges)))
		fatal("batch");
	if (buf_len(b) == 0)
		return false;
	if (write_batch(q, b) == -1) {
		log_warnx("event=full why=\"the disk is full\"");
		answer(q, Q_FULL, "disk full");
		q->ops->answered(q);
		q->stuck = buf_len(&q->changes) > 0;
		buf_reset(b);
		space_check(q, true);
		return false;
	}
	q->stats.batches++;
	s = buf_content(b);
	offset = segs_tail(q->segs) - s.len;
	buf_drain(&q->changes, nchanges);
	if (buf_len(&q->changes) == 0) {
		q->stuck = false;
		buf_reset(&q->changes);
		acknowledge(q);
	}
	answer(q, Q_OK, "");
	q->ops->answered(q);
	index_batch(q, s, segs_newest(q->segs), offset);
	space_check(q, false);		/* what it holds has changed */
	buf_reset(b);
	return buf_len(&q->changes) > 0;
}

void
queue_flush(struct queue *q)
{
	if (q->down || q->flushing)
		return;
	q->flushing = true;
	do {
		result_write(q);
		while (flush_once(q))
			;
	} while (!TAILQ_EMPTY(&q->dirty) && buf_len(&q->changes) == 0);
	q->flushing = false;
	/* Acknowledgements of what needed no record. */
	if (buf_len(&q->changes) == 0 && q->nacks > 0) {
		acknowledge(q);
		q->ops->answered(q);
	}
	q->ops->want_run(q);
}
