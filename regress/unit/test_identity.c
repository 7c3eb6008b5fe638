/*
 * Who the client is, told to the actual server: PROXY headers, XCLIENT, and
 * servers that do not have it, refuse it, or break off within it.
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
#include "regress/lib/proxydhelp.h"

#define CLIENT	"192.0.2.7:4711"
#define XEHLO	"S 220 hi", "C EHLO gw.example", \
		"R 250-x\r\n250 XCLIENT NAME ADDR PORT HELO PROTO DESTADDR\r\n"

static struct addr
at(const char *text)
{
	struct addr	a = { 0 };

	if (text != NULL)
		assert_true(addr_parse_port(span_str(text), 0, &a));
	return a;
}

/* p_open with all that is known of a client; helo NULL: a proxied listener. */
static void
open_for(const char *action, const char *client, const char *rdns,
    const char *helo)
{
	tid++;
	SEND(p_open, .action = STR(action), .session = STR("7f3a09c1"),
	    .client = at(client), .local = at("198.51.100.1:25"),
	    .rdns = STR(rdns), .rdns_known = true,
	    .helo = STR(helo != NULL ? "gw.example" : ""),
	    .client_helo = STR(helo), .client_esmtp = true);
}

static void
ehlo(const char *caps)
{
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears(caps);
	hears("reply 250 x");
}

/* The scripts have no greeting before the header: it is read as a line. */
static void
header_v1(void **state)
{
	(void)state;
	SERVE(sa, "C PROXY TCP4 192.0.2.7 198.51.100.1 4711 25", PLAIN);
	open_for("v1", CLIENT, NULL, NULL);
	hears("server *");
	hears("reply 220 hi");
	ehlo("caps E0 ");
	SERVED(sa);
	SEND(p_close);

	SERVE(sa, "C PROXY TCP6 2001:db8::7 ::ffff:198.51.100.1 4711 25",
	    "S 220 hi", "C EHLO gw.example", "S 250 x");
	open_for("v1", "[2001:db8::7]:4711", NULL, "client.example");
	hears("server *");
	hears("caps E0 ");
	hears("own 220 ready");
	SERVED(sa);
	SEND(p_close);

	/* The submission socket: nobody's address. */
	SERVE(sa, "C PROXY UNKNOWN", PLAIN);
	open_for("v1", NULL, NULL, NULL);
	hears("server *");
	hears("reply 220 hi");
	ehlo("caps E0 ");
	SERVED(sa);
}

/* Each octet, and again for the next server: the first one is down. */
static void
header_v2(void **state)
{
	static const char	want[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
				    "\xc0\0\2\7\xc6\x33\x64\1\x12\x67\0\x19";

	(void)state;
	SERVE(sa, "B 28", PLAIN);
	open_for("v2", CLIENT, NULL, NULL);
	hears("server *");
	hears("reply 220 hi");
	ehlo("caps E0 ");
	SERVED(sa);
	assert_int_equal(server_content(sa).len, 28);
	assert_memory_equal(server_content(sa).p, want, 28);
}

static void
xclient_listener(void **state)
{
	(void)state;
	SERVE(sa, XEHLO, "C XCLIENT ADDR=192.0.2.7 PORT=4711 "
	    "NAME=mail.client.example DESTADDR=198.51.100.1",
	    "R 220-hi again\r\n220 there\r\n", "C EHLO client.example",
	    "R 250-x\r\n250 SIZE 1000\r\n", MAIL, OK);
	open_for("xclient", CLIENT, "mail.client.example", NULL);
	hears("server *");
	/* Nothing of the first EHLO is left. */
	hears("reply 220 hi again\nthere");
	ehlo("caps E1000 ");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	hears("reply 250 2.0.0 ok");
	SERVED(sa);
}

static void
xclient_rule(void **state)
{
	(void)state;
	SERVE(sa, XEHLO, "C XCLIENT ADDR=IPV6:2001:db8::7 PORT=4711 "
	    "NAME=[UNAVAILABLE] PROTO=ESMTP DESTADDR=198.51.100.1 HELO=a+2Bb",
	    "S 220 hi", "C EHLO a+b", "R 250-x\r\n250 8BITMIME\r\n", MAIL,
	    OK);
	open_for("xclient", "[2001:db8::7]:4711", NULL, "a+b");
	hears("server *");
	hears("caps E0 ");
	hears("own 220 ready");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	hears("reply 250 2.0.0 ok");
	SERVED(sa);
	SEND(p_close);
	/* Its name is no good for EHLO: then HELO with the same. */
	SERVE(sa, XEHLO, "C XCLIENT *", "S 220 hi", "C EHLO client.example",
	    "S 501 5.5.4 no", "C HELO client.example", "S 250 x", MAIL, OK);
	open_for("xclient", CLIENT, NULL, "client.example");
	hears("server *");
	hears("caps 0 ");
	hears("own 220 ready");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	hears("reply 250 2.0.0 ok");
	SERVED(sa);
}

/* The gateway's own message has no client to tell of. */
static void
xclient_local(void **state)
{
	(void)state;
	SERVE(sa, PLAIN);
	open_for("xclient", NULL, NULL, NULL);
	hears("server *");
	hears("reply 220 hi");
	ehlo("caps E0 ");
	SERVED(sa);
}

/* Without XCLIENT it goes on, with the EHLO that was said. */
static void
xclient_absent(void **state)
{
	static const char *const	answers[] = { "S 250 x",
	    "R 250-x\r\n250 XCLIENT\r\n", "R 250-x\r\n250 XCLIENT LOGIN\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		SERVE(sa, "S 220 hi", "C EHLO gw.example", answers[i],
		    "C EHLO client.example", "S 250 x");
		open_for("xclient", CLIENT, NULL, NULL);
		hears("server *");
		hears("reply 220 hi");
		ehlo("caps E0 ");
		SERVED(sa);
		SEND(p_close);
		SERVE(sa, "S 220 hi", "C EHLO gw.example", answers[i], MAIL,
		    OK);
		open_for("xclient", CLIENT, NULL, "client.example");
		hears("server *");
		hears("caps E0 ");
		hears("own 220 ready");
		SEND(p_mail, .id = 1, .from = STR("a@c.example"));
		hears("reply 250 2.0.0 ok");
		SERVED(sa);
		SEND(p_close);
	}
	/* A server of before EHLO: HELO may come yet, or is said here. */
	SERVE(sa, "S 220 hi", "C EHLO gw.example", "S 500 what",
	    "C HELO client.example", "S 250 x");
	open_for("xclient", CLIENT, NULL, NULL);
	hears("server *");
	hears("reply 220 hi");
	SEND(p_ehlo, .name = STR("client.example"));
	hears("caps 0 ");
	hears("reply 250 x");
	SERVED(sa);
	SEND(p_close);
	SERVE(sa, "S 220 hi", "C EHLO gw.example", "S 500 what",
	    "C HELO gw.example", "S 250 x");
	open_for("xclient", CLIENT, NULL, "client.example");
	hears("server *");
	hears("caps 0 ");
	hears("own 220 ready");
	SERVED(sa);
}

/* Refused: as if it were not there. A refusal in place of the greeting is the
 * client's. */
static void
xclient_refused(void **state)
{
	(void)state;
	SERVE(sa, XEHLO, "C XCLIENT *", "S 550 5.7.0 not you",
	    "C EHLO client.example", "S 250 x");
	open_for("xclient", CLIENT, NULL, NULL);
	hears("server *");
	hears("reply 220 hi");
	ehlo("caps E0 ");
	SERVED(sa);
	SEND(p_close);
	SERVE(sa, XEHLO, "C XCLIENT *", "S 501 5.5.4 bad", MAIL, OK);
	open_for("xclient", CLIENT, NULL, "client.example");
	hears("server *");
	hears("caps E0 ");
	hears("own 220 ready");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	hears("reply 250 2.0.0 ok");
	SERVED(sa);
	SEND(p_close);
	SERVE(sa, XEHLO, "C XCLIENT *", "S 421 4.3.2 busy");
	SERVE(sb, XEHLO, "C XCLIENT *", "S 554 5.7.1 your client is listed");
	open_for("xclient", CLIENT, NULL, NULL);
	hears("reply 554 5.7.1 your client is listed");
	hears("closed 554 5.7.1 your client is listed");
	SERVED(sa);
	SERVED(sb);
}

/* Gone, silent or nonsense in each phase: the next server is told anew. */
static void
xclient_next(void **state)
{
	static const char *const	ends[][5] = {
		{ "S 220 hi", "C EHLO gw.example", "X" },
		{ "S 220 hi", "C EHLO gw.example", "S 421 4.3.2 busy" },
		{ "S 220 hi", "C EHLO gw.example",
		    "R 250-x\r\n250 XCLIENT ADDR\r\n",
		    "C XCLIENT ADDR=192.0.2.7", "X" },
		{ "S 220 hi", "C EHLO gw.example",
		    "R 250-x\r\n250 XCLIENT ADDR\r\n",
		    "C XCLIENT ADDR=192.0.2.7", "S 250 fine" }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const char	*lines[6] = { NULL };

		for (size_t k = 0; k < 5; k++)
			lines[k] = ends[i][k];
		server_add(sa, lines);
		SERVE(sb, XEHLO, "C XCLIENT ADDR=192.0.2.7 PORT=4711 "
		    "NAME=[UNAVAILABLE] DESTADDR=198.51.100.1", "S 220 yo",
		    "C EHLO client.example", "S 250 x");
		open_for("xclient", CLIENT, NULL, NULL);
		hears("server *");
		hears("reply 220 yo");
		ehlo("caps E0 ");
		SERVED(sa);
		SERVED(sb);
		SEND(p_close);
		UNTIL(link_count() == 0);
		/* It is well again. */
		script_time(400000);
		script_turn();
	}
	/* Silent: as long as others wait for their turn, not for long. */
	SERVE(sa, XEHLO, "C XCLIENT *", "W");
	SERVE(sb, XEHLO, "C XCLIENT *", "S 220 yo");
	open_for("xclient", CLIENT, NULL, NULL);
	UNTIL(server_waits(sa));
	script_time(LINK_GREETING_MS + 200);
	hears("server *");
	hears("reply 220 yo");
	SERVED(sb);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(header_v1), CASE(header_v2), CASE(xclient_listener),
		CASE(xclient_rule), CASE(xclient_local), CASE(xclient_absent),
		CASE(xclient_refused), CASE(xclient_next)
	};

	return cmocka_run_group_tests(tests, proxydhelp_start, NULL);
}
