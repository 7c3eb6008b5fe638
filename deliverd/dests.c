/*
 * The destinations: made when a job is for one, forgotten when nobody needs to
 * remember; what comes with the time. See pool.h; cands.c has their servers.
 */
#include "deliverd/pool_i.h"
#include "deliverd/https.h"
#include "deliverd/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/dest.h"
#include "common/conf/table.h"

#define TICK_S		1
#define IDLE_KEEP_MS	5000	/* destinations without use are freed */
#define DOWN_KEEP_MS	900000	/* but those that may come back */

static const struct conf	*conf;
static struct map		*dests;
static struct event		*ticker, *rechecker;

static void
dest_free(struct dest *d)
{
	cands_forget(d);
	dest_list_free(d->own);
	free(d);
}

bool
dest_wants_probe(const struct dest *d)
{
	if (d->pool == NULL)
		return false;
	for (size_t i = 0; i < d->ncands; i++) {
		if (health_is_down(&d->cands[i].srv->health) ||
		    logins_refused(d->cands[i].login) != NULL)
			return true;
	}
	return d->told_down;
}

/* One that has a server that is down is kept for a while, so that this one is
 * probed and queued is told. */
static bool
in_use(const struct dest *d)
{
	int64_t	idle = clock_mono().ms - d->used.ms;

	return d->nwaiting > 0 || d->nconns > 0 || d->nprobes > 0 ||
	    d->sts != NULL || d->find != NULL || idle < IDLE_KEEP_MS ||
	    ((d->told_down || dest_wants_probe(d)) && idle < DOWN_KEEP_MS &&
	    map_count(dests) < POOL_DESTS_MAX / 2);
}

static bool
tick_one(struct span key, void *v, void *arg)
{
	struct dest	*d = v;

	(void)arg;
	if (!in_use(d)) {
		map_del(dests, key);
		dest_free(d);
	} else if (d->nwaiting > 0 || dest_wants_probe(d))
		pool_run(d);
	return true;
}

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	dests_each(tick_one, NULL);
	srvs_tick();
}

static bool
recheck_one(struct span key, void *v, void *arg)
{
	struct dest	*d = v;

	(void)key;
	(void)arg;
	if (d->told_down && (choose_any(d, false, NULL) ||
	    choose_any(d, true, NULL))) {
		d->told_down = false;
		job_back_up(d->action->name, d->domain);
	}
	pool_run(d);
	return true;
}

static void
recheck(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	dests_each(recheck_one, NULL);
}

/* A server went down or came back: all that it concerns, a little later. */
static void
server_changed(const struct srv *s)
{
	static const struct timeval	 now = { 0, 0 };

	(void)s;
	evtimer_add(rechecker, &now);
}

void
dests_init(struct proc *p, const struct conf *c, struct ask *a)
{
	const struct timeval	 tv = { TICK_S, 0 };

	conf = c;
	cands_init(c, a);
	if ((dests = map_new(POOL_DESTS_MAX)) == NULL)
		fatal("map_new");
	ticker = event_new(proc_base(p), -1, EV_PERSIST, tick, NULL);
	rechecker = evtimer_new(proc_base(p), recheck, NULL);
	if (ticker == NULL || rechecker == NULL ||
	    event_add(ticker, &tv) == -1)
		fatalx("event_new");
	srvs_init(server_changed);
	https_init(p, c, a);
	sts_init(a);
	report_init(c, a);
	logins_init(server_changed);
}

void
dests_each(bool (*f)(struct span, void *, void *), void *arg)
{
	map_each(dests, f, arg);
}

const char *
pool_action(const struct dest *d)
{
	return d->action->name;
}

/* The limit of connections: the most special one that is configured. */
static size_t
limit_of(const struct conf_action *a, const char *domain)
{
	size_t	n = conf->limits.deliveries_per_dest;

	for (size_t i = 0; i < conf->limits.deliveries_for.n; i++) {
		if (table_get_domain(conf->limits.deliveries_for.v[i].table,
		    span_str(domain), NULL)) {
			n = conf->limits.deliveries_for.v[i].n;
			break;
		}
	}
	if (a->max_connections != 0 && a->max_connections < n)
		n = a->max_connections;
	return n > 0 ? n : 1;
}

/* The servers of a pool with its own interval, or the usual one; but where the
 * queue tries again sooner, so are they. */
static void
set_times(struct dest *d)
{
	d->times = (struct health_times){ POOL_PROBE_MIN_MS,
	    POOL_PROBE_MAX_MS };
	if (d->pool != NULL)
		d->times = (struct health_times){ d->pool->probe_min_ms,
		    d->pool->probe_max_ms };
	if (conf->retry_min_ms > 0 && conf->retry_min_ms < d->times.min_ms)
		d->times.min_ms = conf->retry_min_ms;
	if (conf->retry_max_ms > 0 && conf->retry_max_ms < d->times.max_ms)
		d->times.max_ms = conf->retry_max_ms;
}

static bool
evict_one(struct span key, void *v, void *arg)
{
	struct dest	*d = v;

	(void)arg;
	if (d->nwaiting > 0 || d->nconns > 0 || d->nprobes > 0 ||
	    d->sts != NULL || d->find != NULL)
		return true;
	map_del(dests, key);
	dest_free(d);
	return true;
}

static struct dest *
dest_new(const struct conf_action *a, const char *domain,
    enum demand_kind asks, struct span key, const char **why)
{
	struct dest	*d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		fatal("dest");
	if (a->by != BY_NONE && (d->own = dest_list(span_str(domain),
	    why)) == NULL) {
		*why = domain[0] == '\0' ? "451 4.3.5 The table of the action "
		    "has no entry for this mail any more" :
		    "451 4.3.5 The entry in the action's table is no list of "
		    "servers";
		free(d);
		return NULL;
	}
	if (map_count(dests) == POOL_DESTS_MAX)
		dests_each(evict_one, NULL);
	if (!map_set(dests, key, d)) {
		dest_free(d);
		*why = "451 4.3.0 Too many destinations";
		return NULL;
	}
	d->action = a;
	d->pool = d->own != NULL ? d->own : a->pool;
	strlcpy(d->domain, domain, sizeof(d->domain));
	d->asks = asks;
	TAILQ_INIT(&d->jobs);
	TAILQ_INIT(&d->conns);
	d->limit = limit_of(a, domain);
	set_times(d);
	return d;
}

struct dest *
dest_get(const struct conf_action *a, const char *domain,
    enum demand_kind asks, const char **why)
{
	char		 key[512];
	struct dest	*d;

	snprintf(key, sizeof(key), "%s\n%s\n%d", a->name, domain, (int)asks);
	if ((d = map_get(dests, span_str(key))) != NULL)
		return d;
	return dest_new(a, domain, asks, span_str(key), why);
}

struct job *
dest_take(struct dest *d, const struct conn *c)
{
	struct job	*j;

	TAILQ_FOREACH(j, &d->jobs, entry) {
		if (c == NULL || j->avoid.family == 0 ||
		    !addr_eq(&j->avoid, &c->srv->addr) ||
		    j->avoid.port != c->srv->addr.port)
			break;
	}
	if (j != NULL) {
		TAILQ_REMOVE(&d->jobs, j, entry);
		d->nwaiting--;
	}
	return j;
}

void
dest_fail(struct dest *d, enum d_status status, const char *reply,
    enum d_dest state)
{
	struct job	*j;

	while ((j = dest_take(d, NULL)) != NULL) {
		j->dest = state;
		job_fail(j, status, reply, "");
		job_done(j);
	}
}

void
pool_warm(void)
{
	const struct conf_action *a;
	struct dest		 *d;
	const char		 *why;

	for (size_t i = 0; i < conf->nactions; i++) {
		a = conf->actions[i];
		if (a->type != ACT_RELAY || a->ndests == 0 ||
		    (d = dest_get(a, "", DEMAND_USUAL, &why)) == NULL)
			continue;
		d->used = clock_mono();
		dest_have_cands(d);
	}
}

/* ---- for ctl.c --------------------------------------------------------- */

struct each {
	void	(*conn)(const struct conn *, void *);
	void	(*dest)(const struct dest_info *, void *);
	void	*arg;
};

static bool
each_one(struct span key, void *v, void *arg)
{
	const struct each	*e = arg;
	const struct dest	*d = v;
	const struct conn	*c;

	(void)key;
	if (e->dest != NULL)
		e->dest(&(struct dest_info){ d->action->name, d->domain,
		    d->asks, d->nwaiting, d->nconns, d->limit }, e->arg);
	TAILQ_FOREACH(c, &d->conns, entry) {
		if (e->conn != NULL)
			e->conn(c, e->arg);
	}
	return true;
}

void
pool_each_conn(void (*f)(const struct conn *, void *), void *arg)
{
	dests_each(each_one, &(struct each){ f, NULL, arg });
}

void
pool_each_dest(void (*f)(const struct dest_info *, void *), void *arg)
{
	dests_each(each_one, &(struct each){ NULL, f, arg });
}
