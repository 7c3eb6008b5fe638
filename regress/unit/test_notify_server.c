/*
 * NOTIFY=SUCCESS and an actual server without DSN: the message is prepared in
 * queued, which tells the sender once the server has taken it.
 */
#include "regress/lib/smtpdtest.h"

/* There is a rule for mail to him, and none to a@b.example. */
#define SENDER	"s@dest.example"

static struct client *
without_dsn(unsigned port)
{
	struct client	*c;

	proxyd.caps.bits &= ~(uint32_t)CAP_DSN;
	c = client_at(port);
	expect(c, "220 gw.example.org");
	client_say(c, "EHLO client.example");
	assert_non_null(strstr(client_reply(c), "DSN"));
	return c;
}

static void
owed(struct client *c)
{
	say(c, "MAIL FROM:<" SENDER "> RET=HDRS ENVID=x", "250");
	say(c, "RCPT TO:<u@live.example> NOTIFY=SUCCESS,FAILURE", "250");
	proxyd.log[0] = queued.log[0] = '\0';
}

static void
dot(struct client *c)
{
	say(c, "DATA", "354");
	assert_string_equal(proxyd.log, "data;");
	assert_string_equal(queued.log, "prepare " SENDER ";"
	    "rcpt u@live.example live way 1;");
	proxyd.hold = true;
	client_send(c, "x\r\n.\r\n");
	expect_nothing(c);
	assert_string_equal(proxyd.log, "data;end;");
	assert_non_null(strstr(queued.log, "commit "));
	proxyd.hold = false;
}

static void
test_taken(void **state)
{
	static const unsigned	 ports[] = { REGULAR, PROXIED };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct client	*c = without_dsn(ports[i]);

		owed(c);
		dot(c);
		answer(0, NULL);
		assert_non_null(strstr(queued.log, "settle 1 3 250 2.0.0 got "));
		assert_non_null(strstr(queued.log, "finish keep;"));
		expect_nothing(c);
		queued_finished(Q_OK);
		/* As the server has said it. */
		expect(c, "250 2.0.0 got it");
		/* The same session there goes on; this one owes nothing. */
		proxyd.log[0] = queued.log[0] = '\0';
		say(c, "MAIL FROM:<" SENDER ">", "250");
		say(c, "RCPT TO:<u@live.example> NOTIFY=NEVER", "250");
		say(c, "RCPT TO:<v@live.example> NOTIFY=DELAY", "250");
		say(c, "DATA", "354");
		say(c, ".", "250 2.0.0 got it");
		say(c, "MAIL FROM:<>", "250");
		say(c, "RCPT TO:<u@live.example> NOTIFY=SUCCESS", "250");
		say(c, "DATA", "354");
		say(c, ".", "250 2.0.0 got it");
		assert_string_equal(queued.log, "");
		assert_null(strstr(proxyd.log, "open"));
		quit(c);
	}
}

/* No message, no notification; and the client's session lives on. */
static void
test_refused(void **state)
{
	static const unsigned	 ports[] = { REGULAR, PROXIED };
	static const char *const replies[] = { "554 5.7.1 no", "451 5.7.1 no",
	    "451 5.7.1 no", "451 4.4.2" };
	static const uint16_t	 codes[] = { 554, 451, 421, 1 };

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct client	*c = without_dsn(ports[i / 4]);

		owed(c);
		dot(c);
		if (codes[i % 4] == 1)
			server_gone();
		else
			answer(codes[i % 4], "5.7.1 no");
		expect(c, replies[i % 4]);
		if (codes[i % 4] == 421 && i / 4 == 1) {
			expect(c, "421");	/* as it says, and goes */
			leave(c);
			continue;
		}
		assert_null(strstr(queued.log, "settle"));
		assert_non_null(strstr(queued.log, "finish void;"));
		owed(c);
		dot(c);
		answer(0, NULL);
		queued_finished(Q_OK);
		expect(c, "250 2.0.0 got it");
		quit(c);
	}
}

/* At DATA, and by the queue; RSET and all refused, with what comes behind. */
static void
test_not_begun(void **state)
{
	static const unsigned	 ports[] = { REGULAR, PROXIED };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct client	*c = without_dsn(ports[i]);

		owed(c);
		on(ASKED_DATA, 452, "4.3.1 full");
		say(c, "DATA", "452 4.3.1 full");
		on(ASKED_DATA, 0, NULL);
		assert_string_equal(proxyd.log, "data;rset;");
		assert_string_equal(queued.log, "");
		owed(c);
		say(c, "RSET", "250");
		assert_string_equal(proxyd.log, "rset;");
		on(ASKED_RCPT, 550, "5.1.1 who");
		client_send(c, "MAIL FROM:<" SENDER ">\r\n"
		    "RCPT TO:<u@live.example> NOTIFY=SUCCESS\r\nDATA\r\n");
		expect(c, "250");
		expect(c, "550 5.1.1 who");
		expect(c, "5");
		on(ASKED_RCPT, 0, NULL);
		queued.status = Q_FULL;
		owed(c);
		say(c, "DATA", "354");
		client_send(c, "x\r\n.\r\n");
		expect(c, "452 4.3.1");
		assert_null(strstr(proxyd.log, "end;"));
		queued.status = Q_OK;
		owed(c);
		dot(c);
		answer(0, NULL);
		queued_finished(Q_OK);
		expect(c, "250 2.0.0 got it");
		quit(c);
	}
}

/* Nobody could tell: neither at EHLO nor at RCPT. */
static void
test_no_queue(void **state)
{
	struct client	*c = without_dsn(PROXIED), *d;

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example> NOTIFY=SUCCESS", "555 5.3.3");
	say(c, "RSET", "250");
	queued_die();
	say(c, "MAIL FROM:<" SENDER ">", "250");
	say(c, "RCPT TO:<u@live.example> NOTIFY=SUCCESS", "451 4.3.2");
	say(c, "RCPT TO:<u@live.example> NOTIFY=FAILURE", "250");
	say(c, "RSET", "250");
	d = client_at(PROXIED);
	expect(d, "220");
	client_say(d, "EHLO client.example");
	assert_null(strstr(client_reply(d), "DSN"));
	client_free(d);
	queued_start();
	world_run();
	say(c, "MAIL FROM:<" SENDER ">", "250");
	say(c, "RCPT TO:<u@live.example> NOTIFY=SUCCESS", "250");
	queued_die();
	say(c, "DATA", "451 4.3.0");
	queued_start();
	world_run();
	quit(c);
}

/* All in one piece, with a command that is the server's own; in chunks. */
static void
test_pipelined(void **state)
{
	struct client	*c = without_dsn(PROXIED);

	(void)state;
	client_send(c, "MAIL FROM:<" SENDER ">\r\n"
	    "RCPT TO:<u@live.example> NOTIFY=SUCCESS\r\n"
	    "RCPT TO:<v@live.example>\r\nNOOP\r\nDATA\r\n");
	for (int i = 0; i < 4; i++)
		expect(c, "250");
	expect(c, "354");
	client_send(c, "x\r\n.\r\n");
	queued_finished(Q_OK);
	expect(c, "250 2.0.0 got it");
	/* The server is lost with that command unanswered. */
	proxyd.hold = true;
	client_send(c, "MAIL FROM:<" SENDER ">\r\n"
	    "RCPT TO:<u@live.example> NOTIFY=SUCCESS\r\nNOOP\r\nDATA\r\n");
	answer(0, NULL);
	answer(0, NULL);
	expect(c, "250");
	expect(c, "250");
	world_run();
	assert_non_null(strstr(proxyd.log, "noop;data;"));
	server_gone();
	expect(c, "451");
	expect(c, "451");
	proxyd.hold = false;
	client_send(c, "MAIL FROM:<" SENDER ">\r\n"
	    "RCPT TO:<u@live.example> NOTIFY=SUCCESS\r\n"
	    "BDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\n");
	for (int i = 0; i < 3; i++)
		expect(c, "250");
	queued_finished(Q_OK);
	expect(c, "250 2.0.0 got it");
	quit(c);
}

/* The client goes: before the dot there is nothing, behind it all is as said. */
static void
test_client_gone(void **state)
{
	struct client	*c = without_dsn(PROXIED);

	(void)state;
	owed(c);
	say(c, "DATA", "354");
	client_send(c, "x\r\n");
	leave(c);
	c = without_dsn(PROXIED);
	owed(c);
	dot(c);
	client_free(c);
	world_run();
	answer(0, NULL);
	assert_non_null(strstr(queued.log, "settle 1 3 250"));
	assert_non_null(strstr(queued.log, "finish keep;"));
	queued_finished(Q_OK);
	world_run();
	assert_null(world_leak());
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_taken), T(test_refused), T(test_not_begun),
		T(test_no_queue), T(test_pipelined), T(test_client_gone)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
