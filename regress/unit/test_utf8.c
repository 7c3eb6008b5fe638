/*
 * UTF-8 by the table of RFC 3629, 4, and domains as A-labels.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/utf8.h"

#define S(lit)	((struct span)SPAN(lit))
#define L60	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"

static void
test_valid(void **state)
{
	static const char *const good[] = {
		"", "ascii\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa4z"
	};
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2z",
		"\xc2\xc0", "\xe0\x9f\xbf", "\xe0\xa0", "\xe0\xa0z",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
		"\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xfe", "\xff", "\xe2\x82\xac\xe2\x82"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(utf8_valid(span_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_valid(span_str(bad[i])));
	assert_true(utf8_is_ascii(S("a\0\x7f")));
	assert_false(utf8_is_ascii(S("a\x80")));
}

static void
test_domain(void **state)
{
	static const struct {
		const char	*in, *want;	/* NULL: refused */
	} rows[] = {
		{ "example", "example" },
		{ "A.Example.ORG", "a.example.org" },
		{ "_dmarc.x-y.org", "_dmarc.x-y.org" },
		{ "xn--mnchen-3ya.de", "xn--mnchen-3ya.de" },
		{ "m\xc3\xbcnchen.de", "xn--mnchen-3ya.de" },
		{ "M\xc3\x9cNCHEN.DE", "xn--mnchen-3ya.de" },
		{ "fa\xc3\x9f.de", "xn--fa-hia.de" },	/* IDNA2008 */
		/* The full stop of Japanese writing separates labels. */
		{ "b\xc3\xbc\xe3\x80\x82" "de", "xn--b-eha.de" },
		{ "", NULL }, { ".", NULL }, { "a.", NULL }, { ".a", NULL },
		{ "a..b", NULL }, { "-a.b", NULL }, { "a-.b", NULL },
		{ "a b", NULL }, { "a@b", NULL }, { "a/b", NULL },
		{ "[192.0.2.1]", NULL }, { "a\n", NULL },
		{ "\xff.de", NULL }, { "\xed\xa0\x80.de", NULL },
		{ "b\xc3\xbc..de", NULL }, { "b\xc3\xbc@x.de", NULL },
		{ L60 "aaa.de", L60 "aaa.de" }, { L60 "aaaa.de", NULL }
	};
	char	 dst[254];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = utf8_domain_to_ascii(span_str(rows[i].in), dst,
		    sizeof(dst));

		if (ok != (rows[i].want != NULL))
			fail_msg("%s", rows[i].in);
		if (ok)
			assert_string_equal(dst, rows[i].want);
	}
	assert_false(utf8_domain_to_ascii(S("a\0b"), dst, sizeof(dst)));
	/* 253 bytes are the longest. */
	assert_true(utf8_domain_to_ascii(S(L60 "." L60 "." L60 "." L60
	    ".aaaaaaa.d"), dst, sizeof(dst)));
	assert_false(utf8_domain_to_ascii(S(L60 "." L60 "." L60 "." L60
	    ".aaaaaaaa.d"), dst, sizeof(dst)));
	assert_false(utf8_domain_to_ascii(S("example"), dst, 7));
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_domain)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
