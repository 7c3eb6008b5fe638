/*
 * Verbs, BDAT's argument, the names of EHLO and HELO.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/smtp/command.h"

static void
commands(void **state)
{
	static const struct { struct span in; bool ok; enum smtp_verb verb;
	    const char *word, *arg; } t[] = {
		{ SPAN("NOOP"), true, VERB_NOOP, "NOOP", "" },
		{ SPAN("nOoP"), true, VERB_NOOP, "nOoP", "" },
		{ SPAN("EHLO a.example"), true, VERB_EHLO, "EHLO",
		    "a.example" },
		{ SPAN("MAIL  FROM:<> SIZE=1  "), true, VERB_MAIL, "MAIL",
		    "FROM:<> SIZE=1" },
		{ SPAN("DATA "), true, VERB_DATA, "DATA", "" },
		{ SPAN("STARTTLS"), true, VERB_STARTTLS, "STARTTLS", "" },
		{ SPAN("XCLIENT a=b"), true, VERB_XCLIENT, "XCLIENT", "a=b" },
		{ SPAN("NOOPX"), true, VERB_NONE, "NOOPX", "" },
		{ SPAN("NOO"), true, VERB_NONE, "NOO", "" },
		{ SPAN("GET / HTTP/1.1"), true, VERB_NONE, "GET",
		    "/ HTTP/1.1" },
		{ SPAN("\xff\xfe"), true, VERB_NONE, "\xff\xfe", "" },
		{ SPAN(""), false, VERB_NONE, "", "" },
		{ SPAN(" NOOP"), false, VERB_NONE, "", "NOOP" },
	};
	struct smtp_command	c;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(smtp_command_parse(t[i].in, &c), t[i].ok);
		assert_int_equal(c.verb, t[i].verb);
		assert_true(span_is(c.word, t[i].word));
		assert_true(span_is(c.arg, t[i].arg));
	}
	for (int v = VERB_NONE + 1; v < VERB_MAX; v++) {
		assert_true(smtp_command_parse(span_str(smtp_verb_name(v)),
		    &c));
		assert_int_equal(c.verb, v);
	}
	assert_string_equal(smtp_verb_name(VERB_MAX), "");
}

static void
bdat(void **state)
{
	static const struct { const char *in; bool ok; uint64_t n; bool last; }
	t[] = {
		{ "0", true, 0, false },
		{ "1000", true, 1000, false },
		{ "1000 LAST", true, 1000, true },
		{ "1000  last", true, 1000, true },
		{ "0 LAST", true, 0, true },
		{ "9223372036854775807", true, INT64_MAX, false },
		{ "9223372036854775808", false, 0, false },
		{ "99999999999999999999999", false, 0, false },
		{ "", false, 0, false },
		{ "LAST", false, 0, false },
		{ "-1", false, 0, false },
		{ "+1", false, 0, false },
		{ "1x", false, 0, false },
		{ "0x10", false, 0, false },
		{ "10 LASTX", false, 0, false },
		{ "10 LAST LAST", false, 0, false },
	};
	const char	*why;
	uint64_t	 n;
	bool		 last;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		why = NULL;
		assert_int_equal(smtp_bdat_parse(span_str(t[i].in), &n, &last,
		    &why), t[i].ok ? PARSE_OK : PARSE_BAD);
		if (t[i].ok) {
			assert_int_equal(n, t[i].n);
			assert_int_equal(last, t[i].last);
		} else
			assert_non_null(why);
	}
}

static void
helo(void **state)
{
	static const struct { struct span in; bool ehlo, helo; } t[] = {
		{ SPAN("a.example"), true, true },
		{ SPAN("localhost"), true, true },
		{ SPAN("MY_PC"), true, true },
		{ SPAN("192.0.2.1"), true, true },
		{ SPAN("[192.0.2.1]"), true, true },
		{ SPAN("[IPv6:2001:db8::1]"), true, true },
		{ SPAN("[192.0.2.256]"), false, true },
		{ SPAN("[x:y]"), false, true },
		{ SPAN("a(b)"), false, true },
		{ SPAN(""), false, false },
		{ SPAN("a b"), false, false },
		{ SPAN("a\tb"), false, false },
		{ SPAN("a\0b"), false, false },
		{ SPAN("a\x7f"), false, false },
		{ SPAN("b\xc3\xbc" "cher.example"), false, false },
	};
	const char	*why;
	char		 name[300];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(smtp_helo_parse(t[i].in, true, &why),
		    t[i].ehlo ? PARSE_OK : PARSE_BAD);
		assert_int_equal(smtp_helo_parse(t[i].in, false, &why),
		    t[i].helo ? PARSE_OK : PARSE_BAD);
	}
	memset(name, 'a', sizeof(name));
	assert_int_equal(smtp_helo_parse(span(name, 255), false, &why),
	    PARSE_OK);
	assert_int_equal(smtp_helo_parse(span(name, 256), false, &why),
	    PARSE_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(bdat),
		cmocka_unit_test(helo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
