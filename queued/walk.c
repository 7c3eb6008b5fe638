/*
 * Walks by a filter: pages of messages, and their recipients in the same order
 * beside them. See walk.h; what a change writes is change.c's.
 */
#include "queued/walk.h"

#include <stdlib.h>

#include "common/base/clock.h"

#define NEAR	32	/* recipients passed over before one looks anew */

struct walk *
walk_new(struct queue *q, enum walk_what what, uint32_t uid)
{
	struct walk	*w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->q = q;
	w->what = what;
	w->uid = uid;
	w->total = q->messages;
	w->began_ms = queue_now(q);
	q->walks += what >= WALK_SCHEDULE;
	buf_init(&w->to, 2048);
	buf_init(&w->reason, 2048);
	buf_init(&w->fates, REC_ENV_MAX);
	buf_init(&w->env, REC_ENV_MAX);
	buf_init(&w->senders, WALK_PAGE * 4096);
	return w;
}

void
walk_free(void *arg)
{
	struct walk	*w = arg;

	if (w == NULL)
		return;
	w->q->walks -= w->what >= WALK_SCHEDULE;
	buf_clear(&w->to);
	buf_clear(&w->reason);
	buf_clear(&w->fates);
	buf_clear(&w->env);
	buf_clear(&w->senders);
	free(w);
}

const char *
walk_word(enum walk_what what)
{
	static const char *const words[] = { [WALK_LIST] = "list",
	    [WALK_COUNT] = "count", [WALK_SCHEDULE] = "schedule",
	    [WALK_HOLD] = "hold", [WALK_RELEASE] = "release",
	    [WALK_REMOVE] = "remove", [WALK_BOUNCE] = "return",
	    [WALK_REROUTE] = "reroute" };

	return words[what];
}

/* ---- a page of messages ---- */

static bool
page_msg(uint64_t id, const struct store_msg *m, void *arg)
{
	struct walk	*w = arg;
	struct walk_msg	*p;

	if (w->filter.id != 0 && id != w->filter.id)
		return false;
	if (w->npage == WALK_PAGE || w->page_looked == WALK_LOOKED) {
		w->from = id;
		w->more = true;
		return false;
	}
	w->page_looked++;
	if (m->accepted_ms > w->began_ms || (m->accepted_ms == w->began_ms &&
	    (m->flags & MSG_BOUNCE)) ||
	    !filter_msg(&w->filter, w->q, id, m))
		return true;
	if (w->what == WALK_COUNT && !w->filter.any_rcpt) {
		w->fits++;
		return true;
	}
	p = &w->page[w->npage++];
	*p = (struct walk_msg){ .id = id, .m = *m, .fits =
	    !w->filter.any_rcpt, .from_at = buf_len(&w->senders) };
	buf_span(&w->senders, m->from);
	return true;
}

static void
page_read(struct walk *w)
{
	struct span	 senders;

	w->npage = 0;
	w->page_looked = 0;
	w->more = false;
	buf_reset(&w->senders);
	store_msgs(w->q->store, w->from, page_msg, w);
	w->looked += w->page_looked;
	senders = buf_content(&w->senders);
	for (size_t i = 0; i < w->npage; i++)
		w->page[i].m.from = span_sub(senders, w->page[i].from_at,
		    w->page[i].m.from.len);
}

/* ---- the message at hand ---- */

/* What reads records calls the store: the message's recipients are read by the
 * change itself, once the walk over the page's is over. */
static bool
reads_records(enum walk_what what)
{
	return what == WALK_BOUNCE || what == WALK_REROUTE;
}

static void
hand_begin(struct walk *w)
{
	w->nwaiting = w->nfates = 0;
	w->next_ms = 0;
	w->dest = 0;
	buf_reset(&w->to);
	buf_reset(&w->reason);
	buf_reset(&w->fates);
}

static void
hand_rcpt(struct walk *w, struct walk_msg *p, uint32_t n,
    const struct store_rcpt *r)
{
	struct rec_fate	 f = { .n = n, .state = r->state,
			    .attempt = r->attempt, .last_ms = r->last_ms,
			    .next_ms = queue_now(w->q), .reason = r->reason,
			    .server = r->server };

	if (!p->fits && filter_rcpt(&w->filter, r))
		p->fits = true;
	if (r->state != RCPT_WAITING &&
	    !(p->m.flags & (MSG_KEPT | MSG_PREPARED)))
		return;
	if (w->nwaiting++ == 0) {
		buf_span(&w->to, r->to);
		buf_span(&w->reason, r->reason);
	}
	if (w->nwaiting == 1 || r->next_ms < w->next_ms)
		w->next_ms = r->next_ms;
	w->dest = r->dest;
	if (w->what == WALK_SCHEDULE && r->state == RCPT_WAITING) {
		rec_fate_add(&w->fates, &f);
		w->nfates++;
	}
}

/* All its recipients have been seen, if they were wanted. */
static void
hand_end(struct walk *w, const struct walk_msg *p)
{
	bool	 changed;

	if (!p->fits)
		return;
	if (w->what == WALK_LIST)
		w->row(w, p, w->arg);
	else if (w->what != WALK_COUNT) {
		changed = change_make(w, p);
		w->changed += changed;
		w->step_changed += changed;
		/* Only there its recipients are looked at. */
		if (!changed && reads_records(w->what) && w->filter.any_rcpt)
			return;
	}
	w->fits++;
}

/* ---- its recipients ---- */

struct look {
	struct walk	*w;
	size_t		 at;		/* message at hand, of the page */
	unsigned	 passed;
};

static bool
look_rcpt(uint64_t id, uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct look	*l = arg;
	struct walk	*w = l->w;

	/* Those of the page come in the same order. */
	while (id > w->page[l->at].id) {
		hand_end(w, &w->page[l->at]);
		hand_begin(w);
		if (++l->at == w->npage)
			return false;
	}
	if (id < w->page[l->at].id)
		return ++l->passed < NEAR;
	l->passed = 0;
	hand_rcpt(w, &w->page[l->at], n, r);
	return true;
}

static void
page_rcpts(struct walk *w)
{
	struct look	 l = { .w = w };

	hand_begin(w);
	while (l.at < w->npage) {
		l.passed = 0;
		store_rcpts_from(w->q->store, w->page[l.at].id, look_rcpt, &l);
		/* Too far from the next one, which is looked for by itself; or
		 * the end of all rows. */
		if (l.passed < NEAR)
			for (; l.at < w->npage; l.at++, hand_begin(w))
				hand_end(w, &w->page[l.at]);
	}
}

static bool
wants_rcpts(const struct walk *w)
{
	return w->what == WALK_LIST || w->what == WALK_SCHEDULE ||
	    (w->filter.any_rcpt && !reads_records(w->what));
}

static void
page_do(struct walk *w)
{
	if (wants_rcpts(w)) {
		page_rcpts(w);
		return;
	}
	for (size_t i = 0; i < w->npage; i++) {
		if (reads_records(w->what))
			w->page[i].fits = true;
		hand_end(w, &w->page[i]);
	}
}

bool
walk_step(struct walk *w)
{
	int64_t		 began = clock_mono().ms;

	/* Results that wait for their batch must not be overtaken. */
	if (w->what >= WALK_SCHEDULE)
		queue_flush(w->q);
	w->step_changed = 0;
	do {
		page_read(w);
		page_do(w);
	} while (w->more && w->what != WALK_LIST &&
	    w->step_changed + WALK_PAGE <= WALK_CHANGES &&
	    buf_len(&w->q->changes) < w->q->params.seg_size / 8 &&
	    clock_mono().ms - began < WALK_STEP_MS);
	if (w->step_changed > 0)
		queue_flush(w->q);
	return w->more;
}
