/*
 * Whether a server answers: one probe at a time, at a growing interval, and back
 * at once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/lookup/health.h"

static const struct health_times	usual = { 10000, 300000 };

static void
grows(void **state)
{
	struct health	 h = { 0 };
	int64_t		 now = 1000, want = 10000;

	(void)state;
	assert_false(health_is_down(&h));
	assert_false(health_due(&h, now));
	assert_true(health_failed(&h, false, &usual, now, 0));
	assert_int_equal(h.since_ms, 1000);
	for (unsigned i = 0; i < 10; i++) {
		/* With random 0 the interval is a fifth shorter. */
		assert_int_equal(h.probe_ms, now + want * 4 / 5);
		assert_int_equal(h.failures, i + 1);
		assert_false(health_due(&h, h.probe_ms - 1));
		now = h.probe_ms;
		assert_true(health_due(&h, now));
		health_probe(&h, &usual, now, 0);
		assert_true(h.probing);
		/* It is the only one, for as long as it may take. */
		assert_false(health_due(&h, now));
		now += 100;
		assert_true(health_failed(&h, true, &usual, now, 0));
		assert_false(h.probing);
		want = want * 2 < 300000 ? want * 2 : 300000;
	}
	assert_int_equal(h.since_ms, 1000);	/* down since then */
}

static void
spread(void **state)
{
	int64_t	 least = INT64_MAX, most = 0;

	(void)state;
	for (uint32_t r = 0; r < 20000; r++) {
		struct health	 h = { 0 };

		health_failed(&h, false, &usual, 0, r);
		least = h.probe_ms < least ? h.probe_ms : least;
		most = h.probe_ms > most ? h.probe_ms : most;
	}
	assert_int_equal(least, 8000);
	assert_int_equal(most, 12000);
}

/* Connections that were begun before say nothing new. */
static void
others(void **state)
{
	struct health	 h = { 0 };
	int64_t		 probe;

	(void)state;
	assert_true(health_failed(&h, false, &usual, 1000, 0));
	probe = h.probe_ms;
	for (int i = 0; i < 20; i++)
		assert_false(health_failed(&h, false, &usual, 1100, 0));
	assert_true(h.probe_ms == probe && h.failures == 1);
	/* But if one of them is welcomed, the server is there. */
	assert_true(health_works(&h, 1200));
	assert_false(health_is_down(&h));
	assert_int_equal(h.since_ms, 1200);
	assert_false(health_works(&h, 1300));
	assert_int_equal(h.since_ms, 1200);
	/* And a new trouble begins with the shortest interval. */
	assert_true(health_failed(&h, false, &usual, 2000, 0));
	assert_int_equal(h.probe_ms, 2000 + 8000);
}

/* A probe of which nothing is heard any more holds up nobody for ever. */
static void
lost(void **state)
{
	struct health	 h = { 0 };

	(void)state;
	health_failed(&h, false, &usual, 0, 0);
	health_probe(&h, &usual, 8000, 0);
	assert_false(health_due(&h, 15999));
	assert_true(health_due(&h, 16000));
	/* Intervals of nothing, and of one size. */
	h = (struct health){ 0 };
	health_failed(&h, false, &(struct health_times){ 0, 0 }, 5, 7);
	assert_true(health_due(&h, 6));
	h = (struct health){ .failures = UINT32_MAX };
	health_failed(&h, true, &usual, 5, 7);
	assert_int_equal(h.failures, UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(spread),
		cmocka_unit_test(others),
		cmocka_unit_test(lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
