/*
 * Walks by a filter: what they find in pages and across them, what each change
 * does, two at once, what comes meanwhile; and what a message of a long queue
 * costs (MANY=1000000 MANYDIR=/some/where for a measurement).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "queued/diskio.h"
#include "queued/walk.h"
#include "regress/lib/queuehelp.h"

static struct conf	*conf;
static const char	*path;
static struct help	 h;

static int
setup(void **state)
{
	(void)state;
	path = help_dir();
	memset(&h, 0, sizeof(h));
	help_clock();
	help_open(&h, conf);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (h.q != NULL)
		help_close(&h);
	help_dir_remove(path);
	return 0;
}

/* Ids from 1 on; every seventh has three recipients, every 50th is held. */
static void
fill(unsigned n)
{
	char	 from[40], to[120];

	for (unsigned i = 1; i <= n; i++) {
		snprintf(from, sizeof(from), "s%u@from%u.example", i, i % 10);
		snprintf(to, sizeof(to), i % 7 ? "r%u@to%u.example" :
		    "r%u@to%u.example x@other.example y@third.example", i,
		    i % 100);
		help_send(&h, i, from, to, 10);
	}
	queue_flush(h.q);
	for (unsigned i = 50; i <= n; i += 50)
		help_change(&h, i, CHANGE_HOLD, true);
	queue_flush(h.q);
	help_advance(1000);
}

static struct walk *
begin(enum walk_what what, const char *words)
{
	char		 copy[200], *argv[8];
	int		 argc = 0;
	struct walk	*w = walk_new(h.q, what, 7);

	strlcpy(copy, words, sizeof(copy));
	for (char *p = strtok(copy, " "); p != NULL; p = strtok(NULL, " "))
		argv[argc++] = p;
	assert_null(filter_parse(&w->filter, argc, argv));
	w->from = w->filter.id;
	return w;
}

static uint64_t	 changed, skipped, steps;

/* Messages that fit. */
static uint64_t
run(enum walk_what what, const char *words)
{
	struct walk	*w = begin(what, words);
	uint64_t	 n;

	for (steps = 1; walk_step(w); steps++)
		;
	n = w->fits;
	changed = w->changed;
	skipped = w->skipped;
	walk_free(w);
	return n;
}

static uint64_t	 rows, last_id, waiting;

static void
row(struct walk *w, const struct walk_msg *p, void *arg)
{
	(void)arg;
	assert_true(p->id > last_id);
	last_id = p->id;
	assert_int_equal(w->nwaiting, p->m.left);
	assert_true(buf_len(&w->to) > 0);
	waiting += w->nwaiting;
	rows++;
}

static uint64_t
list(const char *words)
{
	struct walk	*w = begin(WALK_LIST, words);

	rows = last_id = waiting = 0;
	w->row = row;
	while (walk_step(w))
		;
	assert_int_equal(rows, w->fits);
	walk_free(w);
	return rows;
}

static void
test_list(void **state)
{
	(void)state;
	assert_int_equal(list("all"), 0);
	fill(1000);
	assert_int_equal(list("all"), 1000);
	assert_int_equal(waiting, 1000 + 2 * (1000 / 7));
	assert_int_equal(list("state=held"), 20);
	assert_int_equal(list("state=waiting"), 980);
	assert_int_equal(list("sender=s777@from7.example"), 1);
	assert_int_equal(last_id, 777);
	assert_int_equal(list("domain=to3.example"), 10);
	assert_int_equal(list("domain=other.example"), 1000 / 7);
	assert_int_equal(list("rcpt=r1000@to0.example"), 1);
	assert_int_equal(list("domain=nowhere.example"), 0);
	assert_int_equal(run(WALK_COUNT, "all"), 1000);
	assert_int_equal(run(WALK_COUNT, "domain=third.example"), 1000 / 7);
}

static void
test_one(void **state)
{
	char	 word[ID_STRLEN];

	(void)state;
	fill(300);
	assert_int_equal(list(id_str(299, word)), 1);
	assert_int_equal(last_id, 299);
	assert_int_equal(list(id_str(301, word)), 0);
	assert_int_equal(run(WALK_REMOVE, id_str(299, word)), 1);
	assert_int_equal(list("all"), 299);
}

static uint64_t	 syncs;

static void
trace(const struct dio_event *e, void *arg)
{
	(void)arg;
	syncs += e->op == DIO_SYNC && strncmp(e->name, "seg.", 4) == 0;
}

static void
test_hold(void **state)
{
	struct dio_hook	 hook = { .trace = trace };

	(void)state;
	fill(3000);
	syncs = 0;
	dio_hook(&hook);
	assert_int_equal(run(WALK_HOLD, "all"), 3000);
	dio_hook(NULL);
	assert_int_equal(changed, 3000 - 60);
	assert_int_equal(h.q->held, 3000);
	/* Bounded batches, each with a sync; none a page. */
	assert_true(syncs > 0 && syncs <= 2 * steps);
	assert_true(steps >= 3);
	assert_int_equal(run(WALK_HOLD, "all"), 3000);
	assert_int_equal(changed, 0);
	assert_int_equal(run(WALK_RELEASE, "domain=to5.example"), 30);
	assert_int_equal(h.q->held, 2970);
	assert_int_equal(run(WALK_RELEASE, "all"), 3000);
	assert_int_equal(changed, 2970);
	assert_int_equal(h.q->held, 0);
	assert_int_equal(run(WALK_REMOVE, "sender=s1@from1.example"), 1);
	assert_int_equal(run(WALK_REMOVE, "all"), 2999);
	assert_int_equal(h.q->messages, 0);
}

/* Two walks step by step in turn: each message has one fate. */
static void
test_two(void **state)
{
	struct walk	*a, *b;
	bool		 more_a = true, more_b = true;

	(void)state;
	fill(5000);
	a = begin(WALK_HOLD, "all");
	b = begin(WALK_REMOVE, "domain=to4.example");
	while (more_a || more_b) {
		if (more_b)
			more_b = walk_step(b);
		if (more_a)
			more_a = walk_step(a);
	}
	assert_int_equal(b->changed, 50);
	assert_true(a->changed >= 4850 && a->changed <= 4900);
	walk_free(a);
	walk_free(b);
	assert_int_equal(h.q->messages, 4950);
	assert_int_equal(h.q->held, 4950);
	assert_int_equal(list("state=held"), 4950);
}

/* An end before the last step leaves whole messages. */
static void
test_stop(void **state)
{
	struct walk	*w;

	(void)state;
	fill(5000);
	w = begin(WALK_REMOVE, "all");
	assert_true(walk_step(w));
	assert_true(w->changed > 0 && w->changed < 5000);
	assert_int_equal(h.q->messages, 5000 - w->changed);
	walk_free(w);
	help_close(&h);
	help_open(&h, conf);
	assert_int_equal(list("all"), h.q->messages);
}

/* What is accepted meanwhile is not touched, nor are bounces it makes. */
static void
test_bounce(void **state)
{
	struct walk	*w;

	(void)state;
	fill(600);
	w = begin(WALK_BOUNCE, "all");
	help_advance(1);
	help_send(&h, 100000, "late@from.example", "r@to.example", 10);
	while (walk_step(w))
		;
	assert_int_equal(w->fits, 600);
	walk_free(w);
	help_advance(1);
	assert_int_equal(h.q->stats.bounced, 600);
	assert_int_equal(h.q->messages, 601);
	assert_int_equal(run(WALK_COUNT, "sender=late@from.example"), 1);
	assert_int_equal(run(WALK_COUNT, "sender=<>"), 600);
}

static struct job	*taken;

static void
take(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	(void)x;
	(void)r;
	(void)m;
	taken = j;
}

/* Only the recipients that the filter means, and none that is at work. */
static void
test_bounce_some(void **state)
{
	(void)state;
	help_send(&h, 1, "a@from.example", "r@one.example s@two.example "
	    "t@two.example", 10);
	queue_flush(h.q);
	help_advance(1000);
	h.can_hand = true;
	h.hand = take;
	queue_run(h.q);
	h.can_hand = false;
	assert_non_null(taken);
	/* The last one handed out runs, and so does the other. */
	assert_int_equal(run(WALK_BOUNCE, "domain=one.example"), 0);
	assert_int_equal(skipped, 1);
	help_close(&h);
	help_open(&h, conf);
	assert_int_equal(run(WALK_BOUNCE, "domain=two.example"), 1);
	assert_int_equal(run(WALK_COUNT, "rcpt=r@one.example"), 1);
	help_close(&h);
	help_open(&h, conf);
	assert_int_equal(list("sender=a@from.example"), 1);
	assert_int_equal(waiting, 1);
	assert_int_equal(run(WALK_BOUNCE, "all"), 1);
	assert_int_equal(run(WALK_COUNT, "sender=a@from.example"), 0);
	assert_int_equal(h.q->messages, 2);
}

static void
test_schedule(void **state)
{
	struct store_rcpt rc;

	(void)state;
	fill(700);
	help_advance(3600000);
	assert_int_equal(run(WALK_SCHEDULE, "all"), 700);
	for (unsigned i = 1; i <= 700; i++) {
		assert_true(store_rcpt_get(h.q->store, i, 0, &rc));
		assert_int_equal(rc.next_ms, queue_now(h.q));
	}
	if (h.q->nagain > 0)
		h.q->nagain = 0;
}

/* ---- what it costs ---- */

static double
now_s(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double	 first_s, began_s;

static void
row_first(struct walk *w, const struct walk_msg *p, void *arg)
{
	(void)w;
	(void)p;
	(void)arg;
	if (rows++ == 0)
		first_s = now_s() - began_s;
}

static double
cost(enum walk_what what, unsigned n)
{
	struct walk	*w = begin(what, "all");
	double		 s, step, worst = 0;
	uint64_t	 before = dio_syncs();
	bool		 more = true;

	w->row = row_first;
	rows = 0;
	began_s = now_s();
	while (more) {
		step = now_s();
		more = walk_step(w);
		step = now_s() - step;
		if (step > worst)
			worst = step;
		while (queue_housekeep(h.q))
			;
	}
	s = now_s() - began_s;
	print_message("%-8s %u: %.2f s, %.2f us each, longest step %.0f ms, "
	    "%.5f syncs each\n", walk_word(what), n, s, s * 1e6 / n,
	    worst * 1e3, (double)(dio_syncs() - before) / n);
	assert_int_equal(w->fits, n);
	walk_free(w);
	return s / n;
}

static void
test_cost(void **state)
{
	const char	*many = getenv("MANY"), *dir = getenv("MANYDIR");
	unsigned	 n = many != NULL ? (unsigned)atoi(many) : 20000;
	struct queue_params p;
	double		 few = 0, all;
	char		 to[40];
	int		 err = dup(2), null = open("/dev/null", O_WRONLY);

	(void)state;
	clock_fake(NULL, NULL);
	path = help_dir();
	if (dir != NULL && chdir(dir) == -1)
		fail_msg("%s", dir);
	memset(&h, 0, sizeof(h));
	queue_params_for_disk(&p);
	help_open_params(&h, conf, &p);
	dup2(null, 2);
	for (unsigned i = 1; i <= n; i++) {
		snprintf(to, sizeof(to), "r%u@to%u.example", i, i % 1000);
		h.nresults = 0;
		help_send(&h, i, "sender@from.example", to, 400);
		while (!segs_spare_ready(h.q->segs))
			queue_housekeep(h.q);
		if (i == 1000) {
			queue_flush(h.q);
			usleep(2000);
			dup2(err, 2);
			few = cost(WALK_LIST, 1000);
			dup2(null, 2);
		}
	}
	queue_flush(h.q);
	usleep(2000);
	dup2(err, 2);
	all = cost(WALK_LIST, n);
	print_message("the first row after %.4f s\n", first_s);
	assert_true(first_s < 0.1);
	/* Nearly the same for each, whatever their number; 3 us are for what
	 * the page cache has of the rows. */
	assert_true(all < 4 * few + 3e-6);
	cost(WALK_COUNT, n);
	dup2(null, 2);
	for (int i = WALK_SCHEDULE; i <= WALK_REMOVE; i++) {
		dup2(null, 2);
		assert_true(cost(i, n) < 1e-3);
	}
	dup2(err, 2);
	help_close(&h);
	if (dir == NULL)
		help_dir_remove(path);
	close(err);
	close(null);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounce_some, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_schedule, setup,
		    teardown),
		cmocka_unit_test(test_cost),
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
