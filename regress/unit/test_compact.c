/*
 * Removal of queued's segments: strictly oldest first, never one in which a
 * message lives, messages that stay are copied forward with all that is known
 * of them; the files don't grow without end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>

#include "common/base/rand.h"
#include "queued/diskio.h"
#include "regress/lib/queuehelp.h"

#define MIN	INT64_C(60000)

static const char	*path;
static struct conf	*conf;
static struct help	 h;
static size_t		 nseen;
static enum d_status	 reply_status;
static struct buf	 last;		/* recipients of the last, as text */

/* What went, in order. */
static uint64_t		 gone[1024];
static size_t		 ngone;
static size_t		 unflushed;	/* writes of the index since its sync */

static void
trace(const struct dio_event *e, void *arg)
{
	unsigned long long n;

	(void)arg;
	if (e->op == DIO_WRITE && strncmp(e->name, "log.", 4) == 0)
		unflushed++;
	if (e->op == DIO_SYNC && strncmp(e->name, "log.", 4) == 0)
		unflushed = 0;
	if ((e->op == DIO_UNLINK || e->op == DIO_RENAME) &&
	    sscanf(e->name, "seg.%llx", &n) == 1) {
		gone[ngone++ % 1024] = n;
		/* What the index knows of it is durable before. */
		assert_int_equal(unflushed, 0);
	}
}

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	struct rec_rcpt	 e;
	struct span	 s = m->rcpts;

	nseen++;
	assert_true(help_content_ok(j->id, r->content));
	assert_true(span_is(r->prefix, "Received: by test\r\n"));
	buf_reset(&last);
	while (rec_rcpt_next(&s, m->version, &e)) {
		buf_span(&last, e.to);
		buf_str(&last, " ");
		buf_span(&last, e.orcpt);
		buf_fmt(&last, " %u %u;", e.state, e.notify);
		if (e.orig.len > 0)
			buf_fmt(&last, "%.*s;", (int)e.orig.len, e.orig.p);
	}
	help_end(x, j, reply_status, "450 4.2.0 why", D_DEST_OK);
}

static int
enter(void **state)
{
	static const struct dio_hook hook = { .trace = trace };

	(void)state;
	path = help_dir();
	memset(&h, 0, sizeof(h));
	h.can_hand = true;
	h.hand = hand;
	nseen = ngone = unflushed = 0;
	reply_status = D_OK;
	help_clock();
	dio_hook(&hook);
	buf_init(&last, 65536);
	help_open(&h, conf);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	help_close(&h);
	dio_hook(NULL);
	buf_clear(&last);
	help_dir_remove(path);
	return 0;
}

static void
settle(void)
{
	size_t	 before;

	do {
		before = nseen;
		queue_flush(h.q);
		queue_run(h.q);
		queue_flush(h.q);
	} while (nseen != before);
}

static void
house(void)
{
	for (int i = 0; i < 1000 && queue_housekeep(h.q); i++)
		;
	settle();
}

static void
in_order(void)
{
	for (size_t i = 0; i < ngone && i < 1024; i++)
		assert_true(gone[i] == i + 1);
}

/* Everything is delivered at once: three segments are enough for ever. */
static void
test_flow(void **state)
{
	size_t	 most = 0;

	(void)state;
	for (uint64_t id = 1; id <= 3000; id++) {
		help_send(&h, id, "a@example.org", "b@x.example", 2000);
		if (id % 10 == 0) {
			settle();
			house();
		}
		if (segs_count(h.q->segs) > most)
			most = segs_count(h.q->segs);
	}
	assert_int_equal(nseen, 3000);
	assert_true(ngone > 20);
	assert_true(most <= 3);
	in_order();
}

/* Some stay: they are carried along, the rest goes. */
static void
test_some_stay(void **state)
{
	size_t		 most = 0;
	struct store_msg m;

	(void)state;
	reply_status = D_TEMP;
	for (uint64_t id = 1; id <= 20; id++)
		help_send(&h, id, "a@example.org", "b@x.example c@x.example",
		    1000 + id);
	settle();
	assert_int_equal(nseen, 20);
	help_change(&h, 20, CHANGE_HOLD, true);
	reply_status = D_OK;
	for (uint64_t id = 101; id <= 4000; id++) {
		help_send(&h, id, "a@example.org", "b@y.example", 2000);
		if (id % 20 == 0) {
			settle();
			house();
		}
		if (segs_count(h.q->segs) > most)
			most = segs_count(h.q->segs);
	}
	assert_true(ngone > 20);
	in_order();
	assert_true(most <= 5);
	assert_int_equal(h.q->messages, 20);
	assert_int_equal(h.q->held, 1);
	for (uint64_t id = 1; id <= 20; id++) {
		assert_true(store_msg_get(h.q->store, id, &m));
		assert_true(segs_have(h.q->segs, m.segment));
	}
	/* Made anew from the segments alone they are the same. */
	for (int i = 0; i < 2; i++) {
		help_close(&h);
		if (i == 1)
			assert_int_equal(system("rm -f log.* *.db"), 0);
		help_open(&h, conf);
		assert_true(h.q->messages == 20 && h.q->held == 1);
		settle();
	}
	nseen = 0;
	help_advance(2 * MIN);
	settle();
	assert_int_equal(nseen, 19);
	help_change(&h, 20, CHANGE_HOLD, false);
	settle();
	assert_int_equal(nseen, 20);
	assert_int_equal(h.q->messages, 0);
	house();
	assert_true(segs_count(h.q->segs) <= 2);
}

/* All that is known of a message goes along. */
static void
test_whole(void **state)
{
	struct rec_msg	 m = { .from = span_str("a@b.example"),
			    .envid = span_str("e1"), .tag = span_str("tag"),
			    .auth = span_str("user"),
			    .helo = span_str("client") };
	struct rec_rcpt	 r = { .action = span_str("relay"), .notify = 4 };
	struct store_rcpt rc;
	struct rec	 rec;
	struct rec_msg	 e;
	struct txn	*t;
	const char	*why;
	struct job	*j;

	(void)state;
	h.can_hand = false;
	assert_non_null(t = txn_begin(h.q, &h, 1, 1, &m));
	for (int i = 0; i < 3; i++) {
		static const char *const to[] = { "u@x.example", "v@y.example",
		    "w@z.example" };

		r.to = span_str(to[i]);
		r.orcpt = span_str(i == 1 ? "rfc822;old@example" : "");
		r.orig = span_str(i == 1 ? "alias@y.example" : "");
		r.group = i == 2 ? 1 : (uint32_t)i;
		r.flags = i == 2 ? RCPT_F_ARCHIVE : 0;
		assert_int_equal(txn_rcpt(t, &r), 0);
	}
	txn_commit(t, span_str("Received: by test\r\n"), span_str(""), 0);
	queue_flush(h.q);
	/* One is done, one deferred, one not tried. */
	assert_non_null(j = job_adopt(h.q, 1, 0, 1));
	help_result(&h, j, NULL, 1, 0, D_OK, "250 fine");
	assert_non_null(j = job_adopt(h.q, 1, 1, 1));
	help_result(&h, j, NULL, 1, 1, D_TEMP, "450 later");
	queue_flush(h.q);
	for (uint64_t id = 100; segs_oldest(h.q->segs) < 3; id++) {
		help_send(&h, id, "a@example.org", "b@x.example", 2000);
		queue_flush(h.q);
		help_change(&h, id, CHANGE_REMOVE, false);
		queue_flush(h.q);
		house();
		assert_true(id < 2000);
	}
	for (int i = 0; i < 2; i++) {
		assert_true(load_record(h.q, 1, &rec));
		assert_int_equal(rec.kind, REC_SNAPSHOT);
		assert_int_equal(rec_msg_decode(rec.env, rec.version, &e,
		    &why), PARSE_OK);
		assert_true(span_is(e.envid, "e1") && span_is(e.tag, "tag") &&
		    span_is(e.auth, "user") && span_is(e.helo, "client"));
		assert_true(store_rcpt_get(h.q->store, 1, 0, &rc) &&
		    rc.state == RCPT_DONE);
		assert_true(store_rcpt_get(h.q->store, 1, 1, &rc) &&
		    rc.state == RCPT_WAITING && rc.attempt == 1 &&
		    span_is(rc.reason, "450 later") &&
		    span_is(rc.server, "s") && rc.group == 1);
		assert_true(store_rcpt_get(h.q->store, 1, 2, &rc) &&
		    rc.state == RCPT_WAITING && rc.attempt == 0 &&
		    rc.group == 1 && rc.flags == RCPT_F_ARCHIVE);
		help_close(&h);
		assert_int_equal(system("rm -f log.* *.db"), 0);
		help_open(&h, conf);
	}
	h.can_hand = true;
	settle();
	assert_string_equal(buf_cstr(&last), "u@x.example  1 4;"
	    "v@y.example rfc822;old@example 0 4;alias@y.example;w@z.example  0 4;");
	help_advance(2 * MIN);
	settle();
	assert_int_equal(h.q->messages, 0);
}

/* With so many recipients that their replies fill half a segment. */
static void
test_many_rcpts(void **state)
{
	static char	 to[900 * 30];
	size_t		 n = 0;

	(void)state;
	for (int i = 0; i < 900; i++)
		n += (size_t)snprintf(to + n, sizeof(to) - n,
		    "recipient%03d@many.example ", i);
	reply_status = D_TEMP;
	help_send(&h, 1, "a@example.org", to, 60000);
	settle();
	reply_status = D_OK;
	for (uint64_t id = 100; segs_oldest(h.q->segs) < 4; id++) {
		help_send(&h, id, "a@example.org", "b@x.example", 20000);
		settle();
		house();
		assert_true(id < 2000);
	}
	assert_int_equal(h.q->messages, 1);
	help_advance(2 * MIN);
	settle();
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(h.recorded, (unsigned)h.q->stats.delivered + 900);
}

/* Content in a file stays where it is. */
static void
test_body(void **state)
{
	uint8_t		*p = malloc(200000);
	int		 fd;

	(void)state;
	h.can_hand = false;
	help_send(&h, 1, "a@example.org", "b@x.example", 200000);
	queue_flush(h.q);
	for (uint64_t id = 100; segs_oldest(h.q->segs) < 3; id++) {
		help_send(&h, id, "a@example.org", "b@x.example", 20000);
		queue_flush(h.q);
		help_change(&h, id, CHANGE_REMOVE, false);
		queue_flush(h.q);
		house();
		assert_true(id < 2000);
	}
	help_close(&h);
	help_open(&h, conf);
	assert_true((fd = body_open(1, false)) != -1);
	assert_int_equal(dio_pread(fd, p, 200000, 0), 200000);
	assert_true(help_content_ok(1, span(p, 200000)));
	dio_close(fd);
	help_change(&h, 1, CHANGE_REMOVE, false);
	queue_flush(h.q);
	assert_false(dio_exists("body.0000000000000001"));
	free(p);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_flow), T(test_some_stay), T(test_whole),
		T(test_many_rcpts), T(test_body),
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
