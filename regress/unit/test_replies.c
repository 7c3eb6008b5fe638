/*
 * Replies of the actual server on their way to the client: as they were, or
 * plain; and refusals of ours, which carry our name.
 */
#include "regress/lib/smtpdtest.h"

#include "common/smtp/plain.h"
#include "common/smtp/reply.h"
#include "smtpd/link.h"

static void
set_plain(bool on)
{
	((struct conf_action *)(uintptr_t)
	    world_conf->listens[listen_of(PROXIED)]->proxy)->replies_plain = on;
}

static void
test_tables(void **state)
{
	static const struct { uint16_t code; const char *in, *out; } v[] = {
		{ 550, "5.1.1 <u@in.example> unknown at ex1.in.example",
		    "5.1.1 No such mailbox" },
		{ 450, "4.1.1 x", "4.1.1 No such mailbox" },
		{ 550, "5.99.99 x", "5.99.99 The mailbox is not available" },
		{ 550, "no code at all", "The mailbox is not available" },
		{ 550, "4.1.1 another class", "The mailbox is not available" },
		{ 550, "", "The mailbox is not available" },
		{ 556, "5.1.10", "5.1.10 The domain takes no mail" },
		{ 250, "2.0.0 Ok: queued as 4ABC at ex1", "2.0.0 Ok" },
		{ 250, "2.1.5 u@ex1.in.example", "2.1.5 Ok" },
		{ 250, "one\ntwo\nthree", "Ok" },
		{ 299, "x", "Ok" }, { 399, "x", "Go on" },
		{ 499, "x", "Temporary failure" }, { 599, "x", "Failure" },
		{ 535, "5.7.8 x\n5.7.8 y", "5.7.8 The credentials are invalid" }
	};
	struct buf	b;

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		buf_init(&b, SMTP_PLAIN_MAX);
		assert_true(smtp_plain(&b, v[i].code, span_str(v[i].in)));
		assert_string_equal(buf_cstr(&b), v[i].out);
		buf_clear(&b);
	}
	/* Whatever the codes, it fits and nothing else is in it. */
	for (unsigned code = 200; code < 600; code++)
		for (unsigned n = 0; n < 1000; n += n < 100 ? 1 : 37) {
			char	text[64];

			snprintf(text, sizeof(text), "%u.%u.%u ex1",
			    code / 100, n % 10, n);
			buf_init(&b, SMTP_PLAIN_MAX);
			assert_true(smtp_plain(&b, (uint16_t)code,
			    span_str(text)));
			assert_null(strstr(buf_cstr(&b), "ex1"));
			buf_clear(&b);
		}
}

static void
test_plain(void **state)
{
	struct client	*c;

	(void)state;
	set_plain(true);
	on(ASKED_OPEN, 554, "5.7.1 ex1.in.example has no time");
	c = client_at(PROXIED);
	expect(c, "554 5.7.1 Not authorized; the message is refused");
	leave(c);
	on(ASKED_OPEN, 421, "ex1.in.example\ngone");
	c = client_at(PROXIED);
	expect(c, "421 Service not available, closing");
	leave(c);

	c = client_at(PROXIED);
	expect(c, "220 gw.example.org ESMTP");
	assert_null(strstr(c->reply, "there"));
	say(c, "EHLO c.example", "250-gw.example.org");
	say(c, "HELP", "252 2.5.0 Not verified; send a message and see");
	on(ASKED_MAIL, 550, "5.1.8 ex1.in.example\n5.1.8 two");
	say(c, "MAIL FROM:<a@b.example>", "550 5.1.8 Bad sender address");
	on(ASKED_MAIL, 0, NULL);
	say(c, "MAIL FROM:<a@b.example>", "250 2.1.0 Ok");
	on(ASKED_RCPT, 550, "<x@10.0.0.1> who?");
	say(c, "RCPT TO:<x@dest.example>", "550 The mailbox is not available");
	on(ASKED_RCPT, 0, NULL);
	say(c, "RCPT TO:<u@dest.example>", "250 2.1.5 Ok");
	on(ASKED_DATA, 451, "4.3.0 ex1");
	say(c, "DATA", "451 4.3.0 The mail system has a problem");
	on(ASKED_DATA, 0, NULL);
	begin(c, "u@dest.example");
	say(c, "DATA", "354 End data with <CR><LF>.<CR><LF>");
	on(ASKED_END, 250, "2.6.0 <1@ex1.in.example> [InternalId=7] Queued");
	say(c, ".", "250 2.6.0 Ok");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	on(ASKED_END, 550, "5.7.1 10.1.2.3 says spam");
	say(c, ".", "550 5.7.1 Not authorized; the message is refused");
	on(ASKED_RSET, 250, "ex1");
	say(c, "RSET", "250 Ok");
	on(ASKED_NOOP, 421, "4.3.2 ex1.in.example restarts");
	say(c, "NOOP", "421 4.3.2 The system takes no messages now");
	expect_closed(c);
	leave(c);
	c = hello(PROXIED);
	on(ASKED_QUIT, 221, "2.0.0 ex1.in.example bye");
	say(c, "QUIT", "221 2.0.0 Closing");
	leave(c);

	/* A challenge is none of our business; the verdict is words. */
	c = hello(PASSWORDS);
	say(c, "AUTH LOGIN", "334 VXNlcm5hbWU6");
	on(ASKED_AUTH_LINE, 535, "5.7.8 ex1.in.example says no");
	client_say(c, "AAAA");
	world_skip_ms(0);		/* it is held */
	expect(c, "535 5.7.8 The credentials are invalid");
	quit(c);

	/* By a rule. */
	on(ASKED_OPEN, 554, "5.7.1 ex1.in.example");
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>",
	    "451 4.4.1 The server does not answer");
	on(ASKED_OPEN, 0, NULL);
	on(ASKED_MAIL, 550, "5.7.1 ex1.in.example");
	say(c, "RCPT TO:<u@live.example>",
	    "550 5.7.1 Not authorized; the message is refused");
	quit(c);
	set_plain(false);
}

/* A reply of more than can be: 64 lines of 512 octets are what comes over. */
static void
test_long(void **state)
{
	static char	 text[LINK_REPLY_MAX];
	struct client	*c = hello(PROXIED);
	size_t		 n = 0, piece;

	(void)state;
	for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s5.7.1 ",
		    i > 0 ? "\n" : "");
		memset(text + n, 'a' + i % 26, 500);
		n += 500;
	}
	proxyd.hold = true;
	client_send(c, "MAIL FROM:<a@b.example>\r\n");
	for (size_t at = 0; at < n; at += piece) {
		piece = n - at < 8192 ? n - at : 8192;
		CHAN_SEND(proxyd.chan, p_reply, .tid = proxyd.tid, .code = 550,
		    .more = at + piece < n, .text = span(text + at, piece));
	}
	expect(c, "550-5.7.1 aaaaaaaa");
	assert_true(strlen(c->reply) > n);
	assert_non_null(strstr(c->reply, "|550 5.7.1 llll"));
	client_free(c);
	world_reset();
	proxyd_die();
	proxyd_start();
}

/* Who refuses? Ours have our name, the server's none of it. */
static void
test_named(void **state)
{
	struct client	*c;

	(void)state;
	proxyd.caps.bits &= ~(uint32_t)CAP_ENHANCED;
	c = hello(PROXIED);
	assert_null(strstr(c->reply, "ENHANCED"));
	say(c, "FOO", "500 5.5.2 gw.example.org: Unknown command");
	say(c, "DATA", "503 5.5.1 gw.example.org: MAIL first");
	on(ASKED_MAIL, 550, "no, and no code");
	say(c, "MAIL FROM:<a@b.example>", "550 no, and no code");
	on(ASKED_MAIL, 0, NULL);
	say(c, "MAIL FROM:<a@b.example>", "250 2.1.0 fine");
	say(c, "RCPT TO:<no@dest.example>", "551 5.7.1 gw.example.org: not "
	    "this one");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, "a\nb\r\n.", "550 5.6.0 gw.example.org: The message has a bare");
	say(c, "NOOP", "250 2.0.0 Ok");
	quit(c);
	c = hello(PROXIED);
	world_skip_ms(SESSION_IDLE_MS + 1000);
	expect(c, "421 4.4.2 gw.example.org: Timed out");
	leave(c);
	/* Where nobody else speaks there is no need. */
	c = hello(REGULAR);
	say(c, "FOO", "500 5.5.2 Unknown command");
	quit(c);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_tables), T(test_plain), T(test_long), T(test_named)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
