/*
 * Sessions of the regular server: the whole table of verbs and phases,
 * pipelining, framing cut at every byte, content into the queue and every way
 * that the queue can answer or fail, limits, and time.
 */
#include "regress/lib/smtpdtest.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "smtpd/txn.h"

static char	big[300000];

/* ---- verbs and phases ----------------------------------------------------- */

static const char *const	phase_names[] = { "greeted", "ready", "mail",
    "rcpt", "bdat" };
static const struct {
	const char	*line;
	const char	*regular[5], *proxied[5];
} table[] = {
#define ALL(x)	{ x, x, x, x, x }
	{ "EHLO a.example", ALL("250-"),
	    { "250-", "250-", "250-", "250-", "421" } },
	{ "HELO a.example", ALL("250 "),
	    { "250 ", "250 ", "250 ", "250 ", "421" } },
	{ "MAIL FROM:<a@b.example>",
	    { "503 5.5.1", "250 ", "503 ", "503 ", "503 " },
	    { "503 5.5.1", "250 ", "503 ", "503 ", "503 " } },
	{ "RCPT TO:<u@dest.example>",
	    { "503 ", "503 ", "250 ", "250 ", "503 " },
	    { "503 ", "503 ", "250 ", "250 ", "503 " } },
	{ "DATA", { "503 ", "503 ", "554 ", "354 ", "503 " },
	    { "503 ", "503 ", "554 ", "354 ", "503 " } },
	{ "BDAT 0", { "503 ", "503 ", "554 ", "250 ", "250 " },
	    { "503 ", "503 ", "554 ", "250 ", "250 " } },
	{ "RSET", ALL("250 "), ALL("250 ") },
	{ "NOOP", ALL("250 "), ALL("250 ") },
	{ "NOOP with words", ALL("250 "), ALL("250 ") },
	{ "QUIT", ALL("221 "), ALL("221 ") },
	{ "VRFY x", { "252 ", "252 ", "252 ", "252 ", "503 " },
	    { "252 ", "252 ", "252 ", "252 ", "503 " } },
	{ "EXPN x", { "502 ", "502 ", "502 ", "502 ", "503 " },
	    { "502 ", "502 ", "502 ", "502 ", "503 " } },
	{ "HELP", { "214-", "214-", "214-", "214-", "503 " },
	    { "214-", "252 ", "252 ", "252 ", "503 " } },
	{ "AUTH PLAIN", { "503 ", "502 ", "503 ", "503 ", "503 " },
	    { "503 ", "538 ", "503 ", "503 ", "503 " } },
	{ "STARTTLS", ALL("502 "), ALL("502 ") },
	{ "XCLIENT ADDR=1.2.3.4", ALL("502 "), ALL("502 ") },
	{ "FROB", ALL("500 "), ALL("500 ") },
	{ "", ALL("500 "), ALL("500 ") },
	{ " NOOP", ALL("500 "), ALL("500 ") },
	{ "DATA now", { "503 ", "503 ", "554 ", "501 ", "503 " },
	    { "503 ", "503 ", "554 ", "501 ", "503 " } },
	{ "RSET now", ALL("501 "), ALL("501 ") },
	{ "MAIL", { "503 ", "501 ", "503 ", "503 ", "503 " },
	    { "503 ", "501 ", "503 ", "503 ", "503 " } },
	{ "BDAT", ALL("501 "), ALL("501 ") },
	{ "EHLO", ALL("501 "), ALL("501 ") },
	{ "VRFY", { "501 ", "501 ", "501 ", "501 ", "503 " },
	    { "501 ", "501 ", "501 ", "501 ", "503 " } }
};

static struct client *
in_phase(unsigned port, unsigned phase)
{
	static const char *const	way[] = { "EHLO client.example",
	    "MAIL FROM:<a@b.example>", "RCPT TO:<u@dest.example>", "BDAT 0" };
	struct client	*c = client_at(port);

	expect(c, "220 ");
	for (unsigned i = 0; i < phase; i++)
		say(c, way[i], "250");
	return c;
}

static void
test_table(void **state)
{
	const char	*want;
	struct client	*c;

	(void)state;
	for (unsigned port = REGULAR; port <= PROXIED; port++)
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			for (unsigned ph = 0; ph < 5; ph++) {
				c = in_phase(port, ph);
				want = port == REGULAR ? table[i].regular[ph] :
				    table[i].proxied[ph];
				if (getenv("WORLD_LOG") != NULL)
					print_message("%u %s %s\n", port,
					    phase_names[ph], table[i].line);
				say(c, table[i].line, want);
				expect_nothing(c);
				if (*want == '2' && want[2] != '1')
					assert_false(client_closed(c));
				if (strncmp(want, "354", 3) == 0)
					say(c, ".", "250 ");
				if (*want == '5')
					say(c, "NOOP", "250 ");
				leave(c);
			}
}

/* 4.1.1.1: EHLO in the middle is RSET as well; HELO takes the extensions. */
static void
test_hello(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "EHLO other.example",
	    "250-gw.example.org|250-PIPELINING|250-SIZE");
	say(c, "RCPT TO:<u@dest.example>", "503 5.5.1 MAIL first");
	say(c, "MAIL FROM:<a@b.example> BODY=8BITMIME SMTPUTF8 SIZE=10 "
	    "RET=HDRS ENVID=x", "250");
	say(c, "RCPT TO:<u@dest.example> NOTIFY=SUCCESS,DELAY "
	    "ORCPT=rfc822;u@dest.example", "250");
	say(c, "HELO old.example", "250 gw.example.org");
	say(c, "MAIL FROM:<a@b.example> SIZE=10", "555 5.5.4");
	say(c, "MAIL FROM:<a@b.example> BODY=8BITMIME", "555 5.5.4");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example> NOTIFY=NEVER", "555 5.5.4");
	say(c, "EHLO two words", "501 5.5.4");
	say(c, "EHLO [192.0.2.1]", "250-");
	say(c, "EHLO [IPv6:2001:db8::1]", "250-");
	say(c, "EHLO under_score.example", "250-");
	say(c, "EHLO a\x01" "b", "501");
	quit(c);
}

/* ---- order ---------------------------------------------------------------- */

static const char	pipelined[] =
    "EHLO client.example\r\n"
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\n"
    "RCPT TO:<u@nowhere.example>\r\nRCPT TO:<no@dest.example>\r\nDATA\r\n"
    "Subject: one\r\n\r\n..dot\r\nbody\r\n.\r\n"
    "NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster@dest.example>\r\nRSET\r\n"
    "BDAT 5\r\nEHLO MAIL FROM:<c@b.example> BODY=8BITMIME\r\n"
    "RCPT TO:<v@dest.example>\r\nBDAT 12\r\nSubject: x\r\n"
    "BDAT 0\r\nRCPT TO:<w@dest.example>\r\nBDAT 7 LAST\r\n\r\n.\r\n\r\n"
    "VRFY a\r\nQUIT\r\n";
static const char *const	pipelined_codes[] = { "250-", "250 2.1.0",
    "250 2.1.5", "550 5.7.1", "551 5.7.1", "354 ", "250 2.0.0", "250 2.0.0",
    "250 2.1.0", "250 2.1.5", "250 2.0.0", "503 5.5.1", "250 2.1.0",
    "250 2.1.5", "250 2.0.0", "250 2.0.0", "503 5.5.1", "250 2.0.0", "252 ",
    "221 ", NULL };

static void
expect_all(struct client *c, const char *const *codes)
{
	for (; *codes != NULL; codes++)
		expect_at(c, *codes, *codes, __LINE__);
	expect_nothing(c);
}

static void
test_pipeline(void **state)
{
	struct client	*c = client_at(REGULAR);

	(void)state;
	client_send(c, pipelined);
	expect(c, "220 ");
	expect_all(c, pipelined_codes);
	expect_closed(c);
	assert_string_equal(queued.log, "env a@b.example;"
	    "rcpt u@dest.example out;commit 28;env c@b.example;"
	    "rcpt v@dest.example out;commit 19;");
	assert_non_null(strstr(queued.content,
	    "\r\nSubject: x\r\n\r\n.\r\n\r\n"));
	leave(c);
}

/* Whatever the network does to the pieces, the replies are the same. */
static void
test_cuts(void **state)
{
	size_t		 len = strlen(pipelined);
	struct client	*c;

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		c = client_at(REGULAR);
		expect(c, "220 ");
		client_write(c, pipelined, cut);
		world_run();
		client_write(c, pipelined + cut, len - cut);
		expect_all(c, pipelined_codes);
		expect_closed(c);
		assert_int_equal(queued.commits, 2);
		leave(c);
	}
	c = client_at(REGULAR);
	expect(c, "220 ");
	for (size_t i = 0; i < len; i++) {
		client_write(c, pipelined + i, 1);
		world_pass(2);
	}
	expect_all(c, pipelined_codes);
	leave(c);
}

/* 64 commands are in work at most; the others wait and come in order. */
static void
test_many_commands(void **state)
{
	struct client	*c = hello(REGULAR);
	char		 text[65536] = "";

	(void)state;
	for (int i = 0; i < 400; i++)
		strlcat(text, "MAIL FROM:<a@b.example>\r\nRSET\r\n",
		    sizeof(text));
	client_send(c, text);
	for (int i = 0; i < 800; i++)
		expect(c, i % 2 == 0 ? "250 2.1.0" : "250 2.0.0");
	expect_nothing(c);
	quit(c);
}

/* ---- content -------------------------------------------------------------- */

static void
begin(struct client *c, const char *rcpt)
{
	char	line[200];

	say(c, "MAIL FROM:<a@b.example>", "250");
	snprintf(line, sizeof(line), "RCPT TO:<%s>", rcpt);
	say(c, line, "250");
}

/* A chunk: the command with its bytes, no more. */
#define chunk(c, what, want)	do {					\
		client_send((c), (what));				\
		expect_at((c), (want), (what), __LINE__);		\
	} while (0)

/* n bytes in lines of 62, not counting what ends the last of them. */
static void
fill(size_t n)
{
	for (size_t i = 0; i < n; i++)
		big[i] = i % 62 == 60 && i + 1 < n ? '\r' :
		    i % 62 == 61 ? '\n' : (char)('a' + i % 23);
	big[n] = '\0';
}

static void
write_all(struct client *c, const char *p, size_t n)
{
	size_t	put;

	for (unsigned tries = 0; n > 0 && tries < 10000; tries++) {
		put = client_write(c, p, n);
		p += put;
		n -= put;
		world_pass(2);
	}
	assert_int_equal(n, 0);
}

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

/* ---- the client goes ------------------------------------------------------ */

static void
test_gone(void **state)
{
	static const char *const	steps[] = { "", "EHLO c.example\r\n",
	    "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<u@dest.example>\r\n",
	    "DATA\r\n", "half a message", "\r\n.\r", NULL };
	struct client			*c;

	(void)state;
	for (unsigned n = 0; steps[n] != NULL; n++)
		for (int how = 0; how < 3; how++) {
			c = client_at(REGULAR);
			for (unsigned i = 0; i <= n; i++)
				client_send(c, steps[i]);
			if (how == 0)
				client_send(c, "RC");	/* half a line */
			else if (how == 1)
				shutdown(c->fd, SHUT_WR);
			leave(c);
			assert_int_equal(queued.commits, 0);
		}
	/* In the middle of content that queued knows of. */
	c = hello(REGULAR);
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	fill(60000);
	write_all(c, big, 60000);
	assert_int_equal(queued.open, 1);
	leave(c);
	/* Between chunks, and within one. */
	c = hello(REGULAR);
	begin(c, "u@dest.example");
	chunk(c, "BDAT 3\r\nabc", "250");
	client_send(c, "BDAT 100\r\nabc");
	leave(c);
}

/* A client that ends its side and reads on gets what it asked for. */
static void
test_half_closed(void **state)
{
	struct client	*c = client_at(REGULAR);
	char		 text[30000] = "EHLO c.example\r\n";

	(void)state;
	client_send(c, pipelined);
	shutdown(c->fd, SHUT_WR);
	expect(c, "220 ");
	expect_all(c, pipelined_codes);
	expect_closed(c);
	leave(c);

	/* More replies than the socket takes, read late. */
	c = client_at(REGULAR);
	for (int i = 0; i < 1800; i++)
		strlcat(text, "EHLO c.example\r\n", sizeof(text));
	write_all(c, text, strlen(text));
	shutdown(c->fd, SHUT_WR);
	world_run();
	expect(c, "220 ");
	for (int i = 0; i < (int)(strlen(text) / 16); i++)
		expect(c, "250-");
	expect_closed(c);
	leave(c);
}

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

/* ---- trace ---------------------------------------------------------------- */

static void
test_received(void **state)
{
	struct client	*c = client_at(REGULAR);
	char		 id[ID_STRLEN], want[200];

	(void)state;
	expect(c, "220");
	say(c, "HELO c.example", "250");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	say(c, ".", "250");
	id_str(queued.id, id);
	assert_memory_equal(queued.content,
	    "Received: from c.example ([192.0.2.7])", 38);
	snprintf(want, sizeof(want),
	    "by gw.example.org (postern) with SMTP id %s", id);
	assert_non_null(strstr(queued.content, want));
	assert_non_null(strstr(queued.content, "for <u@dest.example>"));
	say(c, "EHLO c.example", "250");
	begin(c, "u@dest.example");
	say(c, "RCPT TO:<v@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_non_null(strstr(queued.content, "with ESMTP id"));
	assert_null(strstr(queued.content, "for <"));
	say(c, "MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8", "250");
	say(c, "RCPT TO:<\xc3\xa4@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_non_null(strstr(queued.content, "with UTF8SMTP id"));
	quit(c);
	/* The submission socket has no address. */
	c = client_new(listen_of(REGULAR), "");
	expect(c, "220");
	say(c, "EHLO localhost", "250");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	say(c, ".", "250");
	quit(c);
}

/* ---- a drain, and what is not for the log --------------------------------- */

static void
see(struct session *s, void *arg)
{
	if (session_idle(s))
		++*(unsigned *)arg;
}

static void
test_idle_or_not(void **state)
{
	struct client	*c = hello(REGULAR);
	unsigned	 n = 0;

	(void)state;
	session_each(see, &n);
	assert_int_equal(n, 1);
	begin(c, "u@dest.example");
	session_each(see, &n);
	assert_int_equal(n, 1);
	session_fail(c->s, 421, span_str("4.3.2 The gateway is shutting down"),
	    "shutting down");
	expect(c, "421 4.3.2");
	expect_closed(c);
	leave(c);
	/* A commit on its way still has its end. */
	c = hello(REGULAR);
	queued.hold = true;
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	client_send(c, "x\r\n.\r\n");
	session_fail(c->s, 421, span_str("4.3.2 x"), "shutting down");
	expect(c, "421 4.3.2");
	assert_int_equal(session_count(), 1);
	queued_result(Q_OK);
	world_run();
	leave(c);
}

#define T(f)	cmocka_unit_test_setup(f, test_setup)

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_table), T(test_hello), T(test_pipeline), T(test_cuts),
		T(test_many_commands), T(test_sizes), T(test_credit),
		T(test_bdat), T(test_bdat_nonsense), T(test_commit),
		T(test_commit_late), T(test_refused_early), T(test_queue_away),
		T(test_doubt), T(test_doubt_gone), T(test_gone),
		T(test_half_closed), T(test_errors), T(test_vain), T(test_bare),
		T(test_lines), T(test_recipients), T(test_refused_recipients),
		T(test_size), T(test_header), T(test_faults), T(test_idle),
		T(test_slow_line), T(test_slow_content), T(test_held_content),
		T(test_long_transaction), T(test_always_busy),
		T(test_greet_delay), T(test_received), T(test_idle_or_not)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
