/*
 * See report.h.
 */
#include "deliverd/report.h"

#include <sys/socket.h>
#include <stdlib.h>

#include "common/base/enc.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/policy.h"
#include "common/ipc/codec.h"
#include "deliverd/pool_i.h"

#define TLSA_SHOWN	8	/* records in a policy's strings */

/* A word that waits, with its own strings. */
struct word {
	struct ipc_d_tls m;
	struct buf	 bytes;
	STAILQ_ENTRY(word) entry;
};
struct entry {				/* a domain */
	char		 domain[DNS_NAME_MAX + 1];
	char		*rua;		/* NULL: it wants none */
	int64_t		 expires_ms;
	bool		 asking;
	unsigned	 nwords;
	STAILQ_HEAD(, word) words;
};

static const struct conf	*conf;
static struct ask		*ask;
static struct map		*entries;

void
report_init(const struct conf *c, struct ask *a)
{
	conf = c;
	ask = a;
	if ((entries = map_new(REPORT_DOMAINS_MAX)) == NULL)
		fatal("map_new");
}

/* ---- a domain's record ---- */

static void
tell(const struct entry *e, struct ipc_d_tls m)
{
	m.rua = span_str(e->rua);
	job_tell(IPC_T_d_tls, &m);
}

static void
answered(void *arg, const struct ask_answer *ans)
{
	struct entry	*e = arg;
	struct span	 txt[ASK_RRS_MAX], rua;
	struct word	*w;
	uint32_t	 ttl = ans->ttl;

	e->asking = false;
	for (size_t i = 0; i < ans->n; i++)
		txt[i] = ans->rr[i].text;
	if (ans->status == DNS_OK && rpt_record(txt, ans->n, &rua) &&
	    (e->rua = span_dup(rua)) == NULL)
		fatal("report");
	if (ttl < REPORT_TTL_MIN || ans->status == DNS_TEMPFAIL)
		ttl = REPORT_TTL_MIN;
	if (ttl > REPORT_TTL_MAX)
		ttl = REPORT_TTL_MAX;
	e->expires_ms = clock_mono().ms + (int64_t)ttl * 1000;
	while ((w = STAILQ_FIRST(&e->words)) != NULL) {
		STAILQ_REMOVE_HEAD(&e->words, entry);
		if (e->rua != NULL)
			tell(e, w->m);
		buf_clear(&w->bytes);
		free(w);
	}
	e->nwords = 0;
}

static bool
drop_old(struct span key, void *v, void *arg)
{
	struct entry	*e = v;

	(void)arg;
	if (e->asking || clock_mono().ms < e->expires_ms)
		return true;
	map_del(entries, key);
	free(e->rua);
	free(e);
	return true;
}

/* What is known of the domain, or is being asked. NULL: no room. */
static struct entry *
entry_of(const char *domain)
{
	struct entry	*e = map_get(entries, span_str(domain));
	char		 name[DNS_NAME_MAX + 1];

	if (e != NULL && (e->asking || clock_mono().ms < e->expires_ms))
		return e;
	if (!rpt_record_name(domain, name, sizeof(name)))
		return NULL;
	if (e == NULL) {
		if (map_count(entries) == REPORT_DOMAINS_MAX)
			map_each(entries, drop_old, NULL);
		if ((e = calloc(1, sizeof(*e))) == NULL)
			fatal("report");
		strlcpy(e->domain, domain, sizeof(e->domain));
		STAILQ_INIT(&e->words);
		if (!map_set(entries, span_str(domain), e)) {
			free(e);
			return NULL;
		}
	}
	free(e->rua);
	e->rua = NULL;
	e->asking = ask_send(ask, DNS_TXT, name, answered, e) != 0;
	return e;
}

static struct span
copy(struct buf *b, struct span s)
{
	size_t	at = buf_len(b);

	buf_span(b, s);
	return span_sub(buf_content(b), at, s.len);
}

static void
wait(struct entry *e, const struct ipc_d_tls *m)
{
	struct word	*w;

	if (e->nwords == REPORT_WAIT_MAX)
		return;
	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("report");
	w->m = *m;
	buf_init(&w->bytes, 16384);
	/* All the room at once, so that nothing moves. */
	if (buf_room(&w->bytes, m->domain.len + m->policy_domain.len +
	    m->strings.len + m->mx.len + m->reason.len) == NULL)
		fatal("report");
	w->m.domain = copy(&w->bytes, m->domain);
	w->m.policy_domain = copy(&w->bytes, m->policy_domain);
	w->m.strings = copy(&w->bytes, m->strings);
	w->m.mx = copy(&w->bytes, m->mx);
	w->m.reason = copy(&w->bytes, m->reason);
	STAILQ_INSERT_TAIL(&e->words, w, entry);
	e->nwords++;
}

static void
say(const struct ipc_d_tls *m, const char *domain)
{
	struct entry	*e = entry_of(domain);

	if (e == NULL)
		return;
	if (e->asking)
		wait(e, m);
	else if (e->rua != NULL)
		tell(e, *m);
}

/* ---- what is told ---- */

bool
report_wants(const struct dest *d)
{
	enum conf_tls_mode	mode = conf_tls_of(d->action, d->pool,
				    SCHEME_NONE).mode;

	/* Mail that asks for more than the domain, or for less, tells nothing
	 * of what that asks for. */
	return conf->report_from != NULL && d->asks == DEMAND_USUAL &&
	    d->pool == NULL &&
	    d->action->ndests == 0 && d->domain[0] != '[' &&
	    (mode == TLS_OPPORTUNISTIC || mode == TLS_REQUIRE ||
	    mode == TLS_DANE) &&
	    !policy_of(conf, span_str(d->domain), clock_wall().ms, &mode);
}

static bool
is_report(const struct job *j)
{
	return span_caseis(j->from, conf->report_from);
}

/* Is there mail for it that is no report? Those are not to be reported (RFC
 * 8460, 3): two hosts would tell each other of each other's reports for ever. A
 * connection that was made for one may have lost it to another by now. */
static bool
has_mail(const struct dest *d)
{
	const struct job	*j;
	const struct conn	*c;

	TAILQ_FOREACH(j, &d->jobs, entry) {
		if (!is_report(j))
			return true;
	}
	TAILQ_FOREACH(c, &d->conns, entry) {
		if (c->job != NULL && !is_report(c->job))
			return true;
	}
	return false;
}

enum rpt_result
report_fault(enum verify_fault f)
{
	static const enum rpt_result	results[] = {
		[VERIFY_GOOD] = RPT_OK, [VERIFY_NAME] = RPT_HOST_MISMATCH,
		[VERIFY_EXPIRED] = RPT_EXPIRED,
		[VERIFY_UNTRUSTED] = RPT_NOT_TRUSTED,
		[VERIFY_OTHER] = RPT_VALIDATION
	};

	return results[f];
}

/* Each on a line of its own. */
static void
tlsa_strings(struct buf *b, const struct dane_set *set)
{
	for (size_t i = 0; set != NULL && i < set->n && i < TLSA_SHOWN; i++) {
		const struct dane_rr	*r = &set->rr[i];

		buf_fmt(b, "%u %u %u ", r->usage, r->selector, r->matching);
		enc_hex(b, span_sub(r->data, 0, 256));
		buf_byte(b, '\n');
	}
}

/* Whole lines of it, as many as there is room for. */
static struct span
cut(struct span s)
{
	size_t	n;

	if (s.len <= RPT_STRINGS_MAX)
		return s;
	n = span_rfind(span_sub(s, 0, RPT_STRINGS_MAX), '\n');
	return span_sub(s, 0, n < RPT_STRINGS_MAX ? n + 1 : 0);
}

/* What the domain asked of the session, and whether a policy in testing would
 * not have had it. */
static void
describe(struct ipc_d_tls *m, const struct conn *c, struct buf *strings)
{
	const struct dest	*d = c->dest;
	const struct sts_policy	*p = d->by_sts ? sts_holds(d->domain) : NULL;

	m->kind = RPT_NO_POLICY;
	m->policy_domain = span_str(d->domain);
	if (c->demand->dane == DANE_REQUIRED ||
	    c->demand->dane == DANE_UNUSABLE) {
		m->kind = RPT_TLSA;
		m->policy_domain = span_str(c->demand->base[0] != '\0' ?
		    c->demand->base : c->host);
		tlsa_strings(strings, c->demand->set);
	} else if (p != NULL && p->mode != STS_MODE_NONE) {
		m->kind = RPT_STS;
		sts_policy_write(strings, p);
		if (m->result == RPT_OK && !sts_policy_has(p,
		    span_str(c->host))) {
			m->result = RPT_VALIDATION;
			m->reason = span_str("the policy does not name it");
		}
	}
	/* RFC 8460, 4.3.2.1: none of the records could be used. */
	if (m->result == RPT_OK && c->demand->dane == DANE_UNUSABLE)
		m->result = RPT_TLSA_INVALID;
	m->strings = cut(buf_content(strings));
}

/* Its record says that there is a policy, and there is none to be had. */
static void
no_policy(const struct dest *d)
{
	struct ipc_d_tls	m = { .kind = RPT_STS,
				    .domain = span_str(d->domain),
				    .policy_domain = span_str(d->domain) };
	enum rpt_result		result;
	const char		*why;

	if (!d->by_sts || (result = sts_fault(d->domain, &why)) == RPT_OK)
		return;
	m.result = (uint8_t)result;
	m.reason = span_str(why);
	say(&m, d->domain);
}

static struct addr
our_address(const struct conn *c)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);
	struct addr		 a = { .family = 0 };

	if (getsockname(stream_fd(c->s), (struct sockaddr *)&ss, &len) == 0)
		addr_from_sockaddr(&a, (struct sockaddr *)&ss);
	return a;
}

bool
report_tests(const struct conn *c)
{
	const struct dest	*d = c->dest;
	const struct sts_policy	*p = d->reported && d->by_sts ?
				    sts_holds(d->domain) : NULL;

	return p != NULL && p->mode == STS_MODE_TESTING &&
	    c->demand->dane == DANE_NONE;
}

void
report_session(const struct conn *c, enum rpt_result result, const char *why)
{
	const struct dest	*d = c->dest;
	struct ipc_d_tls	 m = { .domain = span_str(d->domain),
				    .result = (uint8_t)result,
				    .mx = span_str(c->host),
				    .theirs = c->srv->addr };
	struct buf		 strings;

	if (!d->reported || !has_mail(d))
		return;
	m.ours = our_address(c);
	m.reason = span_sub(span_str(why), 0, RPT_REASON_MAX);
	buf_init(&strings, 32 << 10);
	describe(&m, c, &strings);
	say(&m, d->domain);
	no_policy(d);
	buf_clear(&strings);
}

void
report_unnamed(const struct dest *d, const char *host)
{
	const struct sts_policy	*p = sts_holds(d->domain);
	struct ipc_d_tls	 m = { .kind = RPT_STS,
				    .domain = span_str(d->domain),
				    .policy_domain = span_str(d->domain),
				    .result = RPT_VALIDATION,
				    .mx = span_str(host), .reason = span_str(
				    "the policy does not name it") };
	struct buf		 strings;

	if (!d->reported || p == NULL || !has_mail(d))
		return;
	buf_init(&strings, 32 << 10);
	sts_policy_write(&strings, p);
	m.strings = cut(buf_content(&strings));
	say(&m, d->domain);
	buf_clear(&strings);
}

void
report_left_out(const struct dest *d, const struct hosts_list *l)
{
	struct ipc_d_tls	 m = { .kind = RPT_TLSA,
				    .domain = span_str(d->domain),
				    .policy_domain = span_str(l->left_out),
				    .result = l->dane_missing ?
				    RPT_DANE_REQUIRED : RPT_DNSSEC_INVALID,
				    .mx = span_str(l->left_out) };

	if (d->reported && l->left_out != NULL && has_mail(d))
		say(&m, d->domain);
}
