/*
 * Address lists (RFC 5322, 3.4 and 4.4) by tables: what is found, where it ends
 * and what is refused; and display names written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/mime/mailbox.h"

/* A list, and what is in it with a blank between. */
static const struct { const char *in, *want; } good[] = {
	{ "", "" },
	{ " \t\r\n ", "" },
	{ "a@b.example", "a@b.example" },
	{ "root", "root" },
	{ " a@b.example , c@d.example ", "a@b.example c@d.example" },
	{ "a@b,,c@d,", "a@b c@d" },
	{ "A B <a@b>", "a@b" },
	{ "\"A, B\" <a@b>, c@d", "a@b c@d" },
	{ "John Q. Public <jqp@x.example>", "jqp@x.example" },
	{ "<a@b>", "a@b" },
	{ "A B\r\n\t<a@b>,\r\n C <c@d>", "a@b c@d" },
	{ "root (Cron Daemon)", "root" },
	{ "(one (two) \\) three) a@b (four)", "a@b" },
	{ "a (x) @ (y) b . c (z)", "a@b.c" },
	{ "\"a b\"@c", "\"a b\"@c" },
	{ "\"a\\\"b\"@c", "\"a\\\"b\"@c" },
	{ "\"a\r\n b\"@c", "\"a b\"@c" },
	{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
	{ "<@x.example,@y.example:a@b>", "a@b" },
	{ "friends: a@b, C <c@d>; e@f", "a@b c@d e@f" },
	{ "undisclosed-recipients:;", "" },
	{ "g1: a@b; g2: ;, c@d", "a@b c@d" },
	{ "\"a group\": a@b;", "a@b" },
	{ "=?utf-8?q?=C3=84?= <a@b>", "a@b" },
	{ "\xc3\xa4@b\xc3\xbc.example", "\xc3\xa4@b\xc3\xbc.example" },
	{ "\"x@y\" <a@b>", "a@b" },
	{ "a.b.c@d", "a.b.c@d" },
};

static const struct { const char *in, *before, *why; } bad[] = {
	{ "a b@c", "", "blanks within an address" },
	{ "a@b c@d", "", "blanks within an address" },
	{ "Some One", "", "blanks within an address" },
	{ "a@b, <", "a@b", "an address in < > has no end" },
	{ "<a@b", "", "an address in < > has no end" },
	{ "<>", "", "an empty address" },
	{ "<a@b> c", "", "no comma behind an address" },
	{ "a@b>", "", "> without <" },
	{ "(a", "", "a comment has no end" },
	{ "a@b (c\\)", "", "a comment has no end" },
	{ "\"a", "", "a quoted string has no end" },
	{ "\"a\\\"", "", "a quoted string has no end" },
	{ "a@[1.2", "", "an address literal has no end" },
	{ "g: a@b", "a@b", "a group has no end" },
	{ "g: h: a@b;", "", "a colon that begins no group" },
	{ ": a@b;", "", "a colon that begins no group" },
	{ "a@b: c@d;", "", "a colon that begins no group" },
	{ "a@b; c@d", "", "a semicolon without a group" },
	{ "<@x a@b>", "", "a route without an address" },
	{ "a@b, \x01 c", "a@b", "a character that cannot stand there" },
	{ "a@b, ) c", "a@b", "a character that cannot stand there" },
};

static const char *
read_all(struct span in, char *dst, size_t size)
{
	struct mailbox_list	 l;
	struct mailbox		 m;
	size_t			 n = 0;
	const char		*why;

	dst[0] = '\0';
	mailbox_list_begin(&l, in);
	while (mailbox_next(&l, &m)) {
		assert_true(m.end <= in.len);
		n += (size_t)snprintf(dst + n, size - n, "%s%.*s",
		    n > 0 ? " " : "", (int)m.addr.len,
		    (const char *)m.addr.p);
		assert_true(n < size);
	}
	why = l.why;
	mailbox_list_clear(&l);
	return why;
}

static void
lists(void **state)
{
	char	 got[512];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_null(read_all(span_str(good[i].in), got, sizeof(got)));
		assert_string_equal(got, good[i].want);
	}
}

static void
no_lists(void **state)
{
	char		 got[512];
	const char	*why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = read_all(span_str(bad[i].in), got, sizeof(got));
		assert_non_null(why);
		assert_string_equal(why, bad[i].why);
		assert_string_equal(got, bad[i].before);
	}
	assert_non_null(read_all(span("a\0b", 3), got, sizeof(got)));
	assert_non_null(read_all(span("\0", 1), got, sizeof(got)));
}

/* Every byte at every place of a list: an end, and nothing outside of it. */
static void
any_byte(void **state)
{
	static const char	 list[] = "A \"b\" <c@d>, (e) f@[1], g: h@i;";
	char			 text[sizeof(list)], got[512];

	(void)state;
	for (size_t at = 0; at < sizeof(list) - 1; at++)
		for (int c = 0; c < 256; c++) {
			memcpy(text, list, sizeof(list));
			text[at] = (char)c;
			(void)read_all(span(text, sizeof(list) - 1), got,
			    sizeof(got));
			(void)read_all(span(text, at + 1), got, sizeof(got));
		}
}

static void
too_long(void **state)
{
	static char	 text[4096];
	char		 got[512];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_string_equal(read_all(span(text, sizeof(text)), got,
	    sizeof(got)), "an address or a name is too long");
}

/* Where a domain goes, and whether there is one. */
static void
ends(void **state)
{
	static const char	 in[] = "R <root> (x), a@b, op (y)";
	struct mailbox_list	 l;
	struct mailbox		 m;

	(void)state;
	mailbox_list_begin(&l, span_str(in));
	assert_true(mailbox_next(&l, &m));
	assert_false(m.domain);
	assert_int_equal(m.end, strlen("R <root"));
	assert_true(mailbox_next(&l, &m));
	assert_true(m.domain);
	assert_int_equal(m.end, strlen("R <root> (x), a@b"));
	assert_true(mailbox_next(&l, &m));
	assert_false(m.domain);
	assert_int_equal(m.end, strlen("R <root> (x), a@b, op"));
	assert_false(mailbox_next(&l, &m));
	assert_null(l.why);
	mailbox_list_clear(&l);
}

static void
phrases(void **state)
{
	static const struct { const char *name, *want; } cases[] = {
		{ "Some One", "Some One" },
		{ "root", "root" },
		{ "J. Doe", "\"J. Doe\"" },
		{ "a \"b\" \\c", "\"a \\\"b\\\" \\\\c\"" },
		{ " x", "\" x\"" },
		{ "a\r\nBcc: x", "\"aBcc: x\"" },
		{ "M\xc3\xbcller", "=?UTF-8?B?TcO8bGxlcg==?=" },
		{ "M\xfcller", "\"M?ller\"" },
		{ "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
		  "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
		  "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
		  "\xc3\xbc\xc3\xbc",
		  "=?UTF-8?B?w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8"
		  "w7zDvMO8w7w=?= =?UTF-8?B?w7w=?=" },
	};
	struct buf	 b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_init(&b, 512);
		assert_true(mailbox_phrase_write(&b, span_str(cases[i].name)));
		assert_string_equal(buf_cstr(&b), cases[i].want);
		buf_clear(&b);
	}
	buf_init(&b, 8);
	assert_false(mailbox_phrase_write(&b, span_str("much too long")));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(no_lists),
		cmocka_unit_test(any_byte),
		cmocka_unit_test(too_long),
		cmocka_unit_test(ends),
		cmocka_unit_test(phrases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
