/*
 * The bundle: what was added comes back in order; broken bytes end it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/conf/bundle.h"

#define S(lit)	((struct span)SPAN(lit))

static void
round_trip(void **state)
{
	struct bundle_item	 it;
	struct span		 s;
	struct buf		 b;

	(void)state;
	bundle_begin(&b);
	s = buf_content(&b);
	assert_false(bundle_next(&s, &it));
	assert_true(bundle_add(&b, BUNDLE_MAIN, S("/etc/x.conf"), S("x.conf"),
	    S("mode firewall\n\0")));
	assert_true(bundle_add(&b, BUNDLE_MACRO, S(""), S(""), S("a=b")));
	assert_true(bundle_add(&b, BUNDLE_GENERATION, span(NULL, 0),
	    span(NULL, 0), S("7")));
	s = buf_content(&b);
	assert_true(bundle_next(&s, &it));
	assert_int_equal(it.kind, BUNDLE_MAIN);
	assert_true(span_is(it.name, "/etc/x.conf"));
	assert_true(span_is(it.key, "x.conf"));
	assert_int_equal(it.text.len, 15);
	assert_true(bundle_next(&s, &it));
	assert_int_equal(it.kind, BUNDLE_MACRO);
	assert_int_equal(it.name.len, 0);
	assert_true(span_is(it.text, "a=b"));
	assert_true(bundle_next(&s, &it));
	assert_int_equal(it.kind, BUNDLE_GENERATION);
	assert_false(bundle_next(&s, &it));
	buf_clear(&b);
}

/* Cut at every byte, and each byte changed: nothing is read outside. */
static void
broken(void **state)
{
	struct bundle_item	 it;
	struct span		 s;
	struct buf		 b;
	uint8_t			*copy;
	size_t			 sum;

	(void)state;
	bundle_begin(&b);
	bundle_add(&b, BUNDLE_MAIN, S("n"), S("k"), S("text"));
	bundle_add(&b, BUNDLE_TABLE, S("n2"), S("k2"), S("t"));
	for (size_t n = 0; n <= buf_len(&b); n++) {
		/* Of its own size, so that the sanitizer sees its end. */
		copy = malloc(n == 0 ? 1 : n);
		memcpy(copy, buf_content(&b).p, n);
		s = span(copy, n);
		while (bundle_next(&s, &it))
			;
		for (size_t i = 0; i < n; i++) {
			copy[i] ^= 0xff;
			s = span(copy, n);
			sum = 0;
			while (bundle_next(&s, &it))
				sum += it.name.len + it.key.len + it.text.len;
			assert_true(sum <= n);
			copy[i] ^= 0xff;
		}
		free(copy);
	}
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(broken)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
