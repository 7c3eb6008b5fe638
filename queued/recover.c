/*
 * The start: the index is opened with recovery, what may not be durable at the
 * end of the segments is made so, and records that the index has not seen are
 * applied. An index that can't be used is set aside and made anew from the
 * segments alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "queued/diskio.h"
#include "queued/queue.h"

#define WINDOW	(1 << 20)	/* bytes read of a segment at a time */
#define TRIES	3

static const char not_known[] = "the queue was written by a version that is "
    "not known";

/* A piece of a segment in memory. */
struct window {
	struct queue	*q;
	uint64_t	 segment, limit;
	uint64_t	 at;		/* offset of the first byte in p */
	size_t		 len, cap;
	uint8_t		*p;
};

/* The bytes from offset on, at least `need` unless the segment ends. */
static struct span
window_at(struct window *w, uint64_t off, size_t need)
{
	size_t	 want;
	ssize_t	 n;
	uint8_t	*p;

	if (off >= w->limit)
		return span(NULL, 0);
	if (need > w->limit - off)
		need = w->limit - off;
	if (off < w->at || off + need > w->at + w->len) {
		want = need > WINDOW ? need : WINDOW;
		if (want > w->limit - off)
			want = w->limit - off;
		if (want > w->cap) {
			if ((p = realloc(w->p, want)) == NULL)
				fatal("recover");
			w->p = p;
			w->cap = want;
		}
		n = segs_read(w->q->segs, w->segment, w->p, want, off);
		if (n == -1) {
			log_warn("event=damage segment=%llx offset=%llu",
			    (unsigned long long)w->segment,
			    (unsigned long long)off);
			n = 0;
		}
		w->at = off;
		w->len = (size_t)n;
	}
	return span(w->p + (off - w->at), w->len - (off - w->at));
}

/* The record at off, whole if content, else header and envelope. */
static bool
record_at(struct window *w, uint64_t stamp, uint64_t off, bool content,
    struct rec *r, const char **why)
{
	size_t		 need = REC_HEAD;
	struct span	 s;
	enum parse	 st;

	for (;;) {
		s = window_at(w, off, need);
		st = content ? rec_decode(s, r, &need, why) :
		    rec_decode_env(s, r, &need, why);
		if (st != PARSE_MORE)
			break;
		if (need > w->limit - off || window_at(w, off, need).len < need)
			return false;
	}
	/* Sound ones of another segment, of whatever version, are bytes of an
	 * earlier life of the file, or of a message that somebody sent. */
	if ((st == PARSE_OK && stamp != 0 && r->stamp != stamp) ||
	    (st == PARSE_BAD && *why == rec_why_version &&
	    (stamp == 0 || r->stamp != stamp))) {
		*why = "no record of this segment";
		return false;
	}
	return st == PARSE_OK && r->total <= w->limit - off;
}

bool
recover_walk(struct queue *q, uint64_t segment, uint64_t from, uint64_t limit,
    bool content, bool (*f)(const struct rec *, uint64_t, void *), void *arg)
{
	struct window	 w = { .q = q, .segment = segment, .limit = limit };
	uint64_t	 stamp = segs_stamp(q->segs, segment);
	const char	*why = "";
	struct rec	 r;
	bool		 told = false, known = true;

	if (w.limit > segs_size(q->segs, segment))
		w.limit = segs_size(q->segs, segment);
	while (from < w.limit) {
		if (!record_at(&w, stamp, from, content, &r, &why)) {
			if (why == rec_why_version)
				known = false;
			if (!told) {
				q->damage++;
				log_warnx("event=damage segment=%llx offset="
				    "%llu why=\"%s\"",
				    (unsigned long long)segment,
				    (unsigned long long)from, why);
			}
			told = true;
			from += REC_ALIGN;
			continue;
		}
		told = false;
		if (stamp == 0)
			stamp = r.stamp;
		if (!f(&r, from, arg))
			break;
		from += r.total;
	}
	free(w.p);
	return known;
}

/* ---- the end of the newest segment ---- */

struct tail {
	uint64_t	 synced;	/* durable up to here */
	uint64_t	 end;		/* whole records up to here */
	uint64_t	 stamp;		/* of its records */
	bool		 version;	/* one of a version not known */
	bool		 behind;	/* sound ones behind the end */
};

/* The highest `synced` of all records, and where the sound ones end. */
static void
tail_find(struct queue *q, uint64_t number, struct tail *t)
{
	struct window	 w = { .q = q, .segment = number,
			    .limit = segs_size(q->segs, number) };
	uint64_t	 off = SEG_FIRST, bad = 0;
	const char	*why = "";
	struct rec	 r;

	t->synced = segs_closed_at(q->segs);
	if (t->synced < SEG_FIRST)
		t->synced = SEG_FIRST;
	t->end = SEG_FIRST;
	t->stamp = segs_stamp(q->segs, number);
	while (off < w.limit) {
		why = "";
		if (!record_at(&w, t->stamp, off, false, &r, &why)) {
			if (why == rec_why_version)
				t->version = true;
			if (bad == 0)
				bad = off;
			off += REC_ALIGN;
			continue;
		}
		/* With the segment's header lost, the first record tells whose
		 * bytes are not left from an earlier life of the file. */
		if (t->stamp == 0)
			t->stamp = r.stamp;
		if (r.synced > t->synced && r.synced <= off)
			t->synced = r.synced;
		/* Behind a bad one only what proves that the bad one was
		 * durable, and so is damage, counts. */
		if (bad != 0 && t->synced <= bad) {
			t->behind = true;
			off += REC_ALIGN;
			continue;
		}
		if (bad != 0) {
			q->damage++;
			log_warnx("event=damage segment=%llx offset=%llu",
			    (unsigned long long)number,
			    (unsigned long long)bad);
		}
		bad = 0;
		off += r.total;
		t->end = off;
	}
	free(w.p);
	if (t->end < t->synced)
		t->end = t->synced;
}

/* Whole records of the tail, in b; contents are checked: what is not sound was
 * never acknowledged, and nothing behind it is read. */
static void
tail_read(struct queue *q, uint64_t number, const struct tail *t,
    struct buf *b)
{
	struct window	 w = { .q = q, .segment = number, .limit = t->end };
	uint64_t	 off = t->synced;
	const char	*why;
	struct rec	 r;

	while (off < t->end && record_at(&w, t->stamp, off, true, &r, &why) &&
	    rec_content_ok(&r)) {
		if (!buf_span(b, span(r.env.p - REC_HEAD, r.total)))
			fatal("tail");
		off += r.total;
	}
	free(w.p);
}

/*
 * What lies behind the last place known durable is copied into a new segment
 * and synced there before anything is answered from it: a sync after a failed
 * one proves nothing.
 */
static int
tail_secure(struct queue *q)
{
	uint64_t	 number = segs_newest(q->segs);
	struct tail	 t = { 0 };
	struct buf	 b;
	int		 st = 0;

	buf_init(&b, segs_size(q->segs, number));
	tail_find(q, number, &t);
	if (t.version) {
		strlcpy(q->closed_why, not_known, sizeof(q->closed_why));
		return -1;
	}
	tail_read(q, number, &t, &b);
	/* What lies behind the end and was never acknowledged must not come to
	 * follow what is written there next. */
	if (buf_len(&b) == 0 && t.synced == segs_closed_at(q->segs) &&
	    t.end == t.synced && !t.behind && segs_stamp(q->segs, number) != 0)
		segs_resume(q->segs, t.synced);
	else if ((st = segs_next(q->segs, t.synced, b.p, buf_len(&b))) == -1) {
		space_release(q);
		st = segs_next(q->segs, t.synced, b.p, buf_len(&b));
	}
	buf_clear(&b);
	if (st == -1)
		strlcpy(q->closed_why, "the disk is full",
		    sizeof(q->closed_why));
	return st;
}

/* ---- replay ---- */

#define REPLAY_TXN	500

struct replay {
	struct queue	*q;
	uint64_t	 segment;
	uint64_t	 records;
	unsigned	 in_txn;
	struct store_hwm h;
	int64_t		 qtime_ms, wall_ms;	/* newest seen */
	bool		 unknown;		/* records of another version */
};

static bool
replay_one(const struct rec *r, uint64_t offset, void *arg)
{
	struct replay	*p = arg;

	if (p->in_txn == 0)
		store_begin(p->q->store);
	apply(p->q, r, p->segment, offset);
	p->records++;
	if (r->qtime_ms >= p->qtime_ms) {
		p->qtime_ms = r->qtime_ms;
		p->wall_ms = (int64_t)r->wall_s * 1000;
	}
	p->h.segment = p->segment;
	p->h.offset = offset + r->total;
	if (++p->in_txn == REPLAY_TXN) {
		p->h.qtime_ms = p->qtime_ms;
		p->h.wall_ms = p->wall_ms;
		store_commit(p->q->store, &p->h);
		store_checkpoint(p->q->store, false);
		p->in_txn = 0;
	}
	return true;
}

static void
replay_from(struct replay *p, uint64_t segment, uint64_t offset)
{
	struct queue	*q = p->q;
	uint64_t	 end;

	for (; segment != 0; segment = segs_after(q->segs, segment)) {
		p->segment = segment;
		end = segs_end(q->segs, segment);
		if (segment == segs_newest(q->segs))
			end = segs_tail(q->segs);
		if (offset < end && !recover_walk(q, segment, offset, end,
		    false, replay_one, p))
			p->unknown = true;
		offset = SEG_FIRST;
	}
	if (p->in_txn == 0)
		store_begin(q->store);
	p->h = (struct store_hwm){ segs_newest(q->segs), segs_tail(q->segs),
	    segs_oldest(q->segs), p->qtime_ms, p->wall_ms };
	store_commit(q->store, &p->h);
}

/* Is the place in the chain, with nothing missing? */
static bool
hwm_fits(struct queue *q, const struct store_hwm *h)
{
	if (segs_oldest(q->segs) > h->oldest && h->oldest != 0) {
		log_warnx("event=damage why=\"segments from %llx to %llx are "
		    "missing\"", (unsigned long long)h->oldest,
		    (unsigned long long)segs_oldest(q->segs) - 1);
		return false;
	}
	return segs_have(q->segs, h->segment) && h->offset >= SEG_FIRST;
}

static int
replay(struct queue *q)
{
	struct replay	 p = { .q = q };
	struct store_hwm h;
	uint64_t	 segment = segs_oldest(q->segs), offset = SEG_FIRST;
	int64_t		 wall = clock_wall().ms;

	p.wall_ms = wall;
	if (store_hwm(q->store, &h)) {
		if (!hwm_fits(q, &h))
			return -1;
		segment = h.segment;
		offset = h.offset;
		p.qtime_ms = h.qtime_ms;
		p.wall_ms = h.wall_ms;
	}
	q->replaying = true;
	replay_from(&p, segment, offset);
	q->replaying = false;
	if (p.unknown) {
		strlcpy(q->closed_why, not_known, sizeof(q->closed_why));
		return 0;
	}
	q->qtime_ms = retry_queue_time(p.qtime_ms, p.wall_ms, wall);
	q->mono_ms = clock_mono().ms;
	if (p.records > 0)
		log_info("event=replay records=%llu",
		    (unsigned long long)p.records);
	return 0;
}

/* ---- what else is found at the start ---- */

struct recent {
	struct queue	*q;
	bool		 ids, state;	/* wanted of this segment */
	bool		 said;		/* a state was found */
};

/* One that became ours: by its message, or as it was finished, which a
 * notification's record may say. */
static void
recent_id(struct queue *q, const struct rec *r)
{
	struct rec_change ch;
	struct rec_msg	 m = { .flags = 0 };
	const char	*why;
	struct span	 env = r->env;
	uint64_t	 id = r->id;
	enum parse	 st = PARSE_BAD;

	if (r->kind == REC_MESSAGE)
		map_set_u64(q->recent, r->id, q);
	if (r->kind == REC_MESSAGE && env.len > 0 &&
	    (env.p[0] & MSG_BOUNCE) &&
	    rec_msg_decode(env, r->version, &m, &why) == PARSE_OK &&
	    m.cause.len > 0) {
		id = m.cause_id;
		env = m.cause;
		st = rec_change_decode(env, r->version, &ch, &why);
	} else if (r->kind == REC_FINISHED)
		st = rec_change_decode(env, r->version, &ch, &why);
	if (st == PARSE_OK && (ch.what & CHANGE_FINISH) &&
	    !(ch.what & CHANGE_REMOVE))
		map_set_u64(q->recent, id, q);
}

static bool
recent_one(const struct rec *r, uint64_t offset, void *arg)
{
	struct recent	*x = arg;
	struct queue	*q = x->q;

	if (x->ids)
		recent_id(q, r);
	if (x->state && r->kind == REC_STATE) {
		q->replaying = true;
		apply(q, r, 0, offset);
		q->replaying = false;
		x->said = true;
	}
	return true;
}

/*
 * Ids of the last segments: a commit in doubt is of one of them. And what was
 * paused last, by the newest segment that says so.
 */
static void
recent_read(struct queue *q)
{
	struct recent	 x = { .q = q };
	uint64_t	 newest = segs_newest(q->segs), end;

	if ((q->recent = map_new(RECENT_MAX)) == NULL)
		fatal("recover");
	for (uint64_t n = newest; n >= segs_oldest(q->segs) && n > 0; n--) {
		if (!segs_have(q->segs, n))
			continue;
		x.ids = n + 1 >= newest;
		if (!x.ids && x.said)
			break;
		x.state = !x.said;
		end = n == newest ? segs_tail(q->segs) : segs_end(q->segs, n);
		recover_walk(q, n, SEG_FIRST, end, false, recent_one, &x);
	}
}

static void
orphan(const char *name, void *arg)
{
	struct queue	*q = arg;
	struct store_msg m;
	uint64_t	 id;

	if (body_name(name, &id) && !store_msg_get(q->store, id, &m))
		dio_unlink(name);
}

static int
index_open(struct queue *q)
{
	const char	*why = "";

	if (dio_exists(DIO_REBUILD)) {
		log_warnx("event=rebuild why=\"the index was found damaged\"");
		store_set_aside();
		dio_unlink(DIO_REBUILD);
		dio_sync_dir();
	}
	for (int i = 0; i < TRIES; i++) {
		q->store = store_open(&q->params.store, &why);
		if (q->store != NULL && replay(q) == 0) {
			if (q->closed_why[0] == '\0')
				return 0;
			/* An index without what was left out must not be
			 * taken for whole at the next start. */
			store_close(q->store);
			q->store = NULL;
			store_set_aside();
			return -1;
		}
		log_warnx("event=rebuild why=%s", log_quote(span_str(
		    q->store == NULL ? why : "it doesn't fit the segments")));
		store_close(q->store);
		q->store = NULL;
		space_release(q);	/* it may be for want of room */
		store_set_aside();
	}
	snprintf(q->closed_why, sizeof(q->closed_why),
	    "the index can't be recovered: %s", why);
	return -1;
}

int
recover(struct queue *q)
{
	const char	*why = "";

	if (q->lock_fd == -1) {
		strlcpy(q->closed_why, "another process has the queue",
		    sizeof(q->closed_why));
		return -1;
	}
	q->segs = segs_open(q->params.seg_size, q->params.seg_slice, &why);
	if (q->segs == NULL) {
		strlcpy(q->closed_why, why, sizeof(q->closed_why));
		return -1;
	}
	if (segs_count(q->segs) == 0) {
		if (segs_next(q->segs, 0, NULL, 0) == -1) {
			strlcpy(q->closed_why, "no room for a segment",
			    sizeof(q->closed_why));
			return -1;
		}
	} else if (tail_secure(q) == -1)
		return -1;
	if (index_open(q) == -1)
		return -1;
	recent_read(q);
	dio_each(orphan, q);
	queue_state_record(q, &q->changes);
	return 0;
}
