/*
 * Paths and mailboxes: RFC 5321, 4.1.2, by tables; every byte at every place;
 * writing and reading back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/smtp/path.h"

#define L63	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
#define L64	L63 "h"
#define L255	L64 L64 L64 L63

enum { PLAIN = 0, NULLOK = 1, UTF8 = 2 };

/* A good path: what it is written as; local and domain where they are odd. */
static const struct {
	const char	*in;
	int		 flags;
	const char	*text, *written, *domain;
} good[] = {
	{ "<a@b.example>", 0, "a@b.example", "a@b.example", "b.example" },
	{ "<A.b@B.EXAMPLE>", 0, "A.b@B.EXAMPLE", "A.b@b.example",
	    "b.example" },
	{ "<a@localhost>", 0, "a@localhost", "a@localhost", "localhost" },
	{ "<!#$%&'*+-/=?^_`{|}~@x.y>", 0, "!#$%&'*+-/=?^_`{|}~@x.y",
	    "!#$%&'*+-/=?^_`{|}~@x.y", "x.y" },
	{ "<a%b.example@c.example>", 0, "a%b.example@c.example",
	    "a%b.example@c.example", "c.example" },
	{ "<b.example!a@c.example>", 0, "b.example!a@c.example",
	    "b.example!a@c.example", "c.example" },
	{ "<\"a b\"@c.d>", 0, "\"a b\"@c.d", "\"a b\"@c.d", "c.d" },
	{ "<\"a.b\"@c.d>", 0, "\"a.b\"@c.d", "a.b@c.d", "c.d" },
	{ "<\"a\\.b\"@c.d>", 0, "\"a\\.b\"@c.d", "a.b@c.d", "c.d" },
	{ "<\"a\\\"b\"@c.d>", 0, "\"a\\\"b\"@c.d", "\"a\\\"b\"@c.d", "c.d" },
	{ "<\"a\\\\\"@c.d>", 0, "\"a\\\\\"@c.d", "\"a\\\\\"@c.d", "c.d" },
	{ "<\"a>b@c\"@c.d>", 0, "\"a>b@c\"@c.d", "\"a>b@c\"@c.d", "c.d" },
	{ "<\"\"@c.d>", 0, "\"\"@c.d", "\"\"@c.d", "c.d" },
	{ "<\".\"@c.d>", 0, "\".\"@c.d", "\".\"@c.d", "c.d" },
	{ "<a@[192.0.2.1]>", 0, "a@[192.0.2.1]", "a@[192.0.2.1]",
	    "[192.0.2.1]" },
	{ "<a@[IPv6:2001:DB8::1]>", 0, "a@[IPv6:2001:DB8::1]",
	    "a@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]" },
	{ "<a@[ipv6:::]>", 0, "a@[ipv6:::]", "a@[ipv6:::]", "[ipv6:::]" },
	{ "<a@[IPv6:::ffff:192.0.2.1]>", 0, "a@[IPv6:::ffff:192.0.2.1]",
	    "a@[IPv6:::ffff:192.0.2.1]", "[ipv6:::ffff:192.0.2.1]" },
	{ "<@x.y:a@b.c>", 0, "a@b.c", "a@b.c", "b.c" },
	{ "<@x.y,@z:a@b.c>", 0, "a@b.c", "a@b.c", "b.c" },
	{ "<Postmaster>", 0, "Postmaster", "Postmaster", "" },
	{ "<POSTMASTER@b.c>", 0, "POSTMASTER@b.c", "POSTMASTER@b.c", "b.c" },
	{ "<>", NULLOK, "", "", "" },
	{ "<a@1.2.3>", 0, "a@1.2.3", "a@1.2.3", "1.2.3" },
	{ "<a@x--y.b>", 0, "a@x--y.b", "a@x--y.b", "x--y.b" },
	{ "<" L255 "@b.c>", 0, L255 "@b.c", L255 "@b.c", "b.c" },
	{ "<a@" L63 ".c>", 0, "a@" L63 ".c", "a@" L63 ".c", L63 ".c" },
	{ "<a@" L63 "." L63 "." L63 ".c>", 0, "a@" L63 "." L63 "." L63 ".c",
	    "a@" L63 "." L63 "." L63 ".c", L63 "." L63 "." L63 ".c" },
	{ "<\xc3\xa4@b.c>", UTF8, "\xc3\xa4@b.c", "\xc3\xa4@b.c", "b.c" },
	{ "<\"\xc3\xa4 x\"@b.c>", UTF8, "\"\xc3\xa4 x\"@b.c",
	    "\"\xc3\xa4 x\"@b.c", "b.c" },
	{ "<a@b\xc3\xbc" "cher.example>", UTF8,
	    "a@b\xc3\xbc" "cher.example", "a@xn--bcher-kva.example",
	    "xn--bcher-kva.example" },
	{ "<\xc3\xa4@b\xc3\xbc" "cher.example>", UTF8,
	    "\xc3\xa4@b\xc3\xbc" "cher.example",
	    "\xc3\xa4@b\xc3\xbc" "cher.example", "xn--bcher-kva.example" },
};

static const struct { struct span in; int flags; } bad[] = {
	{ SPAN(""), 0 },
	{ SPAN("a@b.c"), 0 },
	{ SPAN("<"), 0 },
	{ SPAN("<>"), 0 },
	{ SPAN("<a@b.c"), 0 },
	{ SPAN("< a@b.c>"), 0 },
	{ SPAN("<a@b.c >"), 0 },
	{ SPAN("<a>"), 0 },
	{ SPAN("<a>"), NULLOK },
	{ SPAN("<Postmaster>"), NULLOK },
	{ SPAN("<a@>"), 0 },
	{ SPAN("<@b.c>"), 0 },
	{ SPAN("<@b.c:>"), 0 },
	{ SPAN("<@b.c,a@b.c>"), 0 },
	{ SPAN("<@b.c,@:a@b.c>"), 0 },
	{ SPAN("<@[192.0.2.1]:a@b.c>"), 0 },
	{ SPAN("<a@@b.c>"), 0 },
	{ SPAN("<a@b@c>"), 0 },
	{ SPAN("<.a@b.c>"), 0 },
	{ SPAN("<a.@b.c>"), 0 },
	{ SPAN("<a..b@b.c>"), 0 },
	{ SPAN("<a b@b.c>"), 0 },
	{ SPAN("<a,b@b.c>"), 0 },
	{ SPAN("<a;b@b.c>"), 0 },
	{ SPAN("<a(c)@b.c>"), 0 },
	{ SPAN("<a\\b@b.c>"), 0 },
	{ SPAN("<\"a@b.c>"), 0 },
	{ SPAN("<\"a\\\"@b.c>"), 0 },
	{ SPAN("<\"a\"b@b.c>"), 0 },
	{ SPAN("<\"a\".b@b.c>"), 0 },
	{ SPAN("<a.\"b\"@b.c>"), 0 },
	{ SPAN("<\"a\tb\"@b.c>"), 0 },
	{ SPAN("<\"a\\\tb\"@b.c>"), 0 },
	{ SPAN("<\"a\rb\"@b.c>"), 0 },
	{ SPAN("<\"a\\\nb\"@b.c>"), 0 },
	{ SPAN("<\"a\0b\"@b.c>"), 0 },
	{ SPAN("<a\0@b.c>"), 0 },
	{ SPAN("<a@b\0.c>"), 0 },
	{ SPAN("<a@b.c\0>"), 0 },
	{ SPAN("<a@.b>"), 0 },
	{ SPAN("<a@b.>"), 0 },
	{ SPAN("<a@b..c>"), 0 },
	{ SPAN("<a@-b.c>"), 0 },
	{ SPAN("<a@b-.c>"), 0 },
	{ SPAN("<a@b.c->"), 0 },
	{ SPAN("<a@b_c.d>"), 0 },
	{ SPAN("<a@b c.d>"), 0 },
	{ SPAN("<a@[192.0.2.1>"), 0 },
	{ SPAN("<a@[192.0.2]>"), 0 },
	{ SPAN("<a@[192.0.2.256]>"), 0 },
	{ SPAN("<a@[]>"), 0 },
	{ SPAN("<a@[2001:db8::1]>"), 0 },
	{ SPAN("<a@[IPv6:192.0.2.1]>"), 0 },
	{ SPAN("<a@[IPv6:2001:db8::1%eth0]>"), 0 },
	{ SPAN("<a@[IPv6:2001:db8:::1]>"), 0 },
	{ SPAN("<a@[x-tag:whatever]>"), 0 },
	{ SPAN("<a@[192.0.2.1].b>"), 0 },
	{ SPAN("<\xc3\xa4@b.c>"), 0 },
	{ SPAN("<\"\xc3\xa4\"@b.c>"), 0 },
	{ SPAN("<a@b\xc3\xbc" "cher.example>"), 0 },
	{ SPAN("<\xff@b.c>"), UTF8 },
	{ SPAN("<\"\xc3\"@b.c>"), UTF8 },
	{ SPAN("<a@\xff.c>"), UTF8 },
	{ SPAN("<" L255 "x@b.c>"), 0 },
	{ SPAN("<a@" L64 ".c>"), 0 },
	{ SPAN("<a@" L63 "." L63 "." L63 "." L63 ".c>"), 0 },
};

static void
good_paths(void **state)
{
	struct smtp_path	 p, q;
	struct span		 in;
	struct buf		 b;
	const char		*why;
	char			 rest[600], dom[256];

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(rest, sizeof(rest), "%s SIZE=1", good[i].in);
		in = span_str(rest);
		assert_int_equal(smtp_path_parse(&in, good[i].flags & UTF8,
		    good[i].flags & NULLOK, &p, &why), PARSE_OK);
		assert_true(span_is(in, " SIZE=1"));
		assert_true(span_is(p.text, good[i].text));
		assert_int_equal(p.utf8, (good[i].flags & UTF8) != 0);
		assert_true(smtp_path_domain(&p, dom, sizeof(dom)));
		assert_string_equal(dom, good[i].domain);
		buf_reset(&b);
		assert_true(smtp_path_write(&b, &p));
		assert_string_equal(buf_cstr(&b), good[i].written);
		if (buf_len(&b) == 0)
			continue;
		assert_int_equal(smtp_mailbox_parse(buf_content(&b),
		    good[i].flags & UTF8, &q, &why), PARSE_OK);
		assert_int_equal(q.literal, p.literal);
	}
	buf_clear(&b);
}

static void
bad_paths(void **state)
{
	struct smtp_path	 p;
	struct span		 in;
	const char		*why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		in = bad[i].in;
		if (smtp_path_parse(&in, bad[i].flags & UTF8,
		    bad[i].flags & NULLOK, &p, &why) != PARSE_BAD)
			fail_msg("taken: %.*s", (int)bad[i].in.len,
			    (const char *)bad[i].in.p);
		assert_non_null(why);
		assert_int_equal(in.len, bad[i].in.len);
	}
}

/* R11: whatever byte stands wherever, what is taken has no control character,
 * and what is written from it parses to the same again. */
static void
every_byte(void **state)
{
	static const char	 model[] = "<@x,@y:\"a \\b\".c@d.e>";
	static const char	 model2[] = "<\"a \\b\"@d.e>";
	const char		*models[] = { model, model2,
				    "<a.b@[192.0.2.1]>", "<a@b.c>" };
	char			 s[64];
	struct smtp_path	 p, q;
	struct span		 in;
	struct buf		 b;
	const char		*why;

	(void)state;
	buf_init(&b, 1000);
	for (size_t m = 0; m < 4; m++) {
		for (size_t i = 0; i < strlen(models[m]); i++) {
			for (int c = 0; c < 256; c++) {
				strcpy(s, models[m]);
				s[i] = (char)c;
				in = span(s, strlen(models[m]));
				if (smtp_path_parse(&in, c & 1, false, &p,
				    &why) != PARSE_OK)
					continue;
				for (size_t k = 0; k < p.text.len; k++)
					assert_true(p.text.p[k] >= ' ' &&
					    p.text.p[k] != 127);
				buf_reset(&b);
				assert_true(smtp_path_write(&b, &p));
				assert_int_equal(smtp_mailbox_parse(
				    buf_content(&b), true, &q, &why),
				    PARSE_OK);
			}
		}
	}
	buf_clear(&b);
}

static void
domains(void **state)
{
	static const struct { const char *in; bool utf8, ok; } t[] = {
		{ "a", false, true },
		{ "a.b", false, true },
		{ "[192.0.2.1]", false, true },
		{ "", false, false },
		{ "a.b ", false, false },
		{ "a.b.", false, false },
		{ "[192.0.2.1]x", false, false },
		{ "b\xc3\xbc" "cher", false, false },
		{ "b\xc3\xbc" "cher", true, true },
	};
	const char	*why;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(smtp_domain_parse(span_str(t[i].in),
		    t[i].utf8, &why), t[i].ok ? PARSE_OK : PARSE_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_paths),
		cmocka_unit_test(bad_paths),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
