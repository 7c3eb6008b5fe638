/*
 * deliverd's pools: order, shares, standbys; servers that die and come back,
 * while a live one is there and while none is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "regress/lib/deliverdhelp.h"

/* So many messages over one connection. */
static void
serve_many(struct server *s, unsigned n)
{
	static const char *const	one[] = { MAIL, RCPT, "C DATA", OK, OK,
	    "S 354 go", "D", OK };
	static const char	*lines[8][20 * 8 + 4];
	static unsigned		 k;
	const char		**v = lines[k++ % 8];
	size_t			 at = 0;

	v[at++] = "S 220 hi";
	v[at++] = "C EHLO *";
	v[at++] = "R 250-x\r\n250 PIPELINING\r\n";
	for (unsigned i = 0; i < n && i < 20; i++)
		for (size_t j = 0; j < 8; j++)
			v[at++] = one[j];
	v[at] = NULL;
	server_add(s, v);
}

/* Three to one, one message at a time. */
static void
shares(void **state)
{
	(void)state;
	serve_many(sa, 15);
	serve_many(sb, 5);
	for (uint64_t id = 1; id <= 20; id++) {
		HAND(.id = id, .action = "three");
		UNTIL(is_done(id));
		is(id, 0, D_OK, "250");
		for (int i = 0; i < 5; i++)
			script_turn();
	}
	SERVED(sa);
	SERVED(sb);
	assert_int_equal(server_conns(sa), 1);
	assert_int_equal(server_conns(sb), 1);
}

/* The standby takes mail only while the other one is down; when that is back,
 * at the first probe, it gets all of it. */
static void
standby(void **state)
{
	char	at[64];

	(void)state;
	SERVE(sa, "S 421 4.3.2 closed", "E");
	serve_many(sc, 20);
	HAND(.id = 1, .action = "spare");
	UNTIL(is_done(1));
	is(1, 0, D_OK, "250");
	assert_true(told[server_port(sa)].failures == 1);
	HAND(.id = 2, .action = "spare");
	UNTIL(is_done(2));
	assert_int_equal(server_conns(sa), 1);
	/* The interval is over: a probe goes beside the mail. */
	serve_many(sa, 20);
	serve_many(sc, 20);
	script_time(12100);
	HAND(.id = 3, .action = "spare");
	UNTIL(is_done(3));
	UNTIL(told[server_port(sa)].failures == 0);
	HAND(.id = 4, .action = "spare");
	UNTIL(is_done(4));
	is(4, 0, D_OK, "250");
	snprintf(at, sizeof(at), "127.0.0.1[127.0.0.1]:%u", server_port(sa));
	assert_string_equal(result(4, 0)->server, at);
	assert_string_not_equal(result(1, 0)->server, at);
}

/* A connection lost within a transaction: the next server, in the same attempt;
 * what had a result keeps it. */
static void
elsewhere(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, "C RCPT TO:<r0@x.example>",
	    "C RCPT TO:<r1@x.example>", "C DATA", OK, "S 550 5.1.1 no", OK,
	    "S 354 go", "Z");
	SERVE(sb, PIPE, MAIL, "C RCPT TO:<r1@x.example>", "C DATA", OK, OK,
	    "S 354 go", "D", OK);
	HAND(.id = 1, .action = "ab", .rcpts = "r0@x.example r1@x.example");
	UNTIL(is_done(1));
	SERVED(sb);
	is(1, 0, D_PERM, "550 5.1.1 no");
	is(1, 1, D_OK, "250");
	assert_int_equal(dest_was(1), D_DEST_OK);
	/* 421 is the same; and whoever loses it as well is not asked twice. */
	server_reset(sa);
	server_reset(sb);
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(pool_count_conns() == 0);
	for (unsigned i = 0; i < 4; i++) {
		SERVE(sa, PIPE, MAIL, RCPT, "C DATA", "S 421 4.3.2 a", "E");
		SERVE(sb, PIPE, MAIL, RCPT, "C DATA", "S 421 4.3.2 b", "E");
	}
	HAND(.id = 2, .action = "ab");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "421 4.3.2 ");
	assert_true(result(2, 0)->remote);
	assert_int_equal(server_conns(sa) + server_conns(sb),
	    POOL_TRIES_MAX + 1);
}

/* No server answers: said at once, without another connection, until a probe is
 * due; the probe is one, at an interval that grows; and queued is told of the
 * end before it asks. */
static void
all_dead(void **state)
{
	uint64_t	last = 0;
	uint16_t	port = server_port(sa);

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		SERVE(sa, "S 421 4.3.2 closed", "E");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "421 4.3.2 closed");
	assert_int_equal(dest_was(1), D_DEST_DOWN);
	for (uint64_t id = 2; id < 12; id++) {
		HAND(.id = id, .action = "a");
		UNTIL(is_done(id));
		is(id, 0, D_TEMP, "421 4.3.2 closed");
	}
	assert_int_equal(server_conns(sa), 1);
	for (unsigned n = 2; n < 5; n++) {
		assert_int_equal(told[port].failures, n - 1);
		assert_true(told[port].probe_ms > last);
		last = told[port].probe_ms;
		script_time((int64_t)last - 1000);
		script_settle(100);
		assert_int_equal(server_conns(sa), n - 1);
		script_time(2100);
		UNTIL(server_conns(sa) == n && told[port].failures == n);
		assert_int_equal(nback_up, 0);
	}
	serve_many(sa, 1);
	script_time((int64_t)told[port].probe_ms + 1100);
	UNTIL(nback_up == 1);
	assert_string_equal(back_up, "a");
	assert_int_equal(told[port].failures, 0);
	HAND(.id = 12, .action = "a");
	UNTIL(is_done(12));
	SERVED(sa);
	is(12, 0, D_OK, "250");
	script_time(1100);
	UNTIL(told[port].delivered == 1);
	assert_int_equal(told[port].failed, 0);
}

/* What another deliverd saw. */
static void
heard(void **state)
{
	struct addr	at = { .family = 4, .port = server_port(sa),
			    .ip = { 127, 0, 0, 1 } };

	(void)state;
	CHAN_SEND(queued, d_server_state, .addr = at, .failures = 3,
	    .since_ms = 60000, .probe_ms = 50000,
	    .why = span_str("451 4.4.1 refused"));
	serve_many(sb, 1);
	HAND(.id = 1, .action = "ab");
	UNTIL(is_done(1));
	SERVED(sb);
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.4.1 refused");
	assert_int_equal(server_conns(sa), 0);
	CHAN_SEND(queued, d_server_state, .addr = at);
	UNTIL(nback_up == 1);
	/* A new queued hears all that is known. */
	CHAN_SEND(queued, d_server_state, .addr = at, .failures = 7,
	    .probe_ms = 50000);
	script_settle(20);
	memset(told, 0, sizeof(told));
	queued_start();
	UNTIL(told[at.port].n == 1);
	assert_int_equal(told[at.port].failures, 7);
}

/* `max-connections` of the pool is for each server, whoever uses it. */
static void
at_most(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	HAND(.id = 1, .action = "one");
	UNTIL(server_waits(sa));
	HAND(.id = 2, .action = "two");
	script_settle(50);
	assert_int_equal(server_conns(sa), 1);
	assert_int_equal(pool_count_conns(), 1);
	serve_many(sa, 1);
	server_go(sa);
	UNTIL(is_done(1) && is_done(2));
	is(2, 0, D_OK, "250");
	SERVED(sa);
}

/* Lists of a table; one that has gone. */
static void
by_table(void **state)
{
	char	list[64];

	(void)state;
	snprintf(list, sizeof(list), "127.0.0.1:%u, 127.0.0.1:%u standby",
	    server_closed_port(), server_port(sb));
	serve_many(sb, 1);
	HAND(.id = 1, .action = "table", .domain = list);
	UNTIL(is_done(1));
	SERVED(sb);
	is(1, 0, D_OK, "250");
	HAND(.id = 2, .action = "table", .domain = "");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.3.5 The table of the action has no entry");
	assert_int_equal(dest_was(2), D_DEST_OK);
	HAND(.id = 3, .action = "table", .domain = "a b c");
	UNTIL(is_done(3));
	is(3, 0, D_TEMP, "451 4.3.5 The entry");
}

/* A connection that is kept is never idle while work waits: the next MAIL comes
 * with the same packet's turn as the reply to the dot. */
static void
never_idle(void **state)
{
	(void)state;
	serve_many(sa, 20);
	for (uint64_t id = 1; id <= 20; id++)
		HAND(.id = id, .action = "max");
	for (size_t seen = 0; ndone < 20;) {
		script_turn();
		/* Whatever has ended, the next one is under way. */
		if (ndone > seen && ndone < 20)
			assert_true(job_count() == 20 - ndone);
		seen = ndone;
	}
	SERVED(sa);
	assert_int_equal(server_conns(sa), 1);
}

static void
more(char *dst, size_t size)
{
	unsigned	 a = server_port(sa), b = server_port(sb),
			 c = server_port(sc);

	snprintf(dst, size,
	    "pool three { 127.0.0.1:%u weight 3, 127.0.0.1:%u weight 1 }\n"
	    "pool single { 127.0.0.1:%u } max-connections 1\n"
	    "table lists { x.example = \"127.0.0.1:%u, 127.0.0.1:%u standby\""
	    " }\n"
	    "action three relay to pool three\n"
	    "action spare relay to { 127.0.0.1:%u, 127.0.0.1:%u standby }\n"
	    "action one relay to pool single\n"
	    "action two relay to pool single\n"
	    "action table relay to <lists> by rcpt-domain\n",
	    a, b, a, a, b, a, c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(shares),
		CASE(standby),
		CASE(elsewhere),
		CASE(all_dead),
		CASE(heard),
		CASE(at_most),
		CASE(by_table),
		CASE(never_idle),
	};

	deliverdhelp_conf = more;
	return cmocka_run_group_tests(tests, deliverdhelp_start, NULL);
}
