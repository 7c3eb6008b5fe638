/*
 * The destinations. Each has a list of servers (asked for when needed, used for
 * its TTL), jobs in order of arrival, and connections up to its limit. A
 * connection takes the next job when it has finished one, so nobody waits for a
 * round trip to queued. Which server is next is choose.c's, whether one answers
 * servers.c's; when none does, all that waits is given back with the last
 * reason, and queued hears when one is back.
 */
#include "deliverd/pool_i.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/dest.h"
#include "common/conf/table.h"

#define TICK_S		1
#define IDLE_KEEP_MS	5000	/* destinations without use are freed */
#define DOWN_KEEP_MS	900000	/* but those that may come back */
#define FEW_JOBS	4	/* so many get a connection each */

static struct proc		*proc;
static const struct conf	*conf;
static struct ask		*ask;
static struct map		*dests;
static size_t			 nconns, conns_max;
static bool			 starved;	/* a destination waits */
static bool			 aborted;	/* nothing is begun any more */
static struct event		*ticker, *rechecker;

static void	 run(struct dest *);

/* ---- destinations ------------------------------------------------------ */

static void
dest_forget(struct dest *d)
{
	for (size_t i = 0; i < d->ncands; i++)
		srv_unref(d->cands[i].srv);
	free(d->cands);
	d->cands = NULL;
	d->ncands = 0;
}

static void
dest_free(struct dest *d)
{
	dest_forget(d);
	dest_list_free(d->own);
	free(d);
}

/* Servers that the configuration names are probed without mail for them too. */
static bool
wants_probe(const struct dest *d)
{
	if (d->pool == NULL)
		return false;
	for (size_t i = 0; i < d->ncands; i++) {
		if (health_is_down(&d->cands[i].srv->health))
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
	    d->find != NULL || idle < IDLE_KEEP_MS ||
	    ((d->told_down || wants_probe(d)) && idle < DOWN_KEEP_MS &&
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
	} else if (d->nwaiting > 0 || wants_probe(d))
		run(d);
	return true;
}

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	map_each(dests, tick_one, NULL);
	servers_tick();
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
	run(d);
	return true;
}

static void
recheck(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	map_each(dests, recheck_one, NULL);
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
pool_init(struct proc *p, const struct conf *c, struct ask *a)
{
	const struct timeval	 tv = { TICK_S, 0 };

	proc = p;
	conf = c;
	ask = a;
	conns_max = proc_sessions(p) != 0 ? proc_sessions(p) :
	    c->limits.deliveries;
	if ((dests = map_new(POOL_DESTS_MAX)) == NULL)
		fatal("map_new");
	ticker = event_new(proc_base(p), -1, EV_PERSIST, tick, NULL);
	rechecker = evtimer_new(proc_base(p), recheck, NULL);
	if (ticker == NULL || rechecker == NULL ||
	    event_add(ticker, &tv) == -1)
		fatalx("event_new");
	servers_init(server_changed);
	remote_init(proc_base(p), c);
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
	    d->find != NULL)
		return true;
	map_del(dests, key);
	dest_free(d);
	return true;
}

/* NULL with a whole reply in *why: none can be made. */
static struct dest *
dest_new(const struct conf_action *a, const char *domain, struct span key,
    const char **why)
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
		map_each(dests, evict_one, NULL);
	if (!map_set(dests, key, d)) {
		dest_free(d);
		*why = "451 4.3.0 Too many destinations";
		return NULL;
	}
	d->action = a;
	d->pool = d->own != NULL ? d->own : a->pool;
	strlcpy(d->domain, domain, sizeof(d->domain));
	TAILQ_INIT(&d->jobs);
	TAILQ_INIT(&d->conns);
	d->limit = limit_of(a, domain);
	set_times(d);
	return d;
}

static struct dest *
dest_get(const struct conf_action *a, const char *domain, const char **why)
{
	char		 key[512];
	struct dest	*d;

	snprintf(key, sizeof(key), "%s\n%s", a->name, domain);
	if ((d = map_get(dests, span_str(key))) != NULL)
		return d;
	return dest_new(a, domain, span_str(key), why);
}

/* The first job that may go over this connection. */
static struct job *
take_job(struct dest *d, const struct conn *c)
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

static void
fail_all(struct dest *d, enum d_status status, const char *reply,
    enum d_dest state)
{
	struct job	*j;

	while ((j = take_job(d, NULL)) != NULL) {
		j->dest = state;
		job_fail(j, status, reply, "");
		job_done(j);
	}
}

/* ---- addresses --------------------------------------------------------- */

static const char *
label(const struct dest *d)
{
	return d->pool != NULL && d->pool->name != NULL ? d->pool->name :
	    d->action->name;
}

static void
found(void *arg, const struct hosts_list *l)
{
	struct dest	*d = arg;
	struct cand	*v;
	size_t		 n = 0;
	char		 reply[512];

	d->find = NULL;
	if (l->n == 0) {
		dest_forget(d);
		snprintf(reply, sizeof(reply), "%u %s", l->code, l->text);
		fail_all(d, l->code / 100 == 5 ? D_PERM : D_TEMP, reply,
		    l->code / 100 == 5 ? D_DEST_OK : D_DEST_DOWN);
		return;
	}
	if ((v = calloc(l->n, sizeof(*v))) == NULL)
		fatal("candidates");
	/* The new references first: what is known of a server stays. */
	for (size_t i = 0; i < l->n; i++) {
		v[n].id = l->cand[i];
		v[n].srv = srv_ref(&l->cand[i].addr, l->cand[i].name,
		    label(d), &d->times);
		n += v[n].srv != NULL;
	}
	dest_forget(d);
	d->cands = v;
	d->ncands = n;
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
	d->find = find_in(ask, conf, d->action, d->own, d->domain, found, d);
	d->starting = false;
	return d->find == NULL && d->cands != NULL;
}

/* ---- connections ------------------------------------------------------- */

static bool
open_conn(struct dest *d, const struct cand *cand, bool probe)
{
	const char	*helo = d->action->helo != NULL ? d->action->helo :
			    conf->hostname;
	char		 ip[ADDR_STRLEN], why[512];
	struct conn	*c;

	if (probe)
		srv_probe(cand->srv);
	c = remote_connect(d, cand->srv, cand->id.name, &d->action->source,
	    helo);
	if (c == NULL) {
		snprintf(why, sizeof(why), "451 4.4.1 %s[%s]:%u: %s",
		    cand->id.name, addr_str(&cand->id.addr, ip),
		    cand->id.addr.port, strerror(errno));
		srv_failed(cand->srv, probe, why);
		return false;
	}
	cand->srv->refs++;
	srv_conns(cand->srv, 1);
	c->probe = probe;
	TAILQ_INSERT_TAIL(&d->conns, c, entry);
	if (probe)
		d->nprobes++;
	else
		d->nconns++;
	nconns++;
	return true;
}

static void
release(struct conn *c)
{
	TAILQ_REMOVE(&c->dest->conns, c, entry);
	if (c->probe)
		c->dest->nprobes--;
	else
		c->dest->nconns--;
	nconns--;
	srv_conns(c->srv, -1);
	srv_unref(c->srv);
	remote_free(c);
}

/* Those that may become ready soon; jobs that are at work. */
static size_t
count_conns(const struct dest *d, bool busy)
{
	const struct conn	*c;
	int64_t			 now = clock_mono().ms;
	size_t			 n = 0;

	TAILQ_FOREACH(c, &d->conns, entry) {
		if (busy)
			n += c->phase == CONN_BUSY;
		else
			n += !c->probe && c->phase < CONN_IDLE &&
			    now - c->begun.ms < (c->phase == CONN_CONNECT ?
			    POOL_SLOW_MS : POOL_LATE_MS);
	}
	return n;
}

/* Two jobs a connection, where there are many: so the next one is at hand when
 * one ends. */
static size_t
conns_wanted(const struct dest *d)
{
	size_t	jobs = d->nwaiting + count_conns(d, true), n = jobs;

	if (n > FEW_JOBS)
		n = (jobs + 1) / 2 > FEW_JOBS ? (jobs + 1) / 2 : FEW_JOBS;
	return n < d->limit ? n : d->limit;
}

/* An idle connection of whoever has one makes room; where servers are full, one
 * to any of those. */
struct room {
	const struct dest *d;
	bool		 full;
	bool		 made;
};

static bool
is_of(const struct dest *d, const struct srv *s)
{
	for (size_t i = 0; i < d->ncands; i++) {
		if (d->cands[i].srv == s)
			return true;
	}
	return false;
}

static bool
close_idle(struct span key, void *v, void *arg)
{
	struct room	*r = arg;
	struct dest	*d = v;
	struct conn	*c;

	(void)key;
	TAILQ_FOREACH(c, &d->conns, entry) {
		if (c->phase == CONN_IDLE && d != r->d &&
		    (!r->full || is_of(r->d, c->srv))) {
			remote_quit(c);
			return false;
		}
	}
	return true;
}

static void
make_room(const struct dest *d, bool full)
{
	struct room	r = { .d = d, .full = full };

	starved = true;
	map_each(dests, close_idle, &r);
}

/* The server for the first job that waits. */
static enum choice
choose_next(struct dest *d, size_t *i)
{
	struct job	*j = TAILQ_FIRST(&d->jobs);
	enum choice	 choice;

	if (j == NULL || j->avoid.family == 0)
		return choose(d, NULL, i);
	choice = choose(d, &j->avoid, i);
	if (choice != CHOICE_DEAD)
		return choice;
	j->avoid.family = 0;
	return choose(d, NULL, i);
}

/* None is known to answer, and none is being tried. queued decides when it is
 * time for the next attempt, or is told before. */
static void
all_dead(struct dest *d)
{
	const char	*why = "451 4.4.1 No server can be tried";

	if (d->nprobes > 0 || choose_probed(d))
		return;
	for (size_t i = 0; i < d->ncands; i++) {
		if (d->cands[i].srv->why[0] != '\0')
			why = d->cands[i].srv->why;
	}
	log_debug("event=down action=%s domain=%s why=%s",
	    log_quote(span_str(d->action->name)),
	    log_quote(span_str(d->domain)),
	    log_quote_reply(span_str(why)));
	d->told_down = true;
	fail_all(d, D_TEMP, why, D_DEST_DOWN);
}

static void
open_conns(struct dest *d)
{
	size_t		 connecting = count_conns(d, false), i = 0;
	enum choice	 choice = CHOICE_ONE;

	while (connecting < d->nwaiting && d->nconns < conns_wanted(d)) {
		if (nconns >= conns_max) {
			make_room(d, false);
			return;
		}
		if ((choice = choose_next(d, &i)) != CHOICE_ONE)
			break;
		connecting += open_conn(d, &d->cands[i], false);
	}
	if (d->nconns > 0 || d->nwaiting == 0)
		return;
	if (choice == CHOICE_FULL)
		make_room(d, true);
	else if (choice == CHOICE_DEAD)
		all_dead(d);
}

/* Each server that is down is tried when its time has come, beside the mail
 * that goes to the others. */
static void
probe(struct dest *d)
{
	size_t	i;

	while (nconns < conns_max && choose_probe(d, &i))
		open_conn(d, &d->cands[i], true);
}

/* Does a job wait that was lost on a better server? Such stand first. */
static bool
is_wanted(const struct dest *d, const struct conn *c)
{
	const struct job	*j = TAILQ_FIRST(&d->jobs);

	return j != NULL && j->avoid.family != 0 && (!addr_eq(&j->avoid,
	    &c->srv->addr) || j->avoid.port != c->srv->addr.port);
}

static void
quit_outdated(struct dest *d)
{
	struct conn	*c;

	TAILQ_FOREACH(c, &d->conns, entry) {
		if (c->phase == CONN_IDLE && !is_wanted(d, c) &&
		    choose_outdated(d, c))
			remote_quit(c);
	}
}

static void
begin(struct conn *c, struct job *j)
{
	choose_given(c->dest, c);
	remote_begin(c, j);
}

/* Jobs to idle connections, then as many new connections as are of use. Each
 * is looked for anew: a job that can't be begun may end any of them. */
static void
run(struct dest *d)
{
	struct conn	*c;
	struct job	*j;
	size_t		 i;

	if (aborted)
		return;
	quit_outdated(d);
	while (d->nwaiting > 0 && (c = choose_idle(d)) != NULL) {
		if ((j = take_job(d, c)) != NULL)
			begin(c, j);
		else
			remote_quit(c);	/* they are to have another server */
	}
	if (d->nwaiting == 0 && d->nconns == 0 && !wants_probe(d))
		return;
	if (!have_cands(d))
		return;
	probe(d);
	if (d->nwaiting > 0)
		open_conns(d);
	if (nconns < conns_max && d->nconns > 0 && d->nconns < d->limit &&
	    choose_owed(d, &i))
		open_conn(d, &d->cands[i], false);
}

void
pool_add(struct job *j)
{
	const char	*why;
	struct dest	*d = dest_get(j->action, j->domain, &why);

	if (d == NULL) {
		job_fail(j, D_TEMP, why, "");
		job_done(j);
		return;
	}
	TAILQ_INSERT_TAIL(&d->jobs, j, entry);
	d->nwaiting++;
	d->used = clock_mono();
	run(d);
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
		    (d = dest_get(a, "", &why)) == NULL)
			continue;
		d->used = clock_mono();
		have_cands(d);
	}
}

void
pool_ready(struct conn *c)
{
	struct dest	*d = c->dest;
	struct job	*j;

	if (c->probe) {
		c->probe = false;
		d->nprobes--;
		d->nconns++;
	}
	if (c->mails == 0)
		srv_works(c->srv);
	if (remote_spent(c) || (!is_wanted(d, c) && choose_outdated(d, c))) {
		remote_quit(c);
		run(d);
	} else if ((j = take_job(d, c)) != NULL)
		begin(c, j);
	else if (d->nwaiting > 0) {
		remote_quit(c);
		run(d);
	} else if (starved)
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
	srv_failed(c->srv, c->probe, reply);
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

/* Back to the first place, with the recipients that have no result. */
static void
put_back(struct dest *d, struct job *j)
{
	for (size_t i = 0; i < j->nrcpts; i++) {
		if (j->rcpts[i].state != RCPT_DONE)
			j->rcpts[i].state = RCPT_WAITS;
	}
	TAILQ_INSERT_HEAD(&d->jobs, j, entry);
	d->nwaiting++;
}

void
pool_retry(struct conn *c, struct job *j)
{
	struct dest	*d = c->dest;
	struct conn	*o;

	log_debug("id=%s event=try server=%s result=stale", j->ids,
	    log_quote(span_str(c->server)));
	put_back(d, j);
	/* Its neighbours are most likely as stale as it was. */
	TAILQ_FOREACH(o, &d->conns, entry) {
		if (o != c && o->srv == c->srv && o->phase == CONN_IDLE)
			remote_quit(o);
	}
	release(c);
	go_on(d);
}

void
pool_more(struct conn *c, struct job *j)
{
	c->job = NULL;
	c->jobs++;
	put_back(c->dest, j);
	remote_quit(c);
	run(c->dest);
}

bool
pool_elsewhere(struct conn *c, struct job *j, const char *reply)
{
	struct dest	*d = c->dest;

	if (aborted || j->tries >= POOL_TRIES_MAX)
		return false;
	if (choose_any(d, false, &c->srv->addr))
		j->avoid = c->srv->addr;
	else if (!choose_any(d, true, &c->srv->addr))
		return false;
	/* Only standbys: this one has its chance, and if it is dead they have. */
	j->tries++;
	log_debug("id=%s event=try server=%s result=lost reply=%s", j->ids,
	    log_quote(span_str(c->server)), log_quote_reply(span_str(reply)));
	c->job = NULL;
	put_back(d, j);
	release(c);
	go_on(d);
	return true;
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
