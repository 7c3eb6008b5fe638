/*
 * Destinations and their questions. See verify.h.
 */
#include "proxyd/verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/conf/dest.h"
#include "common/conf/known.h"
#include "common/conf/table.h"
#include "proxyd/servers.h"
#include "proxyd/verify_i.h"

#define TICK_MS	1000

static struct proc		*proc;
static const struct conf	*conf;
static struct ask		*ask;
static LIST_HEAD(, vdest)	 dests = LIST_HEAD_INITIALIZER(dests);
static size_t			 ndests, nquestions;
static struct event		*tick;
static bool			 ticking;

static void	on_tick(evutil_socket_t, short, void *);

void
verify_init(struct proc *p, const struct conf *c, struct ask *a)
{
	proc = p;
	conf = c;
	ask = a;
	if ((tick = evtimer_new(proc_base(p), on_tick, NULL)) == NULL)
		fatalx("evtimer_new");
}

struct event_base *
verify_base(void)
{
	return proc_base(proc);
}

const struct conf *
verify_conf(void)
{
	return conf;
}

size_t
verify_questions(void)
{
	return nquestions;
}

size_t
verify_conns(void)
{
	return vconn_count();
}

static bool
until(struct mono t)
{
	return t.ms > clock_mono().ms;
}

static struct mono
from_now(int64_t ms)
{
	return (struct mono){ clock_mono().ms + ms };
}

/* ---- questions ---------------------------------------------------------- */

/* A value on one line; a sequence of UTF-8 is not cut in its middle. */
static struct span
shortened(const char *s)
{
	struct span	v = span_str(s);

	if (v.len <= 300)
		return v;
	v.len = 300;
	while (v.len > 0 && (v.p[v.len] & 0xc0) == 0x80)
		v.len--;
	return v;
}

void
verify_answer(struct vquestion *q, uint8_t state, const char *reply,
    const char *server)
{
	if (q->told != NULL)
		q->told(q->arg, state, reply, server);
	else if (q->chan != NULL)
		CHAN_SEND(q->chan, p_verified, .tid = q->tid, .state = state,
		    .any = q->any, .reply = shortened(reply),
		    .server = shortened(server));
	nquestions--;
	free(q->to);
	free(q);
}

struct vquestion *
verify_take(struct vdest *d)
{
	struct vquestion	*q = TAILQ_FIRST(&d->waiting);

	if (q != NULL) {
		TAILQ_REMOVE(&d->waiting, q, entry);
		d->nwaiting--;
	}
	return q;
}

void
verify_again(struct vquestion *q, const char *why)
{
	if (++q->tries > 1) {
		verify_answer(q, V_LATER, why, NULL);
		return;
	}
	q->said = false;
	TAILQ_INSERT_HEAD(&q->dest->waiting, q, entry);
	q->dest->nwaiting++;
}

static void
answer_all(struct vdest *d, uint8_t state, const char *why)
{
	struct vquestion	*q;

	while ((q = verify_take(d)) != NULL)
		verify_answer(q, state, why, NULL);
}

void
verify_gone(const struct chan *c)
{
	struct vdest		*d;
	struct vconn		*v;
	struct vquestion	*q;

	LIST_FOREACH(d, &dests, entry) {
		TAILQ_FOREACH(q, &d->waiting, entry)
			if (q->chan == c)
				q->chan = NULL;
		LIST_FOREACH(v, &d->conns, entry)
			for (size_t i = 0; i < v->nbatch; i++)
				if (v->batch[i] != NULL &&
				    v->batch[i]->chan == c)
					v->batch[i]->chan = NULL;
	}
}

/* ---- destinations ------------------------------------------------------- */

static void
dest_free(struct vdest *d)
{
	LIST_REMOVE(d, entry);
	ndests--;
	find_cancel(d->find);
	dest_list_free(d->list);
	free(d->cands);
	free(d->target);
	free(d);
}

/* Nothing hangs on it. */
static bool
dest_idle(const struct vdest *d)
{
	return d->nwaiting == 0 && d->nconns == 0 && !d->finding;
}

/* Makes room: the one that was used the longest time ago. */
static bool
dest_room(void)
{
	struct vdest	*d, *old = NULL;

	if (ndests < VERIFY_DESTS)
		return true;
	LIST_FOREACH(d, &dests, entry)
		if (dest_idle(d) && (old == NULL || d->used.ms < old->used.ms))
			old = d;
	if (old != NULL)
		dest_free(old);
	return old != NULL;
}

static bool
is_value(struct span key, struct span value, void *arg)
{
	struct span	*target = arg;

	(void)key;
	if (!span_eq(value, *target))
		return true;
	target->p = NULL;
	return false;
}

/* Is it one that the action can have? smtpd names it, but chooses no server
 * that is not configured. */
static bool
is_target(const struct conf_action *a, struct span target)
{
	if (a->by == BY_NONE)
		return a->ndests == 0 || target.len == 0;
	table_each(a->to_table, is_value, &target);
	return target.p == NULL;
}

static struct vdest *
dest_find(const struct conf_action *a, struct span target, bool stranger)
{
	struct vdest	*d;

	LIST_FOREACH(d, &dests, entry)
		if (d->action == a && d->stranger == stranger &&
		    span_is(target, d->target))
			return d;
	return NULL;
}

static struct vdest *
dest_new(const struct conf_action *a, struct span target)
{
	struct vdest	*d;

	if ((d = calloc(1, sizeof(*d))) == NULL ||
	    (d->target = span_dup(target)) == NULL)
		fatal("verify");
	d->action = a;
	d->to = *a;
	TAILQ_INIT(&d->waiting);
	LIST_INIT(&d->conns);
	LIST_INSERT_HEAD(&dests, d, entry);
	ndests++;
	return d;
}

static struct vdest *
dest_get(const struct conf_action *a, struct span target, bool stranger)
{
	struct conf_pool *list = NULL;
	struct vdest	*d = dest_find(a, target, stranger);
	const char	*why;

	if (d != NULL)
		return d;
	if (!is_target(a, target) || !dest_room())
		return NULL;
	/* The value of a table, which has been checked. */
	if (a->by != BY_NONE && (list = dest_list(target, &why)) == NULL)
		return NULL;
	d = dest_new(a, target);
	d->stranger = d->fresh = stranger;
	if (list != NULL) {
		d->list = list;
		d->to.dests = list->dests;
		d->to.ndests = list->ndests;
	}
	return d;
}

void
verify_up(struct vdest *d)
{
	d->up_until = from_now(VERIFY_UP_MS);
	d->down_until.ms = 0;
}

void
verify_down(struct vdest *d, const char *why)
{
	log_info("event=verify action=%s target=%s result=down why=%s",
	    log_quote(span_str(d->action->name)),
	    log_quote(span_str(d->target)), log_quote_reply(span_str(why)));
	d->up_until.ms = 0;
	d->down_until = from_now(VERIFY_DOWN_MS);
	strlcpy(d->down_why, why, sizeof(d->down_why));
	answer_all(d, V_DOWN, why);
}

/* ---- connections -------------------------------------------------------- */

static void
found(void *arg, const struct hosts_list *list)
{
	struct vdest	*d = arg;

	d->find = NULL;
	d->finding = false;
	free(d->cands);
	d->cands = NULL;
	d->ncands = 0;
	if (list->n == 0) {
		/* No such domain, a null MX: it has no recipients at all. */
		if (list->code >= 500) {
			char	why[301];

			snprintf(why, sizeof(why), "%u %s", list->code,
			    list->text);
			answer_all(d, V_BAD, why);
		} else
			verify_down(d, list->text);
		return;
	}
	if ((d->cands = calloc(list->n, sizeof(*d->cands))) == NULL)
		fatal("verify");
	memcpy(d->cands, list->cand, list->n * sizeof(*d->cands));
	d->ncands = list->n;
	d->cands_until = from_now((int64_t)list->ttl * 1000 + TICK_MS);
	verify_go(d);
}

/* One of another destination that is kept for nothing at the moment. */
static bool
close_an_idle_one(void)
{
	struct vdest	*d;
	struct vconn	*v, *old = NULL;

	LIST_FOREACH(d, &dests, entry)
		LIST_FOREACH(v, &d->conns, entry)
			if (v->phase == V_IDLE && (old == NULL ||
			    v->since.ms < old->since.ms))
				old = v;
	if (old != NULL)
		vconn_quit(old);
	return old != NULL;
}

/* Those that only wanted to know whether it is there. */
static void
answer_up(struct vdest *d)
{
	struct vquestion	*q, *next;

	TAILQ_FOREACH_SAFE(q, &d->waiting, entry, next) {
		if (q->to[0] != '\0')
			continue;
		TAILQ_REMOVE(&d->waiting, q, entry);
		d->nwaiting--;
		verify_answer(q, V_GOOD, NULL, NULL);
	}
}

static struct vconn *
in_phase(const struct vdest *d, enum vphase from, enum vphase to)
{
	struct vconn	*v;

	LIST_FOREACH(v, &d->conns, entry)
		if (v->phase >= from && v->phase <= to)
			return v;
	return NULL;
}

void
verify_go(struct vdest *d)
{
	struct find	*f;
	struct vconn	*v;
	size_t		 max = VERIFY_CONNS;

	if (d->action->max_connections > 0 && d->action->max_connections < max)
		max = d->action->max_connections;
	if (until(d->up_until))
		answer_up(d);
	while (d->nwaiting > 0 && (v = in_phase(d, V_IDLE, V_IDLE)) != NULL)
		vconn_batch(v);
	if (d->nwaiting == 0)
		return;
	if (until(d->down_until)) {
		answer_all(d, V_DOWN, d->down_why);
		return;
	}
	if (d->finding || in_phase(d, V_CONNECT, V_HELLO) != NULL ||
	    d->nconns >= max || (vconn_count() >= VERIFY_CONNS_ALL &&
	    !close_an_idle_one()))
		return;
	if (d->ncands > 0 && until(d->cands_until)) {
		servers_order(d->action, d->cands, d->ncands);
		vconn_new(d);
		return;
	}
	d->finding = true;
	if ((f = find_start(ask, conf, &d->to, d->target, found, d)) != NULL)
		d->find = f;
}

/* ---- time --------------------------------------------------------------- */

static void
tick_on(void)
{
	const struct timeval	tv = { TICK_MS / 1000, 0 };

	if (!ticking)
		evtimer_add(tick, &tv);
	ticking = true;
}

/* What waits too long, and what is kept too long. */
static void
dest_tick(struct vdest *d)
{
	struct vquestion	*q;
	struct vconn		*v, *next;
	int64_t			 now = clock_mono().ms;

	while ((q = TAILQ_FIRST(&d->waiting)) != NULL &&
	    now - q->since.ms > VERIFY_WAIT_MS)
		verify_answer(verify_take(d), V_LATER, "4.4.1 There was no "
		    "connection to ask by in time", NULL);
	LIST_FOREACH_SAFE(v, &d->conns, entry, next)
		if (v->phase == V_IDLE && now - v->since.ms > VERIFY_IDLE_MS)
			vconn_quit(v);
	verify_go(d);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct vdest	*d, *next;

	(void)fd;
	(void)what;
	(void)arg;
	ticking = false;
	LIST_FOREACH_SAFE(d, &dests, entry, next)
		dest_tick(d);
	if (nquestions > 0 || vconn_count() > 0)
		tick_on();
}

/* ---- the channel -------------------------------------------------------- */

static void
refuse(struct chan *c, uint32_t tid, uint8_t state, const char *why)
{
	CHAN_SEND(c, p_verified, .tid = tid, .state = state,
	    .reply = span_str(why));
}

static struct vquestion *
question(struct vdest *d, struct span to)
{
	struct vquestion	*q = calloc(1, sizeof(*q));

	if (q == NULL)
		fatal("verify");
	*q = (struct vquestion){ .dest = d, .since = clock_mono(),
	    .to = to.len > 0 ? span_dup(to) : strdup("") };
	if (q->to == NULL)
		fatal("verify");
	nquestions++;
	TAILQ_INSERT_TAIL(&d->waiting, q, entry);
	d->nwaiting++;
	d->used = clock_mono();
	tick_on();
	return q;
}

void
verify_ask(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_verify	*m = msg;
	const struct conf_action	*a = conf_action_find(conf, m->action);
	struct vdest			*d;
	struct vquestion		*q;

	(void)fd;
	if (a == NULL || (m->stranger ? a->type != ACT_PROXY :
	    !conf_verifies(a))) {
		refuse(c, m->tid, V_LATER, "4.3.5 No action that asks");
		return;
	}
	if (nquestions >= VERIFY_QUESTIONS ||
	    (d = dest_get(a, m->target, m->stranger)) == NULL ||
	    d->nwaiting >= VERIFY_WAITING) {
		refuse(c, m->tid, V_BUSY, "4.3.2 Too many questions");
		return;
	}
	q = question(d, m->to);
	q->chan = c;
	q->tid = m->tid;
	q->probe = m->probe;
	verify_go(d);
}

/* ---- one server ---------------------------------------------------------- */

bool
verify_at(const struct conf_action *a, const struct hosts_cand *cand,
    const char *to, vtold *told, void *arg)
{
	struct vquestion	*q;
	struct vdest		*d;
	char			 target[80], ip[ADDR_STRLEN];

	/* No target of a configuration is like it. */
	snprintf(target, sizeof(target), "server %s",
	    addr_str_port(&cand->addr, ip));
	if (nquestions >= VERIFY_QUESTIONS)
		return false;
	if ((d = dest_find(a, span_str(target), false)) == NULL) {
		if (!dest_room())
			return false;
		d = dest_new(a, span_str(target));
	}
	/* It is this one, and never looked up. */
	if (d->cands == NULL && (d->cands = calloc(1, sizeof(*cand))) == NULL)
		fatal("verify");
	d->cands[0] = *cand;
	d->ncands = 1;
	d->cands_until.ms = INT64_MAX;
	d->fresh = true;
	/* A yes, or no, of seconds ago is not the answer. */
	d->up_until.ms = d->down_until.ms = 0;
	q = question(d, span_str(to));
	q->told = told;
	q->arg = arg;
	verify_go(d);
	return true;
}
