/*
 * Jobs in memory, each the delivery of one message to one destination: ready,
 * loaded when it is handed out, at work, ended and free once its results are
 * written; or ready again after its deliverd is gone. Channels to deliverd are
 * job.c's.
 */
#include "queued/due_i.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/dest.h"

#define DUE_NOW_MS	1000	/* recipients due so soon go along */

uint64_t
job_key(uint64_t id, uint64_t dest)
{
	return id ^ (dest << 17 | dest >> 47);
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

void
job_clear(struct job *j)
{
	for (size_t i = 0; i < j->nrcpts; i++) {
		free(j->rcpts[i].to);
		free(j->rcpts[i].reply);
		free(j->rcpts[i].server);
		free(j->rcpts[i].tls);
	}
	free(j->rcpts);
	j->rcpts = NULL;
	j->nrcpts = 0;
}

void
job_free(struct queue *q, struct job *j)
{
	if (j->dirty)
		TAILQ_REMOVE(&q->dirty, j, dirty_entry);
	map_del_u64(q->jobs, job_key(j->id, j->dest->key));
	j->dest->njobs--;
	job_clear(j);
	free(j);
}

struct job *
job_push(struct queue *q, struct dest *d, const struct store_due *row,
    bool fresh)
{
	struct sender	*s = sender_get(q, d, row->sender);
	struct job	*j;

	if (s == NULL)
		return NULL;
	if ((j = calloc(1, sizeof(*j))) == NULL ||
	    !map_set_u64(q->jobs, job_key(row->id, d->key), j)) {
		free(j);
		sender_rest(q, d, s);
		return NULL;
	}
	j->id = row->id;
	j->dest = d;
	j->fresh = fresh;
	j->sender = row->sender;
	j->next_ms = row->next_ms;
	TAILQ_INSERT_TAIL(&s->ready, j, entry);
	s->nready++;
	d->njobs++;
	d->nready++;
	q->nready++;
	return j;
}

void
job_unready(struct queue *q, struct job *j)
{
	struct sender	*s = sender_find(q, j->dest, j->sender);

	TAILQ_REMOVE(&s->ready, j, entry);
	s->nready--;
	j->dest->nready--;
	q->nready--;
	sender_rest(q, j->dest, s);
}

/* ---- its recipients ---- */

struct due_load {
	struct queue	*q;
	struct job	*j;
	int64_t		 now;
	size_t		 cap;
	int		 around;	/* flags of an archive's copy; -1: none
					 * is known yet */
};

/* An archive's copies differ from the others, so they are a job of their own:
 * what does not go along is looked for again when this one has ended. */
static bool
goes_along(struct due_load *l, uint8_t flags)
{
	int	 around = flags & (RCPT_F_ARCHIVE | RCPT_F_JOURNAL);

	if (l->around == -1)
		l->around = around;
	if (l->around != around)
		l->j->again = true;
	return l->around == around;
}

static bool
job_add(struct due_load *l, const struct job_rcpt *r, struct span to)
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
	*v = *r;
	v->to = span_dup(to);
	return v->to != NULL;
}

static bool
job_row(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct due_load	*l = arg;

	/* By key and, as two might share one, by name. */
	if (r->state != RCPT_WAITING || r->dest != l->j->dest->key ||
	    !span_is(r->action, l->j->dest->action) ||
	    (r->next_ms > l->now + DUE_NOW_MS && !l->j->early) ||
	    !goes_along(l, r->flags))
		return true;
	if (l->j->nrcpts >= JOB_RCPTS) {
		l->j->again = true;	/* the others have their turn then */
		return false;
	}
	return job_add(l, &(struct job_rcpt){ .n = n,
	    .attempt = r->attempt + 1, .notify = r->notify,
	    .flags = r->flags, .group = r->group }, r->to);
}

/* Its waiting recipients by the index; false: none. */
static bool
job_rcpts(struct queue *q, struct job *j)
{
	struct due_load	 l = { q, j, queue_now(q), 0, -1 };

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
			result_add(q, j, NULL, 0, &(struct result){
			    .id = j->id, .n = j->rcpts[i].n,
			    .attempt = j->rcpts[i].attempt,
			    .status = D_TEMP, .reply = span_str("4.3.0 the "
			    "message can't be read from the queue") });
	job_gone(q, j);
}

bool
job_load(struct queue *q, struct job *j, struct rec *r, struct rec_msg *m)
{
	struct due_load	 l = { q, j, queue_now(q), 0, -1 };
	struct store_msg row;
	struct rec_rcpt	 e;
	struct span	 s;
	const char	*why;
	char		 domain[CONF_TARGET_MAX];

	job_clear(j);
	if (!j->fresh && (!store_msg_get(q->store, j->id, &row) || row.held)) {
		job_gone(q, j);
		return false;
	}
	if (!load_record(q, j->id, r) ||
	    rec_msg_decode(r->env, r->version, m, &why) != PARSE_OK) {
		job_damaged(q, j);
		return false;
	}
	if (!j->fresh)
		job_rcpts(q, j);
	else
		for (s = m->rcpts; rec_rcpt_next(&s, m->version, &e) &&
		    !j->again;) {
			if (dest_of(q->conf, e.action, e.to, m->from, m->auth,
			    domain) != j->dest->key || !goes_along(&l, e.flags))
				continue;
			if (j->nrcpts < JOB_RCPTS)
				job_add(&l, &(struct job_rcpt){ .n = e.n,
				    .attempt = 1, .notify = e.notify,
				    .flags = e.flags, .group = e.group }, e.to);
			else
				j->again = true;
		}
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
	row = (struct store_due){ .id = id, .dest = rc.dest, .sender = 1 };
	if ((d = dest_of_row(q, &row)) == NULL)
		return NULL;
	if ((j = job_find(q, id, d->key)) == NULL &&
	    (j = job_push(q, d, &row, false)) == NULL) {
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
	return job_add(&l, &(struct job_rcpt){ .n = n, .attempt = attempt,
	    .notify = rc.notify, .flags = rc.flags, .group = rc.group },
	    rc.to) ? j : NULL;
}

/* ---- the end of a job ---- */

/* Those that wait for a server that stays away expire without an attempt. */
static void
expire_ready(struct queue *q, struct dest *d)
{
	struct store_msg m;
	struct sender	*s, *snext;
	struct job	*j, *next;
	int64_t		 now = queue_now(q);

	/* With its last job a sender goes. */
	TAILQ_FOREACH_SAFE(s, &d->senders, entry, snext)
		TAILQ_FOREACH_SAFE(j, &s->ready, entry, next) {
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
	struct dest_word w = { seen, j->begun_ms, j->reply_ms };

	d->used_ms = queue_now(q);
	if (dest_seen(d, &w, dest_limit(q->conf, d), &retry, queue_now(q),
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
	struct sender	*s;
	bool		 results = false;

	for (size_t i = 0; i < j->nrcpts; i++)
		results |= j->rcpts[i].have && !j->rcpts[i].written;
	if ((crashed && ++j->crashes >= CRASHES_MAX) || results || j->dirty) {
		for (size_t i = 0; i < j->nrcpts; i++)
			if (!j->rcpts[i].have)
				result_add(q, j, NULL, 0, &(struct result){
				    .id = j->id, .n = j->rcpts[i].n,
				    .attempt = j->rcpts[i].attempt,
				    .status = D_TEMP, .reply = span_str("4.3.0 "
				    "delivery was interrupted") });
		job_ended(q, j, D_DEST_SLOW);
		return;
	}
	job_clear(j);
	j->running = j->fresh = j->adopted = j->again = false;
	j->agent = NULL;
	d->running--;
	q->nrunning--;
	if ((s = sender_get(q, d, j->sender)) == NULL)
		fatal("sender");
	TAILQ_INSERT_HEAD(&s->ready, j, entry);
	s->nready++;
	d->nready++;
	q->nready++;
	dest_place(q, d);
	q->ops->want_run(q);
}
