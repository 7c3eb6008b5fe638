/*
 * Messages that come again: known only if their first reply was lost, once each
 * time, for an hour, and no more of them than there is room for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "queued/again.h"

static struct span
digest(unsigned n)
{
	static char	text[AGAIN_DIGEST + 1];

	snprintf(text, sizeof(text), "%032u", n);
	return span(text, AGAIN_DIGEST);
}

static void
known(void **state)
{
	struct again	*a = again_new();

	(void)state;
	assert_int_equal(again_known(a, digest(1), 0), 0);
	again_commit(a, digest(1), 11, 0);
	again_lost(a, 11);			/* not durable yet */
	again_committed(a, 11, true);
	assert_int_equal(again_known(a, digest(1), 1), 0);
	again_lost(a, 11);
	again_lost(a, 99);
	assert_int_equal(again_known(a, digest(2), 1), 0);
	assert_int_equal(again_known(a, digest(1), 1), 11);
	/* That reply arrived. */
	assert_int_equal(again_known(a, digest(1), 1), 0);
	/* Or it did not. */
	again_lost(a, 11);
	assert_int_equal(again_known(a, digest(1), 1), 11);
	/* Sent once more on purpose. */
	again_commit(a, digest(1), 12, 2);
	again_committed(a, 12, true);
	again_lost(a, 11);
	assert_int_equal(again_known(a, digest(1), 2), 0);
	again_lost(a, 12);
	assert_int_equal(again_known(a, digest(1), AGAIN_MS + 1), 12);
	again_lost(a, 12);
	assert_int_equal(again_known(a, digest(1), AGAIN_MS + 2), 0);
	assert_int_equal(again_count(a), 0);
	/* None is remembered that was not taken, or has no digest. */
	again_commit(a, digest(1), 13, 0);
	again_committed(a, 13, false);
	again_lost(a, 13);
	again_commit(a, span(NULL, 0), 14, 0);
	assert_int_equal(again_known(a, digest(1), 0), 0);
	assert_int_equal(again_known(a, span(NULL, 0), 0), 0);
	assert_int_equal(again_count(a), 0);
	again_free(a);
	again_free(NULL);
}

static void
many(void **state)
{
	struct again	*a = again_new();

	(void)state;
	for (unsigned i = 0; i < AGAIN_MAX + 5; i++) {
		again_commit(a, digest(i), i + 1, i / 1000);
		again_committed(a, i + 1, true);
		again_lost(a, i + 1);
	}
	assert_int_equal(again_count(a), AGAIN_MAX);
	assert_int_equal(again_known(a, digest(4), 100), 0);
	assert_int_equal(again_known(a, digest(5), 100), 6);
	again_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known), cmocka_unit_test(many)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
