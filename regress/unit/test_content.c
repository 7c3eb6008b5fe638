/*
 * Content framing: where a message ends and where it does not, whatever the
 * cuts; forty sequences that other servers have taken for an end; and that what
 * is written is read back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/smtp/content.h"

#define CR	CONTENT_BARE_CR
#define LF	CONTENT_BARE_LF
#define NL	CONTENT_NUL

struct row {
	struct span	in;
	struct span	want;
	unsigned	faults;
	bool		done;
	size_t		left;		/* bytes behind the final dot */
};

static const struct row data_rows[] = {
	{ SPAN(".\r\n"), SPAN(""), 0, true, 0 },
	{ SPAN("a\r\n.\r\n"), SPAN("a\r\n"), 0, true, 0 },
	{ SPAN("a\r\n.\r\nQUIT\r\n"), SPAN("a\r\n"), 0, true, 6 },
	{ SPAN("\r\n.\r\n"), SPAN("\r\n"), 0, true, 0 },
	{ SPAN("..\r\n.\r\n"), SPAN(".\r\n"), 0, true, 0 },
	{ SPAN("...\r\n.\r\n"), SPAN("..\r\n"), 0, true, 0 },
	{ SPAN(".a\r\n.\r\n"), SPAN("a\r\n"), 0, true, 0 },
	{ SPAN("a.\r\n.b.\r\n..c\r\n.\r\n"), SPAN("a.\r\nb.\r\n.c\r\n"), 0,
	    true, 0 },
	{ SPAN("a\r\n\r\n\r\n.\r\n"), SPAN("a\r\n\r\n\r\n"), 0, true, 0 },
	{ SPAN("a\r\n."), SPAN("a\r\n"), 0, false, 0 },
	{ SPAN("a\r\n.\r"), SPAN("a\r\n"), 0, false, 0 },
	{ SPAN("a"), SPAN("a"), 0, false, 0 },
	{ SPAN("a\r"), SPAN("a"), 0, false, 0 },
	{ SPAN("\xff\r\n.\r\n"), SPAN("\xff\r\n"), 0, true, 0 },
	{ SPAN("a\0b\r\n.\r\n"), SPAN("ab\r\n"), NL, true, 0 },
	{ SPAN("a\rb\r\n.\r\n"), SPAN("ab\r\n"), CR, true, 0 },
	{ SPAN("a\nb\r\n.\r\n"), SPAN("ab\r\n"), LF, true, 0 },
	{ SPAN("a\r\r\n.\r\n"), SPAN("a\r\n"), CR, true, 0 },
	{ SPAN(".\n.\r.\0\r\n.\r\n"), SPAN("..\r\n"), CR | LF | NL, true, 0 },
};

/*
 * R10: none of these, put between a line and another, ends the message. What
 * some server once took for the end: SEC Consult's list and the variants that
 * follow from leaving out, doubling or replacing each byte of CR LF . CR LF.
 */
static const struct { struct span s; unsigned faults; } smuggling[] = {
	{ SPAN("\n.\n"), LF },
	{ SPAN("\n.\r\n"), LF },
	{ SPAN("\r\n.\n"), LF },
	{ SPAN("\r.\r"), CR },
	{ SPAN("\r.\r\n"), CR },
	{ SPAN("\r.\n"), CR | LF },
	{ SPAN("\n.\r"), CR | LF },
	{ SPAN("\r\n.\r"), CR },
	{ SPAN("\n\n.\n\n"), LF },
	{ SPAN("\r\r.\r\r"), CR },
	{ SPAN("\n\r.\n\r"), CR | LF },
	{ SPAN("\n\r.\r\n"), CR | LF },
	{ SPAN("\r\n.\n\r"), CR | LF },
	{ SPAN("\r\r\n.\r"), CR },
	{ SPAN("\r\n.\r\r\n"), CR },
	{ SPAN("\r\n.\r\r"), CR },
	{ SPAN("\r\n\0.\r\n"), NL },
	{ SPAN("\r\n.\0\r\n"), NL },
	{ SPAN("\r\n.\r\0\n"), CR | LF | NL },
	{ SPAN("\r\0\n.\r\n"), CR | LF | NL },
	{ SPAN("\0\r\n\0.\0\r\n"), NL },
	{ SPAN("\r\n.\t\r\n"), 0 },
	{ SPAN("\r\n. \r\n"), 0 },
	{ SPAN("\r\n .\r\n"), 0 },
	{ SPAN("\r\n..\r\n"), 0 },
	{ SPAN("\r\n...\r\n"), 0 },
	{ SPAN("\r\n\n.\r\n"), LF },
	{ SPAN("\n\n.\r\n"), LF },
	{ SPAN("\r\n\r.\r\n"), CR },
	{ SPAN("\r\n.\n\r\n"), LF },
	{ SPAN("\r\n.\n\n"), LF },
	{ SPAN("\n.\r\r\n"), CR | LF },
	{ SPAN("\r\r\n\r.\r\n"), CR },
	{ SPAN("\x85.\x85"), 0 },
	{ SPAN("\xc2\x85.\xc2\x85"), 0 },
	{ SPAN("\xe2\x80\xa8.\xe2\x80\xa8"), 0 },
	{ SPAN("\v.\v"), 0 },
	{ SPAN("\f.\f"), 0 },
	{ SPAN("\r\n\xe3\x80\x82\r\n"), 0 },
	{ SPAN("\r\n.\x1a\r\n"), 0 },
	{ SPAN("\r\n.\x08.\r\n"), 0 },
	{ SPAN("\x8d\x8a.\x8d\x8a"), 0 },
	{ SPAN("\r\n\x2e\x2e\n"), LF },
	{ SPAN("\r\n.\xff\r\n"), 0 },
};

static void
is_canonical(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		assert_int_not_equal(s.p[i], '\0');
		if (s.p[i] == '\r')
			assert_true(i + 1 < s.len && s.p[i + 1] == '\n');
		if (s.p[i] == '\n')
			assert_true(i > 0 && s.p[i - 1] == '\r');
	}
}

/* Feeds `in` cut at `cut`, or byte by byte; room is the output's bytes a call. */
static void
feed(struct smtp_content_in *c, struct span *in, size_t cut, bool bytewise,
    size_t room, struct buf *all)
{
	struct buf	out;
	struct span	part;
	size_t		before;

	buf_init(&out, room);
	while (in->len > 0 && !c->done) {
		part = span_sub(*in, 0, cut > 0 && cut < in->len ? cut :
		    bytewise ? 1 : in->len);
		cut = cut > part.len ? cut - part.len : 0;
		while (part.len > 0 && !c->done) {
			before = part.len;
			smtp_content_feed(c, &part, &out);
			span_skip(in, before - part.len);
			assert_true(buf_span(all, buf_content(&out)));
			assert_true(before != part.len || buf_len(&out) > 0);
			buf_drain(&out, buf_len(&out));
		}
	}
	buf_clear(&out);
}

static bool	normalize;

static void
check(const struct row *r, bool bdat, size_t cut, bool bytewise, size_t room)
{
	struct smtp_content_in	c;
	struct buf		out;
	struct span		in = r->in;

	buf_init(&out, 4096);
	smtp_content_begin(&c, bdat);
	c.normalize = normalize;
	feed(&c, &in, cut, bytewise, room, &out);
	if (bdat)
		smtp_content_bdat_end(&c, &out);
	assert_int_equal(c.done, r->done);
	assert_int_equal(c.faults, r->faults);
	assert_int_equal(in.len, r->left);
	assert_int_equal(c.size, buf_len(&out));
	assert_true(span_eq(buf_content(&out), r->want));
	buf_clear(&out);
}

static void
check_all(const struct row *r, bool bdat)
{
	for (size_t cut = 0; cut <= r->in.len; cut++) {
		check(r, bdat, cut, false, 4096);
		check(r, bdat, cut, false, 2);
	}
	check(r, bdat, 0, true, 4096);
	check(r, bdat, 0, true, 3);
}

static void
data(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(data_rows) / sizeof(data_rows[0]); i++)
		check_all(&data_rows[i], false);
}

static void
smuggled(void **state)
{
	struct smtp_content_in	c;
	struct buf		in, out;
	struct span		s;

	(void)state;
	assert_true(sizeof(smuggling) / sizeof(smuggling[0]) >= 40);
	buf_init(&in, 4096);
	buf_init(&out, 4096);
	for (size_t i = 0; i < sizeof(smuggling) / sizeof(smuggling[0]); i++) {
		buf_reset(&in);
		assert_true(buf_str(&in, "Subject: x\r\n\r\none") &&
		    buf_span(&in, smuggling[i].s) &&
		    buf_str(&in, "MAIL FROM:<evil@example.org>\r\n.\r\n"));
		for (size_t cut = 0; cut < buf_len(&in); cut++) {
			buf_reset(&out);
			smtp_content_begin(&c, false);
			s = buf_content(&in);
			feed(&c, &s, cut, false, 4096, &out);
			assert_true(c.done);
			assert_int_equal(s.len, 0);
			assert_int_equal(c.faults, smuggling[i].faults);
			is_canonical(buf_content(&out));
			/* Made whole it is no end either. */
			buf_reset(&out);
			smtp_content_begin(&c, false);
			c.normalize = true;
			s = buf_content(&in);
			feed(&c, &s, cut, false, 4096, &out);
			assert_true(c.done);
			assert_int_equal(s.len, 0);
			assert_int_equal(c.faults, smuggling[i].faults & NL);
			is_canonical(buf_content(&out));
			assert_true(span_caseends(buf_content(&out),
			    span_str("MAIL FROM:<evil@example.org>\r\n")));
		}
	}
	buf_clear(&in);
	buf_clear(&out);
}

static void
bdat(void **state)
{
	static const struct row rows[] = {
		{ SPAN(""), SPAN(""), 0, false, 0 },
		{ SPAN("a\r\n"), SPAN("a\r\n"), 0, false, 0 },
		{ SPAN("a"), SPAN("a\r\n"), 0, false, 0 },
		{ SPAN(".\r\n"), SPAN(".\r\n"), 0, false, 0 },
		{ SPAN("a\r\n.\r\nb\r\n"), SPAN("a\r\n.\r\nb\r\n"), 0, false,
		    0 },
		{ SPAN("..\r\n"), SPAN("..\r\n"), 0, false, 0 },
		{ SPAN("a\r"), SPAN("a\r\n"), CR, false, 0 },
		{ SPAN("a\nb\r\n"), SPAN("ab\r\n"), LF, false, 0 },
		{ SPAN("\0\r\n"), SPAN("\r\n"), NL, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_all(&rows[i], true);
}

/* A bare CR or LF is made a CR LF, and what it divides is content. */
static void
mended(void **state)
{
	static const struct row rows[] = {
		{ SPAN("a\nb\r\n.\r\n"), SPAN("a\r\nb\r\n"), 0, true, 0 },
		{ SPAN("a\rb\r\n.\r\n"), SPAN("a\r\nb\r\n"), 0, true, 0 },
		{ SPAN("a\n.\nb\r\n.\r\n"), SPAN("a\r\n.\r\nb\r\n"), 0,
		    true, 0 },
		{ SPAN("a\n.\r\nb\r\n.\r\n"), SPAN("a\r\n.\r\nb\r\n"), 0,
		    true, 0 },
		{ SPAN("a\r\n.\nb\r\n.\r\n"), SPAN("a\r\n.\r\nb\r\n"), 0,
		    true, 0 },
		{ SPAN("a\r\n.\rb\r\n.\r\n"), SPAN("a\r\n.\r\nb\r\n"), 0,
		    true, 0 },
		{ SPAN("a\r.\rb\r\n.\r\n"), SPAN("a\r\n.\r\nb\r\n"), 0,
		    true, 0 },
		{ SPAN("a\r\n.\r\r\n.\r\n"), SPAN("a\r\n.\r\n\r\n"), 0,
		    true, 0 },
		{ SPAN("a\n..b\r\n.\r\n"), SPAN("a\r\n..b\r\n"), 0, true,
		    0 },
		{ SPAN("a\r\r\n.\r\n"), SPAN("a\r\n\r\n"), 0, true, 0 },
		{ SPAN("a\n\n\n.\n"), SPAN("a\r\n\r\n\r\n.\r\n"), 0, false,
		    0 },
		{ SPAN("\n\r\n.\r\n"), SPAN("\r\n\r\n"), 0, true, 0 },
		{ SPAN("a\0\n.\r\n\r\n.\r\n"), SPAN("a\r\n.\r\n\r\n"),
		    NL, true, 0 },
	};
	static const struct row chunks[] = {
		{ SPAN("a\nb\rc"), SPAN("a\r\nb\r\nc\r\n"), 0, false, 0 },
		{ SPAN("a\r"), SPAN("a\r\n"), 0, false, 0 },
		{ SPAN("a\n"), SPAN("a\r\n"), 0, false, 0 },
		{ SPAN("\n.\n"), SPAN("\r\n.\r\n"), 0, false, 0 },
	};

	(void)state;
	normalize = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_all(&rows[i], false);
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
		check_all(&chunks[i], true);
	normalize = false;
}

static void
measures(void **state)
{
	struct smtp_content_in	c;
	struct span		in = SPAN("12345\r\n1234567\r\n..1\xc3\xa4\r\n.\r\n");
	struct buf		out;

	(void)state;
	buf_init(&out, 4096);
	smtp_content_begin(&c, false);
	smtp_content_feed(&c, &in, &out);
	assert_true(c.done && c.eight);
	assert_int_equal(c.line_max, 7);
	assert_int_equal(c.size, 7 + 9 + 6);
	buf_clear(&out);
}

static void
write_one(struct span content, size_t cut, size_t room, struct buf *all)
{
	struct smtp_content_out	o;
	struct buf		out;
	struct span		part;

	buf_init(&out, room);
	smtp_content_out_begin(&o);
	for (int i = 0; i < 2; i++) {
		part = i == 0 ? span_sub(content, 0, cut) :
		    span_sub(content, cut, content.len);
		while (part.len > 0) {
			smtp_content_write(&o, &part, &out);
			assert_true(buf_len(&out) > 0);
			buf_span(all, buf_content(&out));
			buf_drain(&out, buf_len(&out));
		}
	}
	assert_true(smtp_content_finish(&o, all));
	buf_clear(&out);
}

/* Written with any cuts, it is read back as it was. */
static void
round_trip(void **state)
{
	static const struct { struct span content, wire; } rows[] = {
		{ SPAN(""), SPAN(".\r\n") },
		{ SPAN("a\r\n"), SPAN("a\r\n.\r\n") },
		{ SPAN("a"), SPAN("a\r\n.\r\n") },
		{ SPAN(".\r\n"), SPAN("..\r\n.\r\n") },
		{ SPAN(".\r\n.\r\n..\r\n"), SPAN("..\r\n..\r\n...\r\n.\r\n") },
		{ SPAN("a.b\r\n.c\r\nd.\r\n"),
		    SPAN("a.b\r\n..c\r\nd.\r\n.\r\n") },
		{ SPAN("\r\n\r\n.x"), SPAN("\r\n\r\n..x\r\n.\r\n") },
	};
	struct smtp_content_in	c;
	struct buf		wire, back;
	struct span		s;

	(void)state;
	buf_init(&wire, 4096);
	buf_init(&back, 4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span	content = rows[i].content;

		for (size_t n = 0; n <= content.len * 2; n++) {
			buf_reset(&wire);
			buf_reset(&back);
			write_one(content, n / 2, n % 2 ? 8 : 2, &wire);
			assert_true(span_eq(buf_content(&wire),
			    rows[i].wire));
			smtp_content_begin(&c, false);
			s = buf_content(&wire);
			smtp_content_feed(&c, &s, &back);
			assert_true(c.done && c.faults == 0 && s.len == 0);
			assert_true(span_starts(buf_content(&back), content));
		}
	}
	buf_clear(&wire);
	buf_clear(&back);
}

/* Random bytes of the five that matter: all cuts agree with each other. */
static void
noise(void **state)
{
	static const uint8_t	 alphabet[] = "\r\n.\0a";
	struct smtp_content_in	 one, two;
	uint8_t			 bytes[24];
	struct buf		 a, b;
	struct span		 s, t;

	(void)state;
	srandom(1);
	buf_init(&a, 4096);
	buf_init(&b, 4096);
	for (int i = 0; i < 200000; i++) {
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = alphabet[random() % 5];
		buf_reset(&a);
		buf_reset(&b);
		smtp_content_begin(&one, i & 1);
		smtp_content_begin(&two, i & 1);
		s = t = span(bytes, sizeof(bytes));
		feed(&one, &s, 0, false, 4096, &a);
		feed(&two, &t, (size_t)random() % 24, i & 2, 7, &b);
		is_canonical(buf_content(&a));
		assert_true(span_eq(buf_content(&a), buf_content(&b)));
		assert_int_equal(one.faults, two.faults);
		assert_int_equal(one.done, two.done);
		assert_int_equal(s.len, t.len);
		assert_int_equal(one.line_max, two.line_max);
	}
	buf_clear(&a);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data),
		cmocka_unit_test(smuggled),
		cmocka_unit_test(bdat),
		cmocka_unit_test(mended),
		cmocka_unit_test(measures),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
