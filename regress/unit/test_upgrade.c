/*
 * A queue that the first version of the format wrote (format1.tar.xz: an
 * environment in its working order, segments of 256 KiB, one segment) is opened
 * by this one: every message is there as it was, and is delivered; so it is
 * when the index is made anew. What is in it:
 *
 *	1	waits, its destination paused; 1,000 bytes
 *	2	held, with all of an envelope
 *	3	three recipients: one delivered, two deferred
 *	4	deferred once; 500 bytes
 *	5	failed: its bounce waits in its place, to failed@from.example
 *	6	waits, paused; 70,000 bytes in a file of its own
 *	7	delivered, gone
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <limits.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "queued/diskio.h"
#include "regress/lib/queuehelp.h"

static struct conf	*conf;
static const char	*path;
static char		 tarball[PATH_MAX];
static struct help	 h;
static unsigned		 got[8], bounces;

static int
setup(void **state)
{
	char	 cmd[PATH_MAX + 32];

	(void)state;
	path = help_dir();
	snprintf(cmd, sizeof(cmd), "tar -xJf '%s'", tarball);
	if (system(cmd) != 0)
		return -1;
	memset(&h, 0, sizeof(h));
	memset(got, 0, sizeof(got));
	bounces = 0;
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

static struct store_rcpt
rcpt(uint64_t id, uint32_t n)
{
	struct store_rcpt r;

	assert_true(store_rcpt_get(h.q->store, id, n, &r));
	return r;
}

static void
check_content(uint64_t id, size_t len)
{
	struct rec	 r;
	static uint8_t	 buf[80000];
	int		 fd;

	assert_true(load_record(h.q, id, &r));
	assert_true(span_is(r.prefix, "Received: by test\r\n"));
	if (len <= REC_CONTENT_MAX) {
		assert_int_equal(r.content.len, len);
		assert_true(help_content_ok(id, r.content));
		return;
	}
	assert_int_not_equal(fd = body_open(id, false), -1);
	assert_int_equal(dio_pread(fd, buf, sizeof(buf), 0), len);
	assert_true(help_content_ok(id, span(buf, len)));
	dio_close(fd);
}

/* The one with all of an envelope. */
static void
check_held(void)
{
	struct store_msg m;
	struct rec	 r;
	struct rec_msg	 e;
	struct rec_rcpt	 rc;
	const char	*why;
	char		 addr[ADDR_STRLEN];

	assert_true(store_msg_get(h.q->store, 2, &m));
	assert_true(m.held);
	assert_true(load_record(h.q, 2, &r));
	assert_int_equal(rec_msg_decode(r.env, r.version, &e, &why), PARSE_OK);
	assert_true(span_is(e.from, "full@from.example"));
	assert_true(span_is(e.envid, "QQ+3D1"));
	assert_true(span_is(e.rdns, "client.example"));
	assert_true(span_is(e.helo, "helo.example"));
	assert_true(span_is(e.auth, "user1"));
	assert_true(span_is(e.tag, "lan"));
	assert_int_equal(e.body, 2);
	assert_int_equal(e.ret, 2);
	assert_int_equal(e.received_ms, 1799999999000);
	assert_string_equal(addr_str(&e.client, addr), "192.0.2.7");
	assert_true(rec_rcpt_next(&e.rcpts, e.version, &rc));
	assert_true(span_is(rc.to, "held@dest.example"));
	assert_true(span_is(rc.orcpt, "rfc822;held@dest.example"));
	assert_int_equal(rc.notify, 4);
	assert_true(span_is(r.content, "Subject: held\r\n\r\nbody\r\n"));
}

static void
check_all(void)
{
	struct store_msg m;
	struct store_rcpt r;

	assert_false(h.q->down);
	assert_int_equal(h.q->damage, 0);
	assert_int_equal(h.q->messages, 6);
	assert_int_equal(h.q->held, 1);
	assert_true(store_msg_get(h.q->store, 1, &m));
	assert_true(span_is(m.from, "plain@from.example"));
	assert_int_equal(m.size, 1000);
	check_content(1, 1000);
	check_held();
	assert_true(store_msg_get(h.q->store, 3, &m));
	assert_int_equal(m.left, 2);
	assert_int_equal(rcpt(3, 0).state, RCPT_DONE);
	r = rcpt(3, 2);
	assert_int_equal(r.state, RCPT_WAITING);
	assert_int_equal(r.attempt, 1);
	assert_true(span_is(r.to, "later@three.example"));
	assert_true(span_is(r.reason, "451 4.2.0 Come back later"));
	check_content(3, 2000);
	r = rcpt(4, 0);
	assert_true(r.next_ms > r.last_ms);
	check_content(4, 500);
	assert_false(store_msg_get(h.q->store, 5, &m));
	check_content(6, 70000);
	assert_false(store_msg_get(h.q->store, 7, &m));
	assert_non_null(map_get(h.q->paused, span_str("paused.example")));
}

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	if (m->flags & MSG_BOUNCE) {
		bounces++;
		assert_true(m->from.len == 0);
		assert_string_equal(j->rcpts[0].to, "failed@from.example");
		assert_true(r->content.len > 300);
	} else
		got[j->id] += (unsigned)j->nrcpts;
	help_end(x, j, D_OK, "250 2.0.0 Ok", D_DEST_OK);
}

static void
deliver_all(void)
{
	help_change(&h, 2, CHANGE_HOLD, false);
	queue_pause_dest(h.q, span_str("paused.example"), false);
	queue_pause_dest(h.q, span_str("from.example"), false);
	queue_flush(h.q);
	h.can_hand = true;
	h.hand = hand;
	for (int i = 0; i < 4; i++) {
		help_advance(100000);
		queue_run(h.q);
		queue_flush(h.q);
	}
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(got[1], 1);
	assert_int_equal(got[2], 1);
	assert_int_equal(got[3], 2);
	assert_int_equal(got[4], 1);
	assert_int_equal(got[6], 1);
	assert_int_equal(bounces, 1);
	assert_false(dio_exists("body.0000000000000006"));
}

static void
test_open(void **state)
{
	(void)state;
	check_all();
	deliver_all();
}

/* Without its index, which this version then makes of the old segments. */
static void
test_rebuild(void **state)
{
	glob_t	 g;

	(void)state;
	help_close(&h);
	assert_int_equal(glob("*.db", 0, NULL, &g), 0);
	assert_int_equal(glob("log.*", GLOB_APPEND, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++)
		unlink(g.gl_pathv[i]);
	globfree(&g);
	help_open(&h, conf);
	check_all();
	deliver_all();
}

/* What this version writes goes on behind it, and both are read again. */
static void
test_goes_on(void **state)
{
	(void)state;
	help_send(&h, 20, "new@from.example", "r@new.example", 3000);
	help_change(&h, 4, CHANGE_REMOVE, false);
	queue_flush(h.q);
	help_close(&h);
	help_open(&h, conf);
	assert_int_equal(h.q->messages, 6);
	check_content(20, 3000);
	check_content(3, 2000);
	check_held();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rebuild, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goes_on, setup, teardown),
	};

	/* regress/unit/run is in the folder of the tests. */
	if (realpath(access("format1.tar.xz", R_OK) == 0 ? "format1.tar.xz" :
	    "regress/unit/format1.tar.xz", tarball) == NULL)
		return 1;
	conf = help_conf();
	conf->ttl_ms = INT64_C(60) * 24 * 3600 * 1000;
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
