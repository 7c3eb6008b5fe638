/*
 * What a message asks of TLS (RFC 8689), and its AUTH= (RFC 4954, 5), on each
 * way out of smtpd: the queue, live servers, several of them, a mirror.
 */
#include "regress/lib/smtpdtest.h"

#include "common/ipc/codec.h"
#include "regress/lib/certhelp.h"
#include "smtpd/pki.h"

enum { RULES = 41, LIVE = 42, FALLS = 43, MIRRORED = 44, LOGIN = 45,
    FAN = 46, HIS = 47 };

static const char	requiretls_conf[] =
    "hostname gw.example.org\n"
    "pki gw.example.org cert \"/gw.crt\" key \"/gw.key\"\n"
    "action \"out\" relay to { \"192.0.2.9\" }\n"
    "action \"live\" proxy to { \"192.0.2.9\" } open\n"
    "action \"falls\" proxy to { \"192.0.2.9\" } on-failure queue \"out\" "
    "open\n"
    "action \"shown\" proxy to { \"192.0.2.9\" } open mirror \"new\"\n"
    "action \"new\" proxy to { \"192.0.2.10\" } open\n"
    "action \"judge\" proxy to { \"192.0.2.11\" }\n"
    "listen on 192.0.2.1 port 41 tls pki gw.example.org\n"
    "listen on 192.0.2.1 port 42 tls pki gw.example.org proxy \"live\" "
    "auth-plaintext\n"
    "listen on 192.0.2.1 port 43 tls pki gw.example.org proxy \"falls\"\n"
    "listen on 192.0.2.1 port 44 tls pki gw.example.org proxy \"shown\"\n"
    "listen on 192.0.2.1 port 45 auth-optional via \"judge\" auth-plaintext\n"
    "listen on 192.0.2.1 port 47 auth-optional via \"judge\" auth-plaintext "
    "senders { anna = \"anna@b.example\" }\n"
    "listen on 192.0.2.1 port 46 tls pki gw.example.org on-conflict fan-out\n"
    "match from any for domain \"dest.example\" action \"out\"\n"
    "match from any for domain \"live.example\" action \"live\"\n"
    "match from any for domain \"falls.example\" action \"falls\"\n";

static struct ident	 gateway;
static SSL_CTX		*ours, *theirs;

SSL	*__wrap_pki_ssl(const struct conf_listen *);
bool	 __wrap_pki_has(const struct conf_listen *);

bool
__wrap_pki_has(const struct conf_listen *l)
{
	(void)l;
	return true;
}

SSL *
__wrap_pki_ssl(const struct conf_listen *l)
{
	(void)l;
	return SSL_new(ours);
}

#define has(c, s)	assert_non_null(strstr((c)->reply, (s)))
#define lacks(c, s)	assert_null(strstr((c)->reply, (s)))

static struct client *
secured(unsigned port)
{
	struct client	*c = hello(port);

	lacks(c, "REQUIRETLS");
	say(c, "STARTTLS", "220 2.0.0");
	assert_true(client_tls(c, SSL_new(theirs)));
	say(c, "EHLO client.example", "250-gw.example.org");
	return c;
}

static void
content(struct client *c, const char *header, const char *want)
{
	say(c, "DATA", "354");
	client_send(c, header);
	client_send(c, "Subject: x\r\n\r\nhello\r\n.\r\n");
	expect(c, want);
}

#define logged(s)	assert_non_null(strstr(queued.log, (s)))
#define not_logged(s)	assert_null(strstr(queued.log, (s)))

static void
test_queue(void **state)
{
	struct client	*c = hello(RULES);

	(void)state;
	lacks(c, "REQUIRETLS");
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "555 5.5.4");
	quit(c);
	c = secured(RULES);
	has(c, "REQUIRETLS");
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS=yes", "501 5.5.2");
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	/* 4.1: the header can't take it back. */
	content(c, "TLS-Required: No\r\n", "250 2.0.0");
	logged("env a@b.example;requiretls;rcpt u@dest.example");
	not_logged("tls optional");
	queued.log[0] = '\0';
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	content(c, "", "250 2.0.0");
	not_logged("tls");
	say(c, "HELO client.example", "250");
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "555 5.5.4");
	quit(c);
}

static void
test_optional(void **state)
{
	struct client	*c = hello(RULES);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	content(c, "TLS-Required: No\r\n", "250 2.0.0");
	logged("tls optional;");
	not_logged("requiretls");
	queued.log[0] = '\0';
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	chunk(c, "BDAT 15\r\nA: b\r\nTLS-Requi", "250");
	chunk(c, "BDAT 16 LAST\r\nred:\r\n no\r\n\r\nx\r\n", "250");
	logged("tls optional;");
	queued.log[0] = '\0';
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	content(c, "TLS-Required: Yes\r\n", "250 2.0.0");
	not_logged("tls optional;");
	quit(c);
}

/* The whole session is a server's: what it can, and this session can. */
static void
test_proxied(void **state)
{
	struct client	*c = secured(LIVE);

	(void)state;
	lacks(c, "REQUIRETLS");
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "555 5.5.4");
	quit(c);
	proxyd.caps.bits |= CAP_REQUIRETLS;
	c = hello(LIVE);
	lacks(c, "REQUIRETLS");
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "555 5.5.4");
	quit(c);
	proxyd.caps.bits |= CAP_REQUIRETLS;
	c = secured(LIVE);
	has(c, "REQUIRETLS");
	proxyd.log[0] = '\0';
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "250");
	assert_string_equal(proxyd.log, "mail a@b.example;requiretls;");
	quit(c);
}

/* By a rule: told once the recipient's server is known. */
static void
test_rule(void **state)
{
	struct client	*c = secured(RULES);

	(void)state;
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "250");
	say(c, "RCPT TO:<u@live.example>", "550 5.7.30");
	say(c, "RCPT TO:<u@falls.example>", "550 5.7.30");
	assert_null(strstr(proxyd.log, "mail"));
	quit(c);
	proxyd.caps.bits |= CAP_REQUIRETLS;
	c = secured(RULES);
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	assert_non_null(strstr(proxyd.log, "mail a@b.example;requiretls;"));
	quit(c);
}

static void
known_good(const struct ipc_v_ask *m)
{
	CHAN_SEND(queued.chan, v_answer, .tid = m->tid, .state = V_NONE,
	    .good = true);
}

/* The queue takes over where the server is away. */
static void
test_falls(void **state)
{
	struct client	*c = secured(RULES);

	(void)state;
	queued.v_ask = known_good;
	on(ASKED_OPEN, 421, "4.3.2 down");
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "250");
	client_say(c, "RCPT TO:<u@falls.example>");
	expect(c, "250");
	content(c, "", "250 2.0.0");
	logged("env a@b.example;requiretls;rcpt u@falls.example out");
	quit(c);
}

static void
test_fan(void **state)
{
	struct client	*c;

	(void)state;
	proxyd.caps.bits |= CAP_REQUIRETLS;
	c = secured(FAN);
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	logged("prepare a@b.example;requiretls;");
	assert_non_null(strstr(proxyd.log, "mail a@b.example;requiretls;"));
	client_send(c, "x\r\n.\r\n");
	queued_finished(Q_OK);
	expect(c, "250");
	quit(c);

	c = secured(FAN);
	say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "550 5.7.30");
	quit(c);

	/* What the header says comes with the end. */
	c = hello(FAN);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	client_send(c, "TLS-Required: No\r\n\r\nx\r\n.\r\n");
	logged("tls optional;");
	queued_finished(Q_OK);
	expect(c, "250");
	quit(c);
}

static uint32_t	first_link;

/* The mirror's server has it not. */
static void
mirror_asked(uint32_t tid, enum asked what)
{
	uint32_t	had = proxyd.caps.bits;

	if (first_link == 0)
		first_link = tid;
	if (tid != first_link)
		proxyd.caps.bits &= ~(uint32_t)CAP_REQUIRETLS;
	(void)what;
	proxyd_answer(tid, 0, NULL);
	proxyd.caps.bits = had;
}

static void
test_mirror(void **state)
{
	struct client	*c;

	(void)state;
	for (int both = 0; both < 2; both++) {
		first_link = 0;
		proxyd.caps.bits |= CAP_REQUIRETLS;
		proxyd.asked = both ? NULL : mirror_asked;
		c = secured(MIRRORED);
		has(c, "REQUIRETLS");
		proxyd.log[0] = '\0';
		say(c, "MAIL FROM:<a@b.example> REQUIRETLS", "250");
		assert_string_equal(proxyd.log, both ?
		    "mail a@b.example;requiretls;mail a@b.example;requiretls;" :
		    "mail a@b.example;requiretls;close;");
		quit(c);
	}
}

/* RFC 4954, 5: who has not logged in is not believed. */
static void
test_auth(void **state)
{
	struct client	*c;

	(void)state;
	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	c = hello(LOGIN);
	has(c, "AUTH PLAIN");
	say(c, "MAIL FROM:<a@b.example> AUTH=e+3Dmc2@b.example", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	content(c, "", "250 2.0.0");
	logged("env a@b.example;auth <>;rcpt");
	queued.log[0] = '\0';
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	say(c, "MAIL FROM:<a@b.example> AUTH=e+3Dmc2@b.example", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	content(c, "", "250 2.0.0");
	logged("env a@b.example by anna;auth e+3Dmc2@b.example;rcpt");
	queued.log[0] = '\0';
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	content(c, "", "250 2.0.0");
	logged("env a@b.example by anna;rcpt");
	/* The same is told to a live server by a rule. */
	say(c, "MAIL FROM:<a@b.example> AUTH=anna@b.example", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	assert_non_null(strstr(proxyd.log, "mail a@b.example;auth "
	    "anna@b.example;"));
	quit(c);
	c = hello(RULES);
	say(c, "MAIL FROM:<a@b.example> AUTH=<>", "555 5.5.4");
	quit(c);
	/* With `senders` he may only say his own. */
	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	c = hello(HIS);
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	queued.log[0] = '\0';
	say(c, "MAIL FROM:<anna@b.example> AUTH=anna+40b.example", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	content(c, "", "250 2.0.0");
	logged("by anna;auth anna+40b.example;rcpt");
	queued.log[0] = '\0';
	say(c, "MAIL FROM:<anna@b.example> AUTH=boss+40b.example", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	content(c, "", "250 2.0.0");
	logged("by anna;auth <>;rcpt");
	quit(c);
	/* The server of a session as a whole judges by itself. */
	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	c = hello(LIVE);
	say(c, "MAIL FROM:<a@b.example> AUTH=anna@b.example", "250");
	assert_non_null(strstr(proxyd.log, "auth anna@b.example;"));
	quit(c);
}

static int
init(void **state)
{
	(void)state;
	gateway = IDENT(.cn = "gw.example.org", .san = "DNS:gw.example.org");
	ours = ident_server(&gateway, NULL);
	theirs = ident_client(gateway.cert, NULL);
	ident_versions(ours, TLS1_2_VERSION, TLS1_3_VERSION);
	ident_versions(theirs, TLS1_2_VERSION, TLS1_3_VERSION);
	world_init(requiretls_conf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_queue),
		T(test_optional),
		T(test_proxied),
		T(test_rule),
		T(test_falls),
		T(test_fan),
		T(test_mirror),
		T(test_auth)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
