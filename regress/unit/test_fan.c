/*
 * Two live servers and the queue in one transaction (`on-conflict fan-out`):
 * what each of them, queued and the client are told, and in which order.
 */
#include "regress/lib/smtpdtest.h"
#include "smtpd/fan.h"

static struct client *
next_fan(bool queue)
{
	struct client	*c = hello(REGULAR);

	world_conf->listens[listen_of(REGULAR)]->on_conflict =
	    CONFLICT_FAN_OUT;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250 2.1.5 fine");
	say(c, "RCPT TO:<v@other.example>", "250 2.1.5 fine");
	if (queue)
		say(c, "RCPT TO:<x@dest.example>", "250 2.1.5 Ok");
	say(c, "DATA", "354");
	proxyd.log[0] = queued.log[0] = '\0';
	return c;
}

static struct client *
fan(bool queue)
{
	fan_forget();
	return next_fan(queue);
}

static void
dot(struct client *c)
{
	proxyd.hold = true;
	client_send(c, "x\r\n.\r\n");
	expect_nothing(c);
	assert_string_equal(proxyd.log, "end;");
	assert_non_null(strstr(queued.log, "commit"));
}

static void
one(uint32_t tid, uint16_t code, const char *text)
{
	assert_true(proxyd_answer(tid, code, text));
	world_run();
}

/* The first has taken it; what the second says. */
static void
second(uint16_t code, const char *text, const char *want)
{
	struct client	*c = fan(true);
	uint32_t	 a = proxyd.before, b = proxyd.tid;

	dot(c);
	one(a, 0, NULL);
	assert_string_equal(proxyd.log, "end;end;");
	expect_nothing(c);
	if (code == 1)
		proxyd_close(b, "gone");
	else
		one(b, code, text);
	world_run();
	assert_non_null(strstr(queued.log, "settle 1 0 250"));
	assert_non_null(strstr(queued.log, "settle 0 1 "));
	assert_non_null(strstr(queued.log, want));
	assert_non_null(strstr(queued.log, "finish keep;"));
	expect_nothing(c);
	queued_finished(Q_OK);
	expect(c, "250 2.0.0 ");
	proxyd.hold = false;
	quit(c);
}

static void
test_second(void **state)
{
	(void)state;
	second(0, NULL, "settle 2 0 250");
	second(451, "4.3.0 later", "settle 2 1 451");
	second(550, "5.1.1 no", "settle 2 2 550 5.1.1 no");
	second(421, "4.3.2 down", "settle 2 1 421");
	second(1, NULL, "settle 2 1 ");
}

/* Who refuses is asked first from then on. */
static void
test_order(void **state)
{
	struct client	*c;

	(void)state;
	second(550, "5.7.1 no", "settle 2 2 550 5.7.1 no");
	c = next_fan(true);
	dot(c);
	assert_false(proxyd_answer(proxyd.before, 0, NULL));
	one(proxyd.tid, 550, "5.7.1 no");
	expect(c, "550 5.7.1 no");
	assert_non_null(strstr(queued.log, "finish void;"));
	proxyd.hold = false;
	quit(c);
}

static void
test_first_refuses(void **state)
{
	static const uint16_t	 codes[] = { 554, 451, 421, 1 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct client	*c = fan(i % 2 == 0);
		uint32_t	 a = proxyd.before;

		dot(c);
		if (codes[i] == 1) {
			proxyd_close(a, "gone");
			world_run();
		} else
			one(a, codes[i], "5.7.1 no");
		expect(c, codes[i] == 554 ? "554 5.7.1 no" : "451");
		assert_null(strstr(proxyd.log, "end;end;"));
		assert_non_null(strstr(queued.log, "finish void;"));
		proxyd.hold = false;
		quit(c);
	}
}

/* A client that goes before the dot: nobody has anything. */
static void
test_client_gone(void **state)
{
	struct client	*c = fan(true);

	(void)state;
	client_send(c, "x\r\n");
	leave(c);
	c = fan(false);
	dot(c);
	client_free(c);
	world_run();
	one(proxyd.before, 0, NULL);
	one(proxyd.tid, 0, NULL);
	assert_non_null(strstr(queued.log, "finish keep;"));
	queued_finished(Q_OK);
	assert_null(world_leak());
}

/* Refused at DATA by one; RSET in the middle; not durable. */
static void
test_not(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	world_conf->listens[listen_of(REGULAR)]->on_conflict =
	    CONFLICT_FAN_OUT;
	for (int i = 0; i < 2; i++) {
		say(c, "MAIL FROM:<a@b.example>", "250");
		say(c, "RCPT TO:<x@dest.example>", "250");
		say(c, "RCPT TO:<u@live.example>", "250");
		say(c, "RCPT TO:<v@other.example>", "250");
		on(ASKED_DATA, 452, "4.3.1 full");
		say(c, i ? "DATA" : "RSET", i ? "452 4.3.1 full" : "250");
		on(ASKED_DATA, 0, NULL);
	}
	quit(c);
	c = fan(true);
	queued.status = Q_FAILED;
	client_send(c, "x\r\n.\r\n");
	expect(c, "451");
	assert_null(strstr(proxyd.log, "end;"));
	quit(c);
}

/* The slower one's credit is that of all. */
static void
test_big(void **state)
{
	struct client	*c = fan(true);

	(void)state;
	fill(sizeof(big) - 1);
	write_all(c, big, sizeof(big) - 1);
	client_send(c, "\r\n.\r\n");
	assert_non_null(strstr(proxyd.log, "end;end;"));
	queued_finished(Q_OK);
	expect(c, "250 2.0.0");
	quit(c);
}

/* All in one piece, and the content in chunks; RSET while replies are owed. */
static void
test_pipelined(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	world_conf->listens[listen_of(REGULAR)]->on_conflict =
	    CONFLICT_FAN_OUT;
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@live.example>\r\n"
	    "RCPT TO:<v@other.example>\r\nRCPT TO:<w@other.example>\r\n"
	    "BDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\n");
	for (int i = 0; i < 5; i++)
		expect(c, "250");
	assert_int_equal(queued.finishes, 1);
	queued_finished(Q_OK);
	expect(c, "250 2.0.0 ");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<v@other.example>", "250");
	proxyd.hold = true;
	client_send(c, "RCPT TO:<w@other.example>\r\nRSET\r\n");
	expect(c, "451");
	expect(c, "250");
	proxyd.hold = false;
	while (proxyd_answer(proxyd.before, 0, NULL))
		world_run();
	quit(c);
}

/* queued is lost behind the first server's 2xx, for a while or for good. */
static void
test_queued_lost(void **state)
{
	(void)state;
	for (int back = 0; back < 2; back++) {
		struct client	*c = fan(true);
		uint32_t	 a = proxyd.before, b = proxyd.tid;

		dot(c);
		one(a, 0, NULL);
		queued_die();
		one(b, 0, NULL);
		expect_nothing(c);
		proxyd.hold = false;
		if (back) {
			queued.log[0] = '\0';
			queued_start();
			world_run();
			assert_non_null(strstr(queued.log, "settle 1 0"));
			assert_non_null(strstr(queued.log, "settle 2 0"));
			assert_non_null(strstr(queued.log, "finish keep"));
			queued_finished(Q_OK);
			expect(c, "250 2.0.0 ");
			quit(c);
			continue;
		}
		world_skip_ms(61000);
		expect_nothing(c);
		expect_closed(c);
		leave(c);
		queued_start();
	}
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_second), T(test_order), T(test_first_refuses),
		T(test_client_gone),
		T(test_not), T(test_big), T(test_pipelined),
		T(test_queued_lost)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
