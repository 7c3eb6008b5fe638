/*
 * The two moments of the live way in which one side can't know: the client lost
 * behind the server's 250, the server behind the dot.
 */
#include "regress/lib/smtpdtest.h"

#include <sys/socket.h>

#include "smtpd/txn.h"
#include "smtpd/window.h"

static const char	conf_text[] =
    "hostname gw.example.org\n"
    "action \"live\" proxy to { \"192.0.2.9\" } open\n"
    "listen on 192.0.2.1 port 25 recognise-retry\n"
    "listen on 192.0.2.1 port 26 proxy \"live\" recognise-retry\n"
    "listen on 192.0.2.1 port 27 proxy \"live\"\n"
    "match from any for domain \"dest.example\" action \"live\"\n";
enum { RULE = 25, RETRY, NO_RETRY };

static struct client *
at_dot(unsigned port)
{
	struct client	*c = hello(port);

	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	return c;
}

static void
sends(struct client *c, const char *content, const char *want)
{
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	say(c, content, want);
}

/* Gets its 250 and is gone, and queued hears of it or not. */
static void
lost_behind(unsigned port, const char *content, bool heard)
{
	uint64_t	 had = session_stats()->window_client;
	struct client	*c = hello(port);

	queued.live_lost = 0;
	sends(c, content, "250 2.0.0 got it");
	leave(c);
	assert_int_equal(session_stats()->window_client, had + 1);
	assert_int_equal(queued.live_lost != 0, heard);
}

static void
test_again(void **state)
{
	struct client	*c;
	uint64_t	 first;

	(void)state;
	for (unsigned port = RULE; port <= RETRY; port++) {
		lost_behind(port, "Subject: x\r\n\r\none\r\n.", true);
		first = queued.live_lost;
		c = hello(port);
		proxyd.log[0] = '\0';
		sends(c, "Subject: x\r\n\r\none\r\n.", "250 2.0.0 ");
		assert_non_null(strstr(c->reply, "has been taken before"));
		/* The server has not got it twice. */
		assert_non_null(strstr(proxyd.log, "mail a@b.example;"
		    "rcpt u@dest.example;data;close;"));
		assert_int_equal(c->s->told, first);
		/* Lost once more: queued knows it by its first id. */
		queued.fates = 0;
		client_free(c);
		world_run();
		assert_int_equal(queued.fates, 1);
		assert_int_equal(queued.lost, first);
		/* Another one is another one, and the session goes on. */
		c = hello(port);
		sends(c, "Subject: x\r\n\r\none\r\n.", "250 2.0.0 ");
		proxyd.log[0] = '\0';
		sends(c, "Subject: x\r\n\r\ntwo\r\n.", "250 2.0.0 got it");
		assert_non_null(strstr(proxyd.log, "end;"));
		quit(c);
	}
	/* With chunks the server's session goes on too. */
	proxyd.caps.bits |= CAP_CHUNKING;
	c = hello(RETRY);
	proxyd.log[0] = '\0';
	sends(c, "Subject: x\r\n\r\none\r\n.", "250 2.0.0 ");
	assert_non_null(strstr(proxyd.log, "data;abort;"));
	sends(c, "Subject: x\r\n\r\ntwo\r\n.", "250 2.0.0 got it");
	quit(c);
}

/* Who has said anything behind it has heard it; and it must be asked for. */
static void
test_heard(void **state)
{
	uint64_t	 had = session_stats()->window_client;
	struct client	*c = hello(RETRY);

	(void)state;
	queued.live_lost = 0;
	sends(c, "heard\r\n.", "250 2.0.0 got it");
	say(c, "NOOP", "250");
	leave(c);
	c = hello(RETRY);
	sends(c, "heard\r\n.", "250 2.0.0 got it");
	quit(c);
	assert_int_equal(queued.live_lost, 0);
	assert_int_equal(session_stats()->window_client, had);
	c = hello(RETRY);
	on(ASKED_END, 550, "5.7.1 no");
	sends(c, "heard\r\n.", "550 5.7.1 no");
	leave(c);
	assert_int_equal(queued.live_lost, 0);
	assert_int_equal(session_stats()->window_client, had);
	lost_behind(NO_RETRY, "x\r\n.", false);
	assert_int_equal(queued.asked_again, 0);
}

/* Gone before the reply could be given. */
static void
test_gone_at_dot(void **state)
{
	uint64_t	 had = session_stats()->window_client;
	struct client	*c = at_dot(RETRY);

	(void)state;
	queued.live_lost = 0;
	proxyd.hold = true;
	client_send(c, "x\r\n.\r\n");
	shutdown(c->fd, SHUT_RDWR);
	world_run();
	answer(0, NULL);
	leave(c);
	assert_int_equal(session_stats()->window_client, had + 1);
}

/* queued says nothing, dies, or was not there: as if it knew nothing. */
static void
test_no_queue(void **state)
{
	struct client	*c;

	(void)state;
	lost_behind(RETRY, "q\r\n.", true);
	c = at_dot(RETRY);
	queued.silent = true;
	client_send(c, "q\r\n.\r\n");
	expect_nothing(c);
	world_skip_ms(WINDOW_ASK_MS + 10);
	expect(c, "250 2.0.0 got it");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	client_send(c, "q\r\n.\r\n");
	expect_nothing(c);
	queued_die();
	expect(c, "250 2.0.0 got it");
	sends(c, "q\r\n.", "250 2.0.0 got it");
	quit(c);
	queued_start();
	/* The client or the server goes while it is asked. */
	for (int how = 0; how < 2; how++) {
		c = at_dot(how == 0 ? RETRY : RULE);
		queued.silent = true;
		client_send(c, "q\r\n.\r\n");
		if (how == 0)
			session_end(c->s, "connection lost");
		else
			server_gone();
		world_skip_ms(WINDOW_ASK_MS + 10);
		assert_null(strstr(proxyd.log, "end;"));
		if (how == 1)
			expect(c, "451 4.4.1");
		leave(c);
	}
	c = at_dot(RETRY);
	queued.silent = true;
	client_send(c, "q\r\n.\r\n");
	server_gone();
	expect(c, "421 4.4.2");
	leave(c);
}

/* ---- the server ---------------------------------------------------------------- */

static void
test_server_gone(void **state)
{
	uint64_t	 had;
	struct client	*c;

	(void)state;
	for (unsigned port = RULE; port <= NO_RETRY; port++) {
		for (int how = 0; how < 3; how++) {
			had = session_stats()->window_server;
			c = at_dot(port);
			proxyd.hold = true;
			client_send(c, "x\r\n.\r\n");
			if (how == 0) {
				server_gone();
			} else if (how == 1) {
				proxyd_die();
				proxyd_start();
			} else {
				CHAN_SEND(proxyd.chan, p_reply,
				    .tid = proxyd.tid, .code = 421,
				    .own = true,
				    .text = span_str("4.4.2 timed out"));
				world_run();
				server_gone();
			}
			expect(c, "451 4.4.2 The server is gone; it is not "
			    "known");
			assert_int_equal(session_stats()->window_server,
			    had + 1);
			/* The session goes on, with another one. */
			proxyd.hold = false;
			sends(c, "y\r\n.", "250 2.0.0 got it");
			quit(c);
		}
		/* Its own word is known: it has not taken it. */
		had = session_stats()->window_server;
		c = at_dot(port);
		on(ASKED_END, 421, "4.3.2 going down");
		say(c, "x\r\n.", port == RULE ? "451 4.3.2 going down" :
		    "421 4.3.2 going down");
		leave(c);
		assert_int_equal(session_stats()->window_server, had);
	}
	/* Both are gone. */
	had = session_stats()->window_server;
	c = at_dot(RETRY);
	proxyd.hold = true;
	client_send(c, "x\r\n.\r\n");
	shutdown(c->fd, SHUT_RDWR);
	world_run();
	server_gone();
	leave(c);
	assert_int_equal(session_stats()->window_server, had + 1);
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
	const struct CMUnitTest	 tests[] = {
		T(test_again), T(test_heard), T(test_gone_at_dot),
		T(test_no_queue), T(test_server_gone)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
