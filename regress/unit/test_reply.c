/*
 * Replies: the same result however they are cut; what is no reply; limits;
 * writing and reading back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/smtp/reply.h"

struct row {
	struct span	 in;
	int		 code;		/* -1: PARSE_BAD, 0: PARSE_MORE */
	const char	*text;
	bool		 utf8;
	size_t		 left;
};

static const struct row rows[] = {
	{ SPAN("220 hello\r\n"), 220, "hello" },
	{ SPAN("250\r\n"), 250, "" },
	{ SPAN("250 \r\n"), 250, "" },
	{ SPAN("250-a\r\n250-b\r\n250 c\r\n"), 250, "a\nb\nc" },
	{ SPAN("250-a\r\n250\r\n"), 250, "a\n" },
	{ SPAN("550 5.1.1 no\r\n250 ok\r\n"), 550, "5.1.1 no", .left = 8 },
	{ SPAN("354\tgo\r\n"), -1 },
	{ SPAN("250 a\tb\r\n"), 250, "a\tb" },
	{ SPAN("250 a\x1b[1m\x7f\r\n"), 250, "a?[1m?" },
	{ SPAN("250 \xc3\xa4\r\n"), 250, "??" },
	{ SPAN("250 \xc3\xa4\r\n"), 250, "\xc3\xa4", .utf8 = true },
	{ SPAN("250 \xc3\r\n"), 250, "?", .utf8 = true },
	{ SPAN("250 a\rb\r\n"), 250, "a?b" },
	{ SPAN("250 a\r\r\n"), 250, "a?" },
	{ SPAN("250 a\0b\r\n"), 250, "a?b" },
	{ SPAN(""), 0 },
	{ SPAN("250"), 0 },
	{ SPAN("250 x\r"), 0 },
	{ SPAN("250-x\r\n"), 0 },
	{ SPAN("\r\n"), -1 },
	{ SPAN("25\r\n"), -1 },
	{ SPAN("150 a\r\n"), -1 },
	{ SPAN("650 a\r\n"), -1 },
	{ SPAN("25x a\r\n"), -1 },
	{ SPAN("250_a\r\n"), -1 },
	{ SPAN("2500 a\r\n"), -1 },
	{ SPAN(" 250 a\r\n"), -1 },
	{ SPAN("250 a\n"), -1 },
	{ SPAN("250-a\n250 b\r\n"), -1 },
	{ SPAN("250-a\r\n251 b\r\n"), -1 },
	{ SPAN("HTTP/1.1 400 Bad Request\r\n"), -1 },
	{ SPAN("SSH-2.0-x\n"), -1 },
};

static void
check(const struct row *r, size_t cut, bool bytewise)
{
	struct smtp_reply	 rep;
	const char		*why = NULL;
	enum parse		 res = PARSE_MORE;
	struct span		 in = r->in, part;
	size_t			 before;

	smtp_reply_init(&rep);
	while (in.len > 0 && res == PARSE_MORE) {
		part = span_sub(in, 0, cut > 0 ? cut : bytewise ? 1 : in.len);
		cut = 0;
		before = part.len;
		res = smtp_reply_feed(&rep, &part, r->utf8, &why);
		span_skip(&in, before - part.len);
	}
	if (r->code == -1) {
		assert_int_equal(res, PARSE_BAD);
		assert_non_null(why);
	} else if (r->code == 0) {
		assert_int_equal(res, PARSE_MORE);
	} else {
		assert_int_equal(res, PARSE_OK);
		assert_int_equal(rep.code, r->code);
		assert_true(span_is(buf_content(&rep.text), r->text));
		assert_int_equal(in.len, r->left);
		assert_false(rep.cut);
	}
	smtp_reply_clear(&rep);
}

static void
replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t cut = 0; cut <= rows[i].in.len; cut++)
			check(&rows[i], cut, false);
		check(&rows[i], 0, true);
	}
}

static void
one_after_another(void **state)
{
	struct smtp_reply	 rep;
	struct span		 in = SPAN("250-a\r\n250 b\r\n354 go\r\n421 x\r\n");
	const char		*why;

	(void)state;
	smtp_reply_init(&rep);
	assert_int_equal(smtp_reply_feed(&rep, &in, false, &why), PARSE_OK);
	assert_true(span_is(buf_content(&rep.text), "a\nb"));
	assert_int_equal(smtp_reply_feed(&rep, &in, false, &why), PARSE_OK);
	assert_int_equal(rep.code, 354);
	assert_true(span_is(buf_content(&rep.text), "go"));
	assert_int_equal(smtp_reply_feed(&rep, &in, false, &why), PARSE_OK);
	assert_int_equal(rep.code, 421);
	assert_int_equal(smtp_reply_feed(&rep, &in, false, &why), PARSE_MORE);
	smtp_reply_clear(&rep);
}

/* 10,000 lines are counted and cut; the code is kept. */
static void
many_lines(void **state)
{
	struct smtp_reply	 rep;
	struct span		 in;
	const char		*why;

	(void)state;
	smtp_reply_init(&rep);
	for (int i = 0; i < 10000; i++) {
		in = (struct span)SPAN("550-line\r\n");
		assert_int_equal(smtp_reply_feed(&rep, &in, false, &why),
		    PARSE_MORE);
	}
	in = (struct span)SPAN("550 end\r\n");
	assert_int_equal(smtp_reply_feed(&rep, &in, false, &why), PARSE_OK);
	assert_int_equal(rep.code, 550);
	assert_int_equal(rep.lines, 10001);
	assert_true(rep.cut);
	assert_int_equal(buf_len(&rep.text), SMTP_REPLY_LINES_MAX * 5 - 1);
	smtp_reply_clear(&rep);
}

static void
long_line(void **state)
{
	struct smtp_reply	 rep;
	char			 x[100];
	struct span		 in = SPAN("451 ");
	const char		*why;

	(void)state;
	memset(x, 'x', sizeof(x));
	smtp_reply_init(&rep);
	assert_int_equal(smtp_reply_feed(&rep, &in, false, &why), PARSE_MORE);
	for (int i = 0; i < 1000; i++) {
		in = span(x, sizeof(x));
		assert_int_equal(smtp_reply_feed(&rep, &in, false, &why),
		    PARSE_MORE);
	}
	in = (struct span)SPAN("\r\n");
	assert_int_equal(smtp_reply_feed(&rep, &in, false, &why), PARSE_OK);
	assert_int_equal(rep.code, 451);
	assert_true(rep.cut);
	assert_int_equal(buf_len(&rep.text), SMTP_REPLY_LINE_MAX - 4);
	smtp_reply_clear(&rep);
}

static void
enhanced(void **state)
{
	static const struct { uint16_t code; const char *text, *enh; } t[] = {
		{ 250, "2.0.0 ok", "2.0.0" },
		{ 550, "5.1.1", "5.1.1" },
		{ 550, "5.123.456 x", "5.123.456" },
		{ 550, "5.1.1\nmore", "5.1.1" },
		{ 550, "4.1.1 x", NULL },
		{ 550, "5.1 x", NULL },
		{ 550, "5.1.1x", NULL },
		{ 550, "5.1.1234 x", NULL },
		{ 550, "5..1 x", NULL },
		{ 354, "3.0.0 x", NULL },
		{ 550, "", NULL },
	};
	struct span	e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		bool	is = smtp_enhanced(t[i].code, span_str(t[i].text), &e);

		assert_int_equal(is, t[i].enh != NULL);
		if (is)
			assert_true(span_is(e, t[i].enh));
	}
}

static void
written(void **state)
{
	static const struct { uint16_t code; const char *text, *want, *flat; }
	t[] = {
		{ 250, "ok", "250 ok\r\n", "250 ok" },
		{ 250, "", "250 \r\n", "250" },
		{ 250, "a\nb", "250-a\r\n250 b\r\n", "250 a / b" },
		{ 250, "a\n", "250-a\r\n250 \r\n", "250 a" },
		{ 550, "5.1.1 a\r\nx", "550-5.1.1 a?\r\n550 x\r\n",
		    "550 5.1.1 a? / x" },
	};
	struct smtp_reply	 rep;
	struct buf		 b;
	struct span		 in;
	const char		*why;

	(void)state;
	buf_init(&b, 512);
	smtp_reply_init(&rep);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		buf_reset(&b);
		assert_true(smtp_reply_write(&b, t[i].code,
		    span_str(t[i].text)));
		assert_string_equal(buf_cstr(&b), t[i].want);
		in = buf_content(&b);
		assert_int_equal(smtp_reply_feed(&rep, &in, false, &why),
		    PARSE_OK);
		assert_int_equal(rep.code, t[i].code);
		buf_reset(&b);
		assert_true(smtp_reply_flat(&b, t[i].code,
		    span_str(t[i].text)));
		assert_string_equal(buf_cstr(&b), t[i].flat);
	}
	assert_false(smtp_reply_write(&b, 99, span_str("x")));
	assert_false(smtp_reply_write(&b, 600, span_str("x")));
	smtp_reply_clear(&rep);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(one_after_another),
		cmocka_unit_test(many_lines),
		cmocka_unit_test(long_line),
		cmocka_unit_test(enhanced),
		cmocka_unit_test(written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
