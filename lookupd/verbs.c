/*
 * lookupd's control verbs. A query of posternctl is an owner of a question like
 * any daemon, known by its place in a list.
 */
#include <sys/queue.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lookupd/verbs.h"

#include "common/tls/dane.h"

/* A "dns query" that waits for its answer. */
struct query {
	LIST_ENTRY(query) link;
	struct ctl	*ctl;		/* NULL once it has been answered */
	char		 name[DNS_NAME_MAX + 1];
};

static struct resolver		*resolver;
static LIST_HEAD(, query)	 queries = LIST_HEAD_INITIALIZER(queries);

static const struct { const char *name; enum dns_type type; } types[] = {
	{ "A", DNS_A }, { "AAAA", DNS_AAAA }, { "MX", DNS_MX },
	{ "PTR", DNS_PTR }, { "TXT", DNS_TXT }, { "CNAME", DNS_CNAME },
	{ "TLSA", DNS_TLSA },
};

static const char *
type_name(uint8_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == type)
			return types[i].name;
	}
	return "?";
}

static void
one_row(struct ctl *c, const char *name, const struct answer_rr *r,
    uint32_t ttl)
{
	char	addr[ADDR_STRLEN], tlsa[DANE_TEXT_MAX];

	ctl_row(c, "record");
	ctl_str(c, "name", name);
	ctl_num(c, "ttl", ttl);
	ctl_str(c, "type", type_name(r->type));
	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
		ctl_str(c, "value", addr_str(&r->addr, addr));
		break;
	case DNS_MX:
		ctl_num(c, "preference", r->pref);
		ctl_field(c, "value", r->name.len > 0 ? r->name :
		    span_str("."));
		break;
	case DNS_TXT:
		ctl_field(c, "value", r->text);
		break;
	case DNS_TLSA:
		ctl_str(c, "value", dane_text(r->text, tlsa, sizeof(tlsa)));
		break;
	default:
		ctl_field(c, "value", r->name);
	}
	ctl_row_end(c);
}

bool
verbs_answer(void *owner, const struct answer *a, uint32_t ttl)
{
	static const struct { int status; const char *text; } ends[] = {
		[DNS_OK] = { EX_OK, NULL },
		[DNS_NODATA] = { EX_OK, "the name has no such records" },
		[DNS_NXDOMAIN] = { EX_NOHOST, "no such name" },
		[DNS_TEMPFAIL] = { EX_TEMPFAIL, "no answer" },
	};
	struct answer_rr	 r;
	struct query		*q;
	struct ctl		*c;
	size_t			 pos = 0;

	LIST_FOREACH(q, &queries, link) {
		if (q == owner)
			break;
	}
	if (q == NULL)
		return false;
	if ((c = q->ctl) == NULL)
		return true;
	q->ctl = NULL;
	while (answer_next(a, &pos, &r))
		one_row(c, q->name, &r, ttl);
	if (a->status == DNS_OK) {
		ctl_row(c, "answer");
		ctl_str(c, "validated", a->ad ? "yes" : "no");
		ctl_row_end(c);
	}
	ctl_end(c, ends[a->status].status, ends[a->status].text);
	return true;
}

/* The caller went away, or has its answer. */
static void
query_gone(void *arg)
{
	struct query	*q = arg;

	resolve_forget(resolver, q);
	LIST_REMOVE(q, link);
	free(q);
}

static void
run_query(struct ctl *c, int argc, char **argv)
{
	struct query	*q;
	struct addr	 a;
	char		 reverse[80];
	size_t		 i;

	if (argc < 1 || argc > 2) {
		ctl_end(c, EX_USAGE, "dns query NAME [TYPE]");
		return;
	}
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (span_caseis(span_str(argc == 2 ? argv[1] : "A"),
		    types[i].name))
			break;
	}
	if (i == sizeof(types) / sizeof(types[0])) {
		ctl_end(c, EX_USAGE,
		    "TYPE is A, AAAA, CNAME, MX, PTR, TLSA or TXT");
		return;
	}
	if ((q = calloc(1, sizeof(*q))) == NULL) {
		ctl_end(c, EX_OSERR, "out of memory");
		return;
	}
	/* An address is meant as its reverse name. */
	if (types[i].type == DNS_PTR && addr_parse(span_str(argv[0]), &a))
		argv[0] = addr_reverse_name(&a, reverse);
	if (!span_cstr(span_str(argv[0]), q->name, sizeof(q->name))) {
		free(q);
		ctl_end(c, EX_USAGE, "the name is too long");
		return;
	}
	q->ctl = c;
	LIST_INSERT_HEAD(&queries, q, link);
	ctl_more(c, NULL, query_gone, q);
	resolve_ask(resolver, types[i].type, span_str(q->name), q, 0);
}

static void
run_flush(struct ctl *c, int argc, char **argv)
{
	size_t	n;

	if (argc > 1) {
		ctl_end(c, EX_USAGE, "dns flush [NAME]");
		return;
	}
	n = cache_flush(resolve_cache(resolver), argc == 1 ?
	    span_str(argv[0]) : span(NULL, 0));
	ctl_row(c, "flushed");
	ctl_num(c, "answers", (int64_t)n);
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}

static void
run_stats(struct ctl *c, int argc, char **argv)
{
	struct cache		*cache = resolve_cache(resolver);
	struct resolve_stats	 s;

	(void)argc;
	(void)argv;
	resolve_stats(resolver, &s);
	ctl_row(c, "stats");
	ctl_num(c, "asked", (int64_t)s.asked);
	ctl_num(c, "hits", (int64_t)s.hits);
	ctl_num(c, "joined", (int64_t)s.joined);
	ctl_num(c, "sent", (int64_t)s.sent);
	ctl_num(c, "answered", (int64_t)s.answered);
	ctl_num(c, "failed", (int64_t)s.failed);
	ctl_num(c, "late", (int64_t)s.late);
	ctl_num(c, "refused", (int64_t)s.refused);
	ctl_num(c, "questions", (int64_t)s.questions);
	ctl_num(c, "waiters", (int64_t)s.waiters);
	ctl_num(c, "cached", (int64_t)cache_entries(cache));
	ctl_num(c, "cached_bytes", (int64_t)cache_bytes(cache));
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}

static const struct ctl_verb verbs[] = {
	{ "stats", CTL_READ, run_stats },
	{ "dns query", CTL_READ, run_query },
	{ "dns flush", CTL_CHANGE, run_flush },
	{ NULL }
};

const struct ctl_verb *
verbs_init(struct resolver *r)
{
	resolver = r;
	return verbs;
}
