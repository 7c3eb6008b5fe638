/*
 * AUTH: what is announced, what has to be said before, the name, guesses, and
 * the server that only says whether a password is right.
 */
#include "regress/lib/smtpdtest.h"

#include "common/ipc/codec.h"
#include "smtpd/auth.h"
#include "smtpd/source.h"
#include "smtpd/via.h"

enum { PROXY = 26, MUST = 27, VIA = 28, VIA_MAY = 29, CLEAR = 30 };

static const char	auth_conf[] =
    "hostname gw.example.org\n"
    "action \"out\" relay to { \"192.0.2.9\" }\n"
    "action \"live\" proxy to { \"192.0.2.9\" }\n"
    "action \"judge\" proxy to { \"192.0.2.10\" }\n"
    "action \"other\" proxy to { \"192.0.2.11\" }\n"
    "listen on 192.0.2.1 port 26 proxy \"live\" auth-plaintext\n"
    "listen on 192.0.2.1 port 27 proxy \"live\" auth auth-plaintext "
    "announce { ntlm, GSSAPI, \"X-MORE\", NONE }\n"
    "listen on 192.0.2.1 port 28 auth via \"judge\" auth-plaintext\n"
    "listen on 192.0.2.1 port 29 auth-optional via \"other\" auth-plaintext\n"
    "listen on 192.0.2.1 port 30 proxy \"live\" auth\n"
    "limit auth-failures per source 6\n"
    "limit auth-failures per user 5\n"
    "limit auth-failures per user 2 for { weak }\n"
    "match from auth auth-user { boss } for domain \"no.example\" reject "
    "\"550 5.7.1 not you\"\n"
    "match from not auth for domain \"in.example\" reject "
    "\"550 5.7.1 who are you\"\n"
    "match from auth for any action \"out\"\n"
    "match from any for domain \"dest.example\" action \"out\"\n";

static struct client *
from(unsigned port, const char *address)
{
	struct client	*c = client_new(listen_of(port), address);

	expect(c, "220 gw.example.org");
	say(c, "EHLO client.example", "250-gw.example.org");
	return c;
}

static void
mechs(const char *list)
{
	strlcpy(proxyd.caps.auth, list, sizeof(proxyd.caps.auth));
}

#define has(c, s)	assert_non_null(strstr((c)->reply, (s)))
#define lacks(c, s)	assert_null(strstr((c)->reply, (s)))

static void
test_announce(void **state)
{
	struct client	*c;

	(void)state;
	mechs("EXTERNAL NTLM SCRAM-SHA-256-PLUS PLAIN GSSAPI SCRAM-SHA-256 "
	    "GSS-SPNEGO KERBEROS_V4 X-OTHER");
	proxyd.others = "X-EXPS GSSAPI\nX-MORE one two=3\nXNONE";
	c = from(PROXY, NULL);
	has(c, "|250-AUTH PLAIN SCRAM-SHA-256 X-OTHER|");
	lacks(c, "X-MORE");
	say(c, "AUTH NTLM AAAA", "504 5.5.4");
	say(c, "AUTH EXTERNAL =", "504 5.5.4");
	say(c, "AUTH SCRAM-SHA-256-PLUS AAAA", "504 5.5.4");
	say(c, "AUTH LOGIN", "504 5.5.4");
	assert_null(strstr(proxyd.log, "auth"));
	quit(c);

	mechs("EXTERNAL NTLM PLAIN GSSAPI GSS-SPNEGO");
	proxyd.others = "X-EXPS GSSAPI\nX-MORE one two=3\nXNONE";
	c = from(MUST, NULL);
	has(c, "|250-AUTH NTLM PLAIN GSSAPI|");
	has(c, "|250 X-MORE one two=3");
	lacks(c, "XNONE");
	lacks(c, "X-EXPS");
	quit(c);

	/* Nothing that could be passed: nothing is announced. */
	mechs("EXTERNAL");
	c = from(PROXY, NULL);
	lacks(c, "AUTH");
	say(c, "AUTH PLAIN AAAA", "502 5.5.1");
	quit(c);
}

/* RFC 4954, 6: before 235 nothing that sends mail. */
static void
test_needed(void **state)
{
	struct client	*c = client_at(MUST);

	(void)state;
	expect(c, "220");
	say(c, "MAIL FROM:<a@b.example>", "530 5.7.0");
	say(c, "HELO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "530 5.7.0");
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "530 5.7.0");
	say(c, "RCPT TO:<u@dest.example>", "530 5.7.0");
	say(c, "DATA", "530 5.7.0");
	say(c, "VRFY u", "530 5.7.0");
	chunk(c, "BDAT 6 LAST\r\nQUIT\r\n", "530 5.7.0");
	say(c, "WHAT", "500");
	say(c, "NOOP", "250");
	say(c, "RSET", "250");
	say(c, "HELP", "252");
	assert_null(strstr(proxyd.log, "mail"));
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);

	/* Announced in no other way than over TLS, so nobody gets in. */
	c = client_at(CLEAR);
	expect(c, "220");
	say(c, "EHLO c.example", "250");
	lacks(c, "AUTH");
	say(c, "AUTH PLAIN AGFubmEAeA==", "538 5.7.11");
	say(c, "MAIL FROM:<a@b.example>", "530 5.7.0");
	quit(c);
}

static void
test_name(void **state)
{
	struct client	*c = client_at(PROXY);

	(void)state;
	expect(c, "220");
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@in.example>", "550 5.7.1 gw.example.org: who");
	say(c, "RSET", "250");
	say(c, "AUTH LOGIN", "334");
	on(ASKED_AUTH_LINE, 334, "UGFzc3dvcmQ6");
	say(c, "Ym9zcw==", "334 UGFzc3dvcmQ6");
	on(ASKED_AUTH_LINE, 0, NULL);
	assert_null(c->s->user);
	say(c, "c2VjcmV0", "235");
	assert_string_equal(c->s->user, "boss");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@no.example>", "550 5.7.1 gw.example.org: not you");
	say(c, "RCPT TO:<u@in.example>", "250");
	quit(c);

	/* A mechanism whose name nobody sees: authenticated all the same. */
	mechs("PLAIN X-OTHER");
	c = from(PROXY, NULL);
	say(c, "AUTH X-OTHER Ym9zcw==", "235");
	assert_null(c->s->user);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@no.example>", "250");
	say(c, "RCPT TO:<u@in.example>", "250");
	quit(c);
	/* "AUTH PLAIN " with a blank has no initial response. */
	c = from(PROXY, NULL);
	say(c, "AUTH PLAIN ", "334");
	assert_non_null(strstr(proxyd.log, "auth PLAIN ;"));
	say(c, "AGFubmEAeA==", "235");
	assert_string_equal(c->s->user, "anna");
	quit(c);
}

/* The server says what it may not. */
static void
test_odd_server(void **state)
{
	static const struct { uint16_t code; const char *text; } odd[] = {
		{ 250, "2.0.0 fine" }, { 354, "go on" }, { 221, "bye" }
	};
	struct client	*c;

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		on(ASKED_AUTH, odd[i].code, odd[i].text);
		c = hello(PROXY);
		say(c, "AUTH PLAIN AGFubmEAeA==", "421 4.7.0");
		expect_closed(c);
		leave(c);
	}
	for (int i = 0; i < 2; i++) {
		c = hello(PROXY);
		say(c, "AUTH LOGIN", "334");
		on(ASKED_AUTH_LINE, i == 0 ? 334 : 235, "and?");
		say(c, "*", "421 4.7.0");
		expect_closed(c);
		leave(c);
	}
	on(ASKED_AUTH, 454, "4.7.0 later");
	c = hello(PROXY);
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0 later");
	on(ASKED_AUTH, 504, "5.5.4 what?");
	say(c, "AUTH PLAIN AGFubmEAeA==", "504 5.5.4 what?");
	on(ASKED_AUTH, 0, NULL);
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	quit(c);
}

static void
test_layer(void **state)
{
	struct client	*c;

	(void)state;
	mechs("NTLM");
	c = from(MUST, NULL);
	say(c, "AUTH NTLM AAAA", "235");
	/* It speaks SMTP: fine, and so is all that follows. */
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "\x01\x02", "500");
	quit(c);

	mechs("NTLM");
	c = from(MUST, NULL);
	say(c, "AUTH NTLM AAAA", "235");
	client_write(c, "\0\0\0\x20", 4);
	expect(c, "421 4.7.0 gw.example.org: No security layer");
	expect_closed(c);
	leave(c);

	mechs("NTLM");
	c = from(MUST, NULL);
	say(c, "AUTH NTLM AAAA", "235");
	say(c, "xyzzy", "421 4.7.0 gw.example.org: No security layer");
	expect_closed(c);
	leave(c);

	c = hello(PROXY);
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	say(c, "xyzzy", "500");
	quit(c);
}

/* ---- guesses ---- */

static void
test_hold(void **state)
{
	struct client	*c = from(PROXY, "192.0.2.20");

	(void)state;
	on(ASKED_AUTH, 535, "5.7.8 no");
	client_send(c, "AUTH PLAIN AGhlbGQAeA==\r\nNOOP\r\n");
	expect_nothing(c);
	world_skip_ms(0);
	expect(c, "535 5.7.8 no");
	expect(c, "250");
	assert_int_equal(queued.guesses, 1);
	client_say(c, "AUTH PLAIN AGhlbGQAeA==");
	world_skip_ms(0);
	expect_nothing(c);
	world_skip_ms(0);
	expect(c, "535 5.7.8 no");
	/* From elsewhere, in a session of its own: the name is known. */
	quit(c);
	on(ASKED_AUTH, 535, "5.7.8 no");
	c = from(PROXY, "192.0.2.21");
	client_say(c, "AUTH PLAIN AEhFTEQAeA==");
	world_skip_ms(2000);
	expect_nothing(c);
	world_skip_ms(0);
	expect(c, "535 5.7.8 no");
	/* Goes while it waits. */
	client_say(c, "AUTH PLAIN AGhlbGQAeA==");
	client_free(c);
	world_skip_ms(10000);
	assert_null(world_leak());
	on(ASKED_AUTH, 535, "5.7.8 no");
	c = from(PROXY, "192.0.2.21");
	client_say(c, "AUTH PLAIN AGhlbGQAeA==");
	server_gone();
	expect(c, "421 4.4.2");
	leave(c);
}

static void
fail_once(struct client *c, const char *line)
{
	client_say(c, line);
	world_skip_ms(10000);
	expect(c, "535 5.7.8 no");
}

static void
test_name_limit(void **state)
{
	struct client	*c = from(PROXY, "192.0.2.30");

	(void)state;
	on(ASKED_AUTH, 535, "5.7.8 no");
	fail_once(c, "AUTH PLAIN AHdlYWsAeA==");
	fail_once(c, "AUTH PLAIN AFdFQUsAeA==");
	proxyd.log[0] = '\0';
	client_say(c, "AUTH PLAIN AHdlYWsAeA==");
	world_skip_ms(10000);
	expect(c, "454 4.7.0 Too many");
	assert_string_equal(proxyd.log, "");
	/* The first answer of LOGIN: the server hears that it is over. */
	on(ASKED_AUTH, 0, NULL);
	say(c, "AUTH LOGIN", "334");
	client_say(c, "d2Vhaw==");
	world_skip_ms(10000);
	expect(c, "454 4.7.0 Too many");
	assert_non_null(strstr(proxyd.log, "line *;"));
	assert_null(strstr(proxyd.log, "d2Vhaw=="));
	/* Others may. */
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	quit(c);

	/* As all workers together have seen it. */
	on(ASKED_AUTH, 535, "5.7.8 no");
	c = from(PROXY, "192.0.2.31");
	fail_once(c, "AUTH PLAIN AG1hbnkAeA==");
	queued_guess_total(4);
	fail_once(c, "AUTH PLAIN AG1hbnkAeA==");
	client_say(c, "AUTH PLAIN AG1hbnkAeA==");
	world_skip_ms(10000);
	expect(c, "454 4.7.0 Too many");
	quit(c);
	queued_die();
	queued_start();
	c = from(PROXY, "192.0.2.32");
	client_say(c, "AUTH PLAIN AG1hbnkAeA==");
	world_skip_ms(10000);
	expect(c, "454 4.7.0 Too many");
	quit(c);
}

static void
test_source_limit(void **state)
{
	static const char *const names[] = { "AUTH PLAIN AHN4AHg=",
	    "AUTH PLAIN AHN5AHg=", "AUTH PLAIN AHN6AHg=" };
	struct client	*c = from(PROXY, "192.0.2.40");

	(void)state;
	on(ASKED_AUTH, 535, "5.7.8 no");
	for (int i = 0; i < 6; i++)
		fail_once(c, names[i % 3]);
	say(c, "AUTH PLAIN AHN4AHg=", "421 4.7.0");
	expect_closed(c);
	leave(c);
}

/* Told by a challenge that the client answers with nothing, or with "*". */
static void
test_challenge(void **state)
{
	struct client	*c;
	unsigned	 before;

	(void)state;
	mechs("XOAUTH2 PLAIN LOGIN");
	c = from(PROXY, "192.0.2.50");
	before = queued.guesses;
	on(ASKED_AUTH, 334, "eyJzdGF0dXMiOiI0MDAifQ==");
	say(c, "AUTH XOAUTH2 dXNlcj14bwFhdXRoPUJlYXJlciB0AQE=", "334 eyJz");
	client_say(c, "*");
	world_skip_ms(10000);
	expect(c, "501 5.7.0 cancelled");
	assert_int_equal(queued.guesses, before + 1);
	say(c, "AUTH XOAUTH2 dXNlcj14bwFhdXRoPUJlYXJlciB0AQE=", "334 eyJz");
	on(ASKED_AUTH_LINE, 535, "5.7.8 no");
	client_say(c, "");
	world_skip_ms(10000);
	expect(c, "535 5.7.8 no");
	assert_int_equal(queued.guesses, before + 2);
	/* Nothing was tried here. */
	on(ASKED_AUTH, 0, NULL);
	on(ASKED_AUTH_LINE, 0, NULL);
	say(c, "AUTH LOGIN", "334");
	say(c, "*", "501 5.7.0 cancelled");
	assert_int_equal(queued.guesses, before + 2);
	quit(c);
}

/* ---- auth via ---- */

static void
test_via(void **state)
{
	struct client	*c;

	(void)state;
	mechs("PLAIN LOGIN NTLM DIGEST-MD5 SCRAM-SHA-256 EXTERNAL");
	c = from(VIA, NULL);
	has(c, "|250-AUTH PLAIN LOGIN SCRAM-SHA-256");
	lacks(c, "NTLM");
	/* Its link served for that alone. */
	assert_string_equal(proxyd.log, "open judge;close;");
	assert_int_equal(proxyd.links, 0);
	say(c, "MAIL FROM:<a@b.example>", "530 5.7.0");
	say(c, "AUTH NTLM AAAA", "504");
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	assert_string_equal(proxyd.log, "open judge;close;open judge;"
	    "auth PLAIN AGFubmEAeA==;close;");
	assert_int_equal(proxyd.links, 0);
	say(c, "AUTH PLAIN AGFubmEAeA==", "503");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@far.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_non_null(strstr(queued.log, "env a@b.example by anna;"));
	assert_non_null(strstr(queued.content, "with ESMTPA id"));
	quit(c);

	/* The mechanisms are known now: EHLO asks nobody. */
	c = from(VIA, NULL);
	has(c, "|250-AUTH PLAIN LOGIN SCRAM-SHA-256");
	assert_string_equal(proxyd.log, "");
	say(c, "AUTH LOGIN", "334 VXNlcm5hbWU6");
	on(ASKED_AUTH_LINE, 334, "UGFzc3dvcmQ6");
	say(c, "YW5uYQ==", "334 UGFzc3dvcmQ6");
	on(ASKED_AUTH_LINE, 535, "5.7.8 no");
	client_say(c, "eA==");
	expect_nothing(c);
	assert_int_equal(proxyd.links, 0);
	world_skip_ms(10000);
	expect(c, "535 5.7.8 no");
	assert_null(c->s->user);
	say(c, "AUTH LOGIN", "334 VXNlcm5hbWU6");
	on(ASKED_AUTH_LINE, 0, NULL);
	say(c, "*", "501 5.7.0 cancelled");
	assert_int_equal(proxyd.links, 0);
	quit(c);
	/* In the middle of it. */
	c = from(VIA, NULL);
	say(c, "AUTH LOGIN", "334 VXNlcm5hbWU6");
	assert_int_equal(proxyd.links, 1);
	leave(c);
}

static void
test_via_away(void **state)
{
	struct client	*c;

	(void)state;
	/* Refused, gone while it opens, gone between two lines, 421. */
	on(ASKED_OPEN, 421, "4.4.1 none");
	c = from(VIA, NULL);
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	proxyd.hold = true;
	client_say(c, "AUTH PLAIN AGFubmEAeA==");
	server_gone();
	expect(c, "454 4.7.0");
	proxyd.hold = false;
	on(ASKED_OPEN, 0, NULL);
	say(c, "AUTH LOGIN", "334");
	server_gone();
	say(c, "YW5uYQ==", "454 4.7.0");
	on(ASKED_AUTH, 421, "4.3.2 busy");
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	on(ASKED_AUTH, 250, "what?");
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	on(ASKED_AUTH, 0, NULL);
	proxyd_die();
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	proxyd_start();
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	quit(c);

	/* Nothing was ever known of this one. */
	on(ASKED_OPEN, 421, "4.4.1 none");
	c = from(VIA_MAY, NULL);
	lacks(c, "AUTH");
	assert_string_equal(proxyd.log, "open other;");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);
	proxyd_die();
	c = from(VIA_MAY, NULL);
	lacks(c, "AUTH");
	quit(c);
	proxyd_start();
	proxyd.hold = true;
	c = client_at(VIA_MAY);
	expect(c, "220");
	client_send(c, "EHLO c.example\r\nNOOP\r\n");
	expect_nothing(c);
	server_gone();
	expect(c, "250-gw.example.org");
	lacks(c, "AUTH");
	expect(c, "250");
	proxyd.hold = true;
	client_say(c, "EHLO c.example");
	client_free(c);
	server_gone();
	assert_null(world_leak());
	proxyd_reset();
	c = from(VIA_MAY, NULL);
	has(c, "AUTH PLAIN LOGIN");
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	quit(c);

	/* It has others after a time; while it is away, those that it had. */
	world_skip_ms(VIA_KEEP_MS);
	on(ASKED_OPEN, 421, "4.4.1 none");
	c = from(VIA_MAY, NULL);
	has(c, "AUTH PLAIN LOGIN");
	assert_string_equal(proxyd.log, "open other;");
	quit(c);
	mechs("CRAM-MD5");
	c = from(VIA_MAY, NULL);
	has(c, "AUTH PLAIN LOGIN");
	assert_string_equal(proxyd.log, "");
	quit(c);
	world_skip_ms(VIA_RETRY_MS);
	mechs("CRAM-MD5");
	c = from(VIA_MAY, NULL);
	has(c, "AUTH CRAM-MD5");
	quit(c);
}

static int
start(void **state)
{
	(void)state;
	world_init(auth_conf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_announce),
		T(test_needed),
		T(test_name),
		T(test_odd_server),
		T(test_layer),
		T(test_hold),
		T(test_name_limit),
		T(test_source_limit),
		T(test_challenge),
		T(test_via),
		T(test_via_away)
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
