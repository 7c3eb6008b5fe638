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
 *	mutated		bytes of the segments are damaged
 *
 * FULL=1 takes every case; otherwise some, chosen by SEED, where it says so; a
 * build with sanitizers takes fewer: one model of each prefix in turn.
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
#ifdef POSTERN_NO_SANDBOX
#define SLOW	true
#else
#define SLOW	false
#endif

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
			if (at < work->at || (SLOW && !everything &&
			    now % 3 != (uint32_t)how))
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

/* The same where delivered mail is kept: it is there, or its time is over. */
static void
test_kept(void **state)
{
	conf->keep_ms = INT64_C(3600) * 1000;
	test_prefixes(state);
	conf->keep_ms = 0;
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
	unsigned	 lives = everything ? 30 : SLOW ? 2 : 6;

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
	bool		 segments;	/* their writes and syncs, or else */
	uint32_t	 kinds;		/* of errors */
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

/* case: the operation times the kinds, and which error. */
static void
faults_child(void *arg)
{
	static const struct dio_hook hook = { .inject = fault_inject };
	static const int errors[KINDS] = { ENOSPC, EIO, -1,
	    SHORT_AND_KILL };

	(void)arg;
	for (;;) {
		/* What the last one left: it ended itself, or its run. */
		if (fault->nth == work->at / fault->kinds + 1) {
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
		fault->nth = work->at / fault->kinds + 1;
		fault->err = errors[work->at % fault->kinds];
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
	fault->kinds = (segments && !SLOW) || everything ? KINDS : 2;
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
	unsigned	 n = everything ? 400 : SLOW ? 20 : 60;

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

/* ---- bytes of the segments are damaged ---- */

static uint32_t
rnd(uint64_t *s, uint32_t below)
{
	*s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*s >> 33) % below;
}

static uint64_t	mutate_seed;

/* A bit, a run of zeros, or bytes of another place. */
static void
mutate(const char *name, void *arg)
{
	uint8_t		 bytes[4096] = { 0 };
	off_t		 at;
	size_t		 n = 1;
	int		 fd;

	(void)arg;
	if (strncmp(name, "seg.", 4) != 0 ||
	    (fd = open(name, O_RDWR)) == -1)
		return;
	for (uint32_t i = rnd(&mutate_seed, 4); i > 0; i--) {
		at = rnd(&mutate_seed, 48 << 10);
		switch (rnd(&mutate_seed, 4)) {
		case 0:
			(void)!pread(fd, bytes, 1, at);
			bytes[0] ^= (uint8_t)(1 << rnd(&mutate_seed, 8));
			break;
		case 1:
			memset(bytes, 0, sizeof(bytes));
			n = rnd(&mutate_seed, sizeof(bytes));
			break;
		case 2:
			n = 64 * rnd(&mutate_seed, 64);
			(void)!pread(fd, bytes, n, 4096 + 64 *
			    (off_t)rnd(&mutate_seed, 600));
			at &= ~63;
			break;
		case 3:
			if (rnd(&mutate_seed, 8) == 0)
				(void)!ftruncate(fd, at);
			n = 0;
		}
		(void)!pwrite(fd, bytes, n, at);
	}
	close(fd);
}

static void
mutated_hand(struct help *h, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	CHECK((m->flags & (MSG_BOUNCE | MSG_BODY_FILE)) ||
	    (r->content.len == m->size && help_content_ok(j->id, r->content)));
	help_end(h, j, D_OK, "250", D_DEST_OK);
}

/* It starts, or says why not; what it delivers is right; and what it can't
 * read ends in the course of time. */
static void
mutated_child(void *arg)
{
	static struct help h = { .can_hand = true, .hand = mutated_hand };
	struct queue	*q;

	(void)arg;
	dio_hook(NULL);
	help_open_params(&h, conf, &run_params);
	q = h.q;
	if (q->down) {
		CHECK(q->closed_why[0] != '\0');
		_exit(0);
	}
	for (uint64_t id = 1; id <= RUN_MSGS; id++)
		help_change(&h, id, CHANGE_HOLD, false);
	for (int i = 0; i < 40 && q->messages > 0; i++) {
		queue_flush(q);
		queue_run(q);
		queue_flush(q);
		queue_housekeep(q);
		help_advance(INT64_C(6) * 3600 * 1000);
	}
	CHECK(q->messages == 0);
	help_close(&h);
}

static void
test_mutated(void **state)
{
	unsigned	 n = everything ? 1000 : SLOW ? 40 : 100;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		memset(run, 0, sizeof(*run));
		run->seed = seed + i;
		run->until = 1 + (i * 61 + (unsigned)seed) % 110;
		disk_clear();
		assert_int_equal(help_child(run_child, NULL), 0);
		mutate_seed = seed * 1000 + i;
		dio_each(mutate, NULL);
		if (i % 2 == 0)
			assert_int_equal(system("rm -f log.* *.db"), 0);
		if (!work_on(mutated_child, NULL))
			fail_msg("mutation %u", i);
	}
	print_message("%u runs\n", n);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_prefixes), T(test_kept), T(test_second_life),
		T(test_every_fault), T(test_other_faults), T(test_rebuild), T(test_mutated),
	};

	everything = getenv("FULL") != NULL;
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) : 1;
	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
