/*
 * See known.h.
 */
#include "queued/known.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/conf/known.h"
#include "queued/queue.h"
#include "queued/side.h"

#define SWEEP_STEP	32	/* rows at a time */
#define CLOCK_SLACK_MS	60000	/* a row from later than that is none */

static uint64_t	rows_max = KNOWN_MAX;

void
known_limit(uint64_t n)
{
	rows_max = n;
}

static struct side *
rows_of(const struct queue *q)
{
	return q->down || q->closed || q->store == NULL ? NULL :
	    store_verify(q->store);
}

bool
known_key(struct span to, struct span where, struct span target,
    char domain[256], struct verify_key *k)
{
	size_t	 at = span_rfind(to, '@');

	if (!span_cstr(span_sub(to, at + 1, to.len), domain, 256))
		return false;
	for (char *p = domain; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	*k = (struct verify_key){ span_str(domain), span_sub(to, 0, at), where,
	    target };
	return k->local.len > 0;
}

/* The row of the server itself for the domain. */
static struct verify_key
server_key(const struct verify_key *k)
{
	struct verify_key s = *k;

	s.local = span(NULL, 0);
	return s;
}

static bool
holds(const struct verify_row *r, int64_t now)
{
	return r->until_ms > now && r->asked_ms <= now + CLOCK_SLACK_MS;
}

static void
copy(char *dst, size_t size, struct span s)
{
	if (!span_cstr(span_sub(s, 0, size - 1), dst, size))
		dst[0] = '\0';
}

static uint8_t
any_of(struct side *v, const struct verify_key *k, int64_t now)
{
	struct verify_key s = server_key(k);
	struct verify_row r;

	return store_verify_get(v, &s, &r) && holds(&r, now) ? r.any :
	    V_ANY_NOT_ASKED;
}

void
known_look(struct queue *q, const struct verify_key *k,
    const struct known_params *p, struct known *out)
{
	struct side *v = rows_of(q);
	int64_t		 now = clock_wall().ms;
	struct verify_row r;

	memset(out, 0, sizeof(*out));
	if (v == NULL)
		return;
	if (store_verify_get(v, k, &r)) {
		out->good = r.good_ms > 0 && now - r.good_ms < p->good_ms;
		if (holds(&r, now)) {
			out->state = r.state;
			out->refresh = r.state == V_BAD || now - r.asked_ms >
			    (r.until_ms - r.asked_ms) / 4 * 3;
		}
		copy(out->reply, sizeof(out->reply), r.reply);
		copy(out->server, sizeof(out->server), r.server);
	}
	out->any = any_of(v, k, now);
	/* Its yes means nothing, and a no of late still does. */
	if (out->any == V_ANY_YES && out->state != V_BAD) {
		out->state = V_GOOD;
		out->good = true;
		out->refresh = false;
	}
}

static void
log_any(const struct verify_key *k, struct span server)
{
	log_warnx("event=accept-all where=%s target=%s domain=%s server=%s "
	    "why=\"the server takes any address at RCPT\"",
	    log_quote(k->where), log_quote(k->target), log_quote(k->domain),
	    log_quote(server));
}

static void
tell_any(struct side *v, const struct verify_key *k, int64_t now,
    enum v_any any, struct span server)
{
	struct verify_key s = server_key(k);
	struct verify_row r, had;
	bool		 was = store_verify_get(v, &s, &had);

	r = (struct verify_row){ .any = (uint8_t)any, .since_ms = was &&
	    had.any == any ? had.since_ms : now, .asked_ms = now,
	    .until_ms = now + KNOWN_ANY_MS, .drop_ms = now + KNOWN_ANY_MS,
	    .server = server };
	if (any == V_ANY_YES && (!was || had.any != V_ANY_YES))
		log_any(k, server);
	store_verify_put(v, &s, &r);
}

static void
tell(struct side *v, const struct verify_key *k,
    const struct known_params *p, enum v_state state, bool by_delivery,
    struct span reply, struct span server)
{
	int64_t		 now = clock_wall().ms;
	struct verify_row r, had;
	bool		 was = store_verify_get(v, k, &had);

	r = (struct verify_row){ .state = (uint8_t)state,
	    .by_delivery = by_delivery, .asked_ms = now, .since_ms = was &&
	    had.state == state && had.since_ms <= now ? had.since_ms : now,
	    .reply = reply, .server = server };
	if (state == V_GOOD) {
		r.good_ms = now;
		r.until_ms = now + p->cache_ms;
		r.drop_ms = now + (p->cache_ms > p->good_ms ? p->cache_ms :
		    p->good_ms);
	} else
		r.until_ms = r.drop_ms = now + KNOWN_BAD_MS;
	store_verify_put(v, k, &r);
	if (side_count(v) > rows_max)
		side_sweep(v, now, rows_max, 2);
}

void
known_tell(struct queue *q, const struct verify_key *k,
    const struct known_params *p, enum v_state state, enum v_any any,
    struct span reply, struct span server)
{
	struct side *v = rows_of(q);
	int64_t		 now = clock_wall().ms;

	if (v == NULL)
		return;
	if (any == V_ANY_YES || any == V_ANY_NO)
		tell_any(v, k, now, any, server);
	if (state == V_BAD || (state == V_GOOD &&
	    any_of(v, k, now) != V_ANY_YES))
		tell(v, k, p, state, false, reply, server);
}

/* ---- what deliveries show ---- */

/* RFC 3463, 3.2: the mailbox is not there, has moved, or takes no mail. */
static bool
is_unknown(struct span reply)
{
	static const char *const codes[] = { "5.1.1", "5.1.3", "5.1.6",
	    "5.1.10", "5.2.1" };
	struct span	 code, enh;

	if (!span_word(&reply, " ", &code) || !span_word(&reply, " ", &enh) ||
	    code.len != 3 || code.p[0] != '5')
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (span_is(enh, codes[i]))
			return true;
	return false;
}

/* Who gets much mail is not written down at each. */
static bool
is_fresh(struct side *v, const struct verify_key *k,
    const struct known_params *p)
{
	int64_t		 now = clock_wall().ms;
	struct verify_row r;

	return store_verify_get(v, k, &r) && r.state == V_GOOD &&
	    holds(&r, now) && now - r.asked_ms < p->cache_ms / 4;
}

void
known_learn(struct queue *q, const struct verify_key *k,
    const struct known_params *p, enum v_state state, struct span reply,
    struct span server)
{
	struct side *v = rows_of(q);

	if (v != NULL && (state != V_GOOD || !is_fresh(v, k, p)))
		tell(v, k, p, state, false, reply, server);
}

void
known_delivery(struct queue *q, const struct dest *d, const struct job_rcpt *j)
{
	struct side *v = rows_of(q);
	const struct conf_action *a = conf_action_find(q->conf,
	    span_str(d->action));
	bool		 good = j->status == D_OK;
	char		 where[KNOWN_WHERE_MAX], domain[256];
	struct known_params p;
	struct verify_key k;

	if (v == NULL || a == NULL || !conf_asks_server(a) || (!good &&
	    !(j->status == D_PERM && j->remote &&
	    is_unknown(span_str(j->reply)))))
		return;
	p = (struct known_params){ a->known_cache_ms, a->known_good_ms };
	if (!known_key(span_str(j->to), span_str(conf_known_where(a, where)),
	    span_str(d->domain), domain, &k))
		return;
	if (good && is_fresh(v, &k, &p))
		return;
	tell(v, &k, &p, good ? V_GOOD : V_BAD, true, span_str(j->reply),
	    span_str(j->server));
}

bool
known_sweep(struct queue *q)
{
	struct side *v = rows_of(q);

	return v != NULL && side_sweep(v, clock_wall().ms, rows_max,
	    SWEEP_STEP) == SWEEP_STEP;
}
