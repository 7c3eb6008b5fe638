/*
 * See ctl_recipient.h. A domain may have many rows: they are looked at a page at a
 * time.
 */
#include "queued/ctl_recipient.h"

#include <stdlib.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/conf/known.h"
#include "queued/queue.h"
#include "queued/verify.h"

#define PAGE	64		/* rows forgotten in one go */
#define ROWS_MAX 200		/* shown of one address */

static struct queue	**queue_at;
static struct verify	*verify;

void
verify_ctl_init(struct queue **q, struct verify *v)
{
	queue_at = q;
	verify = v;
}

static bool
usable(struct ctl *c)
{
	struct queue	*q = *queue_at;

	if (!q->down)
		return true;
	ctl_end(c, EX_UNAVAILABLE, q->closed_why);
	return false;
}

/* ---- show ---- */

struct shown {
	struct ctl	*c;
	struct span	 address;
	unsigned	 n;
};

/* The actions that ask there have one known-good, or the longest counts. */
static int64_t
good_ms_of(struct span where)
{
	const struct conf *conf = (*queue_at)->conf;
	char		 name[KNOWN_WHERE_MAX];
	int64_t		 ms = 0;

	for (size_t i = 0; i < conf->nactions; i++) {
		const struct conf_action *a = conf->actions[i];

		if (conf_asks_server(a) && span_is(where,
		    conf_known_where(a, name)) && a->known_good_ms > ms)
			ms = a->known_good_ms;
	}
	return ms;
}

static const char *
state_name(const struct verify_row *r, bool server, int64_t now)
{
	if (server)
		return r->until_ms <= now ? "expired" :
		    r->any == V_ANY_YES ? "accept-all" : "selective";
	if (r->until_ms <= now)
		return r->good_ms > 0 && r->state == V_GOOD ? "was known" :
		    "expired";
	return r->state == V_GOOD ? "known" : "unknown";
}

static bool
show_row(const struct verify_key *k, const struct verify_row *r, void *arg)
{
	struct shown	*s = arg;
	bool		 server = k->local.len == 0;
	int64_t		 now = clock_wall().ms, good = good_ms_of(k->where);

	ctl_row(s->c, server ? "server" : "known");
	ctl_field(s->c, "address", server ? k->domain : s->address);
	ctl_field(s->c, "where", k->where);
	ctl_field(s->c, "target", k->target);
	ctl_str(s->c, "state", state_name(r, server, now));
	ctl_num(s->c, "since_ms", r->since_ms);
	ctl_num(s->c, "until_ms", r->until_ms);
	if (r->good_ms > 0) {
		ctl_num(s->c, "good_since_ms", r->good_ms);
		ctl_num(s->c, "good_until_ms", r->good_ms + good);
	}
	ctl_str(s->c, "by", r->by_delivery ? "delivery" : "question");
	ctl_field(s->c, "server", r->server);
	ctl_field(s->c, "reply", r->reply);
	ctl_str(s->c, "asked", verify_asked(verify, k) ? "now" : "");
	ctl_row_end(s->c);
	return ++s->n < ROWS_MAX;
}

/* What is asked for and has no row yet. */
static void
show_asked(struct shown *s)
{
	const struct conf *conf = (*queue_at)->conf;
	char		 name[KNOWN_WHERE_MAX], target[CONF_TARGET_MAX];
	char		 domain[256];
	struct verify_row r;
	struct verify_key k;

	for (size_t i = 0; i < conf->nactions; i++) {
		const struct conf_action *a = conf->actions[i];

		if (!conf_asks_server(a) || !conf_target(conf, a, s->address,
		    span(NULL, 0), span(NULL, 0), target) ||
		    !known_key(s->address, span_str(conf_known_where(a, name)),
		    span_str(target), domain, &k) ||
		    !verify_asked(verify, &k) ||
		    store_verify_get(store_verify((*queue_at)->store), &k, &r))
			continue;
		ctl_row(s->c, "known");
		ctl_field(s->c, "address", s->address);
		ctl_str(s->c, "where", name);
		ctl_str(s->c, "target", target);
		ctl_str(s->c, "state", "asked");
		ctl_str(s->c, "asked", "now");
		ctl_row_end(s->c);
		s->n++;
	}
}

void
verify_run_show(struct ctl *c, int argc, char **argv)
{
	struct shown	 s = { .c = c };
	struct span	 none = { NULL, 0 };
	char		 domain[256];
	struct verify_key k;
	struct side *rows;

	if (argc != 1 || !known_key(span_str(argv[0]), none, none, domain,
	    &k)) {
		ctl_end(c, EX_USAGE, "an address");
		return;
	}
	if (!usable(c))
		return;
	s.address = span_str(argv[0]);
	rows = store_verify((*queue_at)->store);
	store_verify_each(rows, k.domain, &k.local, NULL, show_row, &s);
	show_asked(&s);
	store_verify_each(rows, k.domain, &none, NULL, show_row, &s);
	if (s.n == 0)
		ctl_end(c, EX_DATAERR, "nothing is known of it");
	else
		ctl_end(c, EX_OK, NULL);
}

/* ---- forget ---- */

struct page {
	struct { char *domain, *local, *where, *target; } v[PAGE];
	size_t		 n;
};

struct forget {
	char		 domain[256];
	char		*local;		/* NULL: the whole domain */
	int64_t		 n;
};

static bool
page_row(const struct verify_key *k, const struct verify_row *r, void *arg)
{
	struct page	*p = arg;

	(void)r;
	if ((p->v[p->n].domain = span_dup(k->domain)) == NULL ||
	    (p->v[p->n].local = span_dup(k->local)) == NULL ||
	    (p->v[p->n].where = span_dup(k->where)) == NULL ||
	    (p->v[p->n].target = span_dup(k->target)) == NULL)
		fatal("verify");
	return ++p->n < PAGE;
}

static void
page_forget(struct page *p)
{
	struct side *rows = store_verify((*queue_at)->store);
	struct verify_key k;

	for (size_t i = 0; i < p->n; i++) {
		k = (struct verify_key){ span_str(p->v[i].domain),
		    span_str(p->v[i].local), span_str(p->v[i].where),
		    span_str(p->v[i].target) };
		store_verify_del(rows, &k);
		free(p->v[i].domain);
		free(p->v[i].local);
		free(p->v[i].where);
		free(p->v[i].target);
	}
}

static void
forget_some(struct ctl *c, void *arg)
{
	struct forget	*f = arg;
	struct span	 local = span_str(f->local);
	struct page	 p = { .n = 0 };

	if (!usable(c))
		return;
	store_verify_each(store_verify((*queue_at)->store),
	    span_str(f->domain), f->local != NULL ? &local : NULL, NULL,
	    page_row, &p);
	page_forget(&p);
	f->n += (int64_t)p.n;
	if (p.n == PAGE)
		return;
	ctl_row(c, "forgotten");
	ctl_num(c, "entries", f->n);
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}

static void
forget_gone(void *arg)
{
	struct forget	*f = arg;

	free(f->local);
	free(f);
}

void
verify_run_forget(struct ctl *c, int argc, char **argv)
{
	struct forget	*f;
	struct span	 none = { NULL, 0 }, to;
	struct verify_key k;
	char		 address[1100];
	bool		 whole = argc == 1 && argv[0][0] == '@';

	if ((f = calloc(1, sizeof(*f))) == NULL)
		fatal("verify");
	/* "@domain" lacks the local part that an address has. */
	snprintf(address, sizeof(address), "%s%s", whole ? "x" : "",
	    argc == 1 ? argv[0] : "");
	to = span_str(address);
	if (argc != 1 || !known_key(to, none, none, f->domain, &k) ||
	    (!whole && (f->local = span_dup(k.local)) == NULL)) {
		forget_gone(f);
		ctl_end(c, EX_USAGE, "an address, or @domain");
		return;
	}
	if (!usable(c)) {
		forget_gone(f);
		return;
	}
	log_info("event=forget what=%s uid=%u", log_quote(span_str(argv[0])),
	    ctl_uid(c));
	ctl_more(c, forget_some, forget_gone, f);
}
