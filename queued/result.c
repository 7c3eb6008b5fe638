/*
 * Results of deliveries: what each means for its recipient, as records. All
 * recipients of a job that have a result share one record; a notification of
 * them shares it too.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/dsn.h"
#include "queued/due.h"
#include "queued/known.h"

static struct job_rcpt *
find(struct job *j, uint32_t n, uint32_t attempt)
{
	for (size_t i = 0; i < j->nrcpts; i++)
		if (j->rcpts[i].n == n && j->rcpts[i].attempt == attempt)
			return &j->rcpts[i];
	return NULL;
}

static bool
complete(const struct job *j)
{
	for (size_t i = 0; i < j->nrcpts; i++)
		if (!j->rcpts[i].have)
			return false;
	return true;
}

void
result_add(struct queue *q, struct job *j, void *agent, uint32_t tid,
    const struct result *x)
{
	struct job_rcpt	*r = j == NULL ? NULL : find(j, x->n, x->attempt);

	if (r == NULL) {
		/* Of an earlier life, or recorded already. */
		if (!q->down &&
		    (j = job_adopt(q, x->id, x->n, x->attempt)) != NULL)
			r = find(j, x->n, x->attempt);
	}
	if (r == NULL || r->have) {
		if (agent != NULL && (r == NULL || r->written))
			queue_ack(q, agent, tid, x->id, x->n, x->attempt);
		else if (agent != NULL) {
			r->agent = agent;
			r->tid = tid;
		}
		return;
	}
	r->have = true;
	r->status = x->status > D_PERM ? D_TEMP : x->status;
	r->remote = x->remote;
	r->dsn = x->dsn;
	r->tried_ms = queue_now(q);
	r->reply = span_dup(span_sub(x->reply, 0, REC_REASON_MAX));
	r->server = span_dup(x->server);
	r->tls = x->tls.len > 0 ? span_dup(x->tls) : NULL;
	r->agent = agent;
	r->tid = tid;
	if (!j->dirty) {
		j->dirty = true;
		TAILQ_INSERT_TAIL(&q->dirty, j, dirty_entry);
	}
	if (j->adopted && j->running && complete(j))
		job_gone(q, j);
	q->ops->want_flush(q, false);
}

/* ---- records of results ---- */

struct outcome {
	struct queue	*q;
	uint64_t	 id;
	int64_t		 now, accepted_ms, expire_ms;
	uint32_t	 random;
	size_t		 reason_max;
};

static void
log_result(const struct outcome *o, const struct job_rcpt *r,
    const char *result, int64_t next)
{
	char	 id[ID_STRLEN], more[64] = "";
	bool	 tls = r->tls != NULL;
	int64_t	 delay = o->now - o->accepted_ms;

	if (next > 0)
		snprintf(more, sizeof(more), " next=%llds",
		    (long long)(next - o->now) / 1000);
	log_info("id=%s event=deliver to=<%s> result=%s server=%s reply=%s "
	    "attempt=%u delay=%lld.%03lld%s%s%s", id_str(o->id, id),
	    log_quote(span_str(r->to)), result,
	    log_quote(span_str(r->server)),
	    log_quote_reply(span_str(r->reply)), r->attempt,
	    (long long)delay / 1000, (long long)(delay % 1000), more,
	    tls ? " tls=" : "", tls ? log_quote(span_str(r->tls)) : "");
}

static void
fail(struct outcome *o, struct fate *f, bool expired)
{
	f->f.state = RCPT_FAILED;
	f->expired = expired;
	o->q->stats.failed++;
	if (expired)
		o->q->stats.expired++;
	log_result(o, f->r, expired ? "expired" : "failed", 0);
}

/* The server's name is recorded with a reply of its own, if both fit. */
static struct span
server_kept(const struct outcome *o, const struct job_rcpt *r)
{
	struct span	 s = span_str(r->server);

	return r->remote && (o->reason_max == REC_REASON_MAX ||
	    strlen(r->reply) + s.len <= o->reason_max) ? s : span(NULL, 0);
}

static void
one(struct outcome *o, const struct job_rcpt *r, struct fate *f)
{
	struct retry	 retry = { o->q->conf->retry_min_ms,
			    o->q->conf->retry_max_ms };

	*f = (struct fate){ .r = r, .f = { .n = r->n, .attempt = r->attempt,
	    .last_ms = o->now, .next_ms = o->now,
	    .reason = span_sub(span_str(r->reply), 0, o->reason_max),
	    .server = server_kept(o, r) } };
	if (r->status == D_OK) {
		f->f.state = RCPT_DONE;
		o->q->stats.delivered++;
		log_result(o, r, "delivered", 0);
	} else if (r->status == D_PERM)
		fail(o, f, false);
	else if (retry_expired(o->now, o->expire_ms))
		fail(o, f, true);
	else {
		f->f.state = RCPT_WAITING;
		f->f.next_ms = retry_next(&retry, r->attempt, o->now,
		    o->expire_ms, o->random);
		o->q->stats.deferred++;
		log_result(o, r, "deferred", f->f.next_ms);
	}
}

static int
fate_cmp(const void *a, const void *b)
{
	const struct fate *x = a, *y = b;

	return x->f.n < y->f.n ? -1 : x->f.n > y->f.n;
}

/* Records of the results that have none; v has room for all. */
static void
job_record(struct queue *q, const struct job *j, const struct store_msg *m,
    struct fate *v)
{
	struct outcome	 o = { .q = q, .id = j->id, .now = queue_now(q),
			    .accepted_ms = m->accepted_ms,
			    .expire_ms = m->expire_ms,
			    .random = rand_below(UINT32_MAX),
			    .reason_max = queue_reason_max(q, m->nrcpts) };
	size_t		 n = 0;

	for (size_t i = 0; i < j->nrcpts; i++)
		if (j->rcpts[i].have && !j->rcpts[i].written)
			one(&o, &j->rcpts[i], &v[n++]);
	if (n == 0)
		return;
	qsort(v, n, sizeof(*v), fate_cmp);
	dsn_record(q, j->id, m, j->dest->action, v, n);
}

static void
job_write(struct queue *q, struct job *j)
{
	struct store_msg m;
	struct job_rcpt	*r;
	struct fate	*v;
	bool		 known = store_msg_get(q->store, j->id, &m);

	if (known && dsn_must_wait(q, j->id, &m))
		return;
	TAILQ_REMOVE(&q->dirty, j, dirty_entry);
	j->dirty = false;
	if ((v = calloc(j->nrcpts, sizeof(*v))) == NULL)
		fatal("results");
	if (known)
		job_record(q, j, &m, v);
	free(v);
	for (size_t i = 0; i < j->nrcpts; i++) {
		r = &j->rcpts[i];
		if (!r->have || r->written)
			continue;
		r->written = true;
		known_delivery(q, j->dest, r);
		if (r->agent != NULL)
			queue_ack(q, r->agent, r->tid, j->id, r->n,
			    r->attempt);
	}
	job_release(q, j);
}

void
result_write(struct queue *q)
{
	struct job	*j, *next;

	/* All that was recorded is in the index. */
	if (buf_len(&q->changes) == 0 && map_count(q->grouped) > 0) {
		map_free(q->grouped);
		if ((q->grouped = map_new(1 << 20)) == NULL)
			fatal("results");
	}
	TAILQ_FOREACH_SAFE(j, &q->dirty, dirty_entry, next) {
		if (buf_len(&q->changes) >= q->params.seg_size / 8)
			break;
		job_write(q, j);
	}
}

/* ---- expiry without an attempt ---- */

void
result_expire(struct queue *q, struct job *j)
{
	struct store_rcpt rc;
	struct job_rcpt	*r;

	for (size_t i = 0; i < j->nrcpts; i++) {
		r = &j->rcpts[i];
		r->have = true;
		r->status = D_TEMP;
		r->attempt--;		/* this was none */
		if (store_rcpt_get(q->store, j->id, r->n, &rc)) {
			r->reply = span_dup(rc.reason);
			r->server = span_dup(rc.server);
			r->remote = rc.server.len > 0;
			r->tried_ms = rc.attempt > 0 ? rc.last_ms : 0;
		}
	}
	if (!j->dirty) {
		j->dirty = true;
		TAILQ_INSERT_TAIL(&q->dirty, j, dirty_entry);
	}
	q->ops->want_flush(q, false);
}
