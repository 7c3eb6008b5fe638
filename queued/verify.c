/*
 * See verify.h.
 */
#include "queued/verify.h"

#include <sys/queue.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"

#define DURATION_MAX_MS	(3660LL * 86400000)	/* longer than any in a file */

struct asker {
	TAILQ_ENTRY(asker) entry;
	struct chan	*chan;
	uint32_t	 tid;
};
struct question {
	TAILQ_ENTRY(question) entry;	/* in the order of their beginning */
	char		*name;		/* its key as one string */
	size_t		 name_len;
	char		*where, *target, *to;
	struct known_params params;
	struct asker	 asker;
	TAILQ_HEAD(, asker) waiting;
	unsigned	 nwaiting;
	struct mono	 since;
};
struct verify {
	struct map	*by_key, *by_asker;
	TAILQ_HEAD(, question) all;
};

struct verify *
verify_new(void)
{
	struct verify	*v = calloc(1, sizeof(*v));

	if (v == NULL || (v->by_key = map_new(VERIFY_ASKED_MAX)) == NULL ||
	    (v->by_asker = map_new(VERIFY_ASKED_MAX)) == NULL)
		fatal("verify");
	TAILQ_INIT(&v->all);
	return v;
}

/* ---- keys ---- */

static struct span
asker_key(const struct asker *a, uint8_t key[12])
{
	const void	*p = a->chan;

	memcpy(key, &p, sizeof(p));
	memcpy(key + sizeof(p), &a->tid, sizeof(a->tid));
	return span(key, sizeof(p) + sizeof(a->tid));
}

/* One string of a key, for the map; to be cleared. */
static struct span
name_of(const struct verify_key *k, struct buf *b)
{
	buf_init(b, 4096);
	buf_span(b, k->domain);
	buf_byte(b, 0);
	buf_span(b, k->local);
	buf_byte(b, 0);
	buf_span(b, k->where);
	buf_byte(b, 0);
	buf_span(b, k->target);
	return buf_content(b);
}

static struct question *
find(const struct verify *v, const struct verify_key *k)
{
	struct buf	 b;
	struct question	*q = map_get(v->by_key, name_of(k, &b));

	buf_clear(&b);
	return q;
}

size_t
verify_count(const struct verify *v)
{
	return map_count(v->by_key);
}

bool
verify_asked(const struct verify *v, const struct verify_key *k)
{
	return find(v, k) != NULL;
}

/* ---- a question's life ---- */

static void
asker_set(struct verify *v, struct question *q, struct chan *c, uint32_t tid)
{
	uint8_t	 key[12];

	q->asker.chan = c;
	q->asker.tid = tid;
	if (!map_set(v->by_asker, asker_key(&q->asker, key), q))
		fatal("verify");
}

static struct question *
question_new(struct verify *v, const struct verify_key *k, struct chan *c,
    const struct ipc_v_ask *m, const struct known_params *p)
{
	struct question	*q = calloc(1, sizeof(*q));
	struct buf	 b;
	struct span	 name = name_of(k, &b);

	if (q == NULL || (q->name = malloc(name.len)) == NULL ||
	    (q->where = span_dup(m->where)) == NULL ||
	    (q->target = span_dup(m->target)) == NULL ||
	    (q->to = span_dup(m->to)) == NULL || !map_set(v->by_key, name, q))
		fatal("verify");
	memcpy(q->name, name.p, name.len);
	q->name_len = name.len;
	buf_clear(&b);
	q->params = *p;
	q->since = clock_mono();
	TAILQ_INIT(&q->waiting);
	TAILQ_INSERT_TAIL(&v->all, q, entry);
	asker_set(v, q, c, m->tid);
	return q;
}

static void
question_free(struct verify *v, struct question *q)
{
	uint8_t		 key[12];
	struct asker	*a;

	map_del(v->by_asker, asker_key(&q->asker, key));
	map_del(v->by_key, span(q->name, q->name_len));
	TAILQ_REMOVE(&v->all, q, entry);
	while ((a = TAILQ_FIRST(&q->waiting)) != NULL) {
		TAILQ_REMOVE(&q->waiting, a, entry);
		free(a);
	}
	free(q->name);
	free(q->where);
	free(q->target);
	free(q->to);
	free(q);
}

void
verify_free(struct verify *v)
{
	struct question	*q;

	if (v == NULL)
		return;
	while ((q = TAILQ_FIRST(&v->all)) != NULL)
		question_free(v, q);
	map_free(v->by_key);
	map_free(v->by_asker);
	free(v);
}

static void
answer(struct chan *c, uint32_t tid, uint8_t state, bool ask,
    const struct known *k)
{
	CHAN_SEND(c, v_answer, .tid = tid, .state = state, .ask = ask,
	    .probe = ask && k->any == V_ANY_NOT_ASKED, .good = k->good,
	    .reply = span_str(k->reply), .server = span_str(k->server));
}

static void
wait_for(struct question *q, struct chan *c, uint32_t tid,
    const struct known *k)
{
	struct asker	*a;

	if (q->nwaiting >= VERIFY_WAIT_MAX) {
		answer(c, tid, V_BUSY, false, k);
		return;
	}
	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal("verify");
	a->chan = c;
	a->tid = tid;
	TAILQ_INSERT_TAIL(&q->waiting, a, entry);
	q->nwaiting++;
}

static int64_t
duration(uint64_t ms)
{
	return ms > DURATION_MAX_MS ? DURATION_MAX_MS : (int64_t)ms;
}

void
verify_ask(struct verify *v, struct queue *queue, struct chan *c,
    const struct ipc_v_ask *m)
{
	struct known_params p = { duration(m->cache_ms),
	    duration(m->good_ms) };
	struct asker	 self = { .chan = c, .tid = m->tid };
	uint8_t		 akey[12];
	char		 domain[256];
	struct verify_key key;
	struct question	*q;
	struct known	 k;
	size_t		 max;

	if (map_get(v->by_asker, asker_key(&self, akey)) != NULL) {
		chan_reject(c, "v_ask: the number is in use");
		return;
	}
	if (!known_key(m->to, m->where, m->target, domain, &key)) {
		memset(&k, 0, sizeof(k));
		answer(c, m->tid, V_NONE, false, &k);
		return;
	}
	known_look(queue, &key, &p, &k);
	q = find(v, &key);
	if (q != NULL && k.state == V_NONE) {
		wait_for(q, c, m->tid, &k);
		return;
	}
	max = k.state == V_NONE ? VERIFY_ASKED_MAX : VERIFY_AGAIN_MAX;
	if (q == NULL && (k.state == V_NONE || k.refresh) &&
	    verify_count(v) < max) {
		question_new(v, &key, c, m, &p);
		answer(c, m->tid, k.state, true, &k);
	} else
		answer(c, m->tid, k.state == V_NONE ? V_BUSY : k.state, false,
		    &k);
}

/* Everybody who waits hears the same. */
static void
told(struct verify *v, struct queue *queue, struct question *q, uint8_t state,
    struct span reply, struct span server)
{
	char		 domain[256];
	struct verify_key key;
	struct known	 k;
	struct asker	*a;

	known_key(span_str(q->to), span_str(q->where), span_str(q->target),
	    domain, &key);
	known_look(queue, &key, &q->params, &k);
	if (k.any == V_ANY_YES && state == V_GOOD)
		k.good = true;
	TAILQ_FOREACH(a, &q->waiting, entry)
		CHAN_SEND(a->chan, v_answer, .tid = a->tid, .state = state,
		    .good = k.good, .reply = reply, .server = server);
	question_free(v, q);
}

void
verify_tell(struct verify *v, struct queue *queue, struct chan *c,
    const struct ipc_v_tell *m)
{
	struct asker	 self = { .chan = c, .tid = m->tid };
	uint8_t		 akey[12];
	char		 domain[256];
	struct verify_key key;
	struct question	*q;

	if (m->state > V_BUSY || m->any > V_ANY_YES) {
		chan_reject(c, "v_tell: no such state");
		return;
	}
	/* Given up meanwhile, it may be. */
	if ((q = map_get(v->by_asker, asker_key(&self, akey))) == NULL)
		return;
	known_key(span_str(q->to), span_str(q->where), span_str(q->target),
	    domain, &key);
	known_tell(queue, &key, &q->params, (enum v_state)m->state,
	    (enum v_any)m->any, m->reply, m->server);
	told(v, queue, q, m->state, m->reply, m->server);
}

void
verify_learn(struct queue *queue, const struct ipc_v_learn *m)
{
	struct known_params p = { duration(m->cache_ms),
	    duration(m->good_ms) };
	char		 domain[256];
	struct verify_key key;

	if (known_key(m->to, m->where, m->target, domain, &key))
		known_learn(queue, &key, &p, m->good ? V_GOOD : V_BAD,
		    m->reply, m->server);
}

/* The next one who waits asks instead. */
static void
hand_over(struct verify *v, struct queue *queue, struct question *q)
{
	struct asker	*a = TAILQ_FIRST(&q->waiting);
	uint8_t		 akey[12];
	char		 domain[256];
	struct verify_key key;
	struct known	 k;

	if (a == NULL) {
		question_free(v, q);
		return;
	}
	map_del(v->by_asker, asker_key(&q->asker, akey));
	TAILQ_REMOVE(&q->waiting, a, entry);
	q->nwaiting--;
	asker_set(v, q, a->chan, a->tid);
	free(a);
	known_key(span_str(q->to), span_str(q->where), span_str(q->target),
	    domain, &key);
	known_look(queue, &key, &q->params, &k);
	answer(q->asker.chan, q->asker.tid, V_NONE, true, &k);
}

void
verify_gone(struct verify *v, struct queue *queue, const struct chan *c)
{
	struct question	*q, *next;
	struct asker	*a, *anext;

	TAILQ_FOREACH_SAFE(q, &v->all, entry, next) {
		TAILQ_FOREACH_SAFE(a, &q->waiting, entry, anext) {
			if (a->chan != c)
				continue;
			TAILQ_REMOVE(&q->waiting, a, entry);
			q->nwaiting--;
			free(a);
		}
		if (q->asker.chan == c)
			hand_over(v, queue, q);
	}
}

bool
verify_house(struct verify *v, struct queue *queue)
{
	struct question	*q;
	int64_t		 before = clock_mono().ms - VERIFY_TELL_MS;

	while ((q = TAILQ_FIRST(&v->all)) != NULL && q->since.ms < before)
		told(v, queue, q, V_LATER, span(NULL, 0), span(NULL, 0));
	return known_sweep(queue);
}
