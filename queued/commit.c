/*
 * Batches: what waits is appended to the segment in one write, made durable by
 * one sync, answered, and only then brought into the index. Changes ride along.
 * This is the one place that appends records and the one that waits for
 * "durable".
 */
#include <errno.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/diskio.h"
#include "queued/due.h"
#include "queued/prepared.h"

#define SLACK	(64 << 10)	/* room in a segment for the state record */
#define REASONS_PART 16		/* of a segment, for the replies of a message */
#define REASON_MIN 40		/* bytes of a reply that are always kept */

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
	prepared_owner_gone(q, owner);
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

static void
ack_add(struct queue *q, const struct batch_ack *a)
{
	struct batch_ack *v;

	if (q->nacks == q->acks_cap) {
		q->acks_cap = q->acks_cap ? q->acks_cap * 2 : 256;
		v = reallocarray(q->acks, q->acks_cap, sizeof(*v));
		if (v == NULL)
			fatal("results");
		q->acks = v;
	}
	q->acks[q->nacks++] = *a;
	if (!q->flushing)	/* for what is finished a client waits */
		q->ops->want_flush(q, a->finish);
}

void
queue_ack(struct queue *q, void *agent, uint32_t tid, uint64_t id, uint32_t n,
    uint32_t attempt)
{
	ack_add(q, &(struct batch_ack){ agent, tid, n, attempt, id, false,
	    Q_OK });
}

void
queue_ack_finish(struct queue *q, void *owner, uint32_t tid, uint64_t id,
    enum q_status st)
{
	ack_add(q, &(struct batch_ack){ .agent = owner, .tid = tid, .id = id,
	    .finish = true, .status = st });
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
			q->stats.accepted += e->ways == 0;
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
		if (st == Q_OK && e->ways != 0)
			prepared_new(q, e->owner, e->id, e->ways);
	}
	q->nentries = 0;
}

static void
acknowledge(struct queue *q)
{
	struct batch_ack *a;

	for (size_t i = 0; i < q->nacks; i++) {
		a = &q->acks[i];
		if (a->agent != NULL && a->finish)
			q->ops->finished(q, a->agent, a->tid, a->id,
			    a->status);
		else if (a->agent != NULL)
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
