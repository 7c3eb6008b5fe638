/*
 * Channels to the proxyds. See proxies.h.
 */
#include "queued/proxies.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "queued/hosts.h"

#define HOLD_MAX	100000	/* places that one message takes */
#define TICK_MS		1000	/* a limit may have been raised */

struct front {
	struct proxies	*p;
	struct chan	*chan;
	uint16_t	 worker;
	unsigned	 slot;
};
struct proxies {
	struct event_base *base;
	struct proc	*proc;
	struct queue	**q;
	struct places	*places;
	struct front	*v[HOSTS_PROXYDS];
	struct event	*tick;
	bool		 ticking;
};
_Static_assert(HOSTS_PROXYDS <= PLACES_OWNERS, "a place's owner");

const struct places *
proxies_places(const struct proxies *p)
{
	return p->places;
}

size_t
proxies_count(const struct proxies *p)
{
	size_t	 n = 0;

	for (unsigned i = 0; i < HOSTS_PROXYDS; i++)
		n += p->v[i] != NULL;
	return n;
}

/* ---- what is paused ----------------------------------------------------- */

static bool
pause_one(struct span name, void *v, void *arg)
{
	(void)v;
	CHAN_SEND(arg, s_pause, .name = name, .on = true);
	return true;
}

/* Made anew each time: there is no more than a screen of it. While the queue is
 * down nobody knows, and what was said holds. */
static void
pauses(struct proxies *p, struct chan *c)
{
	if ((*p->q)->down)
		return;
	CHAN_SEND(c, s_pause, .on = false);
	map_each((*p->q)->paused, pause_one, c);
}

void
proxies_pauses(struct proxies *p)
{
	for (unsigned i = 0; i < HOSTS_PROXYDS; i++)
		if (p->v[i] != NULL)
			pauses(p, p->v[i]->chan);
}

/* ---- places ------------------------------------------------------------- */

static void
granted(void *arg, unsigned owner, uint32_t tid, struct span action,
    const struct addr *a)
{
	struct proxies	*p = arg;

	if (p->v[owner] != NULL)
		CHAN_SEND(p->v[owner]->chan, s_place, .tid = tid,
		    .action = action, .addr = *a);
}

static void
tick_on(struct proxies *p)
{
	const struct timeval	 tv = { TICK_MS / 1000, 0 };

	if (p->ticking)
		return;
	p->ticking = true;
	evtimer_add(p->tick, &tv);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct proxies	*p = arg;

	(void)fd;
	(void)what;
	p->ticking = false;
	places_scan(p->places, clock_mono().ms);
	if (places_waiting(p->places) > 0)
		tick_on(p);
}

/* Idle sessions of whoever has some are in the way. */
static void
scarce(struct proxies *p, const struct places_want *w)
{
	for (unsigned i = 0; i < HOSTS_PROXYDS; i++)
		for (size_t k = 0; p->v[i] != NULL && k < w->n; k++)
			CHAN_SEND(p->v[i]->chan, s_scarce,
			    .addr = w->addrs[k]);
}

static bool
addrs_of(struct span s, struct addr *a, size_t *n)
{
	for (*n = 0; s.len > 0; span_skip(&s, ADDR_KEY_LEN))
		if (*n == PLACES_ADDRS || !addr_from_key(span_sub(s, 0,
		    ADDR_KEY_LEN), &a[(*n)++]))
			return false;
	return *n > 0;
}

static void
s_want(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_want	*m = msg;
	struct front		*f = chan_arg(c);
	struct addr		 addrs[PLACES_ADDRS], got = { 0 };
	struct places_want	 w = { .owner = f->slot, .tid = m->tid,
				    .action = m->action,
				    .action_max = m->action_max,
				    .server_max = m->server_max,
				    .addrs = addrs };

	(void)fd;
	if (m->action.len == 0 || !addrs_of(m->addrs, addrs, &w.n)) {
		chan_reject(c, "a place for no action or at no server");
		return;
	}
	if (!places_take(f->p->places, &w, true, clock_mono().ms, &got)) {
		scarce(f->p, &w);
		tick_on(f->p);
	}
	CHAN_SEND(c, s_place, .tid = m->tid, .action = m->action, .addr = got);
}

static void
s_leave(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_leave *m = msg;
	struct front		*f = chan_arg(c);

	(void)fd;
	places_leave(f->p->places, f->slot, m->tid);
}

static void
s_hold(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_hold	*m = msg;
	struct front		*f = chan_arg(c);

	(void)fd;
	if (m->action.len == 0 || m->addr.family == 0 || m->n > HOLD_MAX) {
		chan_reject(c, "places of no action or server");
		return;
	}
	places_hold(f->p->places, f->slot, m->action, &m->addr, m->n);
}

static void
log_limit(const struct ipc_s_give *m, unsigned limit)
{
	char	 at[ADDR_STRLEN];

	log_warnx("event=limit server=%s action=%s sessions=%u why=\"the "
	    "server refuses more\"", addr_str_port(&m->addr, at),
	    log_quote(m->action), limit);
}

/* One more than it has was refused: all are told what that is. */
static void
full(struct front *f, const struct ipc_s_give *m, int64_t now)
{
	struct proxies	*p = f->p;
	unsigned	 was = places_limit(p->places, &m->addr, now);
	unsigned	 limit = places_full(p->places, &m->addr, now);

	if (limit > 0 && limit != was)
		log_limit(m, limit);
	for (unsigned i = 0; i < HOSTS_PROXYDS; i++)
		if (p->v[i] != NULL && (limit > 0 || p->v[i] == f))
			CHAN_SEND(p->v[i]->chan, s_limit, .addr = m->addr,
			    .limit = limit);
}

static void
s_give(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_give	*m = msg;
	struct front		*f = chan_arg(c);
	struct proxies		*p = f->p;
	int64_t			 now = clock_mono().ms;

	(void)fd;
	if (m->action.len == 0 || m->addr.family == 0) {
		chan_reject(c, "a place of no action or server");
		return;
	}
	places_give(p->places, f->slot, m->action, &m->addr);
	if (m->full)
		full(f, m, now);
	if (places_waiting(p->places) > 0)
		places_scan(p->places, now);
}

static void
d_server(struct chan *c, const void *msg, int fd)
{
	struct front	*f = chan_arg(c);

	(void)fd;
	hosts_heard(HOSTS_DELIVERDS + f->slot, msg);
}

/* ---- channels ----------------------------------------------------------- */

static const struct chan_row rows[] = {
	{ IPC_T_d_server, d_server },
	{ IPC_T_s_want, s_want },
	{ IPC_T_s_leave, s_leave },
	{ IPC_T_s_hold, s_hold },
	{ IPC_T_s_give, s_give },
	{ 0, NULL }
};

static void
closed(struct chan *c, const char *why)
{
	struct front	*f = chan_arg(c);
	struct proxies	*p = f->p;

	if (why != NULL)
		proc_report(p->proc, IPC_PROXYD, f->worker, why);
	hosts_gone(HOSTS_DELIVERDS + f->slot);
	p->v[f->slot] = NULL;
	places_gone(p->places, f->slot);
	if (places_waiting(p->places) > 0)
		places_scan(p->places, clock_mono().ms);
	chan_free(c);
	free(f);
}

struct proxies *
proxies_new(struct event_base *base, struct proc *proc, struct queue **q)
{
	struct proxies	*p = calloc(1, sizeof(*p));

	if (p == NULL || (p->places = places_new(granted, p)) == NULL ||
	    (p->tick = evtimer_new(base, on_tick, p)) == NULL)
		fatal("proxies");
	p->base = base;
	p->proc = proc;
	p->q = q;
	return p;
}

struct known {
	struct proxies	*p;
	struct chan	*c;
};

static void
limit_one(const struct host *h, void *arg)
{
	struct known	*k = arg;
	unsigned	 limit = places_limit(k->p->places, &h->addr,
			    clock_mono().ms);

	if (limit > 0)
		CHAN_SEND(k->c, s_limit, .addr = h->addr, .limit = limit);
}

void
proxies_add(struct proxies *p, uint16_t worker, int fd)
{
	struct front	*f = calloc(1, sizeof(*f));
	unsigned	 slot = 0;

	while (slot < HOSTS_PROXYDS && p->v[slot] != NULL)
		slot++;
	if (f == NULL)
		fatal("proxies");
	if (slot == HOSTS_PROXYDS)
		fatalx("too many proxyd");
	*f = (struct front){ .p = p, .worker = worker, .slot = slot };
	f->chan = chan_new(p->base, fd, IPC_QUEUED, IPC_PROXYD, rows, closed,
	    f);
	if (f->chan == NULL)
		fatal("proxies");
	p->v[slot] = f;
	hosts_join(HOSTS_DELIVERDS + slot, f->chan);
	pauses(p, f->chan);
	hosts_each(limit_one, &(struct known){ p, f->chan });
}
