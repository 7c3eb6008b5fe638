/*
 * The check of the queue: see audit.h.
 */
#include "queued/audit.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "queued/diskio.h"

#define STEP_BYTES	(1 << 20)
#define PAGE		64
#define SEEN_MAX	(1 << 24)
#define ENV_FIRST	4096	/* bytes read of a record for its envelope */

struct audit_msg {
	uint64_t	 segment, offset;
	uint64_t	 size;
	uint32_t	 nrcpts, left;
	bool		 body, kept, prepared;
	uint8_t		 over[];	/* a bit a recipient */
};

static void
problem(struct audit *v, const char *what, uint64_t id, uint64_t segment,
    uint64_t offset)
{
	v->problems++;
	v->problem(v, what, id, segment, offset);
}

bool
audit_init(struct audit *v, struct queue *q, bool offline)
{
	v->q = q;
	v->offline = offline;
	if ((v->seen = map_new(SEEN_MAX)) == NULL)
		return false;
	v->segment = segs_oldest(q->segs);
	v->off = SEG_FIRST;
	for (uint64_t n = v->segment; n != 0; n = segs_after(q->segs, n))
		v->total_bytes += segs_end(q->segs, n) < segs_size(q->segs, n) ?
		    segs_end(q->segs, n) : segs_size(q->segs, n);
	if (!offline) {
		v->total_bytes -= segs_size(q->segs, segs_newest(q->segs)) -
		    segs_tail(q->segs);
		pin_set(q, &v->pin, v->segment, false);
	}
	return true;
}

static bool
free_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	free(v);
	return true;
}

void
audit_clear(struct audit *v)
{
	if (v->seen == NULL)
		return;
	if (!v->offline)
		pin_clear(v->q, &v->pin);
	map_each(v->seen, free_one, NULL);
	map_free(v->seen);
	v->seen = NULL;
}

/* ---- what the segments say of a message ---- */

static void
seen_drop(struct audit *v, uint64_t id)
{
	free(map_del_u64(v->seen, id));
}

static void
seen_fate(struct audit_msg *s, uint32_t n, uint8_t state)
{
	uint8_t	 bit = (uint8_t)(1 << n % 8);

	if (n >= s->nrcpts || state == RCPT_WAITING ||
	    state == RCPT_PREPARED || (s->over[n / 8] & bit))
		return;
	s->over[n / 8] |= bit;
	s->left--;
}

static void
seen_put(struct audit *v, const struct rec *r, const struct rec_msg *m,
    uint64_t offset)
{
	struct audit_msg *s;
	struct span	 rcpts = m->rcpts;
	struct rec_rcpt	 e;

	seen_drop(v, r->id);
	s = calloc(1, sizeof(*s) + m->nrcpts / 8 + 1);
	if (s == NULL || !map_set_u64(v->seen, r->id, s)) {
		free(s);
		problem(v, "too many messages to be followed", r->id, 0, 0);
		return;
	}
	s->segment = v->segment;
	s->offset = offset;
	s->size = m->size;
	s->nrcpts = s->left = m->nrcpts;
	s->body = (m->flags & MSG_BODY_FILE) != 0;
	s->kept = (m->flags & MSG_KEPT) != 0;
	s->prepared = (m->flags & MSG_PREPARED) != 0;
	while (rec_rcpt_next(&rcpts, m->version, &e))
		seen_fate(s, e.n, e.state);
}

static void
seen_change(struct audit *v, uint64_t id, uint8_t version, struct span env)
{
	struct audit_msg *s = map_get_u64(v->seen, id);
	struct rec_change ch;
	struct rec_fate	 f;
	const char	*why;

	if (s == NULL || rec_change_decode(env, version, &ch, &why) !=
	    PARSE_OK)
		return;
	if (s->prepared != ((ch.what & CHANGE_FINISH) != 0) &&
	    (s->prepared || (ch.what & CHANGE_REMOVE)))
		return;			/* as apply.c has it */
	s->prepared = false;
	while (rec_fate_next(&ch.rcpts, ch.version, &f))
		seen_fate(s, f.n, f.state);
	/* One that is kept then ends by a removal alone. */
	if (s->left == 0 && (ch.what & CHANGE_KEEP))
		s->kept = true;
	if ((ch.what & CHANGE_REMOVE) || (s->left == 0 && !s->kept))
		seen_drop(v, id);
}

static void
message(struct audit *v, const struct rec *r, const struct rec_msg *m,
    uint64_t offset)
{
	struct store_msg row;

	if (v->offline) {
		seen_put(v, r, m, offset);
		return;
	}
	if (!store_msg_get(v->q->store, r->id, &row)) {
		seen_put(v, r, m, offset);
		return;
	}
	seen_drop(v, r->id);
	if (row.segment < v->segment ||
	    (row.segment == v->segment && row.offset < offset))
		problem(v, "the index has an older record of it", r->id,
		    v->segment, offset);
}

/* ---- segments ---- */

static bool
record(const struct rec *r, uint64_t offset, void *arg)
{
	struct audit	*v = arg;
	struct rec_msg	 m;
	struct rec_change ch;
	struct rec_settled settled;
	struct rec_state st;
	const char	*why = "kind of the record";
	enum parse	 ok = PARSE_BAD;

	/* At an end that nobody has stated only what is known to have been
	 * durable is missed. */
	if (offset != v->off && (!v->open_end || r->synced > v->off))
		problem(v, "bytes that are no record", 0, v->segment, v->off);
	v->records++;
	if (!rec_content_ok(r))
		problem(v, "checksum of the content", r->id, v->segment,
		    offset);
	switch (r->kind) {
	case REC_MESSAGE:
	case REC_SNAPSHOT:
	case REC_PREPARED:
		ok = rec_msg_decode(r->env, r->version, &m, &why);
		if (ok != PARSE_OK)
			break;
		message(v, r, &m, offset);
		if (m.cause.len > 0)
			seen_change(v, m.cause_id, r->version, m.cause);
		break;
	case REC_CHANGE:
	case REC_FINISHED:
		ok = rec_change_decode(r->env, r->version, &ch, &why);
		if (ok == PARSE_OK)
			seen_change(v, r->id, r->version, r->env);
		break;
	case REC_SETTLED:
		ok = rec_settled_decode(r->env, &settled, &why);
		break;
	case REC_STATE:
		ok = rec_state_decode(r->env, &st, &why);
		break;
	}
	if (ok != PARSE_OK)
		problem(v, why, r->id, v->segment, offset);
	v->off = offset + r->total;
	v->stopped = v->off >= v->limit;
	return !v->stopped;
}

static void
next_segment(struct audit *v)
{
	uint64_t	 next = segs_after(v->q->segs, v->segment);

	if (next != 0 && next != v->segment + 1)
		problem(v, "segments behind this one are missing", 0,
		    v->segment, 0);
	v->segment = next;
	v->off = SEG_FIRST;
	v->pin.segment = next;
	if (next == 0) {
		v->pin.segment = UINT64_MAX;
		v->phase = v->q->store == NULL ? AUDIT_LEFT : AUDIT_INDEX;
	}
}

/* Where the segment ends; open_end if only its own records tell. */
static uint64_t
segment_end(struct audit *v)
{
	struct segs	*s = v->q->segs;
	uint64_t	 end;

	v->open_end = false;
	if (v->segment != segs_newest(s))
		end = segs_end(s, v->segment);
	else if (!v->offline)
		end = segs_tail(s);
	else if ((end = segs_closed_at(s)) == 0) {
		v->open_end = true;
		end = segs_size(s, v->segment);
	}
	return end < segs_size(s, v->segment) ? end :
	    segs_size(s, v->segment);
}

static void
segments_step(struct audit *v)
{
	struct queue	*q = v->q;
	uint64_t	 damage = q->damage, begin = v->off, end;

	if (v->segment == 0) {
		next_segment(v);
		return;
	}
	if (!v->offline)
		queue_flush(q);
	end = segment_end(v);
	v->limit = end - begin < STEP_BYTES ? end : begin + STEP_BYTES;
	v->stopped = false;
	if (begin < end && !recover_walk(q, v->segment, begin, end, true,
	    record, v))
		problem(v, "records of a version that is not known", 0,
		    v->segment, begin);
	q->damage = damage;		/* it is counted at the start */
	v->bytes += v->off - begin;
	if (v->stopped && v->off < end)
		return;
	if (v->off < end && !v->open_end)
		problem(v, "bytes that are no record", 0, v->segment, v->off);
	next_segment(v);
}

/* ---- index ---- */

static bool
page_msg(uint64_t id, const struct store_msg *m, void *arg)
{
	struct audit	*v = arg;

	(void)m;
	v->ids[v->n++] = id;
	return v->n < PAGE;
}

/* Is the record that the row names there? Header and envelope are looked at;
 * the content was, among the segments. */
static bool
row_record(struct audit *v, uint64_t id, const struct store_msg *m)
{
	uint8_t		*p;
	size_t		 need = 0, len = m->length < ENV_FIRST ? m->length :
			    ENV_FIRST;
	struct rec	 r;
	const char	*why;
	enum parse	 st = PARSE_BAD;

	if ((p = malloc(m->length)) == NULL)
		return false;
	for (;;) {
		if (segs_read(v->q->segs, m->segment, p, len, m->offset) !=
		    (ssize_t)len)
			break;
		st = rec_decode_env(span(p, len), &r, &need, &why);
		if (st != PARSE_MORE || len == m->length)
			break;
		len = need < m->length ? need : m->length;
	}
	free(p);
	return st == PARSE_OK && r.id == id && r.total == m->length &&
	    rec_is_message(&r);
}

static void
body(struct audit *v, uint64_t id, uint64_t size)
{
	int	 fd = body_open(id, false);

	if (fd == -1)
		problem(v, "the file of its content is missing", id, 0, 0);
	else if ((uint64_t)dio_size(fd) != size)
		problem(v, "the file of its content has another length", id, 0,
		    0);
	dio_close(fd);
	v->bodies++;
}

struct count {
	struct audit	*v;
	const struct store_msg *m;
	uint64_t	 id;
	uint32_t	 n, waiting, prepared;
	struct store_due due[PAGE];	/* of the first that wait */
};

static bool
count_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct count	*c = arg;

	(void)n;
	c->n++;
	c->prepared += r->state == RCPT_PREPARED;
	if (r->state != RCPT_WAITING)
		return true;
	if (c->waiting < PAGE)
		c->due[c->waiting] = (struct store_due){ .id = c->id,
		    .dest = r->dest, .next_ms = r->next_ms };
	c->waiting++;
	return true;
}

/* Each that waits is due at its time, or with an earlier one of the same
 * destination. */
static void
row_dues(struct audit *v, struct count *c)
{
	uint32_t	 n = c->waiting < PAGE ? c->waiting : PAGE;
	struct store_due *d;

	for (uint32_t i = 0; i < n; i++) {
		d = &c->due[i];
		for (uint32_t k = 0; k < n; k++)
			if (c->due[k].dest == d->dest &&
			    c->due[k].next_ms < d->next_ms)
				d->next_ms = c->due[k].next_ms;
		/* Of more than are looked at an earlier one may be another. */
		if (c->waiting <= PAGE && !store_due_has(v->q->store, d))
			problem(v, "it is not in the schedule", c->id, 0, 0);
	}
}

static void
index_row(struct audit *v, uint64_t id)
{
	struct audit_msg *s;
	struct store_msg m;
	struct count	 c = { .v = v, .id = id };

	if (!store_msg_get(v->q->store, id, &m))
		return;			/* over meanwhile */
	v->messages++;
	if (!row_record(v, id, &m))
		problem(v, "its record is not where the index says", id,
		    m.segment, m.offset);
	if (m.flags & MSG_BODY_FILE)
		body(v, id, m.size);
	s = map_get_u64(v->seen, id);
	if (v->offline && (s == NULL || s->segment != m.segment ||
	    s->offset != m.offset || s->left != m.left))
		problem(v, "index and segments do not agree on it", id,
		    m.segment, m.offset);
	if (v->offline)
		seen_drop(v, id);
	store_rcpts(v->q->store, id, count_rcpt, &c);
	if (c.n != m.nrcpts || c.waiting + c.prepared != m.left ||
	    (c.prepared > 0 && !(m.flags & MSG_PREPARED)))
		problem(v, "recipients are missing in the index", id, 0, 0);
	if (!m.held)
		row_dues(v, &c);
}

static void
index_step(struct audit *v)
{
	v->n = 0;
	if (!v->offline)
		queue_flush(v->q);
	store_msgs(v->q->store, v->from, page_msg, v);
	for (size_t i = 0; i < v->n; i++)
		index_row(v, v->ids[i]);
	if (v->n < PAGE)
		v->phase = AUDIT_SCHEDULE;
	else
		v->from = v->ids[PAGE - 1] + 1;
}

/* ---- schedule ---- */

static bool
page_due(const struct store_due *d, void *arg)
{
	struct audit	*v = arg;

	v->dues[v->n++] = *d;
	return v->n < PAGE;
}

static void
schedule_step(struct audit *v)
{
	struct store_msg m;

	v->n = 0;
	if (!v->offline)
		queue_flush(v->q);
	store_sched(v->q->store, &v->due, page_due, v);
	for (size_t i = 0; i < v->n; i++)
		if (!store_msg_get(v->q->store, v->dues[i].id, &m) || m.held ||
		    (m.flags & MSG_PREPARED))
			problem(v, "the schedule has it, but it does not wait",
			    v->dues[i].id, 0, 0);
	if (v->n < PAGE) {
		v->phase = AUDIT_LEFT;
		return;
	}
	v->due = v->dues[PAGE - 1];
	if (++v->due.dest == 0)
		v->due.id++;
}

/* ---- what is left ---- */

static bool
left_one(struct span key, void *val, void *arg)
{
	struct audit	*v = arg;
	struct audit_msg *s = val;
	uint64_t	 id;

	memcpy(&id, key.p, sizeof(id));
	if (v->q->store != NULL)
		problem(v, "the segments have it, the index does not", id,
		    s->segment, s->offset);
	else {
		v->messages++;
		if (s->body)
			body(v, id, s->size);
	}
	return true;
}

bool
audit_step(struct audit *v)
{
	switch (v->phase) {
	case AUDIT_SEGMENTS:
		segments_step(v);
		return true;
	case AUDIT_INDEX:
		index_step(v);
		return true;
	case AUDIT_SCHEDULE:
		schedule_step(v);
		return true;
	default:
		map_each(v->seen, left_one, v);
		return false;
	}
}
