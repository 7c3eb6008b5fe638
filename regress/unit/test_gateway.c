/*
 * XCLIENT from gateways: to whom it is offered, what it says, and that the
 * session begins anew as the client's; the client's name for a server that is
 * told by XCLIENT in turn.
 */
#include "regress/lib/smtpdtest.h"

#include "common/dns/answer.h"
#include "smtpd/link.h"
#include "smtpd/source.h"
#include "smtpd/txn.h"

#define GATEWAY	"192.0.2.65"

static struct client *
gateway_at(unsigned port, const char *from)
{
	return client_new(listen_of(port), from);
}

/* EHLO's reply, has it XCLIENT? */
static bool
offered(struct client *c)
{
	const char	*reply;

	client_say(c, "EHLO gw2.example");
	reply = client_reply(c);
	assert_non_null(reply);
	assert_memory_equal(reply, "250-gw.example.org", 18);
	return strstr(reply, "XCLIENT ADDR PORT NAME PROTO DESTADDR DESTPORT "
	    "HELO REVERSE_NAME") != NULL;
}

static void
test_offered(void **state)
{
	static const struct { unsigned port; const char *from; bool is; } t[] =
	    {
		{ GATEWAYS, GATEWAY, true }, { GATEWAYS, "192.0.2.7", false },
		{ GATEWAYS, "::1", true }, { GATEWAYS, "", false },
		{ REGULAR, GATEWAY, false }, { BALANCED, GATEWAY, false }
	};
	struct client	*c;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		c = gateway_at(t[i].port, t[i].from);
		expect(c, "220");
		assert_int_equal(offered(c), t[i].is);
		say(c, "XCLIENT ADDR=203.0.113.7", t[i].is ?
		    "220 gw.example.org ESMTP postern" : "502 5.5.1");
		leave(c);
	}
}

static void
test_whole(void **state)
{
	struct client	*c = gateway_at(GATEWAYS, GATEWAY);
	char		 text[ADDR_STRLEN];

	(void)state;
	expect(c, "220");
	assert_true(offered(c));
	say(c, "XCLIENT NAME=Mail.Client.example ADDR=203.0.113.7 PORT=4711 "
	    "PROTO=ESMTP HELO=client.example LOGIN=someone "
	    "DESTADDR=198.51.100.1 DESTPORT=25 "
	    "REVERSE_NAME=mail.client.example", "220 gw.example.org");
	assert_string_equal(addr_str_port(&c->s->client, text),
	    "203.0.113.7:4711");
	assert_string_equal(addr_str(&c->s->via, text), GATEWAY);
	assert_string_equal(addr_str_port(&c->s->dest, text),
	    "198.51.100.1:25");
	/* As after a connect: EHLO again, and XCLIENT no more. */
	say(c, "MAIL FROM:<a@b.example>", "503 5.5.1 EHLO");
	say(c, "XCLIENT ADDR=203.0.113.8", "502");
	assert_false(offered(c));
	say(c, "XCLIENT ADDR=203.0.113.8", "502");
	/* A login of elsewhere counts for nothing here. */
	assert_false(c->s->authed);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@local.example>", "550 5.7.1");
	say(c, "RCPT TO:<u@source.example>", "250");
	say(c, "DATA", "354");
	say(c, "x\r\n.", "250");
	assert_non_null(strstr(queued.content,
	    "(mail.client.example [203.0.113.7])"));
	quit(c);
	assert_string_equal(queued.source, "203.0.113.7");
	assert_int_equal(queued.source_count, 0);
}

/* Before the first transaction, alone, and in its own form. */
static void
test_turn(void **state)
{
	struct client	*c = gateway_at(GATEWAYS, GATEWAY);

	(void)state;
	expect(c, "220");
	/* What is refused may be said better. */
	say(c, "XCLIENT", "501 5.5.4");
	say(c, "XCLIENT ADDR=203.0.113", "501 5.5.4");
	say(c, "XCLIENT FOO=x", "501 5.5.4");
	say(c, "XCLIENT NAME=a+0D+0Ab ADDR=203.0.113.7", "501 5.5.4");
	/* Before EHLO as well. */
	say(c, "XCLIENT ADDR=203.0.113.7", "220");
	quit(c);

	c = gateway_at(GATEWAYS, GATEWAY);
	expect(c, "220");
	say(c, "EHLO x.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "XCLIENT ADDR=203.0.113.7", "502");
	say(c, "RSET", "250");
	say(c, "XCLIENT ADDR=203.0.113.7", "502");
	quit(c);

	/* As long as names may be. */
	c = gateway_at(GATEWAYS, GATEWAY);
	expect(c, "220");
	memset(big, 'h', 1000);
	memcpy(big, "XCLIENT ADDR=203.0.113.7 NAME=", 30);
	memcpy(big + 30 + 200, " HELO=", 6);
	memcpy(big + 30 + 200 + 6 + 250, " LOGIN=", 7);
	big[30 + 200 + 6 + 250 + 7 + 250] = '\0';
	say(c, big, "220");
	quit(c);

	/* Pipelined: what follows is the new session's. */
	c = gateway_at(GATEWAYS, GATEWAY);
	expect(c, "220");
	client_send(c, "EHLO gw2.example\r\nXCLIENT ADDR=203.0.113.7\r\n"
	    "EHLO client.example\r\nNOOP\r\n");
	expect(c, "250-gw.example.org");
	expect(c, "220 gw.example.org");
	expect(c, "250-gw.example.org");
	expect(c, "250 2.0.0");
	assert_string_equal(c->s->helo, "client.example");
	quit(c);
}

static void
test_unknown(void **state)
{
	struct client	*c = gateway_at(GATEWAYS, "::1");

	(void)state;
	expect(c, "220");
	assert_true(session_local(c->s));
	say(c, "XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]", "220");
	assert_true(c->s->nameless);
	assert_false(session_local(c->s));
	quit(c);
	/* Of a name alone: its own address stays. */
	c = gateway_at(GATEWAYS, GATEWAY);
	expect(c, "220");
	say(c, "XCLIENT NAME=a.example", "220");
	assert_false(c->s->nameless);
	assert_true(span_is(peer_name(&c->s->peer), "a.example"));
	quit(c);
}

/* The gateway is exempt, its clients are not. */
static void
test_limits(void **state)
{
	struct client	*c[4];

	(void)state;
	world_conf->limits.sessions_per_source = 2;
	for (int i = 0; i < 4; i++) {
		c[i] = gateway_at(GATEWAYS, GATEWAY);
		expect(c[i], "220");
	}
	say(c[0], "XCLIENT ADDR=203.0.113.7", "220");
	say(c[1], "XCLIENT ADDR=203.0.113.7", "220");
	say(c[2], "XCLIENT ADDR=203.0.113.7", "421 4.7.0 Too many sessions "
	    "from your address gw.example.org");
	expect_closed(c[2]);
	say(c[3], "XCLIENT ADDR=203.0.113.8", "220");
	client_free(c[0]);
	client_free(c[2]);
	c[0] = gateway_at(GATEWAYS, GATEWAY);
	expect(c[0], "220");
	say(c[0], "XCLIENT ADDR=203.0.113.7", "220");
	client_free(c[0]);
	client_free(c[1]);
	leave(c[3]);
}

/* Greeted, once DNS has said that it has no name. */
static struct client *
proxied_gateway(void)
{
	struct client	*c = gateway_at(GATEWAYS_PROXIED, GATEWAY);

	expect_nothing(c);
	lookupd_answer(DNS_NXDOMAIN, NULL);
	expect(c, "220 gw.example.org ESMTP there");
	return c;
}

/* A proxied listener: the server's session begins anew, too. */
static void
test_proxied(void **state)
{
	struct client	*c = gateway_at(GATEWAYS_PROXIED, GATEWAY);

	(void)state;
	/* It is told by XCLIENT: the client's name is waited for. */
	expect_nothing(c);
	assert_int_equal(proxyd.links, 0);
	assert_string_equal(lookupd.name, "65.2.0.192.in-addr.arpa");
	lookupd_answer(DNS_NXDOMAIN, NULL);
	expect(c, "220 gw.example.org ESMTP there");
	assert_string_equal(proxyd.who, "192.0.2.65:0 192.0.2.1:0 - -");
	assert_true(offered(c));
	proxyd.log[0] = '\0';
	say(c, "XCLIENT ADDR=203.0.113.7 PORT=4711 NAME=client.example "
	    "DESTADDR=198.51.100.1", "220 gw.example.org ESMTP there");
	assert_string_equal(proxyd.log, "close;open told;");
	assert_string_equal(proxyd.who, "203.0.113.7:4711 198.51.100.1:0 "
	    "client.example -");
	assert_int_equal(proxyd.links, 1);
	say(c, "EHLO client.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);

	/* The new session is refused, or there is none. */
	c = proxied_gateway();
	on(ASKED_OPEN, 554, "5.7.1 not him");
	say(c, "XCLIENT ADDR=203.0.113.7 NAME=[UNAVAILABLE]",
	    "554 5.7.1 not him");
	expect_closed(c);
	leave(c);
	c = proxied_gateway();
	proxyd.hold = true;
	client_say(c, "XCLIENT ADDR=203.0.113.7 NAME=[UNAVAILABLE]");
	expect_nothing(c);
	server_gone();
	expect(c, "421 4.4.2");
	leave(c);
	/* The client goes before the new greeting. */
	c = proxied_gateway();
	proxyd.hold = true;
	client_say(c, "XCLIENT ADDR=203.0.113.7");
	expect_nothing(c);
	leave(c);
	/* Behind a command that the server has not answered yet. */
	c = proxied_gateway();
	proxyd.hold = true;
	client_send(c, "NOOP\r\nXCLIENT ADDR=203.0.113.7\r\n");
	expect_nothing(c);
	answer(0, NULL);
	expect(c, "250");
	expect(c, "503 5.5.1 XCLIENT comes alone");
	leave(c);
}

/* By a rule: the name is waited for at the first recipient. */
static void
test_by_rule(void **state)
{
	struct client	*c = hello(REGULAR);
	uint32_t	 ptr = lookupd.tid;

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	client_send(c, "RCPT TO:<u@told.example>\r\nRCPT TO:<v@told.example>"
	    "\r\n");
	expect_nothing(c);
	assert_int_equal(proxyd.links, 0);
	assert_int_equal(lookupd.tid, ptr);
	lookupd_answer(DNS_OK, "client.example");
	lookupd_answer(DNS_OK, WORLD_SOURCE);
	expect(c, "250");
	expect(c, "250");
	assert_string_equal(proxyd.who, "192.0.2.7:0 192.0.2.1:0 "
	    "client.example client.example");
	quit(c);
	/* DNS does not know now: that is no "none". */
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	client_say(c, "RCPT TO:<u@told.example>");
	lookupd_answer(DNS_TEMPFAIL, NULL);
	expect(c, "250");
	assert_string_equal(proxyd.who, "192.0.2.7:0 192.0.2.1:0 ? "
	    "client.example");
	quit(c);
	/* The client, or proxyd, goes meanwhile. */
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	client_say(c, "RCPT TO:<u@told.example>");
	session_fail(c->s, 421, span_str("4.3.2 x"), "shutting down");
	leave(c);
	lookupd_answer(DNS_NXDOMAIN, NULL);
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	client_say(c, "RCPT TO:<u@told.example>");
	proxyd_die();
	lookupd_answer(DNS_NXDOMAIN, NULL);
	expect(c, "451 4.3.2");
	proxyd_start();
	quit(c);
}

static int
with_lookupd(void **state)
{
	test_init(state);
	lookupd_start();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_offered), T(test_whole), T(test_turn), T(test_unknown),
		T(test_limits), T(test_proxied), T(test_by_rule)
	};

	return cmocka_run_group_tests(tests, with_lookupd, NULL);
}
