/*
 * What is kept of domains' policies, and when one is fetched (sts_fetch.c). A
 * record that is gone, or a fetch that fails, takes nothing from a policy that
 * still holds (RFC 8461, 3.3 and 5.1): who could suppress one would else
 * suppress it. See sts.h.
 */
#include "deliverd/sts_i.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "deliverd/job.h"

struct kept {
	char		 id[STS_ID_MAX + 1];
	int64_t		 expires_ms, again_ms;	/* clock_mono() */
	int64_t		 unheard_ms;	/* DNS did not answer: until then */
	struct buf	 text;			/* empty: none */
	enum rpt_result	 fault;			/* of the last fetch */
	char		 why[160];
};
/* One for all that ask for the domain meanwhile. */
struct fetching {
	char		 domain[DNS_NAME_MAX + 1];
	char		 id[STS_ID_MAX + 1];
	TAILQ_HEAD(, sts_find) waiting;
};
struct sts_find {
	char		 domain[DNS_NAME_MAX + 1];
	char		 id[STS_ID_MAX + 1];	/* of its record; "": none */
	bool		 recalling;		/* queued is asked */
	uint32_t	 tid;			/* the question for the record */
	struct fetching	*fetching;		/* it waits for that */
	TAILQ_ENTRY(sts_find) entry;
	void		(*done)(void *);
	void		*arg;
};

static struct ask	*ask;
static struct map	*policies;
static struct map	*fetches;		/* that are going on */
static TAILQ_HEAD(, sts_find) recalls = TAILQ_HEAD_INITIALIZER(recalls);

void
sts_init(struct ask *a)
{
	ask = a;
	if ((policies = map_new(STS_DOMAINS_MAX)) == NULL ||
	    (fetches = map_new(STS_FETCHES_MAX)) == NULL)
		fatal("map_new");
}

/* What is kept of a domain without a policy is when its fetch failed. */
bool
sts_unsure(const char *domain)
{
	const struct kept	*k = map_get(policies, span_str(domain));
	int64_t			 now = clock_mono().ms;

	return k != NULL && sts_holds(domain) == NULL &&
	    (now < k->again_ms || now < k->unheard_ms);
}

const struct sts_policy *
sts_holds(const char *domain)
{
	static struct sts_policy	 policy;
	struct kept			*k;
	const char			*why;

	k = map_get(policies, span_str(domain));
	if (k == NULL || buf_len(&k->text) == 0 ||
	    clock_mono().ms >= k->expires_ms ||
	    sts_policy_parse(buf_content(&k->text), &policy, &why) != PARSE_OK)
		return NULL;
	return &policy;
}

enum rpt_result
sts_fault(const char *domain, const char **why)
{
	const struct kept	*k = map_get(policies, span_str(domain));

	if (k == NULL || sts_holds(domain) != NULL)
		return RPT_OK;
	*why = k->why;
	return k->fault;
}

static void
finish(struct sts_find *f)
{
	f->done(f->arg);
	free(f);
}

static void
drop(struct span key)
{
	struct kept	*k = map_del(policies, key);

	buf_clear(&k->text);
	free(k);
}

static bool
drop_old(struct span key, void *v, void *arg)
{
	const struct kept	*k = v;
	int64_t			 now = clock_mono().ms;

	(void)arg;
	if (now >= k->expires_ms && now >= k->again_ms)
		drop(key);
	return true;
}

struct first {			/* the one that expires before the others */
	struct span	 key;
	const struct kept *k;
};

static bool
is_first(struct span key, void *v, void *arg)
{
	struct first		*best = arg;
	const struct kept	*k = v;

	if (best->k == NULL || k->expires_ms < best->k->expires_ms)
		*best = (struct first){ key, k };
	return true;
}

/* Room for one more. A policy makes some for a policy, not for a failure. */
static void
make_room(bool is_policy)
{
	struct first	first = { .k = NULL };

	if (map_count(policies) < STS_DOMAINS_MAX)
		return;
	map_each(policies, drop_old, NULL);
	if (map_count(policies) < STS_DOMAINS_MAX)
		return;
	map_each(policies, is_first, &first);
	if (is_policy || clock_mono().ms >= first.k->expires_ms)
		drop(first.key);
}

static struct kept *
keep(const char *domain, bool is_policy)
{
	struct kept	*k = map_get(policies, span_str(domain));

	if (k != NULL)
		return k;
	make_room(is_policy);
	if ((k = calloc(1, sizeof(*k))) == NULL)
		fatal("policy");
	buf_init(&k->text, STS_BYTES_MAX + 1024);
	if (!map_set(policies, span_str(domain), k)) {
		free(k);
		return NULL;
	}
	return k;
}

static void
unheard(const char *domain)
{
	struct kept	*k = keep(domain, false);

	if (k != NULL)
		k->unheard_ms = clock_mono().ms + STS_AGAIN_MS;
}

static void
take(const struct fetching *g, struct kept *k, const struct sts_policy *p)
{
	buf_reset(&k->text);
	if (!sts_policy_write(&k->text, p)) {
		buf_clear(&k->text);
		return;
	}
	strlcpy(k->id, g->id, sizeof(k->id));
	k->expires_ms = clock_mono().ms + (int64_t)p->max_age * 1000;
	job_tell(IPC_T_d_policy, &(struct ipc_d_policy){
	    .domain = span_str(g->domain), .id = span_str(k->id),
	    .expires_ms = (uint64_t)(clock_wall().ms +
	    (int64_t)p->max_age * 1000), .text = buf_content(&k->text) });
	log_info("event=sts domain=%s result=ok mode=%s policy=%s max_age=%u",
	    log_quote(span_str(g->domain)), sts_mode_name(p->mode), k->id,
	    p->max_age);
}

static void
fetched(void *arg, const struct sts_fetched *what)
{
	struct fetching		*g = arg;
	struct sts_find		*f;
	struct sts_policy	 p;
	struct kept		*k;
	const char		*why = what->why, *bad;
	enum rpt_result		 fault = why != NULL ? what->fault : RPT_OK;

	map_del(fetches, span_str(g->domain));
	if (why == NULL && sts_policy_parse(what->text, &p, &bad) != PARSE_OK) {
		why = bad;
		fault = RPT_STS_INVALID;
	}
	if (why != NULL)
		log_info("event=sts domain=%s result=failed why=%s",
		    log_quote(span_str(g->domain)), log_quote(span_str(why)));
	if ((k = keep(g->domain, why == NULL)) != NULL) {
		k->again_ms = clock_mono().ms + STS_AGAIN_MS;
		k->fault = fault;
		strlcpy(k->why, why != NULL ? why : "", sizeof(k->why));
		if (why == NULL)
			take(g, k, &p);
	}
	while ((f = TAILQ_FIRST(&g->waiting)) != NULL) {
		TAILQ_REMOVE(&g->waiting, f, entry);
		finish(f);
	}
	free(g);
}

/* Is what holds the policy of this record? */
static bool
is_same(const char *domain, const char *id)
{
	const struct kept	*k = map_get(policies, span_str(domain));

	return sts_holds(domain) != NULL && strcmp(k->id, id) == 0;
}

/* Is another one to be fetched: it has changed, or half of its time is over? */
static bool
wants_fetch(const char *domain, const char *id)
{
	const struct kept	*k = map_get(policies, span_str(domain));
	int64_t			 now = clock_mono().ms;

	if (k == NULL)
		return true;
	if (is_same(domain, id) && k->expires_ms - now >
	    (int64_t)sts_holds(domain)->max_age * 500)
		return false;
	return now >= k->again_ms;
}

/* NULL: it can't be begun. */
static struct fetching *
fetch(const char *domain, const char *id)
{
	struct fetching	*g;

	if (map_count(fetches) == STS_FETCHES_MAX)
		return NULL;
	if ((g = calloc(1, sizeof(*g))) == NULL)
		fatal("sts");
	strlcpy(g->domain, domain, sizeof(g->domain));
	strlcpy(g->id, id, sizeof(g->id));
	TAILQ_INIT(&g->waiting);
	if (!map_set(fetches, span_str(domain), g)) {
		free(g);
		return NULL;
	}
	if (!sts_fetch(domain, fetched, g)) {
		map_del(fetches, span_str(domain));
		free(g);
		return NULL;
	}
	return g;
}

/* All is known that can be. */
static void
decide(struct sts_find *f)
{
	struct fetching	*g = map_get(fetches, span_str(f->domain));
	struct kept	*k = map_get(policies, span_str(f->domain));

	if (f->id[0] == '\0') {
		if (k != NULL)
			k->fault = RPT_OK;
		finish(f);
		return;
	}
	if (g == NULL && wants_fetch(f->domain, f->id))
		g = fetch(f->domain, f->id);
	/* Nobody waits for what only makes sure of the policy that holds. */
	if (g == NULL || is_same(f->domain, f->id)) {
		finish(f);
		return;
	}
	f->fetching = g;
	TAILQ_INSERT_TAIL(&g->waiting, f, entry);
}

/* ---- what queued remembers ---- */

/* domain NULL: all. */
static struct sts_find *
first_recall(const char *domain)
{
	struct sts_find	*f;

	TAILQ_FOREACH(f, &recalls, entry) {
		if (domain == NULL || strcmp(f->domain, domain) == 0)
			return f;
	}
	return NULL;
}

static bool
recall(struct sts_find *f)
{
	if (sts_holds(f->domain) != NULL && (f->id[0] == '\0' ||
	    !wants_fetch(f->domain, f->id)))
		return false;
	if (first_recall(f->domain) == NULL && !job_tell(IPC_T_d_policy_ask,
	    &(struct ipc_d_policy_ask){ .domain = span_str(f->domain) }))
		return false;
	f->recalling = true;
	TAILQ_INSERT_TAIL(&recalls, f, entry);
	return true;
}

/* Who is called back may cancel others. */
static void
recalled(const char *domain)
{
	struct sts_find	*f;

	while ((f = first_recall(domain)) != NULL) {
		TAILQ_REMOVE(&recalls, f, entry);
		f->recalling = false;
		decide(f);
	}
}

void
sts_unheard(void)
{
	recalled(NULL);
}

/* No policy holds longer than it says, whatever the clock was set to. */
static void
take_kept(const char *domain, const struct ipc_d_policy_is *m)
{
	struct sts_policy	 p;
	struct kept		*k;
	const char		*why;
	int64_t			 left, max;
	char			 id[STS_ID_MAX + 1];

	if (sts_policy_parse(m->text, &p, &why) != PARSE_OK ||
	    !span_cstr(m->id, id, sizeof(id)) || m->expires_ms > INT64_MAX)
		return;
	max = (int64_t)p.max_age * 1000;
	left = (int64_t)m->expires_ms - clock_wall().ms;
	left = left > max ? max : left;
	k = map_get(policies, span_str(domain));
	if (left <= 0 || (k != NULL && buf_len(&k->text) > 0 &&
	    k->expires_ms >= clock_mono().ms + left) ||
	    (k = keep(domain, true)) == NULL)
		return;
	buf_reset(&k->text);
	if (!sts_policy_write(&k->text, &p)) {
		buf_clear(&k->text);
		return;
	}
	strlcpy(k->id, id, sizeof(k->id));
	k->expires_ms = clock_mono().ms + left;
	log_debug("event=sts domain=%s result=kept mode=%s policy=%s",
	    log_quote(span_str(domain)), sts_mode_name(p.mode),
	    log_quote(span_str(id)));
}

void
sts_heard(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_policy_is	*m = msg;
	char				 domain[DNS_NAME_MAX + 1];

	(void)c;
	(void)fd;
	if (!span_cstr(m->domain, domain, sizeof(domain)))
		return;
	if (m->text.len > 0)
		take_kept(domain, m);
	recalled(domain);
}

/* ---- questions ---- */

static void
answered(void *arg, const struct ask_answer *ans)
{
	struct sts_find	*f = arg;
	struct span	 txt[ASK_RRS_MAX];

	f->tid = 0;
	if (ans->status == DNS_TEMPFAIL)
		unheard(f->domain);
	for (size_t i = 0; i < ans->n; i++)
		txt[i] = ans->rr[i].text;
	if (ans->status != DNS_OK || !sts_record(txt, ans->n, f->id))
		f->id[0] = '\0';
	if (!recall(f))
		decide(f);
}

struct sts_find *
sts_find(const char *domain, void (*done)(void *), void *arg)
{
	char		 name[DNS_NAME_MAX + 1];
	struct sts_find	*f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		fatal("sts");
	f->done = done;
	f->arg = arg;
	strlcpy(f->domain, domain, sizeof(f->domain));
	if (sts_record_name(domain, name, sizeof(name)) &&
	    (f->tid = ask_send(ask, DNS_TXT, name, answered, f)) != 0)
		return f;
	finish(f);
	return NULL;
}

void
sts_cancel(struct sts_find *f)
{
	if (f == NULL)
		return;
	ask_cancel(ask, f->tid);
	/* The fetch goes on: its policy is for the next mail. */
	if (f->recalling)
		TAILQ_REMOVE(&recalls, f, entry);
	if (f->fetching != NULL)
		TAILQ_REMOVE(&f->fetching->waiting, f, entry);
	free(f);
}
