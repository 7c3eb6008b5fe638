/*
 * Outstanding requests by number: found once, never 0, bounded.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/ipc/wait.h"

static void
by_number(void **state)
{
	struct wait	*w = wait_new(10);
	int		 a, b;
	uint32_t	 ta, tb;

	(void)state;
	assert_non_null(w);
	ta = wait_add(w, &a);
	tb = wait_add(w, &b);
	assert_int_not_equal(ta, 0);
	assert_int_not_equal(tb, 0);
	assert_int_not_equal(ta, tb);
	assert_int_equal(wait_count(w), 2);
	assert_ptr_equal(wait_get(w, ta), &a);
	assert_ptr_equal(wait_get(w, ta), &a);
	assert_ptr_equal(wait_take(w, ta), &a);
	/* Gone: an answer that comes again, or comes late, finds nothing. */
	assert_null(wait_get(w, ta));
	assert_null(wait_take(w, ta));
	assert_null(wait_take(w, 0));
	assert_null(wait_take(w, 4711));
	assert_int_equal(wait_count(w), 1);
	assert_ptr_equal(wait_take(w, tb), &b);
	wait_free(w);
	wait_free(NULL);
}

static void
bounded(void **state)
{
	struct wait	*w = wait_new(100);
	uint32_t	 tid[100];
	int		 x;

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_not_equal(tid[i] = wait_add(w, &x), 0);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(tid[i], tid[k]);
	}
	assert_int_equal(wait_add(w, &x), 0);
	assert_ptr_equal(wait_take(w, tid[50]), &x);
	/* A number is not given again while its answer may be under way. */
	assert_int_not_equal(wait_add(w, &x), tid[50]);
	assert_int_equal(wait_add(w, &x), 0);
	assert_int_equal(wait_count(w), 100);
	wait_free(w);
}

struct walk {
	struct wait	*w;
	int		 n;
	bool		 take;
};

static void
one(uint32_t tid, void *owner, void *arg)
{
	struct walk	*k = arg;

	k->n++;
	assert_ptr_equal(wait_get(k->w, tid), owner);
	if (k->take)
		assert_ptr_equal(wait_take(k->w, tid), owner);
}

static void
each(void **state)
{
	struct walk	 k = { wait_new(1000), 0, false };
	int		 x[500];

	(void)state;
	for (int i = 0; i < 500; i++)
		assert_int_not_equal(wait_add(k.w, &x[i]), 0);
	wait_each(k.w, one, &k);
	assert_int_equal(k.n, 500);
	assert_int_equal(wait_count(k.w), 500);
	k = (struct walk){ k.w, 0, true };
	wait_each(k.w, one, &k);
	assert_int_equal(k.n, 500);
	assert_int_equal(wait_count(k.w), 0);
	wait_each(k.w, one, &k);
	assert_int_equal(k.n, 500);
	wait_free(k.w);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(by_number),
		cmocka_unit_test(bounded),
		cmocka_unit_test(each)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
