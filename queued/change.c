/*
 * What an administrator changes of a message, as records: hold, release,
 * schedule, remove, and its return to the sender. See walk.h.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/due.h"
#include "queued/route.h"

#define RETURNED	"returned by the administrator"

/* ---- the return to the sender ---- */

struct returning {
	struct walk	*w;
	uint64_t	 id;
	size_t		 reason_max;
	struct bounce_rcpt *told;
	size_t		 ntold, cap;
	struct buf	 to;		/* what told's spans lie in */
};

static bool
return_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct returning *x = arg;
	struct walk	*w = x->w;
	struct bounce_rcpt *v;
	int64_t		 now = queue_now(w->q);
	struct rec_fate	 f = { .n = n, .state = RCPT_FAILED,
			    .attempt = r->attempt, .last_ms = now,
			    .next_ms = now, .reason = span_sub(
			    span_str(RETURNED), 0, x->reason_max) };

	if (r->state != RCPT_WAITING || !filter_rcpt(&w->filter, r))
		return true;
	/* What its delivery comes to is not known. */
	if (due_runs(w->q, x->id, r->dest)) {
		w->skipped++;
		return true;
	}
	rec_fate_add(&w->fates, &f);
	w->nfates++;
	if ((r->flags & RCPT_F_ARCHIVE) ||
	    (r->notify != 0 && !(r->notify & NOTIFY_FAILURE)))
		return true;		/* RFC 3461, 4.1 */
	if (x->ntold == x->cap) {
		x->cap = x->cap ? x->cap * 4 : 4;
		if ((v = reallocarray(x->told, x->cap, sizeof(*v))) == NULL)
			fatal("bounce");
		x->told = v;
	}
	/* The span's place follows when the bytes stay where they are. */
	x->told[x->ntold++] = (struct bounce_rcpt){ span(NULL, r->to.len),
	    span_str(RETURNED), false };
	buf_span(&x->to, r->to);
	return true;
}

static bool
return_msg(struct walk *w, uint64_t id, const struct store_msg *row)
{
	struct queue	*q = w->q;
	struct returning x = { .w = w, .id = id,
			    .reason_max = queue_reason_max(q, row->nrcpts) };
	struct rec_change ch = { 0 };
	struct rec	 r = { .kind = REC_CHANGE, .id = id }, msg;
	struct rec_msg	 m;
	struct span	 to;
	char		 from[1100];
	bool		 ok = false;

	buf_reset(&w->fates);
	w->nfates = 0;
	buf_init(&x.to, REC_ENV_MAX);
	store_rcpts(q->store, id, return_rcpt, &x);
	to = buf_content(&x.to);
	for (size_t i = 0; i < x.ntold; i++) {
		x.told[i].to.p = to.p;
		span_skip(&to, x.told[i].to.len);
	}
	ch.nrcpts = w->nfates;
	ch.rcpts = buf_content(&w->fates);
	keep_mark(q, &ch);
	buf_reset(&w->env);
	if (w->nfates == 0 || w->fates.failed || x.to.failed ||
	    !rec_change_encode(&w->env, &ch))
		goto out;
	r.env = buf_content(&w->env);
	q->stats.failed += w->nfates;
	ok = true;
	if (x.ntold > 0 && result_msg(q, id, &msg, &m, from, sizeof(from)))
		bounce(q, id, &msg, &m, x.told, x.ntold, r.env);
	else
		ok = queue_record(q, &r);
out:
	buf_clear(&x.to);
	free(x.told);
	return ok;
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
	if (!(w->what == WALK_BOUNCE ? return_msg(w, p->id, &p->m) :
	    w->what == WALK_REROUTE ? route_msg(w, p) : plain(w, p)))
		return false;
	if (w->dry)
		return true;
	log_info("id=%s event=%s uid=%u", id_str(p->id, ids),
	    walk_word(w->what), w->uid);
	return true;
}
