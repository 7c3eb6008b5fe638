/*
 * Jobs and connections of the destinations (dests.c). Each has jobs in order of
 * arrival, and connections up to its limit. A connection takes the next job when
 * it has finished one, so nobody waits for a round trip to queued. Which server
 * is next is choose.c's, whether one answers servers.c's; when none does, all
 * that waits is given back with the last reason, and queued hears when one is
 * back.
 */
#include "deliverd/pool_i.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"

#define FEW_JOBS	4	/* so many get a connection each */

static const struct conf	*conf;
static size_t			 nconns, conns_max;
static bool			 starved;	/* a destination waits */
static bool			 aborted;	/* nothing is begun any more */

void
pool_init(struct proc *p, const struct conf *c, struct ask *a)
{
	conf = c;
	conns_max = proc_sessions(p) != 0 ? proc_sessions(p) :
	    c->limits.deliveries;
	dests_init(p, c, a);
	remote_init(proc_base(p), c);
}

size_t
pool_count_conns(void)
{
	return nconns;
}

static bool
open_conn(struct dest *d, const struct cand *cand, bool probe)
{
	const char	*helo = d->action->helo != NULL ? d->action->helo :
			    conf->hostname;
	char		 ip[ADDR_STRLEN], why[512];
	struct conn	*c;

	if (probe && health_is_down(&cand->srv->health))
		srv_probe(cand->srv);
	else if (probe)
		logins_probe(cand->login);
	c = remote_connect(d, cand->srv, &cand->id, &d->action->source,
	    cand->demand, helo);
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
	if (cand->login != NULL)
		c->as = logins_ref(&cand->id);
	c->plaintext = cand->id.login_plaintext;
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
	logins_unref(c->as);
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
	dests_each(close_idle, &r);
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

/* Is there no server that could have mail with REQUIRETLS, now or later? The
 * reply of the first; NULL: there may be one. */
static const char *
refused_for_good(const struct dest *d)
{
	const char	*why = NULL;

	for (size_t i = 0; i < d->ncands; i++) {
		const struct cand	*c = &d->cands[i];

		if (!dest_refuses(c) || c->refused[0] != '5')
			return NULL;
		if (why == NULL)
			why = c->refused;
	}
	return why;
}

/* None is known to answer, and none is being tried. queued decides when it is
 * time for the next attempt, or is told before. */
static void
all_dead(struct dest *d)
{
	const char	*why;
	bool		 refused = false;

	if (d->nprobes > 0 || choose_probed(d))
		return;
	if ((why = refused_for_good(d)) != NULL) {
		dest_fail(d, D_PERM, why, D_DEST_OK);
		return;
	}
	why = "451 4.4.1 No server can be tried";
	for (size_t i = 0; i < d->ncands; i++) {
		const struct cand	*c = &d->cands[i];

		/* With another one that may do, it is not for good. */
		if (dest_refuses(c)) {
			if (c->refused[0] != '5')
				why = c->refused;
			refused = true;
		} else if (!refused && c->srv->why[0] != '\0')
			why = c->srv->why;
	}
	/* Servers whose TLS is not what is asked for are there: nothing will
	 * tell when they are better, but each message's next attempt. */
	if (refused) {
		dest_fail(d, D_TEMP, why, D_DEST_OK);
		return;
	}
	/* What the administrator can mend goes before a server that is away. */
	for (size_t i = 0; i < d->ncands; i++) {
		if (logins_refused(d->cands[i].login) != NULL)
			why = logins_refused(d->cands[i].login);
	}
	log_debug("event=down action=%s domain=%s why=%s",
	    log_quote(span_str(d->action->name)),
	    log_quote(span_str(d->domain)),
	    log_quote_reply(span_str(why)));
	d->told_down = true;
	dest_fail(d, D_TEMP, why, D_DEST_DOWN);
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
void
pool_run(struct dest *d)
{
	struct conn	*c;
	struct job	*j;
	size_t		 i;

	if (aborted)
		return;
	quit_outdated(d);
	while (d->nwaiting > 0 && (c = choose_idle(d)) != NULL) {
		if ((j = dest_take(d, c)) != NULL)
			begin(c, j);
		else
			remote_quit(c);	/* they are to have another server */
	}
	if (d->nwaiting == 0 && d->nconns == 0 && !dest_wants_probe(d))
		return;
	if (!dest_have_cands(d))
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
	struct dest	*d = dest_get(j->action, j->domain, j->asks, &why);

	if (d == NULL) {
		job_fail(j, D_TEMP, why, "");
		job_done(j);
		return;
	}
	TAILQ_INSERT_TAIL(&d->jobs, j, entry);
	d->nwaiting++;
	d->used = clock_mono();
	pool_run(d);
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
	if (c->mails == 0) {
		srv_works(c->srv);
		logins_work(c->as, c->srv);
	}
	if (remote_spent(c) || (!is_wanted(d, c) && choose_outdated(d, c))) {
		remote_quit(c);
		pool_run(d);
	} else if ((j = dest_take(d, c)) != NULL)
		begin(c, j);
	else if (d->nwaiting > 0) {
		remote_quit(c);
		pool_run(d);
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
		pool_run(v);
	return true;
}

static void
go_on(struct dest *d)
{
	if (starved) {
		starved = false;
		dests_each(run_one, NULL);
	} else
		pool_run(d);
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

static void
refuse(struct dest *d, const struct srv *s, const char *reply)
{
	for (size_t i = 0; i < d->ncands; i++) {
		struct cand	*c = &d->cands[i];

		if (c->srv != s)
			continue;
		free(c->refused);
		if ((c->refused = strdup(reply)) == NULL)
			fatal("candidate");
		c->refused_ms = clock_mono().ms + POOL_REFUSED_MS;
	}
}

void
pool_insecure(struct conn *c, const char *reply)
{
	struct dest	*d = c->dest;

	log_debug("event=connect server=%s result=refused reply=%s",
	    log_quote(span_str(c->server)), log_quote_reply(span_str(reply)));
	srv_works(c->srv);
	refuse(d, c->srv, reply);
	/* Where it was the server's probe, nobody has tried the login. */
	if (logins_probed(c->as))
		logins_failed(c->as, c->srv, true, reply);
	release(c);
	go_on(d);
}

void
pool_plain(struct conn *c)
{
	srv_works(c->srv);
	pool_lost(c);
}

void
pool_refused(struct conn *c, const char *reply)
{
	struct dest	*d = c->dest;

	srv_works(c->srv);
	logins_failed(c->as, c->srv, c->probe, reply);
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
	pool_run(c->dest);
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
	sts_cancel(d->sts);
	find_cancel(d->find);
	d->sts = NULL;
	d->find = NULL;
	dest_fail(d, D_TEMP, arg, D_DEST_OK);
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
	dests_each(abort_one, copy);
}
