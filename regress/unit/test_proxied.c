/*
 * Listeners that are proxied from the first byte on: the server answers late,
 * refuses, breaks off, in every phase.
 */
#include "regress/lib/smtpdtest.h"

#include <sys/socket.h>
#include <unistd.h>

#include "smtpd/link.h"
#include "smtpd/txn.h"

/* ---- a proxied listener: greeting, EHLO ------------------------------------ */

static void
test_greeting(void **state)
{
	struct client	*c;

	(void)state;
	/* Late; what the client says meanwhile waits. */
	proxyd.hold = true;
	c = client_at(PROXIED);
	expect_nothing(c);
	client_send(c, "EHLO client.example\r\n");
	expect_nothing(c);
	assert_string_equal(proxyd.log, "open live;");
	answer(0, NULL);
	/* Its name is ours, the rest its own. */
	expect(c, "220 gw.example.org ESMTP there");
	assert_string_equal(proxyd.log, "open live;ehlo client.example;");
	answer(0, NULL);
	expect(c, "250-gw.example.org");
	leave(c);

	on(ASKED_OPEN, 554, "5.7.1 server.example no thanks\nreally");
	c = client_at(PROXIED);
	expect(c, "554-5.7.1 server.example no thanks|554 really");
	expect_closed(c);
	leave(c);
	on(ASKED_OPEN, 421, "4.3.2 busy");
	c = client_at(PROXIED);
	expect(c, "421 4.3.2 busy");
	expect_closed(c);
	leave(c);
	/* No refusal and no greeting. */
	on(ASKED_OPEN, 250, "2.0.0 hello");
	c = client_at(PROXIED);
	expect(c, "421 ");
	expect_closed(c);
	leave(c);
	on(ASKED_OPEN, 220, "");
	c = client_at(PROXIED);
	expect(c, "220 gw.example.org");
	leave(c);

	proxyd_die();
	c = client_at(PROXIED);
	expect(c, "421 4.3.2");
	expect_closed(c);
	leave(c);
	proxyd_start();

	/* The client or the server goes before the greeting. */
	proxyd.hold = true;
	c = client_at(PROXIED);
	leave(c);
	proxyd.hold = true;
	c = client_at(PROXIED);
	world_run();
	server_gone();
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
	proxyd.hold = true;
	c = client_at(PROXIED);
	world_run();
	proxyd_die();
	proxyd_start();
	expect(c, "421 4.4.2");
	leave(c);
	/* It never greets. */
	proxyd.hold = true;
	c = client_at(PROXIED);
	world_skip_ms(SESSION_WAIT_MS);
	expect(c, "421 4.3.2");
	expect_closed(c);
	leave(c);
}

static void
test_caps(void **state)
{
	static const struct {
		uint32_t	 bit;
		const char	*mail, *rcpt;
	} lacks[] = {
		{ CAP_8BITMIME, "MAIL FROM:<a@b.example> BODY=8BITMIME", NULL },
		{ CAP_SMTPUTF8, "MAIL FROM:<a@b.example> SMTPUTF8", NULL },
		{ CAP_DSN, "MAIL FROM:<a@b.example> RET=FULL", NULL },
		{ CAP_DSN, "MAIL FROM:<a@b.example> ENVID=x", NULL },
		{ CAP_DSN, NULL, "RCPT TO:<u@dest.example> NOTIFY=NEVER" },
		{ CAP_DSN, NULL, "RCPT TO:<u@dest.example> ORCPT=rfc822;x" },
		{ CAP_AUTH, "MAIL FROM:<a@b.example> AUTH=<>", NULL }
	};
	struct client			*c;

	(void)state;
	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++)
		for (int with = 0; with < 2; with++) {
			if (!with)
				proxyd.caps.bits &= ~lacks[i].bit;
			/* Which queued stands in for. */
			if (!with && lacks[i].bit == CAP_DSN)
				queued_die();
			c = hello(PASSWORDS);
			if (lacks[i].mail != NULL)
				say(c, lacks[i].mail, with ? "250" :
				    "555 5.5.4");
			else {
				say(c, "MAIL FROM:<a@b.example>", "250");
				say(c, lacks[i].rcpt, with ? "250" :
				    "555 5.5.4");
			}
			quit(c);
			if (queued.chan == NULL)
				queued_start();
		}
	/* What we do by ourselves is there all the same; the smaller size. */
	proxyd.caps = (struct smtp_caps){ .bits = CAP_ESMTP };
	c = client_at(PROXIED);
	expect(c, "220");
	say(c, "EHLO c.example", "250-gw.example.org|250-PIPELINING|250-SIZE "
	    "52428800|250-DSN|250 CHUNKING");
	proxyd.caps = (struct smtp_caps){ .bits = CAP_ESMTP | CAP_SIZE |
	    CAP_STARTTLS | CAP_XCLIENT | CAP_AUTH, .size = 1000,
	    .auth = "PLAIN" };
	say(c, "EHLO c.example", "250-gw.example.org|250-PIPELINING|250-SIZE "
	    "1000|250-DSN|250 CHUNKING");
	say(c, "MAIL FROM:<a@b.example> SIZE=1001", "552 5.3.4");
	quit(c);
	/* EHLO refused; HELO then. */
	on(ASKED_EHLO, 502, "5.5.1 what?");
	c = client_at(PROXIED);
	expect(c, "220");
	say(c, "EHLO c.example", "502 5.5.1 what?");
	say(c, "MAIL FROM:<a@b.example>", "503");
	on(ASKED_EHLO, 0, NULL);
	say(c, "HELO c.example", "250 gw.example.org");
	say(c, "MAIL FROM:<a@b.example> BODY=8BITMIME", "555");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);
}

/* HELO has no SIZE, but the listener's limit holds. */
static void
test_helo_size(void **state)
{
	struct conf_listen	*l = world_conf->listens[listen_of(PROXIED)];
	uint64_t		 had = l->max_message_size;
	struct client		*c;

	(void)state;
	l->max_message_size = 100;
	c = client_at(PROXIED);
	expect(c, "220");
	say(c, "HELO c.example", "250");
	assert_int_equal(c->s->size_max, 100);
	leave(c);
	l->max_message_size = had;
}

/* ---- AUTH ----------------------------------------------------------------- */

static void
test_auth(void **state)
{
	struct client	*c = client_at(PASSWORDS);
	char		 line[13000];

	(void)state;
	expect(c, "220");
	say(c, "EHLO c.example", "250-gw.example.org");
	assert_non_null(strstr(c->reply, "250-AUTH PLAIN LOGIN"));
	say(c, "AUTH", "501 5.5.4");
	say(c, "AUTH PLAIN not!base64", "501 5.5.2");
	say(c, "AUTH PLA!N AAAA", "501 5.5.4");
	say(c, "AUTH ABCDEFGHIJKLMNOPQRSTU", "501 5.5.4");
	say(c, "AUTH LOGIN", "334 VXNlcm5hbWU6");
	say(c, "dXNlcg==", "235 2.7.0");
	assert_non_null(strstr(proxyd.log, "auth LOGIN ;line dXNlcg==;"));
	say(c, "AUTH PLAIN AAAA", "503 5.5.1 gw.example.org: Already");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 got it");
	assert_non_null(strstr(proxyd.content, "with ESMTPA id"));
	say(c, "MAIL FROM:<a@b.example> SMTPUTF8 AUTH=<>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 got it");
	assert_non_null(strstr(proxyd.content, "with UTF8SMTPA id"));
	quit(c);

	c = hello(PASSWORDS);
	say(c, "AUTH PLAIN AGEAYg==", "235");
	assert_non_null(strstr(proxyd.log, "auth PLAIN AGEAYg==;"));
	quit(c);
	c = hello(PASSWORDS);
	say(c, "AUTH PLAIN =", "235");
	quit(c);

	/* Cancelled, in each way that is none of a base64 line. */
	c = hello(PASSWORDS);
	say(c, "AUTH LOGIN", "334");
	say(c, "*", "501 5.7.0 cancelled");
	say(c, "AUTH LOGIN", "334");
	say(c, "not base64!", "501 5.5.2");
	say(c, "AUTH LOGIN", "334");
	memset(line, 'A', 12300);
	line[12300] = '\0';
	say(c, line, "500 5.5.6");
	say(c, "AUTH LOGIN", "334");
	client_send(c, "AAAA\nBBBB\r\n");
	expect(c, "500 5.5.2");
	say(c, "AUTH LOGIN", "334");
	line[12286] = '\0';
	say(c, line, "235");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);

	/* Refused, then once more. */
	on(ASKED_AUTH_LINE, 535, "5.7.8 no");
	c = hello(PASSWORDS);
	say(c, "AUTH LOGIN", "334");
	client_say(c, "AAAA");
	world_skip_ms(0);
	expect(c, "535 5.7.8 no");
	on(ASKED_AUTH_LINE, 334, "more");
	say(c, "AUTH LOGIN", "334");
	say(c, "AAAA", "334 more");
	on(ASKED_AUTH_LINE, 0, NULL);
	say(c, "AAAA", "235");
	quit(c);

	/* A server that goes in the middle. */
	c = hello(PASSWORDS);
	say(c, "AUTH LOGIN", "334");
	server_gone();
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
	/* Hidden, and refused, where it would be in clear. */
	c = hello(PROXIED);
	assert_null(strstr(c->reply, "AUTH"));
	say(c, "AUTH PLAIN AGEAYg==", "538 5.7.11");
	assert_null(strstr(proxyd.log, "auth"));
	quit(c);
}

/* ---- transactions --------------------------------------------------------- */

static const char	pipelined[] =
    "EHLO client.example\r\n"
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\n"
    "RCPT TO:<no@dest.example>\r\nDATA\r\n"
    "Subject: one\r\n\r\n..dot\r\n.\r\n"
    "NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<v@dest.example>\r\nRSET\r\n"
    "BDAT 5\r\nEHLO MAIL FROM:<c@b.example>\r\n"
    "RCPT TO:<w@dest.example>\r\nBDAT 4\r\na\r\nbBDAT 3 LAST\r\n.\r\n"
    "VRFY a\r\nQUIT\r\n";
static const char *const	pipelined_codes[] = { "250-", "250 2.1.0",
    "250 2.1.5", "551 5.7.1", "354 ", "250 2.0.0 got", "250 2.0.0",
    "250 2.1.0", "250 2.1.5", "250 2.0.0", "503 5.5.1", "250 2.1.0",
    "250 2.1.5", "250 2.0.0 4", "250 2.0.0 got", "252 2.5.0", "221 ", NULL };
static const char	pipelined_log[] = "open live;ehlo client.example;"
    "mail a@b.example;rcpt u@dest.example;data;end;noop;mail ;"
    "rcpt v@dest.example;rset;mail c@b.example;rcpt w@dest.example;data;end;"
    "VRFY a;quit;";

static void
test_cuts(void **state)
{
	size_t		 len = strlen(pipelined);
	struct client	*c;

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		c = client_at(PROXIED);
		expect(c, "220 ");
		client_write(c, pipelined, cut);
		world_run();
		client_write(c, pipelined + cut, len - cut);
		world_run();
		expect_all(c, pipelined_codes);
		expect_closed(c);
		assert_string_equal(proxyd.log, pipelined_log);
		assert_non_null(strstr(proxyd.content, "\r\na\r\nb.\r\n"));
		leave(c);
	}
}

/* The server answers each command only after all that may be asked was. */
static void
test_late(void **state)
{
	struct client	*c;

	(void)state;
	proxyd.hold = true;
	c = client_at(PROXIED);
	client_send(c, pipelined);
	for (int i = 0; i < 40; i++)
		if (proxyd_answer(proxyd.tid, 0, NULL))
			world_run();
	expect(c, "220 ");
	expect_all(c, pipelined_codes);
	expect_closed(c);
	assert_string_equal(proxyd.log, pipelined_log);
	leave(c);
}

/* MAIL refused with a group behind it. */
static void
test_mail_refused(void **state)
{
	static const char	group[] = "MAIL FROM:<a@b.example>\r\n"
	    "RCPT TO:<u@dest.example>\r\nDATA\r\n";
	struct client		*c = hello(PROXIED);

	(void)state;
	on(ASKED_MAIL, 550, "5.7.1 not you");
	on(ASKED_RCPT, 503, "5.5.1 mail first");
	client_send(c, group);
	expect(c, "550 5.7.1 not you");
	expect(c, "503 5.5.1 mail first");
	expect(c, "554 5.5.1");
	say(c, "DATA", "503 5.5.1 gw.example.org: MAIL");
	/* Each reply late. */
	proxyd.hold = true;
	client_send(c, group);
	for (int i = 0; i < 3; i++)
		answer(0, NULL);
	expect(c, "550 5.7.1 not you");
	expect(c, "503 5.5.1 mail first");
	expect(c, "554 5.5.1");
	answer(0, NULL);		/* our RSET */
	/* RCPT when MAIL's refusal is known: it does not go over. */
	proxyd.hold = false;
	say(c, "MAIL FROM:<a@b.example>", "550");
	say(c, "RCPT TO:<u@dest.example>", "503 5.5.1 gw.example.org: MAIL first");
	on(ASKED_MAIL, 0, NULL);
	on(ASKED_RCPT, 0, NULL);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250");
	quit(c);
}

static void
test_421(void **state)
{
	static const char *const	way[] = { "EHLO c.example",
	    "MAIL FROM:<a@b.example>", "RCPT TO:<u@dest.example>", "DATA",
	    "." };
	static const enum asked		what[] = { ASKED_EHLO, ASKED_MAIL,
	    ASKED_RCPT, ASKED_DATA, ASKED_END };
	struct client			*c;

	(void)state;
	for (size_t n = 0; n < 5; n++) {
		c = client_at(PROXIED);
		expect(c, "220");
		for (size_t i = 0; i < n; i++)
			say(c, way[i], i == 3 ? "354" : "250");
		on(what[n], 421, "4.3.2 going down");
		say(c, way[n], "421 4.3.2 going down");
		expect_closed(c);
		leave(c);
	}
}

/* Its session ends (how 0), proxyd dies (1), or the client goes (2), with each
 * command asked or answered. */
static void
end_in(unsigned port, const char *const *way, size_t n, int how, bool asked)
{
	struct client	*c = client_at(port);
	const char	*r;

	for (size_t i = 0; i < n; i++)
		client_send(c, way[i]);
	proxyd.hold = asked;
	client_send(c, way[n]);
	if (how == 0)
		server_gone();
	else if (how == 1)
		proxyd_die();
	else
		shutdown(c->fd, SHUT_RDWR);
	world_run();
	if (how == 1)
		proxyd_start();
	if (how != 2) {
		/* Each command has its reply, or 421 and the end. */
		client_send(c, "\r\n.\r\nQUIT\r\n");
		client_send(c, "xNOOP\r\nQUIT\r\n");
		while ((r = client_next(c)) != NULL)
			assert_true(strncmp(r, "250 2.0.0 got", 13) != 0 ||
			    (n == 6 && !asked));
		expect_closed(c);
	}
	/* One that has only ended its own side may still want its replies. */
	while (how == 2 && proxyd_answer(proxyd.tid, 0, NULL))
		world_run();
	leave(c);
}

static void
test_ends(void **state)
{
	static const char *const	way[] = { "", "EHLO c.example\r\n",
	    "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<u@dest.example>\r\n",
	    "DATA\r\n", "half a message\r\n", ".\r\n" };
	static const char *const	rule[] = { "", "EHLO c.example\r\n",
	    "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<u@live.example>\r\n",
	    "DATA\r\n", "half a message\r\n", ".\r\n" };
	static const char *const	bdat[] = { "", "EHLO c.example\r\n",
	    "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<u@live.example>\r\n",
	    "BDAT 9\r\nMAIL FROM", "BDAT 20\r\nMAIL",
	    "..........\r\nxx\r\nBDAT 0 LAST\r\n" };

	(void)state;
	for (size_t n = 0; n < 7; n++)
		for (int how = 0; how < 3; how++)
			for (int asked = 0; asked < 2; asked++) {
				end_in(PROXIED, way, n, how, asked);
				end_in(REGULAR, rule, n, how, asked);
				end_in(PROXIED, bdat, n, how, asked);
				end_in(REGULAR, bdat, n, how, asked);
			}
}

/* A client that is gone with the final dot at the server. */
static void
test_gone_at_end(void **state)
{
	struct client	*c;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		c = hello(i < 3 ? PROXIED : REGULAR);
		say(c, "MAIL FROM:<a@b.example>", "250");
		say(c, "RCPT TO:<u@live.example>", "250");
		say(c, "DATA", "354");
		proxyd.hold = true;
		client_send(c, ".\r\n");
		shutdown(c->fd, SHUT_RDWR);
		world_run();
		assert_int_equal(proxyd.links, 1);
		if (i % 3 == 0)
			answer(0, NULL);
		else if (i % 3 == 1)
			answer(421, "4.0.0 x");
		else
			server_gone();
		leave(c);
	}
}

static void
test_sizes(void **state)
{
	static const size_t	sizes[] = { 0, 1, 3800, 4096, 24570, 24573,
	    24574, 24575, 24576, 24577, 24580, 65536, 262144 };
	char			 line[40];
	struct client		*c;

	(void)state;
	memset(big, 'x', sizeof(big));
	for (unsigned port = REGULAR; port <= PROXIED; port++) {
		c = hello(port);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			say(c, "MAIL FROM:<a@b.example>", "250");
			say(c, "RCPT TO:<u@live.example>", "250");
			snprintf(line, sizeof(line), "BDAT %zu LAST\r\n",
			    sizes[i]);
			write_all(c, line, strlen(line));
			write_all(c, big, sizes[i]);
			expect(c, "250 2.0.0 got it");
			assert_memory_equal(proxyd.content, "Received: ", 10);
			if (sizes[i] == 0)
				continue;
			assert_memory_equal(proxyd.content +
			    proxyd.content_len - sizes[i] - 2, big, sizes[i]);
			say(c, "MAIL FROM:<a@b.example>", "250");
			say(c, "RCPT TO:<u@live.example>", "250");
			say(c, "DATA", "354");
			write_all(c, big, sizes[i]);
			say(c, "\r\n.", "250 2.0.0 got it");
			assert_memory_equal(proxyd.content +
			    proxyd.content_len - sizes[i] - 2, big, sizes[i]);
		}
		quit(c);
	}
}

static void
test_credit(void **state)
{
	struct client	*c = hello(PROXIED);
	size_t		 sent = 0, put;

	(void)state;
	proxyd.stingy = true;
	memset(big, 'x', sizeof(big));
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "DATA", "354");
	do {
		sent += put = client_write(c, big, 1000);
		world_pass(2);
	} while (put > 0 && sent < 2000000);
	assert_int_equal(proxyd.got, 131072);
	assert_true(sent < 1000000);
	assert_true(buf_len(&c->s->txn->content.out) <= CONTENT_HOLD);
	assert_true(stream_in(c->s->stream).len <= SESSION_IN_MAX);
	for (int i = 0; i < 40; i++) {
		proxyd_credit(proxyd.tid, 30000);
		world_run();
	}
	say(c, "\r\n.", "250 2.0.0 got it");
	quit(c);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_greeting), T(test_caps), T(test_helo_size),
		T(test_auth), T(test_cuts), T(test_late),
		T(test_mail_refused), T(test_421), T(test_ends),
		T(test_gone_at_end), T(test_sizes), T(test_credit)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
