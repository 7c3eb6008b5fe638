/*
 * proxyd's links: commands and their replies, and which server they go to.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/smtp/command.h"
#include "proxyd/place.h"
#include "proxyd/servers.h"
#include "regress/lib/proxydhelp.h"

/* ---- commands and replies ---------------------------------------------- */

static void
transaction(void **state)
{
	(void)state;
	SERVE(sa, HELLO,
	    "R 250-x\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n",
	    "C MAIL FROM:<a@c.example> SIZE=30 BODY=8BITMIME", "Q",
	    "S 250 2.1.0 ok", "C RCPT TO:<r0@x.example>", "Q",
	    "R 550-5.1.1 no\r\n550 5.1.1 such\r\n", "C RCPT TO:<r1@x.example>",
	    "Q", "S 250 2.1.5 ok", "C DATA", "Q", "S 354 go", "D",
	    "S 250 2.0.0 queued as 1", "C RSET", OK, "C NOOP", OK,
	    "C VRFY x", "S 252 who knows", "C QUIT", "S 221 bye", "E");
	session("a", "caps E1000 PLAIN LOGIN");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"), .size = 30,
	    .body = BODY_8BITMIME);
	SEND(p_rcpt, .to = STR("r0@x.example"));
	SEND(p_rcpt, .to = STR("r1@x.example"));
	hears("reply 250 2.1.0 ok");
	hears("reply 550 5.1.1 no\n5.1.1 such");
	hears("reply 250 2.1.5 ok");
	SEND(p_data);
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("Subject: x\r\n\r\n.a\r\n"));
	SEND(p_end, .bytes = STR("."));
	hears("reply 250 2.0.0 queued as 1");
	SEND(p_rset);
	hears("reply 250 2.0.0 ok");
	SEND(p_noop);
	hears("reply 250 2.0.0 ok");
	SEND(p_ask, .verb = VERB_VRFY, .arg = STR("x"));
	hears("reply 252 who knows");
	SEND(p_quit);
	hears("reply 221 bye");
	hears("closed QUIT");
	SERVED(sa);
	content_is(sa, "Subject: x\r\n\r\n..a\r\n..\r\n");
	assert_int_equal(link_count(), 0);
}

static void
pipelined(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C RCPT TO:<r1@x.example>",
	    "C RCPT TO:<r2@x.example>", "C DATA", "Q", OK, OK,
	    "S 450 4.2.1 later", "S 550 5.1.1 no", "S 354 go", "D",
	    /* The next transaction came with the final dot, and waits for the
	     * reply to it. */
	    "Q", OK, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "D", OK);
	session("a", "caps EP0 ");
	recipients(3);
	SEND(p_data);
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	hears("reply 450 4.2.1 later");
	hears("reply 550 5.1.1 no");
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("one\r\n"));
	recipients(1);
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	SEND(p_data);
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("two\r\n"));
	hears("reply 250 2.0.0 ok");
	SERVED(sa);
	content_is(sa, "one\r\ntwo\r\n");
	/* smtpd is through without QUIT: said for it. */
	SEND(p_close);
	UNTIL(link_count() == 0);
	script_settle(20);
	assert_null(server_wrong(sa));
}

static void
auth(void **state)
{
	static char	 secret[12289];

	(void)state;
	memset(secret, 'A', 12288);
	SERVE(sa, HELLO, "R 250-x\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n",
	    "C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C dXNlcg==",
	    "S 334 UGFzc3dvcmQ6", "C cGFzcw==", "S 535 5.7.8 no",
	    "C AUTH PLAIN =", "S 334 ", "C *", "S 501 5.7.0 cancelled",
	    "C AUTH PLAIN AHVzZXIAcGFzcw==", "S 235 2.7.0 welcome",
	    "C AUTH XOAUTH2 AAAA*", "S 334 eyJ9", "C ", "S 535 5.7.8 no");
	session("a", "caps E0 PLAIN LOGIN XOAUTH2");
	SEND(p_auth, .mech = STR("LOGIN"));
	hears("reply 334 VXNlcm5hbWU6");
	SEND(p_auth_line, .line = STR("dXNlcg=="));
	hears("reply 334 UGFzc3dvcmQ6");
	SEND(p_auth_line, .line = STR("cGFzcw=="));
	hears("reply 535 5.7.8 no");
	SEND(p_auth, .mech = STR("PLAIN"), .has_initial = true,
	    .initial = STR("="));
	hears("reply 334 ");
	SEND(p_auth_line, .line = STR("*"));
	hears("reply 501 5.7.0 cancelled");
	SEND(p_auth, .mech = STR("PLAIN"), .has_initial = true,
	    .initial = STR("AHVzZXIAcGFzcw=="));
	hears("reply 235 2.7.0 welcome");
	SEND(p_auth, .mech = STR("XOAUTH2"), .has_initial = true,
	    .initial = STR(secret));
	hears("reply 334 eyJ9");
	SEND(p_auth_line, .line = STR(""));
	hears("reply 535 5.7.8 no");
	SERVED(sa);
}

/* A line that would be two commands ends the link, and nothing of it is sent. */
static void
injection(void **state)
{
	(void)state;
	SERVE(sa, PIPE, "E");
	session("a", "caps EP0 ");
	SEND(p_rcpt, .to = STR("x@y>\r\nRSET"));
	hears("own 421 4.3.0 *");
	hears("closed *");
	SERVED(sa);
	SERVE(sa, HELLO, "R 250-x\r\n250 AUTH PLAIN\r\n", "C AUTH PLAIN",
	    "S 334 ", "E");
	session("a", "caps E0 PLAIN");
	SEND(p_auth, .mech = STR("PLAIN"));
	hears("reply 334 ");
	SEND(p_auth_line, .line = STR("x\r\nQUIT"));
	hears("own 421 4.3.0 *");
	hears("closed *");
	SERVED(sa);
}

static void
long_reply(void **state)
{
	static char	 text[63 * 400 + 64];
	size_t		 n = 0;

	(void)state;
	for (int i = 0; i < 60; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s250-",
		    i == 0 ? "R " : "");
		memset(text + n, 'a' + i % 26, 390);
		n += 390;
		text[n++] = '\r';
		text[n++] = '\n';
	}
	snprintf(text + n, sizeof(text) - n, "250 end\r\n");
	SERVE(sa, PLAIN, "C HELP", text, "C NOOP", "S 250 x");
	session("a", "caps E0 ");
	npieces = 0;
	SEND(p_ask, .verb = VERB_HELP);
	hears("reply 250 aaaaaaaa*");
	assert_int_equal(npieces, 3);
	SEND(p_noop);
	hears("reply 250 x");
	SERVED(sa);
}

static void
byte_by_byte(void **state)
{
	(void)state;
	SERVE(sa, "1", PIPE, MAIL, RCPT, "C DATA",
	    "R 250-a\r\n250 b\r\n550-5.1.1 c\r\n550 5.1.1 d\r\n", "S 354 go",
	    "C .", "S 250 e", "C QUIT", "R 221-f\r\n221 g\r\n");
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250 a\nb");
	hears("reply 550 5.1.1 c\n5.1.1 d");
	hears("own 554 5.5.1 *");
	SEND(p_quit);
	hears("reply 221 f\ng");
	SERVED(sa);
}

/* What a server says out of turn or out of order. */
static void
malformed(void **state)
{
	(void)state;
	SERVE(sa, PIPE, "C NOOP", "S hello", "E");
	session("a", "caps EP0 ");
	SEND(p_noop);
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVE(sa, PIPE, "C NOOP", "S 250 x", "S 250 y", "E");
	session("a", "caps EP0 ");
	SEND(p_noop);
	hears("reply 250 x");
	hears("closed 4.5.0 *");
	/* 3xx where nothing of that kind was asked for. */
	SERVE(sa, PIPE, MAIL, "S 354 go", "E");
	session("a", "caps EP0 ");
	SEND(p_mail, .from = STR("a@c.example"));
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVE(sa, PIPE, "C NOOP", "S 334 x", "E");
	session("a", "caps EP0 ");
	SEND(p_noop);
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 250 ok", "E");
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D",
	    "S 354 go on", "E");
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("reply 354*");
	SEND(p_end, .bytes = STR("x\r\n"));
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVED(sa);
	/* Its own word that it ends, unasked for: as it was said. */
	SERVE(sa, PIPE, "W", "S 421 4.4.2 idle for too long", "E");
	session("a", "caps EP0 ");
	server_go(sa);
	hears("closed 421 4.4.2 idle for too long");
	SERVED(sa);
	/* QUIT need not be answered. */
	SERVE(sa, PIPE, "C QUIT", "X");
	session("a", "caps EP0 ");
	SEND(p_quit);
	hears("own 221 2.0.0 *");
	hears("closed QUIT");
}

/* A reply that never gets whole has no more time than one that never comes. */
static void
dripping(void **state)
{
	(void)state;
	SERVE(sa, PIPE, "C NOOP", "R 25", "W", "R 0", "W", "E");
	session("a", "caps EP0 ");
	SEND(p_noop);
	UNTIL(server_waits(sa));
	script_time(200000);
	script_settle(20);
	server_go(sa);
	UNTIL(server_waits(sa));
	hears_no_more();
	script_time(101000);
	hears("own 421 4.4.2 *");
	hears("closed *");
}

static void
says_421(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, OK, "S 421 4.3.2 going down", "E");
	session("a", "caps EP0 ");
	recipients(1);
	hears("reply 250*");
	hears("reply 421 4.3.2 going down");
	hears("closed *");
	SERVED(sa);
	assert_int_equal(link_count(), 0);
	/* Commands for a link that has gone are dropped. */
	SEND(p_rcpt, .to = STR("x@y"));
	SEND(p_data);
	SEND(p_chunk, .bytes = STR("x"));
	SEND(p_end);
	SEND(p_close);
	hears_no_more();
	assert_false(chan_gone);
}

/* ---- which server ------------------------------------------------------- */

static void
next_server(void **state)
{
	(void)state;
	/* One that can't be reached, one that does not greet, one that does. */
	SERVE(sb, "W", "E");
	SERVE(sc, HELLO, "S 250 x");
	opens("three", "");
	UNTIL(server_waits(sb));
	/* Well below the five minutes of a lone server. */
	script_time(11000);
	UNTIL(server_conns(sc) == 1);
	hears("server 127.0.0.1*");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears("caps E0 ");
	hears("reply 250 x");
	SERVED(sc);
	SEND(p_close);
	/* The two are passed over for a while, and only then tried again. */
	server_reset(sb);
	server_reset(sc);
	SERVE(sc, "S 220 hi");
	opens("three", "");
	hears("server *");
	hears("reply 220 hi");
	assert_int_equal(server_conns(sb), 0);
	SEND(p_close);
	UNTIL(link_count() == 0);
	/* A greeting with 4xx or 5xx: the next one, too. */
	server_reset(sb);
	server_reset(sc);
	script_time(SERVERS_PROBE_MIN_MS * 6 / 5 + 1000);
	SERVE(sb, "S 554 5.7.1 not you", "E");
	SERVE(sc, "S 220 hi");
	opens("three", "");
	hears("server *");
	hears("reply 220 hi");
	SERVED(sb);
}

static void
all_down(void **state)
{
	int64_t	begin = script_real_ms();

	(void)state;
	opens("down", "");
	hears("own 421 4.4.1 *");
	hears("closed *");
	assert_true(script_real_ms() - begin < 1000);
	/* The last one's own words, if it said any. */
	SERVE(sa, "S 554 5.7.1 not you", "E");
	opens("a", "");
	hears("reply 554 5.7.1 not you");
	hears("closed *");
	SERVE(sa, "S 421 4.3.2 busy", "E");
	opens("a", "");
	hears("reply 421 4.3.2 busy");
	hears("closed *");
	SERVE(sa, "X");
	opens("a", "");
	hears("own 421 4.4.1 *");
	hears("closed *");
	SERVE(sa, "S hello", "E");
	opens("a", "");
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVED(sa);
	/* QUIT before there is a server. */
	SERVE(sa, "W");
	opens("a", "");
	UNTIL(server_waits(sa));
	SEND(p_quit);
	hears("own 221 *");
	hears("closed QUIT");
	assert_int_equal(link_count(), 0);
}

static void
one_at_most(void **state)
{
	uint32_t	first;

	(void)state;
	SERVE(sa, "S 220 hi");
	SERVE(sa, "S 220 hi");
	opens("max", "");
	hears("server *");
	hears("reply 220 hi");
	first = tid;
	opens("max", "");
	script_settle(30);
	hears_no_more();
	script_time(PLACE_WAIT_MS + 100);
	hears("own 421 4.3.2 *");
	hears("closed *");
	opens("none", "");
	hears("own 421 4.3.5 *");
	hears("closed *");
	CHAN_SEND(smtpd, p_close, .tid = first);
	UNTIL(link_count() == 0);
	opens("max", "");
	hears("server *");
	hears("reply 220 hi");
}

/* A way that begins at RCPT: EHLO is ours to say. */
static void
at_rcpt(void **state)
{
	(void)state;
	SERVE(sa, "S 220 hi", "C EHLO client.example",
	    "R 250-x\r\n250 SIZE 5\r\n", MAIL, OK);
	opens("a", "client.example");
	hears("server *");
	hears("caps E5 ");
	hears("own 220 *");
	SEND(p_mail, .from = STR("a@c.example"));
	hears("reply 250*");
	SERVED(sa);
	SEND(p_close);
	SERVE(sa, "S 220 hi", "C EHLO out.example", "S 500 what",
	    "C HELO out.example", "S 250 x");
	opens("named", "client.example");
	hears("server *");
	hears("caps 0 ");
	hears("own 220 *");
	SERVED(sa);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(transaction),
		CASE(pipelined),
		CASE(auth),
		CASE(injection),
		CASE(long_reply),
		CASE(byte_by_byte),
		CASE(malformed),
		CASE(dripping),
		CASE(says_421),
		CASE(next_server),
		CASE(all_down),
		CASE(one_at_most),
		CASE(at_rcpt),
	};

	return cmocka_run_group_tests(tests, proxydhelp_start, NULL);
}
