/*
 * Buffers: the maximum, the error that stays, draining, memory given back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"

static void
test_add(void **state)
{
	struct buf	 b;

	(void)state;
	buf_init(&b, 100);
	assert_null(b.p);
	assert_int_equal(buf_content(&b).len, 0);
	assert_true(buf_str(&b, "a"));
	assert_true(buf_byte(&b, 'b'));
	assert_true(buf_span(&b, span("cd", 2)));
	assert_true(buf_fmt(&b, "%d-%s", 42, "x"));
	assert_true(buf_add(&b, NULL, 0));
	assert_true(span_is(buf_content(&b), "abcd42-x"));
	assert_string_equal(buf_cstr(&b), "abcd42-x");
	assert_int_equal(buf_len(&b), 8);
	buf_clear(&b);
	assert_null(b.p);
	assert_string_equal(buf_cstr(&b), "");
	buf_clear(&b);
}

static void
test_max(void **state)
{
	struct buf	 b;

	(void)state;
	buf_init(&b, 4);
	assert_true(buf_str(&b, "1234"));
	/* A full one can be read as a C string too. */
	assert_string_equal(buf_cstr(&b), "1234");
	assert_false(b.failed);
	assert_false(buf_byte(&b, '5'));
	assert_true(b.failed);
	assert_true(span_is(buf_content(&b), "1234"));
	/* The error stays, even where there is room again. */
	buf_drain(&b, 4);
	assert_false(buf_byte(&b, '5'));
	assert_null(buf_cstr(&b));
	buf_reset(&b);
	assert_true(buf_byte(&b, '5'));
	buf_reset(&b);
	assert_false(buf_fmt(&b, "%s", "12345"));
	assert_int_equal(buf_len(&b), 0);
	buf_reset(&b);
	assert_null(buf_room(&b, SIZE_MAX));
	buf_clear(&b);
	buf_init(&b, 0);
	assert_false(buf_byte(&b, 'x'));
	buf_clear(&b);
}

/* What drains at the front makes room at the end, for ever. */
static void
test_drain(void **state)
{
	struct buf	 b;
	char		 want[8];

	(void)state;
	buf_init(&b, 300);
	for (int i = 0; i < 40; i++)
		assert_true(buf_fmt(&b, "%06d;", i));
	for (int i = 40; i < 5000; i++) {
		snprintf(want, sizeof(want), "%06d;", i - 40);
		assert_memory_equal(buf_content(&b).p, want, 7);
		buf_drain(&b, 7);
		assert_true(buf_fmt(&b, "%06d;", i));
		assert_int_equal(buf_len(&b), 280);
		assert_true(b.cap <= 300);
	}
	buf_drain(&b, 1000);
	assert_int_equal(buf_len(&b), 0);
	assert_null(buf_content(&b).p);
	buf_clear(&b);
}

static void
test_trim(void **state)
{
	struct buf	 b;

	(void)state;
	buf_init(&b, 300);
	buf_str(&b, "x");
	buf_trim(&b);
	assert_non_null(b.p);
	buf_drain(&b, 1);
	buf_trim(&b);
	assert_null(b.p);
	assert_true(buf_str(&b, "y"));
	buf_clear(&b);
}

static void
test_room(void **state)
{
	struct buf	 b;
	uint8_t		*p;

	(void)state;
	buf_init(&b, 100000);
	buf_str(&b, "a");
	p = buf_room(&b, 90000);
	assert_non_null(p);
	memset(p, 'b', 90000);
	buf_added(&b, 3);
	assert_true(span_is(buf_content(&b), "abbb"));
	buf_clear(&b);
}

static void
test_long_fmt(void **state)
{
	char		*big = malloc(5000);
	struct buf	 b;

	(void)state;
	memset(big, 'x', 4999);
	big[4999] = '\0';
	buf_init(&b, 10000);
	assert_true(buf_fmt(&b, "%s!", big));
	assert_int_equal(buf_len(&b), 5000);
	assert_int_equal(buf_content(&b).p[4999], '!');
	buf_clear(&b);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_max),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_long_fmt)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
