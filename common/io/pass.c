/*
 * The end of a pass of the loop: what was written in it is sent, and what waits
 * is offered, once for each stream. See stream_i.h.
 */
#include <stdlib.h>

#include "common/io/stream_i.h"

static LIST_HEAD(, loop)	 loops;

void
loop_unref(struct loop *l)
{
	if (--l->refs > 0)
		return;
	event_del(&l->soon);
	LIST_REMOVE(l, next);
	free(l);
}

/* What is kicked from here on waits for the next pass, so that no stream that
 * fills and drains keeps the others from being read. */
static void
loop_run(evutil_socket_t fd, short what, void *arg)
{
	struct loop	*l = arg;
	struct streams	 batch = LIST_HEAD_INITIALIZER(batch);
	struct stream	*s;

	(void)fd;
	(void)what;
	l->refs++;
	l->running = true;
	LIST_SWAP(&batch, &l->work, stream, next);
	while ((s = LIST_FIRST(&batch)) != NULL) {
		LIST_REMOVE(s, next);
		s->soon = SOON_RUNS;
		stream_soon(s);
	}
	l->running = false;
	loop_unref(l);
}

struct loop *
loop_of(struct event_base *base)
{
	struct loop	*l;

	LIST_FOREACH(l, &loops, next)
		if (l->base == base)
			break;
	if (l == NULL) {
		if ((l = calloc(1, sizeof(*l))) == NULL)
			return NULL;
		l->base = base;
		LIST_INIT(&l->work);
		if (event_assign(&l->soon, base, -1, 0, loop_run, l) == -1) {
			free(l);
			return NULL;
		}
		LIST_INSERT_HEAD(&loops, l, next);
	}
	l->refs++;
	return l;
}

void
stream_kick(struct stream *s)
{
	static const struct timeval	 zero;
	struct loop			*l = s->loop;
	bool				 first = LIST_EMPTY(&l->work);

	if (s->dead || s->soon != SOON_NO)
		return;
	s->soon = SOON_LISTED;
	LIST_INSERT_HEAD(&l->work, s, next);
	if (!first)
		return;
	if (l->running)
		event_add(&l->soon, &zero);
	else
		event_active(&l->soon, EV_TIMEOUT, 0);
}

void
stream_again(struct stream *s)
{
	if (s->soon == SOON_RUNS)
		s->soon = SOON_NO;
	stream_kick(s);
}
