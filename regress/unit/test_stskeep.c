/*
 * MTA-STS: which policies are kept, when one is fetched, and who waits for that.
 * The record and the document are what a case says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "deliverd/job.h"
#include "deliverd/sts_i.h"

#define DAY	86400000LL

/* ---- lookupd and the policy's host ---------------------------------------- */

static struct asked {
	void	(*done)(void *, const struct ask_answer *);
	void	*arg;
} asked[8];
static size_t	nasked;

uint32_t
ask_send(struct ask *a, enum dns_type type, const char *name,
    void (*done)(void *, const struct ask_answer *), void *arg)
{
	(void)a;
	assert_int_equal(type, DNS_TXT);
	assert_int_equal(strncmp(name, "_mta-sts.", 9), 0);
	assert_true(nasked < 8);
	asked[nasked++] = (struct asked){ done, arg };
	return (uint32_t)nasked;
}

void
ask_cancel(struct ask *a, uint32_t tid)
{
	(void)a;
	if (tid != 0)
		asked[tid - 1].done = NULL;
}

static struct fetch {
	char	 domain[DNS_NAME_MAX + 1];
	void	(*done)(void *, const struct sts_fetched *);
	void	*arg;
} fetches[STS_FETCHES_MAX];
static size_t	nfetches;	/* that go on */

bool
sts_fetch(const char *domain,
    void (*done)(void *, const struct sts_fetched *), void *arg)
{
	struct fetch	*f = &fetches[nfetches++];

	assert_true(nfetches <= STS_FETCHES_MAX);
	strlcpy(f->domain, domain, sizeof(f->domain));
	f->done = done;
	f->arg = arg;
	return true;
}

/* ---- queued ---- */

static bool	 queued;		/* is there */
static unsigned	 nrecalls;
static char	 recalled[DNS_NAME_MAX + 1];	/* asked for last */
static char	 told[DNS_NAME_MAX + 1], told_text[200];
static uint64_t	 told_ms;

bool
job_tell(uint16_t type, const void *msg)
{
	const struct ipc_d_policy_ask	*q = msg;
	const struct ipc_d_policy	*m = msg;

	if (!queued)
		return false;
	if (type == IPC_T_d_policy_ask) {
		nrecalls++;
		assert_true(span_cstr(q->domain, recalled, sizeof(recalled)));
		return true;
	}
	assert_int_equal(type, IPC_T_d_policy);
	assert_true(span_cstr(m->domain, told, sizeof(told)));
	assert_true(span_cstr(m->text, told_text, sizeof(told_text)));
	told_ms = m->expires_ms;
	return true;
}

/* What it has of the domain that was asked for; NULL: nothing. */
static void
remember(const char *id, uint64_t expires_ms, const char *text)
{
	sts_heard(NULL, &(struct ipc_d_policy_is){ .domain = span_str(recalled),
	    .id = span_str(id), .expires_ms = expires_ms,
	    .text = span_str(text) }, -1);
}

/* ---- what a case says ------------------------------------------------------ */

static int64_t	now;

#define WALL	1000000		/* of the one clock at 0 of the other */

static void
pass(int64_t ms)
{
	now += ms;
	clock_fake(&(struct mono){ now }, &(struct wall){ WALL + now });
}

static unsigned	nfound;

static void
found(void *arg)
{
	(void)arg;
	nfound++;
}

static bool	silent;

/* All questions have this answer; NULL: there is no such name, or no answer. */
static void
record(const char *text)
{
	struct ask_rr		rr = { .text = span_str(text) };
	struct ask_answer	ans = { .status = text != NULL ? DNS_OK :
				    silent ? DNS_TEMPFAIL : DNS_NXDOMAIN,
				    .n = text != NULL,
				    .rr = &rr };

	for (size_t i = 0; i < nasked; i++) {
		if (asked[i].done != NULL)
			asked[i].done(asked[i].arg, &ans);
	}
	nasked = 0;
}

/* The oldest fetch ends; NULL: without a document. */
static void
document(const char *text)
{
	struct fetch	f = fetches[0];

	assert_true(nfetches > 0);
	memmove(fetches, fetches + 1, --nfetches * sizeof(fetches[0]));
	f.done(f.arg, &(struct sts_fetched){ span_str(text),
	    text == NULL ? "no host" : NULL, RPT_STS_FETCH });
}

#define POLICY(mx, age)	"version: STSv1\nmode: enforce\nmx: " mx "\n" \
			    "max_age: " #age "\n"

/* Asks, and has this answer; how many were called back. */
static unsigned
find(const char *domain, const char *text)
{
	nfound = 0;
	assert_non_null(sts_find(domain, found, NULL));
	record(text);
	return nfound;
}

static bool
names(const char *domain, const char *mx)
{
	const struct sts_policy	*p = sts_holds(domain);

	return p != NULL && p->nmx == 1 && span_is(p->mx[0], mx);
}

/* ---- the cases --------------------------------------------------------- */

static void
first(void **state)
{
	(void)state;
	assert_int_equal(find("first.test", NULL), 1);
	assert_int_equal(nfetches, 0);
	assert_null(sts_holds("first.test"));
	assert_int_equal(find("first.test", "v=STSv1; id=1;"), 0);
	assert_int_equal(nfetches, 1);
	document(POLICY("mx.first.test", 604800));
	assert_int_equal(nfound, 1);
	assert_true(names("first.test", "mx.first.test"));
	/* What suppresses the record does not suppress the policy. */
	assert_int_equal(find("first.test", NULL), 1);
	assert_true(names("first.test", "mx.first.test"));
	pass(7 * DAY);
	assert_null(sts_holds("first.test"));
}

/* Several destinations of one domain wait for one fetch. */
static void
together(void **state)
{
	struct sts_find	*f;

	(void)state;
	nfound = 0;
	assert_non_null(sts_find("two.test", found, NULL));
	assert_non_null(f = sts_find("two.test", found, NULL));
	assert_non_null(sts_find("two.test", found, NULL));
	record("v=STSv1; id=1;");
	assert_int_equal(find("two.test", "v=STSv1; id=1;"), 0);
	assert_int_equal(nfetches, 1);
	sts_cancel(f);
	document(POLICY("mx.two.test", 604800));
	assert_int_equal(nfound, 3);
	assert_true(names("two.test", "mx.two.test"));
	/* Nobody waits any more: what comes of it is kept nevertheless. */
	assert_non_null(f = sts_find("alone.test", found, NULL));
	record("v=STSv1; id=1;");
	sts_cancel(f);
	document(POLICY("mx.alone.test", 604800));
	assert_int_equal(nfound, 3);
	assert_true(names("alone.test", "mx.alone.test"));
}

/* Half of its time is over: it holds on, and nobody waits for the next. */
static void
half(void **state)
{
	(void)state;
	find("half.test", "v=STSv1; id=1;");
	document(POLICY("mx.half.test", 604800));
	pass(3 * DAY);
	assert_int_equal(find("half.test", "v=STSv1; id=1;"), 1);
	assert_int_equal(nfetches, 0);
	pass(DAY);
	assert_int_equal(find("half.test", "v=STSv1; id=1;"), 1);
	assert_int_equal(nfetches, 1);
	assert_true(names("half.test", "mx.half.test"));
	assert_int_equal(find("half.test", "v=STSv1; id=1;"), 1);
	assert_int_equal(nfetches, 1);
	document(NULL);
	/* Not again for a while; then for longer. */
	pass(STS_AGAIN_MS - 1);
	assert_int_equal(find("half.test", "v=STSv1; id=1;"), 1);
	assert_int_equal(nfetches, 0);
	pass(1);
	assert_int_equal(find("half.test", "v=STSv1; id=1;"), 1);
	assert_int_equal(nfetches, 1);
	nfound = 0;
	document(POLICY("mx.half.test", 604800));
	assert_int_equal(nfound, 0);
	pass(4 * DAY);
	assert_true(names("half.test", "mx.half.test"));
}

/* Another id: the new policy is waited for; the old one is as good as before
 * where that does not come. */
static void
changed(void **state)
{
	(void)state;
	find("new.test", "v=STSv1; id=1;");
	document(POLICY("old.new.test", 604800));
	pass(STS_AGAIN_MS);
	assert_int_equal(find("new.test", "v=STSv1; id=2;"), 0);
	document("nonsense");
	assert_int_equal(nfound, 1);
	assert_true(names("new.test", "old.new.test"));
	pass(STS_AGAIN_MS);
	assert_int_equal(find("new.test", "v=STSv1; id=2;"), 0);
	document(POLICY("new.new.test", 604800));
	assert_int_equal(nfound, 1);
	assert_true(names("new.test", "new.new.test"));
}

static uint64_t
wall(int64_t ms)
{
	return (uint64_t)(WALL + now + ms);
}

/* What another worker, or this one before, has fetched. */
static void
kept(void **state)
{
	uint64_t	t = wall(0);

	(void)state;
	queued = true;
	nrecalls = 0;
	/* None; so one is fetched, and told. */
	assert_int_equal(find("kept.test", "v=STSv1; id=1;"), 0);
	assert_int_equal(nrecalls, 1);
	assert_string_equal(recalled, "kept.test");
	assert_int_equal(nfetches, 0);
	remember("", 0, NULL);
	assert_int_equal(nfound, 0);
	assert_int_equal(nfetches, 1);
	document(POLICY("mx.kept.test", 604800));
	assert_int_equal(nfound, 1);
	assert_string_equal(told, "kept.test");
	assert_string_equal(told_text, "version: STSv1\nmode: enforce\n"
	    "max_age: 604800\nmx: mx.kept.test\n");
	assert_int_equal(told_ms, t + 604800000);
	/* What holds is not asked for. */
	assert_int_equal(find("kept.test", "v=STSv1; id=1;"), 1);
	assert_int_equal(find("kept.test", NULL), 1);
	assert_int_equal(nrecalls, 1);
	/* There is one, though its record is gone and the host away. */
	assert_int_equal(find("old.test", NULL), 0);
	remember("7", t + 60000, POLICY("mx.old.test", 604800));
	assert_int_equal(nfound, 1);
	assert_true(names("old.test", "mx.old.test"));
	pass(60000);
	assert_null(sts_holds("old.test"));
	/* Another worker was first with the new one. */
	t = wall(0);
	pass(STS_AGAIN_MS);
	assert_int_equal(find("kept.test", "v=STSv1; id=2;"), 0);
	remember("2", t + 604800000, POLICY("new.kept.test", 604800));
	assert_int_equal(nfound, 1);
	assert_int_equal(nfetches, 0);
	assert_true(names("kept.test", "new.kept.test"));
}

/* Its word is a stranger's. */
static void
lies(void **state)
{
	uint64_t	t = wall(0);

	(void)state;
	queued = true;
	assert_int_equal(find("lie.test", NULL), 0);
	remember("1", t + 60000, "version: STSv1\nmode: enforce\n");
	assert_int_equal(nfound, 1);
	assert_null(sts_holds("lie.test"));
	assert_int_equal(find("lie.test", NULL), 0);
	remember("1", UINT64_MAX, POLICY("mx.lie.test", 60));
	assert_null(sts_holds("lie.test"));
	/* For no longer than it says itself. */
	assert_int_equal(find("lie.test", NULL), 0);
	remember("1", t + 86400000, POLICY("mx.lie.test", 60));
	assert_true(names("lie.test", "mx.lie.test"));
	pass(60000);
	assert_null(sts_holds("lie.test"));
	/* An answer to what nobody asked is kept, and calls nobody back. */
	strlcpy(recalled, "other.test", sizeof(recalled));
	nfound = 0;
	remember("1", wall(60000), POLICY("mx.other.test", 60));
	assert_int_equal(nfound, 0);
	assert_true(names("other.test", "mx.other.test"));
}

/* queued goes away: nobody waits for it. */
static void
away(void **state)
{
	struct sts_find	*f;

	(void)state;
	queued = true;
	assert_int_equal(find("away.test", NULL), 0);
	nrecalls = 0;
	nfound = 0;
	assert_non_null(f = sts_find("away.test", found, NULL));
	record(NULL);
	assert_int_equal(nrecalls, 0);	/* it waits for the same answer */
	sts_cancel(f);
	sts_unheard();
	assert_int_equal(nfound, 1);
	queued = false;
	assert_int_equal(find("away.test", NULL), 1);
}

/* Is there none, or is it only not to be had? */
static void
unsure(void **state)
{
	(void)state;
	assert_int_equal(find("none.test", NULL), 1);
	assert_false(sts_unsure("none.test"));
	assert_int_equal(find("lost.test", "v=STSv1; id=1;"), 0);
	document(NULL);
	assert_true(sts_unsure("lost.test"));
	assert_null(sts_holds("lost.test"));
	pass(STS_AGAIN_MS);
	assert_false(sts_unsure("lost.test"));
	assert_int_equal(find("lost.test", "v=STSv1; id=1;"), 0);
	document(POLICY("mx.lost.test", 604800));
	assert_false(sts_unsure("lost.test"));
	/* One that holds is one, whatever the next fetch comes to. */
	pass(4 * DAY);
	assert_int_equal(find("lost.test", "v=STSv1; id=1;"), 1);
	document(NULL);
	assert_false(sts_unsure("lost.test"));
	/* DNS does not say. */
	silent = true;
	assert_int_equal(find("dumb.test", NULL), 1);
	silent = false;
	assert_true(sts_unsure("dumb.test"));
	assert_int_equal(find("dumb.test", "v=STSv1; id=1;"), 0);
	document(POLICY("mx.dumb.test", 604800));
	assert_false(sts_unsure("dumb.test"));
}

static void
keep_one(size_t i, const char *text)
{
	char	domain[64];

	snprintf(domain, sizeof(domain), "d%zu.full.test", i);
	assert_int_equal(find(domain, "v=STSv1; id=1;"), 0);
	document(text);
	assert_int_equal(nfound, 1);
}

/* A new policy takes the place of the one that expires before the others; one
 * that could not be fetched takes nobody's. */
static void
full(void **state)
{
	(void)state;
	pass(400 * DAY);
	keep_one(0, POLICY("mx0.full.test", 800000));
	keep_one(1, POLICY("mx1.full.test", 700000));
	for (size_t i = 2; i < STS_DOMAINS_MAX; i++)
		keep_one(i, POLICY("mx.full.test", 900000));
	assert_true(names("d1.full.test", "mx1.full.test"));
	keep_one(STS_DOMAINS_MAX, NULL);
	assert_true(names("d1.full.test", "mx1.full.test"));
	find("last.test", "v=STSv1; id=1;");
	document(POLICY("mx.last.test", 604800));
	assert_true(names("last.test", "mx.last.test"));
	assert_null(sts_holds("d1.full.test"));
	assert_true(names("d0.full.test", "mx0.full.test"));
	assert_true(names("d2.full.test", "mx.full.test"));
}

static int
start(void **state)
{
	(void)state;
	log_init("deliverd", LOG_FORM_TEXT, LOG_LV_WARN);
	pass(1000);
	sts_init(NULL);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(first),
		cmocka_unit_test(together),
		cmocka_unit_test(half),
		cmocka_unit_test(changed),
		cmocka_unit_test(kept),
		cmocka_unit_test(lies),
		cmocka_unit_test(away),
		cmocka_unit_test(unsure),
		cmocka_unit_test(full)
	};

	return cmocka_run_group_tests_name("stskeep", tests, start, NULL);
}
