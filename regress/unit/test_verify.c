/*
 * Recipients that are verified at RCPT: what tables say, what queued remembers,
 * what the server says through proxyd; order of replies, joined questions.
 */
#include "regress/lib/verifyhelp.h"

static void
sources(void **state)
{
	const struct conf_action	*a;
	size_t				 n = 0;

	(void)state;
	a = conf_action_find(world_conf, span_str("late"));
	assert_int_equal(conf_known(world_conf, a,
	    span_str("anna@sel.example"), &n), KNOWN_SAYS_ASK);
	assert_int_equal(conf_known(world_conf, a,
	    span_str("anna@sel.example"), &n), KNOWN_SAYS_YES);
	n = 1;
	assert_int_equal(conf_known(world_conf, a, span_str("x@staff.example"),
	    &n), KNOWN_SAYS_NO);
	n = 1;
	assert_int_equal(conf_known(world_conf, a, span_str("x@y.example"),
	    &n), KNOWN_SAYS_END);
	a = conf_action_find(world_conf, span_str("backup"));
	n = 0;
	assert_int_equal(conf_known(world_conf, a, span_str("x@y.example"),
	    &n), KNOWN_SAYS_ASK);
	assert_int_equal(conf_known(world_conf, a, span_str("x@y.example"),
	    &n), KNOWN_SAYS_END);
	a = conf_action_find(world_conf, span_str("plain"));
	assert_false(conf_verifies(a));
}

static void
tables(void **state)
{
	struct client	*c = begun();

	(void)state;
	say(c, "RCPT TO:<anna@sel.example>", "250 2.1.5");
	say(c, "RCPT TO:<Anna+x@SEL.example>", "250 2.1.5");
	say(c, "RCPT TO:<nina@tables.example>", "550 5.1.1 unknown user");
	say(c, "RCPT TO:<x@plain.example>", "250 2.1.5");
	nothing_open();
	quit(c);
}

static void
asked(void **state)
{
	struct client	*c = begun();

	(void)state;
	client_say(c, "RCPT TO:<u@sel.example>");
	expect_nothing(c);
	assert_int_equal(last_ask.cache_ms, 2 * 3600000);
	assert_int_equal(last_ask.good_ms, 3 * 86400000);
	knows(SEL("u"), V_NONE, true, false, "");
	expect_nothing(c);
	assert_true(at_proxyd[0].probe);
	server_says(ASKED("u"), V_GOOD, V_ANY_NO, "250 2.1.5 fine");
	expect(c, "250 2.1.5 Ok");
	assert_string_equal(told, "1 1 250 2.1.5 fine;");
	/* One who is unknown, in the server's words, made harmless. */
	client_say(c, "RCPT TO:<v@sel.example>");
	knows(SEL("v"), V_NONE, true, false, "");
	log_begin();
	server_says(ASKED("v"), V_BAD, V_ANY_NOT_ASKED,
	    "550 5.1.1 no \303\274 \"here\" why=x");
	expect(c, "550 5.1.1 unknown user; his server said: 550 5.1.1 no ?? "
	    "\"here\" why=x");
	/* It makes no value of its own in the log. */
	assert_true(log_end(" reply=\"550 5.1.1 unknown user; his server "
	    "said: 550 5.1.1 no ?? \\x22here\\x22 why=x\" why="));
	/* No answer at all. */
	client_say(c, "RCPT TO:<w@sel.example>");
	knows(SEL("w"), V_NONE, true, false, "");
	server_says(ASKED("w"), V_LATER, V_ANY_NOT_ASKED, "451 later");
	expect(c, "450 4.4.1 ");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_non_null(strstr(queued.log, "rcpt u@sel.example sel;commit"));
	nothing_open();
	quit(c);
}

static void
remembered(void **state)
{
	struct client	*c = begun();

	(void)state;
	client_say(c, "RCPT TO:<u@sel.example>");
	knows(SEL("u"), V_GOOD, false, true, "250 ok");
	expect(c, "250 2.1.5 Ok");
	client_say(c, "RCPT TO:<v@sel.example>");
	knows(SEL("v"), V_BAD, false, false, "550 5.1.1 no");
	expect(c, "550 5.1.1 unknown user; his server said: 550 5.1.1 no");
	nothing_open();
	/* Asked anew, while the client has its answer. */
	client_say(c, "RCPT TO:<v@sel.example>");
	knows(SEL("v"), V_BAD, true, false, "550 5.1.1 no");
	expect(c, "550 5.1.1 unknown user");
	assert_int_equal(verify_count(), 1);
	/* Who comes in between asks queued, not the question that is open. */
	client_say(c, "RCPT TO:<v@sel.example>");
	knows(SEL("v"), V_BAD, false, false, "550 5.1.1 no");
	expect(c, "550 5.1.1 unknown user");
	server_says(ASKED("v"), V_GOOD, V_ANY_NO, "250 ok");
	assert_string_equal(told, "1 1 250 ok;");
	nothing_open();
	/* queued is asked by too many. */
	client_say(c, "RCPT TO:<w@sel.example>");
	knows(SEL("w"), V_BUSY, false, false, "");
	expect(c, "450 4.4.1 ");
	client_say(c, "RCPT TO:<w@sel.example>");
	knows(SEL("w"), V_BUSY, false, true, "");
	expect(c, "250");
	nothing_open();
	quit(c);
}

static void
known_good(void **state)
{
	struct client	*c = begun();

	(void)state;
	client_say(c, "RCPT TO:<u@sel.example>");
	knows(SEL("u"), V_NONE, true, true, "");
	server_says(ASKED("u"), V_DOWN, V_ANY_NOT_ASKED, "refused");
	expect(c, "250 2.1.5");
	client_say(c, "RCPT TO:<v@sel.example>");
	knows(SEL("v"), V_NONE, true, false, "");
	server_says(ASKED("v"), V_DOWN, V_ANY_NOT_ASKED, "refused");
	expect(c, "450 4.4.1 ");
	/* A no is a no, whatever was before. */
	client_say(c, "RCPT TO:<w@sel.example>");
	knows(SEL("w"), V_NONE, true, true, "");
	server_says(ASKED("w"), V_BAD, V_ANY_NOT_ASKED, "550 no");
	expect(c, "550 5.1.1");
	/* No answer in time; it still is of use to others. */
	client_send(c, "RCPT TO:<x@sel.example>\r\nRCPT TO:<y@sel.example>\r\n");
	knows(SEL("x"), V_NONE, true, true, "");
	knows(SEL("y"), V_NONE, true, false, "");
	world_skip_ms(VERIFY_WAIT_MS - 3000);
	expect_nothing(c);
	world_skip_ms(3000);
	expect(c, "250 2.1.5");
	expect(c, "450 4.4.1 ");
	told[0] = '\0';
	server_says(ASKED("x"), V_GOOD, V_ANY_NO, "250 ok");
	server_says(ASKED("y"), V_BAD, V_ANY_NOT_ASKED, "550 no");
	assert_string_equal(told, "1 1 250 ok;2 0 550 no;");
	nothing_open();
	quit(c);
}

/* Sources behind the server. */
static void
behind(void **state)
{
	struct client	*c = begun();

	(void)state;
	client_say(c, "RCPT TO:<u@late.example>");
	knows("pool p||u@late.example", V_NONE, true, false, "");
	server_says("late||u@late.example", V_BAD, V_ANY_NOT_ASKED, "550 no");
	expect(c, "450 4.1.1 unknown user; his server said: 550 no");
	/* The directory is whole for its domain, so a server that is down
	 * makes no difference. */
	client_say(c, "RCPT TO:<late2@staff.example>");
	knows("pool p||late2@staff.example", V_NONE, true, false, "");
	server_says("late||late2@staff.example", V_DOWN, V_ANY_NOT_ASKED, "");
	expect(c, "450 4.1.1 unknown user");
	nothing_open();
	quit(c);
}

static void
targets(void **state)
{
	struct client	*c = begun();

	(void)state;
	client_say(c, "RCPT TO:<u@one.example>");
	knows("action by|192.0.2.7|u@one.example", V_NONE, true, false, "");
	server_says("by|192.0.2.7|u@one.example", V_GOOD, V_ANY_YES, "250 ok");
	expect(c, "250");
	client_say(c, "RCPT TO:<u@MX.example>");
	knows("action mx|mx.example|u@mx.example", V_GOOD, false, true, "");
	expect(c, "250");
	nothing_open();
	quit(c);
}

/* A group is asked for as a whole; replies and content keep their order. */
static void
pipelined(void **state)
{
	struct client	*c = hello(REGULAR), *d = hello(REGULAR);

	(void)state;
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@sel.example>\r\n"
	    "RCPT TO:<anna@sel.example>\r\nRCPT TO:<v@sel.example>\r\n"
	    "RCPT TO:<x@plain.example>\r\nDATA\r\n");
	expect(c, "250 2.1.0");
	expect_nothing(c);
	assert_int_equal(nqueued, 2);
	knows(SEL("v"), V_BAD, false, false, "550 5.1.1 no");
	expect_nothing(c);
	/* Other sessions go on. */
	say(d, "MAIL FROM:<a@b.example>", "250");
	say(d, "RCPT TO:<anna@sel.example>", "250");
	say(d, "DATA", "354");
	say(d, ".", "250");
	queued.log[0] = '\0';
	client_free(d);
	knows(SEL("u"), V_GOOD, false, true, "");
	expect(c, "250 2.1.5");
	expect(c, "250 2.1.5");
	expect(c, "550 5.1.1");
	expect(c, "250 2.1.5");
	expect(c, "354");
	client_send(c, "x\r\n.\r\n");
	expect(c, "250");
	assert_non_null(strstr(queued.log, "rcpt u@sel.example sel;"
	    "rcpt anna@sel.example sel;rcpt x@plain.example plain;commit"));
	nothing_open();
	quit(c);
}

/* All of the group are refused: DATA is, too, and BDAT with its bytes. */
static void
none_left(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@sel.example>\r\n"
	    "RCPT TO:<v@sel.example>\r\nDATA\r\n");
	expect(c, "250 2.1.0");
	knows(SEL("u"), V_BAD, false, false, "550 no");
	expect(c, "550 5.1.1");
	expect_nothing(c);
	knows(SEL("v"), V_BAD, false, false, "550 no");
	expect(c, "550 5.1.1");
	expect(c, "554 5.5.1 No valid recipients");
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@sel.example>\r\n"
	    "BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n");
	expect(c, "250 2.1.0");
	expect_nothing(c);
	knows(SEL("u"), V_BAD, false, false, "550 no");
	expect(c, "550 5.1.1");
	expect(c, "554 5.5.1 No valid recipients");
	expect(c, "250 2.0.0");
	expect_nothing(c);
	/* BDAT that waits, and is fine. */
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@sel.example>\r\n"
	    "BDAT 3 LAST\r\nx\r\n");
	expect(c, "250 2.1.0");
	expect_nothing(c);
	knows(SEL("u"), V_GOOD, false, true, "");
	expect(c, "250 2.1.5");
	expect(c, "250 2.0.0");
	assert_int_equal(queued.commits, 1);
	nothing_open();
	quit(c);
}

/* The same recipient in many sessions is one question. */
static void
joined(void **state)
{
	struct client	*c[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		c[i] = begun();
		client_say(c[i], "RCPT TO:<u@sel.example>");
	}
	world_run();
	assert_int_equal(nqueued, 1);
	assert_int_equal(verify_count(), 1);
	/* One goes away; the question does not. */
	client_free(c[1]);
	knows(SEL("u"), V_NONE, true, false, "");
	assert_int_equal(nproxyd, 1);
	client_free(c[0]);
	client_free(c[2]);
	server_says(ASKED("u"), V_GOOD, V_ANY_NO, "250 ok");
	assert_null(world_leak());
	assert_string_equal(told, "1 1 250 ok;");
	nothing_open();
}

/* RSET and QUIT come behind a recipient that is still asked for. */
static void
reset(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@sel.example>\r\n"
	    "RCPT TO:<v@sel.example>\r\nRSET\r\nMAIL FROM:<c@d.example>\r\n"
	    "RCPT TO:<anna@sel.example>\r\nDATA\r\n");
	expect(c, "250 2.1.0");
	expect_nothing(c);
	knows(SEL("v"), V_BAD, false, false, "550 no");
	knows(SEL("u"), V_GOOD, false, true, "");
	expect(c, "250 2.1.5");
	expect(c, "550 5.1.1");
	expect(c, "250 2.0.0");
	expect(c, "250 2.1.0");
	expect(c, "250 2.1.5");
	expect(c, "354");
	client_send(c, "x\r\n.\r\n");
	expect(c, "250");
	assert_null(strstr(queued.log, "u@sel.example"));
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@sel.example>\r\n"
	    "QUIT\r\n");
	expect(c, "250 2.1.0");
	expect_nothing(c);
	knows(SEL("u"), V_GOOD, false, true, "");
	expect(c, "250 2.1.5");
	expect(c, "221");
	expect_closed(c);
	nothing_open();
	leave(c);
}

/* Too many errors end the session in the middle of a group. */
static void
errors(void **state)
{
	struct client	*c;

	(void)state;
	world_conf->limits.errors = 2;
	c = hello(REGULAR);
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@sel.example>\r\n"
	    "RCPT TO:<v@sel.example>\r\nRCPT TO:<w@sel.example>\r\nDATA\r\n");
	expect(c, "250 2.1.0");
	knows(SEL("u"), V_BAD, false, false, "550 no");
	expect(c, "550 5.1.1");
	knows(SEL("v"), V_BAD, false, false, "550 no");
	expect(c, "421 4.7.0");
	expect_closed(c);
	knows(SEL("w"), V_GOOD, false, true, "");
	nothing_open();
	leave(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sources),
		CASE(tables),
		CASE(asked),
		CASE(remembered),
		CASE(known_good),
		CASE(behind),
		CASE(targets),
		CASE(pipelined),
		CASE(none_left),
		CASE(joined),
		CASE(reset),
		CASE(errors),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
