/*
 * The destinations: made when a job is for one, forgotten when nobody needs to
 * remember; their servers, asked for when needed and used for their TTL; what
 * comes with the time. See pool.h.
 */
#include "deliverd/pool_i.h"
#include "deliverd/https.h"
#include "deliverd/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/dest.h"
#include "common/conf/policy.h"
#include "common/conf/table.h"

#define TICK_S		1
#define IDLE_KEEP_MS	5000	/* destinations without use are freed */
#define DOWN_KEEP_MS	900000	/* but those that may come back */

static const struct conf	*conf;
static struct ask		*ask;
static struct map		*dests;
static struct event		*ticker, *rechecker;

static void
dest_forget(struct dest *d)
{
	for (size_t i = 0; i < d->ncands; i++) {
		srv_unref(d->cands[i].srv);
		free(d->cands[i].refused);
		demand_free(d->cands[i].demand);
		logins_unref(d->cands[i].login);
	}
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

bool
dest_refuses(const struct cand *c)
{
	return c->refused != NULL && clock_mono().ms < c->refused_ms;
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
	ask = a;
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

/* ---- addresses --------------------------------------------------------- */

static const char *
label(const struct dest *d)
{
	return d->pool != NULL && d->pool->name != NULL ? d->pool->name :
	    d->action->name;
}

/* What its TLS was like outlives the list. */
static void
keep_refusal(struct dest *d, struct cand *now)
{
	struct cand	*c;

	for (size_t i = 0; i < d->ncands; i++) {
		c = &d->cands[i];
		if (c->srv != now->srv || c->refused == NULL ||
		    strcmp(c->id.name, now->id.name) != 0)
			continue;
		now->refused_ms = c->refused_ms;
		now->refused = c->refused;
		c->refused = NULL;
		return;
	}
}

/* Nothing can be done now, for this reason. */
static void
found_none(struct dest *d, unsigned code, const char *text)
{
	char	reply[512];

	dest_forget(d);
	snprintf(reply, sizeof(reply), "%u %s", code, text);
	dest_fail(d, code / 100 == 5 ? D_PERM : D_TEMP, reply,
	    code / 100 == 5 ? D_DEST_OK : D_DEST_DOWN);
}

/*
 * RFC 8461, 4 and 5: with "enforce" a server has to be named and has to prove
 * its name; one with TLSA records has to prove itself by those (2). False: it
 * may not be used.
 */
static bool
ask_policy(const struct dest *d, const struct sts_policy *p,
    const struct hosts_cand *id, struct hosts_tls *t)
{
	bool	has;

	if (p == NULL || p->mode == STS_MODE_NONE || t->dane != DANE_NONE)
		return true;
	has = sts_policy_has(p, span_str(id->name));
	if (p->mode == STS_MODE_TESTING) {
		if (!has)
			log_info("event=sts server=%s result=testing why=\"the "
			    "policy does not name it\"",
			    log_quote(span_str(id->name)));
		return true;
	}
	t->by_sts = true;
	if (!has)
		report_unnamed(d, id->name);
	t->tls = (struct conf_tls){ .mode = TLS_VERIFY };
	return has;
}

/* Its servers are its own, by MX. */
static bool
by_domain(const struct dest *d)
{
	return d->pool == NULL && d->action->ndests == 0;
}

/* For mail with REQUIRETLS. A policy in testing names the servers, too. */
static const char *
held_to(const struct dest *d, const char *host, struct hosts_tls *t)
{
	const struct sts_policy	*p = by_domain(d) ? sts_holds(d->domain) :
				    NULL;

	return demand_requiretls(t, p != NULL && p->mode != STS_MODE_NONE &&
	    sts_policy_has(p, span_str(host)));
}

/* None of them can have such mail: for good, unless who might tell more could
 * not be heard. */
static void
found_unproven(struct dest *d, const char *why)
{
	char	text[300];

	if (by_domain(d) && sts_unsure(d->domain)) {
		found_none(d, 451, "4.7.5 The domain's MTA-STS policy, for "
		    "the names of its servers, can't be had now");
		return;
	}
	snprintf(text, sizeof(text), "5.7.10 REQUIRETLS: %s", why);
	found_none(d, 550, text);
}

static void
found(void *arg, const struct hosts_list *l)
{
	struct dest		*d = arg;
	const struct sts_policy	*p = d->by_sts ? sts_holds(d->domain) : NULL;
	struct cand		*v;
	const char		*why = NULL;
	size_t			 n = 0;
	bool			 named, refused = false;

	d->find = NULL;
	report_left_out(d, l);
	if (l->n == 0) {
		found_none(d, l->code, l->text);
		return;
	}
	if ((v = calloc(l->n, sizeof(*v))) == NULL)
		fatal("candidates");
	/* The new references first: what is known of a server stays. */
	for (size_t i = 0; i < l->n; i++) {
		v[n].id = l->cand[i];
		v[n].srv = srv_ref(&l->cand[i].addr, l->cand[i].name,
		    label(d), &d->times);
		if (v[n].srv == NULL)
			continue;
		v[n].demand = demand_dup(&l->tls[l->cand[i].host]);
		v[n].login = v[n].id.login != NULL ? logins_ref(&v[n].id) :
		    NULL;
		named = ask_policy(d, p, &v[n].id, v[n].demand);
		if (named && d->asks == DEMAND_REQUIRETLS)
			named = (why = held_to(d, v[n].id.name,
			    v[n].demand)) == NULL;
		/* Without its login it is of no use either. */
		if (named && (v[n].id.login == NULL || v[n].login != NULL)) {
			keep_refusal(d, &v[n++]);
			continue;
		}
		refused = refused || !named;
		srv_unref(v[n].srv);
		logins_unref(v[n].login);
		demand_free(v[n].demand);
		v[n] = (struct cand){ .srv = NULL };
	}
	if (n == 0 && refused) {
		free(v);
		if (why != NULL)
			found_unproven(d, why);
		else
			found_none(d, 451, "4.7.5 The domain's MTA-STS policy "
			    "names none of its servers");
		return;
	}
	dest_forget(d);
	d->cands = v;
	d->ncands = n;
	/* A second at least, so that what was asked for can be used. */
	d->expires.ms = clock_mono().ms +
	    (l->ttl > 0 ? (int64_t)l->ttl * 1000 : 1000);
	if (!d->starting)
		pool_run(d);
}

/* Its servers are its own, and nothing of ours goes above what it says
 * of them? */
static bool
wants_policy(const struct dest *d)
{
	enum conf_tls_mode	mode = conf_tls_of(d->action, d->pool,
				    SCHEME_NONE).mode;

	return d->asks != DEMAND_LAX && by_domain(d) &&
	    (mode == TLS_OPPORTUNISTIC || mode == TLS_REQUIRE) &&
	    !policy_of(conf, span_str(d->domain), clock_wall().ms, &mode);
}

static void
have_policy(void *arg)
{
	struct dest	*d = arg;

	d->sts = NULL;
	d->find = find_in(ask, conf, d->action, d->own,
	    d->asks == DEMAND_LAX, d->domain, found, d);
}

bool
dest_have_cands(struct dest *d)
{
	if (d->sts != NULL || d->find != NULL)
		return false;
	if (d->cands != NULL && clock_mono().ms <= d->expires.ms)
		return true;
	d->starting = true;
	d->reported = report_wants(d);
	d->by_sts = wants_policy(d);
	if (d->by_sts || (d->asks == DEMAND_REQUIRETLS && by_domain(d)))
		d->sts = sts_find(d->domain, have_policy, d);
	else
		have_policy(d);
	d->starting = false;
	return d->sts == NULL && d->find == NULL && d->cands != NULL;
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
