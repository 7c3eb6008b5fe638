/*
 * What stands around the message in an archive's copy.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "queued/archive.h"

static struct buf	rcpts;
static uint32_t		n;

static void
add(const char *to, const char *orig, uint8_t flags)
{
	struct rec_rcpt	r = { .to = span_str(to), .orig = span_str(orig),
			    .action = SPAN("a"), .flags = flags,
			    .n = n, .group = n };

	n++;
	assert_true(rec_rcpt_add(&rcpts, &r));
}

/* As the queue has it: written and read. */
static struct rec_msg
message(const char *from, struct buf *env)
{
	struct rec_msg	 m = { .from = span_str(from), .nrcpts = 5 }, got;
	const char	*why;

	n = 0;
	buf_init(&rcpts, 65536);
	buf_init(env, 65536);
	add("a@b.example", "", 0);
	add("a@b.example", "", 0);		/* by another action */
	add("c@d.example", "list@b.example", RCPT_F_EXPANDED);
	add("e@d.example", "list@b.example", RCPT_F_EXPANDED);
	add("vault@v.example", "", RCPT_F_ARCHIVE);
	m.rcpts = buf_content(&rcpts);
	assert_true(rec_msg_encode(env, &m));
	assert_int_equal(rec_msg_decode(buf_content(env), REC_VERSION, &got,
	    &why), PARSE_OK);
	return got;
}

static void
on_top(void **state)
{
	struct buf	 env, before, behind;
	struct rec_msg	 m = message("s@far.example", &env);
	struct archive	 a = { .m = &m };

	(void)state;
	buf_init(&before, 65536);
	buf_init(&behind, 6000);
	assert_true(archive_wrap(&a, &before, &behind));
	assert_string_equal(buf_cstr(&before),
	    "X-Envelope-From: <s@far.example>\r\n"
	    "X-Envelope-To: <a@b.example>,\r\n\t<list@b.example>\r\n");
	assert_int_equal(buf_len(&behind), 0);
	/* Too little room is told. */
	buf_clear(&before);
	buf_init(&before, 40);
	assert_false(archive_wrap(&a, &before, &behind));
	buf_clear(&before);
	buf_clear(&env);
	buf_clear(&rcpts);
}

static void
journal(void **state)
{
	struct buf	 env, before, behind;
	struct rec_msg	 m = message("", &env);
	struct archive	 a = { .m = &m, .journal = true, .id = "1abc",
			    .hostname = "gw.example.org",
			    .to = SPAN("keep@v.example"),
			    .prefix = SPAN("Received: x\r\n"),
			    .head = SPAN("subject: a\r\n b\r\nMESSAGE-ID: <i>\r\n"
			    "\r\nMessage-ID: <no>\r\n"),
			    .tm = { .tm_year = 126, .tm_mday = 1 } };

	(void)state;
	buf_init(&before, 65536);
	buf_init(&behind, 6000);
	assert_true(archive_wrap(&a, &before, &behind));
	assert_string_equal(buf_cstr(&before),
	    "Date: Sun, 01 Jan 2026 00:00:00 +0000\r\n"
	    "From: postmaster@gw.example.org\r\nTo: keep@v.example\r\n"
	    "Subject: Journal report\r\n"
	    "Message-ID: <1abc.journal@gw.example.org>\r\n"
	    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=\"=_1abc.journal\"\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n"
	    "--=_1abc.journal\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n"
	    "Sender: <>\r\nMessage-Id: <i>\r\nSubject: a b\r\n"
	    "Recipient: a@b.example\r\nRecipient: list@b.example\r\n"
	    "Expanded: c@d.example\r\nExpanded: e@d.example\r\n\r\n"
	    "--=_1abc.journal\r\nContent-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n");
	assert_string_equal(buf_cstr(&behind), "\r\n--=_1abc.journal--\r\n");
	m.body = 2;
	buf_reset(&before);
	assert_true(archive_wrap(&a, &before, &behind));
	assert_non_null(strstr(buf_cstr(&before),
	    "Content-Transfer-Encoding: 8bit"));
	buf_clear(&before);
	buf_clear(&behind);
	buf_clear(&env);
	buf_clear(&rcpts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_top), cmocka_unit_test(journal)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
