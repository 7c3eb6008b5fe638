/*
 * queued's schedule: destinations take turns, have a bound of jobs at a time,
 * go down and come back; many messages are an index, not a list that is walked;
 * what is paused; what a full disk and long changes do.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/rand.h"
#include "queued/dest.h"
#include "queued/diskio.h"
#include "regress/lib/queuehelp.h"

#define MIN	INT64_C(60000)
#define DAY	(24 * 60 * MIN)
#define MANY	20000
#define SEEN	(2 * MANY)

static const char	*path;
static struct conf	*conf;
static struct help	 h;
static struct seen {
	uint64_t	 id;
	char		 domain[40];
	bool		 bounce;
	struct job	*job;
} seen[SEEN];
static size_t		 nseen;
static enum d_status	 reply_status;
static enum d_dest	 reply_dest;
static bool		 keep;

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	struct seen	*s = &seen[nseen++ % SEEN];

	(void)r;
	*s = (struct seen){ .id = j->id, .job = j,
	    .bounce = m->flags & MSG_BOUNCE };
	strlcpy(s->domain, j->dest->domain, sizeof(s->domain));
	if (!keep)
		help_end(x, j, reply_status, "450 4.2.0 a reply", reply_dest);
}

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	memset(&h, 0, sizeof(h));
	h.can_hand = true;
	h.hand = hand;
	nseen = 0;
	keep = false;
	reply_status = D_OK;
	reply_dest = D_DEST_OK;
	help_clock();
	help_open(&h, conf);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	dio_hook(NULL);
	help_close(&h);
	help_dir_remove(path);
	return 0;
}

static int64_t
settle(void)
{
	int64_t	 wait;
	size_t	 before;

	do {
		before = nseen;
		queue_flush(h.q);
		wait = queue_run(h.q);
		queue_flush(h.q);
	} while (nseen != before);
	return wait;
}

static void
send_to(uint64_t id, const char *to)
{
	help_send(&h, id, "a@example.org", to, 20);
}

static void
send_nth(uint64_t id, unsigned n)
{
	char	 to[64];

	snprintf(to, sizeof(to), "u@d%u.example", n);
	send_to(id, to);
}

/* A destination with a thousand messages does not keep others waiting. */
static void
test_fair(void **state)
{
	unsigned	 big = 0;

	(void)state;
	keep = true;
	for (unsigned i = 0; i < 1000; i++)
		send_to(1000 + i, "u@big.example");
	for (unsigned i = 0; i < 10; i++)
		send_nth(1 + i, i);
	queue_flush(h.q);
	queue_run(h.q);
	/* In the first 20 each of the small ones has had its turn. */
	for (size_t i = 0; i < 20; i++)
		big += strcmp(seen[i].domain, "big.example") == 0;
	assert_int_equal(big, 10);
	/* And no more than its window at a time, oldest first. */
	assert_int_equal(nseen, 10 + DEST_WINDOW);
	for (uint64_t i = 0, id = 1000; i < nseen; i++)
		if (strcmp(seen[i].domain, "big.example") == 0)
			assert_true(seen[i].id == id++);
	/* Each that ends makes room, and success makes more. */
	for (size_t i = 0; i < nseen && nseen < 900; i++)
		help_end(&h, seen[i].job, D_OK, "250", D_DEST_OK),
		    settle();
	assert_true(seen[nseen - 1].job->dest->window == 40);
	keep = false;
	for (size_t i = 0, n = nseen; i < n; i++)
		if (job_find(h.q, seen[i].id, dest_of(conf, span_str("relay"),
		    span_str(seen[i].id < 1000 ? "u@x" : "u@big.example"),
		    span_str(""), span_str(""), (char[256]){ 0 })) != NULL)
			help_end(&h, seen[i].job, D_OK, "250", D_DEST_OK);
	settle();
	assert_int_equal(nseen, 1010);
}

static void
test_down_and_back(void **state)
{
	int64_t	 wait;
	size_t	 tries = 0;

	(void)state;
	reply_status = D_TEMP;
	reply_dest = D_DEST_DOWN;
	for (unsigned i = 0; i < 100; i++)
		send_to(1 + i, "u@away.example");
	/* One after another is handed until the first says that it is down. */
	wait = settle();
	assert_int_equal(nseen, 1);
	assert_int_equal(h.q->nready, 99);
	assert_true(wait >= 1000);
	/* An hour of probes, one at a time. */
	for (int i = 0; i < 60; i++) {
		help_advance(MIN);
		settle();
		tries++;
	}
	assert_true(nseen > 12 && nseen < 30);
	/* With no deliverd there is no turning in circles. */
	h.can_hand = false;
	help_advance(10 * MIN);
	assert_true(settle() > 0);
	h.can_hand = true;
	/* A message that was held meanwhile says nothing about the server. */
	for (uint64_t id = 1; id <= 100; id++)
		help_change(&h, id, CHANGE_HOLD, true);
	settle();
	assert_true(h.q->nready == 0);
	for (uint64_t id = 1; id <= 100; id++)
		help_change(&h, id, CHANGE_HOLD, false);
	tries = nseen;
	reply_status = D_OK;
	reply_dest = D_DEST_OK;
	/* It is back: all is delivered, also what was not due yet. */
	settle();
	assert_int_equal(nseen - tries, 100);
	assert_int_equal(h.q->messages, 0);
}

/* What waits for a server that stays away expires, and is told. */
static void
test_expire_while_down(void **state)
{
	(void)state;
	reply_status = D_TEMP;
	reply_dest = D_DEST_DOWN;
	for (unsigned i = 0; i < 50; i++)
		send_to(1 + i, "u@away.example");
	settle();
	help_advance(5 * DAY);
	settle();
	help_advance(2 * MIN);
	settle();
	assert_int_equal(h.q->stats.expired, 50);
	assert_int_equal(h.q->stats.bounced, 50);
	assert_int_equal(h.q->messages, 50);	/* the bounces */
	for (size_t i = 0; i < nseen; i++)
		assert_true(seen[i].bounce || seen[i].id <= 50);
	assert_true(map_count(h.q->jobs) == h.q->nready);
	help_advance(9 * DAY);		/* they are given up in silence */
	settle();
	help_advance(9 * MIN);
	settle();
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(h.q->stats.bounced, 50);
	/* Whom nobody asks for is forgotten. */
	help_advance(DAY);
	settle();
	assert_int_equal(map_count(h.q->dests), 0);
}

/* An action gets servers of its own by a reload while a job of it runs: the
 * job is not begun a second time under its new destination. */
static void
test_reload(void **state)
{
	static struct conf *other;

	(void)state;
	other = help_conf();
	keep = true;
	send_to(1, "u@a.example");
	settle();
	h.can_hand = false;
	send_to(2, "u@a.example");
	settle();
	other->actions[0]->dests = other->actions[1]->dests;
	other->actions[0]->ndests = 1;
	queue_conf(h.q, other);
	h.can_hand = true;
	settle();
	assert_true(nseen == 2 && seen[1].id == 2);
	assert_string_equal(seen[1].domain, "");
	help_end(&h, seen[0].job, D_TEMP, "450", D_DEST_OK);
	help_end(&h, seen[1].job, D_OK, "250", D_DEST_OK);
	settle();
	keep = false;
	help_advance(2 * MIN);
	settle();
	assert_true(nseen == 3 && seen[2].id == 1);
	assert_int_equal(h.q->messages, 0);
	queue_conf(h.q, conf);
}

static double
cpu_ms(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* 20,000 that wait for later cost nothing until then, 20,000 that are due are
 * each handed once. */
static void
test_many(void **state)
{
	double		 t;

	(void)state;
	reply_status = D_TEMP;
	t = cpu_ms();
	for (unsigned i = 0; i < MANY; i++) {
		send_nth(1 + i, i % 500);
		if (i % 100 == 99)
			settle();
	}
	settle();
	assert_int_equal(nseen, MANY);
	assert_int_equal(h.q->messages, MANY);
	assert_int_equal(map_count(h.q->jobs), 0);
	print_message("%d accepted, tried and deferred: %.1f us CPU each\n",
	    MANY, (cpu_ms() - t) * 1e3 / MANY);
	t = cpu_ms();
	for (int i = 0; i < 10000; i++) {
		help_advance(1);
		queue_run(h.q);
	}
	t = cpu_ms() - t;
	print_message("10000 turns beside them: %.2f us CPU each\n", t / 10);
	assert_true(t < 1000);		/* a walk would take minutes */
	help_advance(5 * MIN);
	reply_status = D_OK;
	t = cpu_ms();
	while (nseen < 2 * MANY) {
		size_t	 n = nseen;

		settle();
		assert_true(nseen > n);
	}
	print_message("all delivered at once: %.1f us CPU each\n",
	    (cpu_ms() - t) * 1e3 / MANY);
	assert_int_equal(h.q->messages, 0);
	assert_true(map_count(h.q->jobs) == 0 && h.q->nready == 0);
}

/* Jobs in memory have a bound; what lies beyond is fetched in its turn. */
static void
test_backlog(void **state)
{
	unsigned char	*got = calloc(1, 3 * READY_MAX + 1);

	(void)state;
	h.can_hand = false;
	for (unsigned i = 0; i < 3 * READY_MAX; i++)
		send_to(1 + i, "u@one.example");
	settle();
	assert_int_equal(h.q->nready, READY_MAX);
	h.can_hand = true;
	settle();
	assert_int_equal(nseen, 3 * READY_MAX);
	for (size_t i = 0; i < nseen; i++)
		assert_true(got[seen[i].id]++ == 0);
	assert_int_equal(h.q->messages, 0);
	free(got);
}

static void
test_pauses(void **state)
{
	(void)state;
	queue_pause_mta(h.q, true);
	send_to(1, "u@a.example");
	send_to(2, "u@b.example");
	settle();
	assert_int_equal(nseen, 0);
	assert_true(queue_pause_dest(h.q, span_str("a.example"), true));
	queue_pause_mta(h.q, false);
	settle();
	assert_true(nseen == 1 && seen[0].id == 2);
	/* A restart does not resume anything, also not a second one. */
	for (int i = 0; i < 3; i++) {
		help_close(&h);
		help_open(&h, conf);
		settle();
		assert_int_equal(nseen, 1);
		assert_false(h.q->mta_paused);
		assert_int_equal(map_count(h.q->paused), 1);
	}
	assert_true(queue_pause_dest(h.q, span_str("relay"), true));
	assert_true(queue_pause_dest(h.q, span_str("a.example"), false));
	settle();
	assert_int_equal(nseen, 1);
	assert_true(queue_pause_dest(h.q, span_str("relay"), false));
	settle();
	assert_int_equal(nseen, 2);
}

/* All messages of a page get a change at once: more than a segment holds. */
static void
test_long_changes(void **state)
{
	static char	 to[300 * 24];
	size_t		 n = 0;
	struct store_rcpt rc;

	(void)state;
	for (int i = 0; i < 300; i++)
		n += (size_t)snprintf(to + n, sizeof(to) - n,
		    "user%03d@many.example ", i);
	reply_status = D_TEMP;
	for (uint64_t id = 1; id <= 40; id++)
		help_send(&h, id, "a@example.org", to, 50);
	settle();
	/* Each is three jobs, of a hundred recipients. */
	assert_int_equal(nseen, 3 * 40);
	for (uint64_t id = 1; id <= 40; id++)
		help_change(&h, id, 0, false);
	assert_true(buf_len(&h.q->changes) > 2 * h.q->params.seg_size);
	reply_status = D_OK;
	settle();
	assert_int_equal(nseen, 3 * 80);
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(h.recorded, 40 * 300 * 2);
	assert_int_equal(buf_len(&h.q->changes), 0);
	assert_false(store_rcpt_get(h.q->store, 1, 0, &rc));
}

/* As many recipients as go into a record, each with the longest reply. */
static void
test_long_replies(void **state)
{
	static char	 to[1000 * 24], reply[900];
	size_t		 n = 0;
	struct store_rcpt rc;

	(void)state;
	for (int i = 0; i < 999; i++)
		n += (size_t)snprintf(to + n, sizeof(to) - n,
		    "user%03d@many.example ", i);
	keep = true;
	memset(reply, 'x', sizeof(reply) - 1);
	help_send(&h, 1, "a@example.org", to, 50);
	settle();
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(nseen, i + 1);
		help_end(&h, seen[i].job, D_TEMP, reply, D_DEST_OK);
		settle();
	}
	assert_int_equal(nseen, 10);
	assert_int_equal(h.recorded, 999);
	assert_true(store_rcpt_get(h.q->store, 1, 998, &rc));
	assert_true(rc.attempt == 1 && rc.reason.len >= 40);
	help_advance(3 * MIN);
	settle();
	for (size_t i = 10; i < nseen; i++) {
		help_end(&h, seen[i].job, seen[i].bounce ? D_OK : D_PERM,
		    reply, D_DEST_OK);
		settle();
	}
	assert_true(h.q->stats.bounced > 0 && h.q->stats.bounced <= 30);
	assert_int_equal(nseen, 20 + h.q->stats.bounced);
	assert_int_equal(h.recorded, 2 * 999 + h.q->stats.bounced);
	assert_int_equal(h.q->messages, 0);
}

static void
test_closed(void **state)
{
	(void)state;
	reply_status = D_TEMP;
	send_to(1, "u@a.example");
	settle();
	conf->reserve = UINT64_MAX / 4;	/* more than any disk has */
	space_check(h.q, true);
	assert_true(h.q->closed);
	send_to(2, "u@a.example");
	assert_true(h.nresults == 2 && h.results[1].status == Q_FULL);
	/* What is there is delivered all the same. */
	reply_status = D_OK;
	help_advance(2 * MIN);
	settle();
	assert_int_equal(h.q->messages, 0);
	conf->reserve = 0;
	space_check(h.q, true);
	assert_false(h.q->closed);
	send_to(3, "u@a.example");
	settle();
	assert_int_equal(h.results[2].status, Q_OK);
}

/* The disk fills up under a batch: refused, and never delivered. */
static int	fail_from, fail_to, writes;

static int
full(const struct dio_event *e, void *arg)
{
	(void)arg;
	if (e->op != DIO_WRITE || strncmp(e->name, "seg.", 4) != 0)
		return 0;
	writes++;
	return writes > fail_from && writes <= fail_to ? ENOSPC : 0;
}

static void
test_full(void **state)
{
	struct dio_hook	 hook = { .inject = full };

	(void)state;
	while (queue_housekeep(h.q) && h.q->reserve_there)
		;
	send_to(1, "u@a.example");
	settle();
	dio_hook(&hook);
	writes = 0;
	fail_from = 0;
	fail_to = 1;
	send_to(2, "u@a.example");
	send_to(3, "u@a.example");
	settle();
	assert_true(h.nresults == 3 && h.results[1].status == Q_FULL &&
	    h.results[2].status == Q_FULL);
	send_to(4, "u@a.example");
	settle();
	assert_int_equal(h.results[3].status, Q_OK);
	assert_true(nseen == 2 && seen[1].id == 4);
	dio_hook(NULL);
	help_close(&h);
	help_open(&h, conf);
	settle();
	assert_true(nseen == 2 && h.q->messages == 0);
	assert_false(queue_has(h.q, 2));
	assert_true(queue_has(h.q, 4));
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_fair), T(test_down_and_back),
		T(test_expire_while_down), T(test_reload), T(test_many),
		T(test_backlog),
		T(test_pauses), T(test_long_changes), T(test_long_replies),
		T(test_closed), T(test_full),
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
