/*
 * The map beside a plain array of what it should hold, its bound, and walks
 * that delete.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/base/map.h"
#include "common/base/rand.h"

#define KEYS	2000

static int	values[KEYS];

static unsigned	ntaken;

static void
take_one(void *v)
{
	assert_non_null(v);
	ntaken++;
}

static void
test_random(void **state)
{
	struct map	*m = map_new(KEYS);
	int		*want[KEYS] = { NULL };
	size_t		 count = 0;
	char		 key[16];

	(void)state;
	for (int n = 0; n < 100000; n++) {
		uint32_t	 k = rand_below(KEYS), v = rand_below(KEYS);
		struct span	 s;

		snprintf(key, sizeof(key), "%u", k);
		s = span_str(key);
		assert_ptr_equal(map_get(m, s), want[k]);
		if (rand_below(3) == 0) {
			assert_ptr_equal(map_del(m, s), want[k]);
			count -= want[k] != NULL;
			want[k] = NULL;
		} else {
			assert_true(map_set(m, s, &values[v]));
			count += want[k] == NULL;
			want[k] = &values[v];
		}
		assert_int_equal(map_count(m), count);
	}
	map_free(m);
	map_free(NULL);
}

static void
test_keys(void **state)
{
	struct map	*m = map_new(10);

	(void)state;
	/* Bytes, not strings; the empty one is a key too. */
	assert_true(map_set(m, span("a\0b", 3), &values[0]));
	assert_true(map_set(m, span("a\0c", 3), &values[1]));
	assert_true(map_set(m, span("a", 1), &values[2]));
	assert_true(map_set(m, span(NULL, 0), &values[3]));
	assert_ptr_equal(map_get(m, span("a\0b", 3)), &values[0]);
	assert_ptr_equal(map_get(m, span("a\0c", 3)), &values[1]);
	assert_ptr_equal(map_get(m, span("a", 1)), &values[2]);
	assert_ptr_equal(map_get(m, span("", 0)), &values[3]);
	assert_null(map_get(m, span("A", 1)));
	assert_true(map_set_u64(m, 7, &values[4]));
	assert_ptr_equal(map_get_u64(m, 7), &values[4]);
	assert_null(map_get_u64(m, 7ULL << 32));
	assert_ptr_equal(map_del_u64(m, 7), &values[4]);
	assert_null(map_del_u64(m, 7));
	map_free(m);
}

static void
test_max(void **state)
{
	struct map	*m = map_new(100);

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		assert_true(map_set_u64(m, i, &values[i]));
	assert_false(map_set_u64(m, 100, &values[100]));
	/* What is there may still be replaced. */
	assert_true(map_set_u64(m, 5, &values[100]));
	assert_ptr_equal(map_get_u64(m, 5), &values[100]);
	assert_non_null(map_del_u64(m, 5));
	assert_true(map_set_u64(m, 100, &values[100]));
	assert_int_equal(map_count(m), 100);
	map_free_all(m, take_one);
	assert_int_equal(ntaken, 100);
	map_free_all(NULL, take_one);
	assert_int_equal(ntaken, 100);
	m = map_new(0);
	assert_false(map_set_u64(m, 1, &values[1]));
	map_free(m);
}

struct walk {
	struct map	*map;
	unsigned	 seen, stop;
};

static bool
walk_del(struct span key, void *v, void *arg)
{
	struct walk	*w = arg;
	uint64_t	 k;

	assert_int_equal(key.len, sizeof(k));
	memcpy(&k, key.p, sizeof(k));
	assert_ptr_equal(v, &values[k]);
	w->seen++;
	if (k % 2 == 0)
		assert_ptr_equal(map_del(w->map, key), v);
	return w->seen != w->stop;
}

static void
test_each(void **state)
{
	struct walk	 w = { .map = map_new(KEYS) };

	(void)state;
	for (uint64_t i = 0; i < KEYS; i++)
		assert_true(map_set_u64(w.map, i, &values[i]));
	map_each(w.map, walk_del, &w);
	assert_int_equal(w.seen, KEYS);
	assert_int_equal(map_count(w.map), KEYS / 2);
	w.seen = 0;
	w.stop = 3;
	map_each(w.map, walk_del, &w);
	assert_int_equal(w.seen, 3);
	map_free(w.map);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_max),
		cmocka_unit_test(test_each)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
