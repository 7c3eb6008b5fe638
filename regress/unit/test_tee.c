/*
 * The queue beside a live way: copies, archives, recipients of another way.
 */
#include "regress/lib/smtpdtest.h"

#include <string.h>

#include "common/ipc/codec.h"

enum { COPIED = 26, BOTH = 25, LATER = 27 };
static const char	conf_text[] =
    "hostname gw.example.org\n"
    "action \"out\" relay to { \"192.0.2.9\" } open\n"
    "action \"box\" relay to { \"192.0.2.8\" }\n"
    "action \"vault\" relay to { \"192.0.2.7\" }\n"
    "action \"spare\" relay to { \"192.0.2.11\" }\n"
    "action \"live\" proxy to { \"192.0.2.9\" } open\n"
    "action \"other\" proxy to { \"192.0.2.10\" } on-failure queue \"spare\"\n"
    "listen on 192.0.2.1 port 25 on-conflict queue\n"
    "listen on 192.0.2.1 port 26 proxy \"live\" copy \"box\"\n"
    "listen on 192.0.2.1 port 27 proxy \"live\" at rcpt tag late\n"
    "archive to \"vault\" as a@vault.example when tag late\n"
    "archive to \"vault\" as i@vault.example on-failure ignore "
    "when mail-from { \"i@b.example\" }\n"
    "match from any for domain \"dest.example\" action \"out\"\n"
    "match from any for domain \"live.example\" action \"live\"\n"
    "match from any for domain \"other.example\" action \"other\"\n";

/* Whose local part begins with u is known. */
static void
asked_who(const struct ipc_v_ask *m)
{
	CHAN_SEND(queued.chan, v_answer, .tid = m->tid, .state = V_NONE,
	    .ask = true, .good = m->to.p[0] == 'u');
}

static unsigned	told;

static void
tell(const struct ipc_v_tell *m)
{
	assert_int_equal(m->state, V_LATER);
	told++;
}

static void
content(struct client *c, const char *want)
{
	say(c, "DATA", "354");
	client_send(c, "Subject: x\r\n\r\ny\r\n.\r\n");
	expect(c, want);
}

/* Whom the server took; committed behind its 2xx, before the client's. */
static void
copy_order(void **state)
{
	struct client	*c = hello(COPIED);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@d.example>", "250");
	on(ASKED_RCPT, 550, "5.1.1 who");
	say(c, "RCPT TO:<v@d.example>", "550 5.1.1 who");
	on(ASKED_RCPT, 0, NULL);
	say(c, "DATA", "354");
	proxyd.hold = queued.hold = true;
	client_send(c, "Subject: x\r\n\r\ny\r\n.\r\n");
	expect_nothing(c);
	assert_int_equal(queued.envs, 0);
	answer(250, "2.6.0 theirs\nand more");
	expect_nothing(c);
	assert_int_equal(queued.commits, 1);
	assert_non_null(strstr(queued.log,
	    "env a@b.example;rcpt u@d.example box;commit "));
	assert_int_equal(queued.content_len, proxyd.content_len);
	assert_memory_equal(queued.content, proxyd.content,
	    queued.content_len);
	queued_result(Q_OK);
	expect(c, "250-2.6.0 theirs|250 and more");
	proxyd.hold = queued.hold = false;
	quit(c);
}

/* It refuses: nothing is kept. Then queued refuses: the server has it. */
static void
copy_refused(void **state)
{
	struct client	*c = hello(COPIED);

	(void)state;
	on(ASKED_END, 554, "5.7.1 spam");
	begin(c, "u@d.example");
	content(c, "554 5.7.1 spam");
	assert_int_equal(queued.commits, 0);
	assert_int_equal(queued.envs, 0);
	on(ASKED_END, 0, NULL);
	begin(c, "u@d.example");
	queued.status = Q_FAILED;
	content(c, "250 2.0.0 got it");
	assert_int_equal(queued.commits, 1);
	queued.status = Q_OK;
	begin(c, "u@d.example");
	content(c, "250 2.0.0 got it");
	assert_int_equal(queued.commits, 2);
	quit(c);
}

/* Known before DATA: nothing is begun, at the server neither. */
static void
copy_impossible(void **state)
{
	struct client	*c = hello(COPIED);

	(void)state;
	queued_state(false, "disk full");
	world_run();
	begin(c, "u@d.example");
	say(c, "DATA", "451 4.3.0");
	assert_null(strstr(proxyd.log, "data;"));
	queued_state(true, "");
	world_run();
	begin(c, "u@d.example");
	content(c, "250 2.0.0 got it");
	quit(c);
	c = hello(COPIED);
	queued_die();
	world_run();
	begin(c, "u@d.example");
	say(c, "DATA", "451 4.3.0");
	queued_start();
	quit(c);
}

/* The slower of both sets the pace, and the bytes are the same. */
static void
copy_pace(void **state)
{
	static char	 want[sizeof(big)];
	struct client	*c = hello(COPIED);
	size_t		 n = 290000;

	(void)state;
	fill(n);
	memcpy(want, big, n);
	for (unsigned slow = 0; slow < 2; slow++) {
		queued.stingy = slow == 0;
		proxyd.stingy = slow == 1;
		proxyd.got = queued.got = 0;
		proxyd.content_len = queued.content_len = 0;
		begin(c, "u@d.example");
		say(c, "DATA", "354");
		for (size_t put = 0; put < n;) {
			size_t	 one = client_write(c, want + put, n - put);

			put += one;
			world_pass(20);
			assert_true(proxyd.got <= queued.got + (128 << 10));
			assert_true(queued.got <= proxyd.got + (128 << 10));
			if (one == 0 && slow == 0)
				queued_credit(65536);
			else if (one == 0)
				proxyd_credit(proxyd.tid, 65536);
		}
		for (unsigned i = 0; i < 8; i++) {
			if (slow == 0)
				queued_credit(65536);
			else
				proxyd_credit(proxyd.tid, 65536);
			world_pass(20);
		}
		client_send(c, "\r\n.\r\n");
		expect(c, "250 2.0.0 got it");
		assert_int_equal(queued.commits, slow + 1);
		assert_int_equal(queued.content_len, proxyd.content_len);
		assert_memory_equal(queued.content, proxyd.content,
		    queued.content_len);
	}
	quit(c);
}

/* queued dies: with a part of it, before the server's word, with a commit. */
static void
copy_queue_dies(void **state)
{
	struct client	*c = hello(COPIED);

	(void)state;
	fill(60000);
	begin(c, "u@d.example");
	say(c, "DATA", "354");
	write_all(c, big, 60000);
	world_run();
	queued_die();
	world_run();
	queued_start();
	client_send(c, "\r\n.\r\n");
	expect(c, "451 4.3.0");
	assert_int_equal(queued.commits, 0);
	/* Its chunks are reset at the server, or it is cut: the next goes on. */
	begin(c, "u@d.example");
	write_all(c, "DATA\r\n", 6);
	world_run();
	expect(c, "354");
	write_all(c, big, 60000);
	world_run();
	proxyd.hold = true;
	client_send(c, "\r\n.\r\n");
	queued_die();
	world_run();
	queued_start();
	proxyd.hold = false;
	answer(0, NULL);
	expect(c, "250 2.0.0 got it");
	assert_int_equal(queued.commits, 0);
	begin(c, "u@d.example");
	say(c, "DATA", "354");
	queued.hold = true;
	client_send(c, "x\r\n.\r\n");
	expect_nothing(c);
	assert_int_equal(queued.commits, 1);
	queued_die();
	world_run();
	queued_start();
	world_run();
	assert_int_equal(queued.asks, 1);
	queued_have(true);
	world_run();
	expect(c, "250 2.0.0 got it");
	queued.hold = false;
	quit(c);
}

/* The server's session ends while queued's word is waited for. */
static void
copy_server_ends(void **state)
{
	struct client	*c = hello(COPIED);

	(void)state;
	begin(c, "u@d.example");
	say(c, "DATA", "354");
	queued.hold = true;
	client_send(c, "x\r\n.\r\n");
	expect_nothing(c);
	server_gone();
	expect_nothing(c);
	queued_result(Q_OK);
	expect(c, "250 2.0.0 got it");
	queued.hold = false;
	quit(c);
	/* The client goes first. */
	c = hello(COPIED);
	begin(c, "u@d.example");
	say(c, "DATA", "354");
	queued.hold = true;
	client_send(c, "x\r\n.\r\n");
	client_free(c);
	world_run();
	queued_result(Q_OK);
	world_run();
	assert_null(world_leak());
	queued_reset();
	proxyd_reset();
}

/* Archives see what goes live, with the envelope's recipients. */
static void
archives(void **state)
{
	struct client	*c = hello(LATER);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@d.example>", "250");
	assert_non_null(strstr(proxyd.log, "open live;mail a@b.example;"
	    "rcpt u@d.example;"));
	content(c, "250 2.0.0 got it");
	assert_non_null(strstr(queued.log, "env a@b.example;"
	    "rcpt u@d.example live flags 8;rcpt a@vault.example vault "
	    "flags 1;commit "));
	queued_state(false, "full");
	world_run();
	begin(c, "u@d.example");
	say(c, "DATA", "451 4.3.0");
	quit(c);
	/* One that may be missed. */
	c = hello(BOTH);
	queued_state(false, "full");
	world_run();
	say(c, "MAIL FROM:<i@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	content(c, "250 2.0.0 got it");
	assert_int_equal(queued.commits, 0);
	queued_state(true, "");
	world_run();
	say(c, "MAIL FROM:<i@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	queued.status = Q_FAILED;
	content(c, "250 2.0.0 got it");
	assert_int_equal(queued.commits, 1);
	quit(c);
}

/* The first way is live; who goes another is taken into the queue. */
static void
conflict(void **state)
{
	struct client	*c = hello(BOTH);

	(void)state;
	queued.v_ask = asked_who;
	queued.v_tell = tell;
	told = 0;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<x@dest.example>", "250");
	say(c, "RCPT TO:<u@other.example>", "250");
	say(c, "RCPT TO:<w@other.example>", "452 4.5.3");
	say(c, "RCPT TO:<v@live.example>", "250");
	assert_int_equal(told, 2);
	content(c, "250 2.0.0 got it");
	assert_non_null(strstr(queued.log, "env a@b.example;"
	    "rcpt u@live.example live flags 8;rcpt x@dest.example out;"
	    "rcpt u@other.example spare;rcpt v@live.example live flags 8;"
	    "commit "));
	assert_int_equal(queued.commits, 1);
	/* The queue first. */
	queued.log[0] = '\0';
	proxyd.log[0] = '\0';
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<x@dest.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<v@live.example>", "452 4.5.3");
	content(c, "250 2.0.0 ");
	assert_non_null(strstr(queued.log, "rcpt x@dest.example out;"
	    "rcpt u@live.example live;commit "));
	assert_string_equal(proxyd.log, "");
	quit(c);
}

/* The server refuses the content: nobody gets it. queued does: it comes again,
 * as its own would be lost. */
static void
conflict_refused(void **state)
{
	struct client	*c = hello(BOTH);

	(void)state;
	on(ASKED_END, 550, "5.7.1 spam");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<x@dest.example>", "250");
	content(c, "550 5.7.1 spam");
	assert_int_equal(queued.commits, 0);
	on(ASKED_END, 0, NULL);
	queued.status = Q_FULL;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<x@dest.example>", "250");
	content(c, "451 4.3.0");
	queued.status = Q_OK;
	/* The server takes none of its own: the queue is the way. */
	proxyd.hold = true;
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@live.example>\r\n"
	    "RCPT TO:<x@dest.example>\r\nDATA\r\n");
	expect(c, "250");
	answer(0, NULL);
	answer(550, "5.1.1 who");
	expect(c, "550 5.1.1 who");
	expect(c, "250 2.1.5");
	answer(554, "5.5.1 nobody");
	expect(c, "354");
	proxyd.hold = false;
	while (proxyd_answer(proxyd.tid, 0, NULL))
		;
	client_send(c, "x\r\n.\r\n");
	expect(c, "250 2.0.0 ");
	assert_int_equal(queued.commits, 2);
	say(c, "MAIL FROM:<a@b.example>", "250");
	on(ASKED_RCPT, 550, "5.1.1 who");
	say(c, "RCPT TO:<u@live.example>", "550 5.1.1 who");
	say(c, "RCPT TO:<x@dest.example>", "250");
	content(c, "250 2.0.0 ");
	assert_int_equal(queued.commits, 3);
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
		T(copy_order), T(copy_refused), T(copy_impossible),
		T(copy_pace), T(copy_queue_dies), T(copy_server_ends),
		T(archives), T(conflict), T(conflict_refused)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
