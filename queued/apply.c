/*
 * What a record does to the index: the same function for the running queue and
 * for replay. Records state absolute values, so applying one again, in the same
 * order as before, gives the same rows.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/dest.h"
#include "queued/due.h"
#include "queued/prepared.h"
#include "queued/rows.h"

/* ---- counting what lives where ---- */

static void
count(struct queue *q, const struct store_msg *m, int by)
{
	uintptr_t	 n;

	n = (uintptr_t)map_get_u64(q->seg_live, m->segment);
	n += (uintptr_t)by;
	if (n == 0)
		map_del_u64(q->seg_live, m->segment);
	else if (!map_set_u64(q->seg_live, m->segment, (void *)n))
		fatalx("too many segments");
	q->live_records_bytes += (uint64_t)by * m->length;
	if (m->flags & MSG_PREPARED) {
		q->nprepared += (uint64_t)by;
		return;
	}
	if (m->flags & MSG_KEPT) {
		q->kept += (uint64_t)by;
		q->kept_bytes += (uint64_t)by * m->size;
		return;
	}
	q->messages += (uint64_t)by;
	q->content_bytes += (uint64_t)by * m->size;
	if (m->held)
		q->held += (uint64_t)by;
}

static bool
count_row(uint64_t id, const struct store_msg *m, void *arg)
{
	struct queue	*q = arg;

	count(q, m, 1);
	if (m->flags & MSG_PREPARED)
		prepared_found(q, id);
	if (id > q->newest_id)
		q->newest_id = id;
	return true;
}

void
apply_count(struct queue *q)
{
	map_free(q->seg_live);
	if ((q->seg_live = map_new(1 << 20)) == NULL)
		fatal("segments");
	q->messages = q->held = q->live_records_bytes = 0;
	q->kept = q->kept_bytes = q->content_bytes = q->nprepared = 0;
	store_msgs(q->store, 0, count_row, q);
}

uint64_t
apply_live(const struct queue *q, uint64_t segment)
{
	return (uintptr_t)map_get_u64(q->seg_live, segment);
}

/* ---- messages ---- */

/* All rows of a message go. */
static void
forget(struct queue *q, uint64_t id, const struct store_msg *m,
    const struct rows *rows, bool over)
{
	for (size_t i = 0; i < rows->n; i++)
		store_due_del(q->store, &rows->v[i]);
	if (m->flags & MSG_KEPT)
		store_keep_del(q->store, m->expire_ms, id);
	if (!q->replaying)
		count(q, m, -1);
	if (over) {
		if (m->flags & MSG_BODY_FILE)
			pin_body_over(q, id);
		if (!q->replaying) {
			live_drop(q, id);
			due_forget(q, id);
		}
	}
	store_msg_del(q->store, id, m->nrcpts);
}

/* Its recipients' new values; how many still wait. */
static uint32_t
apply_fates(struct queue *q, uint64_t id, const struct rec_change *ch,
    uint32_t left, bool keep)
{
	struct store_rcpt rc;
	struct rec_fate	 f;
	struct span	 s = ch->rcpts;

	while (rec_fate_next(&s, ch->version, &f)) {
		if (!store_rcpt_get(q->store, id, f.n, &rc) ||
		    rc.state != RCPT_WAITING)
			continue;
		rc.state = f.state;
		rc.attempt = f.attempt;
		rc.next_ms = f.next_ms;
		rc.last_ms = f.last_ms;
		rc.reason = f.reason;
		rc.server = f.server;
		if (f.state != RCPT_WAITING)
			left--;
		if (left > 0 || keep)
			store_rcpt_put(q->store, id, f.n, &rc);
	}
	return left;
}

/* New actions of recipients that wait. */
static void
apply_routes(struct queue *q, uint64_t id, const struct rec_change *ch)
{
	struct store_rcpt rc;
	struct rec_route route;
	struct span	 s = ch->routes;
	struct due_sender by;
	char		 domain[CONF_TARGET_MAX];

	if (ch->routes.len > 0)
		due_sender(q, id, &by);
	while (rec_route_next(&s, &route)) {
		if (!store_rcpt_get(q->store, id, route.n, &rc) ||
		    rc.state != RCPT_WAITING)
			continue;
		rc.action = route.action;
		rc.dest = dest_of(q->conf, rc.action, rc.to,
		    span_str(by.from), span_str(by.auth), domain);
		store_rcpt_put(q->store, id, route.n, &rc);
	}
}

/* Its last recipient is settled, and it can be read for some time. */
static void
keep(struct queue *q, uint64_t id, struct store_msg *m, int64_t until_ms)
{
	if (!q->replaying) {
		count(q, m, -1);
		live_drop(q, id);
		due_forget(q, id);
	}
	m->flags |= MSG_KEPT;
	m->held = false;
	m->left = 0;
	m->expire_ms = until_ms;
	store_msg_put(q->store, id, m, false);
	store_keep_put(q->store, until_ms, id);
	if (until_ms < q->keep_next_ms)
		q->keep_next_ms = until_ms;
	if (!q->replaying)
		count(q, m, 1);
}

/* It is ours: its recipients begin to wait. The record's fates tell of each
 * what follows, but for those whose failure is told in the next record; until
 * it is seen, they wait. */
static void
apply_finish(struct queue *q, uint64_t id, struct store_msg *m)
{
	struct store_rcpt rc;

	if (!q->replaying)
		count(q, m, -1);
	m->flags &= (uint8_t)~MSG_PREPARED;
	if (!q->replaying)
		count(q, m, 1);
	for (uint32_t n = 0; n < m->nrcpts; n++) {
		if (!store_rcpt_get(q->store, id, n, &rc) ||
		    rc.state != RCPT_PREPARED)
			continue;
		rc.state = RCPT_WAITING;
		rc.settled = 0;
		rc.next_ms = m->accepted_ms;
		store_rcpt_put(q->store, id, n, &rc);
	}
}

/* What came of a way, for those of it that still wait for that. */
static void
apply_settled(struct queue *q, uint64_t id, const struct rec_settled *s)
{
	struct store_msg m;
	struct store_rcpt rc;
	uint32_t	 nrcpts;

	if (!store_msg_get(q->store, id, &m) || !(m.flags & MSG_PREPARED))
		return;
	nrcpts = m.nrcpts;
	for (uint32_t n = 0; n < nrcpts; n++) {
		if (!store_rcpt_get(q->store, id, n, &rc) ||
		    rc.state != RCPT_PREPARED || rc.way != s->way)
			continue;
		rc.settled = s->outcome + 1;
		rc.reason = s->reply;
		rc.server = s->server;
		store_rcpt_put(q->store, id, n, &rc);
	}
}

static void
apply_hold(struct queue *q, uint64_t id, struct store_msg *m,
    const struct rec_change *ch)
{
	if (!q->replaying)
		q->held += (uint64_t)(ch->held - m->held);
	m->held = ch->held;
	m->held_since_ms = ch->held_since_ms;
	m->expire_ms = ch->expire_ms;
	if (m->held && !q->replaying)
		due_forget(q, id);
}

/* What is due anew, and what was ready in memory under another name. */
static void
apply_dues(struct queue *q, uint64_t id, const struct store_msg *m,
    const struct rows *before, bool routed)
{
	struct rows	 after = { .n = 0 };

	rows_collect(q, &after, id, m);
	rows_replace(q, before, &after, false);
	if (routed && !q->replaying)
		for (size_t i = 0; i < after.n; i++)
			due_added(q, &after.v[i], false);
	rows_clear(&after);
}

static void
apply_change(struct queue *q, uint64_t id, const struct rec_change *ch)
{
	struct store_msg m;
	struct rows	 before = { .n = 0 };
	bool		 remove = ch->what & CHANGE_REMOVE;
	bool		 route = ch->what & CHANGE_ROUTE;
	bool		 finish;
	uint32_t	 left;

	if (!store_msg_get(q->store, id, &m) ||
	    ((m.flags & MSG_KEPT) && !remove))
		return;			/* it is over */
	finish = m.flags & MSG_PREPARED;
	/* Not ours yet, only its end changes it; void is only what is not. */
	if (finish != ((ch->what & CHANGE_FINISH) != 0) &&
	    (finish || remove))
		return;
	buf_reset(&q->scratch);
	buf_span(&q->scratch, m.from);
	m.from = buf_content(&q->scratch);
	rows_collect(q, &before, id, &m);
	if (finish && !remove)
		apply_finish(q, id, &m);
	left = apply_fates(q, id, ch, m.left, ch->what & CHANGE_KEEP);
	if (remove || (left == 0 && !(ch->what & CHANGE_KEEP)))
		forget(q, id, &m, &before, true);
	else if (left == 0) {
		for (size_t i = 0; i < before.n; i++)
			store_due_del(q->store, &before.v[i]);
		keep(q, id, &m, ch->expire_ms);
	} else {
		if (route && !q->replaying)
			due_forget(q, id);
		if (route)
			apply_routes(q, id, ch);
		if (ch->what & CHANGE_HOLD)
			apply_hold(q, id, &m, ch);
		if (left != m.left || finish || (ch->what & CHANGE_HOLD)) {
			m.left = left;
			store_msg_put(q->store, id, &m, false);
		}
		apply_dues(q, id, &m, &before, route);
	}
	rows_clear(&before);
}

static void
apply_message(struct queue *q, const struct rec *r, const struct rec_msg *m,
    uint64_t segment, uint64_t offset)
{
	struct store_msg sm = { .accepted_ms = m->accepted_ms,
	    .expire_ms = m->expire_ms, .received_ms = m->received_ms,
	    .segment = segment, .offset = offset,
	    .length = (uint32_t)r->total, .size = m->size,
	    .nrcpts = m->nrcpts, .flags = m->flags, .held = m->held,
	    .held_since_ms = m->held_since_ms, .client = m->client,
	    .from = m->from };
	struct store_msg old;
	struct store_rcpt rc;
	struct rec_rcpt	 e;
	struct rows	 before = { .n = 0 }, after = { .n = 0 };
	struct span	 s = m->rcpts;
	char		 domain[CONF_TARGET_MAX];

	while (rec_rcpt_next(&s, m->version, &e))
		sm.left += e.state == RCPT_WAITING ||
		    e.state == RCPT_PREPARED;
	rows_init(&before);
	if (!store_msg_put(q->store, r->id, &sm, true)) {
		store_msg_get(q->store, r->id, &old);
		buf_reset(&q->scratch);
		rows_collect(q, &before, r->id, &old);
		forget(q, r->id, &old, &before, false);
		before.n = 0;
		store_msg_put(q->store, r->id, &sm, true);
	}
	rows_init(&after);
	after.sender = due_sender_key(m->from, &m->client);
	for (s = m->rcpts; rec_rcpt_next(&s, m->version, &e);) {
		rc = (struct store_rcpt){ .state = e.state,
		    .notify = e.notify, .flags = e.flags, .group = e.group,
		    .attempt = e.attempt,
		    .next_ms = e.next_ms, .last_ms = e.last_ms,
		    .way = e.way, .settled = e.settled,
		    .dest = dest_of(q->conf, e.action, e.to, m->from, m->auth,
		    domain),
		    .action = e.action, .to = e.to, .reason = e.reason,
		    .server = e.server };
		store_rcpt_put(q->store, r->id, e.n, &rc);
		if (!m->held)
			rows_add(&after, r->id, &rc);
	}
	rows_merge(&after);
	if (sm.flags & MSG_KEPT)
		store_keep_put(q->store, sm.expire_ms, r->id);
	if (!q->replaying)
		count(q, &sm, 1);
	rows_replace(q, &before, &after, r->kind == REC_MESSAGE);
	rows_clear(&before);
	rows_clear(&after);
}

static void
apply_state(struct queue *q, const struct rec_state *st)
{
	struct span	 s = st->paused, name;

	if (!q->replaying)
		return;			/* it tells what is so already */
	q->mta_paused = st->mta_paused;
	map_free(q->paused);
	if ((q->paused = map_new(1000)) == NULL)
		fatal("state");
	while (rec_name_next(&s, &name))
		map_set(q->paused, name, q);
}

void
apply(struct queue *q, const struct rec *r, uint64_t segment, uint64_t offset)
{
	const char	*why = "kind";
	enum parse	 st = PARSE_BAD;
	struct rec_change ch, cause;
	struct rec_settled settled;
	struct rec_state state;
	struct rec_msg	 m;
	char		 id[ID_STRLEN];

	switch (r->kind) {
	case REC_MESSAGE:
	case REC_SNAPSHOT:
	case REC_PREPARED:
		if ((st = rec_msg_decode(r->env, r->version, &m, &why)) !=
		    PARSE_OK)
			break;
		if (r->id > q->newest_id)
			q->newest_id = r->id;
		apply_message(q, r, &m, segment, offset);
		if (m.cause.len > 0 && rec_change_decode(m.cause, r->version,
		    &cause, &why) == PARSE_OK)
			apply_change(q, m.cause_id, &cause);
		break;
	case REC_CHANGE:
	case REC_FINISHED:
		if ((st = rec_change_decode(r->env, r->version, &ch, &why)) ==
		    PARSE_OK)
			apply_change(q, r->id, &ch);
		break;
	case REC_SETTLED:
		if ((st = rec_settled_decode(r->env, &settled, &why)) ==
		    PARSE_OK)
			apply_settled(q, r->id, &settled);
		break;
	case REC_STATE:
		if ((st = rec_state_decode(r->env, &state, &why)) == PARSE_OK)
			apply_state(q, &state);
		break;
	}
	if (st != PARSE_OK)
		log_warnx("id=%s event=damage segment=%llx offset=%llu "
		    "why=\"%s in a record\"", id_str(r->id, id),
		    (unsigned long long)segment, (unsigned long long)offset,
		    why);
}

/* ---- new destinations after a change of configuration ---- */

#define REDEST_PAGE	256

struct page {
	uint64_t	 ids[REDEST_PAGE];
	size_t		 n;
};

static bool
page_add(uint64_t id, const struct store_msg *m, void *arg)
{
	struct page	*p = arg;

	(void)m;
	p->ids[p->n++] = id;
	return p->n < REDEST_PAGE;
}

static void
redest_one(struct queue *q, uint64_t id)
{
	struct store_msg m;
	struct store_rcpt rc;
	struct rows	 before = { .n = 0 }, after = { .n = 0 };
	struct due_sender s;
	char		 domain[CONF_TARGET_MAX];
	uint64_t	 dest;

	due_sender(q, id, &s);
	if (!store_msg_get(q->store, id, &m))
		return;
	rows_collect(q, &before, id, &m);
	for (uint32_t n = 0; n < m.nrcpts; n++) {
		if (!store_rcpt_get(q->store, id, n, &rc))
			continue;
		dest = dest_of(q->conf, rc.action, rc.to, span_str(s.from),
		    span_str(s.auth), domain);
		/* One at work keeps its key: under a new one it would be
		 * begun a second time. */
		if (dest == rc.dest || due_runs(q, id, rc.dest))
			continue;
		rc.dest = dest;
		store_rcpt_put(q->store, id, n, &rc);
	}
	rows_collect(q, &after, id, &m);
	rows_replace(q, &before, &after, false);
	rows_clear(&before);
	rows_clear(&after);
}

void
apply_redest(struct queue *q)
{
	struct store_hwm h;
	struct page	 p;
	uint64_t	 from = 0;

	if (!store_hwm(q->store, &h))
		return;
	do {
		p.n = 0;
		store_msgs(q->store, from, page_add, &p);
		store_begin(q->store);
		for (size_t i = 0; i < p.n; i++)
			redest_one(q, p.ids[i]);
		store_commit(q->store, &h);
		if (p.n > 0)
			from = p.ids[p.n - 1] + 1;
	} while (p.n == REDEST_PAGE);
}
