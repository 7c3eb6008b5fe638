/*
 * TLS of proxyd with the actual servers: at a proxied listener and at rule
 * level, beside the client's identity, kept sessions, and what fails.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <stdio.h>

#include "common/tls/trust.h"
#include "proxyd/idle.h"
#include "proxyd/servers.h"
#include "regress/lib/certhelp.h"
#include "regress/lib/proxydhelp.h"

#define OURS	"C EHLO gw.example"
#define OFFERS	"S 220 hi", OURS, "R 250-x\r\n250-SIZE 1\r\n250 STARTTLS\r\n"
#define STARTS	OFFERS, "C STARTTLS", "Q", "S 220 go"
#define CLIENTS	"C EHLO client.example"
#define GARBAGE	"B 5", "R not TLS at all\r\n", "X"

static struct ident	 ca, good, self;
static SSL_CTX		*good_tls, *self_tls;

static void
more_conf(char *dst, size_t size)
{
	unsigned	a = server_port(sa), b = server_port(sb);

	snprintf(dst, size,
	    "ca \"/ca\"\n"
	    "action \"opp\" proxy to \"127.0.0.1:%u\" helo gw.example\n"
	    "action \"req\" proxy to \"127.0.0.1:%u\" helo gw.example tls "
	    "require\n"
	    "action \"ver\" proxy to \"127.0.0.1:%u\" helo gw.example tls "
	    "verify\n"
	    "action \"smtps\" proxy to \"smtps://127.0.0.1:%u\" helo "
	    "gw.example\n"
	    "action \"both\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" } "
	    "helo gw.example tls require\n"
	    "action \"tv1\" proxy to \"127.0.0.1:%u\" helo gw.example "
	    "identity proxy-v1 tls require\n"
	    "action \"txc\" proxy to \"127.0.0.1:%u\" helo gw.example "
	    "identity xclient tls require\n"
	    "action \"tkept\" proxy to \"127.0.0.1:%u\" helo gw.example "
	    "idle-connections 2 tls require\n",
	    a, a, a, a, a, b, a, a, a);
}

static int
start(void **state)
{
	tls_client_init();
	ca = IDENT(.cn = "Our CA", .ca = true);
	good = IDENT(.issuer = &ca, .san = "IP:127.0.0.1");
	self = IDENT(.san = "IP:127.0.0.1");
	good_tls = ident_server(&good, NULL);
	self_tls = ident_server(&self, NULL);
	trust_add("/ca", pem_file(ca.cert, NULL, NULL));
	proxydhelp_conf = more_conf;
	return proxydhelp_start(state);
}

static int
setup(void **state)
{
	server_tls(sa, good_tls, NULL);
	server_tls(sb, good_tls, NULL);
	return proxydhelp_setup(state);
}

/* A session of a proxied listener up to the reply to the client's EHLO. */
static void
listener(const char *action, const char *caps)
{
	opens(action, "");
	hears("server 127.0.0.1*");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears(caps);
	hears("reply 250 x");
}

static void
is_secured(const struct link *l, void *arg)
{
	assert_string_equal(l->secured.protocol, *(bool *)arg ? "TLSv1.3" :
	    "");
	assert_true(!*(bool *)arg || l->tls.mode > TLS_OFF);
}

static void
secured(bool is)
{
	assert_int_equal(link_count(), 1);
	link_each(is_secured, &is);
}

static void
at_listener(void **state)
{
	static const char *const actions[] = { "opp", "req", "ver" };

	for (size_t i = 0; i < 3; i++) {
		setup(state);
		/* SIZE was said in plain. */
		SERVE(sa, STARTS, "T", CLIENTS, "S 250 x", MAIL, OK, RCPT, OK);
		listener(actions[i], "caps E0 ");
		secured(true);
		recipients(1);
		hears("reply 250 2.0.0 ok");
		hears("reply 250 2.0.0 ok");
		SERVED(sa);
		proxydhelp_teardown(state);
	}
	setup(state);
}

static void
at_rule(void **state)
{
	(void)state;
	SERVE(sa, STARTS, "T", OURS, "R 250-x\r\n250 PIPELINING\r\n", MAIL, OK,
	    RCPT, OK);
	opens("req", "rule.example");
	hears("server 127.0.0.1*");
	hears("caps EP0 ");
	hears("own 220 ready");
	recipients(1);
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	SERVED(sa);
}

static void
at_once(void **state)
{
	(void)state;
	SERVE(sa, "T", "S 220 hi", CLIENTS, "S 250 x");
	listener("smtps", "caps E0 ");
	secured(true);
	SERVED(sa);
}

/* The header is no part of the session: it is in plain. */
static void
header(void **state)
{
	(void)state;
	SERVE(sa, "C PROXY TCP4 192.0.2.7 198.51.100.1 4711 25", STARTS, "T",
	    CLIENTS, "S 250 x");
	tid++;
	{
		struct addr	c, l;

		assert_true(addr_parse_port(STR("192.0.2.7:4711"), 0, &c));
		assert_true(addr_parse_port(STR("198.51.100.1:25"), 0, &l));
		SEND(p_open, .action = STR("tv1"), .session = STR("7f3a09c1"),
		    .client = c, .local = l);
	}
	hears("server *");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears("caps E0 ");
	hears("reply 250 x");
	secured(true);
	SERVED(sa);
}

/* What was offered in plain does not count. */
static void
xclient(void **state)
{
	struct addr	c;

	(void)state;
	SERVE(sa, "S 220 hi", OURS, "R 250-x\r\n250-XCLIENT ADDR\r\n"
	    "250 STARTTLS\r\n", "C STARTTLS", "S 220 go", "T", OURS,
	    "R 250-x\r\n250 XCLIENT ADDR PORT\r\n",
	    "C XCLIENT ADDR=192.0.2.7 PORT=4711", "S 220 hi", CLIENTS,
	    "S 250 x");
	assert_true(addr_parse_port(STR("192.0.2.7:4711"), 0, &c));
	tid++;
	SEND(p_open, .action = STR("txc"), .session = STR("7f3a09c1"),
	    .client = c);
	hears("server *");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears("caps E0 ");
	hears("reply 250 x");
	secured(true);
	SERVED(sa);
}

static void
kept(void **state)
{
	(void)state;
	SERVE(sa, STARTS, "T", CLIENTS, "S 250 x", "C RSET", OK, CLIENTS,
	    "S 250 x");
	listener("tkept", "caps E0 ");
	SEND(p_quit);
	hears("own 221 2.0.0 Bye");
	hears("closed QUIT");
	UNTIL(idle_count(NULL) == 1);
	script_settle(30);
	listener("tkept", "caps E0 ");
	secured(true);
	SERVED(sa);
	assert_int_equal(server_conns(sa), 1);
}

/* ---- failures ------------------------------------------------------------ */

static void
opportunistic(void **state)
{
	(void)state;
	SERVE(sa, STARTS, GARBAGE);
	SERVE(sa, "S 220 hi", CLIENTS, "S 250 x");
	listener("opp", "caps E0 ");
	secured(false);
	SERVED(sa);
	/* And is not tried again for a while. */
	SERVE(sa, "S 220 hi", CLIENTS, "S 250 x");
	smtpd_start();
	listener("opp", "caps E0 ");
	SERVED(sa);
}

static void
refused(void **state)
{
	(void)state;
	SERVE(sa, OFFERS, "C STARTTLS", "S 454 no", "E");
	SERVE(sa, "S 220 hi", CLIENTS, "S 250 x");
	listener("opp", "caps E0 ");
	secured(false);
	SERVED(sa);
}

/* In the same connection: nothing has failed. */
static void
not_offered(void **state)
{
	(void)state;
	/* The client's EHLO is the first of its session. */
	SERVE(sa, "S 220 hi", OURS, "S 250 x", "C QUIT", "S 221 x",
	    "X");
	SERVE(sa, "S 220 hi", CLIENTS, "S 250 x");
	listener("opp", "caps E0 ");
	secured(false);
	SERVED(sa);
	/* And it is not asked again for a while. */
	SERVE(sa, "S 220 hi", CLIENTS, "S 250 x");
	smtpd_start();
	listener("opp", "caps E0 ");
	SERVED(sa);
	proxydhelp_teardown(state);
	setup(state);
	/* Some just hang up. */
	SERVE(sa, "S 220 hi", OURS, "S 502 no", "C QUIT", "X");
	SERVE(sa, "S 220 hi", CLIENTS, "S 250 x");
	listener("opp", "caps E0 ");
	SERVED(sa);
}

/* At rule level that EHLO, or HELO, is the session's. */
static void
one_hello(void **state)
{
	(void)state;
	SERVE(sa, "S 220 hi", OURS, "R 250-x\r\n250 PIPELINING\r\n", MAIL, OK,
	    RCPT, OK);
	opens("opp", "rule.example");
	hears("server 127.0.0.1*");
	hears("caps EP0 ");
	hears("own 220 ready");
	recipients(1);
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	secured(false);
	SERVED(sa);
	proxydhelp_teardown(state);
	setup(state);
	SERVE(sa, "S 220 hi", OURS, "S 502 no", "C HELO gw.example", "S 250 x",
	    MAIL, OK);
	opens("opp", "rule.example");
	hears("server 127.0.0.1*");
	hears("caps 0 ");
	hears("own 220 ready");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	hears("reply 250 2.0.0 ok");
	SERVED(sa);
}

static void
required(void **state)
{
	(void)state;
	SERVE(sa, "S 220 hi", OURS, "S 250 x", "E");
	opens("req", "");
	hears("own 421 4.7.4 127.0.0.1[127.0.0.1]:*");
	hears("closed 4.7.4 *");
	SERVED(sa);
	assert_false(servers_is_down(&(struct addr){ .family = 4,
	    .port = server_port(sa), .ip = { 127, 0, 0, 1 } }));
	proxydhelp_teardown(state);
	setup(state);
	SERVE(sa, STARTS, GARBAGE);
	opens("req", "");
	hears("own 421 4.7.5 127.0.0.1[127.0.0.1]:*");
	hears("closed 4.7.5 *");
	SERVED(sa);
	assert_int_equal(server_conns(sa), 1);
}

static void
certificate(void **state)
{
	(void)state;
	server_tls(sa, self_tls, NULL);
	SERVE(sa, STARTS, "F");
	opens("ver", "");
	hears("own 421 4.7.5 127.0.0.1[127.0.0.1]:*");
	hears("closed 4.7.5 *");
	SERVED(sa);
}

static void
next_one(void **state)
{
	(void)state;
	SERVE(sa, "S 220 hi", OURS, "S 250 x", "E");
	SERVE(sb, STARTS, "T", CLIENTS, "S 250 x");
	listener("both", "caps E0 ");
	secured(true);
	SERVED(sa);
	SERVED(sb);
}

static void
injected(void **state)
{
	static const char *const actions[] = { "opp", "req", "ver" };

	for (size_t i = 0; i < 3; i++) {
		setup(state);
		SERVE(sa, OFFERS, "C STARTTLS", "R 220 go\r\n220 hi\r\n", "E");
		opens(actions[i], "");
		hears("own 421 4.5.0 The server does not speak SMTP: plain "
		    "text behind the reply to STARTTLS");
		hears("closed *");
		SERVED(sa);
		proxydhelp_teardown(state);
	}
	setup(state);
}

/* The client has TLS, or has not: 530 is no word for it. */
static void
wants_tls(void **state)
{
	(void)state;
	SERVE(sa, PLAIN, MAIL, "S 530 5.7.0 Must issue STARTTLS first", MAIL,
	    "S 530 5.7.1 Authentication required");
	session("a", "caps E0 ");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	hears("own 451 4.7.0 The server behind this gateway takes nothing "
	    "without TLS, which this gateway does not use there");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	hears("reply 530 5.7.1 Authentication required");
	SERVED(sa);
}

/* RFC 8689, 4.2.1: the server's keyword counts over TLS with one that has to prove
 * its name; what MAIL says goes on to none but such. */
static void
requiretls(void **state)
{
	(void)state;
	SERVE(sa, STARTS, "T", CLIENTS, "R 250-x\r\n250 REQUIRETLS\r\n",
	    MAIL " REQUIRETLS", OK);
	listener("ver", "caps ER0 ");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"), .requiretls = true);
	hears("reply 250 2.0.0 ok");
	SERVED(sa);
	proxydhelp_teardown(state);

	setup(state);
	SERVE(sa, STARTS, "T", CLIENTS, "R 250-x\r\n250 REQUIRETLS\r\n", "E");
	listener("req", "caps E0 ");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"), .requiretls = true);
	hears("own 421 4.7.30 *");
	hears("closed 4.7.30 *");
	SERVED(sa);
	proxydhelp_teardown(state);

	setup(state);
	SERVE(sa, "S 220 hi", OURS, "S 250 x", "C QUIT", "S 221 x",
	    "X");
	SERVE(sa, "S 220 hi", CLIENTS, "R 250-x\r\n250 REQUIRETLS\r\n");
	listener("opp", "caps E0 ");
	SERVED(sa);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, \
	    proxydhelp_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(at_listener), T(at_rule), T(at_once), T(header), T(xclient),
		T(kept), T(opportunistic), T(refused), T(not_offered),
		T(one_hello), T(required), T(certificate), T(next_one), T(injected),
		T(wants_tls), T(requiretls),
	};

	return cmocka_run_group_tests_name("tls_proxyd", tests, start, NULL);
}
