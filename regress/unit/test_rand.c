/*
 * Ids: their parts, order, a clock set back, their short form; random numbers
 * within their bound.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/rand.h"

#define T0	1795507200000	/* 2026-11-24 */

static void
at(int64_t ms)
{
	struct wall	 w = { ms };

	clock_fake(NULL, &w);
}

static void
test_parts(void **state)
{
	uint64_t	 id;

	(void)state;
	at(T0);
	id_init(1023, 0);
	id = id_new();
	assert_int_equal(id_wall_ms(id), T0);
	assert_int_equal(id >> 13 & 1023, 1023);
	assert_int_equal(id >> 23, T0 - 1577836800000);
}

/* More than 8,192 in one millisecond, and a clock that goes back. */
static void
test_ascends(void **state)
{
	uint64_t	 before = 0, id;

	(void)state;
	at(T0);
	id_init(1, 0);
	for (int i = 0; i < 30000; i++) {
		if (i == 20000)
			at(T0 - 3600000);
		id = id_new();
		assert_true(id > before);
		assert_int_equal(id >> 13 & 1023, 1);
		before = id;
	}
	assert_in_range(id_wall_ms(before), T0 + 3, T0 + 4);
	at(T0 + 1000);
	assert_int_equal(id_wall_ms(id_new()), T0 + 1000);
}

static void
test_floor(void **state)
{
	(void)state;
	at(T0);
	id_init(1, T0 + 500);
	assert_int_equal(id_wall_ms(id_new()), T0 + 500);
	at(T0 + 501);
	assert_int_equal(id_wall_ms(id_new()), T0 + 501);
	/* A clock before all ids. */
	at(1000);
	id_init(1, 0);
	assert_int_equal(id_wall_ms(id_new()), 1577836800000);
}

static void
test_text(void **state)
{
	static const char *const bad[] = { "", "000000000000", "00000000000000",
	    "g000000000000", "000000000000w", "000000000000A",
	    "00000000000 0" };
	char		 text[ID_STRLEN], before[ID_STRLEN] = "";
	uint64_t	 id, back;

	(void)state;
	at(T0);
	id_init(7, 0);
	for (int i = 0; i < 1000; i++) {
		at(T0 + i * 977777LL);
		id = id_new();
		assert_int_equal(strlen(id_str(id, text)), 13);
		assert_true(strcmp(before, text) < 0);
		assert_true(id_parse(span_str(text), &back));
		assert_true(back == id);
		memcpy(before, text, sizeof(text));
	}
	assert_string_equal(id_str(0, text), "0000000000000");
	assert_string_equal(id_str(UINT64_MAX, text), "fvvvvvvvvvvvv");
	assert_true(id_parse(span_str("fvvvvvvvvvvvv"), &back));
	assert_true(back == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(id_parse(span_str(bad[i]), &back));
	assert_false(id_parse(span("000000000000\0", 13), &back));
}

static void
test_rand(void **state)
{
	unsigned	 seen[5] = { 0 };

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint32_t r = rand_below(5);

		assert_true(r < 5);
		seen[r]++;
	}
	for (int i = 0; i < 5; i++)
		assert_in_range(seen[i], 800, 1200);
	assert_int_equal(rand_below(1), 0);
	assert_true(rand_u64() != rand_u64());
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_ascends),
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_rand)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
