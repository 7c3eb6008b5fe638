/*
 * deliverd's connections: kept, stale, limited, to the next server; and its
 * jobs and results where queued dies, or it drains itself.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "regress/lib/deliverdhelp.h"

/* ---- connections --------------------------------------------------------- */

static void
reuse(void **state)
{
	(void)state;
	/* None between: the dot has ended the transaction. */
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	/* Two at once: the second one waits in its destination, or gets a
	 * connection of its own that was not foreseen. */
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	SERVED(sa);
	assert_int_equal(server_conns(sa), 1);
	assert_int_equal(pool_count_conns(), 1);
	/* Idle for long enough it is ended with QUIT. */
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(pool_count_conns() == 0);
	assert_null(server_wrong(sa));
}

/* Two jobs, one connection at most: the second one waits for it. */
static void
one_at_most(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "max");
	HAND(.id = 2, .action = "max");
	UNTIL(server_waits(sa));
	script_settle(20);
	assert_int_equal(pool_count_conns(), 1);
	server_go(sa);
	UNTIL(is_done(1) && is_done(2));
	SERVED(sa);
	is(1, 0, D_OK, "250");
	is(2, 0, D_OK, "250");
}

static void
stale(void **state)
{
	(void)state;
	/* Closed while idle. */
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK, "W",
	    "X");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	server_go(sa);
	UNTIL(pool_count_conns() == 0);
	/* Closed while MAIL is on its way: once more, and no attempt. */
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, "X");
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	SERVED(sa);
	is(3, 0, D_OK, "250");
	/* It said 421 for having been idle too long: the same. */
	server_reset(sa);
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(pool_count_conns() == 0);
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, "S 421 4.4.2 idle", "X");
	SERVE(sa, PIPE, MAIL, "X");
	HAND(.id = 4, .action = "a");
	UNTIL(is_done(4));
	HAND(.id = 5, .action = "a");
	UNTIL(is_done(5));
	SERVED(sa);
	/* But once only. */
	is(5, 0, D_TEMP, "451 4.4.2 ");
	/* Unasked for while idle. */
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK, "W",
	    "S 421 4.4.2 idle", "X");
	HAND(.id = 6, .action = "a");
	UNTIL(is_done(6));
	server_go(sa);
	UNTIL(pool_count_conns() == 0);
	is(6, 0, D_OK, "250");
}

static void
next_server(void **state)
{
	(void)state;
	/* The first does not welcome us, the second does. */
	SERVE(sa, "S 554 5.7.1 not you", "E");
	SERVE(sb, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "ab");
	UNTIL(is_done(1));
	SERVED(sa);
	is(1, 0, D_OK, "250");
	/* The first is passed over now. */
	HAND(.id = 2, .action = "ab");
	UNTIL(is_done(2));
	SERVED(sb);
	assert_int_equal(server_conns(sa), 1);
	/* None is there: the reason, and queued hears of it. */
	HAND(.id = 3, .action = "down");
	UNTIL(is_done(3));
	is(3, 0, D_TEMP, "451 4.4.1 ");
	assert_non_null(strstr(result(3, 0)->reply, "Connection refused"));
	assert_int_equal(dest_was(3), D_DEST_DOWN);
	/* The last one's own words. */
	SERVE(sc, "S 421 4.3.2 closed today", "E");
	HAND(.id = 4, .action = "c");
	UNTIL(is_done(4));
	is(4, 0, D_TEMP, "421 4.3.2 closed today");
	assert_int_equal(dest_was(4), D_DEST_DOWN);
}

static void
silent(void **state)
{
	(void)state;
	SERVE(sa, "W", "E");
	HAND(.id = 1, .action = "a");
	UNTIL(server_waits(sa));
	script_time(301000);		/* RFC 5321, 4.5.3.2.1 */
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.4.2 ");
	assert_int_equal(dest_was(1), D_DEST_DOWN);
}

/* A reply that never gets whole has no more time than one that never comes. */
static void
dripping(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", "R 2", "W", "R 5", "W", "R 0",
	    "W");
	HAND(.id = 1, .action = "a");
	UNTIL(server_waits(sa));
	script_time(200000);
	script_settle(20);
	server_go(sa);
	UNTIL(server_waits(sa));
	script_settle(20);
	assert_false(is_done(1));
	script_time(101000);
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.4.2 ");
	assert_non_null(strstr(result(1, 0)->reply, "timed out"));
}

/* Connections in all are limited: each destination gets its turn. */
static void
starving(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	SERVE(sb, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	SERVE(sc, PIPE, MAIL, "C RCPT TO:<b@*", "C DATA", OK, OK,
	    "S 354 go", "D", "W", OK);
	SERVE(sc, PIPE, MAIL, "C RCPT TO:<b@*", "C DATA", OK, OK,
	    "S 354 go", "D", "W", OK);
	SERVE(sc, PIPE, MAIL, "C RCPT TO:<b@*", "C DATA", OK, OK,
	    "S 354 go", "D", "W", OK);
	HAND(.id = 1, .action = "a");
	HAND(.id = 2, .action = "b");
	UNTIL(server_waits(sa) && server_waits(sb));
	HAND(.id = 3, .action = "c", .domain = "y.example",
	    .rcpts = "b@y.example");
	HAND(.id = 4, .action = "c", .domain = "z.example",
	    .rcpts = "b@z.example");
	HAND(.id = 5, .action = "c", .domain = "w.example",
	    .rcpts = "b@w.example");
	for (int i = 0; i < 10; i++)
		script_turn();
	assert_int_equal(pool_count_conns(), CONNS_MAX);
	server_go(sa);
	UNTIL(server_waits(sc));
	assert_true(is_done(1));
	server_go(sb);
	for (int i = 0; i < 4; i++)
		script_turn();
	/* The scripts of c come in whatever order; each waits once. */
	for (int i = 0; i < 400 && ndone < 5; i++) {
		if (server_waits(sc))
			server_go(sc);
		script_turn();
	}
	assert_int_equal(ndone, 5);
}

/* ---- queued -------------------------------------------------------------- */

static void
recorded(void **state)
{
	(void)state;
	record = false;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a", .attempt = 3);
	UNTIL(is_done(1));
	assert_int_equal(job_unrecorded(), 1);
	/* A job that runs while queued dies. */
	SERVE(sb, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	HAND(.id = 2, .action = "b");
	UNTIL(server_waits(sb));
	queued_start();
	ngot = ndone = 0;
	CHAN_SEND(queued, d_sync, .tid = 999);
	UNTIL(nsynced == 1);
	assert_int_equal(nrunning, 1);
	assert_int_equal(ngot, 1);
	is(1, 0, D_OK, "250");
	assert_int_equal(result(1, 0)->attempt, 3);
	server_go(sb);
	UNTIL(ngot == 2);
	is(2, 0, D_OK, "250");
	UNTIL(is_done(2));	/* this queued's job now, by its number */
	/* Another one that dies: both are still there. */
	queued_start();
	ngot = 0;
	record = true;
	CHAN_SEND(queued, d_sync, .tid = 1000);
	UNTIL(nsynced == 2);
	assert_int_equal(nrunning, 1);
	UNTIL(job_unrecorded() == 0);
	is(1, 0, D_OK, "250");
	is(2, 0, D_OK, "250");
	/* And only then forgotten. */
	ngot = 0;
	CHAN_SEND(queued, d_sync, .tid = 1001);
	UNTIL(nsynced == 3);
	assert_int_equal(ngot, 0);
}

static void
half_a_job(void **state)
{
	(void)state;
	/* queued dies between d_job and d_go: nothing of it stays. */
	CHAN_SEND(queued, d_job, .tid = ++tid, .id = 1,
	    .action = span_str("a"), .domain = span_str("x.example"),
	    .size = 10);
	CHAN_SEND(queued, d_rcpt, .tid = tid, .to = span_str("b@x.example"));
	UNTIL(job_count() == 1);
	queued_start();
	UNTIL(job_count() == 0);
	/* The action has gone from the configuration. */
	HAND(.id = 2, .action = "nowhere");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.3.5 ");
}

static void
names(void **state)
{
	(void)state;
	dns = DNS_NXDOMAIN;
	HAND(.id = 1, .action = "mx", .domain = "nx.example",
	    .rcpts = "b@nx.example c@nx.example");
	UNTIL(is_done(1));
	is(1, 0, D_PERM, "550 5.1.2 ");
	is(1, 1, D_PERM, "550 5.1.2 ");
	assert_int_equal(dest_was(1), D_DEST_OK);
	dns = DNS_TEMPFAIL;
	HAND(.id = 2, .action = "mx", .domain = "temp.example");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.4.3 ");
	assert_int_equal(dest_was(2), D_DEST_DOWN);
}

/* The last case: there is no way back from it. */
static void
draining(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	HAND(.id = 1, .action = "a");
	UNTIL(server_waits(sa));
	job_drain();
	UNTIL(nback == 1 && back[0] == 0);
	/* One that was on its way goes back, one that runs is finished. */
	HAND(.id = 2, .action = "a");
	UNTIL(nback == 2);
	assert_int_equal(back[1], 2);
	server_go(sa);
	UNTIL(is_done(1));
	is(1, 0, D_OK, "250");
	/* A queued that is new hears of it at once. */
	queued_start();
	UNTIL(nback == 3 && back[2] == 0);
	/* The time is up: what still runs is given a temporary result. */
	assert_int_equal(job_count(), 0);
	pool_abort("421 4.3.2 The gateway is shutting down");
	assert_int_equal(pool_count_conns(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reuse),
		CASE(one_at_most),
		CASE(stale),
		CASE(next_server),
		CASE(silent),
		CASE(dripping),
		CASE(starving),
		CASE(recorded),
		CASE(half_a_job),
		CASE(names),
		CASE(draining),
	};

	return cmocka_run_group_tests(tests, deliverdhelp_start, NULL);
}
