/*
 * CRLF framing: each input gives the same lines however it is cut.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/smtp/line.h"

/* What one input gives: "line|" for a line, "L|" long, "B|" bare. */
struct row {
	struct span	 in;
	const char	*want;
};

static const struct row rows[] = {
	{ SPAN(""), "" },
	{ SPAN("NOOP\r\n"), "NOOP|" },
	{ SPAN("\r\n"), "|" },
	{ SPAN("a\r\nb\r\n"), "a|b|" },
	{ SPAN("a\r\nb"), "a|" },
	{ SPAN("a\r"), "" },
	{ SPAN("12345678901234\r\n"), "12345678901234|" },
	{ SPAN("123456789012345\r\nx\r\n"), "L!|x|" },
	{ SPAN("12345678901234567890123456789012345\r\n"), "L!|" },
	{ SPAN("123456789012345\r\r\nx\r\n"), "L!|x|" },
	{ SPAN("123456789012345\n\r\nx\r\n"), "B!|x|" },
	{ SPAN("a\nb\r\nc\r\n"), "B!|c|" },
	{ SPAN("a\n"), "B!|" },
	{ SPAN("a\nb\nc\nd\r\ne\r\n"), "B!|e|" },
	{ SPAN("a\rb\r\nc\r\n"), "B!|c|" },
	{ SPAN("a\r\r\nc\r\n"), "B!|c|" },
	{ SPAN("a\n\r\nc\r\n"), "B!|c|" },
	{ SPAN("a\0b\r\nc\r\n"), "B!|c|" },
	{ SPAN("\n\r\n"), "B!|" },
	{ SPAN("\r\r\r\n"), "B!|" },
	{ SPAN("\n\nQUIT\r\nNOOP\r\n"), "B!|NOOP|" },
	{ SPAN("x\0yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\nz\r\n"), "B!|z|" },
};

static size_t
drain(struct smtp_line_state *st, struct span in, char *out)
{
	struct span	line;
	size_t		before = in.len;

	for (;;) {
		switch (smtp_line_next(st, &in, 16, &line)) {
		case SMTP_LINE_OK:
			sprintf(out + strlen(out), "%.*s|", (int)line.len,
			    (const char *)line.p);
			break;
		case SMTP_LINE_LONG:
			strcat(out, "L!|");
			break;
		case SMTP_LINE_BARE:
			strcat(out, "B!|");
			break;
		case SMTP_LINE_SKIP:
			break;
		case SMTP_LINE_MORE:
			return before - in.len;
		}
	}
}

/* Input arrives in two pieces cut at `cut`, or in pieces of `step` bytes. */
static void
run(const struct row *r, size_t cut, size_t step)
{
	struct smtp_line_state	 st = { 0 };
	char			 out[512] = "";
	size_t			 have = cut, eaten = 0;

	for (;;) {
		if (have > r->in.len)
			have = r->in.len;
		eaten += drain(&st, span(r->in.p + eaten, have - eaten), out);
		if (have == r->in.len)
			break;
		have = step > 0 ? have + step : r->in.len;
	}
	assert_string_equal(out, r->want);
}

static void
lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t cut = 0; cut <= rows[i].in.len; cut++)
			run(&rows[i], cut, 0);
		for (size_t step = 1; step < 5; step++)
			run(&rows[i], 0, step);
	}
}

/* Nothing of a long line is kept: the input never has to grow beyond max. */
static void
endless(void **state)
{
	struct smtp_line_state	 st = { 0 };
	uint8_t			 x[64];
	struct span		 in, line;

	(void)state;
	memset(x, 'x', sizeof(x));
	for (int i = 0; i < 1000; i++) {
		in = span(x, sizeof(x));
		assert_int_equal(smtp_line_next(&st, &in, 32, &line),
		    SMTP_LINE_SKIP);
		assert_int_equal(in.len, 0);
	}
	in = span("\r\n", 2);
	assert_int_equal(smtp_line_next(&st, &in, 32, &line), SMTP_LINE_LONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
