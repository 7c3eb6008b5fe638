/*
 * Content that must not stay at the actual server: its transaction is reset or
 * its session cut, and the client's session goes on with another one.
 */
#include "regress/lib/smtpdtest.h"

#include <sys/socket.h>

#include "smtpd/content.h"

#define AGAIN	"open live;ehlo client.example;"

static struct client *
at_data(unsigned port, const char *rcpt)
{
	struct client	*c = hello(port);

	begin(c, rcpt);
	say(c, "DATA", "354");
	proxyd.log[0] = '\0';
	return c;
}

static void
send_one(struct client *c, const char *rcpt)
{
	begin(c, rcpt);
	say(c, "DATA", "354");
	say(c, "fine\r\n.", "250 2.0.0 got it");
	assert_non_null(strstr(proxyd.content, "\r\nfine\r\n"));
}

/* DATA: cut before the dot, and the next MAIL goes to a new session. */
static void
test_cut(void **state)
{
	struct client	*c = at_data(PROXIED, "u@dest.example");

	(void)state;
	client_send(c, "a\nb\r\n");
	assert_string_equal(proxyd.log, "close;");
	assert_int_equal(proxyd.links, 0);
	say(c, "more\r\n.", "550 5.6.0");
	/* What needs no server does not open one. */
	say(c, "NOOP", "250");
	say(c, "RSET", "250");
	say(c, "DATA", "503");
	say(c, "RCPT TO:<u@dest.example>", "503");
	say(c, "MAIL FROM:<a b>", "501");
	assert_string_equal(proxyd.log, "close;");
	proxyd.log[0] = '\0';
	send_one(c, "u@dest.example");
	assert_string_equal(proxyd.log, AGAIN "mail a@b.example;"
	    "rcpt u@dest.example;data;end;");
	/* As often as it takes. */
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	say(c, "a\nb\r\n.", "550 5.6.0");
	say(c, "QUIT", "221");
	expect_closed(c);
	leave(c);
	/* HELO is said again as HELO. */
	c = client_at(PROXIED);
	expect(c, "220");
	say(c, "HELO old.example", "250");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	say(c, "a\nb\r\n.", "550 5.6.0");
	proxyd.log[0] = '\0';
	send_one(c, "u@dest.example");
	assert_non_null(strstr(proxyd.log, "open live;helo old.example;mail"));
	quit(c);
}

/* Chunks: reset, and the session there goes on. */
static void
test_reset(void **state)
{
	struct client	*c;

	(void)state;
	proxyd.caps.bits |= CAP_CHUNKING;
	c = at_data(PROXIED, "u@dest.example");
	say(c, "a\nb\r\n.", "550 5.6.0");
	assert_string_equal(proxyd.log, "abort;");
	send_one(c, "u@dest.example");
	begin(c, "u@dest.example");
	proxyd.log[0] = '\0';
	client_send(c, "BDAT 3\r\na\nbBDAT 2 LAST\r\n\r\n");
	expect(c, "550 5.6.0");
	expect(c, "503");
	assert_non_null(strstr(proxyd.log, "data;abort;"));
	quit(c);
}

/* The client breaks it off between its chunks. */
static void
test_between_chunks(void **state)
{
	struct client	*c;

	(void)state;
	for (int chunking = 0; chunking < 2; chunking++) {
		if (chunking)
			proxyd.caps.bits |= CAP_CHUNKING;
		c = hello(PROXIED);
		begin(c, "u@dest.example");
		chunk(c, "BDAT 1\r\na", "250");
		proxyd.log[0] = '\0';
		say(c, "RSET", "250");
		assert_string_equal(proxyd.log, chunking ? "abort;" :
		    "close;");
		send_one(c, "u@dest.example");
		begin(c, "u@dest.example");
		chunk(c, "BDAT 1\r\na", "250");
		proxyd.log[0] = '\0';
		say(c, "EHLO other.example", "250-gw.example.org");
		assert_string_equal(proxyd.log, chunking ?
		    "abort;ehlo other.example;" :
		    "close;open live;ehlo other.example;");
		send_one(c, "u@dest.example");
		begin(c, "u@dest.example");
		chunk(c, "BDAT 1\r\na", "250");
		quit(c);
	}
}

/* By a rule: the next one's server is opened as the first one's was. */
static void
test_by_rule(void **state)
{
	struct client	*c;

	(void)state;
	for (int chunking = 0; chunking < 2; chunking++) {
		if (chunking)
			proxyd.caps.bits |= CAP_CHUNKING;
		c = at_data(REGULAR, "u@live.example");
		say(c, "a\nb\r\n.", "550 5.6.0");
		assert_string_equal(proxyd.log, chunking ? "abort;" :
		    "close;");
		proxyd.log[0] = '\0';
		send_one(c, "u@live.example");
		assert_string_equal(proxyd.log, chunking ?
		    "mail a@b.example;rcpt u@live.example;data;end;" :
		    "open live;mail a@b.example;rcpt u@live.example;data;end;");
		quit(c);
	}
}

/* Each reason that we have. */
static void
test_reasons(void **state)
{
	struct client	*c;

	(void)state;
	memset(big, 'x', sizeof(big));
	c = at_data(PROXIED, "u@dest.example");
	client_write(c, "a\0b\r\n.\r\n", 8);
	expect(c, "550 5.6.0");
	send_one(c, "u@dest.example");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	for (unsigned i = 0; i <= world_conf->limits.received; i++)
		write_all(c, "Received: x\r\n", 13);
	say(c, "\r\nx\r\n.", "554 5.4.6");
	send_one(c, "u@dest.example");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	for (unsigned i = 0; i <= CONTENT_FIELDS_MAX; i++)
		write_all(c, "X: y\r\n", 6);
	say(c, "\r\nx\r\n.", "552 5.3.4");
	quit(c);
	proxyd.caps.size = 2000;
	c = at_data(PROXIED, "u@dest.example");
	for (int i = 0; i < 10; i++) {
		write_all(c, big, 900);
		write_all(c, "\r\n", 2);
	}
	say(c, ".", "552 5.3.4");
	send_one(c, "u@dest.example");
	quit(c);
}

/* ---- the new session is not as good ------------------------------------------- */

static struct client *
blocked(unsigned port)
{
	struct client	*c = at_data(port, "u@dest.example");

	say(c, "a\nb\r\n.", "550 5.6.0");
	return c;
}

static void
ended(struct client *c)
{
	say(c, "MAIL FROM:<a@b.example>", "421 4.3.2");
	expect_closed(c);
	leave(c);
}

static void
test_less(void **state)
{
	static const uint32_t	lost[] = { CAP_8BITMIME, CAP_SMTPUTF8,
	    CAP_ENHANCED, CAP_HELP, CAP_AUTH };
	struct client		*c;

	(void)state;
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		c = blocked(PASSWORDS);
		proxyd.caps.bits &= ~lost[i];
		ended(c);
	}
	c = blocked(PASSWORDS);
	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	ended(c);
	c = blocked(PROXIED);
	proxyd.caps.size--;
	ended(c);
	/* More is fine; so is what the client was never told, or we do. */
	c = blocked(PROXIED);
	proxyd.caps.size++;
	proxyd.caps.bits |= CAP_EXPN;
	proxyd.caps.bits &= ~(uint32_t)(CAP_AUTH | CAP_DSN);
	send_one(c, "u@dest.example");
	quit(c);
	c = blocked(PASSWORDS);
	strlcpy(proxyd.caps.auth, "LOGIN X PLAIN", sizeof(proxyd.caps.auth));
	send_one(c, "u@dest.example");
	quit(c);
	/* EHLO asks anew, whatever there is. */
	c = blocked(PROXIED);
	proxyd.caps = (struct smtp_caps){ .bits = CAP_ESMTP };
	say(c, "EHLO c.example", "250-gw.example.org|250-PIPELINING|250-SIZE "
	    "52428800|250-DSN|250 CHUNKING");
	send_one(c, "u@dest.example");
	quit(c);
}

static void
test_no_other(void **state)
{
	static const struct { enum asked what; uint16_t code; } no[] = {
		{ ASKED_OPEN, 421 }, { ASKED_OPEN, 554 }, { ASKED_EHLO, 421 },
		{ ASKED_EHLO, 550 } };
	struct client	*c;

	(void)state;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		c = blocked(PROXIED);
		on(no[i].what, no[i].code, "4.3.2 no");
		say(c, "MAIL FROM:<a@b.example>", "421 4.3.2");
		expect_closed(c);
		leave(c);
	}
	c = blocked(PROXIED);
	proxyd_die();
	ended(c);
	proxyd_start();
	/* It goes while it is waited for, or the client does. */
	for (int i = 0; i < 4; i++) {
		c = blocked(PROXIED);
		proxyd.hold = true;
		client_send(c, "MAIL FROM:<a@b.example>\r\n");
		if (i % 2 == 1)
			answer(0, NULL);
		if (i < 2) {
			server_gone();
			expect(c, "421 4.4.2");
			expect_closed(c);
		} else {
			shutdown(c->fd, SHUT_RDWR);
			world_run();
			while (proxyd_answer(proxyd.tid, 0, NULL))
				world_run();
		}
		leave(c);
	}
}

/* Nothing of AUTH is kept that could be said again. */
static void
test_authed(void **state)
{
	struct client	*c;

	(void)state;
	for (int i = 0; i < 2; i++) {
		c = hello(PASSWORDS);
		say(c, "AUTH PLAIN AAAA", "235");
		begin(c, "u@dest.example");
		if (i == 0) {
			say(c, "DATA", "354");
			say(c, "a\nb\r\n.", "550 5.6.0");
			say(c, "NOOP", "250");
		} else {
			chunk(c, "BDAT 1\r\na", "250");
			say(c, "RSET", "250");
		}
		ended(c);
	}
	/* With chunks nothing is cut. */
	proxyd.caps.bits |= CAP_CHUNKING;
	c = hello(PASSWORDS);
	say(c, "AUTH PLAIN AAAA", "235");
	begin(c, "u@dest.example");
	say(c, "DATA", "354");
	say(c, "a\nb\r\n.", "550 5.6.0");
	send_one(c, "u@dest.example");
	quit(c);
	/* Not yet logged in: AUTH goes to the new one. */
	c = blocked(PASSWORDS);
	say(c, "AUTH LOGIN", "334");
	say(c, "dXNlcg==", "235");
	send_one(c, "u@dest.example");
	quit(c);
	c = blocked(PASSWORDS);
	say(c, "VRFY u", "252 2.5.0 who knows");
	quit(c);
}

/* ---- what is not asked twice, and what crosses at once -------------------------- */

static void
test_pipelined(void **state)
{
	struct client	*c = hello(PROXIED);

	(void)state;
	proxyd.log[0] = '\0';
	say(c, "DATA", "503");
	say(c, "RCPT TO:<u@dest.example>", "503");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "MAIL FROM:<a@b.example>", "503");
	say(c, "DATA", "554 5.5.1");
	say(c, "BDAT 0 LAST", "554 5.5.1");
	assert_string_equal(proxyd.log, "mail a@b.example;");
	on(ASKED_RCPT, 550, "5.1.1 who?");
	say(c, "RCPT TO:<x@dest.example>", "550 5.1.1 who?");
	say(c, "DATA", "554 5.5.1");
	assert_string_equal(proxyd.log,
	    "mail a@b.example;rcpt x@dest.example;");
	say(c, "RSET", "250");
	on(ASKED_RCPT, 0, NULL);
	/* All of a group is at the server before it has answered any. */
	proxyd.log[0] = '\0';
	proxyd.hold = true;
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\n"
	    "RCPT TO:<v@dest.example>\r\nDATA\r\n");
	assert_string_equal(proxyd.log, "mail a@b.example;"
	    "rcpt u@dest.example;rcpt v@dest.example;data;");
	expect_nothing(c);
	for (int i = 0; i < 4; i++)
		answer(0, NULL);
	expect(c, "250 2.1.0");
	expect(c, "250 2.1.5");
	expect(c, "250 2.1.5");
	expect(c, "354");
	/* Blocked with more behind the dot: each has its reply in its turn. */
	proxyd.hold = false;
	client_send(c, "a\nb\r\n.\r\nMAIL FROM:<a@b.example>\r\n"
	    "RCPT TO:<u@dest.example>\r\nDATA\r\n");
	expect(c, "550 5.6.0");
	expect(c, "250 2.1.0");
	expect(c, "250 2.1.5");
	expect(c, "354");
	say(c, ".", "250 2.0.0 got it");
	quit(c);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_cut), T(test_reset), T(test_between_chunks),
		T(test_by_rule), T(test_reasons), T(test_less),
		T(test_no_other), T(test_authed), T(test_pipelined)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
