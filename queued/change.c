/*
 * What an administrator changes of a message, as records: hold, release,
 * schedule, remove, and its return to the sender. See walk.h.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/dsn.h"
#include "queued/due.h"
#include "queued/route.h"

#define RETURNED	"554 5.7.1 returned by the administrator"

/* ---- the return to the sender ---- */

struct returning {
	struct walk	*w;
	uint64_t	 id;
	struct job_rcpt	*v;		/* as if this were its server's word */
	size_t		 n, cap;
};

static bool
return_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct returning *x = arg;
	struct walk	*w = x->w;
	struct job_rcpt	*v;

	if (r->state != RCPT_WAITING || !filter_rcpt(&w->filter, r))
		return true;
	/* What its delivery comes to is not known. */
	if (due_runs(w->q, x->id, r->dest)) {
		w->skipped++;
		return true;
	}
	if (x->n == x->cap) {
		x->cap = x->cap ? x->cap * 4 : 4;
		if ((v = reallocarray(x->v, x->cap, sizeof(*v))) == NULL)
			fatal("bounce");
		x->v = v;
	}
	v = &x->v[x->n++];
	*v = (struct job_rcpt){ .n = n, .attempt = r->attempt,
	    .notify = r->notify, .flags = r->flags, .group = r->group,
	    .tried_ms = r->attempt > 0 ? r->last_ms : 0,
	    .to = span_dup(r->to), .reply = span_dup(span_str(RETURNED)),
	    .server = span_dup(span(NULL, 0)) };
	if (v->to == NULL || v->reply == NULL || v->server == NULL)
		fatal("bounce");
	return true;
}

static void
return_fates(struct queue *q, uint64_t id, const struct store_msg *row,
    const struct returning *x)
{
	size_t		 reason_max = queue_reason_max(q, row->nrcpts);
	int64_t		 now = queue_now(q);
	struct fate	*v = calloc(x->n, sizeof(*v));

	if (v == NULL)
		fatal("bounce");
	for (size_t i = 0; i < x->n; i++)
		v[i] = (struct fate){ .r = &x->v[i], .f = { .n = x->v[i].n,
		    .state = RCPT_FAILED, .attempt = x->v[i].attempt,
		    .last_ms = now, .next_ms = now,
		    .reason = span_sub(span_str(RETURNED), 0, reason_max) } };
	dsn_record(q, id, row, "", v, x->n);
	q->stats.failed += x->n;
	free(v);
}

static bool
return_msg(struct walk *w, uint64_t id, const struct store_msg *row)
{
	struct returning x = { .w = w, .id = id };
	char		 from[1100];
	struct store_msg m = *row;

	/* The row's spans live until the next call of the store. */
	if (!span_cstr(row->from, from, sizeof(from)))
		return false;
	m.from = span_str(from);
	if (dsn_must_wait(w->q, id, &m))
		queue_flush(w->q);
	store_rcpts(w->q->store, id, return_rcpt, &x);
	if (x.n > 0)
		return_fates(w->q, id, &m, &x);
	for (size_t i = 0; i < x.n; i++) {
		free(x.v[i].to);
		free(x.v[i].reply);
		free(x.v[i].server);
	}
	free(x.v);
	return x.n > 0;
}

/* ---- all that is one record of the message itself ---- */

/* False: it is so already. */
static bool
hold(struct rec_change *ch, const struct store_msg *m, bool on, int64_t now)
{
	if (m->held == on)
		return false;
	ch->what = CHANGE_HOLD;
	ch->held = on;
	ch->held_since_ms = now;
	ch->expire_ms = m->expire_ms;
	if (m->held)			/* held time does not count */
		ch->expire_ms += now - m->held_since_ms;
	return true;
}

static bool
plain(struct walk *w, const struct walk_msg *p)
{
	struct rec_change ch = { 0 };
	struct rec	 r = { .kind = REC_CHANGE, .id = p->id };

	switch (w->what) {
	case WALK_SCHEDULE:
		if (w->nfates == 0 || w->fates.failed)
			return false;
		ch.nrcpts = w->nfates;
		ch.rcpts = buf_content(&w->fates);
		due_first(w->q, w->dest, p->id);
		break;
	case WALK_HOLD:
	case WALK_RELEASE:
		if (!hold(&ch, &p->m, w->what == WALK_HOLD, queue_now(w->q)))
			return false;
		break;
	default:
		ch.what = CHANGE_REMOVE;
	}
	buf_reset(&w->env);
	if (!rec_change_encode(&w->env, &ch))
		return false;
	r.env = buf_content(&w->env);
	return queue_record(w->q, &r);
}

bool
change_make(struct walk *w, const struct walk_msg *p)
{
	char	 ids[ID_STRLEN];

	if ((p->m.flags & MSG_KEPT) && w->what != WALK_REMOVE)
		return false;		/* it is over */
	if (p->m.flags & MSG_PREPARED)
		return false;		/* it isn't ours */
	if (!(w->what == WALK_BOUNCE ? return_msg(w, p->id, &p->m) :
	    w->what == WALK_REROUTE ? route_msg(w, p) : plain(w, p)))
		return false;
	if (w->dry)
		return true;
	log_info("id=%s event=%s uid=%u", id_str(p->id, ids),
	    walk_word(w->what), w->uid);
	return true;
}
