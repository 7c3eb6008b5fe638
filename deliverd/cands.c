/*
 * The servers of a destination: asked for when needed, with what is asked of TLS
 * with each by configuration, domain and message, and used for their TTL. See
 * pool_i.h.
 */
#include "deliverd/pool_i.h"
#include "deliverd/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/conf/policy.h"

static const struct conf	*conf;
static struct ask		*ask;

void
cands_init(const struct conf *c, struct ask *a)
{
	conf = c;
	ask = a;
}

void
cands_forget(struct dest *d)
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

bool
dest_refuses(const struct cand *c)
{
	return c->refused != NULL && clock_mono().ms < c->refused_ms;
}

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

	cands_forget(d);
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
	cands_forget(d);
	d->cands = v;
	d->ncands = n;
	/* A second at least, so that what was asked for can be used. */
	d->expires.ms = clock_mono().ms +
	    (l->ttl > 0 ? (int64_t)l->ttl * 1000 : 1000);
	if (!d->starting)
		pool_run(d);
}

/* Its servers are its own, and nothing of ours goes above what it says of
 * them? */
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
