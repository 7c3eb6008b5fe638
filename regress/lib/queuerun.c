/*
 * A run through queued's core and its check. See queuerun.h.
 */
#include "regress/lib/queuerun.h"

#include <fcntl.h>
#include <stdlib.h>

#include "queued/diskio.h"
#include "queued/prepared.h"

#define MIN	INT64_C(60000)

static uint32_t
number(struct run *r, uint32_t below)
{
	r->seed = r->seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (uint32_t)(r->seed >> 33) % below;
}

/* Everything about a message follows from its id. */
static size_t
length(uint64_t id)
{
	return id % 40 == 7 ? 70000 : (id * 7919) % 6000;
}

/* Its three recipients are three ways. */
static bool
prepared(uint64_t id)
{
	return id % 9 == 4;
}

/* What comes of each, and whether it is ours then. */
static enum q_settled
outcome(uint64_t id, unsigned way)
{
	static const enum q_settled v[4][3] = {
		{ SETTLED_TAKEN, SETTLED_TAKEN, SETTLED_TAKEN },
		{ SETTLED_QUEUE, SETTLED_TAKEN, SETTLED_REFUSED },
		{ SETTLED_QUEUE, SETTLED_REFUSED, SETTLED_REFUSED },
		{ SETTLED_QUEUE, SETTLED_TAKEN, SETTLED_QUEUE } };

	return v[id / 9 % 4][way];
}

static bool
is_ours(uint64_t id)
{
	return id / 9 % 4 != 2;
}

static bool
rerouted(uint64_t id)
{
	return id % 34 == 5;
}

static uint32_t
nrcpts(uint64_t id)
{
	return id % 4 == 0 || prepared(id) ? 3 : 1;
}

static const char *
rcpts(uint64_t id)
{
	return id % 8 == 0 && !prepared(id) ? "a@one.example b@one.example c@one.example" :
	    id % 4 == 0 || prepared(id) ? "a@one.example b@two.example c@three.example" :
	    id % 3 == 0 ? "a@two.example" : "a@one.example";
}

/* Fails for good: all of them, as far as they share a job. */
static bool
fails(uint64_t id)
{
	return !prepared(id) && (id % 10 == 3 || id % 16 == 8);
}

const struct queue_params run_params = { .seg_size = 128 << 10,
    .seg_slice = 32 << 10, .store = { .cache = 1 << 20, .lg_max = 64 << 10,
    .lg_bsize = 16 << 10 }, .reserve_file = 64 << 10 };

/* ---- the run ---- */

static void
committed(struct help *h, uint64_t id, enum q_status st)
{
	struct run	*r = h->arg;

	r->facts[id].acked = r->now;
	r->facts[id].status = st;
}

static void
recorded(struct help *h, uint64_t id, uint32_t n, uint32_t attempt)
{
	struct run	*r = h->arg;

	(void)attempt;
	if (id <= RUN_MSGS) {
		if (r->facts[id].given[n] != 0 &&
		    r->facts[id].recorded[n] == 0)
			r->facts[id].recorded[n] = r->now;
		return;
	}
	for (int i = 1; i <= RUN_MSGS; i++)
		if (r->bounce[i] == id)
			r->facts[i].bounce_recorded = r->now;
}

static void
hand(struct help *h, struct job *j, const struct rec *rec,
    const struct rec_msg *m)
{
	struct run	*r = h->arg;
	struct fact	*f;
	enum d_status	 st = D_OK;

	(void)rec;
	if (m->flags & MSG_BOUNCE) {
		f = &r->facts[m->cause_id];
		f->bounces++;
		if (f->bounce_given == 0)
			f->bounce_given = r->now;
		r->bounce[m->cause_id] = j->id;
	} else {
		f = &r->facts[j->id];
		if (fails(j->id))
			st = D_PERM;
		else if (j->id % 7 == 1 && j->rcpts[0].attempt == 1)
			st = D_TEMP;
		for (size_t i = 0; st != D_TEMP && i < j->nrcpts; i++) {
			if (f->given[j->rcpts[i].n] == 0)
				f->given[j->rcpts[i].n] = r->now;
			f->fate[j->rcpts[i].n] = st;
		}
	}
	help_end(h, j, st, "x y", D_DEST_OK);
}

/* Is it time to stop? */
static bool
step(struct run *r)
{
	r->steps++;
	return r->until != 0 && r->steps >= r->until;
}

static void
finished(struct help *h, uint64_t id, enum q_status st, bool told)
{
	struct run	*r = h->arg;
	struct fact	*f = &r->facts[id];

	if (f->finish == 0) {		/* nobody said how it ended */
		f->finish = r->now;
		f->keep = st == Q_OK;
	}
	if (!told || st != Q_OK)
		return;
	f->finished = r->now;
	for (unsigned w = 0; w < RUN_RCPTS; w++)
		if (outcome(id, w) != SETTLED_QUEUE && f->recorded[w] == 0)
			f->recorded[w] = r->now;
}

static void
settle(struct run *r, uint64_t id, unsigned way)
{
	struct fact	*f = &r->facts[id];

	if (outcome(id, way) != SETTLED_QUEUE) {
		f->given[way] = r->now;
		f->fate[way] = outcome(id, way) == SETTLED_TAKEN ? D_OK :
		    D_PERM;
	}
	help_settle(&r->h, id, way, outcome(id, way), "x y");
}

/* The servers of those prepared speak one after the other, as a batch goes on
 * or not; then it ends. False: stop. */
static bool
ways(struct run *r, uint64_t first, uint64_t end)
{
	struct fact	*f;

	for (unsigned w = 1; w <= RUN_RCPTS; w++) {
		for (uint64_t i = first; i < end; i++) {
			f = &r->facts[i];
			if (!prepared(i) || f->acked == 0 ||
			    f->status != Q_OK || f->finish != 0)
				continue;
			settle(r, i, w % RUN_RCPTS);
			if (w < RUN_RCPTS)
				continue;
			f->finish = r->now;
			f->keep = is_ours(i);
			prepared_finish(r->h.q, &r->h, 1, i, f->keep);
		}
		if (number(r, 3) == 0)
			queue_flush(r->h.q);
		if (step(r))
			return false;
	}
	return true;
}

/* Changes of those are durable that had been asked for. */
static void
changed(struct run *r, uint64_t end)
{
	struct fact	*f;

	if (buf_len(&r->h.q->changes) > 0)
		return;
	for (uint64_t i = 1; i < end; i++) {
		f = &r->facts[i];
		if (f->remove != 0)
			f->removed = r->now;
		if (f->route != 0 && f->routed == 0)
			f->routed = r->now;
	}
}

static bool
batch(struct run *r, uint64_t *id)
{
	struct help	*h = &r->h;
	uint64_t	 first = *id;

	for (uint32_t n = 1 + number(r, 7); n > 0 && *id <= RUN_MSGS; n--) {
		if (prepared(*id))
			help_prepare(h, *id, "sender@example.org", rcpts(*id),
			    length(*id), RUN_RCPTS);
		else
			help_send(h, *id, "sender@example.org", rcpts(*id),
			    length(*id));
		++*id;
	}
	if (step(r))
		return false;
	queue_flush(h->q);
	if (step(r))
		return false;
	for (uint64_t i = first; i < *id; i++) {
		if (i % 17 == 5)
			help_change(h, i, CHANGE_HOLD, true);
		if (rerouted(i)) {
			r->facts[i].route = r->now;
			help_route(h, i, "list");
		}
		if (i % 19 == 6 && !prepared(i)) {
			r->facts[i].remove = r->now;
			help_change(h, i, CHANGE_REMOVE, false);
		}
		if (i > 20 && (i - 20) % 17 == 5)
			help_change(h, i - 20, CHANGE_HOLD, false);
	}
	if (number(r, 3) == 0) {
		queue_flush(h->q);
		if (step(r))
			return false;
	}
	if (!ways(r, first, *id))
		return false;
	queue_run(h->q);
	if (step(r))
		return false;
	if (number(r, 2) == 0) {
		queue_flush(h->q);
		changed(r, *id);
	}
	for (uint32_t n = number(r, 4); n > 0; n--)
		queue_housekeep(h->q);
	help_advance(10000);
	return !step(r);
}

void
run_all(struct run *r, const struct conf *c)
{
	struct help	*h = &r->h;

	if (r->now == 0)
		r->now = r->next = 1;
	r->steps = 0;
	h->arg = r;
	h->can_hand = true;
	h->committed = committed;
	h->on_recorded = recorded;
	h->hand = hand;
	h->finished = finished;
	help_open_params(h, c, &run_params);
	if (h->q->down)			/* the fault came that early */
		return;
	while (r->next <= RUN_MSGS)
		if (!batch(r, &r->next))
			return;
	for (int i = 0; i < 4; i++) {
		help_advance(2 * MIN);
		queue_run(h->q);
		queue_flush(h->q);
		queue_housekeep(h->q);
		if (step(r))
			return;
	}
	help_close(h);
}

/* ---- the check ---- */

static struct check {
	const struct run *r;
	const struct conf *conf;
	struct queue	*q;
	uint32_t	 now;
	unsigned	 bounces[RUN_MSGS + 1];	/* found in the queue */
	bool		 present[RUN_MSGS + 1];	/* and not over */
	bool		 open[RUN_MSGS + 1];	/* prepared still */
	bool		 kept[RUN_MSGS + 1];	/* over, and can be read */
	unsigned	 handed[RUN_MSGS + 1];
} ck;

static bool
by(uint32_t when)
{
	return when != 0 && when <= ck.now;
}

#define WRONG(id, what) do {						\
	fprintf(stderr, "message %llu: %s (after %u operations)\n",	\
	    (unsigned long long)(id), (what), ck.now);			\
	_exit(99);							\
} while (0)

static bool
msg_one(uint64_t id, const struct store_msg *m, void *arg)
{
	(void)arg;
	if (id > 0 && id <= RUN_MSGS) {
		ck.present[id] = !(m->flags & MSG_KEPT);
		ck.open[id] = m->flags & MSG_PREPARED;
		ck.kept[id] = m->flags & MSG_KEPT;
		if ((m->flags & MSG_KEPT) && m->left != 0)
			WRONG(id, "is kept and still tried");
		if (ck.open[id] && !prepared(id))
			WRONG(id, "is prepared, which it never was");
	} else if (!(m->flags & MSG_BOUNCE) || m->from.len != 0)
		WRONG(id, "was never sent");
	return true;
}

static bool
ids_add(uint64_t id, const struct store_msg *m, void *arg)
{
	struct buf	*b = arg;

	return (m->flags & MSG_KEPT) || buf_add(b, &id, sizeof(id));
}

/* Its content is all there. */
static void
whole(uint64_t id)
{
	static uint8_t	 bytes[80000];
	struct rec	 rec;
	struct rec_msg	 m;
	const char	*why;
	ssize_t		 n;
	int		 fd;

	if (!load_record(ck.q, id, &rec) ||
	    rec_msg_decode(rec.env, rec.version, &m, &why) !=
	    PARSE_OK)
		WRONG(id, "can't be read");
	if (m.nrcpts != nrcpts(id) || m.size != length(id) ||
	    !span_is(rec.prefix, "Received: by test\r\n") ||
	    !span_is(m.from, "sender@example.org"))
		WRONG(id, "has another envelope");
	if (!(m.flags & MSG_BODY_FILE)) {
		if (rec.content.len != length(id) ||
		    !help_content_ok(id, rec.content))
			WRONG(id, "has another content");
		return;
	}
	if ((fd = body_open(id, false)) == -1)
		WRONG(id, "has no content");
	n = dio_pread(fd, bytes, sizeof(bytes), 0);
	if (n != (ssize_t)length(id) || !help_content_ok(id, span(bytes,
	    (size_t)n)))
		WRONG(id, "has another content in its file");
	dio_close(fd);
}

static void
check_bounces(uint64_t id, bool failed)
{
	const struct fact *f = &ck.r->facts[id];
	unsigned	 n = ck.bounces[id];

	if (f->remove != 0)		/* before or after it failed */
		return;
	if (n > 1)
		WRONG(id, "has two bounces");
	if (n > 0 && !failed)
		WRONG(id, "bounces and is still tried");
	if (n > 0 && by(f->bounce_recorded))
		WRONG(id, "bounces once more");
	if (n == 0 && failed && !by(f->bounce_given))
		WRONG(id, "failed and nobody hears of it");
}

static void
check_one(uint64_t id)
{
	const struct fact *f = &ck.r->facts[id];
	struct store_rcpt rc;
	unsigned	 over = 0, failed = 0, recorded = 0;
	bool		 ours = by(f->acked) && f->status == Q_OK;

	/* What is prepared stays, or is what its end was to make of it. */
	if (prepared(id) && ours && !ck.present[id])
		ours = !by(f->finish) || f->keep;
	if (by(f->acked) && f->status != Q_OK) {
		if (ck.present[id] || queue_has(ck.q, id))
			WRONG(id, "was refused and is there");
		return;
	}
	for (uint32_t n = 0; n < nrcpts(id); n++) {
		over += by(f->given[n]);
		recorded += by(f->recorded[n]);
		failed += by(f->given[n]) && f->fate[n] == D_PERM;
	}
	if (!ck.present[id]) {
		if (ours && over < nrcpts(id) && !by(f->remove))
			WRONG(id, "is lost");
		if (ck.kept[id])
			whole(id);
		else if (ck.conf->keep_ms > 0 && ours &&
		    recorded == nrcpts(id) && f->remove == 0)
			WRONG(id, "was to be kept and is gone");
		check_bounces(id, failed > 0 && ours);
		return;
	}
	if (by(f->removed))
		WRONG(id, "was removed and is there");
	whole(id);
	over = failed = 0;
	for (uint32_t n = 0; n < nrcpts(id); n++) {
		if (!store_rcpt_get(ck.q->store, id, n, &rc))
			WRONG(id, "lacks a recipient");
		if ((rc.state == RCPT_PREPARED) != ck.open[id] ||
		    (ck.open[id] && by(f->finished)))
			WRONG(id, "is neither prepared nor ours");
		if (ck.open[id]) {
			if (rc.settled != 0 && (outcome(id, n) + 1 !=
			    rc.settled || (rc.settled != SETTLED_QUEUE + 1 &&
			    !by(f->given[n]))))
				WRONG(id, "knows what no server said");
			continue;
		}
		if (by(f->routed) && rc.state == RCPT_WAITING &&
		    !span_is(rc.action, "list"))
			WRONG(id, "goes by its old action");
		if (!by(f->route) && span_is(rc.action, "list"))
			WRONG(id, "goes by another action");
		if (rc.state == RCPT_WAITING && by(f->recorded[n]))
			WRONG(id, "forgot a delivery that was confirmed");
		if (rc.state != RCPT_WAITING && !by(f->given[n]))
			WRONG(id, "thinks that it was delivered");
		over += rc.state != RCPT_WAITING;
		failed += rc.state == RCPT_FAILED;
	}
	if (over == nrcpts(id))
		WRONG(id, "is over and still there");
	check_bounces(id, failed > 0);
}

static void
check_hand(struct help *h, struct job *j, const struct rec *rec,
    const struct rec_msg *m)
{
	const struct fact *f;

	(void)rec;
	if (!(m->flags & MSG_BOUNCE)) {
		f = &ck.r->facts[j->id];
		if (by(f->acked) && f->status != Q_OK)
			WRONG(j->id, "was refused and is delivered");
		if (prepared(j->id) && by(f->finish) && !f->keep)
			WRONG(j->id, "is void and delivered");
		if (prepared(j->id) && !by(f->given[0]) && !by(f->given[1]) &&
		    !by(f->given[2]))
			WRONG(j->id, "is nobody's and delivered");
		for (size_t i = 0; i < j->nrcpts; i++)
			if (by(f->recorded[j->rcpts[i].n]))
				WRONG(j->id, "is delivered again");
		whole(j->id);
		ck.handed[j->id] += (unsigned)j->nrcpts;
		if (ck.handed[j->id] > nrcpts(j->id))
			WRONG(j->id, "is delivered twice");
	}
	help_end(h, j, D_OK, "250", D_DEST_OK);
}

/* All that is left is delivered, each once, and nothing stays. */
static void
drain(struct help *h)
{
	queue_pause_mta(h->q, false);
	help_advance(PREPARED_OPEN_MS);
	while (prepared_step(h->q))
		;
	if (h->q->nprepared + map_count(h->q->prepared) != 0)
		queue_flush(h->q);
	for (uint64_t id = 1; id <= RUN_MSGS; id++)
		if (ck.present[id])
			help_change(h, id, CHANGE_HOLD, false);
	for (int i = 0; i < 5; i++) {
		queue_flush(h->q);
		queue_run(h->q);
		queue_flush(h->q);
		queue_housekeep(h->q);
		help_advance(2 * MIN + ck.conf->keep_ms);
	}
	queue_housekeep(h->q);
	if (h->q->messages + h->q->nprepared + h->q->kept != 0) {
		fprintf(stderr, "%llu messages stay (after %u operations)\n",
		    (unsigned long long)(h->q->messages + h->q->nprepared +
		    h->q->kept), ck.now);
		_exit(99);
	}
}

void
run_check(const struct run *r, const struct conf *c, uint32_t now)
{
	static struct help h;
	struct buf	 ids;
	struct rec	 rec;
	struct rec_msg	 m;
	const char	*why;
	uint64_t	 id;

	memset(&ck, 0, sizeof(ck));
	ck.r = r;
	ck.conf = c;
	ck.now = now;
	h.hand = check_hand;
	h.can_hand = true;
	help_open_params(&h, c, &run_params);
	ck.q = h.q;
	if (h.q->down) {
		fprintf(stderr, "down: %s (after %u operations)\n",
		    h.q->closed_why, now);
		_exit(99);
	}
	store_msgs(h.q->store, 0, msg_one, NULL);
	buf_init(&ids, 1 << 20);
	store_msgs(h.q->store, RUN_MSGS + 1, ids_add, &ids);
	for (size_t i = 0; i < buf_len(&ids); i += sizeof(id)) {
		memcpy(&id, buf_content(&ids).p + i, sizeof(id));
		if (!load_record(h.q, id, &rec) ||
		    rec_msg_decode(rec.env, rec.version, &m, &why) !=
		    PARSE_OK ||
		    m.cause_id == 0 || m.cause_id > RUN_MSGS)
			WRONG(id, "is no bounce of one of ours");
		ck.bounces[m.cause_id]++;
	}
	buf_clear(&ids);
	for (id = 1; id <= RUN_MSGS; id++)
		check_one(id);
	drain(&h);
	help_close(&h);
}
