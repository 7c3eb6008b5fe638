/*
 * Spans: comparing, finding, cutting, numbers, copies.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/base/span.h"

#define S(lit)	((struct span)SPAN(lit))

static const struct span	none = { NULL, 0 };

static void
test_compare(void **state)
{
	(void)state;
	assert_true(span_eq(S("a\0b"), S("a\0b")));
	assert_false(span_eq(S("a\0b"), S("a\0c")));
	assert_true(span_eq(none, S("")));
	assert_true(span_is(S("ab"), "ab"));
	assert_false(span_is(S("ab"), "abc"));
	assert_int_equal(span_str(NULL).len, 0);
	assert_true(span_caseis(S("MaIl"), "mAiL"));
	/* Only ASCII letters have a case: "@" and "`" are 0x20 apart too. */
	assert_false(span_caseis(S("@"), "`"));
	assert_false(span_caseis(S("\xc4"), "\xe4"));
	assert_true(span_cmp(S("a"), S("b")) < 0);
	assert_true(span_cmp(S("ab"), S("a")) > 0);
	assert_true(span_cmp(S("a"), S("ab")) < 0);
	assert_true(span_cmp(S("\xff"), S("a")) > 0);
	assert_int_equal(span_cmp(none, S("")), 0);
}

static void
test_ends(void **state)
{
	(void)state;
	assert_true(span_starts(S("abc"), S("ab")));
	assert_false(span_starts(S("abc"), S("AB")));
	assert_false(span_starts(S("a"), S("ab")));
	assert_true(span_casestarts(S("abc"), S("AB")));
	assert_true(span_caseends(S("x.EXAMPLE"), S(".example")));
	assert_false(span_caseends(S("example"), S(".example")));
	assert_true(span_starts(S("abc"), none));
	assert_true(span_caseends(none, none));
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(span_find(S("a@b@c"), '@'), 1);
	assert_int_equal(span_rfind(S("a@b@c"), '@'), 3);
	assert_int_equal(span_find(S("abc"), '@'), 3);
	assert_int_equal(span_rfind(S("abc"), '@'), 3);
	assert_int_equal(span_find(none, 'a'), 0);
	assert_int_equal(span_rfind(none, 'a'), 0);
}

static void
test_cut(void **state)
{
	struct span	 s = S("abc");

	(void)state;
	assert_true(span_is(span_sub(s, 1, 1), "b"));
	assert_true(span_is(span_sub(s, 1, SIZE_MAX), "bc"));
	assert_int_equal(span_sub(s, 9, 1).len, 0);
	assert_int_equal(span_sub(none, 1, 1).len, 0);
	span_skip(&s, 2);
	assert_true(span_is(s, "c"));
	span_skip(&s, 9);
	assert_int_equal(s.len, 0);
	assert_true(span_is(span_trim(S(" \ta b\t ")), "a b"));
	assert_int_equal(span_trim(S(" \t ")).len, 0);
	assert_true(span_is(span_trim(S("\na")), "\na"));
}

static void
test_word(void **state)
{
	struct span	 s = S("one two,,end"), w;

	(void)state;
	assert_true(span_word(&s, " ,", &w) && span_is(w, "one"));
	assert_true(span_word(&s, " ,", &w) && span_is(w, "two"));
	assert_true(span_word(&s, " ,", &w) && span_is(w, ""));
	assert_true(span_word(&s, " ,", &w) && span_is(w, "end"));
	assert_false(span_word(&s, " ,", &w));
	/* The NUL that ends sep is no separator. */
	s = S("a\0b");
	assert_true(span_word(&s, " ", &w) && span_eq(w, S("a\0b")));
}

static void
test_u64(void **state)
{
	static const struct {
		struct span	 in;
		uint64_t	 max;
		bool		 ok;
		uint64_t	 want;
	} rows[] = {
		{ SPAN("0"), 9, true, 0 },
		{ SPAN("007"), 9, true, 7 },
		{ SPAN("9"), 9, true, 9 },
		{ SPAN("10"), 9, false, 0 },
		{ SPAN("65535"), 65535, true, 65535 },
		{ SPAN("65536"), 65535, false, 0 },
		{ SPAN("18446744073709551615"), UINT64_MAX, true, UINT64_MAX },
		{ SPAN("18446744073709551616"), UINT64_MAX, false, 0 },
		{ SPAN("99999999999999999999999"), UINT64_MAX, false, 0 },
		{ SPAN(""), 9, false, 0 },
		{ SPAN("-1"), 9, false, 0 },
		{ SPAN("+1"), 9, false, 0 },
		{ SPAN(" 1"), 9, false, 0 },
		{ SPAN("1 "), 9, false, 0 },
		{ SPAN("1\0"), 9, false, 0 },
		{ SPAN("0"), 0, true, 0 },
		{ SPAN("1"), 0, false, 0 }
	};
	uint64_t	 v;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		v = 42;
		assert_int_equal(span_u64(rows[i].in, rows[i].max, &v),
		    rows[i].ok);
		assert_int_equal(v, rows[i].ok ? rows[i].want : 42);
	}
}

static void
test_copy(void **state)
{
	char	 dst[4], *d;

	(void)state;
	assert_true(span_cstr(S("abc"), dst, sizeof(dst)));
	assert_string_equal(dst, "abc");
	assert_false(span_cstr(S("abcd"), dst, sizeof(dst)));
	assert_string_equal(dst, "");
	assert_false(span_cstr(S("a\0b"), dst, sizeof(dst)));
	assert_string_equal(dst, "");
	assert_true(span_cstr(none, dst, 1));
	d = span_dup(S("ab"));
	assert_string_equal(d, "ab");
	free(d);
	d = span_dup(none);
	assert_string_equal(d, "");
	free(d);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_word),
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_copy)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
