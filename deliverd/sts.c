/*
 * What is kept of domains' policies, and when one is fetched (sts_fetch.c). A
 * record that is gone, or a fetch that fails, takes nothing from a policy that
 * still holds (RFC 8461, 3.3 and 5.1): who could suppress one would else
 * suppress it. See sts.h.
 */
#include "deliverd/sts_i.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"

struct kept {
	char		 id[STS_ID_MAX + 1];
	int64_t		 expires_ms, again_ms;	/* clock_mono() */
	struct buf	 text;			/* empty: none */
};
struct sts_find {
	char		 domain[DNS_NAME_MAX + 1];
	char		 id[STS_ID_MAX + 1];
	uint32_t	 tid;			/* the question for the record */
	struct sts_fetch *fetch;
	void		(*done)(void *, const struct sts_policy *);
	void		*arg;
};

static struct ask	*ask;
static struct map	*policies;
static size_t		 nfetches;

void
sts_init(struct proc *p, const struct conf *conf, struct ask *a)
{
	ask = a;
	if ((policies = map_new(STS_DOMAINS_MAX)) == NULL)
		fatal("map_new");
	sts_fetch_init(p, conf, a);
}

/* The policy that holds now, or NULL. */
static const struct sts_policy *
holds(const char *domain)
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

static void
finish(struct sts_find *f)
{
	f->done(f->arg, holds(f->domain));
	free(f);
}

static bool
drop_one(struct span key, void *v, void *arg)
{
	struct kept	*k = v;
	int64_t		 now = clock_mono().ms;

	(void)arg;
	if (now >= k->expires_ms && now >= k->again_ms) {
		map_del(policies, key);
		buf_clear(&k->text);
		free(k);
	}
	return true;
}

static struct kept *
keep(const char *domain)
{
	struct kept	*k = map_get(policies, span_str(domain));

	if (k != NULL)
		return k;
	if (map_count(policies) == STS_DOMAINS_MAX)
		map_each(policies, drop_one, NULL);
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
take(struct sts_find *f, struct kept *k, struct span text)
{
	struct sts_policy	 p;
	const char		*why;

	if (sts_policy_parse(text, &p, &why) != PARSE_OK) {
		log_info("event=sts domain=%s result=failed why=%s",
		    log_quote(span_str(f->domain)), log_quote(span_str(why)));
		return;
	}
	buf_reset(&k->text);
	if (!sts_policy_write(&k->text, &p)) {
		buf_clear(&k->text);
		return;
	}
	strlcpy(k->id, f->id, sizeof(k->id));
	k->expires_ms = clock_mono().ms + (int64_t)p.max_age * 1000;
	log_info("event=sts domain=%s result=ok mode=%s policy=%s max_age=%u",
	    log_quote(span_str(f->domain)), sts_mode_name(p.mode), k->id,
	    p.max_age);
}

static void
fetched(void *arg, struct span text, const char *why)
{
	struct sts_find	*f = arg;
	struct kept	*k = keep(f->domain);

	f->fetch = NULL;
	nfetches--;
	if (why != NULL)
		log_info("event=sts domain=%s result=failed why=%s",
		    log_quote(span_str(f->domain)), log_quote(span_str(why)));
	if (k != NULL) {
		k->again_ms = clock_mono().ms + STS_AGAIN_MS;
		if (why == NULL)
			take(f, k, text);
	}
	finish(f);
}

/* Is another one to be fetched: it has changed, or half of its time is over? */
static bool
wants_fetch(const struct sts_find *f)
{
	const struct kept	*k = map_get(policies, span_str(f->domain));
	const struct sts_policy	*p = holds(f->domain);
	int64_t			 now = clock_mono().ms;

	if (k == NULL)
		return true;
	if (p != NULL && strcmp(k->id, f->id) == 0 &&
	    k->expires_ms - now > (int64_t)p->max_age * 500)
		return false;
	return now >= k->again_ms;
}

static void
answered(void *arg, const struct ask_answer *ans)
{
	struct sts_find	*f = arg;
	struct span	 txt[ASK_RRS_MAX];

	f->tid = 0;
	for (size_t i = 0; i < ans->n; i++)
		txt[i] = ans->rr[i].text;
	if (ans->status == DNS_OK && sts_record(txt, ans->n, f->id) &&
	    wants_fetch(f) && nfetches < STS_FETCHES_MAX &&
	    (f->fetch = sts_fetch(f->domain, fetched, f)) != NULL) {
		nfetches++;
		return;
	}
	finish(f);
}

struct sts_find *
sts_find(const char *domain, void (*done)(void *, const struct sts_policy *),
    void *arg)
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
	if (f->fetch != NULL)
		nfetches--;
	sts_fetch_cancel(f->fetch);
	free(f);
}
