/*
 * The rows of sched.db and dest.db that a message has, before and after a
 * record. See rows.h.
 */
#include "queued/rows.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "queued/due.h"

void
rows_init(struct rows *r)
{
	r->v = r->few;
	r->n = 0;
	r->sender = 0;
	r->cap = sizeof(r->few) / sizeof(r->few[0]);
}

void
rows_clear(struct rows *r)
{
	if (r->v != r->few)
		free(r->v);
}

void
rows_add(struct rows *r, uint64_t id, const struct store_rcpt *rc)
{
	struct store_due *v;

	if (rc->state != RCPT_WAITING)
		return;
	if (r->n == r->cap) {
		if ((v = reallocarray(NULL, r->cap * 4, sizeof(*v))) == NULL)
			fatal("apply");
		memcpy(v, r->v, r->n * sizeof(*v));
		rows_clear(r);
		r->v = v;
		r->cap *= 4;
	}
	r->v[r->n++] = (struct store_due){ rc->next_ms, id, rc->dest,
	    rc->last_ms, r->sender };
}

static int
row_cmp(const void *a, const void *b)
{
	const struct store_due *x = a, *y = b;

	if (x->dest != y->dest)
		return x->dest < y->dest ? -1 : 1;
	return x->next_ms < y->next_ms ? -1 : x->next_ms > y->next_ms;
}

/* One row a destination. */
void
rows_merge(struct rows *r)
{
	size_t	 n = 0;

	if (r->n > 1)
		qsort(r->v, r->n, sizeof(*r->v), row_cmp);
	for (size_t i = 0; i < r->n; i++)
		if (n == 0 || r->v[n - 1].dest != r->v[i].dest)
			r->v[n++] = r->v[i];
	r->n = n;
}

struct collect {
	struct rows	*rows;
	uint64_t	 id;
};

static bool
collect_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct collect	*c = arg;

	(void)n;
	rows_add(c->rows, c->id, r);
	return true;
}

void
rows_collect(struct queue *q, struct rows *r, uint64_t id,
    const struct store_msg *m)
{
	struct collect	 c = { r, id };

	rows_init(r);
	if (m->held)
		return;
	if (m->nrcpts == 1) {
		struct store_rcpt rc;

		if (store_rcpt_get(q->store, id, 0, &rc))
			rows_add(r, id, &rc);
		return;
	}
	store_rcpts(q->store, id, collect_rcpt, &c);
	rows_merge(r);
}

static const struct store_due *
rows_find(const struct rows *r, uint64_t dest)
{
	size_t	 lo = 0, hi = r->n, mid;

	while (lo < hi) {		/* rows_merge() has sorted them */
		mid = (lo + hi) / 2;
		if (r->v[mid].dest == dest)
			return &r->v[mid];
		if (r->v[mid].dest < dest)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool
due_same(const struct store_due *a, const struct store_due *b)
{
	return a->next_ms == b->next_ms && a->last_ms == b->last_ms;
}

/* From the rows of before to those of after. */
void
rows_replace(struct queue *q, const struct rows *before,
    const struct rows *after, bool fresh)
{
	const struct store_due *r;

	for (size_t i = 0; i < before->n; i++) {
		r = rows_find(after, before->v[i].dest);
		if (r == NULL || !due_same(r, &before->v[i]))
			store_due_del(q->store, &before->v[i]);
	}
	for (size_t i = 0; i < after->n; i++) {
		const struct store_due *d = &after->v[i];

		r = rows_find(before, d->dest);
		if (r != NULL && due_same(r, d))
			continue;
		store_due_put(q->store, d);
		if (!q->replaying)
			due_added(q, d, fresh);
	}
}
