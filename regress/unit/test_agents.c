/*
 * queued's delivery agents: jobs as they arrive, results and their
 * confirmation, an agent that dies, and a queued that is started again while its
 * deliverd goes on.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <unistd.h>

#include "regress/lib/agenthelp.h"
#include "regress/lib/queuehelp.h"

static void
test_deliver(void **state)
{
	struct fake_job	*j = &fakes.one.jobs[0];
	struct span	 s;

	(void)state;
	fakes.one.silent = true;
	fakes_send(1, "b@x.example c@x.example", 64000);
	fake_connect(&fakes.one, 0);
	fakes_turn();
	assert_int_equal(fakes.one.njobs, 0);	/* it has not told what it has */
	CHAN_SEND(fakes.one.chan, d_synced, .tid = 0);
	fakes_turn();
	assert_true(fakes.one.njobs == 1 && j->go && j->id == 1 &&
	    j->nrcpts == 2 &&
	    j->n[1] == 1 && j->attempt[1] == 1 && j->fd == -1);
	s = buf_content(&j->content);
	assert_true(s.len == j->size);
	span_skip(&s, strlen("Received: by test\r\n"));
	assert_true(s.len == 64000 && help_content_ok(1, s));
	assert_int_equal(fakes.q->nrunning, 1);
	fake_done(&fakes.one, j, D_OK, D_DEST_OK);
	fakes_turn();
	assert_int_equal(fakes.one.recorded, 2);
	assert_true(fakes.q->messages == 0 && fakes.q->nrunning == 0);
	/* Said once more, it is confirmed once more. */
	fake_result(&fakes.one, j->tid, 1, 0, D_OK);
	fakes_turn();
	assert_int_equal(fakes.one.recorded, 3);
}

static void
test_long(void **state)
{
	static uint8_t	 bytes[200000];
	struct fake_job	*j = &fakes.one.jobs[0];

	(void)state;
	fakes_send(1, "b@x.example", sizeof(bytes));
	fake_connect(&fakes.one, 0);
	fakes_turn();
	assert_true(fakes.one.njobs == 1 && j->fd != -1);
	assert_int_equal(pread(j->fd, bytes, sizeof(bytes), 0),
	    sizeof(bytes));
	assert_true(help_content_ok(1, span(bytes, sizeof(bytes))));
	fake_done(&fakes.one, j, D_OK, D_DEST_OK);
	fakes_turn();
	assert_int_equal(fakes.q->messages, 0);
}

/* d_done without a result for all: what has none is tried again later. */
static void
test_done_too_soon(void **state)
{
	struct store_rcpt rc;

	(void)state;
	fakes_send(1, "b@x.example c@x.example", 10);
	fake_connect(&fakes.one, 0);
	fakes_turn();
	fake_result(&fakes.one, fakes.one.jobs[0].tid, 1, 1, D_OK);
	CHAN_SEND(fakes.one.chan, d_done, .tid = fakes.one.jobs[0].tid, .id = 1,
	    .dest = D_DEST_OK);
	fakes_turn();
	assert_int_equal(fakes.one.recorded, 1);
	assert_true(store_rcpt_get(fakes.q->store, 1, 0, &rc) && rc.attempt == 1 &&
	    rc.state == RCPT_WAITING);
	assert_true(store_rcpt_get(fakes.q->store, 1, 1, &rc) &&
	    rc.state == RCPT_DONE);
	assert_int_equal(fakes.q->nrunning, 0);
}

/* It dies with jobs: the next one gets them; the third time they wait. */
static void
test_agent_dies(void **state)
{
	struct store_rcpt rc;

	(void)state;
	fakes_send(1, "b@x.example", 10);
	for (int i = 0; i < CRASHES_MAX; i++) {
		fake_connect(&fakes.one, 0);
		fakes_turn();
		assert_int_equal(fakes.one.njobs, 1);
		assert_int_equal(fakes.q->nrunning, 1);
		fake_forget(&fakes.one);
		fake_gone(&fakes.one);
		fakes_turn();
		assert_int_equal(agents_count(fakes.agents), 0);
		assert_int_equal(fakes.q->nrunning, 0);
	}
	fake_connect(&fakes.one, 0);
	fakes_turn();
	assert_int_equal(fakes.one.njobs, 0);
	assert_true(store_rcpt_get(fakes.q->store, 1, 0, &rc) && rc.attempt == 1);
}

/* A destination stays with one agent; a new one of the same number replaces
 * the old, which ends what it has. */
static void
test_two_agents(void **state)
{
	size_t	 n;

	(void)state;
	fake_connect(&fakes.one, 0);
	fake_connect(&fakes.two, 1);
	fakes_turn();
	for (uint64_t id = 1; id <= 10; id++) {
		fakes_send(id, "b@x.example", 10);
		fakes_send(100 + id, id % 2 ? "b@y.example" : "b@z.example", 10);
	}
	fakes_turn();
	assert_int_equal(fakes.one.njobs + fakes.two.njobs, 20);
	n = 0;
	for (size_t i = 0; i < fakes.one.njobs; i++)
		n += fakes.one.jobs[i].id <= 10;
	assert_true(n == 0 || n == 10);
	for (size_t i = 0; i < fakes.one.njobs; i++)
		fake_done(&fakes.one, &fakes.one.jobs[i], D_OK, D_DEST_OK);
	fakes_turn();
	for (size_t i = 0; i < fakes.two.njobs; i++)
		fake_done(&fakes.two, &fakes.two.jobs[i], D_OK, D_DEST_OK);
	fakes_turn();
	assert_true(fakes.q->messages == 0 && fakes.q->nrunning == 0);
}

/* queued goes and comes back; deliverd has one at work, one not confirmed. */
static void
test_restart(void **state)
{
	(void)state;
	fakes_send(1, "b@x.example c@x.example", 10);
	fakes_send(2, "b@x.example", 10);
	fake_connect(&fakes.one, 0);
	fakes_turn();
	assert_int_equal(fakes.one.njobs, 2);
	fake_forget(&fakes.one);
	/* As after a kill: nothing of it is told. */
	queue_close(fakes.q);
	agents_queue(fakes.agents, NULL);
	fake_gone(&fakes.one);
	for (int i = 0; i < 10; i++)
		event_base_loop(fakes.base, EVLOOP_NONBLOCK);
	fakes_start();
	fakes_send(3, "b@y.example", 10);
	fakes.one.old[0] = (struct old){ 1, 0, true };
	fakes.one.old[1] = (struct old){ 1, 1, false };
	fakes.one.old[2] = (struct old){ 2, 0, true };
	fakes.one.nold = 3;
	fake_connect(&fakes.one, 0);
	fakes_turn();
	assert_true(fakes.one.njobs == 1 && fakes.one.jobs[0].id == 3);
	assert_int_equal(fakes.one.recorded, 1);
	assert_int_equal(fakes.q->nrunning, 3);
	/* Its results carry the numbers of an earlier queued; one of these may
	 * be that of another job now. */
	fake_result(&fakes.one, fakes.one.jobs[0].tid, 1, 0, D_OK);
	fakes_turn();
	assert_int_equal(fakes.one.recorded, 2);
	assert_int_equal(fakes.q->messages, 2);
	assert_int_equal(fakes.q->nrunning, 2);
	fake_done(&fakes.one, &fakes.one.jobs[0], D_OK, D_DEST_OK);
	fakes_turn();
	assert_int_equal(fakes.q->messages, 1);
	/* It dies with the last one: now that is handed out again. */
	fake_forget(&fakes.one);
	fake_gone(&fakes.one);
	fakes.one.nold = 0;
	fakes_turn();
	fake_connect(&fakes.two, 0);
	fakes_turn();
	assert_true(fakes.two.njobs == 1 && fakes.two.jobs[0].id == 2);
	fake_done(&fakes.two, &fakes.two.jobs[0], D_OK, D_DEST_OK);
	fakes_turn();
	assert_true(fakes.q->messages == 0 && fakes.q->nrunning == 0);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, fakes_enter, fakes_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_deliver), T(test_long), T(test_done_too_soon),
		T(test_agent_dies), T(test_two_agents), T(test_restart),
	};

	return fakes_run("agents", tests, sizeof(tests) / sizeof(tests[0]));
}
