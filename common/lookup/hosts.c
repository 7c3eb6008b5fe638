/*
 * Two rounds: the MX records of each domain in the list, then the addresses of
 * each host; a third one is hosts_dane.c's. A literal address needs none. The
 * hosts stand in the order of the list; those of one MX in the order of mx.c.
 */
#include "common/lookup/hosts_i.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/conf/policy.h"

static bool
is_our_name(const char *name, void *arg)
{
	const struct hosts	*h = arg;

	return span_caseis(span_str(name), h->conf->hostname);
}

static bool
is_our_addr(const struct hosts *h, const struct addr *a)
{
	for (size_t i = 0; i < h->conf->nself; i++) {
		if (addr_eq(&h->conf->self[i], a))
			return true;
	}
	return false;
}

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" (RFC 5321, 4.1.3). */
static bool
literal(const char *domain, struct addr *a)
{
	struct span	s = span_str(domain);

	if (s.len < 3 || s.p[0] != '[' || s.p[s.len - 1] != ']')
		return false;
	s = span_sub(s, 1, s.len - 2);
	if (span_casestarts(s, span_str("IPv6:")))
		span_skip(&s, 5);
	return addr_parse(s, a);
}

/* What the configuration asks of TLS there; its word on the domain, or on the
 * server that it names, comes first. */
static void
source_tls(struct hosts *h, struct source *s, const struct conf_pool *pool,
    enum conf_scheme scheme)
{
	enum conf_tls_mode	 mode;

	s->tls = conf_tls_of(h->action, pool != NULL ? pool : h->action->pool,
	    scheme);
	s->by_policy = policy_of(h->conf, span_str(s->name), clock_wall().ms,
	    &mode);
	if (s->by_policy)
		s->tls.mode = mode;
}

static void
source_dest(struct source *s, const struct conf_dest *d,
    const struct conf_action *a)
{
	s->mx = d->kind == DEST_MX;
	s->port = d->port != 0 ? d->port : 25;
	s->addr = d->addr;
	s->scheme = (uint8_t)d->scheme;
	s->weight = (uint8_t)d->weight;
	s->standby = d->standby;
	s->login = d->auth != NULL ? d->auth : a->auth;
	s->login_plaintext = d->auth != NULL ? d->auth_plaintext :
	    a->auth_plaintext;
	strlcpy(s->name, d->host, sizeof(s->name));
	s->result = s->mx ? MX_TEMPFAIL : MX_IMPLICIT;
}

struct hosts *
hosts_new(const struct conf *conf, const struct conf_action *action,
    const struct conf_pool *pool, const char *domain,
    uint32_t (*rnd)(uint32_t bound))
{
	const struct conf_dest *dests = pool != NULL ? pool->dests :
			    action->dests;
	size_t		 ndests = pool != NULL ? pool->ndests :
			    action->ndests, n = ndests > 0 ? ndests : 1;
	struct hosts	*h;
	struct source	*s;

	if ((h = calloc(1, sizeof(*h))) == NULL ||
	    (h->sources = calloc(n, sizeof(*s))) == NULL) {
		free(h);
		return NULL;
	}
	h->conf = conf;
	h->action = action;
	h->rnd = rnd;
	h->ttl = HOSTS_TTL_MAX;
	h->listed = ndests > 0;
	for (size_t i = 0; i < ndests; i++) {
		if (dests[i].kind == DEST_UNIX)
			continue;
		s = &h->sources[h->nsources++];
		source_dest(s, &dests[i], action);
		source_tls(h, s, pool, dests[i].scheme);
	}
	if (ndests == 0) {
		s = &h->sources[h->nsources++];
		s->port = 25;
		s->mx = !literal(domain, &s->addr);
		s->result = s->mx ? MX_TEMPFAIL : MX_IMPLICIT;
		strlcpy(s->name, domain, sizeof(s->name));
		source_tls(h, s, pool, SCHEME_NONE);
	}
	return h;
}

void
hosts_lax(struct hosts *h)
{
	h->lax = true;
}

void
hosts_free(struct hosts *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->nsources; i++)
		free(h->sources[i].hosts);
	for (size_t i = 0; i < h->nhosts; i++)
		free(h->hosts[i].set);
	free(h->sources);
	free(h->hosts);
	free(h);
}

static void
host_add(struct hosts *h, size_t source, const char *name, uint16_t pref)
{
	const struct source	*s = &h->sources[source];
	struct host		*host;

	if (h->nhosts >= h->hosts_max)
		return;
	host = &h->hosts[h->nhosts++];
	host->source = source;
	host->pref = pref;
	host->id.group = (uint16_t)source;
	host->id.scheme = s->scheme;
	host->id.weight = s->weight;
	host->id.standby = s->standby;
	host->id.host = (uint8_t)(h->nhosts - 1);
	host->id.login = s->login;
	host->id.login_plaintext = s->login_plaintext;
	if (s->addr.family != 0) {
		host->addrs[host->naddrs++] = s->addr;
		addr_str(&s->addr, host->id.name);
		hosts_dane_begin(h, host);
	} else
		strlcpy(host->id.name, name, sizeof(host->id.name));
}

/* All MX answers are here: which hosts need addresses. */
static void
build(struct hosts *h)
{
	h->built = true;
	for (size_t i = 0; i < h->nsources; i++)
		h->hosts_max += h->sources[i].result == MX_IMPLICIT ? 1 :
		    h->sources[i].nhosts;
	if (h->hosts_max > HOSTS_MAX)
		h->hosts_max = HOSTS_MAX;
	h->hosts = calloc(h->hosts_max + 1, sizeof(*h->hosts));
	if (h->hosts == NULL)
		h->hosts_max = 0;
	for (size_t i = 0; i < h->nsources; i++) {
		const struct source	*s = &h->sources[i];

		if (s->result == MX_IMPLICIT)
			host_add(h, i, s->name, 0);
		else if (s->result == MX_LIST) {
			for (size_t k = 0; k < s->nhosts; k++)
				host_add(h, i, s->hosts[k].name,
				    s->hosts[k].pref);
		}
	}
}

bool
hosts_question(struct hosts *h, unsigned *number, enum dns_type *type,
    const char **name)
{
	while (h->asked_mx < h->nsources) {
		size_t	i = h->asked_mx++;

		if (!h->sources[i].mx)
			continue;
		*number = (unsigned)i;
		*type = DNS_MX;
		*name = h->sources[i].name;
		h->waiting++;
		return true;
	}
	if (!h->built) {
		if (h->waiting > 0)
			return false;
		build(h);
	}
	while (h->asked < h->nhosts * 2) {
		size_t	i = h->asked++;

		if (h->sources[h->hosts[i / 2].source].addr.family != 0)
			continue;
		*number = (unsigned)(Q_ADDRS + i);
		*type = i % 2 == 0 ? DNS_A : DNS_AAAA;
		*name = h->hosts[i / 2].id.name;
		h->waiting++;
		return true;
	}
	if (!hosts_dane_question(h, number, type, name))
		return false;
	h->waiting++;
	return true;
}

static void
answer_mx(struct hosts *h, struct source *s, const struct hosts_reply *r)
{
	size_t	n = r->mx == NULL ? 0 : r->n > MX_HOSTS_MAX ? MX_HOSTS_MAX :
		    r->n;

	if (n > 0) {
		if ((s->hosts = calloc(n, sizeof(*r->mx))) == NULL)
			return;
		memcpy(s->hosts, r->mx, n * sizeof(*r->mx));
	}
	s->ad = r->ad;
	s->nhosts = n;
	s->result = mx_order(r->status, s->hosts, &s->nhosts, h->rnd,
	    is_our_name, h);
}

/* family: 0 for A, 1 for AAAA. */
static void
answer_addrs(struct hosts *h, struct host *host, size_t family,
    const struct hosts_reply *r)
{
	host->status[family] = r->status;
	host->ad[family] = r->ad;
	host->answered[family] = true;
	if (r->canon != NULL && r->canon[0] != '\0')
		strlcpy(host->canon, r->canon, sizeof(host->canon));
	for (size_t k = 0; r->addrs != NULL && k < r->n; k++) {
		/* Half of the room for each family. */
		if (k < HOSTS_ADDRS_MAX / 2 && host->naddrs < HOSTS_ADDRS_MAX)
			host->addrs[host->naddrs++] = r->addrs[k];
	}
	if (host->answered[0] && host->answered[1])
		hosts_dane_begin(h, host);
}

void
hosts_answer(struct hosts *h, unsigned number, const struct hosts_reply *r)
{
	size_t	i = number - Q_ADDRS;

	if (h->waiting > 0)
		h->waiting--;
	if (r->ttl < h->ttl)
		h->ttl = r->ttl;
	if (number < h->nsources)
		answer_mx(h, &h->sources[number], r);
	else if (number >= Q_DANE)
		hosts_dane_answer(h, number, r);
	else if (number >= Q_ADDRS && i < h->nhosts * 2)
		answer_addrs(h, &h->hosts[i / 2], i % 2, r);
}

bool
hosts_done(const struct hosts *h)
{
	return h->built && h->waiting == 0 && h->asked >= h->nhosts * 2 &&
	    hosts_dane_done(h);
}

/*
 * RFC 5321, 5.1: if one of the MX hosts turns out to be us by its address, it
 * and all that are not preferred to it are left out, or mail would loop. Named
 * servers are the administrator's word and stay.
 */
static void
cut_loops(struct hosts *h)
{
	for (size_t i = 0; i < h->nhosts; i++) {
		struct host	*host = &h->hosts[i];

		if (!h->sources[host->source].mx)
			continue;
		for (size_t k = 0; k < host->naddrs; k++) {
			if (is_our_addr(h, &host->addrs[k]))
				host->cut = true;
		}
		for (size_t k = 0; host->cut && k < h->nhosts; k++) {
			if (h->hosts[k].source == host->source &&
			    h->hosts[k].pref >= host->pref)
				h->hosts[k].cut = true;
		}
	}
}

/* Why there is no address: the temporary reasons first, for they may pass. */
static void
explain(const struct hosts *h, struct hosts_list *l)
{
	bool	temp = h->nhosts == 0 && h->nsources == 0, loop = false,
		null = false, none = false;

	for (size_t i = 0; i < h->nsources; i++) {
		temp |= h->sources[i].result == MX_TEMPFAIL;
		loop |= h->sources[i].result == MX_LOOP;
		null |= h->sources[i].result == MX_NULL;
		none |= h->sources[i].result == MX_NONE;
	}
	for (size_t i = 0; i < h->nhosts; i++) {
		const struct host	*host = &h->hosts[i];

		loop |= host->cut;
		temp |= host->status[0] == DNS_TEMPFAIL ||
		    host->status[1] == DNS_TEMPFAIL;
		none |= h->sources[host->source].result == MX_IMPLICIT &&
		    host->status[0] == DNS_NXDOMAIN;
	}
	if (temp || h->hosts == NULL) {
		l->code = 451;
		l->text = "4.4.3 No answer from DNS for the domain's servers";
	} else if (h->listed && !loop) {
		/* A mistake in the configuration must not bounce mail. */
		l->code = 451;
		l->text = "4.3.5 The configured servers have no address";
	} else if (loop) {
		l->code = 554;
		l->text = "5.4.6 Mail for the domain loops back to this server";
	} else if (null) {
		l->code = 556;		/* RFC 7505, 4.1 */
		l->text = "5.1.10 The domain accepts no mail (null MX)";
	} else if (none) {
		l->code = 550;
		l->text = "5.1.2 No such domain";
	} else {
		l->code = 550;
		l->text = "5.4.4 The domain's mail servers have no address";
	}
}

static void
add(struct hosts_list *l, const struct host *host, const struct addr *a,
    uint16_t port)
{
	struct hosts_cand	*c;

	if (l->n == HOSTS_CANDS_MAX)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (addr_eq(&l->cand[i].addr, a) &&
		    l->cand[i].addr.port == port)
			return;
	}
	c = &l->cand[l->n++];
	*c = host->id;
	c->addr = *a;
	c->addr.port = port;
}

static void
fill_tls(const struct hosts *h, const struct host *host, struct hosts_tls *t)
{
	const struct source	*s = &h->sources[host->source];

	*t = (struct hosts_tls){ .tls = s->tls, .by_policy = s->by_policy,
	    .dane = host->verdict, .named = hosts_named(s) };
	if (host->verdict != DANE_REQUIRED)
		return;
	t->set = host->set;
	strlcpy(t->base, host->base, sizeof(t->base));
	/* RFC 7672, 3.2.2: the domain's own name is good where its MX is. */
	if (s->mx)
		strlcpy(t->domain, s->name, sizeof(t->domain));
}

void
hosts_result(struct hosts *h, struct hosts_list *l)
{
	uint8_t		 family = h->action->source.family;
	const char	*refused = NULL, *why;
	bool		 other = false;

	l->n = 0;
	l->ttl = h->ttl;
	l->code = 0;
	l->text = "";
	l->left_out = NULL;
	l->dane_missing = false;
	cut_loops(h);
	for (size_t i = 0; i < h->nhosts; i++) {
		struct host	*host = &h->hosts[i];

		mx_interleave(host->addrs, host->naddrs);
		if ((why = hosts_dane_refuses(h, host)) != NULL) {
			if (host->cut || host->naddrs == 0)
				continue;
			refused = why;
			l->left_out = host->id.name;
			l->dane_missing = host->verdict != DANE_DEFER;
			continue;
		}
		fill_tls(h, host, &l->tls[i]);
		for (size_t k = 0; !host->cut && k < host->naddrs; k++) {
			if (family != 0 && host->addrs[k].family != family)
				other = true;
			else
				add(l, host, &host->addrs[k],
				    h->sources[host->source].port);
		}
	}
	if (l->n > 0)
		return;
	if (refused != NULL) {
		l->code = 451;
		l->text = refused;
	} else if (other) {
		l->code = 451;
		l->text = "4.4.4 No server has an address of the family that "
		    "mail is sent from";
	} else
		explain(h, l);
}
