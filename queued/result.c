/*
 * Results of deliveries: what each means for its recipient, as records. All
 * recipients of a job that have a result share one record; a bounce shares it
 * too.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/due.h"

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
	r->reply = span_dup(span_sub(x->reply, 0, REC_REASON_MAX));
	r->server = span_dup(x->server);
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
	struct buf	 fates;
	uint32_t	 nfates;
	struct bounce_rcpt *failed, *late;	/* to be told to the sender */
	size_t		 nfailed, nlate;
};

static void
log_result(const struct outcome *o, const struct job_rcpt *r,
    const char *result, int64_t next)
{
	char	 id[ID_STRLEN], more[64] = "";
	int64_t	 delay = o->now - o->accepted_ms;

	if (next > 0)
		snprintf(more, sizeof(more), " next=%llds",
		    (long long)(next - o->now) / 1000);
	log_info("id=%s event=deliver to=<%s> result=%s server=%s reply=%s "
	    "attempt=%u delay=%lld.%03lld%s", id_str(o->id, id),
	    log_quote(span_str(r->to)), result,
	    log_quote(span_str(r->server)),
	    log_quote_reply(span_str(r->reply)), r->attempt,
	    (long long)delay / 1000, (long long)(delay % 1000), more);
}

static void
fail(struct outcome *o, const struct job_rcpt *r, bool expired)
{
	o->q->stats.failed++;
	if (expired)
		o->q->stats.expired++;
	log_result(o, r, expired ? "expired" : "failed", 0);
	if (r->notify != 0 && !(r->notify & NOTIFY_FAILURE))
		return;			/* RFC 3461, 4.1 */
	o->failed[o->nfailed++] = (struct bounce_rcpt){ span_str(r->to),
	    span_str(r->reply), expired };
}

/*
 * `queue warn-after`: the first attempt that fails after that time is told, and
 * as the row still knows when the one before was, no other is.
 */
static void
delayed(struct outcome *o, const struct job_rcpt *r)
{
	struct store_rcpt rc;
	int64_t		 at = o->accepted_ms + o->q->conf->warn_after_ms;

	if (o->q->conf->warn_after_ms <= 0 || o->now < at ||
	    (r->notify != 0 && !(r->notify & NOTIFY_DELAY)))
		return;			/* RFC 3461, 4.1 */
	if (!store_rcpt_get(o->q->store, o->id, r->n, &rc) ||
	    (rc.attempt > 0 && rc.last_ms >= at))
		return;
	o->late[o->nlate++] = (struct bounce_rcpt){ span_str(r->to),
	    span_str(r->reply), false };
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
one(struct outcome *o, const struct job_rcpt *r)
{
	struct retry	 retry = { o->q->conf->retry_min_ms,
			    o->q->conf->retry_max_ms };
	struct rec_fate	 f = { .n = r->n, .attempt = r->attempt,
			    .state = RCPT_FAILED, .last_ms = o->now,
			    .next_ms = o->now, .reason = span_sub(
			    span_str(r->reply), 0, o->reason_max),
			    .server = server_kept(o, r) };

	if (r->status == D_OK) {
		f.state = RCPT_DONE;
		o->q->stats.delivered++;
		log_result(o, r, "delivered", 0);
	} else if (r->status == D_PERM)
		fail(o, r, false);
	else if (retry_expired(o->now, o->expire_ms))
		fail(o, r, true);
	else {
		f.state = RCPT_WAITING;
		f.next_ms = retry_next(&retry, r->attempt, o->now,
		    o->expire_ms, o->random);
		o->q->stats.deferred++;
		log_result(o, r, "deferred", f.next_ms);
		delayed(o, r);
	}
	rec_fate_add(&o->fates, &f);
	o->nfates++;
}

bool
result_msg(struct queue *q, uint64_t id, struct rec *r, struct rec_msg *m,
    char *from, size_t size)
{
	struct store_msg row;
	const char	*why;

	if (load_record(q, id, r) &&
	    rec_msg_decode(r->env, r->version, m, &why) == PARSE_OK)
		return true;
	if (!store_msg_get(q->store, id, &row) ||
	    !span_cstr(row.from, from, size))
		return false;
	*r = (struct rec){ .id = id };
	*m = (struct rec_msg){ .from = span_str(from) };
	return true;
}

/* One record for all that the outcome holds. */
static void
outcome_record(struct outcome *o)
{
	struct queue	*q = o->q;
	struct rec_change ch = { .nrcpts = o->nfates,
			    .rcpts = buf_content(&o->fates) };
	struct rec	 r = { .kind = REC_CHANGE, .id = o->id }, msg;
	struct rec_msg	 m;
	struct buf	 env;
	char		 from[1100];

	keep_mark(q, &ch);
	buf_init(&env, REC_ENV_MAX);
	if (o->fates.failed || !rec_change_encode(&env, &ch))
		fatalx("change");
	r.env = buf_content(&env);
	if (o->nfailed > 0 && result_msg(q, o->id, &msg, &m, from,
	    sizeof(from)))
		bounce(q, o->id, &msg, &m, o->failed, o->nfailed, r.env);
	else
		queue_record(q, &r);
	if (o->nlate > 0 && result_msg(q, o->id, &msg, &m, from,
	    sizeof(from)))
		bounce_delay(q, o->id, &msg, &m, o->late, o->nlate);
	buf_clear(&env);
}

static void
job_write(struct queue *q, struct job *j)
{
	struct outcome	 o = { .q = q, .id = j->id, .now = queue_now(q),
			    .random = rand_below(UINT32_MAX) };
	struct store_msg m;
	struct job_rcpt	*r;

	TAILQ_REMOVE(&q->dirty, j, dirty_entry);
	j->dirty = false;
	buf_init(&o.fates, REC_ENV_MAX);
	o.failed = calloc(j->nrcpts, sizeof(*o.failed));
	o.late = calloc(j->nrcpts, sizeof(*o.late));
	if (o.failed == NULL || o.late == NULL)
		fatal("results");
	if (store_msg_get(q->store, j->id, &m)) {
		o.accepted_ms = m.accepted_ms;
		o.expire_ms = m.expire_ms;
		o.reason_max = queue_reason_max(q, m.nrcpts);
		for (size_t i = 0; i < j->nrcpts; i++)
			if (j->rcpts[i].have && !j->rcpts[i].written)
				one(&o, &j->rcpts[i]);
		if (o.nfates > 0)
			outcome_record(&o);
	}
	for (size_t i = 0; i < j->nrcpts; i++) {
		r = &j->rcpts[i];
		if (!r->have || r->written)
			continue;
		r->written = true;
		if (r->agent != NULL)
			queue_ack(q, r->agent, r->tid, j->id, r->n,
			    r->attempt);
	}
	buf_clear(&o.fates);
	free(o.failed);
	free(o.late);
	job_release(q, j);
}

void
result_write(struct queue *q)
{
	struct job	*j;

	while ((j = TAILQ_FIRST(&q->dirty)) != NULL &&
	    buf_len(&q->changes) < q->params.seg_size / 8)
		job_write(q, j);
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
		}
	}
	if (!j->dirty) {
		j->dirty = true;
		TAILQ_INSERT_TAIL(&q->dirty, j, dirty_entry);
	}
	q->ops->want_flush(q, false);
}
