/*
 * Records out of their segments: read around what is due, in whatever order
 * it is loaded; never the bytes of before.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/rand.h"
#include "queued/queue.h"
#include "regress/lib/queuehelp.h"

#define N	400
#define SIZE	3000

static const char	*path;
static struct conf	*conf;
static struct help	 h;
static size_t		 reads;

static int
enter(void **state)
{
	static const struct queue_params params = { .seg_size = 4 << 20,
	    .seg_slice = 64 << 10, .store = { .cache = 1 << 20,
	    .lg_max = 256 << 10, .lg_bsize = 32 << 10 },
	    .reserve_file = 64 << 10 };

	(void)state;
	memset(&h, 0, sizeof(h));
	path = help_dir();
	help_clock();
	help_open_params(&h, conf, &params);
	reads = 0;
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	help_close(&h);
	help_dir_remove(path);
	return 0;
}

static void
fill(uint64_t first, uint64_t n)
{
	for (uint64_t id = first; id < first + n; id++)
		help_send(&h, id, "a@example.org", "b@x.example",
		    (size_t)(SIZE + id % 100));
	queue_flush(h.q);
}

/* Loads it from its segment and counts the reads. */
static void
load(uint64_t id)
{
	struct load_window had = h.q->loaded;
	struct rec	 r;

	live_drop(h.q, id);
	assert_true(load_record(h.q, id, &r));
	assert_int_equal(r.id, id);
	assert_int_equal(r.content.len, SIZE + id % 100);
	assert_true(help_content_ok(id, r.content));
	reads += had.segment != h.q->loaded.segment ||
	    had.offset != h.q->loaded.offset || had.len != h.q->loaded.len;
}

static void
test_in_order(void **state)
{
	(void)state;
	fill(1, N);
	for (uint64_t id = 1; id <= N; id++)
		load(id);
	assert_in_range(reads, 2, 1 + N / (LOAD_AHEAD / 4 * 3 / (SIZE + 400)));
}

/* A batch lies as its messages were complete, not as they are due. */
static void
test_nearly(void **state)
{
	(void)state;
	fill(1, N);
	for (uint64_t id = 0; id < N; id++)
		load(1 + (id / 20 * 20 + (id * 7) % 20));
	assert_in_range(reads, 2, 14);
}

/* One here and one there read no more than they need. */
static void
test_far(void **state)
{
	struct store_msg m;
	uint64_t	 order[] = { 400, 1, 300, 100, 399 };

	(void)state;
	fill(1, N);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		load(order[i]);
		assert_int_equal(reads, i + 1);
		assert_true(store_msg_get(h.q->store, order[i], &m));
		assert_int_equal(h.q->loaded.len, m.length);
	}
}

/* What is written behind a piece that was read is not looked for in it. */
static void
test_tail(void **state)
{
	(void)state;
	for (uint64_t id = 1; id < N; id += 10) {
		fill(id, 10);
		for (uint64_t i = id; i < id + 10; i++)
			load(i);
	}
	for (uint64_t id = N; id >= 1; id--)
		load(id);
}

/* A row that points behind the tail is damage, whatever was read before. */
static void
test_behind(void **state)
{
	struct store_msg m;
	struct store_hwm hwm;
	struct rec	 r;
	uint8_t		 from[] = "a@example.org";

	(void)state;
	fill(1, 3);
	load(1);
	load(2);
	assert_true(store_msg_get(h.q->store, 3, &m));
	m.from = span(from, sizeof(from) - 1);
	m.offset = segs_tail(h.q->segs) + 10;
	assert_true(store_hwm(h.q->store, &hwm));
	store_begin(h.q->store);
	store_msg_put(h.q->store, 3, &m, false);
	store_commit(h.q->store, &hwm);
	live_drop(h.q, 3);
	assert_false(load_record(h.q, 3, &r));
	assert_int_equal(h.q->damage, 1);
	load(1);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_in_order), T(test_nearly), T(test_far), T(test_tail),
		T(test_behind),
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
