/*
 * A message of several ways, smtpd's side: what queued is told and in which
 * order, and that it is told again when queued was away, at each step.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "regress/lib/smtpdhelp.h"
#include "smtpd/prepare.h"

static unsigned		 prepared, finished, credits;
static enum q_status	 status;
static uint64_t		 id;

static void
on_credit(struct prepare *p, void *arg)
{
	(void)p;
	assert_ptr_equal(arg, &prepared);
	credits++;
}

static void
on_prepared(struct prepare *p, enum q_status st, uint64_t i, void *arg)
{
	(void)p;
	assert_ptr_equal(arg, &prepared);
	prepared++;
	status = st;
	id = i;
}

static void
on_finished(struct prepare *p, enum q_status st, void *arg)
{
	(void)p;
	assert_ptr_equal(arg, &prepared);
	finished++;
	status = st;
}

static const struct prepare_ops	 ops = { on_credit, on_prepared,
    on_finished };

static int
setup(void **state)
{
	(void)state;
	world_reset();
	queued_reset();
	prepared = finished = credits = 0;
	return 0;
}

static struct prepare *
begin(void)
{
	struct prepare	*p = prepare_begin((struct ipc_q_env){ .id = 77,
			    .from = span_str("s@a.example") }, &ops,
			    &prepared);

	assert_non_null(p);
	prepare_rcpt(p, (struct ipc_q_rcpt){ .to = span_str("q@b.example"),
	    .action = span_str("q") });
	prepare_rcpt(p, (struct ipc_q_rcpt){ .to = span_str("l@b.example"),
	    .action = span_str("q"), .group = 1, .way = 1 });
	return p;
}

static void
commit(struct prepare *p)
{
	static const uint8_t	digest[32] = { 1 };

	prepare_commit(p, (struct ipc_q_commit){ .bytes = span_str("x\r\n"),
	    .size = 3, .digest = span(digest, sizeof(digest)) });
	world_run();
}

static struct prepare *
durable(void)
{
	struct prepare	*p = begin();

	commit(p);
	assert_true(prepared == 1 && status == Q_OK && id == 77);
	queued.log[0] = '\0';
	return p;
}

static void
restart(void)
{
	queued_die();
	queued.log[0] = '\0';
	queued_start();
}

static void
settle(struct prepare *p, uint8_t way, enum q_settled what)
{
	prepare_settle(p, way, what, span_str("250 ok"), span_str("mx"));
	world_run();
}

static void
test_whole(void **state)
{
	struct prepare	*p = begin();

	(void)state;
	commit(p);
	assert_string_equal(queued.log, "prepare s@a.example;"
	    "rcpt q@b.example q;rcpt l@b.example q way 1;"
	    "commit 3;");
	queued.log[0] = '\0';
	settle(p, 1, SETTLED_TAKEN);
	settle(p, 1, SETTLED_REFUSED);		/* once each */
	settle(p, 0, SETTLED_QUEUE);
	prepare_finish(p);
	world_run();
	assert_string_equal(queued.log, "settle 1 0 250 ok mx;"
	    "settle 0 1 250 ok mx;finish keep;");
	assert_int_equal(finished, 0);
	queued_finished(Q_OK);
	assert_true(finished == 1 && status == Q_OK);
}

static void
test_content(void **state)
{
	static uint8_t	 big[300000];
	struct prepare	*p = begin();
	size_t		 n;

	(void)state;
	queued.stingy = true;
	n = prepare_data(p, span(big, sizeof(big)));
	assert_int_equal(n, 128 << 10);
	world_run();
	assert_int_equal(prepare_data(p, span(big, 10)), 0);
	queued_credit(5000);
	assert_true(credits > 0);
	assert_int_equal(prepare_data(p, span(big, 6000)), 5000);
	world_run();
	prepare_void(p);
	world_run();
	assert_int_equal(queued.aborts, 1);
	assert_int_equal(prepared, 0);
}

/* Refused, or one that has come before: it is over. */
static void
test_results(void **state)
{
	(void)state;
	queued.status = Q_FULL;
	commit(begin());
	assert_true(prepared == 1 && status == Q_FULL);
	queued.hold = true;
	commit(begin());
	queued.id = 55;
	queued_result(Q_OK);
	world_run();
	assert_true(prepared == 2 && status == Q_OK && id == 55);
	/* A queue that takes nothing, or is away. */
	queued_state(false, "full");
	assert_null(prepare_begin((struct ipc_q_env){ .id = 1 }, &ops, NULL));
	queued_state(true, "");
	queued_die();
	assert_null(prepare_begin((struct ipc_q_env){ .id = 1 }, &ops, NULL));
	queued_start();
}

static void
test_void(void **state)
{
	struct prepare	*p = durable();

	(void)state;
	prepare_void(p);
	world_run();
	assert_string_equal(queued.log, "finish void;");
	/* Its client is gone before queued has answered. */
	queued.hold = true;
	p = begin();
	commit(p);
	prepare_void(p);
	queued.log[0] = '\0';
	queued_result(Q_OK);
	world_run();
	assert_string_equal(queued.log, "finish void;");
	assert_int_equal(prepared, 1);
}

/* queued dies before the commit, in doubt, durable, and at the end. */
static void
test_restart(void **state)
{
	struct prepare	*p = begin();

	(void)state;
	world_run();
	restart();
	assert_int_equal(prepare_data(p, span_str("abc")), 3);
	commit(p);
	assert_true(prepared == 1 && status == Q_FAILED);
	assert_string_equal(queued.log, "");
	for (int have = 0; have < 2; have++) {
		queued.hold = true;
		p = begin();
		commit(p);
		restart();
		assert_string_equal(queued.log, "ask;");
		queued_have(have);
		assert_true(prepared == 2 + (unsigned)have &&
		    status == (have ? Q_OK : Q_FAILED));
	}
	queued.log[0] = '\0';
	settle(p, 1, SETTLED_TAKEN);
	restart();
	assert_string_equal(queued.log, "settle 1 0 250 ok mx;");
	queued_die();
	settle(p, 0, SETTLED_QUEUE);
	prepare_finish(p);
	queued.log[0] = '\0';
	queued_start();
	assert_string_equal(queued.log, "settle 1 0 250 ok mx;"
	    "settle 0 1 250 ok mx;finish keep;");
	restart();
	assert_string_equal(queued.log, "settle 1 0 250 ok mx;"
	    "settle 0 1 250 ok mx;finish keep;");
	queued_finished(Q_OK);
	assert_true(finished == 1 && status == Q_OK);
}

/* It does not come back: no reply can be given, or a clear no. */
static void
test_away(void **state)
{
	struct prepare	*p;

	(void)state;
	queued.hold = true;
	p = begin();
	commit(p);
	queued_die();
	world_skip_ms(61000);
	assert_true(prepared == 1 && status == Q_FAILED);
	queued_start();
	for (int late = 0; late < 2; late++) {
		queued.hold = false;
		prepared = finished = 0;
		p = durable();
		settle(p, 1, SETTLED_TAKEN);
		queued_die();
		if (late)
			world_skip_ms(61000);
		prepare_finish(p);
		if (!late)
			world_skip_ms(61000);
		assert_true(finished == 1 && status == Q_FAILED);
		queued_start();
	}
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = { T(test_whole), T(test_content),
		T(test_results), T(test_void), T(test_restart),
		T(test_away), };

	world_init("hostname gw.example.org\nlisten on 127.0.0.1 port 25\n"
	    "action \"q\" relay to \"127.0.0.1:26\"\n"
	    "match for any action \"q\"\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
