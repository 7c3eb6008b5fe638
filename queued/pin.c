/*
 * Pins: who reads the segments from end to end (a backup, a check) keeps those
 * that he has not seen from being dropped, and a backup the bodies of messages
 * that are over meanwhile. Nothing of it survives the process: bodies that
 * nobody owns go at the start.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "queued/queue.h"

#define UNLINK_STEP	64	/* bodies a step */

void
pin_set(struct queue *q, struct pin *p, uint64_t segment, bool bodies)
{
	p->segment = segment;
	p->bodies = bodies;
	q->body_pins += bodies;
	TAILQ_INSERT_TAIL(&q->pins, p, entry);
}

void
pin_clear(struct queue *q, struct pin *p)
{
	TAILQ_REMOVE(&q->pins, p, entry);
	q->body_pins -= p->bodies;
	if (q->body_pins == 0 && q->nover > 0)
		q->ops->want_run(q);
}

bool
pin_holds(const struct queue *q, uint64_t segment)
{
	struct pin	*p;

	TAILQ_FOREACH(p, &q->pins, entry)
		if (p->segment <= segment)
			return true;
	return false;
}

void
pin_body_over(struct queue *q, uint64_t id)
{
	uint64_t	*v;

	if (q->body_pins == 0) {
		body_unlink(id);
		return;
	}
	if (q->nover == q->over_cap) {
		q->over_cap = q->over_cap ? q->over_cap * 2 : 64;
		if ((v = reallocarray(q->over, q->over_cap,
		    sizeof(*v))) == NULL)
			fatal("bodies");
		q->over = v;
	}
	q->over[q->nover++] = id;
}

bool
pin_step(struct queue *q)
{
	for (int i = 0; i < UNLINK_STEP && q->body_pins == 0 && q->nover > 0;
	    i++)
		body_unlink(q->over[--q->nover]);
	return q->body_pins == 0 && q->nover > 0;
}
