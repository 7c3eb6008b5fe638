/*
 * queued dies at any step, as by kill -9, and is started again: what was
 * acknowledged is there, what was not is absent or whole, what was recorded is
 * never tried again, results in flight find their recipients. Each life runs in
 * a child of its own.
 */
#include "regress/lib/lives.h"

/* ---- stages of one message ---- */

static void
only_sent(void)
{
	send_one(1);
}

static void
run_keep(void)
{
	sh->keep = true;
	settle();
	sh->keep = false;
	CHECK(sh->nseen == 1);
}

static void
run_no_flush(void)
{
	queue_flush(sh->h.q);
	queue_run(sh->h.q);
	CHECK(sh->h.recorded == 0);
}

static void
run_all(void)
{
	settle();
}

static void
test_not_acknowledged(void **state)
{
	(void)state;
	life(only_sent);
	life(empty);
	assert_int_equal(sh->nseen, 0);
}

static void
has_recent(void)
{
	CHECK(queue_has(sh->h.q, 1) && !queue_has(sh->h.q, 2));
	send_one(1);			/* and is not taken twice */
	CHECK(sh->h.nresults == 1 && sh->h.results[0].status == Q_REFUSED);
	settle();
}

static void
test_accepted(void **state)
{
	(void)state;
	life(accepted);
	life(has_recent);
	assert_true(sh->nseen == 1 && sh->seen[0].nrcpts == 2 &&
	    sh->seen[0].attempt == 1);
	/* Delivered: asked in doubt it is still ours, and not tried again. */
	life(has_recent);
	assert_int_equal(sh->nseen, 1);
}

static void
test_running(void **state)
{
	(void)state;
	life(accepted);
	life(run_keep);			/* no result: it is tried again */
	life(run_all);
	assert_true(sh->nseen == 2 && sh->seen[1].attempt == 1);
	life(empty);
}

static void
test_result_not_recorded(void **state)
{
	(void)state;
	life(accepted);
	life(run_no_flush);
	life(run_all);
	assert_int_equal(sh->nseen, 2);
	life(empty);
	assert_int_equal(sh->nseen, 2);
}

static void
deferred_once(void)
{
	struct store_rcpt rc;

	CHECK(store_rcpt_get(sh->h.q->store, 1, 1, &rc));
	CHECK(rc.attempt == 1 && rc.next_ms > queue_now(sh->h.q) &&
	    rc.next_ms <= queue_now(sh->h.q) + 2 * MIN);
	settle();
}

static void
test_deferred(void **state)
{
	(void)state;
	sh->status = D_TEMP;
	life(accepted);
	life(run_all);
	assert_int_equal(sh->nseen, 1);
	life(deferred_once);
	assert_int_equal(sh->nseen, 1);
	help_advance(2 * MIN);		/* while it is down */
	sh->status = D_OK;
	life(run_all);
	assert_true(sh->nseen == 2 && sh->seen[1].attempt == 2);
	life(empty);
}

static void
test_bounced(void **state)
{
	(void)state;
	sh->status = D_PERM;
	life(accepted);
	life(run_no_flush);		/* neither failed nor bounced */
	assert_int_equal(sh->nseen, 1);
	life(run_all);			/* the failure, and the bounce */
	assert_true(sh->nseen == 3 && sh->seen[2].bounce);
	assert_string_equal(sh->seen[2].to, "a@example.org");
	life(empty);
	assert_int_equal(sh->nseen, 3);
}

static void
fail_and_flush(void)
{
	queue_flush(sh->h.q);
	queue_run(sh->h.q);
	queue_flush(sh->h.q);
	CHECK(sh->nseen == 1 && sh->h.q->messages == 1);
}

static void
test_bounce_waits(void **state)
{
	(void)state;
	sh->status = D_PERM;
	life(accepted);
	life(fail_and_flush);
	sh->status = D_OK;
	life(run_all);			/* it alone is there */
	assert_true(sh->nseen == 2 && sh->seen[1].bounce);
	life(empty);
}

static void
hold_it(void)
{
	help_change(&sh->h, 1, CHANGE_HOLD, true);
	settle();
}

static void
held(void)
{
	CHECK(sh->h.q->held == 1);
	settle();
}

static void
remove_it(void)
{
	help_change(&sh->h, 1, CHANGE_REMOVE, false);
	settle();
}

static void
test_held_removed(void **state)
{
	(void)state;
	life(accepted);
	life(hold_it);
	life(held);
	life(held);
	assert_int_equal(sh->nseen, 0);
	life(remove_it);
	life(empty);
}

/* ---- results in flight over a restart ---- */

static void
result(uint32_t n, enum d_status st)
{
	help_result(&sh->h, NULL, &sh->h, 1, n, st, "x");
}

/* deliverd gives what it kept before anything is handed out. */
static void
late_results(void)
{
	queue_flush(sh->h.q);
	result(0, D_OK);
	result(1, D_OK);
	result(1, D_OK);		/* said twice */
	settle();
	CHECK(sh->h.recorded == 2 || sh->h.recorded == 3);
	result(1, D_OK);		/* and once more when it is recorded */
	queue_flush(sh->h.q);
	CHECK(sh->h.recorded == 4 || sh->h.recorded == 3);
	CHECK(sh->h.q->nrunning == 0 && map_count(sh->h.q->jobs) == 0);
}

static void
test_late_results(void **state)
{
	(void)state;
	life(accepted);
	life(run_keep);
	life(late_results);
	assert_int_equal(sh->nseen, 1);	/* no second delivery */
	life(empty);
}

static void
late_result_of_one(void)
{
	queue_flush(sh->h.q);
	queue_run(sh->h.q);		/* agents are not there: can_hand */
	result(0, D_OK);
	sh->h.can_hand = true;
	settle();
}

/* Of two recipients one has a result, nobody knows of the other. */
static void
test_late_result_of_one(void **state)
{
	(void)state;
	life(accepted);
	life(run_keep);
	sh->h.can_hand = false;
	life(late_result_of_one);
	assert_int_equal(sh->nseen, 2);
	assert_true(sh->seen[1].nrcpts == 1);
	assert_string_equal(sh->seen[1].to, "c@x.example");
	life(empty);
}

static void
still_running(void)
{
	struct job	*j;

	queue_flush(sh->h.q);
	j = job_adopt(sh->h.q, 1, 0, 1);
	CHECK(j != NULL && j == job_adopt(sh->h.q, 1, 1, 1));
	CHECK(job_adopt(sh->h.q, 1, 1, 2) == NULL);	/* another attempt */
	CHECK(job_adopt(sh->h.q, 2, 0, 1) == NULL);
	settle();
	CHECK(sh->nseen == 1 && j->nrcpts == 2 && sh->h.q->nrunning == 1);
	result(0, D_OK);
	settle();
	CHECK(sh->nseen == 1 && sh->h.recorded == 1);
	if (sh->what == 1)
		job_again(sh->h.q, j, true);	/* its deliverd dies */
	else
		result(1, D_TEMP);
	settle();
}

static void
test_still_running(void **state)
{
	(void)state;
	life(accepted);
	life(run_keep);
	life(still_running);
	assert_int_equal(sh->nseen, 1);
	help_advance(2 * MIN);
	life(run_all);
	assert_true(sh->nseen == 2 && sh->seen[1].attempt == 2);
	life(empty);
}

static void
test_still_running_dies(void **state)
{
	(void)state;
	life(accepted);
	life(run_keep);
	sh->what = 1;
	life(still_running);
	assert_true(sh->nseen == 2 && sh->seen[1].nrcpts == 1);
	life(empty);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIFE(test_not_acknowledged), LIFE(test_accepted),
		LIFE(test_running), LIFE(test_result_not_recorded),
		LIFE(test_deferred), LIFE(test_bounced),
		LIFE(test_bounce_waits), LIFE(test_held_removed),
		LIFE(test_late_results), LIFE(test_late_result_of_one),
		LIFE(test_still_running), LIFE(test_still_running_dies)
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
