/*
 * Several ways in one transaction (`on-conflict fan-out`), and a server of them
 * that is lost before it has had the message: the queue takes over.
 */
#include "regress/lib/smtpdtest.h"
#include "smtpd/fan.h"

#define WITH	1	/* `on-failure queue "out"` of the action "other" */
#define ALL	2	/* of both */

static void
asked_who(const struct ipc_v_ask *m)
{
	CHAN_SEND(queued.chan, v_answer, .tid = m->tid, .state = V_NONE,
	    .ask = false, .good = m->to.p[0] == 'v');
}

static struct conf_action *
action(const char *name)
{
	for (size_t i = 0; i < world_conf->nactions; i++)
		if (strcmp(world_conf->actions[i]->name, name) == 0)
			return world_conf->actions[i];
	abort();
}

static struct client *
begun(int how)
{
	struct client	*c = hello(REGULAR);

	fan_forget();
	world_conf->listens[listen_of(REGULAR)]->on_conflict =
	    CONFLICT_FAN_OUT;
	action("other")->on_failure = how >= WITH ? action("out") : NULL;
	action("live")->on_failure = how >= ALL ? action("out") : NULL;
	queued.v_ask = asked_who;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250 2.1.5 fine");
	return c;
}

static void
other(struct client *c)
{
	say(c, "RCPT TO:<v@other.example>", "250 2.1.5 fine");
}

/* The message as it ends when the queue has taken over v's part. */
static void
ends(struct client *c, const char *rcpts)
{
	say(c, "DATA", "354");
	assert_non_null(strstr(queued.log, rcpts));
	client_send(c, "x\r\n.\r\n");
	assert_non_null(strstr(queued.log, "settle 1 0 250"));
	assert_non_null(strstr(queued.log, "finish keep;"));
	queued_finished(Q_OK);
	expect(c, "250 2.0.0 ");
	quit(c);
}
#define BY_QUEUE	"rcpt u@live.example live way 1;rcpt v@other.example out;"

/* Behind its RCPT; what comes for it then is asked for as on-failure does. */
static void
test_before_data(void **state)
{
	struct client	*c;

	(void)state;
	c = begun(WITH);
	other(c);
	server_gone();
	ends(c, BY_QUEUE);
	c = begun(WITH);
	other(c);
	server_gone();
	say(c, "RCPT TO:<v2@other.example>", "250");
	say(c, "RCPT TO:<w@other.example>", "450");
	say(c, "RCPT TO:<u2@live.example>", "250 2.1.5 fine");
	ends(c, "rcpt u@live.example live way 1;rcpt v@other.example out;"
	    "rcpt v2@other.example out;");
	/* Without on-failure as ever. */
	c = begun(0);
	other(c);
	server_gone();
	say(c, "RCPT TO:<v2@other.example>", "451 4.4.1");
	say(c, "DATA", "451 4.4.1");
	quit(c);
}

/* At its greeting, or at RCPT. */
static void
test_at_rcpt(void **state)
{
	struct client	*c;
	uint64_t	 before;

	(void)state;
	for (int how = 0; how < 5; how++) {
		c = begun(WITH);
		if (how == 0)
			on(ASKED_OPEN, 421, "4.3.2 down");
		else if (how == 1)
			on(ASKED_OPEN, 450, "4.3.2 full");
		else if (how == 2)
			on(ASKED_RCPT, 421, "4.3.2 down");
		else if (how == 3)
			on(ASKED_MAIL, 421, "4.3.2 down");
		else
			proxyd.hold = true;
		client_say(c, "RCPT TO:<v@other.example>");
		if (how == 4)
			server_gone();
		proxyd.hold = false;
		expect(c, "250 2.1.5 Ok");
		on(ASKED_OPEN, 0, NULL);
		on(ASKED_MAIL, 0, NULL);
		on(ASKED_RCPT, 0, NULL);
		ends(c, BY_QUEUE);
	}
	/* What it says of itself for good is no failure of that kind. */
	before = session_stats()->failovers;
	c = begun(WITH);
	on(ASKED_OPEN, 554, "5.3.2 no");
	say(c, "RCPT TO:<v@other.example>", "451 4.4.1");
	say(c, "RSET", "250");
	assert_int_equal(session_stats()->failovers, before);
	quit(c);
	/* Nor is there a queue that takes it. */
	c = begun(WITH);
	other(c);
	queued_state(false, "full");
	server_gone();
	say(c, "RCPT TO:<v@other.example>", "451");
	queued_state(true, "");
	world_run();
	ends(c, BY_QUEUE);
}

/* At DATA; when it is the queue's alone nothing waits for anybody. */
static void
test_at_data(void **state)
{
	struct client	*c;

	(void)state;
	for (int how = 0; how < 2; how++) {
		c = begun(WITH);
		other(c);
		proxyd.hold = true;
		client_say(c, "DATA");
		assert_true(proxyd_answer(proxyd.before, 0, NULL));
		world_run();
		if (how == 0)
			server_gone();
		else
			answer(421, "4.3.2 down");
		proxyd.hold = false;
		expect(c, "354");
		assert_non_null(strstr(queued.log, BY_QUEUE));
		client_send(c, "x\r\n.\r\n");
		queued_finished(Q_OK);
		expect(c, "250 2.0.0 ");
		quit(c);
	}
	c = begun(ALL);
	other(c);
	proxyd_close(proxyd.before, "gone");
	proxyd_close(proxyd.tid, "gone");
	world_run();
	say(c, "DATA", "354");
	assert_non_null(strstr(queued.log, "rcpt u@live.example out;"
	    "rcpt v@other.example out;"));
	client_send(c, "x\r\n.\r\n");
	assert_non_null(strstr(queued.log, "settle 0 1"));
	queued_finished(Q_OK);
	expect(c, "250 2.0.0 ");
	quit(c);
}

/* In the content: queued has all of it. */
static void
test_in_content(void **state)
{
	struct client	*c;

	(void)state;
	for (int how = 0; how <= ALL; how++) {
		c = begun(how);
		other(c);
		say(c, "DATA", "354");
		client_send(c, "x\r\n");
		proxyd_close(proxyd.tid, "gone");
		if (how == ALL)
			proxyd_close(proxyd.before, "gone");
		world_run();
		client_send(c, "y\r\n.\r\n");
		if (how == 0) {
			expect(c, "451 4.4.1");
			assert_null(strstr(queued.log, "commit"));
			quit(c);
			continue;
		}
		assert_non_null(strstr(queued.log, "settle 2 1"));
		if (how == ALL)
			assert_non_null(strstr(queued.log, "settle 1 1"));
		else
			assert_non_null(strstr(queued.log, "settle 1 0 250"));
		queued_finished(Q_OK);
		expect(c, "250 2.0.0 ");
		quit(c);
	}
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_before_data), T(test_at_rcpt), T(test_at_data),
		T(test_in_content)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
