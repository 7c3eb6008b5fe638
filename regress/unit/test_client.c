/*
 * The client machine: what it writes when, with and without PIPELINING, and how
 * replies are held against steps.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/smtp/client.h"

static struct buf		 out;
static struct smtp_client	*c;
static struct smtp_client_event	 ev;

#define S(lit)	((struct span)SPAN(lit))

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, 65536);
	c = smtp_client_new(&out);
	return c == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	smtp_client_free(c);
	buf_clear(&out);
	return 0;
}

/* What was written since the last call is this. */
static void
wrote(const char *want)
{
	struct span	got = buf_content(&out);

	if (!span_is(got, want))
		fail_msg("wrote \"%.*s\", not \"%s\"", (int)got.len,
		    (const char *)got.p, want);
	buf_drain(&out, buf_len(&out));
}

/* One reply, for this step. */
static void
says(const char *text, enum smtp_step step)
{
	struct span	 in = span_str(text);
	const char	*why;

	assert_int_equal(smtp_client_feed(c, &in, &ev, &why), PARSE_OK);
	assert_int_equal(in.len, 0);
	assert_int_equal(ev.step, step);
}

static void
greet(const char *ehlo)
{
	says("220 mx.example ESMTP\r\n", STEP_GREETING);
	assert_true(smtp_client_ehlo(c, S("me.example"), true));
	wrote("EHLO me.example\r\n");
	says(ehlo, STEP_EHLO);
}

static void
lock_step(void **state)
{
	(void)state;
	assert_int_equal(smtp_client_waits_for(c), STEP_GREETING);
	assert_true(smtp_client_ehlo(c, S("me.example"), true));
	wrote("");			/* not before the greeting */
	says("220 x\r\n", STEP_GREETING);
	wrote("EHLO me.example\r\n");
	says("250-x\r\n250 SIZE 1000\r\n", STEP_EHLO);
	assert_int_equal(smtp_client_caps(c)->bits, CAP_ESMTP | CAP_SIZE);
	assert_true(smtp_client_mail(c, S("a@b.c"),
	    &(struct smtp_mail_params){ .size_set = true, .size = 7,
	    .body = BODY_8BITMIME, .ret = RET_FULL }));
	assert_true(smtp_client_rcpt(c, S("d@e.f"), NULL, 17));
	assert_true(smtp_client_data(c));
	assert_int_equal(smtp_client_pending(c), 3);
	wrote("MAIL FROM:<a@b.c> SIZE=7\r\n");
	says("250 ok\r\n", STEP_MAIL);
	wrote("RCPT TO:<d@e.f>\r\n");
	says("250 ok\r\n", STEP_RCPT);
	assert_int_equal(ev.tag, 17);
	wrote("DATA\r\n");
	says("354 go\r\n", STEP_DATA);
	buf_str(&out, "x\r\n.\r\n");
	assert_true(smtp_client_dot(c));
	assert_true(smtp_client_simple(c, STEP_QUIT));
	wrote("x\r\n.\r\n");
	says("250 taken\r\n", STEP_DOT);
	wrote("QUIT\r\n");
	says("221 bye\r\n", STEP_QUIT);
	assert_int_equal(smtp_client_pending(c), 0);
}

static void
pipelined(void **state)
{
	struct span	 in;
	const char	*why;

	(void)state;
	greet("250-x\r\n250-DSN\r\n250 PIPELINING\r\n");
	assert_true(smtp_client_mail(c, S(""), NULL));
	for (uint32_t i = 0; i < 3; i++)
		assert_true(smtp_client_rcpt(c, S("d@e.f"),
		    &(struct smtp_rcpt_params){ .notify = NOTIFY_NEVER }, i));
	assert_true(smtp_client_data(c));
	assert_true(smtp_client_simple(c, STEP_RSET));
	wrote("MAIL FROM:<>\r\nRCPT TO:<d@e.f> NOTIFY=NEVER\r\n"
	    "RCPT TO:<d@e.f> NOTIFY=NEVER\r\nRCPT TO:<d@e.f> NOTIFY=NEVER\r\n"
	    "DATA\r\n");		/* DATA ends the group */
	in = S("250 ok\r\n550-5.1.1 no\r\n550 5.1.1 way\r\n250 ok\r\n"
	    "451 later\r\n354 go\r\n");
	for (int i = 0; i < 5; i++) {
		static const uint16_t codes[] = { 250, 550, 250, 451, 354 };

		assert_int_equal(smtp_client_feed(c, &in, &ev, &why),
		    PARSE_OK);
		assert_int_equal(ev.code, codes[i]);
		assert_int_equal(ev.step, i == 0 ? STEP_MAIL : i < 4 ?
		    STEP_RCPT : STEP_DATA);
		if (i > 0 && i < 4)
			assert_int_equal(ev.tag, i - 1);
		if (i == 1)
			assert_true(span_is(ev.text, "5.1.1 no\n5.1.1 way"));
	}
	/* RSET waits until the content is over, and may then follow the dot. */
	wrote("");
	assert_true(smtp_client_dot(c));
	wrote("RSET\r\n");
	assert_false(smtp_client_dot(c));
	says("250 taken\r\n", STEP_DOT);
	says("250 reset\r\n", STEP_RSET);
}

static void
refused_data(void **state)
{
	(void)state;
	greet("250-x\r\n250 PIPELINING\r\n");
	assert_true(smtp_client_data(c));
	assert_true(smtp_client_simple(c, STEP_RSET));
	wrote("DATA\r\n");
	says("503 no\r\n", STEP_DATA);
	wrote("RSET\r\n");
	assert_false(smtp_client_dot(c));
}

static void
bdat(void **state)
{
	(void)state;
	greet("250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n");
	assert_true(smtp_client_mail(c, S("a@b.c"), NULL));
	assert_true(smtp_client_bdat(c, 5, false));
	buf_str(&out, "abc\r\n");
	assert_false(smtp_client_bdat(c, 0, true));	/* one at a time */
	assert_true(smtp_client_simple(c, STEP_QUIT));
	wrote("MAIL FROM:<a@b.c>\r\nBDAT 5\r\nabc\r\n");
	says("250 ok\r\n", STEP_MAIL);
	wrote("");
	says("250 5 octets\r\n", STEP_BDAT);
	wrote("QUIT\r\n");
}

static void
auth(void **state)
{
	(void)state;
	greet("250-x\r\n250-AUTH LOGIN\r\n250 PIPELINING\r\n");
	assert_string_equal(smtp_client_caps(c)->auth, "LOGIN");
	assert_true(smtp_client_auth(c, S("LOGIN"), false, S("")));
	assert_true(smtp_client_mail(c, S("a@b.c"), NULL));
	wrote("AUTH LOGIN\r\n");
	assert_false(smtp_client_auth_line(c, S("dXNlcg==")));
	says("334 VXNlcm5hbWU6\r\n", STEP_AUTH);
	wrote("");
	assert_true(smtp_client_auth_line(c, S("dXNlcg==")));
	wrote("dXNlcg==\r\n");
	says("334 UGFzc3dvcmQ6\r\n", STEP_AUTH_LINE);
	assert_true(smtp_client_auth_line(c, S("*")));
	wrote("*\r\n");
	says("501 given up\r\n", STEP_AUTH_LINE);
	wrote("MAIL FROM:<a@b.c>\r\n");
	says("250 ok\r\n", STEP_MAIL);
	assert_true(smtp_client_auth(c, S("PLAIN"), true, S("")));
	wrote("AUTH PLAIN =\r\n");
}

static void
unasked(void **state)
{
	struct span	 in = S("220 hello\r\n250 more\r\n");
	const char	*why = NULL;

	(void)state;
	assert_int_equal(smtp_client_feed(c, &in, &ev, &why), PARSE_OK);
	assert_int_equal(smtp_client_feed(c, &in, &ev, &why), PARSE_BAD);
	assert_non_null(why);
}

/* A reply that is there before its command was written is not its reply. */
static void
early(void **state)
{
	struct span	 in = S("250-x\r\n250 SIZE\r\n250 ok\r\n");
	const char	*why;

	(void)state;
	says("220 hello\r\n", STEP_GREETING);
	assert_true(smtp_client_ehlo(c, S("me"), true));
	assert_int_equal(smtp_client_feed(c, &in, &ev, &why), PARSE_OK);
	assert_int_equal(smtp_client_feed(c, &in, &ev, &why), PARSE_BAD);
}

static void
no_injection(void **state)
{
	(void)state;
	greet("250 x\r\n");
	assert_false(smtp_client_mail(c, S("a@b.c>\r\nQUIT"), NULL));
	assert_false(smtp_client_rcpt(c, S("a\n@b.c"), NULL, 0));
	assert_false(smtp_client_ask(c, "VRFY", S("a\0b")));
	assert_false(smtp_client_ehlo(c, S("a\x7f"), true));
	assert_false(smtp_client_simple(c, STEP_DATA));
	wrote("");
	assert_true(smtp_client_ask(c, "HELP", S("")));
	wrote("HELP\r\n");
}

static void
helo(void **state)
{
	(void)state;
	greet("502 what?\r\n");
	assert_int_equal(smtp_client_caps(c)->bits, 0);
	assert_true(smtp_client_ehlo(c, S("me"), false));
	wrote("HELO me\r\n");
	says("250-x\r\n250 PIPELINING\r\n", STEP_HELO);
	assert_int_equal(smtp_client_caps(c)->bits, 0);
}

/* 1,000 recipients through an output of 1 KiB. */
static void
full(void **state)
{
	uint32_t	n = 0;

	(void)state;
	out.max = 1024;
	greet("250-x\r\n250 PIPELINING\r\n");
	while (n < 1000) {
		if (smtp_client_rcpt(c, S("d@e.f"), NULL, n))
			n++;
		else {
			assert_true(buf_len(&out) > 900);
			buf_drain(&out, buf_len(&out));
			smtp_client_flush(c);
		}
	}
	for (n = 0; n < 1000; n++) {
		says("250 ok\r\n", STEP_RCPT);
		assert_int_equal(ev.tag, n);
	}
	assert_int_equal(smtp_client_pending(c), 0);
	for (n = 0; n < SMTP_CLIENT_STEPS_MAX; n++) {
		buf_drain(&out, buf_len(&out));
		assert_true(smtp_client_simple(c, STEP_RSET));
	}
	assert_false(smtp_client_simple(c, STEP_RSET));
	assert_int_equal(smtp_client_pending(c), SMTP_CLIENT_STEPS_MAX);
}

/* Commands that wait for a full output go out when it is flushed. */
static void
late_flush(void **state)
{
	(void)state;
	greet("250 x\r\n");
	assert_true(smtp_client_simple(c, STEP_RSET));
	assert_true(smtp_client_simple(c, STEP_NOOP));
	out.max = buf_len(&out);
	says("250 ok\r\n", STEP_RSET);
	wrote("RSET\r\n");
	out.max = 4096;
	smtp_client_flush(c);
	wrote("NOOP\r\n");
}

static void
names(void **state)
{
	(void)state;
	for (int s = STEP_GREETING; s <= STEP_STARTTLS; s++) {
		assert_true(smtp_step_name((enum smtp_step)s)[0] != '\0');
		assert_in_range(smtp_step_timeout_ms((enum smtp_step)s),
		    60000, 600000);
	}
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

/* A challenge of SASL may have 12,288 octets in its line, others have 512. */
static void
long_challenge(void **state)
{
	static char	 line[8000];
	struct span	 in;
	const char	*why = "";

	(void)state;
	memset(line, 'A', sizeof(line));
	memcpy(line, "334 ", 4);
	memcpy(line + sizeof(line) - 2, "\r\n", 2);
	greet("250-x\r\n250 AUTH GSSAPI\r\n");
	assert_true(smtp_client_auth(c, S("GSSAPI"), false, S("")));
	in = span(line, sizeof(line));
	assert_int_equal(smtp_client_feed(c, &in, &ev, &why), PARSE_OK);
	assert_int_equal(ev.code, 334);
	assert_int_equal(ev.text.len, sizeof(line) - 6);
	assert_true(smtp_client_auth_line(c, S("*")));
	says("501 no\r\n", STEP_AUTH_LINE);
	assert_true(smtp_client_simple(c, STEP_NOOP));
	memcpy(line, "250 ", 4);
	in = span(line, sizeof(line));
	assert_int_equal(smtp_client_feed(c, &in, &ev, &why), PARSE_OK);
	assert_in_range(ev.text.len, 500, 512);
}

/* RFC 3207, 4.2: what the server said before is forgotten. */
static void
starttls(void **state)
{
	(void)state;
	greet("250-x\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SIZE 5\r\n");
	assert_true(smtp_client_starttls(c));
	/* Nothing goes behind it. */
	assert_true(smtp_client_simple(c, STEP_NOOP));
	wrote("STARTTLS\r\n");
	says("454 not now\r\n", STEP_STARTTLS);
	assert_true(smtp_client_caps(c)->bits & CAP_SIZE);
	wrote("NOOP\r\n");
	says("250 ok\r\n", STEP_NOOP);
	assert_true(smtp_client_starttls(c));
	wrote("STARTTLS\r\n");
	says("220 go\r\n", STEP_STARTTLS);
	assert_int_equal(smtp_client_caps(c)->bits, 0);
	assert_true(smtp_client_ehlo(c, S("me.example"), true));
	wrote("EHLO me.example\r\n");
	says("250 x\r\n", STEP_EHLO);
	assert_int_equal(smtp_client_caps(c)->bits, CAP_ESMTP);
}

/* What comes with the 220 was said by whoever sits between. */
static void
starttls_injected(void **state)
{
	static const char *const more[] = { "250 ok\r\n", "2", "\r\n",
	    "\x16\x03\x03" };
	char		 text[64];
	struct span	 in;
	const char	*why = "";

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		teardown(state);
		assert_int_equal(setup(state), 0);
		greet("250-x\r\n250 STARTTLS\r\n");
		assert_true(smtp_client_starttls(c));
		snprintf(text, sizeof(text), "220 go\r\n%s", more[i]);
		in = span_str(text);
		assert_int_equal(smtp_client_feed(c, &in, &ev, &why),
		    PARSE_BAD);
		assert_string_equal(why,
		    "plain text behind the reply to STARTTLS");
		wrote("STARTTLS\r\n");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(lock_step), T(pipelined), T(refused_data), T(bdat), T(auth), T(long_challenge),
		T(unasked), T(early), T(no_injection), T(helo), T(full),
		T(late_flush), T(names), T(starttls), T(starttls_injected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
