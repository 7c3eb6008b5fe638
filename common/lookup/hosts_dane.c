/*
 * The third round: for each host that is known by validated answers alone, its
 * TLSA records (RFC 7672, 2.1.3 and 2.2). An alias is asked for at its end
 * first, then at its beginning. See hosts.h.
 */
#include "common/lookup/hosts_i.h"

/* Where the configuration looks at certificates in its own way, or at none, or
 * has a word of its own on the domain, nothing is asked; nor while a client waits
 * for a live session. */
static bool
is_wanted(const struct hosts *h, const struct source *s)
{
	if (s->addr.family != 0 || h->action->type == ACT_PROXY)
		return false;
	return s->tls.mode == TLS_DANE || (!s->by_policy && !h->lax &&
	    (s->tls.mode == TLS_OPPORTUNISTIC || s->tls.mode == TLS_REQUIRE));
}

bool
hosts_named(const struct source *s)
{
	return !s->mx || s->result == MX_IMPLICIT || s->ad;
}

/* All addresses that there are come from validated answers. */
static bool
addrs_are_good(const struct host *host)
{
	bool	any = false;

	for (int i = 0; i < 2; i++) {
		if (host->status[i] != DNS_OK)
			continue;
		any = true;
		if (!host->ad[i])
			return false;
	}
	return any;
}

void
hosts_dane_begin(struct hosts *h, struct host *host)
{
	const struct source	*s = &h->sources[host->source];

	host->step = STEP_DONE;
	if (!is_wanted(h, s) || !hosts_named(s) || host->naddrs == 0)
		return;
	if (addrs_are_good(host))
		host->step = host->canon[0] != '\0' ? STEP_CANON : STEP_NAME;
	else if (host->canon[0] != '\0')
		host->step = STEP_ALIAS;
}

/* The question of a host's step; false: the name can't be asked for. */
static bool
question(const struct hosts *h, struct host *host, enum dns_type *type,
    const char **name)
{
	*type = DNS_TLSA;
	*name = host->tlsa;
	if (host->step == STEP_ALIAS) {
		*type = DNS_CNAME;
		*name = host->id.name;
		return true;
	}
	return dane_name(h->sources[host->source].port,
	    host->step == STEP_CANON ? host->canon : host->id.name,
	    host->tlsa, sizeof(host->tlsa));
}

static void
next_step(struct host *host, enum dane_step step)
{
	host->step = step;
	host->asked = false;
}

bool
hosts_dane_question(struct hosts *h, unsigned *number, enum dns_type *type,
    const char **name)
{
	for (size_t i = 0; i < h->nhosts; i++) {
		struct host	*host = &h->hosts[i];

		if (host->step == STEP_ADDRS || host->step == STEP_DONE ||
		    host->asked)
			continue;
		if (!question(h, host, type, name)) {
			next_step(host, host->step == STEP_CANON ? STEP_NAME :
			    STEP_DONE);
			i--;		/* once more, with what is next */
			continue;
		}
		host->asked = true;
		*number = (unsigned)(Q_DANE + i);
		return true;
	}
	return false;
}

static void
answer_tlsa(struct host *host, const struct hosts_reply *r)
{
	host->verdict = dane_decide(r->status, r->ad, r->texts,
	    r->texts != NULL ? r->n : 0, &host->set);
	host->base = host->step == STEP_CANON ? host->canon : host->id.name;
	if (host->verdict == DANE_NONE && host->step == STEP_CANON)
		next_step(host, STEP_NAME);
	else
		next_step(host, STEP_DONE);
}

void
hosts_dane_answer(struct hosts *h, unsigned number,
    const struct hosts_reply *r)
{
	struct host	*host;

	if (number - Q_DANE >= h->nhosts)
		return;
	host = &h->hosts[number - Q_DANE];
	switch (host->step) {
	case STEP_ALIAS:
		/* No answer: nobody knows whether it is to be defended. */
		if (r->status == DNS_TEMPFAIL)
			host->verdict = DANE_DEFER;
		next_step(host, r->status == DNS_OK && r->ad ? STEP_NAME :
		    STEP_DONE);
		break;
	case STEP_CANON:
	case STEP_NAME:
		answer_tlsa(host, r);
		break;
	default:
		break;
	}
}

bool
hosts_dane_done(const struct hosts *h)
{
	for (size_t i = 0; i < h->nhosts; i++) {
		if (h->hosts[i].step != STEP_DONE)
			return false;
	}
	return true;
}

const char *
hosts_dane_refuses(const struct hosts *h, const struct host *host)
{
	if (host->verdict == DANE_DEFER)
		return "4.7.5 No answer from DNS for the TLSA records of the "
		    "domain's servers";
	if (h->sources[host->source].tls.mode == TLS_DANE &&
	    host->verdict != DANE_REQUIRED)
		return "4.7.5 The servers have no validated TLSA records that "
		    "are of use, but tls dane is asked for";
	return NULL;
}
