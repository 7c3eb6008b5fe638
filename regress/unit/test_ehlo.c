/*
 * EHLO keywords: read, written, read back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/smtp/ehlo.h"

static void
lines(void **state)
{
	static const struct { const char *line; uint32_t bits; uint64_t size;
	    const char *auth; } t[] = {
		{ "PIPELINING", CAP_PIPELINING, 0, "" },
		{ "pipelining", CAP_PIPELINING, 0, "" },
		{ "SIZE", CAP_SIZE, 0, "" },
		{ "SIZE 52428800", CAP_SIZE, 52428800, "" },
		{ "SIZE x", CAP_SIZE, 0, "" },
		{ " 8BITMIME ", CAP_8BITMIME, 0, "" },
		{ "AUTH PLAIN LOGIN", CAP_AUTH, 0, "PLAIN LOGIN" },
		{ "AUTH=PLAIN LOGIN", CAP_AUTH, 0, "PLAIN LOGIN" },
		{ "AUTH PLAIN plain  SCRAM-SHA-256 bad/one", CAP_AUTH, 0,
		    "PLAIN SCRAM-SHA-256" },
		{ "AUTH", 0, 0, "" },
		{ "AUTH a-mechanism-of-21-oct", 0, 0, "" },
		{ "XCLIENT NAME ADDR", CAP_XCLIENT, 0, "" },
		{ "ENHANCEDSTATUSCODES", CAP_ENHANCED, 0, "" },
		{ "CHUNKING", CAP_CHUNKING, 0, "" },
		{ "RequireTLS", CAP_REQUIRETLS, 0, "" },
		{ "BINARYMIME", 0, 0, "" },
		{ "X-UNKNOWN a b", 0, 0, "" },
		{ "PIPELININGX", 0, 0, "" },
		{ "", 0, 0, "" },
		{ "=", 0, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct smtp_caps	c = { 0 };

		smtp_caps_line(&c, span_str(t[i].line));
		assert_int_equal(c.bits, t[i].bits);
		assert_int_equal(c.size, t[i].size);
		assert_string_equal(c.auth, t[i].auth);
	}
}

/* However many mechanisms there are, the list stays within its bounds. */
static void
many_mechs(void **state)
{
	struct smtp_caps	c = { 0 };
	char			line[] = "AUTH MECH-00";

	(void)state;
	for (int i = 0; i < 100; i++) {
		line[10] = (char)('0' + i / 10);
		line[11] = (char)('0' + i % 10);
		smtp_caps_line(&c, span_str(line));
	}
	assert_in_range(strlen(c.auth), 480, 500);
	assert_memory_equal(c.auth, "MECH-00 MECH-01 ", 16);
}

/* RFC 9422. */
static void
limits(void **state)
{
	static const struct { const char *line; uint32_t mail, rcpt, domain; }
	    t[] = {
		{ "LIMITS MAILMAX=20 RCPTMAX=100 RCPTDOMAINMAX=1", 20, 100, 1 },
		{ "limits rcptmax=7", 0, 7, 0 },
		{ "LIMITS  X-OTHER=3  RCPTMAX=50\tMAILMAX=2", 2, 50, 0 },
		{ "LIMITS RCPTMAX=999999", 0, 999999, 0 },
		{ "LIMITS RCPTMAX=1000000", 0, 0, 0 },
		{ "LIMITS RCPTMAX=0 MAILMAX", 0, 0, 0 },
		{ "LIMITS RCPTMAX= MAILMAX=x RCPTDOMAINMAX=-1", 0, 0, 0 },
		{ "LIMITS RCPTMAX=5=6", 0, 0, 0 },
		{ "LIMITS", 0, 0, 0 },
		{ "LIMITSRCPTMAX=5", 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct smtp_caps	c = { 0 };

		smtp_caps_line(&c, span_str(t[i].line));
		assert_int_equal(c.bits, 0);
		assert_int_equal(c.mail_max, t[i].mail);
		assert_int_equal(c.rcpt_max, t[i].rcpt);
		assert_int_equal(c.rcpt_domain_max, t[i].domain);
	}
}

static void
written(void **state)
{
	struct smtp_caps	 c = { .bits = CAP_PIPELINING | CAP_SIZE |
				    CAP_AUTH | CAP_HELP | CAP_REQUIRETLS,
				    .size = 1000,
				    .auth = "PLAIN" }, d = { 0 };
	struct buf		 b;
	struct span		 s, line;

	(void)state;
	buf_init(&b, 1000);
	assert_true(smtp_caps_text(&b, "mx.example", &c));
	assert_string_equal(buf_cstr(&b), "mx.example\nPIPELINING\n"
	    "SIZE 1000\nAUTH PLAIN\nREQUIRETLS\nHELP");
	s = buf_content(&b);
	assert_true(span_word(&s, "\n", &line));
	while (span_word(&s, "\n", &line))
		smtp_caps_line(&d, line);
	assert_int_equal(c.bits, d.bits);
	assert_int_equal(c.size, d.size);
	assert_string_equal(c.auth, d.auth);

	buf_reset(&b);
	c = (struct smtp_caps){ .bits = CAP_ESMTP | CAP_AUTH | CAP_XCLIENT };
	assert_true(smtp_caps_text(&b, "mx.example", &c));
	assert_string_equal(buf_cstr(&b), "mx.example");
	buf_clear(&b);
}

/* Keywords that we do not know, as they came. */
static void
others(void **state)
{
	static const struct { const char *text, *others; size_t max; } t[] = {
		{ "mx\nSIZE 10\nX-ONE a b=c\nAUTH PLAIN\nETRN", "X-ONE a b=c\n"
		    "ETRN", 100 },
		{ "mx\nLIMITS RCPTMAX=5\nAUTH=LOGIN\nxclient NAME\npipelining",
		    "", 100 },
		{ "mx\nX-A\x01\nX-B \xc3\xa4\n-X\nX_Y\n\n  X-C  \nX-D\t1",
		    "X-C", 100 },
		{ "X-FIRST", "", 100 },
		{ "mx\nX-LONG 12345\nX-A\nX-B", "X-A\nX-B", 8 },
		{ "mx\nX-A\nX-B", "X-A", 6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf	b;

		buf_init(&b, t[i].max);
		smtp_caps_others(span_str(t[i].text), &b);
		if (!span_is(buf_content(&b), t[i].others))
			fail_msg("%zu: %.*s", i, (int)buf_len(&b),
			    (const char *)buf_content(&b).p);
		buf_clear(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(many_mechs),
		cmocka_unit_test(limits),
		cmocka_unit_test(written),
		cmocka_unit_test(others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
