/*
 * queued's back-off, expiry, probes and queue time: numbers in, numbers out;
 * whole lives of a message with a virtual clock.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "queued/retry.h"

#define MIN	INT64_C(60000)
#define HOUR	(60 * MIN)
#define DAY	(24 * HOUR)

static const struct retry usual = { MIN, 2 * HOUR };

static void
test_doubles(void **state)
{
	static const int64_t want[] = { 1, 2, 4, 8, 16, 32, 64, 120, 120 };
	int64_t	 t, lo, hi;

	(void)state;
	for (uint32_t i = 0; i < 9; i++) {
		lo = want[i] * MIN / 5 * 4;
		hi = want[i] * MIN / 5 * 6;
		for (uint32_t r = 0; r < 100; r++) {
			t = retry_next(&usual, i + 1, 1000, 100 * DAY,
			    r * 42949672U);
			assert_true(t - 1000 >= lo && t - 1000 <= hi);
		}
	}
	/* Any number of attempts is fine, none is like one. */
	t = retry_next(&usual, UINT32_MAX, 0, 100 * DAY, 0);
	assert_true(t == 2 * HOUR / 5 * 4);
	assert_true(retry_next(&usual, 0, 0, DAY, 7) ==
	    retry_next(&usual, 1, 0, DAY, 7));
}

static void
test_jitter_spreads(void **state)
{
	int64_t	 t, least = DAY, most = 0;

	(void)state;
	for (uint32_t r = 0; r < 50000; r += 17) {
		t = retry_next(&usual, 1, 0, DAY, r);
		least = t < least ? t : least;
		most = t > most ? t : most;
	}
	assert_true(least == MIN / 5 * 4);
	assert_true(most == MIN / 5 * 6 || most == MIN / 5 * 6 - 1 ||
	    most > MIN / 5 * 6 - 20);
	/* Too small to spread, or nothing at all: still no time in the past. */
	assert_true(retry_next(&(struct retry){ 1, 1 }, 1, 5, DAY, 99) == 6);
	assert_true(retry_next(&(struct retry){ 0, 0 }, 9, 5, DAY, 99) == 5);
}

static void
test_last_attempt(void **state)
{
	(void)state;
	/* The last attempt is at the expiry, not before and not after. */
	assert_true(retry_next(&usual, 9, 100, 200, 1) == 200);
	assert_true(retry_next(&usual, 1, 300, 200, 1) == 300);
	assert_false(retry_expired(199, 200));
	assert_true(retry_expired(200, 200));
	assert_true(retry_expired(201, 200));
}

/* Five days of a server that is away. */
static void
test_life(void **state)
{
	int64_t	 now = 0, before = 0;
	uint32_t n = 0, random = 12345;

	(void)state;
	while (!retry_expired(now, 5 * DAY)) {
		random = random * 1103515245 + 12345;
		before = now;
		now = retry_next(&usual, ++n, now, 5 * DAY, random);
		assert_true(now > before);
		assert_true(now <= 5 * DAY);
	}
	assert_true(now == 5 * DAY);
	assert_true(n > 55 && n < 90);
}

static void
test_probe(void **state)
{
	int64_t	 t;

	(void)state;
	for (uint32_t troubles = 0; troubles < 40; troubles++)
		for (uint32_t r = 0; r < 1000000; r += 99991) {
			t = retry_probe(&usual, troubles, 0, r);
			assert_true(t >= MIN / 2 / 5 * 4);
			assert_true(t <= 6 * MIN);
		}
	/* A short back-off bounds the probe as well. */
	t = retry_probe(&(struct retry){ 1000, 2000 }, 30, 0, 0);
	assert_true(t == 1600);
	assert_true(retry_probe(&(struct retry){ 1, 1 }, 1, 0, 0) == 1);
}

static void
test_queue_time(void **state)
{
	(void)state;
	assert_true(retry_queue_time(1000, 50, 70) == 1020);
	assert_true(retry_queue_time(1000, 70, 50) == 1000);
	assert_true(retry_queue_time(1000, 0, 6 * DAY) == 1000 + 6 * DAY);
	assert_true(retry_queue_time(1000, 0, 3650 * DAY) == 1000 + 7 * DAY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_jitter_spreads),
		cmocka_unit_test(test_last_attempt),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_queue_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
