/*
 * The schedule: rows that are due become jobs, jobs are handed out in turns of
 * their destinations. See due.h.
 */
#include "queued/due.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/dest.h"

#define SCAN_PAGE	256	/* rows read at a time */
#define SCAN_PAGES	16	/* pages of one queue_run() */
#define DESTS_MAX	200000
#define LOOK_MS		60000	/* called again at least so often */
#define DUE_NOW_MS	1000	/* recipients due so soon go along */
#define SCAN_LOOK	4096	/* rows looked at for one page */
#define FIRST_MS	1000	/* to become due, for one that is to be first */
#define PROBE_LOOK_MS	1000	/* those parked are looked at so often */
#define DEST_KEEP_MS	1800000	/* trouble is remembered for so long */
#define IDLE_MAX	1000	/* destinations asked in vain in one turn */
#define IDLE_MS		10	/* then others have their turn */
#define CROWDED_MS	1000	/* too many destinations: wait for some to go */

/* (message, destination): its rows are to be looked at once more. */
struct due_again {
	uint64_t	 id, dest;
};

static uint64_t
job_key(uint64_t id, uint64_t dest)
{
	return id ^ (dest << 17 | dest >> 47);
}

void
due_init(struct queue *q)
{
	q->dests = map_new(DESTS_MAX);
	q->jobs = map_new(READY_TOTAL + 100 * RUNNING_MAX);
	if (q->dests == NULL || q->jobs == NULL)
		fatal("due");
}

struct job *
job_find(const struct queue *q, uint64_t id, uint64_t dest)
{
	struct job	*j = map_get_u64(q->jobs, job_key(id, dest));

	return j != NULL && j->id == id && j->dest->key == dest ? j : NULL;
}

bool
due_runs(const struct queue *q, uint64_t id, uint64_t dest)
{
	struct job	*j = job_find(q, id, dest);

	return j != NULL && (j->running || j->ended);
}

/* ---- destinations in memory ---- */

static struct dest *
dest_new(struct queue *q, uint64_t key, struct span action, const char *domain)
{
	struct dest	*d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->key = key;
	d->action = span_dup(action);
	d->domain = strdup(domain);
	d->window = DEST_WINDOW;
	TAILQ_INIT(&d->ready);
	if (d->action == NULL || d->domain == NULL ||
	    !map_set_u64(q->dests, key, d)) {
		free(d->action);
		free(d->domain);
		free(d);
		return NULL;
	}
	if (d->window > dest_limit(q->conf, d))
		d->window = dest_limit(q->conf, d);
	d->paused = queue_is_paused(q, d);
	d->used_ms = queue_now(q);
	return d;
}

/* Where a destination waits for its turn: among those that may start a job
 * now, or parked until a job ends, a probe is due or somebody resumes it. */
static void
dest_place(struct queue *q, struct dest *d)
{
	int	 to = DEST_IDLE;

	if (d->nready > 0 || d->backlog)
		to = dest_may_start(d, queue_now(q)) ? DEST_ACTIVE :
		    DEST_PARKED;
	if (to == DEST_PARKED && d->state == DEST_DOWN && d->running == 0 &&
	    !d->paused && (q->probe_ms == 0 || d->probe_ms < q->probe_ms))
		q->probe_ms = d->probe_ms;
	if (to == (int)d->place)
		return;
	if (d->place == DEST_ACTIVE) {
		TAILQ_REMOVE(&q->active, d, entry);
		q->nactive--;
	} else if (d->place == DEST_PARKED)
		TAILQ_REMOVE(&q->parked, d, entry);
	if (to == DEST_ACTIVE) {
		TAILQ_INSERT_TAIL(&q->active, d, entry);
		q->nactive++;
	} else if (to == DEST_PARKED)
		TAILQ_INSERT_TAIL(&q->parked, d, entry);
	d->place = to;
}

static void
dest_free(struct queue *q, struct dest *d)
{
	map_del_u64(q->dests, d->key);
	free(d->action);
	free(d->domain);
	free(d);
}

/* What nobody needs to remember goes. */
static void
dest_rest(struct queue *q, struct dest *d)
{
	dest_place(q, d);
	if (d->place == DEST_IDLE && d->njobs == 0 && (d->state == DEST_UP ||
	    queue_now(q) - d->used_ms > DEST_KEEP_MS))
		dest_free(q, d);
}

static bool
rest_one(struct span key, void *v, void *arg)
{
	(void)key;
	dest_rest(arg, v);
	return true;
}

/* From time to time: probes that are due, destinations that nobody asks for. */
static void
look_at_dests(struct queue *q, int64_t now)
{
	struct dest	*d, *next;

	if (q->probe_ms != 0 && now >= q->probe_ms &&
	    now - q->probed_ms >= PROBE_LOOK_MS) {
		q->probed_ms = now;
		q->probe_ms = 0;
		TAILQ_FOREACH_SAFE(d, &q->parked, entry, next)
			dest_place(q, d);
	}
	if (now - q->rested_ms >= LOOK_MS) {
		q->rested_ms = now;
		map_each(q->dests, rest_one, q);
	}
}

/* ---- jobs in memory ---- */

static void
job_clear(struct job *j)
{
	for (size_t i = 0; i < j->nrcpts; i++) {
		free(j->rcpts[i].to);
		free(j->rcpts[i].reply);
		free(j->rcpts[i].server);
	}
	free(j->rcpts);
	j->rcpts = NULL;
	j->nrcpts = 0;
}

static void
job_free(struct queue *q, struct job *j)
{
	if (j->dirty)
		TAILQ_REMOVE(&q->dirty, j, dirty_entry);
	map_del_u64(q->jobs, job_key(j->id, j->dest->key));
	j->dest->njobs--;
	job_clear(j);
	free(j);
}

static struct job *
job_push(struct queue *q, struct dest *d, uint64_t id, bool fresh)
{
	struct job	*j;

	if ((j = calloc(1, sizeof(*j))) == NULL)
		return NULL;
	j->id = id;
	j->dest = d;
	j->fresh = fresh;
	if (!map_set_u64(q->jobs, job_key(id, d->key), j)) {
		free(j);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&d->ready, j, entry);
	d->njobs++;
	d->nready++;
	q->nready++;
	return j;
}

static void
job_unready(struct queue *q, struct job *j)
{
	TAILQ_REMOVE(&j->dest->ready, j, entry);
	j->dest->nready--;
	q->nready--;
}

static int
due_cmp(const struct store_due *a, const struct store_due *b)
{
	if (a->next_ms != b->next_ms)
		return a->next_ms < b->next_ms ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

/* Is a job of this row in memory? One that runs does not know of the row. */
static bool
row_known(struct queue *q, const struct store_due *row)
{
	struct job	*j = map_get_u64(q->jobs, job_key(row->id, row->dest));

	if (j == NULL)
		return false;
	if (j->running || j->ended)
		j->again = true;
	return true;
}

/* A row that is due: into memory, or left for the destination's backlog. */
static void
load_row(struct queue *q, const struct store_due *row, struct dest *d,
    bool fresh)
{
	if (row_known(q, row) || (d->backlog && due_cmp(row, &d->pos) >= 0))
		return;			/* it is found from there */
	if (d->backlog)
		job_push(q, d, row->id, fresh);
	else if (d->nready >= READY_MAX || q->nready >= READY_TOTAL ||
	    job_push(q, d, row->id, fresh) == NULL) {
		d->backlog = true;
		d->pos = *row;
		d->sweep_ms = 0;
	}
	dest_place(q, d);
}

/* The names of a destination that is only known by its key. */
struct names {
	uint64_t	 dest;
	char		 action[256], to[1100];
	bool		 found;
};

static bool
names_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct names	*s = arg;

	(void)n;
	if (r->dest != s->dest)
		return true;
	s->found = span_cstr(r->action, s->action, sizeof(s->action)) &&
	    span_cstr(r->to, s->to, sizeof(s->to));
	return false;
}

static struct dest *
dest_of_row(struct queue *q, const struct store_due *row)
{
	struct dest	*d = map_get_u64(q->dests, row->dest);
	struct names	 s = { .dest = row->dest };
	char		 domain[256];

	if (d != NULL)
		return d;
	store_rcpts(q->store, row->id, names_rcpt, &s);
	if (!s.found)
		return NULL;
	dest_of(q->conf, span_str(s.action), span_str(s.to), domain);
	return dest_new(q, row->dest, span_str(s.action), domain);
}

void
due_added(struct queue *q, const struct store_due *row, bool fresh)
{
	struct dest	*d;

	if (row->next_ms > queue_now(q)) {
		if (q->next_due_ms == 0 || row->next_ms < q->next_due_ms)
			q->next_due_ms = row->next_ms;
		return;
	}
	if (q->behind) {
		if (due_cmp(row, &q->sched_pos) >= 0)
			return;		/* the walk gets there */
		fresh = false;
	}
	if ((d = dest_of_row(q, row)) == NULL) {
		/* Too many at a time: the walk gets there later. */
		q->behind = q->crowded = true;
		if (due_cmp(row, &q->sched_pos) < 0)
			q->sched_pos = *row;
		return;
	}
	load_row(q, row, d, fresh);
}

struct forget {
	struct queue	*q;
	uint64_t	 id;
};

static bool
forget_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct forget	*f = arg;
	struct job	*j = job_find(f->q, f->id, r->dest);

	(void)n;
	/* One that has ended is in no list but that of its results. */
	if (j != NULL && !j->running && !j->ended) {
		struct dest *d = j->dest;

		job_unready(f->q, j);
		job_free(f->q, j);
		dest_rest(f->q, d);
	}
	return true;
}

void
due_forget(struct queue *q, uint64_t id)
{
	struct forget	 f = { q, id };

	if (q->nready > 0)
		store_rcpts(q->store, id, forget_rcpt, &f);
}

/* ---- reading the index ---- */

struct page {
	struct store_due rows[SCAN_PAGE];
	size_t		 n, max;
	int64_t		 until;		/* next_ms at most */
	int64_t		 sweep;		/* or: last tried before, 0: no */
	int64_t		 beyond;	/* next_ms of the first one not taken */
	bool		 full;
	unsigned	 looked;
	struct store_due last;
};

static bool
page_row(const struct store_due *d, void *arg)
{
	struct page	*p = arg;

	if (p->sweep == 0 && d->next_ms > p->until) {
		p->beyond = d->next_ms;
		return false;
	}
	if (p->n == p->max || p->looked++ == SCAN_LOOK) {
		p->full = true;
		p->last = *d;
		return false;
	}
	if (p->sweep != 0 && d->next_ms > p->until && d->last_ms >= p->sweep)
		return true;		/* tried since: not before its time */
	p->rows[p->n++] = *d;
	return true;
}

/* Rows of sched.db that have become due since the last walk. */
static void
scan(struct queue *q, int64_t now)
{
	struct page	 p;
	struct dest	*d;

	if (!q->behind && (q->next_due_ms == 0 || now < q->next_due_ms))
		return;
	q->crowded = false;
	for (int i = 0; i < SCAN_PAGES; i++) {
		p = (struct page){ .max = SCAN_PAGE, .until = now };
		store_sched(q->store, &q->sched_pos, page_row, &p);
		for (size_t k = 0; k < p.n; k++) {
			if ((d = dest_of_row(q, &p.rows[k])) != NULL) {
				load_row(q, &p.rows[k], d, false);
				continue;
			}
			if (map_count(q->dests) < DESTS_MAX)
				continue;	/* a row of nobody */
			q->behind = q->crowded = true;
			q->sched_pos = p.rows[k];
			return;
		}
		q->behind = p.full;
		if (!p.full) {
			/* All up to now is in memory or in a backlog. */
			q->sched_pos = (struct store_due){ now + 1, 0, 0, 0 };
			q->next_due_ms = p.beyond;
			return;
		}
		q->sched_pos = p.last;
	}
}

/* More rows of a destination that has room again. */
static void
refill(struct queue *q, struct dest *d, int64_t now)
{
	struct page	 p = { .max = SCAN_PAGE, .until = now,
			    .sweep = d->sweep_ms };
	struct job	*j;

	if (!d->backlog || d->nready > READY_MAX / 2 ||
	    (d->nready > 0 && q->nready >= READY_TOTAL))
		return;
	store_dest(q->store, &d->pos, page_row, &p);
	for (size_t i = 0; i < p.n; i++) {
		if (row_known(q, &p.rows[i]))
			continue;
		if ((j = job_push(q, d, p.rows[i].id, false)) == NULL) {
			d->pos = p.rows[i];	/* no room: from there on */
			return;
		}
		j->early = d->sweep_ms != 0;
	}
	if (p.full)
		d->pos = p.last;
	else {
		d->backlog = false;
		d->sweep_ms = 0;
	}
}

/* ---- handing out ---- */

/* The one that is wanted first, else the oldest. */
static struct job *
next_job(struct queue *q, struct dest *d, int64_t now)
{
	struct job	*j;

	if (d->first != 0) {
		j = job_find(q, d->first, d->key);
		if (j == NULL && now < d->first_until_ms)
			return NULL;
		d->first = 0;
		if (j != NULL && !j->running && !j->ended)
			return j;
	}
	return TAILQ_FIRST(&d->ready);
}

void
due_first(struct queue *q, uint64_t dest, uint64_t id)
{
	struct dest	*d = map_get_u64(q->dests, dest);

	if (d == NULL)
		return;
	d->first = id;
	d->first_until_ms = queue_now(q) + FIRST_MS;
	d->probe_ms = queue_now(q);
	dest_place(q, d);
}

/* One job of this destination; false if it has none to give now. */
static bool
hand_one(struct queue *q, struct dest *d, int64_t now)
{
	struct job	*j;

	refill(q, d, now);
	if ((j = next_job(q, d, now)) == NULL || !dest_may_start(d, now) ||
	    !q->ops->can_hand(q, d))
		return false;
	job_unready(q, j);
	j->running = true;
	d->running++;
	q->nrunning++;
	q->ops->hand(q, j);		/* may end it, and free d */
	return true;
}

/* Rows that were passed over while a job of theirs was in memory. The index is
 * up to date: no change waits. */
struct look {
	struct store_due due;
	bool		 found;
};

static bool
look_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct look	*l = arg;

	(void)n;
	if (r->dest != l->due.dest || r->state != RCPT_WAITING ||
	    (l->found && r->next_ms >= l->due.next_ms))
		return true;
	l->due.next_ms = r->next_ms;
	l->due.last_ms = r->last_ms;
	l->found = true;
	return true;
}

static void
look_again(struct queue *q)
{
	struct store_msg m;
	struct look	 l;

	for (size_t i = 0; i < q->nagain; i++) {
		l = (struct look){ .due = { .id = q->again[i].id,
		    .dest = q->again[i].dest } };
		if (!store_msg_get(q->store, l.due.id, &m) || m.held)
			continue;
		store_rcpts(q->store, l.due.id, look_rcpt, &l);
		if (l.found)
			due_added(q, &l.due, false);
	}
	q->nagain = 0;
}

int64_t
queue_run(struct queue *q)
{
	struct dest	*d;
	int64_t		 now = queue_now(q), wait = LOOK_MS;
	uint64_t	 key;
	unsigned	 idle = 0;

	if (q->down || q->mta_paused || q->stuck)
		return wait;
	if (q->nagain > 0 && buf_len(&q->changes) == 0)
		look_again(q);
	scan(q, now);
	look_at_dests(q, now);
	/* One job a turn, until nobody has one to give. */
	while (idle < q->nactive && idle < IDLE_MAX) {
		d = TAILQ_FIRST(&q->active);
		TAILQ_REMOVE(&q->active, d, entry);
		TAILQ_INSERT_TAIL(&q->active, d, entry);
		key = d->key;
		if (hand_one(q, d, now))
			idle = 0;
		else
			idle++;
		if ((d = map_get_u64(q->dests, key)) != NULL)
			dest_place(q, d);
	}
	if (q->behind)
		return q->crowded ? CROWDED_MS : 0;
	if (q->next_due_ms != 0 && q->next_due_ms - now < wait)
		wait = q->next_due_ms - now;
	if (q->probe_ms != 0 && q->probe_ms - now < wait)
		wait = q->probe_ms - now > PROBE_LOOK_MS ?
		    q->probe_ms - now : PROBE_LOOK_MS;
	if (idle == IDLE_MAX && wait > IDLE_MS)
		wait = IDLE_MS;
	return wait < 0 ? 0 : wait;
}

/* ---- the end of a job ---- */

static bool	job_rcpts(struct queue *, struct job *);

/* Those that wait for a server that stays away expire without an attempt. */
static void
expire_ready(struct queue *q, struct dest *d)
{
	struct store_msg m;
	struct job	*j, *next;
	int64_t		 now = queue_now(q);

	TAILQ_FOREACH_SAFE(j, &d->ready, entry, next) {
		if (!store_msg_get(q->store, j->id, &m) ||
		    !retry_expired(now, m.expire_ms))
			continue;
		job_unready(q, j);
		job_clear(j);
		j->ended = true;
		if (job_rcpts(q, j))
			result_expire(q, j);
		job_release(q, j);
	}
}

void
job_ended(struct queue *q, struct job *j, enum d_dest seen)
{
	struct dest	*d = j->dest;
	struct retry	 retry = { q->conf->retry_min_ms,
			    q->conf->retry_max_ms };
	enum dest_state	 was = d->state;

	d->used_ms = queue_now(q);
	if (dest_seen(d, seen, dest_limit(q->conf, d), &retry, queue_now(q),
	    rand_below(UINT32_MAX))) {
		/* It is back: all that waits for it is due now. */
		d->backlog = true;
		d->pos = (struct store_due){ .dest = d->key };
		d->sweep_ms = queue_now(q);
	}
	if (d->state != was)
		log_info("event=destination action=%s domain=%s state=%s",
		    d->action, log_quote(span_str(d->domain)),
		    dest_state_str(d->state));
	if (d->state == DEST_DOWN)
		expire_ready(q, d);
	job_gone(q, j);
}

void
job_gone(struct queue *q, struct job *j)
{
	j->ended = true;
	j->running = false;
	j->dest->running--;
	q->nrunning--;
	dest_place(q, j->dest);
	job_release(q, j);
	q->ops->want_run(q);
}

static void
again_add(struct queue *q, const struct job *j)
{
	struct due_again *v;

	if (q->nagain == q->again_cap) {
		q->again_cap = q->again_cap ? q->again_cap * 2 : 64;
		v = reallocarray(q->again, q->again_cap, sizeof(*v));
		if (v == NULL)
			fatal("due");
		q->again = v;
	}
	q->again[q->nagain++] = (struct due_again){ j->id, j->dest->key };
}

void
job_release(struct queue *q, struct job *j)
{
	struct dest	*d = j->dest;

	if (!j->ended || j->dirty)
		return;
	if (j->again)
		again_add(q, j);
	job_free(q, j);
	dest_rest(q, d);
}

void
job_again(struct queue *q, struct job *j, bool crashed)
{
	struct dest	*d = j->dest;
	bool		 results = false;

	for (size_t i = 0; i < j->nrcpts; i++)
		results |= j->rcpts[i].have && !j->rcpts[i].written;
	if ((crashed && ++j->crashes >= CRASHES_MAX) || results || j->dirty) {
		for (size_t i = 0; i < j->nrcpts; i++)
			if (!j->rcpts[i].have)
				result_add(q, j, NULL, 0, j->id,
				    j->rcpts[i].n, j->rcpts[i].attempt,
				    D_TEMP, span_str("4.3.0 delivery was "
				    "interrupted"), span_str(""));
		job_ended(q, j, D_DEST_SLOW);
		return;
	}
	job_clear(j);
	j->running = j->fresh = j->adopted = j->again = false;
	j->agent = NULL;
	d->running--;
	q->nrunning--;
	TAILQ_INSERT_HEAD(&d->ready, j, entry);
	d->nready++;
	q->nready++;
	dest_place(q, d);
	q->ops->want_run(q);
}

struct due_load {
	struct queue	*q;
	struct job	*j;
	int64_t		 now;
	size_t		 cap;
};

static bool
job_add(struct due_load *l, uint32_t n, uint32_t attempt, uint8_t notify,
    struct span to)
{
	struct job	*j = l->j;
	struct job_rcpt	*v;

	if (j->nrcpts == l->cap) {
		l->cap = l->cap ? l->cap * 4 : 1;
		if ((v = reallocarray(j->rcpts, l->cap, sizeof(*v))) == NULL)
			return false;
		j->rcpts = v;
	}
	v = &j->rcpts[j->nrcpts++];
	*v = (struct job_rcpt){ .n = n, .attempt = attempt,
	    .notify = notify, .to = span_dup(to) };
	return v->to != NULL;
}

static bool
job_row(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct due_load	*l = arg;

	/* By key and, as two might share one, by name. */
	if (r->state != RCPT_WAITING || r->dest != l->j->dest->key ||
	    !span_is(r->action, l->j->dest->action) ||
	    (r->next_ms > l->now + DUE_NOW_MS && !l->j->early))
		return true;
	return job_add(l, n, r->attempt + 1, r->notify, r->to);
}

/* Its waiting recipients by the index; false: none. */
static bool
job_rcpts(struct queue *q, struct job *j)
{
	struct due_load	 l = { q, j, queue_now(q), 0 };

	store_rcpts(q->store, j->id, job_row, &l);
	return j->nrcpts > 0;
}

/* Its record can't be read: for its recipients that is an attempt which failed
 * for now, so that it is told and in the end the sender hears of it. */
static void
job_damaged(struct queue *q, struct job *j)
{
	if (job_rcpts(q, j))
		for (size_t i = 0; i < j->nrcpts; i++)
			result_add(q, j, NULL, 0, j->id, j->rcpts[i].n,
			    j->rcpts[i].attempt, D_TEMP, span_str("4.3.0 "
			    "the message can't be read from the queue"),
			    span_str(""));
	job_gone(q, j);
}

bool
job_load(struct queue *q, struct job *j, struct rec *r, struct rec_msg *m)
{
	struct due_load	 l = { q, j, queue_now(q), 0 };
	struct store_msg row;
	struct rec_rcpt	 e;
	struct span	 s;
	const char	*why;
	char		 domain[256];

	job_clear(j);
	if (!j->fresh && (!store_msg_get(q->store, j->id, &row) || row.held)) {
		job_gone(q, j);
		return false;
	}
	if (!load_record(q, j->id, r) ||
	    rec_msg_decode(r->env, m, &why) != PARSE_OK) {
		job_damaged(q, j);
		return false;
	}
	if (!j->fresh)
		job_rcpts(q, j);
	else
		for (s = m->rcpts; rec_rcpt_next(&s, &e);)
			if (dest_of(q->conf, e.action, e.to, domain) ==
			    j->dest->key)
				job_add(&l, e.n, 1, e.notify, e.to);
	if (j->nrcpts > 0)
		return true;
	job_gone(q, j);
	return false;
}

struct job *
job_adopt(struct queue *q, uint64_t id, uint32_t n, uint32_t attempt)
{
	struct due_load	 l = { .q = q };
	struct store_rcpt rc;
	struct store_due row;
	struct dest	*d;
	struct job	*j;

	if (!store_rcpt_get(q->store, id, n, &rc) ||
	    rc.state != RCPT_WAITING || rc.attempt + 1 != attempt)
		return NULL;
	row = (struct store_due){ .id = id, .dest = rc.dest };
	if ((d = dest_of_row(q, &row)) == NULL)
		return NULL;
	if ((j = job_find(q, id, d->key)) == NULL &&
	    (j = job_push(q, d, id, false)) == NULL) {
		dest_rest(q, d);
		return NULL;
	}
	if (!j->running && !j->ended) {
		job_unready(q, j);
		job_clear(j);
		j->running = j->adopted = true;
		j->fresh = false;
		j->again = true;	/* it may have recipients beside */
		d->running++;
		q->nrunning++;
		dest_place(q, d);
	}
	if (!store_rcpt_get(q->store, id, n, &rc))
		return NULL;
	l.j = j;
	l.cap = j->nrcpts;
	for (size_t i = 0; i < j->nrcpts; i++)
		if (j->rcpts[i].n == n)
			return j;
	return job_add(&l, n, attempt, rc.notify, rc.to) ? j : NULL;
}

/* ---- all anew ---- */

static bool
pause_one(struct span key, void *v, void *arg)
{
	struct dest	*d = v;

	(void)key;
	d->paused = queue_is_paused(arg, d);
	dest_place(arg, d);
	return true;
}

void
due_pauses(struct queue *q)
{
	map_each(q->dests, pause_one, q);
}

static bool
reset_dest(struct span key, void *v, void *arg)
{
	struct queue	*q = arg;
	struct dest	*d = v;
	struct job	*j;

	(void)key;
	while ((j = TAILQ_FIRST(&d->ready)) != NULL) {
		job_unready(q, j);
		job_free(q, j);
	}
	d->backlog = false;
	d->sweep_ms = 0;
	if (d->window > dest_limit(q->conf, d))
		d->window = dest_limit(q->conf, d);
	dest_rest(q, d);
	return true;
}

void
due_reset(struct queue *q)
{
	map_each(q->dests, reset_dest, q);
	q->sched_pos = (struct store_due){ 0 };
	q->behind = true;
}

static bool
free_job(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	job_clear(v);
	free(v);
	return true;
}

static bool
free_dest(struct span key, void *v, void *arg)
{
	struct dest	*d = v;

	(void)key;
	(void)arg;
	free(d->action);
	free(d->domain);
	free(d);
	return true;
}

void
due_free(struct queue *q)
{
	map_each(q->jobs, free_job, NULL);
	map_each(q->dests, free_dest, NULL);
	map_free(q->jobs);
	map_free(q->dests);
	free(q->again);
}
