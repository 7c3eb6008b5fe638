/*
 * Rules that ask an actual server at RCPT: one transaction goes live.
 */
#include "regress/lib/smtpdtest.h"

#include <sys/socket.h>
#include <unistd.h>

#include "smtpd/link.h"
#include "smtpd/txn.h"

/* ---- by a rule ------------------------------------------------------------ */

static void
test_rule(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	/* Pipelined; the replies come late. */
	proxyd.hold = true;
	client_send(c, "MAIL FROM:<a@b.example> RET=HDRS\r\n"
	    "RCPT TO:<u@live.example>\r\nRCPT TO:<v@live.example>\r\n"
	    "RCPT TO:<w@other.example>\r\nRCPT TO:<x@dest.example>\r\n"
	    "RCPT TO:<y@nowhere.example>\r\nDATA\r\n");
	expect(c, "250 2.1.0");
	expect_nothing(c);
	assert_string_equal(proxyd.log, "open live;");
	answer(0, NULL);
	assert_string_equal(proxyd.log, "open live;mail a@b.example;"
	    "rcpt u@live.example;rcpt v@live.example;data;");
	answer(0, NULL);
	expect_nothing(c);
	answer(0, NULL);
	expect(c, "250 2.1.5");
	answer(550, "5.1.1 no such user\nat all");
	expect(c, "550-5.1.1 no such user|550 at all");
	expect(c, "452 4.5.3");
	expect(c, "452 4.5.3");
	expect(c, "550 5.7.1");
	answer(0, NULL);
	expect(c, "354");
	client_send(c, "x\r\n.\r\n");
	expect_nothing(c);
	answer(0, NULL);
	expect(c, "250 2.0.0 got it");
	assert_non_null(strstr(proxyd.content, "for <u@live.example>"));
	/* The same session there for the next one; a third one by the queue. */
	proxyd.hold = false;
	proxyd.log[0] = '\0';
	say(c, "MAIL FROM:<b@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 got it");
	assert_string_equal(proxyd.log, "mail b@b.example;rcpt u@live.example;"
	    "data;end;");
	say(c, "MAIL FROM:<b@b.example>", "250");
	say(c, "RCPT TO:<x@dest.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "452 4.5.3");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_int_equal(queued.commits, 1);
	/* Another server: the first one's session ends. */
	proxyd.log[0] = '\0';
	say(c, "MAIL FROM:<b@b.example>", "250");
	say(c, "RCPT TO:<u@other.example>", "250");
	assert_string_equal(proxyd.log, "close;open other;mail b@b.example;"
	    "rcpt u@other.example;");
	say(c, "RSET", "250");
	assert_non_null(strstr(proxyd.log, "rset;"));
	quit(c);
}

static void
test_rule_mail_refused(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	on(ASKED_MAIL, 550, "5.7.1 not you");
	on(ASKED_RCPT, 503, "5.5.1 mail first");
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@live.example>\r\n"
	    "RCPT TO:<v@live.example>\r\nDATA\r\n");
	expect(c, "250 2.1.0");
	expect(c, "550 5.7.1 not you");
	expect(c, "550 5.7.1 not you");
	expect(c, "554 5.5.1");
	say(c, "RSET", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "550 5.7.1 not you");
	say(c, "RCPT TO:<u@live.example>", "550 5.7.1 not you");
	/* Others may think otherwise of the sender. */
	on(ASKED_MAIL, 0, NULL);
	on(ASKED_RCPT, 0, NULL);
	say(c, "RCPT TO:<u@other.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "452 4.5.3");
	say(c, "RSET", "250");
	on(ASKED_MAIL, 421, "4.3.2 down");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "451 4.3.2 down");
	on(ASKED_MAIL, 0, NULL);
	say(c, "RCPT TO:<x@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_int_equal(queued.commits, 1);
	quit(c);
}

/* What the server can't is told for each recipient, and nothing goes over. */
static void
test_rule_lacks(void **state)
{
	static const struct {
		uint32_t	 bit;
		const char	*mail, *reply;
	} lacks[] = {
		{ CAP_SMTPUTF8, "MAIL FROM:<a@b.example> SMTPUTF8",
		    "553 5.6.7" },
		{ CAP_8BITMIME, "MAIL FROM:<a@b.example> BODY=8BITMIME",
		    "554 5.6.3" },
		{ 0, "MAIL FROM:<a@b.example> SIZE=1000001", "552 5.3.4" }
	};
	struct client	*c;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		proxyd.caps.bits &= ~lacks[i].bit;
		c = hello(REGULAR);
		say(c, lacks[i].mail, "250");
		say(c, "RCPT TO:<u@live.example>", lacks[i].reply);
		say(c, "RCPT TO:<v@live.example>", lacks[i].reply);
		assert_string_equal(proxyd.log, "open live;");
		say(c, "RCPT TO:<x@dest.example>", "250");
		quit(c);
	}
}

static void
test_rule_no_server(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	on(ASKED_OPEN, 554, "5.7.1 go away");
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@live.example>\r\n"
	    "RCPT TO:<v@live.example>\r\n");
	expect(c, "250");
	expect(c, "451 4.4.1 The server cannot be used now: 554 5.7.1 go away");
	expect(c, "451 4.4.1");
	on(ASKED_OPEN, 0, NULL);
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RSET", "250");
	quit(c);
	c = hello(REGULAR);
	proxyd_die();
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "451 4.3.2");
	proxyd_start();
	say(c, "RCPT TO:<u@live.example>", "250");
	/* Gone with what it had taken: the others can't be had any more. */
	server_gone();
	say(c, "RCPT TO:<v@live.example>", "451 4.4.1");
	say(c, "DATA", "451 4.4.1");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RSET", "250");
	/* Gone with all refused: a new session may take the next one. */
	on(ASKED_RCPT, 550, "5.1.1 no");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "550 5.1.1 no");
	server_gone();
	on(ASKED_RCPT, 0, NULL);
	proxyd.log[0] = '\0';
	say(c, "RCPT TO:<u@live.example>", "250");
	assert_string_equal(proxyd.log,
	    "open live;mail a@b.example;rcpt u@live.example;");
	/* Gone with it asked for. */
	say(c, "RSET", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	proxyd.hold = true;
	client_send(c, "RCPT TO:<u@live.example>\r\n");
	server_gone();
	expect(c, "451 4.4.1");
	proxyd.hold = false;
	say(c, "RCPT TO:<u@live.example>", "250");
	/* Between two transactions. */
	say(c, "DATA", "354");
	say(c, ".", "250");
	server_gone();
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	quit(c);
}

/* Commands of ours that follow while the server still thinks. */
static void
test_rule_between(void **state)
{
	static const struct { const char *line, *reply; } next[] = {
		{ "RSET", "250" }, { "EHLO c.example", "250-" },
		{ "HELO c.example", "250" }, { "NOOP", "250" },
		{ "VRFY x", "252" }, { "MAIL FROM:<x@y.example>", "503" }
	};
	struct client	*c;

	(void)state;
	for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++)
		for (int gone = 0; gone < 2; gone++) {
			c = hello(REGULAR);
			say(c, "MAIL FROM:<a@b.example>", "250");
			say(c, "RCPT TO:<u@live.example>", "250");
			proxyd.hold = true;
			client_send(c, "RCPT TO:<v@live.example>\r\n");
			client_say(c, next[i].line);
			expect_nothing(c);
			if (gone)
				server_gone();
			else
				answer(421, "4.3.2 down");
			expect(c, gone ? "451 4.4.1" : "451 4.3.2 down");
			expect(c, next[i].reply);
			proxyd.hold = false;
			say(c, "RSET", "250");
			quit(c);
		}
	/* QUIT waits for them too. */
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	proxyd.hold = true;
	client_send(c, "RCPT TO:<v@live.example>\r\nQUIT\r\nNOOP\r\n");
	expect_nothing(c);
	answer(0, NULL);
	expect(c, "250 2.1.5");
	expect(c, "221");
	expect_nothing(c);
	expect_closed(c);
	leave(c);
	/* Another server while the first one owes a reply. */
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	proxyd.hold = true;
	client_send(c, "RCPT TO:<v@live.example>\r\nRSET\r\n"
	    "MAIL FROM:<a@b.example>\r\nRCPT TO:<w@other.example>\r\n");
	expect(c, "451 4.4.1");
	expect(c, "250 2.0.0");
	expect(c, "250 2.1.0");
	while (proxyd_answer(proxyd.tid, 0, NULL))
		world_run();
	expect(c, "250 2.1.5");
	proxyd.hold = false;
	quit(c);
}

/* The limits of a client hold while replies are owed. */
static void
test_limits(void **state)
{
	struct client	*c = hello(PROXIED);

	(void)state;
	proxyd.hold = true;
	for (int i = 0; i < SESSION_VAIN_MAX + 1; i++)
		client_send(c, "NOOP\r\n");
	expect(c, "421 4.7.0");
	expect_closed(c);
	leave(c);
	c = hello(PROXIED);
	proxyd.hold = true;
	client_send(c, "NOOP\r\n");
	for (int i = 0; i < 20; i++)
		client_send(c, "FROB\r\n");
	expect(c, "421 4.7.0");
	expect_closed(c);
	leave(c);
}

/* A name is waited for, and MAIL is refused meanwhile. */
static void
test_peer_and_mail(void **state)
{
	struct client	*c = hello(HOST_PROXIED);

	(void)state;
	proxyd.hold = true;
	client_send(c, "MAIL FROM:<a@b.example>\r\n"
	    "RCPT TO:<u@dest.example>\r\n");
	expect_nothing(c);
	assert_null(strstr(proxyd.log, "rcpt"));
	answer(550, "5.7.1 not you");
	expect(c, "550 5.7.1 not you");
	world_skip_ms(31000);		/* no lookupd: no name */
	expect(c, "503 5.5.1 gw.example.org: MAIL");
	proxyd.hold = false;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	quit(c);
}

/* A server without DSN can't promise what NOTIFY=SUCCESS asks for, and where no
 * rule leads to the sender nor can we. */
static void
test_no_dsn(void **state)
{
	struct client	*c;

	(void)state;
	proxyd.caps.bits &= ~(uint32_t)CAP_DSN;
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example> RET=HDRS ENVID=x", "250");
	say(c, "RCPT TO:<u@live.example> NOTIFY=SUCCESS", "555 5.3.3");
	say(c, "RCPT TO:<v@live.example> NOTIFY=NEVER", "250");
	say(c, "RCPT TO:<w@live.example> NOTIFY=SUCCESS,FAILURE", "555 5.3.3");
	say(c, "RCPT TO:<x@live.example> NOTIFY=FAILURE,DELAY", "250");
	assert_string_equal(proxyd.log, "open live;mail a@b.example;"
	    "rcpt v@live.example;rcpt x@live.example;");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 got it");
	quit(c);
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example> NOTIFY=SUCCESS", "250");
	quit(c);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_rule), T(test_rule_mail_refused), T(test_rule_lacks),
		T(test_rule_no_server), T(test_rule_between), T(test_limits),
		T(test_no_dsn), T(test_peer_and_mail)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
