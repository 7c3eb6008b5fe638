/*
 * Content into the queue, and every way that the queue can answer or fail.
 */
#include "regress/lib/smtpdtest.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "smtpd/txn.h"

/* ---- content -------------------------------------------------------------- */

/* Our Received, then exactly these bytes and an end of line. */
static void
assert_content(const char *got, size_t len, size_t n)
{
	const char	*at = len < n + 2 ? NULL : got + (len - n - 2);

	assert_non_null(at);
	assert_memory_equal(at, big, n);
	assert_memory_equal(at + n, "\r\n", 2);
	assert_memory_equal(got, "Received: from client.example", 29);
	/* Nothing but the field stands before. */
	for (const char *p = got; p < at; p++)
		if (p > got && p[-1] == '\n')
			assert_true(*p == '\t' || *p == ' ');
}

static void
test_sizes(void **state)
{
	static const size_t	sizes[] = { 1, 2, 4094, 4095, 4096, 24570,
	    24571, 24572, 24573, 24574, 24575, 24576, 24577, 24578, 24579, 24580,
	    49148, 65535, 65536, 131072, 262144 };
	struct client		*c = hello(REGULAR);
	char			 line[40];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill(sizes[i]);
		begin(c, "u@dest.example");
		say(c, "DATA", "354");
		write_all(c, big, sizes[i]);
		client_send(c, "\r\n.\r\n");
		expect(c, "250 2.0.0");
		assert_int_equal(queued.got, sizes[i] + 2);
		assert_content(queued.content, queued.content_len, sizes[i]);
		/* In one chunk, which lacks its last CR LF. */
		begin(c, "u@dest.example");
		snprintf(line, sizeof(line), "BDAT %zu LAST\r\n", sizes[i]);
		write_all(c, line, strlen(line));
		write_all(c, big, sizes[i]);
		expect(c, "250 2.0.0");
		assert_int_equal(queued.got, sizes[i] + 2);
		assert_content(queued.content, queued.content_len, sizes[i]);
	}
	assert_int_equal(queued.commits, 2 * sizeof(sizes) / sizeof(sizes[0]));
	quit(c);
}

/* Without credit the client is stopped, and what is held stays small. */
static void
test_credit(void **state)
{
	struct client	*c = hello(REGULAR);
	size_t		 put, sent = 0;

	(void)state;
	queued.stingy = true;
	memset(big, 'x', 1000);
	big[1000] = '\r';
	big[1001] = '\n';
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	for (int i = 0; i < 3000; i++) {
		if ((put = client_write(c, big + sent % 1002,
		    1002 - sent % 1002)) == 0)
			break;
		sent += put;
		world_pass(2);
	}
	/* 128 KiB of credit, 24 held, 64 read ahead, the rest in the socket. */
	assert_int_equal(queued.got, 131072);
	assert_true(sent < 1000000);
	assert_true(stream_in(c->s->stream).len <= SESSION_IN_MAX);
	assert_true(buf_len(&c->s->txn->content.out) <= CONTENT_HOLD);
	assert_true(c->s->paused);
	queued_credit(1);
	assert_int_equal(queued.got, 131073);
	queued_credit(90000);
	assert_int_equal(queued.got, 221073);
	/* More than was taken is never granted. */
	for (int i = 0; i < 40; i++)
		queued_credit(1 << 20);
	while (sent % 1002 != 0) {
		sent += put = client_write(c, big + sent % 1002,
		    1002 - sent % 1002);
		world_run();
		queued_credit(100000);
	}
	client_send(c, ".\r\n");
	for (int i = 0; i < 40; i++)
		queued_credit(100000);
	expect(c, "250 2.0.0");
	assert_int_equal(queued.got, sent);
	quit(c);
}

static void
test_bdat(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	begin(c, "u@dest.example");
	chunk(c, "BDAT 3\r\nabc", "250 2.0.0 3 octets so far");
	say(c, "DATA", "503 5.5.1 Only BDAT");
	say(c, "RCPT TO:<v@dest.example>", "503");
	client_send(c, "BDAT 0\r\n");
	expect(c, "250 2.0.0 3 octets so far");
	client_send(c, "BDAT 2\r\n\r\n");
	expect(c, "250 2.0.0 5 octets so far");
	client_send(c, "BDAT 0 last\r\n");
	expect(c, "250 2.0.0");
	assert_int_equal(queued.got, 5);
	/* LAST alone; with nothing in it. */
	begin(c, "u@dest.example");
	client_send(c, "BDAT 0 LAST\r\n");
	expect(c, "250 2.0.0");
	assert_int_equal(queued.got, 0);
	/* A CR LF divided between chunks; dots mean nothing. */
	begin(c, "u@dest.example");
	client_send(c, "BDAT 4\r\n\r\n.\rBDAT 6 LAST\r\n\n.\r\n.\n");
	expect(c, "250 2.0.0 3 octets");
	expect(c, "550 5.6.0");
	begin(c, "u@dest.example");
	client_send(c, "BDAT 4\r\n\r\n.\rBDAT 6 LAST\r\n\n..\r\n.");
	expect(c, "250");
	expect(c, "250 2.0.0");
	assert_non_null(strstr(queued.content, "\r\n\r\n.\r\n..\r\n.\r\n"));
	/* RSET between chunks: nothing stays. */
	begin(c, "u@dest.example");
	chunk(c, "BDAT 3\r\nabc", "250");
	say(c, "RSET", "250");
	/* Refused before MAIL: the bytes are eaten, whatever they look like. */
	client_send(c, "BDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\nNOOP\r\n");
	expect(c, "503 5.5.1 MAIL first");
	expect(c, "503 5.5.1 MAIL first");
	expect(c, "250");
	/* A refused chunk, then more of them. */
	begin(c, "u@dest.example");
	client_send(c, "BDAT 5\r\na\nb\r\nBDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\n");
	expect(c, "550 5.6.0");
	expect(c, "503");
	expect(c, "503");
	expect_nothing(c);
	assert_int_equal(queued.commits, 3);
	assert_int_equal(queued.aborts, 0);
	quit(c);
}

/* How long the chunk is can't be known: what follows must not be commands. */
static void
test_bdat_nonsense(void **state)
{
	static const char *const	bad[] = { "BDAT x", "BDAT 5x LAST",
	    "BDAT -1", "BDAT 99999999999999999999", "BDAT 0x10" };
	struct client			*c;
	char				 text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c = hello(REGULAR);
		begin(c, "u@dest.example");
		snprintf(text, sizeof(text), "%s\r\nRSET\r\n"
		    "MAIL FROM:<evil@b.example>\r\n", bad[i]);
		client_send(c, text);
		expect(c, "501 5.5.4");
		expect_closed(c);
		leave(c);
	}
	/* Here it is known. */
	c = hello(REGULAR);
	begin(c, "u@dest.example");
	client_send(c, "BDAT 6 LASTLY\r\nQUIT\r\nNOOP\r\n");
	expect(c, "501 5.5.4");
	expect(c, "250");
	client_send(c, "BDAT 6 LASTLY\r\nQUIT\r\nNOOP\r\n");
	expect(c, "501 5.5.4");
	expect(c, "250");
	quit(c);
}

/* ---- the queue's answers -------------------------------------------------- */

static void
test_commit(void **state)
{
	static const struct { uint8_t status; const char *reply; } results[] = {
		{ Q_OK, "250 2.0.0" }, { Q_FULL, "452 4.3.1" },
		{ Q_FAILED, "451 4.3.0" }, { Q_REFUSED, "451 4.3.0" }
	};
	struct client	*c = hello(REGULAR);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		queued.status = results[i].status;
		begin(c, "u@dest.example");
		say(c, "DATA", "354");
		say(c, "x\r\n.", results[i].reply);
		expect_nothing(c);
	}
	/* While it is closed. */
	queued_state(false, "the disk is full");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "452 4.3.1");
	queued_state(true, "");
	say(c, "RCPT TO:<u@dest.example>", "250");
	queued_state(false, "the disk is full");
	say(c, "DATA", "452 4.3.1");
	queued_state(true, "");
	begin(c, "u@dest.example");
	queued_state(false, "x");
	chunk(c, "BDAT 5\r\nhello", "452");
	queued_state(true, "");
	say(c, "NOOP", "250");
	quit(c);
}

/* The 250 waits for the commit, and so does what follows. */
static void
test_commit_late(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	queued.hold = true;
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	client_send(c, "x\r\n.\r\nMAIL FROM:<a@b.example>\r\nQUIT\r\n");
	expect_nothing(c);
	queued_result(Q_OK);
	expect(c, "250 2.0.0");
	expect(c, "250 2.1.0");
	expect(c, "221");
	expect_closed(c);
	leave(c);
}

/* A result that comes before the content is whole. */
static void
test_refused_early(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	fill(60000);
	write_all(c, big, 60000);
	assert_int_equal(queued.open, 1);
	queued_result(Q_REFUSED);
	world_run();
	fill(60000);
	write_all(c, big, 60000);
	say(c, "\r\n.", "451 4.3.0");
	assert_int_equal(queued.commits, 0);
	quit(c);
}

static void
test_queue_away(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	queued_die();
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "451 4.3.2");
	queued_start();
	say(c, "RCPT TO:<u@dest.example>", "250");
	queued_die();
	say(c, "DATA", "451 4.3.2");
	queued_start();
	/* Before anything of the content has gone to it. */
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	client_send(c, "first\r\n");
	queued_die();
	say(c, ".", "451 4.3.2");
	queued_start();
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	client_send(c, "first\r\n");
	queued_die();
	queued_start();
	say(c, ".", "250 2.0.0");
	/* With a part of it: lost, even if it is back. */
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	fill(40000);
	write_all(c, big, 40000);
	queued_die();
	queued_start();
	write_all(c, big, 40000);
	say(c, "\r\n.", "451 4.3.2");
	/* Between chunks. */
	begin(c, "u@dest.example");
	client_send(c, "BDAT 40000\r\n");
	write_all(c, big, 40000);
	expect(c, "250");
	queued_die();
	queued_start();
	chunk(c, "BDAT 2 LAST\r\n\r\n", "451 4.3.2");
	quit(c);
}

/* queue.md, Commit in doubt. */
static struct client *
doubtful(void)
{
	struct client	*c = hello(REGULAR);

	queued.hold = true;
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	client_send(c, "x\r\n.\r\nNOOP\r\n");
	assert_int_equal(queued.commits, 1);
	queued_die();
	expect_nothing(c);
	return c;
}

static void
test_doubt(void **state)
{
	struct client	*c = doubtful();

	(void)state;
	queued_start();
	assert_int_equal(queued.asks, 1);
	expect_nothing(c);
	queued_have(true);
	expect(c, "250 2.0.0");
	expect(c, "250 2.0.0 Ok");
	quit(c);

	c = doubtful();
	queued_start();
	queued_have(false);
	expect(c, "451 4.3.2");
	expect(c, "250 2.0.0 Ok");
	quit(c);

	/* It dies once more before it says so. */
	c = doubtful();
	queued_start();
	queued_die();
	queued_start();
	assert_int_equal(queued.asks, 2);
	queued_have(true);
	expect(c, "250 2.0.0");
	expect(c, "250");
	quit(c);

	/* It never comes back: neither yes nor no. */
	c = doubtful();
	world_skip_ms(61000);
	expect_nothing(c);
	expect_closed(c);
	leave(c);
	queued_start();

	/* Or it comes back and never says. */
	c = doubtful();
	queued_start();
	world_skip_ms(61000);
	expect_closed(c);
	leave(c);
}

/* The client is gone meanwhile. */
static void
test_doubt_gone(void **state)
{
	struct client	*c;

	(void)state;
	for (int i = 0; i < 3; i++) {
		c = doubtful();
		shutdown(c->fd, SHUT_RDWR);
		world_run();
		if (i < 2) {
			queued_start();
			queued_have(i == 0);
		} else
			world_skip_ms(61000);
		leave(c);
		if (i == 2)
			queued_start();
	}
	/* The same while the commit is on its way to a queue that is well. */
	c = hello(REGULAR);
	queued.hold = true;
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	client_send(c, "x\r\n.\r\n");
	close(c->fd);
	c->fd = -1;
	world_run();
	assert_int_equal(queued.open, 1);
	queued_result(Q_OK);
	leave(c);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_sizes), T(test_credit), T(test_bdat),
		T(test_bdat_nonsense), T(test_commit), T(test_commit_late),
		T(test_refused_early), T(test_queue_away), T(test_doubt),
		T(test_doubt_gone)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
