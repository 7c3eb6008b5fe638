/*
 * Power cuts, full and broken disks, a lost index: a run of a hundred messages
 * is cut at every operation on the disk, or meets an error at every one, and
 * what is found afterwards is held against what others had been told:
 *
 *	prefixes	every prefix of the run's trace, with all of it on the
 *			disk, with only what was synced, and torn at 4 KiB
 *	faults		every write and sync of a segment fails once, with
 *			ENOSPC, with EIO, and as a short write; and so does
 *			everything else that is done on the disk
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

#define RESTARTS	6	/* of a queued that stops at a fault */
#define BAD_MAX		5	/* cases that are told */

static const char	*path;
static struct conf	*conf;
static struct run	*run;		/* shared with children */
static uint64_t		 seed;
static bool		 everything;

/* ---- the queue that is found ---- */

/*
 * A child checks one disk after another and says how far it is. Where a queued
 * would end, as it finds its index damaged, the child does; the next one begins
 * with the same disk, as queued is started again.
 */
static struct work {
	uint32_t	 at;		/* case */
	unsigned	 tries;		/* of this one */
	unsigned	 cases, bad, restarts;
} *work;				/* shared with children */

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	run = help_shared(sizeof(*run));
	work = help_shared(sizeof(*work));
	run->seed = seed;
	help_clock();
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	munmap(run, sizeof(*run));
	munmap(work, sizeof(*work));
	help_dir_remove(path);
	return 0;
}

static bool
work_on(void (*f)(void *), void *arg)
{
	int	 st;

	work->tries = 0;
	while ((st = help_child(f, arg)) != 0) {
		if (st == DIO_EXIT && ++work->tries < RESTARTS) {
			work->restarts++;
			continue;
		}
		print_message("case %u: status %d\n", work->at, st);
		work->tries = 0;
		work->at++;
		if (++work->bad == BAD_MAX)
			return false;
	}
	return work->bad == 0;
}

static void
check_child(void *arg)
{
	uint32_t	*now = arg;

	dio_hook(NULL);
	run_check(run, conf, *now);
}

static bool
found_ok(uint32_t now)
{
	return work_on(check_child, &now);
}

/* ---- every prefix of the trace ---- */

static struct trace	*trace;

static void
trace_op(const struct dio_event *e, void *arg)
{
	trace_add(e, arg);
	run->now++;
}

/* All disks that may be found from here to the trace's end; case: three times
 * the operation, and how. */
struct from {
	struct disk	*d;
	uint32_t	 now;
};

static void
prefixes_child(void *arg)
{
	struct from	*f = arg;
	uint32_t	 now = f->now, at;

	dio_hook(NULL);
	while (disk_step(f->d)) {
		now++;
		for (int how = DISK_KEPT; how <= DISK_TORN; how++) {
			at = now * 3 + (uint32_t)how;
			if (at < work->at)
				continue;
			if (at != work->at || work->tries == 0) {
				disk_write(f->d, (enum disk_found)how,
				    seed + now);
				work->cases++;
				work->tries = 0;
			}
			work->at = at;
			run_check(run, conf, now);
		}
	}
}

static void
prefixes(struct disk *d, uint32_t now)
{
	struct from	 f = { d, now };

	work->at = 0;
	work_on(prefixes_child, &f);
}

static void
test_prefixes(void **state)
{
	struct dio_hook	 hook = { .trace = trace_op };
	struct disk	*d;

	(void)state;
	hook.arg = trace = trace_new();
	dio_hook(&hook);
	run_all(run, conf);
	dio_hook(NULL);
	d = disk_new(trace);
	prefixes(d, 1);
	disk_free(d);
	print_message("%zu operations, %u disks found, %u restarts\n",
	    trace_len(trace), work->cases, work->restarts);
	trace_free(trace);
	assert_int_equal(work->bad, 0);
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
two_lives(enum disk_found how, uint32_t until)
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
	prefixes(d, now);
	disk_free(d);
	trace_free(trace);
}

static void
test_second_life(void **state)
{
	unsigned	 lives = everything ? 30 : 6;

	(void)state;
	for (unsigned i = 0; i < lives && work->bad == 0; i++)
		two_lives((enum disk_found)(i % 3),
		    (uint32_t)(15 + (i * 37 + seed * 11) % 80));
	print_message("%u second lives, %u disks found, %u restarts\n", lives,
	    work->cases, work->restarts);
	assert_int_equal(work->bad, 0);
}

/* ---- every write and sync fails once ---- */

/* Full, broken, full after half of it; and that with a kill soon after. */
#define KINDS		4
#define SHORT_AND_KILL	-2

static struct fault {
	bool		 segments;	/* their writes and syncs; or all else */
	uint32_t	 nth;		/* of these, from 1 */
	int		 err;
	uint32_t	 seen;
	bool		 hit;
	unsigned	 ended, refused;
} *fault;				/* shared with children */

static int
fault_inject(const struct dio_event *e, void *arg)
{
	(void)arg;
	if (((e->op == DIO_WRITE || e->op == DIO_SYNC) &&
	    (strncmp(e->name, "seg.", 4) == 0 ||
	    strncmp(e->name, "body.", 5) == 0 ||
	    strcmp(e->name, "spare") == 0)) != fault->segments)
		return 0;
	if (++fault->seen != fault->nth)
		return 0;
	fault->hit = true;
	if (fault->err == SHORT_AND_KILL)
		run->until = run->steps + 1;
	return fault->err == SHORT_AND_KILL ? -1 : fault->err;
}

/* case: the write or sync times KINDS, and which error. */
static void
faults_child(void *arg)
{
	static const struct dio_hook hook = { .inject = fault_inject };
	static const int errors[KINDS] = { ENOSPC, EIO, -1,
	    SHORT_AND_KILL };

	(void)arg;
	for (;;) {
		/* What the last one left: it ended itself, or its run. */
		if (fault->nth == work->at / KINDS + 1) {
			dio_hook(NULL);
			fault->ended += work->tries == 1;
			run_check(run, conf, UINT32_MAX);
			for (int k = 1; k <= RUN_MSGS; k++)
				fault->refused += run->facts[k].acked != 0 &&
				    run->facts[k].status != Q_OK;
			if (!fault->hit)
				return;
			work->cases++;
			work->at++;
		}
		memset(run, 0, sizeof(*run));
		run->seed = seed;
		disk_clear();
		fault->nth = work->at / KINDS + 1;
		fault->err = errors[work->at % KINDS];
		fault->seen = 0;
		fault->hit = false;
		work->tries = 0;
		dio_hook(&hook);
		run_all(run, conf);
		if (run->until != 0)
			_exit(DIO_EXIT);
		if (run->h.q != NULL)
			help_close(&run->h);
	}
}

static void
faults(bool segments)
{
	fault = help_shared(sizeof(*fault));
	fault->segments = segments;
	work_on(faults_child, NULL);
	print_message("%u faults, %u ended queued, %u messages refused\n",
	    work->cases, fault->ended, fault->refused);
	assert_int_equal(work->bad, 0);
	assert_true(fault->refused > 0 && fault->ended > 0);
	munmap(fault, sizeof(*fault));
}

static void
test_every_fault(void **state)
{
	(void)state;
	faults(true);
}

/* The index, and what is made, renamed and removed. */
static void
test_other_faults(void **state)
{
	(void)state;
	faults(false);
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
		T(test_other_faults), T(test_rebuild),
	};

	everything = getenv("FULL") != NULL;
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) : 1;
	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
