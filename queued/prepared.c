/*
 * See prepared.h. What is known of each way is in memory, as its records may
 * not be in the index yet; after a restart it is read from there.
 */
#include "queued/prepared.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/dsn.h"

#define STEP	64	/* decided in one go */

struct way {
	bool		 settled;
	uint8_t		 outcome;	/* enum q_settled */
	char		*reply, *server;
};
struct prep {
	uint64_t	 id;
	void		*owner;		/* smtpd's channel, or NULL */
	int64_t		 until_ms;	/* monotonic, without an owner */
	uint16_t	 ways, taken;	/* a bit each */
	struct way	 way[WAY_MAX + 1];
};

static struct prep *
add(struct queue *q, uint64_t id)
{
	struct prep	*p = calloc(1, sizeof(*p));

	if (p == NULL || !map_set_u64(q->prepared, id, p))
		fatal("prepared");
	p->id = id;
	return p;
}

static void
prep_free(struct prep *p)
{
	for (int i = 0; i <= WAY_MAX; i++) {
		free(p->way[i].reply);
		free(p->way[i].server);
	}
	free(p);
}

static void
settled(struct prep *p, unsigned n, uint8_t outcome, struct span reply,
    struct span server)
{
	struct way	*w = &p->way[n];

	if (w->settled)
		return;
	*w = (struct way){ true, outcome, span_dup(reply), span_dup(server) };
	if (w->reply == NULL || w->server == NULL)
		fatal("prepared");
	if (outcome == SETTLED_TAKEN || outcome == SETTLED_RELAYED)
		p->taken |= (uint16_t)(1u << n);
}

/* ---- its end ---- */

static void
write_void(struct queue *q, uint64_t id)
{
	struct rec_change ch = { .what = CHANGE_FINISH | CHANGE_REMOVE };
	struct rec	 r = { .kind = REC_FINISHED, .id = id };
	struct buf	 env;

	buf_init(&env, 256);
	if (!rec_change_encode(&env, &ch))
		fatal("prepared");
	r.env = buf_content(&env);
	queue_record(q, &r);
	buf_clear(&env);
}

/* All its recipients, and what becomes of each. */
struct ending {
	const struct queue *q;
	const struct prep *p;
	size_t		 n, max, reason_max;
	struct job_rcpt	*rcpts;
	struct fate	*fates;
	unsigned	 count[RCPT_STATE_MAX + 1];
	bool		 tell;		/* of an alias that was expanded */
};

static bool
end_rcpt(uint32_t n, const struct store_rcpt *row, void *arg)
{
	static const uint8_t states[] = { [SETTLED_TAKEN] = RCPT_DONE,
	    [SETTLED_QUEUE] = RCPT_WAITING, [SETTLED_REFUSED] = RCPT_FAILED,
	    [SETTLED_RELAYED] = RCPT_DONE, [SETTLED_TOLD] = RCPT_FAILED };
	struct ending	*e = arg;
	const struct way *w = &e->p->way[row->way];
	uint8_t		 outcome = w->settled ? w->outcome : SETTLED_QUEUE;
	bool		 tried = outcome != SETTLED_QUEUE;
	int64_t		 now = queue_now(e->q);
	struct job_rcpt	*r = &e->rcpts[e->n];
	struct fate	*f = &e->fates[e->n];

	if (e->n == e->max)
		return false;
	e->n++;
	e->count[states[outcome]]++;
	e->tell |= (row->flags & RCPT_TELL) != 0;
	*r = (struct job_rcpt){ .n = n, .attempt = tried,
	    .notify = outcome == SETTLED_TOLD ? NOTIFY_NEVER : row->notify,
	    .flags = row->flags, .group = row->group,
	    .remote = w->settled && w->server[0] != '\0',
	    /* A success is told by the server, if it can. */
	    .dsn = outcome != SETTLED_RELAYED, .tried_ms = tried ? now : 0, .to = span_dup(row->to),
	    .reply = w->reply, .server = w->server };
	if (r->to == NULL)
		fatal("prepared");
	*f = (struct fate){ .r = r, .f = { .n = n, .state = states[outcome],
	    .attempt = tried, .last_ms = tried ? now : 0, .next_ms = now } };
	if (w->settled && states[outcome] != RCPT_DONE) {
		f->f.reason = span_sub(span_str(w->reply), 0, e->reason_max);
		f->f.server = span_str(w->server);
	}
	return true;
}

static void
write_ours(struct queue *q, const struct prep *p, const char *why)
{
	struct ending	 e = { .q = q, .p = p };
	struct store_msg m;
	char		 from[1100], id[ID_STRLEN];

	if (!store_msg_get(q->store, p->id, &m))
		return;
	/* The row's spans live until the next call of the store. */
	if (!span_cstr(m.from, from, sizeof(from)))
		from[0] = '\0';
	m.from = span_str(from);
	e.max = m.nrcpts;
	e.reason_max = queue_reason_max(q, m.nrcpts);
	e.rcpts = calloc(e.max + 1, sizeof(*e.rcpts));
	e.fates = calloc(e.max + 1, sizeof(*e.fates));
	if (e.rcpts == NULL || e.fates == NULL)
		fatal("prepared");
	store_rcpts(q->store, p->id, end_rcpt, &e);
	log_info("id=%s event=finish result=ours taken=%u queue=%u refused=%u "
	    "why=%s", id_str(p->id, id), e.count[RCPT_DONE],
	    e.count[RCPT_WAITING], e.count[RCPT_FAILED],
	    log_quote(span_str(why)));
	dsn_record(q, p->id, &m, "", e.fates, e.n);
	if (e.tell)
		dsn_expanded_late(q, p->id);
	q->stats.accepted++;
	q->stats.failed += e.count[RCPT_FAILED];
	for (size_t i = 0; i < e.n; i++)
		free(e.rcpts[i].to);
	free(e.rcpts);
	free(e.fates);
}

static void
end(struct queue *q, struct prep *p, bool keep, const char *why)
{
	char	 id[ID_STRLEN];

	map_del_u64(q->prepared, p->id);
	if (keep)
		write_ours(q, p, why);
	else {
		log_info("id=%s event=finish result=void why=%s",
		    id_str(p->id, id), log_quote(span_str(why)));
		write_void(q, p->id);
	}
	prep_free(p);
}

/* Nobody says how it ended. */
static void
decide(struct queue *q, struct prep *p, const char *why)
{
	uint64_t	 id = p->id;
	bool		 ours = p->taken != 0;

	end(q, p, ours, why);
	q->ops->finished(q, NULL, 0, id, ours ? Q_OK : Q_FAILED);
}

/* ---- what smtpd says ---- */

void
prepared_new(struct queue *q, void *owner, uint64_t id, uint16_t ways)
{
	struct prep	*p = add(q, id);

	p->owner = owner;
	p->ways = ways;
	if (owner == NULL)
		decide(q, p, "its client's session is lost");
}

/* It may come back to one that queued's earlier life knew. */
static struct prep *
claim(struct queue *q, void *owner, uint64_t id)
{
	struct prep	*p = map_get_u64(q->prepared, id);

	if (p == NULL || (p->owner != NULL && p->owner != owner))
		return NULL;
	p->owner = owner;
	return p;
}

bool
prepared_settle(struct queue *q, void *owner, uint64_t id,
    const struct rec_settled *s)
{
	struct prep	*p = claim(q, owner, id);
	struct rec	 r = { .kind = REC_SETTLED, .id = id };
	struct rec_settled x = *s;
	struct buf	 env;
	char		 ids[ID_STRLEN];

	if (s->way > WAY_MAX || s->outcome > SETTLED_LAST)
		return false;
	if (p == NULL || p->way[s->way].settled)
		return true;
	if (!(p->ways & 1u << s->way))
		return false;
	log_info("id=%s event=settle way=%u result=%s server=%s reply=%s",
	    id_str(id, ids), s->way, settled_name(s->outcome),
	    log_quote(s->server), log_quote(s->reply));
	settled(p, s->way, s->outcome, s->reply, s->server);
	x.reply = span_sub(s->reply, 0, REC_REASON_MAX);
	buf_init(&env, 2048);
	if (!rec_settled_encode(&env, &x))
		fatal("prepared");
	r.env = buf_content(&env);
	queue_record(q, &r);
	buf_clear(&env);
	return true;
}

void
prepared_finish(struct queue *q, void *owner, uint32_t tid, uint64_t id,
    bool keep)
{
	struct prep	*p = claim(q, owner, id);

	if (p != NULL && !keep)		/* a server has it, or nobody */
		decide(q, p, "said to be void");
	else if (p != NULL)
		end(q, p, true, "settled");
	if (keep)
		queue_ack_finish(q, owner, tid, id, p != NULL ||
		    (map_get_u64(q->prepared, id) == NULL &&
		    queue_has(q, id)) ? Q_OK : Q_FAILED);
}

struct due {
	struct queue	*q;
	const void	*owner;		/* whose, or NULL: those too late */
	int64_t		 now;
	struct prep	*v[STEP];
	size_t		 n;
};

static bool
due_one(struct span key, void *v, void *arg)
{
	struct due	*d = arg;
	struct prep	*p = v;

	(void)key;
	if (p->owner != d->owner)
		return true;
	if (d->owner == NULL && p->until_ms > d->now) {
		if (p->until_ms < d->q->prepared_next_ms)
			d->q->prepared_next_ms = p->until_ms;
		return true;
	}
	d->v[d->n++] = p;
	return d->n < STEP;
}

void
prepared_owner_gone(struct queue *q, const void *owner)
{
	struct due	 d = { .q = q, .owner = owner };

	do {
		d.n = 0;
		map_each(q->prepared, due_one, &d);
		for (size_t i = 0; i < d.n; i++)
			decide(q, d.v[i], "its client's session is lost");
	} while (d.n == STEP);
}

bool
prepared_step(struct queue *q)
{
	struct due	 d = { .q = q, .now = clock_mono().ms };

	if (map_count(q->prepared) == 0 || d.now < q->prepared_next_ms)
		return false;
	q->prepared_next_ms = INT64_MAX;
	map_each(q->prepared, due_one, &d);
	for (size_t i = 0; i < d.n; i++)
		decide(q, d.v[i], "nobody has come back for it");
	if (d.n == STEP)
		q->prepared_next_ms = 0;
	return d.n == STEP;
}

/* ---- the start ---- */

void
prepared_found(struct queue *q, uint64_t id)
{
	if (map_get_u64(q->prepared, id) == NULL)
		add(q, id);
}

static bool
load_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct prep	*p = arg;

	(void)n;
	if (r->way > WAY_MAX)
		return true;
	p->ways |= (uint16_t)(1u << r->way);
	if (r->settled > 0 && r->settled <= SETTLED_LAST + 1)
		settled(p, r->way, r->settled - 1, r->reason, r->server);
	return true;
}

static bool
load_one(struct span key, void *v, void *arg)
{
	struct queue	*q = arg;
	struct prep	*p = v;

	(void)key;
	store_rcpts(q->store, p->id, load_rcpt, p);
	p->until_ms = clock_mono().ms + (p->taken != 0 ? PREPARED_TAKEN_MS :
	    PREPARED_OPEN_MS);
	return true;
}

void
prepared_load(struct queue *q)
{
	map_each(q->prepared, load_one, q);
	q->prepared_next_ms = 0;
	if (map_count(q->prepared) > 0)
		log_info("event=prepared messages=%zu",
		    map_count(q->prepared));
}

static bool
free_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	prep_free(v);
	return true;
}

void
prepared_free(struct queue *q)
{
	map_each(q->prepared, free_one, NULL);
	map_free(q->prepared);
}
