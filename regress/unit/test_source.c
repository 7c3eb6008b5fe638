/*
 * Counts per source: the most specific limit, addresses of one /64, what queued
 * says of the other workers, rates, and a table that is full.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "regress/lib/confhelp.h"
#include "smtpd/source.h"

static struct conf	*conf;

static const char *
enter(const char *s)
{
	struct addr	 a = { 0 };

	assert_true(*s == '\0' || addr_parse(span_str(s), &a));
	return source_enter(&a);
}

static void
leave(const char *s)
{
	struct addr	 a = { 0 };

	assert_true(*s == '\0' || addr_parse(span_str(s), &a));
	source_leave(&a);
}

static void
total(const char *s, uint32_t n)
{
	struct addr	 a = { 0 };

	assert_true(addr_parse(span_str(s), &a));
	source_total(&(struct ipc_q_source_total){ .source = a,
	    .sessions = n });
}

/* As many as n come in, and one more does not. */
static void
takes(const char *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_null(enter(s));
	assert_non_null(enter(s));
	for (unsigned i = 0; i < n; i++)
		leave(s);
	assert_null(enter(s));
	leave(s);
}

static void
test_limits(void **state)
{
	(void)state;
	takes("203.0.113.1", 4);		/* nothing said for it */
	takes("198.51.100.1", 3);		/* the /24 */
	takes("198.51.100.128", 2);		/* the /25 in it */
	takes("198.51.100.200", 1);		/* itself */
	takes("127.1.2.3", 5);			/* exempt, but said */
	for (int i = 0; i < 100; i++) {
		assert_null(enter("127.0.0.1"));	/* ourselves */
		assert_null(enter("192.0.2.1"));	/* self */
		assert_null(enter("192.0.2.9"));	/* our destination */
		assert_null(enter(""));		/* the submission socket */
	}
	for (int i = 0; i < 100; i++) {
		leave("127.0.0.1");
		leave("192.0.2.1");
		leave("192.0.2.9");
		leave("");
	}
}

static void
test_v6(void **state)
{
	(void)state;
	assert_null(enter("2001:db8:1:1::1"));
	assert_null(enter("2001:db8:1:1::2"));
	assert_null(enter("2001:db8:1:1:ffff::3"));
	assert_null(enter("2001:db8:1:1:ffff::4"));
	assert_non_null(enter("2001:db8:1:1::5"));
	assert_null(enter("2001:db8:1:2::5"));
	leave("2001:db8:1:1::7");
	assert_null(enter("2001:db8:1:1::5"));
	leave("2001:db8:1:2::5");
	for (int i = 0; i < 4; i++)
		leave("2001:db8:1:1::1");
}

static void
test_total(void **state)
{
	(void)state;
	assert_null(enter("203.0.113.2"));
	total("203.0.113.2", 4);		/* three elsewhere */
	assert_non_null(enter("203.0.113.2"));
	total("203.0.113.2", 2);
	assert_null(enter("203.0.113.2"));
	assert_null(enter("203.0.113.2"));
	assert_non_null(enter("203.0.113.2"));
	/* What is heard is never below what is here. */
	total("203.0.113.2", 0);
	assert_null(enter("203.0.113.2"));
	assert_non_null(enter("203.0.113.2"));
	for (int i = 0; i < 6; i++)
		leave("203.0.113.2");
	total("203.0.113.77", 9);		/* never seen here */
	assert_non_null(enter("203.0.113.77"));
	total("203.0.113.77", 0);
	assert_null(enter("203.0.113.77"));
	leave("203.0.113.77");
}

static void
test_rate(void **state)
{
	struct mono	 m = { 1000000 };
	struct wall	 w = { 6000000 };
	struct addr	 a;

	(void)state;
	assert_true(addr_parse(span_str("203.0.113.9"), &a));
	conf->limits.rate_per_source = 3;
	conf->limits.rate_per_ms = 60000;
	clock_fake(&m, &w);
	for (int i = 0; i < 3; i++) {
		assert_null(enter("203.0.113.3"));
		leave("203.0.113.3");
	}
	assert_non_null(enter("203.0.113.3"));
	assert_null(enter("127.0.0.1"));
	leave("127.0.0.1");
	/* The most specific limit, with a time of its own. */
	for (int i = 0; i < 5; i++) {
		assert_null(enter("198.51.100.9"));
		leave("198.51.100.9");
	}
	assert_non_null(enter("198.51.100.9"));
	/* It came to the other workers. */
	source_total(&(struct ipc_q_source_total){ .source = a,
	    .came_window = 100, .came = 3 });
	assert_non_null(enter("203.0.113.9"));
	w.ms += 60000;
	clock_fake(&m, &w);
	assert_null(enter("203.0.113.3"));
	leave("203.0.113.3");
	assert_null(enter("203.0.113.9"));
	leave("203.0.113.9");
	assert_non_null(enter("198.51.100.9"));
	clock_fake(&m, NULL);
}

/* Failed logins, here and elsewhere. */
static void
test_logins(void **state)
{
	struct mono	 m = { 1000000 };
	struct wall	 w = { 2 * SOURCE_FAILED_MS };
	struct addr	 a, b;

	(void)state;
	clock_fake(&m, &w);
	assert_true(addr_parse(span_str("203.0.113.20"), &a));
	assert_true(addr_parse(span_str("127.0.0.1"), &b));
	conf->limits.auth_failures_per_source = 3;
	for (int i = 0; i < 3; i++) {
		assert_true(source_may_try(&a));
		source_failed(&a);
		source_failed(&b);
	}
	assert_false(source_may_try(&a));
	assert_true(source_may_try(&b));
	w.ms += SOURCE_FAILED_MS;
	clock_fake(&m, &w);
	assert_true(source_may_try(&a));
	source_total(&(struct ipc_q_source_total){ .source = a,
	    .failed_window = 3, .failed = 7 });
	assert_false(source_may_try(&a));
	clock_fake(NULL, NULL);
}

/* One /48 that comes once from each of its /64s keeps nobody out. */
static void
test_full(void **state)
{
	char	 s[64];

	(void)state;
	assert_null(enter("203.0.113.4"));
	for (unsigned i = 0; i < SOURCES_MAX + 10; i++) {
		snprintf(s, sizeof(s), "2001:db8:%x:%x::1", 0x100 + i / 65536,
		    i % 65536);
		assert_null(enter(s));
		leave(s);
	}
	/* And who is here is still counted. */
	for (int i = 0; i < 2; i++)
		assert_null(enter("203.0.113.4"));
	conf->limits.rate_per_source = 0;
	assert_null(enter("203.0.113.4"));
	assert_non_null(enter("203.0.113.4"));
	for (int i = 0; i < 4; i++)
		leave("203.0.113.4");
}

static int
begin(void **state)
{
	(void)state;
	conf = confhelp_parse("action \"out\" relay to { \"192.0.2.9\" }\n"
	    "listen on 192.0.2.1 port 25\n"
	    "match from any for domain \"dest.example\" action \"out\"\n"
	    "limit sessions per source 4\n"
	    "limit sessions per source 3 for { 198.51.100.0/24 }\n"
	    "limit sessions per source 2 for { 198.51.100.128/25 }\n"
	    "limit sessions per source 1 for { 198.51.100.200 }\n"
	    "limit rate per source 5 per 1h for { 198.51.100.0/28 }\n"
	    "limit sessions per source 5 for { 127.1.0.0/16 }\n", NULL);
	if (conf == NULL)
		return -1;
	source_init(conf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_v6),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_full)
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
