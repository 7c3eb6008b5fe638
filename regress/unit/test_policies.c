/*
 * MTA-STS policies that queued keeps: over restarts, for as long as they say,
 * no more than there is room for; and nothing of them is worth the queue.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "queued/diskio.h"
#include "queued/policies.h"
#include "queued/side.h"
#include "regress/lib/queuehelp.h"

#define TEXT(mx)	"version: STSv1\nmode: enforce\nmax_age: 86400\n" \
			    "mx: " mx "\n"
#define DAY		INT64_C(86400000)

static const char	*path;
static struct conf	*conf;
static struct help	 h;

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	help_clock();
	memset(&h, 0, sizeof(h));
	if (conf == NULL)
		conf = help_conf();
	policies_limit(POLICIES_MAX);
	help_open(&h, conf);
	assert_false(h.q->down);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	if (h.q != NULL)
		help_close(&h);
	help_dir_remove(path);
	return 0;
}

static void
put(const char *domain, const char *id, int64_t left_ms, const char *text)
{
	policies_put(h.q, &(struct ipc_d_policy){ .domain = span_str(domain),
	    .id = span_str(id), .expires_ms = (uint64_t)(clock_wall().ms +
	    left_ms), .text = span_str(text) });
}

static bool
has(const char *domain, const char *text)
{
	struct policy	p;

	return policies_get(h.q, span_str(domain), &p) &&
	    span_is(p.text, text) && span_is(p.domain, domain);
}

static void
again(void)
{
	help_close(&h);
	help_open(&h, conf);
	assert_false(h.q->down);
}

static void
survives(void **state)
{
	struct policy	p;
	int64_t		until = clock_wall().ms + 1000;

	(void)state;
	put("a.test", "x1", 1000, TEXT("mx.a.test"));
	assert_true(has("a.test", TEXT("mx.a.test")));
	assert_true(has("A.Test", TEXT("mx.a.test")));
	assert_false(has("b.test", TEXT("mx.a.test")));
	again();
	assert_true(policies_get(h.q, span_str("a.test"), &p));
	assert_true(span_is(p.id, "x1"));
	assert_int_equal(p.expires_ms, until);
	/* The last word counts. */
	put("a.test", "x2", 2000, TEXT("new.a.test"));
	assert_true(has("a.test", TEXT("new.a.test")));
	assert_int_equal(side_count(store_policies(h.q->store)), 1);
	help_advance(2000);
	assert_false(has("a.test", TEXT("new.a.test")));
	assert_false(policies_sweep(h.q));
	assert_int_equal(side_count(store_policies(h.q->store)), 0);
}

static void
put_and_die(void *arg)
{
	(void)arg;
	help_open(&h, conf);
	put("a.test", "1", DAY, TEXT("mx.a.test"));
}

/* As after kill -9. */
static void
killed(void **state)
{
	(void)state;
	help_close(&h);
	assert_int_equal(help_child(put_and_die, NULL), 0);
	help_open(&h, conf);
	assert_true(has("a.test", TEXT("mx.a.test")));
}

/* The longest that there may be. */
static void
longest(void **state)
{
	struct buf	b;
	char		label[64];

	(void)state;
	memset(label, 'a', 63);
	label[63] = '\0';
	buf_init(&b, 32000);
	buf_str(&b, "version: STSv1\nmode: testing\nmax_age: 31557600\n");
	for (size_t i = 0; i < STS_MX_MAX; i++)
		buf_fmt(&b, "mx: *.%s.%s.%s.%.57s%zu.x\n", label, label, label,
		    label, 10 + i % 90);
	assert_false(b.failed);
	put("long.test", "1", DAY, buf_cstr(&b));
	again();
	assert_true(has("long.test", buf_cstr(&b)));
	buf_clear(&b);
}

static void
lies(void **state)
{
	struct policy	p;

	(void)state;
	put("a.test", "1", DAY, "version: STSv1\n");
	put("a.test", "1", DAY, "");
	put("a.test", "1", 0, TEXT("mx.a.test"));
	put("", "1", DAY, TEXT("mx.a.test"));
	policies_put(h.q, &(struct ipc_d_policy){ .domain = span_str("a.test"),
	    .expires_ms = UINT64_MAX, .text = span_str(TEXT("mx.a.test")) });
	assert_int_equal(side_count(store_policies(h.q->store)), 0);
	/* No longer than it says itself. */
	put("a.test", "1", 1000 * DAY, TEXT("mx.a.test"));
	assert_true(policies_get(h.q, span_str("a.test"), &p));
	assert_int_equal(p.expires_ms, clock_wall().ms + DAY);
}

static void
count_one(const struct policy *p, void *arg)
{
	assert_true(p->domain.len > 0 && p->text.len > 0);
	++*(unsigned *)arg;
}

static void
full(void **state)
{
	char		domain[32];
	unsigned	n = 0;

	(void)state;
	policies_limit(10);
	for (int i = 0; i < 30; i++) {
		snprintf(domain, sizeof(domain), "d%d.test", i);
		put(domain, "1", i == 3 ? 1000 : 60000 + i, TEXT("mx.test"));
	}
	assert_int_equal(side_count(store_policies(h.q->store)), 10);
	assert_false(has("d3.test", TEXT("mx.test")));
	assert_true(has("d29.test", TEXT("mx.test")));
	policies_each(h.q, count_one, &n);
	assert_int_equal(n, 10);
	policies_sweep(h.q);
	help_advance(DAY);
	n = 0;
	policies_each(h.q, count_one, &n);
	assert_int_equal(n, 0);
}

/* The library itself loses memory there. */
static void
open_damaged(void *arg)
{
	(void)arg;
	help_open(&h, conf);
	CHECK(!h.q->down);
	CHECK(h.q->messages == 1);
	help_close(&h);
}

/* A file that is no database costs the policies, and no mail. */
static void
damaged(void **state)
{
	static const char	junk[8192] = "junk";
	int			fd;

	(void)state;
	help_send(&h, 1000, "a@x.example", "b@y.example", 100);
	queue_flush(h.q);
	put("a.test", "1", DAY, TEXT("mx.a.test"));
	help_close(&h);
	fd = open("sts.db", O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	assert_int_equal(help_child(open_damaged, NULL), 0);
	help_open(&h, conf);
	assert_false(h.q->down);
	assert_int_equal(h.q->messages, 1);
	assert_false(has("a.test", TEXT("mx.a.test")));
	put("a.test", "1", DAY, TEXT("mx.a.test"));
	assert_true(has("a.test", TEXT("mx.a.test")));
}

/* The disk is full: what is there is told, and nothing is written. */
static void
down(void **state)
{
	(void)state;
	put("a.test", "1", DAY, TEXT("mx.a.test"));
	h.q->closed = true;
	put("b.test", "1", DAY, TEXT("mx.b.test"));
	assert_true(has("a.test", TEXT("mx.a.test")));
	assert_false(policies_sweep(h.q));
	h.q->closed = false;
	assert_true(has("a.test", TEXT("mx.a.test")));
	assert_false(has("b.test", TEXT("mx.b.test")));
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = { T(survives), T(killed), T(longest),
	    T(lies), T(full), T(damaged), T(down) };

	return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
