/*
 * See judge.h.
 */
#include "keyd/judge.h"

#include <sys/queue.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "keyd/check.h"
#include "keyd/lately.h"
#include "keyd/scrams.h"

struct asker {
	LIST_ENTRY(asker) entry;
	struct proc	*p;
	struct chan	*chan;
	uint16_t	 worker;
	int64_t		 tokens;	/* thousandths of a check */
	struct mono	 since;		/* when they were counted */
	LIST_HEAD(, login) logins;
};
/* A password that is being checked. */
struct login {
	LIST_ENTRY(login) entry;
	struct asker	*asker;		/* NULL: it has gone */
	uint32_t	 tid;
	const char	*bar;		/* why it fails in any case; or NULL */
	struct lately_key key;
};

static LIST_HEAD(, asker) askers = LIST_HEAD_INITIALIZER(askers);
static const struct tables	*tables;
static struct judge_stats	 stats;
static struct buf		 decoy;	/* a hash of nobody's */

bool
judge_init(void)
{
	char	pass[33];

	snprintf(pass, sizeof(pass), "%016" PRIx64 "%016" PRIx64, rand_u64(),
	    rand_u64());
	buf_init(&decoy, HASH_MAX);
	return lately_init() && scrams_init() &&
	    hash_make(MAKE_YESCRYPT, span_str(pass), &decoy);
}

static void
answer(struct asker *a, uint32_t tid, enum k_verdict v, struct span said,
    const char *why)
{
	switch (v) {
	case K_YES:
		stats.good++;
		break;
	case K_NO:
		stats.bad++;
		break;
	case K_LATER:
		stats.later++;
		break;
	case K_MALFORMED:
		stats.malformed++;
		break;
	case K_MORE:
		break;
	}
	CHAN_SEND(a->chan, k_judged, .tid = tid, .verdict = (uint8_t)v,
	    .said = said, .why = span_str(why));
}

/* Has this worker of smtpd one more check? */
static bool
may_check(struct asker *a)
{
	struct mono	now = clock_mono();

	a->tokens += (now.ms - a->since.ms) * JUDGE_RATE;
	a->since = now;
	if (a->tokens > JUDGE_BURST * 1000)
		a->tokens = JUDGE_BURST * 1000;
	if (a->tokens < 1000)
		return false;
	a->tokens -= 1000;
	return true;
}

/* Why this user can't log in whatever he says; NULL: he can. */
static const char *
bar_of(const struct user *u)
{
	if (u == NULL)
		return "no such user";
	return u->barred || u->scheme == HASH_LOCKED ? "the user is locked" :
	    NULL;
}

/* A hash to be looked at for nothing. */
static struct span
decoy_of(const struct users *u)
{
	struct span	h = users_decoy(u);

	return h.len > 0 ? h : buf_content(&decoy);
}

/* ---- passwords ------------------------------------------------------------- */

static void
on_result(void *arg, enum hash_result r)
{
	struct login	*l = arg;
	bool		 good = r == HASH_YES && l->bar == NULL;

	if (good)
		lately_add(&l->key, clock_mono());
	if (l->asker != NULL) {
		LIST_REMOVE(l, entry);
		answer(l->asker, l->tid, good ? K_YES : r == HASH_FAILED ?
		    K_LATER : K_NO, span(NULL, 0), good ? "" :
		    r == HASH_FAILED ? "the hash could not be computed" :
		    l->bar != NULL ? l->bar : "wrong password");
	}
	freezero(l, sizeof(*l));
}

static void
password(struct asker *a, const struct ipc_k_login *m, const struct users *us)
{
	const struct user	*u = users_get(us, m->user);
	struct login		*l = calloc(1, sizeof(*l));
	struct span		 hash;

	if (l == NULL)
		fatal("login");
	l->asker = a;
	l->tid = m->tid;
	l->bar = bar_of(u);
	hash = l->bar == NULL ? u->hash : decoy_of(us);
	if (lately_key(m->table, m->user, hash, m->said, &l->key) &&
	    lately_has(&l->key, clock_mono()) && l->bar == NULL) {
		stats.lately++;
		answer(a, m->tid, K_YES, span(NULL, 0), "");
	} else if (m->said.len == 0 || m->said.len > HASH_PASSWORD_MAX) {
		answer(a, m->tid, K_NO, span(NULL, 0), "wrong password");
	} else if (!may_check(a) || !check_ask(hash, m->said, on_result, l)) {
		answer(a, m->tid, K_LATER, span(NULL, 0),
		    "too many logins at a time");
	} else {
		LIST_INSERT_HEAD(&a->logins, l, entry);
		return;
	}
	freezero(l, sizeof(*l));
}

/* ---- what is quick --------------------------------------------------------- */

static void
cram(struct asker *a, const struct ipc_k_login *m, const struct users *us)
{
	const struct user	*u = users_get(us, m->user);
	const char		*bar = bar_of(u);
	bool			 ok;

	ok = hash_cram(bar == NULL ? u->hash : decoy_of(us), m->challenge,
	    m->said) && bar == NULL;
	answer(a, m->tid, ok ? K_YES : K_NO, span(NULL, 0), ok ? "" :
	    bar != NULL ? bar : "wrong password");
}

static void
scram(struct asker *a, const struct ipc_k_login *m, const struct users *us)
{
	const struct user	*u = users_get(us, m->user);
	const char		*bar = bar_of(u), *why = "";
	struct buf		 said;
	enum k_verdict		 v;

	buf_init(&said, 1024);
	v = scrams_say(a, m, bar == NULL ? u->hash : span(NULL, 0),
	    decoy_of(us), &said, &why);
	answer(a, m->tid, v, buf_content(&said), v == K_NO && bar != NULL ?
	    bar : why);
	buf_clear(&said);
}

static void
on_login(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_login	*m = msg;
	struct asker			*a = chan_arg(c);
	const struct users		*us = tables_get(tables, m->table);

	(void)fd;
	if (us == NULL) {
		answer(a, m->tid, K_LATER, span(NULL, 0), "no such table");
		return;
	}
	switch (m->how) {
	case K_PASSWORD:
		password(a, m, us);
		break;
	case K_CRAM_MD5:
		cram(a, m, us);
		break;
	case K_SCRAM:
	case K_SCRAM_PLUS:
		scram(a, m, us);
		break;
	default:
		chan_reject(c, "a login by no mechanism");
	}
}

/* ---- peers ----------------------------------------------------------------- */

static const struct chan_row rows[] = {
	{ IPC_T_k_login, on_login, true },
	{ 0, NULL }
};

static void
tell(const struct asker *a)
{
	for (size_t i = 0; i < tables_count(tables); i++) {
		const char		*name;
		const struct users	*us = tables_at(tables, i, &name);
		unsigned		 can = 0;

		if (users_all(us, 1U << HASH_SCRAM))
			can |= K_CAN_SCRAM;
		if (users_all(us, 1U << HASH_PLAIN | 1U << HASH_CRAM))
			can |= K_CAN_CRAM_MD5;
		CHAN_SEND(a->chan, k_table, .table = span_str(name),
		    .can = (uint8_t)can);
	}
}

static void
asker_free(struct asker *a)
{
	struct login	*l;

	while ((l = LIST_FIRST(&a->logins)) != NULL) {
		LIST_REMOVE(l, entry);
		l->asker = NULL;
	}
	scrams_forget(a);
	LIST_REMOVE(a, entry);
	chan_free(a->chan);
	free(a);
}

static void
closed(struct chan *c, const char *why)
{
	struct asker	*a = chan_arg(c);

	if (why != NULL)
		proc_report(a->p, IPC_SMTPD, a->worker, why);
	asker_free(a);
}

void
judge_peer(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *title, int fd)
{
	struct asker	*a = calloc(1, sizeof(*a));

	(void)title;
	if (a == NULL)
		fatal("peer");
	*a = (struct asker){ .p = p, .worker = worker,
	    .tokens = JUDGE_BURST * 1000, .since = clock_mono() };
	LIST_INIT(&a->logins);
	if (role != IPC_SMTPD || (a->chan = chan_new(proc_base(p), fd,
	    IPC_PASSWD, role, rows, closed, a)) == NULL)
		fatalx("no peer of passwd");
	LIST_INSERT_HEAD(&askers, a, entry);
	tell(a);
}

void
judge_tables(const struct tables *t)
{
	const struct asker	*a;

	tables = t;
	LIST_FOREACH(a, &askers, entry)
		tell(a);
}

const struct judge_stats *
judge_stats(void)
{
	return &stats;
}

void
judge_stop(void)
{
	struct asker	*a;

	while ((a = LIST_FIRST(&askers)) != NULL)
		asker_free(a);
	check_stop();
	lately_wipe();
	scrams_stop();
	buf_clear(&decoy);
	tables = NULL;
}
