/*
 * The queue takes over where an actual server is away, and what live sessions
 * teach for that time.
 */
#include "regress/lib/smtpdtest.h"

#include <string.h>

#include "common/ipc/codec.h"
#include "smtpd/failover.h"
#include "smtpd/learn.h"

enum { RULES = 25, WHOLE = 26, LOGIN = 27, COPIED = 28 };
static const char	conf_text[] =
    "hostname gw.example.org\n"
    "action \"spare\" relay to { \"192.0.2.11\" }\n"
    "action \"live\" proxy to { \"192.0.2.9\" } on-failure queue \"spare\"\n"
    "action \"box\" relay to { \"192.0.2.12\" }\n"
    "action \"bare\" proxy to { \"192.0.2.9\" }\n"
    "listen on 192.0.2.1 port 25\n"
    "listen on 192.0.2.1 port 26 proxy \"live\"\n"
    "listen on 192.0.2.1 port 27 proxy \"live\" auth-plaintext\n"
    "listen on 192.0.2.1 port 28 proxy \"live\" copy \"box\"\n"
    "match from any for rcpt-to { \"no@live.example\" } reject\n"
    "match from any for domain \"live.example\" action \"live\"\n"
    "match from any for domain \"bare.example\" action \"bare\"\n";

static void
asked_who(const struct ipc_v_ask *m)
{
	char	where[80];

	span_cstr(m->where, where, sizeof(where));
	assert_string_equal(where, "action live");
	CHAN_SEND(queued.chan, v_answer, .tid = m->tid, .state = V_NONE,
	    .ask = false, .good = m->to.p[0] == 'u');
}

static void
verifies(void)
{
	queued.v_ask = asked_who;
}

/* Once for each; what says nothing of the mailbox, and who has logged in, do not
 * teach. */
static void
learns(void **state)
{
	struct client	*c = hello(WHOLE);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	on(ASKED_RCPT, 550, "5.1.1 who");
	say(c, "RCPT TO:<v@live.example>", "550");
	on(ASKED_RCPT, 550, "5.7.1 your address");
	say(c, "RCPT TO:<w@live.example>", "550");
	on(ASKED_RCPT, 450, "4.2.0 later");
	say(c, "RCPT TO:<x@live.example>", "450");
	assert_string_equal(queued.log, "learn +u@live.example action live;"
	    "learn -v@live.example action live;");
	quit(c);
	c = hello(RULES);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<r@live.example>", "250");
	assert_string_equal(queued.log, "learn +r@live.example action live;");
	say(c, "RSET", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<r@bare.example>", "250");
	assert_string_equal(queued.log, "learn +r@live.example action live;");
	quit(c);
	proxyd.caps.bits |= CAP_AUTH;
	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	c = hello(LOGIN);
	on(ASKED_AUTH, 235, "2.7.0 in");
	say(c, "AUTH PLAIN AGEAYg==", "235");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<l@live.example>", "250");
	assert_string_equal(queued.log, "");
	quit(c);
}

/* Whom the server takes from this client alone is not one of its own; of each
 * domain that is asked for once, but where there was no answer. */
static void
learns_not(void **state)
{
	struct client	*c = hello(WHOLE);

	(void)state;
	proxyd.strange = V_BAD;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@far.example>", "250");
	say(c, "RCPT TO:<v@FAR.example>", "250");
	on(ASKED_RCPT, 550, "5.1.1 who");
	say(c, "RCPT TO:<w@far.example>", "550");
	on(ASKED_RCPT, 0, NULL);
	proxyd.strange = V_LATER;
	say(c, "RCPT TO:<u@later.example>", "250");
	say(c, "RCPT TO:<v@later.example>", "250");
	assert_string_equal(queued.log, "learn -w@far.example action live;");
	assert_int_equal(proxyd.proofs, 3);
	proxyd.strange = V_GOOD;
	say(c, "RCPT TO:<u@near.example>", "250");
	say(c, "RCPT TO:<v@Near.example>", "250");
	assert_string_equal(queued.log, "learn -w@far.example action live;"
	    "learn +u@near.example action live;"
	    "learn +v@near.example action live;");
	assert_int_equal(proxyd.proofs, 4);
	say(c, "RCPT TO:<v@later.example>", "250");
	assert_non_null(strstr(queued.log, "learn +v@later.example"));
	assert_int_equal(proxyd.proofs, 5);
	/* Asked for anew with all else. */
	world_skip_ms(LEARN_AGAIN_MS + 1);
	client_free(c);
	c = hello(WHOLE);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@far.example>", "250");
	assert_non_null(strstr(queued.log, "learn +u@far.example"));
	quit(c);
}

static void
message(struct client *c, const char *want)
{
	say(c, "DATA", "354");
	client_send(c, "Subject: x\r\n\r\ny\r\n.\r\n");
	expect(c, want);
}

/* No server from the beginning, or no proxyd: a regular session. */
static void
at_connect(void **state)
{
	struct client	*c;

	(void)state;
	for (unsigned how = 0; how < 3; how++) {
		verifies();
		if (how == 0)
			on(ASKED_OPEN, 421, "4.4.1 none");
		else if (how == 1)
			proxyd_die();
		else
			failover_force(span_str("live"), true);
		world_run();
		c = hello(LOGIN);
		say(c, "AUTH PLAIN AGEAYg==", "454 4.7.0");
		say(c, "MAIL FROM:<a@b.example>", "250");
		say(c, "RCPT TO:<u@live.example>", "250 2.1.5");
		say(c, "RCPT TO:<v@live.example>", "450 4.4.1");
		say(c, "RCPT TO:<no@live.example>", "550");
		message(c, "250 2.0.0 ");
		assert_non_null(strstr(queued.log, "env a@b.example;"
		    "rcpt u@live.example spare;commit "));
		say(c, "NOOP", "250");
		say(c, "VRFY x", "252");
		if (how == 1)
			proxyd_start();
		failover_force(span_str("live"), false);
		quit(c);
	}
	/* What the server itself refuses is refused. */
	on(ASKED_OPEN, 554, "5.7.1 not you");
	c = client_at(WHOLE);
	expect(c, "554 5.7.1 not you");
	leave(c);
}

/* It goes at each step of a session. */
static void
in_between(void **state)
{
	static const char *const steps[] = { "EHLO c.example",
	    "MAIL FROM:<a@b.example>", "RCPT TO:<u@live.example>", "DATA",
	    NULL };
	struct client	*c;

	(void)state;
	for (unsigned said421 = 0; said421 < 2; said421++)
		for (unsigned at = 0; at < 4; at++) {
			verifies();
			c = client_at(WHOLE);
			expect(c, "220");
			for (unsigned i = 0; i < at; i++)
				say(c, steps[i], "250");
			proxyd.hold = true;
			client_say(c, steps[at]);
			expect_nothing(c);
			if (said421)
				answer(421, "4.3.2 going");
			else
				server_gone();
			proxyd.hold = false;
			expect(c, at == 3 ? "354" : "250");
			for (unsigned i = at + 1; i < 4; i++)
				say(c, steps[i], i == 3 ? "354" : "250");
			client_send(c, "x\r\n.\r\n");
			expect(c, "250 2.0.0 ");
			assert_non_null(strstr(queued.log,
			    "rcpt u@live.example spare;commit "));
			assert_int_equal(queued.content_len > 0, 1);
			assert_non_null(strstr(queued.content, "Received: "));
			assert_ptr_equal(strstr(queued.content, "Received: "),
			    queued.content);
			assert_null(strstr(queued.content + 1, "Received: "));
			quit(c);
		}
}

/* With content under way: what was held is whole, what was sent is not. */
static void
content(void **state)
{
	struct client	*c = hello(WHOLE);

	(void)state;
	verifies();
	begin(c, "u@live.example");
	say(c, "DATA", "354");
	fill(20000);
	write_all(c, big, 20000);
	world_run();
	assert_int_equal(proxyd.got, 0);
	server_gone();
	client_send(c, "\r\n.\r\n");
	expect(c, "250 2.0.0 ");
	assert_int_equal(queued.commits, 1);
	assert_int_equal(queued.got, 20002);
	quit(c);
	c = hello(WHOLE);
	verifies();
	begin(c, "u@live.example");
	say(c, "DATA", "354");
	fill(60000);
	write_all(c, big, 60000);
	world_run();
	assert_true(proxyd.got > 0);
	server_gone();
	client_send(c, "\r\n.\r\n");
	expect(c, "451 4.4.1");
	/* The session goes on. */
	begin(c, "u@live.example");
	message(c, "250 2.0.0 ");
	assert_int_equal(queued.commits, 1);
	quit(c);
	/* The dot has gone out: nobody knows. */
	c = hello(WHOLE);
	begin(c, "u@live.example");
	say(c, "DATA", "354");
	proxyd.hold = true;
	client_send(c, "x\r\n.\r\n");
	server_gone();
	expect(c, "451 4.4.2");
	assert_int_equal(queued.commits, 0);
	proxyd.hold = false;
	quit(c);
}

/* By a rule it is the transaction that falls. */
static void
by_rule(void **state)
{
	struct client	*c = hello(RULES);

	(void)state;
	verifies();
	on(ASKED_OPEN, 421, "4.4.1 none");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250 2.1.5");
	say(c, "RCPT TO:<v@live.example>", "450 4.4.1");
	say(c, "RCPT TO:<u2@live.example>", "250 2.1.5");
	message(c, "250 2.0.0 ");
	assert_non_null(strstr(queued.log, "rcpt u@live.example spare;"
	    "rcpt u2@live.example spare;commit "));
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@bare.example>", "451");
	on(ASKED_OPEN, 0, NULL);
	say(c, "RSET", "250");
	/* No proxyd at all. */
	queued.log[0] = '\0';
	proxyd_die();
	world_run();
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250 2.1.5");
	say(c, "RCPT TO:<u2@live.example>", "250 2.1.5");
	message(c, "250 2.0.0 ");
	assert_non_null(strstr(queued.log, "rcpt u@live.example spare;"
	    "rcpt u2@live.example spare;commit "));
	proxyd_start();
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RSET", "250");
	/* It has taken one, and goes with the others and DATA pipelined. */
	begin(c, "x@live.example");
	proxyd.hold = true;
	client_send(c, "RCPT TO:<u@live.example>\r\n"
	    "RCPT TO:<v@live.example>\r\nDATA\r\n");
	server_gone();
	expect(c, "250 2.1.5");
	expect(c, "450 4.4.1");
	expect(c, "354");
	proxyd.hold = false;
	client_send(c, "x\r\n.\r\n");
	expect(c, "250 2.0.0 ");
	assert_non_null(strstr(queued.log, "rcpt x@live.example spare;"
	    "rcpt u@live.example spare;commit "));
	/* And the next one goes live again. */
	proxyd.log[0] = '\0';
	begin(c, "x@live.example");
	message(c, "250 2.0.0 got it");
	/* A server that hangs up between transactions is none of it. */
	server_gone();
	begin(c, "x@live.example");
	message(c, "250 2.0.0 got it");
	quit(c);
}

/* What is copied while the server is there is copied while it is not. */
static void
copied(void **state)
{
	struct client	*c = hello(COPIED);

	(void)state;
	verifies();
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<x@live.example>", "250");
	server_gone();
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<v@live.example>", "450 4.4.1");
	message(c, "250 2.0.0 ");
	assert_non_null(strstr(queued.log, "rcpt x@live.example spare;"
	    "rcpt x@live.example box;rcpt u@live.example spare;"
	    "rcpt u@live.example box;commit "));
	quit(c);
}

/* The queue can't take over either: as without it. */
static void
no_queue(void **state)
{
	struct client	*c = hello(WHOLE);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	queued_state(false, "full");
	world_run();
	proxyd.hold = true;
	client_say(c, "RCPT TO:<u@live.example>");
	server_gone();
	expect(c, "421");
	proxyd.hold = false;
	leave(c);
	queued_state(true, "");
	world_run();
	/* Nobody knows whom the server knows. */
	queued_die();
	world_run();
	on(ASKED_OPEN, 421, "4.4.1 none");
	c = hello(WHOLE);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "450 4.4.1");
	queued_start();
	quit(c);
}

static int
init(void **state)
{
	(void)state;
	world_init(conf_text);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(learns), T(learns_not), T(at_connect), T(in_between), T(content),
		T(by_rule), T(copied), T(no_queue)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
