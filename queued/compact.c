/*
 * Removal of segments, strictly oldest first. When the segments hold much more
 * than what still lives, the live messages of the oldest are copied forward as
 * snapshots, some at a time; an empty one becomes the spare or goes.
 */
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "queued/queue.h"

#define STEP_MSGS	64
#define STEP_BYTES	(1 << 20)

struct step {
	struct queue	*q;
	unsigned	 msgs;
	size_t		 bytes;
	uint64_t	 next;		/* offset behind the last one seen */
};

/* Is it worth while? More than twice what lives, and two segments beside. */
static bool
wanted(const struct queue *q)
{
	uint64_t all = segs_count(q->segs) * q->params.seg_size;

	return segs_count(q->segs) > 2 && all >
	    2 * q->live_records_bytes + 2 * q->params.seg_size;
}

struct rcpts {
	struct buf	 b;
	bool		 reasons;
};

static bool
snapshot_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct rcpts	*v = arg;
	struct rec_rcpt	 e = { .n = n, .state = r->state,
			    .notify = r->notify, .attempt = r->attempt,
			    .next_ms = r->next_ms, .last_ms = r->last_ms,
			    .to = r->to, .action = r->action,
			    .flags = r->flags, .group = r->group,
			    .way = r->way, .settled = r->settled };

	if (v->reasons) {
		e.reason = r->reason;
		e.server = r->server;
	}
	return rec_rcpt_add(&v->b, &e);
}

/* ORCPT and what the client gave are in no row: they come from the old
 * record. */
static void
add_orcpts(struct buf *out, struct span now, const struct rec_msg *m)
{
	struct span	 old = m->rcpts;
	struct rec_rcpt	 a, b;

	while (rec_rcpt_next(&now, REC_VERSION, &a)) {
		if (rec_rcpt_next(&old, m->version, &b)) {
			a.orcpt = b.orcpt;
			a.orig = b.orig;
		}
		rec_rcpt_add(out, &a);
	}
}

/* Appends the message in its present state. */
static bool
copy_forward(struct queue *q, const struct rec *r, const struct rec_msg *m,
    bool reasons)
{
	struct rec	 out = *r;
	struct rec_msg	 e = *m;
	struct rcpts	 rows = { .reasons = reasons };
	struct buf	 rcpts;
	bool		 ok;

	buf_init(&rows.b, REC_ENV_MAX);
	buf_init(&rcpts, REC_ENV_MAX);
	store_rcpts(q->store, r->id, snapshot_rcpt, &rows);
	add_orcpts(&rcpts, buf_content(&rows.b), m);
	e.rcpts = buf_content(&rcpts);
	e.cause = span(NULL, 0);
	buf_reset(&q->env);
	ok = !rows.b.failed && !rcpts.failed && rec_msg_encode(&q->env, &e);
	out.kind = REC_SNAPSHOT;
	out.env = buf_content(&q->env);
	ok = ok && queue_record(q, &out);
	buf_clear(&rows.b);
	buf_clear(&rcpts);
	return ok;
}

static bool
snapshot(const struct rec *r, uint64_t offset, void *arg)
{
	struct step	*s = arg;
	struct queue	*q = s->q;
	struct store_msg m;
	struct rec_msg	 e;
	const char	*why;

	if (s->msgs == STEP_MSGS || s->bytes >= STEP_BYTES)
		return false;
	s->next = offset + r->total;
	if (!rec_is_message(r) ||
	    !store_msg_get(q->store, r->id, &m) ||
	    m.segment != q->compact_seg || m.offset != offset)
		return true;
	if (!rec_content_ok(r) || rec_msg_decode(r->env, r->version, &e,
	    &why)) {
		log_warnx("event=damage segment=%llx offset=%llu",
		    (unsigned long long)q->compact_seg,
		    (unsigned long long)offset);
		return true;
	}
	e.flags = m.flags;		/* it may be kept now */
	e.expire_ms = m.expire_ms;
	e.held = m.held;
	e.held_since_ms = m.held_since_ms;
	/* With very many recipients their last replies may be too much. */
	if (copy_forward(q, r, &e, true) || copy_forward(q, r, &e, false)) {
		s->msgs++;
		s->bytes += r->total;
	}
	return true;
}

/* The index knows that the segment is gone, durably, before it goes. */
static void
drop(struct queue *q)
{
	struct store_hwm h = { .segment = segs_newest(q->segs),
	    .offset = segs_tail(q->segs), .qtime_ms = queue_now(q),
	    .wall_ms = clock_wall().ms };
	uint64_t	 number = segs_oldest(q->segs);

	h.oldest = segs_after(q->segs, number);
	store_begin(q->store);
	store_commit(q->store, &h);
	store_flush(q->store);
	segs_drop_oldest(q->segs);
	log_debug("event=segment number=%llx result=%s",
	    (unsigned long long)number, "dropped");
}

bool
compact_step(struct queue *q)
{
	struct step	 s = { .q = q };
	uint64_t	 number, end;

	/* Snapshots are of the index's state: nothing waits to be applied. */
	if (q->down || buf_len(&q->changes) > 0 || q->nentries > 0 ||
	    segs_count(q->segs) < 2)
		return false;
	number = segs_oldest(q->segs);
	if (pin_holds(q, number))
		return false;
	if (apply_live(q, number) == 0) {
		drop(q);
		return segs_count(q->segs) > 1 &&
		    apply_live(q, segs_oldest(q->segs)) == 0;
	}
	if (q->low || q->walks > 0 || !wanted(q))
		return false;
	if (q->compact_seg != number) {
		q->compact_seg = number;
		q->compact_off = SEG_FIRST;
	}
	end = segs_end(q->segs, number);
	if (q->compact_off >= end) {
		/* What is left there can't be read; say so and stay. */
		return false;
	}
	s.next = end;
	recover_walk(q, number, q->compact_off, end, true, snapshot, &s);
	q->compact_off = s.msgs == 0 ? end : s.next;
	queue_flush(q);
	return true;
}
