/*
 * Arenas: alignment, zeroes, the maximum, reset.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/arena.h"

static void
test_alloc(void **state)
{
	struct arena	*a = arena_new(100000);
	uint8_t		*p, *before = NULL;

	(void)state;
	for (size_t n = 0; n < 400; n++) {
		p = arena_alloc(a, n);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		assert_ptr_not_equal(p, before);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xaa, n);
		before = p;
	}
	assert_in_range(arena_used(a), 399 * 400 / 2, 100000);
	arena_reset(a);
	assert_int_equal(arena_used(a), 0);
	p = arena_alloc(a, 50000);
	assert_non_null(p);
	assert_int_equal(p[49999], 0);
	arena_free(a);
	arena_free(NULL);
}

static void
test_max(void **state)
{
	struct arena	*a = arena_new(64);

	(void)state;
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, 65));
	assert_non_null(arena_alloc(a, 64));
	assert_null(arena_alloc(a, 0));
	assert_null(arena_str(a, span_str("x")));
	assert_null(arena_span(a, span_str("x")).p);
	assert_int_equal(arena_span(a, span_str("x")).len, 0);
	arena_reset(a);
	assert_string_equal(arena_str(a, span_str("x")), "x");
	arena_free(a);
	a = arena_new(0);
	assert_null(arena_alloc(a, 0));
	arena_free(a);
}

static void
test_copy(void **state)
{
	struct arena	*a = arena_new(1000);
	char		 text[] = "abc";
	struct span	 s = arena_span(a, span(text, 2));

	(void)state;
	text[0] = 'x';
	assert_true(span_is(s, "ab"));
	assert_int_equal(s.p[2], 0);
	assert_string_equal(arena_str(a, span(NULL, 0)), "");
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_max),
		cmocka_unit_test(test_copy)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
