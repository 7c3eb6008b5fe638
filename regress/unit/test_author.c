/*
 * Whom a message says it is from: what is found in From and Sender, in pieces
 * of every size, and the headers of which that can't be said.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/mime/author.h"

#define NONE	"no From"
#define BROKEN	"a line in the header that is no field"
#define BESIDE	"an address beside an address"

/* A message, the addresses in it, one blank between, and what is wrong. */
static const struct { const char *in, *found, *why; } table[] = {
	{ "From: a@b\r\n\r\nFrom: c@d\r\n", "a@b", NULL },
	{ "from : a@b\r\n", "a@b", NULL },
	{ "FROM:a@b", "a@b", NULL },
	{ "To: x@y\r\nSender: s@b\r\nFrom: A <a@b>, c@d\r\nReply-To: r@x\r\n"
	    "Resent-From: q@x\r\n\r\n", "s@b a@b c@d", NULL },
	/* Folds, comments, quotes, groups, encoded words, 8 bits. */
	{ "From: a@b,\r\n\tc@d,\r\n \r\n e@f\r\n\r\n", "a@b c@d e@f", NULL },
	{ "From:\r\n a\r\n @\r\n b\r\n\r\n", "a@b", NULL },
	{ "From: (x@y, \\) z@y) a@b (c@d)\r\n\r\n", "a@b", NULL },
	{ "From: \"x@y, <z@y>\" <a@b>\r\n\r\n", "a@b", NULL },
	{ "From: \"a b\"@c, \"x\\\"@y\"@d\r\n\r\n",
	    "\"a b\"@c \"x\\\"@y\"@d", NULL },
	{ "From: g: a@b, C <c@d>;, e@f\r\n\r\n", "a@b c@d e@f", NULL },
	{ "From: =?utf-8?q?x=40y?= <a@b>\r\n\r\n", "a@b", NULL },
	{ "From: J\xc3\xb6rg \xff <j\xc3\xb6@b>\r\n\r\n", "j\xc3\xb6@b",
	    NULL },
	{ "From: a@[192.0.2.1]\r\n\r\n", "a@[192.0.2.1]", NULL },
	/* None, or in the body alone. */
	{ "", "", NONE },
	{ "\r\n", "", NONE },
	{ "\r\nFrom: a@b\r\n", "", NONE },
	{ "Subject: x\r\n From: a@b\r\n\r\n", "", NONE },
	{ "X-From: a@b\r\nFroms: c@d\r\nFrom-A-Long-Name: e@f\r\n\r\n", "",
	    NONE },
	{ "Sender: a@b\r\n\r\n", "a@b", NONE },
	{ "From:\r\n\r\n", "", "a field without an address" },
	{ "From: nobody:;\r\n\r\n", "", "a field without an address" },
	{ "From: ,,\r\n\r\n", "", "a field without an address" },
	{ "From: a@b\r\nSender: \r\n\r\n", "a@b",
	    "a field without an address" },
	/* Twice. */
	{ "From: a@b\r\nFrom: c@d\r\n\r\n", "a@b c@d", "more than one From" },
	{ "From: a@b\r\nX: y\r\nfrom\t: a@b\r\n\r\n", "a@b a@b",
	    "more than one From" },
	{ "From: a@b\r\nSender: a@b\r\nSender: c@d\r\n\r\n", "a@b a@b c@d",
	    "more than one Sender" },
	{ "From: a@b\r\nSender: a@b, c@d\r\n\r\n", "a@b a@b c@d",
	    "a Sender of several addresses" },
	/* No list, or not one that all read alike. */
	{ "From: a@b c@d\r\n\r\n", "", "blanks within an address" },
	{ "From: <a@b> c@d\r\n\r\n", "", "no comma behind an address" },
	{ "From: a@b, <>\r\n\r\n", "a@b", "an empty address" },
	{ "From: a@b, \"c@d\r\n\r\n", "a@b", "a quoted string has no end" },
	{ "From: (a@b\r\n\r\n", "", "a comment has no end" },
	{ "From: g: a@b\r\n\r\n", "a@b", "a group has no end" },
	{ "From: root\r\n\r\n", "root", "an address without a domain" },
	{ "From: x@y <a@b>\r\n\r\n", "a@b", BESIDE },
	{ "From: A x@y <a@b>, c@d\r\n\r\n", "a@b c@d", BESIDE },
	{ "From: <@x,@y:a@b>\r\n\r\n", "a@b", BESIDE },
	{ "From: <(c)@x:a@b>\r\n\r\n", "a@b", BESIDE },
	/* A header that some end elsewhere. */
	{ "From a@b Thu Jan 1 00:00:00 1970\r\nFrom: a@b\r\n\r\n", "", BROKEN },
	{ "From: a@b\r\nhello\r\nFrom: c@d\r\n\r\n", "a@b", BROKEN },
	{ "From: a@b\r\nFr om: c@d\r\n\r\n", "a@b", BROKEN },
	{ "From: a@b\r\n: c@d\r\n\r\n", "a@b", BROKEN },
	{ "From: a@b\r\nFrom\xc2\xa0: c@d\r\n\r\n", "a@b", BROKEN },
	{ "From: a@b\r\nX\x01: c@d\r\n\r\n", "a@b", BROKEN },
	{ "\xef\xbb\xbf" "From: a@b\r\n\r\n", "", BROKEN },
	{ " From: a@b\r\n\r\n", "", BROKEN },
};

struct seen {
	char	 text[512];
	unsigned n, stop;
};

static bool
each(struct span addr, void *arg)
{
	struct seen	*s = arg;
	size_t		 len = strlen(s->text);

	snprintf(s->text + len, sizeof(s->text) - len, "%s%.*s",
	    len > 0 ? " " : "", (int)addr.len, (const char *)addr.p);
	return ++s->n != s->stop;
}

/* True: stopped. */
static bool
look(struct span in, size_t piece, struct seen *s, const char **why)
{
	struct header_seen	 h = { 0 };
	struct author		 a;
	bool			 stopped;

	s->text[0] = '\0';
	s->n = 0;
	author_begin(&a, &h, each, s);
	for (; in.len > 0; span_skip(&in, piece))
		header_seen_feed(&h, span_sub(in, 0, piece));
	author_end(&a, &h);
	author_end(&a, &h);
	*why = a.why;
	stopped = a.stopped;
	author_clear(&a);
	return stopped;
}

static void
found(void **state)
{
	struct seen	 s = { .stop = 0 };
	const char	*why;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (size_t piece = 1; piece < 40; piece++) {
			assert_false(look(span_str(table[i].in), piece, &s,
			    &why));
			if (strcmp(s.text, table[i].found) != 0 ||
			    (why == NULL) != (table[i].why == NULL) ||
			    (why != NULL && strcmp(why, table[i].why) != 0))
				fail_msg("\"%s\" by %zu: %s (%s)", table[i].in,
				    piece, s.text, why != NULL ? why : "");
		}
}

/* Up to the limit it is read to its last byte, and no byte further. */
static void
long_field(void **state)
{
	struct seen	 s = { .stop = 0 };
	struct buf	 b;
	const char	*why;

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		buf_init(&b, 1 << 20);
		buf_str(&b, "From: a@b,");
		while (buf_len(&b) < AUTHOR_FIELD_MAX + over)
			buf_byte(&b, buf_len(&b) % 70 == 0 ? ',' : ' ');
		/* The body begins behind the colon: 5 bytes less, and CR LF. */
		buf_str(&b, "c@d");
		buf_str(&b, "\r\n\r\n");
		assert_false(look(buf_content(&b), 999, &s, &why));
		if (over == 0) {
			assert_null(why);
			assert_string_equal(s.text, "a@b c@d");
		} else {
			assert_string_equal(why, "a field that is too long");
			assert_string_equal(s.text, "");
		}
		buf_clear(&b);
	}
	/* Nothing is held of others. */
	buf_init(&b, 1 << 20);
	buf_str(&b, "X: ");
	while (buf_len(&b) < 4 * AUTHOR_FIELD_MAX)
		buf_byte(&b, 'x');
	buf_str(&b, "\r\nFrom: a@b\r\n\r\n");
	assert_false(look(buf_content(&b), 999, &s, &why));
	assert_null(why);
	assert_string_equal(s.text, "a@b");
	buf_clear(&b);
}

/* Who has seen enough is asked nothing more. */
static void
stops(void **state)
{
	struct seen	 s = { .stop = 2 };
	const char	*why;

	(void)state;
	assert_true(look(span_str("From: a@b, c@d, e@f\r\nSender: g@h\r\n\r\n"),
	    3, &s, &why));
	assert_string_equal(s.text, "a@b c@d");
	assert_true(look(span_str("Sender: a@b\r\nFrom: c@d\r\n e@f"), 3, &s,
	    &why) == false);
	assert_string_equal(why, "blanks within an address");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found),
		cmocka_unit_test(long_field),
		cmocka_unit_test(stops)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
