/*
 * The machine of places.h twice: queued's, which is asked, and this worker's
 * own, which counts all that it has and decides when queued does not. See
 * place.h.
 */
#include "proxyd/place.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/lookup/paused.h"
#include "common/lookup/places.h"
#include "common/lookup/srv.h"
#include "proxyd/idle.h"

#define WANTS_MAX	65536

/* Who is asked: queued, which has not said a word; queued, with which it waits;
 * our own machine, in which it waits, or which has given it a place. */
enum asked { ASKED, WAITS, WAITS_HERE, GIVEN };
struct place_want {
	struct place_want *next;	/* of all_here() */
	uint32_t	 tid;
	enum asked	 asked;
	int		 which;		/* GIVEN */
	const struct conf_action *action;
	struct addr	 addrs[HOSTS_CANDS_MAX];
	size_t		 n;
	struct mono	 since;
	struct event	*timer;
	void		(*done)(void *, int);
	void		*arg;
};

static struct proc		*proc;
static struct chan		*queued;
static uint16_t			 queued_worker;
static struct places		*mine;
static struct map		*wants, *paused;
static uint32_t			 last_tid;
static struct event		*scan, *tick;
static unsigned			 workers;	/* of proxyd, of both classes */

static void
finish(struct place_want *w, int which)
{
	void	(*done)(void *, int) = w->done;
	void	*arg = w->arg;

	map_del_u64(wants, w->tid);
	event_free(w->timer);
	free(w);
	done(arg, which);
}

static void
timer(struct place_want *w, int64_t ms)
{
	const struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(w->timer, &tv);
}

/* What is left of the time. */
static void
timer_rest(struct place_want *w)
{
	int64_t	 ms = PLACE_WAIT_MS - (clock_mono().ms - w->since.ms);

	timer(w, ms > 0 ? ms : 0);
}

static int
which_of(const struct place_want *w, const struct addr *a)
{
	for (size_t i = 0; i < w->n; i++)
		if (addr_eq(&w->addrs[i], a) && w->addrs[i].port == a->port)
			return (int)i;
	return -1;
}

static void
hold(const struct conf_action *a, const struct addr *at)
{
	if (queued != NULL)
		CHAN_SEND(queued, s_hold, .action = span_str(a->name),
		    .addr = *at, .n = 1);
}

/* ---- our own view ------------------------------------------------------- */

/* Each worker's part of a limit, while nobody counts for all of them. */
static unsigned
share(unsigned max)
{
	unsigned	 n;

	if (max == 0)
		return 0;
	n = max / workers;
	return n > 0 ? n : 1;
}

static struct places_want
question(const struct place_want *w, bool shared)
{
	unsigned	 all = w->action->max_connections;
	unsigned	 each = w->action->pool != NULL ?
			    w->action->pool->max_connections : 0;

	return (struct places_want){ .tid = w->tid,
	    .action = span_str(w->action->name),
	    .action_max = shared ? share(all) : all,
	    .server_max = shared ? share(each) : each,
	    .addrs = w->addrs, .n = w->n };
}

static void
take_here(struct place_want *w)
{
	struct places_want	 q = question(w, true);
	struct addr		 got;

	if (places_take(mine, &q, true, clock_mono().ms, &got)) {
		hold(w->action, &got);
		finish(w, which_of(w, &got));
		return;
	}
	w->asked = WAITS_HERE;
	timer_rest(w);
	for (size_t i = 0; i < w->n; i++)
		idle_scarce(&w->addrs[i]);
}

/* One that waited here has got one. It begins a little later, as it may ask the
 * machine that is calling for another one. */
static void
granted(void *arg, unsigned owner, uint32_t tid, struct span action,
    const struct addr *a)
{
	struct place_want	*w = map_get_u64(wants, tid);

	(void)arg;
	(void)owner;
	(void)action;
	if (w == NULL)
		return;
	hold(w->action, a);
	w->asked = GIVEN;
	w->which = which_of(w, a);
	timer(w, 0);
}

static void
on_scan(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	places_scan(mine, clock_mono().ms);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct place_want	*w = arg;

	(void)fd;
	(void)what;
	if (w->asked == GIVEN) {
		finish(w, w->which);
		return;
	}
	if (w->asked != WAITS_HERE && queued != NULL)
		CHAN_SEND(queued, s_leave, .tid = w->tid);
	if (w->asked == ASKED) {
		log_debug("event=place action=%s why=\"queued does not "
		    "answer\"", log_quote(span_str(w->action->name)));
		take_here(w);
		return;
	}
	if (w->asked == WAITS_HERE)
		places_leave(mine, 0, w->tid);
	finish(w, -1);
}

/* ---- questions ---------------------------------------------------------- */

static void
ask(struct place_want *w)
{
	struct places_want	 q = question(w, false);
	uint8_t			 keys[HOSTS_CANDS_MAX * ADDR_KEY_LEN];

	if (queued == NULL) {
		take_here(w);
		return;
	}
	for (size_t i = 0; i < w->n; i++)
		addr_key(&w->addrs[i], keys + i * ADDR_KEY_LEN);
	w->asked = ASKED;
	CHAN_SEND(queued, s_want, .tid = w->tid, .action = q.action,
	    .action_max = q.action_max, .server_max = q.server_max,
	    .addrs = span(keys, w->n * ADDR_KEY_LEN));
	timer(w, PLACE_ASK_MS);
}

struct place_want *
place_want(const struct conf_action *a, const struct hosts_cand *c, size_t n,
    void (*done)(void *, int), void *arg)
{
	struct place_want	*w;
	struct places_want	 q;
	uint32_t		 tid;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("place");
	*w = (struct place_want){ .action = a, .n = n, .since = clock_mono(),
	    .done = done, .arg = arg };
	for (size_t i = 0; i < n; i++)
		w->addrs[i] = c[i].addr;
	q = question(w, false);
	if (!places_bounded(mine, &q, w->since.ms)) {
		places_hold(mine, 0, q.action, &w->addrs[0], 1);
		hold(a, &w->addrs[0]);
		free(w);
		done(arg, 0);
		return NULL;
	}
	do
		tid = w->tid = ++last_tid;
	while (tid == 0 || map_get_u64(wants, tid) != NULL);
	if ((w->timer = evtimer_new(proc_base(proc), on_timer, w)) == NULL ||
	    !map_set_u64(wants, tid, w))
		fatal("place");
	ask(w);
	return map_get_u64(wants, tid);
}

void
place_unwant(struct place_want *w)
{
	if (w == NULL)
		return;
	if (w->asked == GIVEN)
		place_give(w->action, &w->addrs[w->which], false);
	else if (w->asked == WAITS_HERE)
		places_leave(mine, 0, w->tid);
	else if (queued != NULL)
		CHAN_SEND(queued, s_leave, .tid = w->tid);
	map_del_u64(wants, w->tid);
	event_free(w->timer);
	free(w);
}

bool
place_give(const struct conf_action *a, const struct addr *at, bool full)
{
	static const struct timeval	 now;
	bool				 told;

	places_give(mine, 0, span_str(a->name), at);
	told = queued != NULL || places_at(mine, at) > 0;
	if (queued != NULL)
		CHAN_SEND(queued, s_give, .action = span_str(a->name),
		    .addr = *at, .full = full);
	else if (full)
		places_full(mine, at, clock_mono().ms);
	/* Not from in here: who gets it begins at once. */
	if (places_waiting(mine) > 0)
		evtimer_add(scan, &now);
	return told;
}

unsigned
place_count(const struct conf_action *a)
{
	return places_of(mine, span_str(a->name));
}

size_t
place_waiting(void)
{
	return map_count(wants);
}

bool
place_is_paused(const struct conf_action *a, const char *name,
    const struct addr *at)
{
	return paused_has(paused, a->name, name, at);
}

/* ---- what queued says --------------------------------------------------- */

static void
on_place(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_place	*m = msg;
	struct place_want		*w = map_get_u64(wants, m->tid);
	int				 which;

	(void)fd;
	if (w == NULL || w->asked >= WAITS_HERE) {
		/* Too late: it has left. */
		if (m->addr.family != 0)
			CHAN_SEND(c, s_give, .action = m->action,
			    .addr = m->addr);
		return;
	}
	if (m->addr.family == 0) {
		w->asked = WAITS;
		timer_rest(w);
		return;
	}
	if ((which = which_of(w, &m->addr)) == -1) {
		chan_reject(c, "a place at no server that was asked for");
		return;
	}
	places_hold(mine, 0, span_str(w->action->name), &m->addr, 1);
	finish(w, which);
}

static void
on_limit(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_limit	*m = msg;
	struct srv			*s;

	(void)c;
	(void)fd;
	if (m->limit == 0 && (s = srv_find(&m->addr)) != NULL)
		srv_failed(s, s->health.probing, "421 4.3.2 It refuses the "
		    "first session for there being too many");
	places_limit_set(mine, &m->addr, m->limit, clock_mono().ms);
}

static void
on_scarce(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_scarce	*m = msg;

	(void)c;
	(void)fd;
	idle_scarce(&m->addr);
}

static void
on_pause(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_pause	*m = msg;

	(void)c;
	(void)fd;
	if (m->name.len == 0) {
		map_free(paused);
		if ((paused = map_new(PAUSED_NAMES_MAX)) == NULL)
			fatal("place");
	} else if (m->on) {
		map_set(paused, m->name, &paused);
		idle_paused();
	} else
		map_del(paused, m->name);
}

static const struct chan_row rows[] = {
	{ IPC_T_d_server_state, srvs_heard },
	{ IPC_T_s_place, on_place },
	{ IPC_T_s_limit, on_limit },
	{ IPC_T_s_scarce, on_scarce },
	{ IPC_T_s_pause, on_pause },
	{ 0, NULL }
};

/* ---- the channel -------------------------------------------------------- */

static bool
collect(struct span key, void *v, void *arg)
{
	struct place_want	**all = arg, *w = v;

	(void)key;
	if (w->asked < WAITS_HERE) {
		w->next = *all;
		*all = w;
	}
	return true;
}

/* Nobody answers those any more. */
static void
all_here(void)
{
	struct place_want	*all = NULL, *w;

	map_each(wants, collect, &all);
	while ((w = all) != NULL) {
		all = w->next;
		/* A zero timer: what they do next is not done in here. */
		w->asked = ASKED;
		timer(w, 0);
	}
}

static void
lost(struct chan *c, const char *why)
{
	if (why != NULL)
		proc_report(proc, IPC_QUEUED, queued_worker, why);
	if (queued == c) {
		queued = NULL;
		srvs_peer(NULL);
		all_here();
	}
	chan_free(c);
}

static void
hold_all(void *arg, struct span action, const struct addr *a, unsigned n)
{
	CHAN_SEND(arg, s_hold, .action = action, .addr = *a, .n = n);
}

void
place_peer(uint16_t worker, int fd)
{
	struct chan	*old = queued;

	queued_worker = worker;
	queued = chan_new(proc_base(proc), fd, IPC_PROXYD, IPC_QUEUED, rows,
	    lost, NULL);
	if (queued == NULL)
		fatal("chan_new");
	if (old != NULL) {
		chan_free(old);
		all_here();
	}
	places_each(mine, 0, hold_all, queued);
	srvs_peer(queued);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	srvs_tick();
	if (places_waiting(mine) > 0)
		places_scan(mine, clock_mono().ms);
}

/* The parent has parted `limit sessions` among them. */
static unsigned
workers_of(const struct proc *p, const struct conf *c)
{
	unsigned	 each = proc_sessions(p), n;

	if (each == 0 || each >= c->limits.sessions)
		return 1;
	n = (c->limits.sessions + each - 1) / each;
	for (size_t i = 0; i < c->nlistens; i++)
		if (c->listens[i]->takes_passwords)
			return n * 2;
	return n;
}

void
place_init(struct proc *p, const struct conf *c)
{
	const struct timeval	 second = { 1, 0 };

	proc = p;
	workers = workers_of(p, c);
	if ((mine = places_new(granted, NULL)) == NULL ||
	    (wants = map_new(WANTS_MAX)) == NULL ||
	    (paused = map_new(PAUSED_NAMES_MAX)) == NULL ||
	    (scan = evtimer_new(proc_base(p), on_scan, NULL)) == NULL ||
	    (tick = event_new(proc_base(p), -1, EV_PERSIST, on_tick,
	    NULL)) == NULL || event_add(tick, &second) == -1)
		fatalx("place");
}
