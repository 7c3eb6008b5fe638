/*
 * What a client may not do: limits, and time.
 */
#include "regress/lib/smtpdtest.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "smtpd/txn.h"

/* ---- limits --------------------------------------------------------------- */

static void
test_errors(void **state)
{
	struct client	*c = hello(REGULAR);
	unsigned	 had = world_conf->limits.errors;

	(void)state;
	world_conf->limits.errors = 3;
	say(c, "FROB", "500");
	say(c, "RCPT TO:<x@y.example>", "503");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<x@y.example>", "421 4.7.0");
	expect_closed(c);
	leave(c);
	world_conf->limits.errors = had;
}

static void
test_vain(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	for (int i = 0; i < SESSION_VAIN_MAX; i++)
		say(c, i % 2 ? "NOOP" : "RSET", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");	/* starts anew */
	for (int i = 0; i < SESSION_VAIN_MAX; i++)
		say(c, i % 2 ? "NOOP" : "VRFY x", "25");
	say(c, "HELP", "421 4.7.0");
	expect_closed(c);
	leave(c);
}

static void
test_bare(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	client_send(c, "NOOP\nNOOP\r\n");
	expect(c, "500 5.5.2");
	expect_nothing(c);
	client_send(c, "NOOP\rNOOP\r\nNOOP\r\n");
	expect(c, "500 5.5.2");
	expect(c, "250");
	client_write(c, "NO\0OP\r\nNOOP\r\n", 13);
	expect(c, "500 5.5.2");
	expect(c, "421 4.7.0");
	expect_closed(c);
	leave(c);
	/* Half a CR LF at the end of the input is none yet. */
	c = hello(REGULAR);
	client_send(c, "NOOP\r");
	expect_nothing(c);
	client_send(c, "\n");
	expect(c, "250");
	quit(c);
}

/* A line of n octets with its CR LF. */
static void
send_line(struct client *c, const char *start, const char *end, size_t n)
{
	char	*line = malloc(n + 1);
	size_t	 a = strlen(start), z = strlen(end);

	memcpy(line, start, a);
	memset(line + a, 'x', n - 2 - z - a);
	memcpy(line + n - 2 - z, end, z);
	memcpy(line + n - 2, "\r\n", 3);
	write_all(c, line, n);
	free(line);
}

static void
test_lines(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	send_line(c, "NOOP ", "", 512);
	expect(c, "250");
	send_line(c, "NOOP ", "", 513);
	expect(c, "500 5.5.2");
	send_line(c, "MAIL FROM:<a@b.example> ENVID=", "", 2048);
	expect(c, "501");
	send_line(c, "mail FROM:<a@b.example> ENVID=", "", 2049);
	expect(c, "500 5.5.2");
	send_line(c, "AUTH PLAIN ", "", 12288);
	expect(c, "502");
	send_line(c, "AUTH PLAIN ", "", 12289);
	expect(c, "500 5.5.2");
	send_line(c, "NOOP ", "", 200000);
	expect(c, "500 5.5.2");
	expect_nothing(c);
	say(c, "NOOP", "250");
	quit(c);
}

static void
test_recipients(void **state)
{
	struct client	*c = hello(REGULAR);
	unsigned	 had = world_conf->limits.recipients;

	(void)state;
	world_conf->limits.recipients = 2;
	begin(c, "u@dest.example");
	say(c, "RCPT TO:<x@nowhere.example>", "550");
	say(c, "RCPT TO:<v@dest.example>", "250");
	say(c, "RCPT TO:<w@dest.example>", "452 4.5.3");
	say(c, "DATA", "354");
	say(c, ".", "250");
	world_conf->limits.recipients = had;
	quit(c);
	/* Only those that the listener takes. */
	c = hello(SOME);
	say(c, "MAIL FROM:<>", "250");
	say(c, "RCPT TO:<v@dest.example>", "550 5.1.1");
	say(c, "RCPT TO:<u+ext@dest.example>", "250");
	quit(c);
}

/* Refused ones are remembered, but not without end. */
static void
test_refused_recipients(void **state)
{
	struct client	*c = hello(REGULAR);
	unsigned	 had = world_conf->limits.recipients;
	const char	*got = "";

	(void)state;
	proxyd.on[ASKED_RCPT].code = 450;
	proxyd.on[ASKED_RCPT].text = "4.2.0 later";
	world_conf->limits.recipients = 10;
	say(c, "MAIL FROM:<a@b.example>", "250");
	for (int i = 0; i < 3000; i++) {
		client_send(c, "RCPT TO:<u@live.example>\r\n");
		got = client_next(c);
		assert_non_null(got);
		assert_memory_equal(got, "45", 2);
	}
	assert_memory_equal(got, "452 4.5.3", 9);
	assert_true(c->s->txn->nrcpts <= 1010);
	world_conf->limits.recipients = had;
	quit(c);
}

static void
test_size(void **state)
{
	struct client	*c = hello(SMALL);

	(void)state;
	say(c, "EHLO c.example",
	    "250-gw.example.org|250-PIPELINING|250-SIZE 60000");
	say(c, "MAIL FROM:<a@b.example> SIZE=60001", "552 5.3.4");
	say(c, "MAIL FROM:<a@b.example> SIZE=60000", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	fill(60001);
	write_all(c, big, 59998);
	say(c, "\r\n.", "250");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	write_all(c, big, 59999);
	say(c, "\r\n.", "552 5.3.4");
	begin(c, "u@dest.example");
	client_send(c, "BDAT 60001\r\n");
	write_all(c, big, 60001);
	expect(c, "552 5.3.4");
	/* HELO has no SIZE, but the limit. */
	say(c, "HELO c.example", "250");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	write_all(c, big, 60000);
	say(c, "\r\n.", "552 5.3.4");
	assert_int_equal(queued.commits, 1);
	quit(c);
}

static void
test_header(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	for (int i = 0; i < 50; i++)
		client_send(c, "Received: by x\r\n");
	say(c, "\r\n.", "250");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	for (int i = 0; i < 51; i++)
		client_send(c, "Received: by x\r\n");
	say(c, "\r\n.", "554 5.4.6");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	for (int i = 0; i < CONTENT_FIELDS_MAX + 1; i++)
		write_all(c, "X-Field: y\r\n", 12);
	say(c, "\r\n.", "552 5.3.4");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	fill(62 * 1000);
	for (size_t i = 0; i < 62000; i += 62)
		big[i] = ' ';
	write_all(c, "X: y\r\n", 6);
	for (int i = 0; i < 18; i++)
		write_all(c, big, 62000);
	say(c, "\r\n.", "552 5.3.4");
	quit(c);
}

/* Faults of framing: told at the end, and nothing arrives. */
static void
test_faults(void **state)
{
	static const struct { const char *p; size_t n; } bad[] = {
		{ "a\nb", 3 }, { "a\rb", 3 }, { "a\0b", 3 }, { "\n.\n", 3 },
		{ "\r\n.\n", 4 }, { "\r.\r", 3 }
	};
	struct client	*c = hello(REGULAR);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(c, "u@dest.example");
		say(c, "DATA", "354");
		client_write(c, bad[i].p, bad[i].n);
		world_run();
		expect_nothing(c);
		say(c, "\r\n.", "550 5.6.0");
	}
	assert_int_equal(queued.commits, 0);
	quit(c);
}

/* ---- time ----------------------------------------------------------------- */

static void
test_idle(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	world_skip_ms(290000);
	assert_false(client_closed(c));
	say(c, "NOOP", "250");
	world_skip_ms(290000);
	assert_false(client_closed(c));
	world_skip_ms(15000);
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
}

/* A line that was begun must come to its end, however long it gets. */
static void
test_slow_line(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	client_send(c, "NOO");
	world_skip_ms(40000);
	client_send(c, "P");
	world_skip_ms(25000);
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
	c = hello(REGULAR);
	fill(600);
	big[599] = big[598] = 'x';
	memset(big, 'x', 600);
	write_all(c, big, 600);		/* over 512: passed over as it comes */
	for (int i = 0; i < 4 && !client_closed(c); i++) {
		world_skip_ms(20000);
		client_send(c, "x");
	}
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
}

static void
test_slow_content(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	memset(big, 'x', 7000);
	for (int i = 0; i < 5; i++) {
		write_all(c, big, 7000);
		world_skip_ms(61000);
	}
	expect_nothing(c);
	assert_false(client_closed(c));
	write_all(c, big, 5000);
	world_skip_ms(61000);
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
	/* The bytes of a refused chunk as well. */
	c = hello(REGULAR);
	client_send(c, "BDAT 100000\r\n");
	write_all(c, big, 5000);
	world_skip_ms(61000);
	expect(c, "421 4.4.2");
	leave(c);
}

/* Who is stopped by us is not slow. */
static void
test_held_content(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	queued.stingy = true;
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	fill(250000);
	for (size_t at = 0; at < 250000; at += 10000) {
		client_write(c, big + at, 10000);
		world_run();
	}
	for (int i = 0; i < 5; i++)
		world_skip_ms(61000);
	expect_nothing(c);
	assert_false(client_closed(c));
	/* But a transaction has its end: RFC 5321 knows none, we do. */
	for (int i = 0; i < 28 && !client_closed(c); i++)
		world_skip_ms(61000);
	expect(c, "421 4.4.2 The transaction");
	expect_closed(c);
	leave(c);
}

static void
test_long_transaction(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	for (int i = 0; i < 7; i++) {
		world_skip_ms(280000);
		client_send(c, "RCPT TO:<u@dest.example>\r\n");
	}
	while (client_next(c) != NULL && strncmp(c->reply, "250", 3) == 0)
		continue;
	assert_memory_equal(c->reply, "421 4.4.2", 9);
	expect_closed(c);
	leave(c);
	/* A chunk that is refused has its end too. */
	c = hello(REGULAR);
	client_send(c, "BDAT 9000000\r\n");
	memset(big, 'x', 7000);
	for (int i = 0; i < 32 && !client_closed(c); i++) {
		write_all(c, big, i < 30 ? 7000 : 0);
		world_skip_ms(60000);
	}
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
}

/* Pipelined without a pause for longer than anything may wait. */
static void
test_always_busy(void **state)
{
	static const char	message[] = "MAIL FROM:<a@b.example>\r\n"
	    "RCPT TO:<u@dest.example>\r\nBDAT 3 LAST\r\nabc";
	struct client		*c = hello(REGULAR);

	(void)state;
	queued.hold = true;
	client_send(c, message);
	for (int i = 0; i < 5; i++) {
		client_send(c, message);
		world_skip_ms(300000);
		queued_result(Q_OK);
		expect(c, "250 2.1.0");
		expect(c, "250 2.1.5");
		expect(c, "250 2.0.0");
	}
	queued_result(Q_OK);
	leave(c);
}

static void
test_greet_delay(void **state)
{
	struct client	*c = client_at(DELAYED);

	(void)state;
	expect_nothing(c);
	world_skip_ms(2000);
	expect(c, "220 gw.example.org");
	quit(c);
	c = client_at(DELAYED);
	client_send(c, "E");
	expect(c, "554 5.5.1");
	expect_closed(c);
	leave(c);
	c = client_at(DELAYED);
	leave(c);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_errors), T(test_vain), T(test_bare), T(test_lines),
		T(test_recipients), T(test_refused_recipients), T(test_size),
		T(test_header), T(test_faults), T(test_idle),
		T(test_slow_line), T(test_slow_content), T(test_held_content),
		T(test_long_transaction), T(test_always_busy),
		T(test_greet_delay)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
