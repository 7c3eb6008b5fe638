/*
 * The schedule's index: rows that are due become jobs in memory, as many as
 * there is room for; those beyond are found again later. See due.h; due_dest.c
 * hands out, due_job.c has the jobs.
 */
#include "queued/due_i.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "queued/dest.h"

#define SCAN_PAGE	256	/* rows read at a time */
#define SCAN_PAGES	16	/* pages of one queue_run() */
#define DESTS_MAX	200000
#define SCAN_LOOK	4096	/* rows looked at for one page */

void
due_init(struct queue *q)
{
	q->dests = map_new(DESTS_MAX);
	q->jobs = map_new(READY_TOTAL + 100 * RUNNING_MAX);
	q->senders = map_new(READY_TOTAL + 100 * RUNNING_MAX);
	if (q->dests == NULL || q->jobs == NULL || q->senders == NULL)
		fatal("due");
}

/* ---- rows ---- */

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

/* Whose it is. False: the message is gone. */
static bool
row_sender(struct queue *q, struct store_due *row)
{
	struct store_msg m;

	if (row->sender != 0)
		return true;
	if (!store_msg_get(q->store, row->id, &m))
		return false;
	row->sender = due_sender_key(m.from, &m.client);
	return true;
}

/* Into memory, or noted as one that its sender still has in the index. */
static struct job *
take_row(struct queue *q, const struct store_due *row, struct dest *d,
    bool fresh)
{
	struct sender	*s = sender_find(q, d, row->sender);
	struct job	*j = NULL;

	if (sender_room(q, d, s) &&
	    (j = job_push(q, d, row, fresh)) != NULL)
		return j;
	if (s == NULL && d->nsenders < READY_MAX)
		s = sender_get(q, d, row->sender);
	if (s != NULL)
		sender_skip(d, s, row);
	else if (!d->backlog || due_cmp(row, &d->pos) < 0) {
		d->backlog = true;
		d->pos = *row;
	}
	return NULL;
}

/* A row that is due: into memory, or left for the destination's backlog. */
static void
load_row(struct queue *q, const struct store_due *row, struct dest *d,
    bool fresh)
{
	struct store_due r = *row;
	struct sender	*s;

	if (row_known(q, row) || !row_sender(q, &r))
		return;
	s = sender_find(q, d, r.sender);
	/* What is found from where more of it lies; but one of whom nothing is
	 * known does not wait behind those of others. */
	if (s != NULL && ((d->backlog && due_cmp(&r, &d->pos) >= 0) ||
	    (s->skipped && due_cmp(&r, &s->pos) >= 0)))
		return;
	take_row(q, &r, d, fresh);
	dest_place(q, d);
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
void
due_scan(struct queue *q, int64_t now)
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
			q->sched_pos = (struct store_due){ .next_ms = now + 1 };
			q->next_due_ms = p.beyond;
			return;
		}
		q->sched_pos = p.last;
	}
}

/* Rows that nobody has looked at: of senders who wait they are taken, or noted
 * as what those still have. */
static void
discover(struct queue *q, struct dest *d, int64_t now)
{
	struct page	 p = { .max = SCAN_PAGE, .until = now,
			    .sweep = d->sweep_ms };
	struct sender	*s;
	struct job	*j;

	store_dest(q->store, &d->pos, page_row, &p);
	d->backlog = p.full;
	if (p.full)
		d->pos = p.last;
	for (size_t i = 0; i < p.n; i++) {
		if (row_known(q, &p.rows[i]) || !row_sender(q, &p.rows[i]))
			continue;
		s = sender_find(q, d, p.rows[i].sender);
		if (s != NULL && s->skipped)
			sender_skip(d, s, &p.rows[i]);
		else if ((j = take_row(q, &p.rows[i], d, false)) != NULL)
			j->early = d->sweep_ms != 0;
	}
}

/* Has it so little in memory that more should come? */
static bool
is_low(const struct dest *d, const struct sender *s)
{
	return s->skipped && s->nready <= READY_MAX / d->nsenders / 2;
}

/* One page's rows, in order; of each sender up to the first that stays. */
static void
fill_from(struct queue *q, struct dest *d, struct page *p)
{
	struct sender	*s;
	struct job	*j;

	for (size_t i = 0; i < p->n; i++) {
		if (!row_sender(q, &p->rows[i]))
			continue;
		s = sender_find(q, d, p->rows[i].sender);
		if (s == NULL || s->page != q->page || s->blocked ||
		    due_cmp(&p->rows[i], &s->pos) < 0 ||
		    row_known(q, &p->rows[i]))
			continue;
		if ((d->nready < READY_MAX && q->nready < READY_TOTAL) ||
		    (s->nready == 0 && sender_room(q, d, s)))
			j = job_push(q, d, &p->rows[i], false);
		else
			j = NULL;
		if (j != NULL) {
			j->early = d->sweep_ms != 0;
			continue;
		}
		s->blocked = true;
		s->pos = p->rows[i];
	}
}

/* More of those that have run low, from where the first of them has more. */
static void
fill(struct queue *q, struct dest *d, int64_t now)
{
	struct page	 p = { .max = SCAN_PAGE, .until = now,
			    .sweep = d->sweep_ms };
	struct store_due from;
	struct sender	*s, *next, *first = NULL;

	TAILQ_FOREACH(s, &d->senders, entry)
		if (is_low(d, s) && (first == NULL ||
		    due_cmp(&s->pos, &first->pos) < 0))
			first = s;
	if (first == NULL)
		return;
	from = first->pos;
	q->page++;
	TAILQ_FOREACH(s, &d->senders, entry)
		if (s->skipped && due_cmp(&s->pos, &from) >= 0) {
			s->page = q->page;
			s->blocked = false;
		}
	store_dest(q->store, &from, page_row, &p);
	fill_from(q, d, &p);
	TAILQ_FOREACH_SAFE(s, &d->senders, entry, next) {
		if (s->page != q->page || s->blocked || !s->skipped)
			continue;
		if (!p.full) {
			sender_unskip(d, s);
			sender_rest(q, d, s);
		} else if (due_cmp(&s->pos, &p.last) < 0)
			s->pos = p.last;
	}
}

/* More rows of a destination, once a turn or when it has none left. */
void
due_refill(struct queue *q, struct dest *d, int64_t now)
{
	if (d->looked == q->turn && d->nready > 0)
		return;
	d->looked = q->turn;
	if (d->backlog && d->nsenders < READY_MAX)
		discover(q, d, now);
	if (d->nskipped > 0)
		fill(q, d, now);
	if (!d->backlog && d->nskipped == 0)
		d->sweep_ms = 0;
	q->hungry |= d->nready == 0 && (d->backlog || d->nskipped > 0);
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

void
due_look_again(struct queue *q)
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

/* ---- all anew ---- */

static bool
reset_dest(struct span key, void *v, void *arg)
{
	struct queue	*q = arg;
	struct dest	*d = v;

	(void)key;
	sender_reset(q, d);
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
free_sender(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
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
	map_each(q->senders, free_sender, NULL);
	map_free(q->jobs);
	map_free(q->dests);
	map_free(q->senders);
	free(q->again);
}
