/*
 * Power cuts, full and broken disks, a lost index: a run of a hundred messages
 * is cut at every operation on the disk, or meets an error at every one, and
 * what is found afterwards is held against what others had been told:
 *
 *	prefixes	every prefix of the run's trace, with all of it on the
 *			disk, with only what was synced, and torn at 4 KiB
 *	faults		every write and sync of a segment fails once, with
 *			ENOSPC and with EIO
 *	rebuild		the index is deleted at random moments
 *
 * FULL=1 takes every case; otherwise some, chosen by SEED, where it says so.
 */
#include <sys/mman.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "regress/lib/diskmodel.h"
#include "regress/lib/queuerun.h"

#define RESTARTS	4	/* of a queued that stops at damage */

static const char	*path;
static struct conf	*conf;
static struct run	*run;		/* shared with children */
static uint64_t		 seed;
static bool		 everything;

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	run = help_shared(sizeof(*run));
	run->seed = seed;
	help_clock();
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	munmap(run, sizeof(*run));
	help_dir_remove(path);
	return 0;
}

/* ---- the queue that is found ---- */

static void
check_child(void *arg)
{
	uint32_t	*now = arg;

	dio_hook(NULL);
	run_check(run, conf, *now);
}

/* A queued that finds its index damaged ends, and is started again. */
static unsigned	restarts;

static bool
found_ok(uint32_t now)
{
	int		 st = 0;

	for (int i = 0; i < RESTARTS; i++) {
		if ((st = help_child(check_child, &now)) == 0)
			return true;
		if (st != DIO_EXIT)
			break;
		restarts++;
	}
	print_message("status %d\n", st);
	return false;
}

/* ---- every prefix of the trace ---- */

static struct trace	*trace;

static void
trace_op(const struct dio_event *e, void *arg)
{
	trace_add(e, arg);
	run->now++;
}

/* All disks that may be found from here to the trace's end. */
struct tally {
	unsigned	 cases, bad;
};

static void
prefixes(struct disk *d, uint32_t *now, struct tally *t)
{
	while (disk_step(d)) {
		++*now;
		for (int how = DISK_KEPT; how <= DISK_TORN; how++) {
			disk_write(d, (enum disk_found)how, seed + *now);
			t->cases++;
			if (found_ok(*now))
				continue;
			print_message("after operation %u, disk %d\n", *now,
			    how);
			if (++t->bad == 10)
				return;
		}
	}
}

static void
test_prefixes(void **state)
{
	struct dio_hook	 hook = { .trace = trace_op };
	struct tally	 t = { 0 };
	struct disk	*d;
	uint32_t	 now = 1;

	(void)state;
	hook.arg = trace = trace_new();
	dio_hook(&hook);
	run_all(run, conf);
	dio_hook(NULL);
	d = disk_new(trace);
	restarts = 0;
	prefixes(d, &now, &t);
	disk_free(d);
	print_message("%zu operations, %u disks found, %u restarts\n",
	    trace_len(trace), t.cases, restarts);
	trace_free(trace);
	assert_int_equal(t.bad, 0);
}

/* The same of a second life, which begins with what a first one left when the
 * power was cut in its middle: recovery may be cut as well. */
static void
life_end(void)
{
	if (run->h.q == NULL)
		return;
	/* Frees the memory; what it still does is on no disk, and nobody hears
	 * of it. */
	run->h.committed = NULL;
	run->h.on_recorded = NULL;
	help_close(&run->h);
}

static void
two_lives(enum disk_found how, uint32_t until, struct tally *t)
{
	struct dio_hook	 hook = { .trace = trace_op };
	struct disk	*d;
	uint32_t	 now = 1, cut;

	memset(run, 0, sizeof(*run));
	run->seed = seed + until;
	run->until = until;
	hook.arg = trace = trace_new();
	disk_clear();
	dio_hook(&hook);
	run_all(run, conf);
	dio_hook(NULL);
	life_end();
	cut = run->now;
	d = disk_new(trace);
	for (; now < cut; now++)
		disk_step(d);
	disk_cut(d, how, seed);
	disk_write(d, DISK_KEPT, 0);
	dio_hook(&hook);
	run->until = everything ? 0 : 9;
	run_all(run, conf);
	dio_hook(NULL);
	life_end();
	prefixes(d, &now, t);
	disk_free(d);
	trace_free(trace);
}

static void
test_second_life(void **state)
{
	struct tally	 t = { 0 };
	unsigned	 lives = everything ? 30 : 3;

	(void)state;
	restarts = 0;
	for (unsigned i = 0; i < lives && t.bad == 0; i++)
		two_lives((enum disk_found)(i % 3),
		    (uint32_t)(15 + (i * 37 + seed * 11) % 80), &t);
	print_message("%u second lives, %u disks found, %u restarts\n", lives,
	    t.cases, restarts);
	assert_int_equal(t.bad, 0);
}

/* ---- every write and sync fails once ---- */

static struct fault {
	uint32_t	 nth;		/* of the writes and syncs, from 1 */
	int		 err;
	uint32_t	 seen;
	bool		 hit;
} *fault;				/* shared with children */

static int
fault_inject(const struct dio_event *e, void *arg)
{
	(void)arg;
	if ((e->op != DIO_WRITE && e->op != DIO_SYNC) ||
	    (strncmp(e->name, "seg.", 4) != 0 &&
	    strncmp(e->name, "body.", 5) != 0 &&
	    strcmp(e->name, "spare") != 0))
		return 0;
	if (++fault->seen != fault->nth)
		return 0;
	fault->hit = true;
	return fault->err;
}

static void
fault_child(void *arg)
{
	static const struct dio_hook hook = { .inject = fault_inject };

	(void)arg;
	dio_hook(&hook);
	run_all(run, conf);
}

static void
test_every_fault(void **state)
{
	static const int errors[] = { ENOSPC, EIO, -1 };
	unsigned	 cases = 0, ended = 0, refused = 0;
	bool		 more = true;
	int		 st;

	(void)state;
	fault = help_shared(sizeof(*fault));
	restarts = 0;
	for (uint32_t n = 1; more; n++)
		for (size_t i = 0; i < 3 && more; i++) {
			memset(run, 0, sizeof(*run));
			run->seed = seed;
			disk_clear();
			*fault = (struct fault){ n, errors[i], 0, false };
			st = help_child(fault_child, NULL);
			if (!fault->hit) {
				assert_int_equal(st, 0);
				more = false;
				break;
			}
			cases++;
			ended += st == DIO_EXIT;
			if (st != 0 && st != DIO_EXIT)
				fail_msg("write or sync %u, error %d: status "
				    "%d", n, errors[i], st);
			for (int k = 1; k <= RUN_MSGS; k++)
				refused += run->facts[k].acked != 0 &&
				    run->facts[k].status != Q_OK;
			run->h.q = NULL;
			if (!found_ok(UINT32_MAX))
				fail_msg("after write or sync %u, error %d", n,
				    errors[i]);
		}
	print_message("%u faults, %u ended queued, %u messages refused, "
	    "%u restarts\n", cases, ended, refused, restarts);
	assert_true(refused > 0 && ended > 0);
	munmap(fault, sizeof(*fault));
}

/* ---- the index is gone ---- */

static void
run_child(void *arg)
{
	(void)arg;
	run_all(run, conf);
}

static void
test_rebuild(void **state)
{
	unsigned	 n = everything ? 400 : 60;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		memset(run, 0, sizeof(*run));
		run->seed = seed + i;
		run->until = 1 + (i * 61 + (unsigned)seed) % 110;
		disk_clear();
		assert_int_equal(help_child(run_child, NULL), 0);
		/* A second life in some, and the index goes once more. */
		for (int k = 0; k < 2; k++) {
			assert_int_equal(system("rm -f log.* *.db"), 0);
			if (k == 1)
				break;
			run->until = 1 + i % 13;
			if (i % 3 == 0)
				assert_int_equal(help_child(run_child, NULL),
				    0);
		}
		run->h.q = NULL;
		if (!found_ok(UINT32_MAX))
			fail_msg("index deleted in run %u", i);
	}
	print_message("%u runs\n", n);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_prefixes), T(test_second_life), T(test_every_fault),
		T(test_rebuild),
	};

	everything = getenv("FULL") != NULL;
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) : 1;
	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
