/*
 * Header fields, the recipients of -t with the rules for Resent- fields, and
 * what completing adds, qualifies and takes out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mime/header.h"

static void
fields(void **state)
{
	struct span		 in = span_str("A: b\r\nC  :d\r\n e\r\n\tf\r\n"
	    "G:\r\nno field\r\nH: i\r\n");
	struct header_field	 f;

	(void)state;
	assert_true(header_next(&in, &f));
	assert_true(span_is(f.name, "A"));
	assert_true(span_is(f.body, " b"));
	assert_true(span_is(f.all, "A: b\r\n"));
	assert_true(header_next(&in, &f));
	assert_true(span_is(f.name, "C"));
	assert_true(span_is(f.body, "d\r\n e\r\n\tf"));
	assert_true(header_next(&in, &f));
	assert_true(span_is(f.name, "G"));
	assert_int_equal(f.body.len, 0);
	assert_false(header_next(&in, &f));
	assert_true(span_starts(in, span_str("no field")));
	in = span_str("last: one");
	assert_true(header_next(&in, &f));
	assert_true(span_is(f.body, " one"));
	assert_int_equal(in.len, 0);
	assert_false(header_next(&in, &f));
}

static void
begins(void **state)
{
	static const char *const	 yes[] = { "A:", "A: b", "A-b_c :x",
	    "!#: x" };
	static const char *const	 no[] = { "", ":", " A: b", "A b: c",
	    "From x y", "A", "\x80: x", "A\x01: x" };

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(header_begins(span_str(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(header_begins(span_str(no[i])));
}

static void
note(struct span addr, void *arg)
{
	buf_span(arg, addr);
	buf_byte(arg, ' ');
}

/* The recipients of a header, a blank behind each; "!Field: why" if none. */
static void
recipients_are(const char *header, const char *want)
{
	struct header_field	 f;
	const char		*why = NULL;
	struct buf		 b;

	buf_init(&b, 4096);
	if (!header_recipients(span_str(header), note, &b, &f, &why)) {
		buf_reset(&b);
		buf_fmt(&b, "!%.*s: %s", (int)f.name.len,
		    (const char *)f.name.p, why);
	}
	buf_byte(&b, '\n');
	assert_true(span_starts(buf_content(&b), span_str(want)));
	assert_int_equal(buf_len(&b), strlen(want) + 1);
	buf_clear(&b);
}

static void
recipients(void **state)
{
	(void)state;
	recipients_are("", "");
	recipients_are("Subject: x\r\nFrom: a@b\r\n", "");
	recipients_are("To: a@b\r\ncc: C <c@d>,\r\n e\r\nBCC: f@g\r\n",
	    "a@b c@d e f@g ");
	recipients_are("To: a@b\r\nTo: c@d\r\n", "a@b c@d ");
	recipients_are("To: undisclosed-recipients:;\r\nBcc: x@y\r\n", "x@y ");
	recipients_are("Apparently-To: a@b\r\nReply-To: c@d\r\n", "");
	recipients_are("To: a@b, (\r\nCc: c@d\r\n",
	    "!To: a comment has no end");
	/* What is behind the header is none of it. */
	recipients_are("To: a@b\r\n\r\nCc: c@d\r\n", "a@b ");
}

static void
resent(void **state)
{
	(void)state;
	recipients_are("Resent-From: r@s\r\nResent-To: t@u\r\nTo: a@b\r\n",
	    "t@u ");
	recipients_are("Resent-Bcc: t@u\r\nBcc: a@b\r\n", "t@u ");
	/* Between other fields of the same block. */
	recipients_are("Resent-To: t@u\r\nTo: a@b\r\nResent-Cc: v@w\r\n",
	    "t@u v@w ");
	/* An older one is below: its name comes again, … */
	recipients_are("Resent-From: r@s\r\nResent-To: t@u\r\n"
	    "Resent-From: q@s\r\nResent-To: old@u\r\nResent-Cc: old@v\r\n",
	    "t@u ");
	/* … or the trace of its journey. */
	recipients_are("Resent-To: t@u\r\nReceived: from x\r\n"
	    "Resent-Cc: old@v\r\nTo: a@b\r\n", "t@u ");
	/* No recipient in the block: it is no resending that sends. */
	recipients_are("Resent-From: r@s\r\nTo: a@b\r\n", "a@b ");
}

static void
completed(const char *header, const char *want)
{
	const struct header_missing	 m = {
		.from = SPAN("U <u@h>"), .date = SPAN("today"),
		.message_id = SPAN("<1@h>"), .domain = SPAN("h.example")
	};
	struct buf			 b;

	buf_init(&b, 4096);
	assert_true(header_complete(span_str(header), &m, &b));
	assert_string_equal(buf_cstr(&b), want);
	buf_clear(&b);
	buf_init(&b, strlen(want) - 1);
	assert_false(header_complete(span_str(header), &m, &b));
	buf_clear(&b);
}

static void
complete(void **state)
{
	(void)state;
	completed("Subject: x\r\n", "From: U <u@h>\r\nDate: today\r\n"
	    "Message-ID: <1@h>\r\nSubject: x\r\n");
	completed("from: a@b\r\nDATE: d\r\nmessage-id: <m>\r\n",
	    "from: a@b\r\nDATE: d\r\nmessage-id: <m>\r\n");
	completed("From: a@b\r\nDate: d\r\nMessage-ID: <m>\r\nBcc: x@y,\r\n"
	    " z@y\r\nReturn-Path: <q@r>\r\nTo: b@c\r\nResent-Bcc: x\r\n",
	    "Resent-From: U <u@h>\r\nResent-Date: today\r\n"
	    "Resent-Message-ID: <1@h>\r\n"
	    "From: a@b\r\nDate: d\r\nMessage-ID: <m>\r\nTo: b@c\r\n");
	completed("Resent-From: a@b\r\nResent-To: c@d\r\nReceived: x\r\n"
	    "Resent-Date: old\r\nFrom: e@f\r\nDate: d\r\n",
	    "Resent-Date: today\r\nResent-Message-ID: <1@h>\r\n"
	    "Resent-From: a@b\r\nResent-To: c@d\r\nReceived: x\r\n"
	    "Resent-Date: old\r\nFrom: e@f\r\nDate: d\r\n");
}

static void
qualify(void **state)
{
#define REST "Date: d\r\nMessage-ID: <m>\r\n"
	(void)state;
	completed("From: root (Cron)\r\nTo: A <a>,\r\n b@c, g: d;\r\n" REST,
	    "From: root@h.example (Cron)\r\nTo: A <a@h.example>,\r\n b@c, "
	    "g: d@h.example;\r\n" REST);
	/* No list: as it was, to the last byte. */
	completed("From: a b, root, (\r\nTo: root, <\r\n" REST,
	    "From: a b, root, (\r\nTo: root, <\r\n" REST);
	completed("From: a@b\r\nX-To: root\r\n" REST,
	    "From: a@b\r\nX-To: root\r\n" REST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(begins),
		cmocka_unit_test(recipients),
		cmocka_unit_test(resent),
		cmocka_unit_test(complete),
		cmocka_unit_test(qualify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
