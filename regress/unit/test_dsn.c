/*
 * The bytes of a delivery status notification: what each part says, that it
 * fits where it has to go, and that nobody's words become lines of ours.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/utf8.h"
#include "common/mime/dsn.h"

static struct dsn_rcpt	 rcpts[3000];
static struct dsn	 d;
static struct dsn_form	 form;
static struct buf	 b;
static const char	*out;

static int
setup(void **state)
{
	(void)state;
	memset(rcpts, 0, sizeof(rcpts));
	rcpts[0] = (struct dsn_rcpt){ .action = DSN_FAILED,
	    .to = span_str("b@x.example"),
	    .reply = span_str("550 5.1.1 No such user"),
	    .server = span_str("mx.x.example[192.0.2.7]:25"),
	    .tried_ms = 1795000000000 };
	d = (struct dsn){ .host = span_str("gw.example.org"),
	    .id = span_str("0abc1"), .of = span_str("0abc0"),
	    .to = span_str("A+v=b@c.example"), .now_ms = 1795000000000,
	    .arrived_ms = 1794999700000, .until_ms = 1795400000000,
	    .prefix = span_str("Received: by gw\r\n"),
	    .content = span_str("Subject: x\r\nMessage-ID: <1@c>\r\n\r\n"
	    "Hello\r\n"), .whole = true, .rcpts = rcpts, .nrcpts = 1 };
	buf_init(&b, DSN_MAX);
	return 0;
}

static int
clean(void **state)
{
	(void)state;
	buf_clear(&b);
	return 0;
}

/* What holds for every one. */
static void
check(void)
{
	struct span	 s, line;
	size_t		 n = 0;

	s = buf_content(&b);
	assert_true(s.len <= DSN_MAX && span_caseends(s, span_str("--\r\n")));
	assert_true(form.eightbit || utf8_is_ascii(s));
	assert_true(form.told > 0 && form.told <= d.nrcpts);
	while (span_word(&s, "\n", &line)) {
		assert_true(line.len > 0 && line.p[line.len - 1] == '\r');
		line.len--;
		assert_true(line.len <= 998);
		assert_true(span_find(line, '\r') == line.len &&
		    span_find(line, '\0') == line.len);
		n += span_starts(line, span_str("Final-Recipient: "));
	}
	assert_int_equal(n, form.told);
}

static void
make(void)
{
	buf_clear(&b);
	assert_true(dsn_write(&b, &d, &form));
	check();
	assert_non_null(out = buf_cstr(&b));
}

static void
has(const char *what)
{
	if (strstr(out, what) == NULL)
		fail_msg("\"%s\" is not in:\n%s", what, out);
}

static void
lacks(const char *what)
{
	if (strstr(out, what) != NULL)
		fail_msg("\"%s\" is in:\n%s", what, out);
}

static void
test_failed(void **state)
{
	(void)state;
	d.envid = span_str("e+2B+3D1");
	rcpts[0].orcpt = span_str("rfc822;o+2Bb@x.example");
	make();
	assert_true(!form.eightbit && !form.smtputf8);
	has("\r\nFrom: Mail Delivery System <MAILER-DAEMON@gw.example.org>\r\n"
	    "To: <A+v=b@c.example>\r\n"
	    "Subject: Your message could not be delivered\r\n"
	    "Message-ID: <0abc1@gw.example.org>\r\n"
	    "In-Reply-To: <1@c>\r\nReferences: <1@c>\r\n"
	    "Auto-Submitted: auto-replied\r\n");
	has("Content-Type: multipart/report; report-type=delivery-status;\r\n");
	has("\r\n<b@x.example>:\r\n    The server mx.x.example [192.0.2.7] "
	    "said:\r\n      550 5.1.1 No such user\r\n"
	    "    There is no such mailbox.\r\n");
	has("Content-Type: message/delivery-status\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n"
	    "Original-Envelope-Id: e+=1\r\n"
	    "Reporting-MTA: dns; gw.example.org\r\n"
	    "Arrival-Date: Wed, 18 Nov 2026 11:01:40 +0000\r\n\r\n"
	    "Original-Recipient: rfc822; o+b@x.example\r\n"
	    "Final-Recipient: rfc822; b@x.example\r\n"
	    "Action: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.x.example\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n"
	    "Last-Attempt-Date: Wed, 18 Nov 2026 11:06:40 +0000\r\n"
	    "Final-Log-ID: 0abc0\r\n\r\n--");
	has("Content-Type: text/rfc822-headers\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n"
	    "Received: by gw\r\nSubject: x\r\nMessage-ID: <1@c>\r\n\r\n--");
	lacks("Hello");
	lacks("Will-Retry-Until");
	d.zone_min = -210;
	make();
	has("Arrival-Date: Wed, 18 Nov 2026 07:31:40 -0330\r\n");
}

/* RFC 3461, 4.3: the whole message, but only if something failed. */
static void
test_full(void **state)
{
	static char	 big[70000];

	(void)state;
	d.full = true;
	make();
	has("Content-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\nReceived: by gw\r\n"
	    "Subject: x\r\nMessage-ID: <1@c>\r\n\r\nHello\r\n\r\n--");
	has("A report for programs and the message follow.");
	rcpts[0].action = DSN_DELAYED;
	make();
	lacks("Hello");
	rcpts[0].action = DSN_FAILED;
	d.content = span_str("Subject: x\r\n\r\nH\xe9llo\r\n");
	make();
	assert_true(form.eightbit && !form.smtputf8);
	has("Content-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n");
	/* Not all is there, or it is too long: it is said. */
	d.whole = false;
	make();
	has("can't be returned");
	has("text/rfc822-headers");
	d.whole = true;
	memset(big, 'x', sizeof(big));
	memcpy(big, "Subject: y\r\n\r\n", 14);
	for (size_t i = 100; i < sizeof(big); i += 100)
		memcpy(big + i, "\r\n", 2);
	d.content = span(big, 15000);
	make();
	lacks("can't be returned");
	d.content = span(big, sizeof(big));
	make();
	has("can't be returned");
	has("Subject: y\r\n\r\n--");
	/* So are lines that no mail may have. */
	memset(big + 100, 'x', 2000);
	d.content = span(big, 10000);
	make();
	has("can't be returned");
	/* Nothing of it can be read. */
	d.prefix = d.content = span(NULL, 0);
	make();
	has("can't be read any more");
	lacks("rfc822-headers");
	lacks("In-Reply-To");
}

static void
test_actions(void **state)
{
	(void)state;
	rcpts[0] = (struct dsn_rcpt){ .action = DSN_FAILED, .expired = true,
	    .to = span_str("b@x.example"), .orig = span_str("l@y.example"),
	    .reply = span_str("452 4.2.2 full"), .tried_ms = 1 };
	make();
	has("<l@y.example>, by way of\r\n<b@x.example>:\r\n"
	    "    It was not delivered in time: after 5 minutes it is\r\n");
	has("The mailbox is full.");
	has("Original-Recipient: rfc822; l@y.example\r\n");
	has("Status: 5.4.7\r\n");
	has("Diagnostic-Code: x-postern; 452 4.2.2 full\r\n");
	lacks("Remote-MTA");
	rcpts[0].reply = span_str("");
	make();
	has("no server for it could be reached");
	lacks("Diagnostic-Code");
	rcpts[0] = (struct dsn_rcpt){ .action = DSN_DELAYED,
	    .to = span_str("b@x.example"), .server = span_str("1.2.3.4[1.2.3.4]"
	    ":25"), .reply = span_str("552 5.5.3 too many") };
	make();
	has("Subject: Your message is delayed\r\n");
	has("tried again until\r\nMon, 23 Nov 2026 02:13:20 +0000.\r\n");
	has("Will-Retry-Until: Mon, 23 Nov 2026 02:13:20 +0000\r\n");
	has("Action: delayed\r\nStatus: 4.5.3\r\n"
	    "Remote-MTA: dns; [1.2.3.4]\r\n");
	rcpts[0].action = DSN_RELAYED;
	rcpts[0].reply = span_str("250 2.6.0 Ok");
	rcpts[1] = (struct dsn_rcpt){ .action = DSN_EXPANDED,
	    .to = span_str("l@y.example") };
	rcpts[2] = (struct dsn_rcpt){ .action = DSN_DELIVERED,
	    .to = span_str("m@y.example"), .reply = span_str("250 thrown away")
	    };
	d.nrcpts = 3;
	make();
	has("Subject: Your message was delivered\r\n");
	has("Action: relayed\r\nStatus: 2.6.0\r\n");
	has("Action: expanded\r\nStatus: 2.0.0\r\n");
	has("Action: delivered\r\nStatus: 2.0.0\r\n");
	lacks("thrown");
	rcpts[0].action = DSN_FAILED;
	d.double_bounce = true;
	make();
	has("Subject: A message could neither be delivered nor returned\r\n");
}

static void
test_status(void **state)
{
	static const struct { const char *reply, *status; } rows[] = {
		{ "550 5.1.1 x", "5.1.1" }, { "550 5.7.26 x", "5.7.26" },
		{ "550 4.7.1 x", "5.7.1" }, { "550 no", "5.0.0" },
		{ "552 no", "5.2.2" }, { "553 no", "5.1.3" },
		{ "5.3.0 ours", "5.3.0" }, { "550 5.1.1", "5.1.1" },
		{ "550", "5.0.0" }, { "", "5.0.0" },
		{ "550 5.1.1234 x", "5.0.0" }, { "550 5.1.1x", "5.0.0" },
		{ "550 5.1", "5.0.0" }, { "550 5..1 x", "5.0.0" },
		{ "550 5.1.1\n", "5.0.0" }, { "550-5.1.1", "5.0.0" },
		{ "550 5.999.999 x", "5.999.999" }
	};
	char	 status[DSN_STATUSLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rcpts[0].reply = span_str(rows[i].reply);
		assert_string_equal(dsn_status(&rcpts[0], status),
		    rows[i].status);
	}
}

/* Every class has its advice, and one not known has that for all. */
static void
test_advice(void **state)
{
	static const struct { const char *reply, *says; } rows[] = {
		{ "550 5.1.1 x", "no such mailbox" },
		{ "550 5.1.2 x", "does not exist, or" },
		{ "556 5.1.10 x", "takes no mail at all" },
		{ "550 5.1.99 x", "no such mailbox" },
		{ "552 5.2.2 x", "mailbox is full" },
		{ "552 5.3.4 x", "larger than the server takes" },
		{ "451 4.4.3 x", "DNS could not be asked" },
		{ "451 4.4.1 x", "did not answer" },
		{ "550 5.6.7 x", "beyond ASCII" },
		{ "550 5.7.1 x", "by its own rules" },
		{ "550 5.7.999 x", "not allowed there" },
		{ "550 5.9.9 x", "does not say more" },
		{ "550 go away", "does not say more" }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rcpts[0].reply = span_str(rows[i].reply);
		make();
		has(rows[i].says);
	}
}

/* RFC 6533: types of their own; 8 bit only where the way has SMTPUTF8. */
static void
test_utf8(void **state)
{
	(void)state;
	d.utf8 = true;
	rcpts[0].to = span_str("j\xc3\xb6rg@x.example");
	rcpts[0].orcpt = span_str("utf-8;j\\x{F6}rg\\x{2B}@x.example");
	d.content = span_str("Subject: s\xc3\xbc\xc3\x9f\r\n\r\nHi\r\n");
	make();
	assert_true(!form.eightbit && !form.smtputf8);
	has("Content-Type: message/global-delivery-status\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n");
	has("Original-Recipient: utf-8; j=C3=B6rg+@x.example\r\n"
	    "Final-Recipient: utf-8; j=C3=B6rg@x.example\r\n");
	has("Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n");
	has("Content-Type: message/global-headers\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Received: by gw\r\nSubject: s=C3=BC=C3=9F\r\n");
	d.full = true;
	make();
	has("Content-Type: message/global\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n");
	d.to = span_str("\xc3\xa4@c.example");
	make();
	assert_true(form.eightbit && form.smtputf8);
	has("To: <\xc3\xa4@c.example>\r\n");
	has("Final-Recipient: utf-8; j\xc3\xb6rg@x.example\r\n");
	has("Content-Type: message/global\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n");
	/* Without SMTPUTF8 a header of 8 bit is encoded, a field has none. */
	clean(NULL);
	setup(NULL);
	d.content = span_str("Subject: s\xfc\r\n\r\nHi\r\n");
	rcpts[0].reply = span_str("550 5.1.1 n\xc3\xb6");
	make();
	assert_false(form.eightbit);
	has("Content-Type: text/rfc822-headers\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n");
	has("Subject: s=FC\r\n");
	has("Diagnostic-Code: smtp; 550 5.1.1 n??\r\n");
	has("550 5.1.1 n=C3=B6\r\n");
}

/* What others say makes no line, no field and no part. */
static void
test_hostile(void **state)
{
	static char	 longest[1200];

	(void)state;
	d.to = span_str("a\r\nBcc: c@d");
	rcpts[0].to = span_str("b@x\r\nAction: delivered");
	rcpts[0].reply = span_str("550 5.1.1 x\r\n\r\n--=_0.0abc1\r\nX: y\n");
	rcpts[0].server = span_str("mx\r\nX: z[\r\nX: q]");
	rcpts[0].orcpt = span_str("rfc\r\nX: z;x");
	d.envid = span_str("e+0D+0AX: y");
	make();
	lacks("\nBcc");
	lacks("\nAction: delivered");
	lacks("\nX: ");
	lacks("Original-Recipient");
	d.content = span_str("Subject: x\r\nMessage-ID: <a\r\n b@c>\r\n\r\n");
	make();
	lacks("In-Reply-To");
	d.content = span_str("MESSAGE-ID:\r\n <a@b>\r\nX-I: <c@d>\r\n\r\n");
	make();
	has("In-Reply-To: <a@b>\r\n");
	d.content = span_str("Message-ID:\r\nX-I: <c@d>\r\n\r\n");
	make();
	lacks("In-Reply-To");
	/* The boundary is none that stands in the message. */
	d.full = true;
	d.content = span_str("X: --=_0.0abc1\r\n\r\n--=_1.0abc1\r\n");
	make();
	has("boundary=\"=_2.0abc1\"");
	memset(longest, 'l', sizeof(longest));
	rcpts[0].to = rcpts[0].reply = rcpts[0].server = rcpts[0].orig =
	    d.to = span(longest, sizeof(longest));
	make();
}

/* More recipients than fit: some are for another notification. */
static void
test_many(void **state)
{
	static char	 to[3000][330];
	size_t		 done = 0, n = 0;

	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		snprintf(to[i], sizeof(to[i]), "user%zu%0*d@x.example", i,
		    i % 2 ? 300 : 1, 0);
		rcpts[i] = rcpts[0];
		rcpts[i].to = span_str(to[i]);
	}
	d.full = true;
	for (; done < 3000; n++) {
		d.rcpts = rcpts + done;
		d.nrcpts = 3000 - done;
		make();
		if (n == 0) {
			has("more, which the report below names.\r\n");
			has("Hello");
		}
		assert_true(form.told == d.nrcpts || form.told > 40);
		done += form.told;
	}
	assert_in_range(n, 20, 75);
	/* Hostile ones are long and encoded; each has a place all the same. */
	memset(to[0], 0, sizeof(to[0]));
	for (size_t i = 0; i < 320; i += 2)
		memcpy(to[0] + i, "\xc3\xa4", 3);
	for (size_t i = 0; i < 3000; i++) {
		rcpts[i].to = rcpts[i].orig = span_str(to[0]);
		rcpts[i].reply = span_str(to[0]);
	}
	d.rcpts = rcpts;
	d.nrcpts = 3000;
	d.utf8 = true;
	make();
	assert_true(form.told >= 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_failed, setup, clean),
		cmocka_unit_test_setup_teardown(test_full, setup, clean),
		cmocka_unit_test_setup_teardown(test_actions, setup, clean),
		cmocka_unit_test_setup_teardown(test_status, setup, clean),
		cmocka_unit_test_setup_teardown(test_advice, setup, clean),
		cmocka_unit_test_setup_teardown(test_utf8, setup, clean),
		cmocka_unit_test_setup_teardown(test_hostile, setup, clean),
		cmocka_unit_test_setup_teardown(test_many, setup, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
