/*
 * Sessions of the regular server: the whole table of verbs and phases,
 * pipelining, framing cut at every byte, clients that go, trace, drain.
 */
#include "regress/lib/smtpdtest.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "smtpd/txn.h"

/* ---- verbs and phases ----------------------------------------------------- */

static const char *const	phase_names[] = { "greeted", "ready", "mail",
    "rcpt", "bdat" };
static const struct {
	const char	*line;
	const char	*regular[5], *proxied[5];
} table[] = {
#define ALL(x)	{ x, x, x, x, x }
	{ "EHLO a.example", ALL("250-"), ALL("250-") },
	{ "HELO a.example", ALL("250 "), ALL("250 ") },
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

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_table), T(test_hello), T(test_pipeline), T(test_cuts),
		T(test_many_commands), T(test_gone), T(test_half_closed),
		T(test_received), T(test_idle_or_not)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
