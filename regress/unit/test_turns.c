/*
 * Whose turn it is: senders of one destination take turns, however much one of
 * them has, whether it waits in memory or in the index, and however many
 * recipients his message has.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/base/rand.h"
#include "queued/dest.h"
#include "regress/lib/queuehelp.h"

#define SEEN	40000
#define BULK	10000
#define RCPTS	2000		/* a segment of the test holds no more */

static const char	*path;
static struct conf	*conf;
static struct help	 h;
static struct seen {
	uint64_t	 id;
	size_t		 nrcpts;
	char		 from[40];
} seen[SEEN];
static size_t		 nseen;
static bool		 keep;		/* nothing ends */
static enum d_dest	 dest;
static struct job	*last;

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	struct seen	*s = &seen[nseen++];

	(void)r;
	s->id = j->id;
	s->nrcpts = j->nrcpts;
	span_cstr(m->from, s->from, sizeof(s->from));
	last = j;
	if (!keep)
		help_end(x, j, dest == D_DEST_OK ? D_OK : D_TEMP,
		    "250 2.0.0 x", dest);
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
	dest = D_DEST_OK;
	help_clock();
	help_open(&h, conf);
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
settle(void)
{
	size_t	 before;
	int64_t	 wait;

	do {
		before = nseen;
		queue_flush(h.q);
		wait = queue_run(h.q);
		queue_flush(h.q);
	} while (nseen != before || wait == 0);
}

static void
send_from(uint64_t id, const char *from)
{
	help_send(&h, id, from, "u@big.example", 20);
	if (id % 100 == 0)
		queue_flush(h.q);
}

/* Where in the order of turns the first message of this sender came. */
static size_t
place(const char *from)
{
	for (size_t i = 0; i < nseen; i++)
		if (strcmp(seen[i].from, from) == 0)
			return i;
	fail_msg("%s had no turn", from);
	return 0;
}

static void
all_once(size_t n)
{
	unsigned char	*got = calloc(1, 2 * SEEN);

	assert_int_equal(nseen, n);
	for (size_t i = 0; i < nseen; i++)
		assert_true(seen[i].id < 2 * SEEN && got[seen[i].id]++ == 0);
	free(got);
}

/* 10,000 messages of one sender, then a few of others: each of those is among
 * the first, in memory. */
static void
test_bulk(void **state)
{
	char	 from[40];

	(void)state;
	h.can_hand = false;
	settle();
	for (uint64_t i = 1; i <= BULK; i++)
		send_from(i, "bulk@a.example");
	for (uint64_t i = 1; i <= 20; i++) {
		snprintf(from, sizeof(from), "s%u@b.example", (unsigned)i);
		send_from(BULK + i, from);
	}
	queue_flush(h.q);
	queue_run(h.q);
	assert_true(h.q->nready <= READY_MAX);
	h.can_hand = true;
	settle();
	for (unsigned i = 1; i <= 20; i++) {
		snprintf(from, sizeof(from), "s%u@b.example", i);
		assert_true(place(from) <= 20);
	}
	all_once(BULK + 20);
	/* One sender's, oldest first. */
	for (size_t i = 0, last_id = 0; i < nseen; i++)
		if (seen[i].id <= BULK) {
			assert_true(seen[i].id > last_id);
			last_id = seen[i].id;
		}
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(map_count(h.q->senders), 0);
}

/* The same after a restart, where all that is known is the index. */
static void
test_restart(void **state)
{
	(void)state;
	h.can_hand = false;
	for (uint64_t i = 1; i <= 3000; i++)
		send_from(i, i == 2500 ? "one@b.example" : "bulk@a.example");
	queue_flush(h.q);
	help_close(&h);
	help_open(&h, conf);
	for (int i = 0; i < 20; i++)
		queue_run(h.q);
	h.can_hand = true;
	settle();
	assert_true(place("one@b.example") <= 2);
	all_once(3000);
	assert_int_equal(h.q->messages, 0);
}

/* A destination comes back: its backlog at once, oldest first, each sender in
 * his turn; and nothing is handed out twice. */
static void
test_back(void **state)
{
	size_t	 before;

	(void)state;
	dest = D_DEST_DOWN;
	for (uint64_t i = 1; i <= 4000; i++)
		send_from(i, i > 3990 ? "late@b.example" : i % 2 ?
		    "x@a.example" : "y@a.example");
	settle();
	assert_int_equal(nseen, 1);
	help_advance(60000);
	settle();
	dest = D_DEST_OK;
	before = nseen;
	help_advance(600000);
	settle();
	assert_int_equal(nseen - before, 4000);
	assert_int_equal(h.q->messages, 0);
	/* Each takes its turns from the first one on. */
	for (size_t i = before; i < nseen; i++)
		if (strcmp(seen[i].from, "late@b.example") == 0) {
			assert_true(i - before <= 10);
			break;
		}
}

/* A message with 2,000 recipients has a turn for each hundred of them. */
static void
test_rcpts(void **state)
{
	char	*to = malloc(RCPTS * 24);
	size_t	 n = 0;

	(void)state;
	conf->limits.recipients = RCPTS;
	for (int i = 0; i < RCPTS; i++)
		n += (size_t)snprintf(to + n, 24, "u%d@big.example ", i);
	keep = true;
	help_send(&h, 1, "bulk@a.example", to, 20);
	free(to);
	queue_flush(h.q);
	queue_run(h.q);
	assert_true(nseen == 1 && seen[0].nrcpts == JOB_RCPTS);
	send_from(2, "one@b.example");
	queue_flush(h.q);
	queue_run(h.q);
	assert_true(nseen == 2 && seen[1].id == 2);
	help_end(&h, last, D_OK, "250", D_DEST_OK);
	/* The first hundred end: with others there it is not at once its turn
	 * again. */
	for (uint64_t id = 3; id < 6; id++)
		send_from(id, "one@b.example");
	keep = false;
	help_end(&h, job_find(h.q, 1, dest_of(conf, span_str("relay"),
	    span_str("u@big.example"), span_str(""), span_str(""),
	    (char[CONF_TARGET_MAX]){ 0 })), D_OK, "250", D_DEST_OK);
	settle();
	assert_int_equal(h.q->messages, 0);
	n = 0;
	for (size_t i = 0; i < nseen; i++) {
		assert_true(seen[i].nrcpts <= JOB_RCPTS);
		n += seen[i].id == 1 ? seen[i].nrcpts : 0;
	}
	assert_int_equal(n, RCPTS);
	for (size_t i = 2; i < 5; i++)
		assert_true(place("one@b.example") == 1 && i < nseen);
	conf->limits.recipients = 1000;
}

/* More senders than memory has places for: all get their turn, once. */
static void
test_many_senders(void **state)
{
	char	 from[40];

	(void)state;
	h.can_hand = false;
	for (uint64_t i = 1; i <= 3 * READY_MAX; i++) {
		snprintf(from, sizeof(from), "s%u@b.example", (unsigned)i);
		send_from(i, from);
	}
	queue_flush(h.q);
	queue_run(h.q);
	assert_true(h.q->nready <= READY_MAX);
	assert_true(map_count(h.q->senders) <= READY_MAX + 1);
	h.can_hand = true;
	settle();
	all_once(3 * READY_MAX);
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(map_count(h.q->senders), 0);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_bulk), T(test_restart), T(test_back), T(test_rcpts),
		T(test_many_senders),
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
