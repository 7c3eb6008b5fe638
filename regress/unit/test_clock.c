/*
 * Durations both ways, and clocks that stand still.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/clock.h"

static void
test_parse(void **state)
{
	static const struct {
		const char	*in;
		int64_t		 ms;	/* -1: refused */
	} rows[] = {
		{ "0", 0 }, { "30", 30000 }, { "30s", 30000 }, { "5m", 300000 },
		{ "4h", 14400000 }, { "5d", 432000000 }, { "1w", 604800000 },
		{ "1h30m", 5400000 }, { "1m1s", 61000 },
		{ "3650d", 315360000000 }, { "3651d", -1 }, { "522w", -1 },
		{ "3650d1s", -1 }, { "", -1 }, { "s", -1 }, { "1x", -1 },
		{ "1 s", -1 }, { "-1s", -1 }, { "+1s", -1 }, { "1.5h", -1 },
		{ "1S", -1 }, { "99999999999999999999", -1 },
		{ "9223372036854775807w", -1 }
	};
	int64_t	 ms;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ms = -1;
		assert_int_equal(clock_parse_duration(rows[i].in, &ms),
		    rows[i].ms != -1);
		assert_int_equal(ms, rows[i].ms);
	}
}

static void
test_format(void **state)
{
	static const struct {
		int64_t		 ms;
		const char	*want;
	} rows[] = {
		{ 0, "0s" }, { 1, "1ms" }, { 999, "999ms" }, { 1000, "1s" },
		{ 1999, "1s" }, { 61000, "1m1s" }, { 100800000, "1d4h" },
		{ 86700000, "1d" }, { 604800000, "1w" }, { 694861000, "1w1d" }
	};
	char	 dst[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(clock_format_duration(rows[i].ms, dst,
		    sizeof(dst)), rows[i].want);
	assert_string_equal(clock_format_duration(694861000, dst, 3), "1w");
}

static void
test_clocks(void **state)
{
	struct mono	 m = { 42 }, before = clock_mono();
	struct wall	 w = { 1795507200000 };

	(void)state;
	assert_true(clock_wall().ms > 1577836800000);
	clock_fake(&m, &w);
	assert_int_equal(clock_mono().ms, 42);
	assert_int_equal(clock_wall().ms, 1795507200000);
	clock_fake(NULL, &w);
	assert_true(clock_mono().ms >= before.ms);
	clock_fake(NULL, NULL);
	assert_true(clock_wall().ms != 1795507200000);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_clocks)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
