/*
 * The destinations. Each has a list of addresses (asked for when needed, used
 * for its TTL), jobs in order of arrival, and connections up to its limit. A
 * connection takes the next job when it has finished one, so nobody waits for a
 * round trip to queued; addresses that failed are passed over while others are
 * there; when none is left, all that waits is given back with the last reason.
 */
#include "deliverd/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/table.h"

#define SWEEP_S		5		/* destinations without use are freed */

struct dest {
	const struct conf_action *action;
	char		 domain[256];
	TAILQ_HEAD(, job) jobs;
	size_t		 nwaiting;
	TAILQ_HEAD(, conn) conns;
	size_t		 nconns, limit;
	struct find	*find;		/* being asked for */
	bool		 starting;	/* inside find_start() */
	struct hosts_cand *cands;	/* NULL: not known */
	struct mono	*down_until;	/* one each */
	size_t		 ncands;
	struct mono	 expires;
	char		 why[1024];	/* the last reason that one failed */
};

static struct proc		*proc;
static const struct conf	*conf;
static struct ask		*ask;
static struct map		*dests;
static size_t			 nconns, conns_max;
static bool			 starved;	/* a destination waits */
static bool			 aborted;	/* nothing is begun any more */
static struct event		*sweeper;

static void	 run(struct dest *);

static void
dest_forget(struct dest *d)
{
	free(d->cands);
	free(d->down_until);
	d->cands = NULL;
	d->down_until = NULL;
	d->ncands = 0;
}

static bool
sweep_one(struct span key, void *v, void *arg)
{
	struct dest	*d = v;

	(void)arg;
	if (d->nwaiting > 0 || d->nconns > 0 || d->find != NULL)
		return true;
	map_del(dests, key);
	dest_forget(d);
	free(d);
	return true;
}

static void
sweep(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	map_each(dests, sweep_one, NULL);
}

void
pool_init(struct proc *p, const struct conf *c, struct ask *a)
{
	const struct timeval	 tv = { SWEEP_S, 0 };

	proc = p;
	conf = c;
	ask = a;
	conns_max = proc_sessions(p) != 0 ? proc_sessions(p) :
	    c->limits.deliveries;
	if ((dests = map_new(POOL_DESTS_MAX)) == NULL)
		fatal("map_new");
	sweeper = event_new(proc_base(p), -1, EV_PERSIST, sweep, NULL);
	if (sweeper == NULL || event_add(sweeper, &tv) == -1)
		fatalx("event_new");
	remote_init(proc_base(p));
}

size_t
pool_count_conns(void)
{
	return nconns;
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

static struct dest *
dest_get(const struct conf_action *a, const char *domain)
{
	char		 key[512];
	struct span	 k;
	struct dest	*d;

	snprintf(key, sizeof(key), "%s\n%s", a->name, domain);
	k = span_str(key);
	if ((d = map_get(dests, k)) != NULL)
		return d;
	if ((d = calloc(1, sizeof(*d))) == NULL)
		fatal("dest");
	if (!map_set(dests, k, d)) {
		free(d);
		return NULL;
	}
	d->action = a;
	strlcpy(d->domain, domain, sizeof(d->domain));
	TAILQ_INIT(&d->jobs);
	TAILQ_INIT(&d->conns);
	d->limit = limit_of(a, domain);
	return d;
}

static struct job *
take_job(struct dest *d)
{
	struct job	*j = TAILQ_FIRST(&d->jobs);

	if (j != NULL) {
		TAILQ_REMOVE(&d->jobs, j, entry);
		d->nwaiting--;
	}
	return j;
}

static void
fail_all(struct dest *d, enum d_status status, const char *reply,
    enum d_dest state)
{
	struct job	*j;

	while ((j = take_job(d)) != NULL) {
		j->dest = state;
		job_fail(j, status, reply, "");
		job_done(j);
	}
}

/* ---- addresses --------------------------------------------------------- */

static void
found(void *arg, const struct hosts_list *l)
{
	struct dest	*d = arg;
	char		 reply[512];

	d->find = NULL;
	dest_forget(d);
	if (l->n == 0) {
		snprintf(reply, sizeof(reply), "%u %s", l->code, l->text);
		fail_all(d, l->code / 100 == 5 ? D_PERM : D_TEMP, reply,
		    l->code / 100 == 5 ? D_DEST_OK : D_DEST_DOWN);
		return;
	}
	d->cands = calloc(l->n, sizeof(*d->cands));
	d->down_until = calloc(l->n, sizeof(*d->down_until));
	if (d->cands == NULL || d->down_until == NULL)
		fatal("candidates");
	memcpy(d->cands, l->cand, l->n * sizeof(*d->cands));
	d->ncands = l->n;
	/* A second at least, so that what was asked for can be used. */
	d->expires.ms = clock_mono().ms +
	    (l->ttl > 0 ? (int64_t)l->ttl * 1000 : 1000);
	if (!d->starting)
		run(d);
}

/* True when a list is there that may be used. */
static bool
have_cands(struct dest *d)
{
	if (d->find != NULL)
		return false;
	if (d->cands != NULL && clock_mono().ms <= d->expires.ms)
		return true;
	d->starting = true;
	d->find = find_start(ask, conf, d->action, d->domain, found, d);
	d->starting = false;
	return d->find == NULL && d->cands != NULL;
}

/* The first address that is not known to be down, or ncands. */
static size_t
choose(const struct dest *d)
{
	int64_t	now = clock_mono().ms;
	size_t	i;

	for (i = 0; i < d->ncands; i++) {
		if (d->down_until[i].ms <= now)
			break;
	}
	return i;
}

static void
mark_down(struct dest *d, const struct addr *a, const char *why)
{
	/* By address: the list may be newer than the connection. */
	for (size_t i = 0; i < d->ncands; i++) {
		if (addr_eq(&d->cands[i].addr, a) &&
		    d->cands[i].addr.port == a->port)
			d->down_until[i].ms = clock_mono().ms + POOL_DOWN_MS;
	}
	strlcpy(d->why, why, sizeof(d->why));
}

/* ---- connections ------------------------------------------------------- */

static bool
open_conn(struct dest *d)
{
	const char	*helo = d->action->helo != NULL ? d->action->helo :
			    conf->hostname;
	char		 why[512], ip[ADDR_STRLEN];
	struct conn	*c;
	size_t		 i;

	while ((i = choose(d)) < d->ncands) {
		c = remote_connect(d, &d->cands[i].addr, d->cands[i].name,
		    &d->action->source, helo);
		if (c != NULL) {
			TAILQ_INSERT_TAIL(&d->conns, c, entry);
			d->nconns++;
			nconns++;
			return true;
		}
		snprintf(why, sizeof(why), "451 4.4.1 %s[%s]:%u: %s",
		    d->cands[i].name, addr_str(&d->cands[i].addr, ip),
		    d->cands[i].addr.port, strerror(errno));
		mark_down(d, &d->cands[i].addr, why);
	}
	return false;
}

static size_t
count_connecting(const struct dest *d)
{
	const struct conn	*c;
	size_t			 n = 0;

	TAILQ_FOREACH(c, &d->conns, entry)
		n += c->phase < CONN_IDLE;
	return n;
}

/* An idle connection of whoever has one makes room. */
static bool
close_idle(struct span key, void *v, void *arg)
{
	struct dest	*d = v;
	struct conn	*c;

	(void)key;
	TAILQ_FOREACH(c, &d->conns, entry) {
		if (c->phase == CONN_IDLE && d != arg) {
			remote_quit(c);
			return false;
		}
	}
	return true;
}

static void
open_conns(struct dest *d)
{
	size_t	connecting = count_connecting(d);

	while (connecting < d->nwaiting && d->nconns < d->limit) {
		if (nconns >= conns_max) {
			starved = true;
			map_each(dests, close_idle, d);
			return;
		}
		if (!open_conn(d))
			break;
		connecting++;
	}
	if (d->nconns > 0 || d->nwaiting == 0)
		return;
	/* No address answers. They are tried afresh with the next job: queued
	 * decides when that is. */
	log_debug("event=down action=%s domain=%s why=%s",
	    log_quote(span_str(d->action->name)),
	    log_quote(span_str(d->domain)),
	    log_quote_reply(span_str(d->why)));
	fail_all(d, D_TEMP, d->why, D_DEST_DOWN);
	dest_forget(d);
}

static struct conn *
idle_conn(const struct dest *d)
{
	struct conn	*c;

	TAILQ_FOREACH(c, &d->conns, entry) {
		if (c->phase == CONN_IDLE)
			break;
	}
	return c;
}

/* Jobs to idle connections, then as many new connections as are of use. Each
 * is looked for anew: a job that can't be begun may end any of them. */
static void
run(struct dest *d)
{
	struct conn	*c;

	if (aborted)
		return;
	while (d->nwaiting > 0 && (c = idle_conn(d)) != NULL)
		remote_begin(c, take_job(d));
	if (d->nwaiting > 0 && have_cands(d))
		open_conns(d);
}

void
pool_add(struct job *j)
{
	struct dest	*d = dest_get(j->action, j->domain);

	if (d == NULL) {
		job_fail(j, D_TEMP, "451 4.3.0 Too many destinations", "");
		job_done(j);
		return;
	}
	TAILQ_INSERT_TAIL(&d->jobs, j, entry);
	d->nwaiting++;
	run(d);
}

void
pool_ready(struct conn *c)
{
	struct job	*j = take_job(c->dest);

	if (j != NULL)
		remote_begin(c, j);
	else if (starved)
		remote_quit(c);
}

static bool
run_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	/* All of them, so that those that get none this time say so again. */
	if (((struct dest *)v)->nwaiting > 0)
		run(v);
	return true;
}

static void
release(struct conn *c)
{
	TAILQ_REMOVE(&c->dest->conns, c, entry);
	c->dest->nconns--;
	nconns--;
	remote_free(c);
}

static void
go_on(struct dest *d)
{
	if (starved) {
		starved = false;
		map_each(dests, run_one, NULL);
	} else
		run(d);
}

void
pool_unreachable(struct conn *c, const char *reply)
{
	struct dest	*d = c->dest;

	log_debug("event=connect server=%s result=failed reply=%s",
	    log_quote(span_str(c->server)), log_quote_reply(span_str(reply)));
	mark_down(d, &c->addr, reply);
	release(c);
	go_on(d);
}

void
pool_lost(struct conn *c)
{
	struct dest	*d = c->dest;

	release(c);
	go_on(d);
}

void
pool_retry(struct conn *c, struct job *j)
{
	struct dest	*d = c->dest;
	struct conn	*o;

	log_debug("id=%s event=try server=%s result=stale", j->ids,
	    log_quote(span_str(c->server)));
	for (size_t i = 0; i < j->nrcpts; i++) {
		if (j->rcpts[i].state != RCPT_DONE)
			j->rcpts[i].state = RCPT_WAITS;
	}
	TAILQ_INSERT_HEAD(&d->jobs, j, entry);
	d->nwaiting++;
	/* Its neighbours are most likely as stale as it was. */
	TAILQ_FOREACH(o, &d->conns, entry) {
		if (o != c && o->phase == CONN_IDLE)
			remote_quit(o);
	}
	release(c);
	go_on(d);
}

static bool
abort_one(struct span key, void *v, void *arg)
{
	struct dest	*d = v;
	struct conn	*c;

	(void)key;
	find_cancel(d->find);
	d->find = NULL;
	fail_all(d, D_TEMP, arg, D_DEST_OK);
	while ((c = TAILQ_FIRST(&d->conns)) != NULL)
		remote_cut(c, arg);
	return true;
}

void
pool_abort(const char *reply)
{
	char	copy[256];

	aborted = true;
	strlcpy(copy, reply, sizeof(copy));
	map_each(dests, abort_one, copy);
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
		    d->nwaiting, d->nconns, d->limit }, e->arg);
	TAILQ_FOREACH(c, &d->conns, entry) {
		if (e->conn != NULL)
			e->conn(c, e->arg);
	}
	return true;
}

void
pool_each_conn(void (*f)(const struct conn *, void *), void *arg)
{
	map_each(dests, each_one, &(struct each){ f, NULL, arg });
}

void
pool_each_dest(void (*f)(const struct dest_info *, void *), void *arg)
{
	map_each(dests, each_one, &(struct each){ NULL, f, arg });
}
