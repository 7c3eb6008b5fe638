/*
 * MTA-STS: records, policies, and the hosts that a policy names.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/tls/sts.h"

static struct sts_policy p;

static void
records(void **state)
{
	static const struct { const char *txt[3]; const char *id; } t[] = {
		{ { "v=STSv1; id=20160831085700Z;" }, "20160831085700Z" },
		{ { "v=STSv1;id=a" }, "a" },
		{ { "v=STSv1 ;\t id=a ; " }, "a" },
		{ { "v=STSv1; x=1; id=a; y_-.2=!?" }, "a" },
		{ { "v=spf1 -all", "v=STSv1; id=a;", "hello" }, "a" },
		{ { "v=STSv10; id=b;", "v=STSv1; id=a;" }, "a" },
		{ { "v=STSv1; id=12345678901234567890123456789012" },
		    "12345678901234567890123456789012" },
		/* None, or more than one. */
		{ { NULL }, NULL },
		{ { "v=STSv1; id=a;", "v=STSv1; id=a;" }, NULL },
		{ { "v=STSv1" }, NULL },
		{ { "v=STSv1;" }, NULL },
		{ { "V=STSv1; id=a;" }, NULL },
		{ { " v=STSv1; id=a;" }, NULL },
		{ { "id=a; v=STSv1;" }, NULL },
		/* Broken ones. */
		{ { "v=STSv1; id=;" }, NULL },
		{ { "v=STSv1; id=a-b;" }, NULL },
		{ { "v=STSv1; id=a; id=b;" }, NULL },
		{ { "v=STSv1; id=123456789012345678901234567890123" }, NULL },
		{ { "v=STSv1; id=a;; x=1" }, NULL },
		{ { "v=STSv1; id=a; x" }, NULL },
		{ { "v=STSv1; id=a; x=" }, NULL },
		{ { "v=STSv1; id=a; x=a=b" }, NULL },
		{ { "v=STSv1; id=a; -x=a" }, NULL },
	};
	char		id[STS_ID_MAX + 1];
	struct span	txt[3];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t	n = 0;

		while (n < 3 && t[i].txt[n] != NULL) {
			txt[n] = span_str(t[i].txt[n]);
			n++;
		}
		if (sts_record(txt, n, id) != (t[i].id != NULL))
			fail_msg("record %zu", i);
		assert_string_equal(id, t[i].id != NULL ? t[i].id : "");
	}
}

static void
policies(void **state)
{
	static const struct {
		const char	*text, *why;	/* why NULL: good */
		enum sts_mode	 mode;
		uint32_t	 age;
		size_t		 nmx;
	} t[] = {
		{ "version: STSv1\nmode: enforce\nmx: mail.example.com\n"
		    "mx: *.example.net\nmax_age: 604800\n", NULL,
		    STS_MODE_ENFORCE, 604800, 2 },
		{ "version: STSv1\r\nmode: testing\r\nmx: a.example\r\n"
		    "max_age: 1\r\n\r\n", NULL, STS_MODE_TESTING, 1, 1 },
		{ "version:STSv1\nmode:none\nmax_age:0", NULL, STS_MODE_NONE,
		    0, 0 },
		{ "mx: a.example\nmax_age: 9999999999 \nmode:\tenforce\n"
		    "x-new: what ever: is\nversion: STSv1\n", NULL,
		    STS_MODE_ENFORCE, STS_AGE_MAX, 1 },
		/* The first of each counts. */
		{ "version: STSv1\nmode: enforce\nmode: none\nmax_age: 5\n"
		    "max_age: x\nversion: 2\nmx: a.example", NULL,
		    STS_MODE_ENFORCE, 5, 1 },
		{ "", "version, mode or max_age is missing", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: a.example\n",
		    "version, mode or max_age is missing", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmax_age: 5\n", "no mx",
		    0, 0, 0 },
		{ "version: STSv2\n", "not version STSv1", 0, 0, 0 },
		{ "version: stsv1\n", "not version STSv1", 0, 0, 0 },
		{ "mode: Enforce\n", "no such mode", 0, 0, 0 },
		{ "max_age: -1\n", "max_age is no number of seconds", 0, 0,
		    0 },
		{ "max_age: 12345678901\n", "max_age is no number of seconds",
		    0, 0, 0 },
		{ "max_age:\n", "max_age is no number of seconds", 0, 0, 0 },
		{ "mx: *\n", "mx is no host name", 0, 0, 0 },
		{ "mx: *.*.example\n", "mx is no host name", 0, 0, 0 },
		{ "mx: a.*.example\n", "mx is no host name", 0, 0, 0 },
		{ "mx: a.example.\n", "mx is no host name", 0, 0, 0 },
		{ "mx:\n", "mx is no host name", 0, 0, 0 },
		{ "<html>\n", "a line that is no field", 0, 0, 0 },
		{ "x: a\001b\n", "a line that is no field", 0, 0, 0 },
		{ ": x\n", "a line that is no field", 0, 0, 0 },
	};
	const char	*why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		enum parse	res = sts_policy_parse(span_str(t[i].text),
				    &p, &why);

		if (t[i].why != NULL) {
			if (res != PARSE_BAD || strcmp(why, t[i].why) != 0)
				fail_msg("policy %zu: %s", i, why);
			continue;
		}
		if (res != PARSE_OK || p.mode != t[i].mode ||
		    p.max_age != t[i].age || p.nmx != t[i].nmx)
			fail_msg("policy %zu", i);
	}
}

static void
bounds(void **state)
{
	const char	*head = "version: STSv1\nmode: enforce\nmax_age: 1\n";
	const char	*why = "";
	struct buf	 b;

	(void)state;
	buf_init(&b, STS_BYTES_MAX * 2);
	buf_str(&b, head);
	for (int i = 0; i < STS_MX_MAX; i++)
		buf_fmt(&b, "mx: mx%d.example\n", i);
	assert_int_equal(sts_policy_parse(buf_content(&b), &p, &why),
	    PARSE_OK);
	assert_int_equal(p.nmx, STS_MX_MAX);
	buf_str(&b, "mx: one.more.example\n");
	assert_int_equal(sts_policy_parse(buf_content(&b), &p, &why),
	    PARSE_BAD);
	assert_string_equal(why, "too many mx");
	buf_reset(&b);
	buf_str(&b, head);
	buf_str(&b, "mx: a.example\nx: ");
	while (buf_len(&b) < STS_BYTES_MAX)
		buf_byte(&b, 'x');
	assert_int_equal(sts_policy_parse(buf_content(&b), &p, &why),
	    PARSE_OK);
	buf_byte(&b, 'x');
	assert_int_equal(sts_policy_parse(buf_content(&b), &p, &why),
	    PARSE_BAD);
	assert_string_equal(why, "too long");
	buf_clear(&b);
}

static void
hosts(void **state)
{
	static const struct { const char *host; bool has; } t[] = {
		{ "mail.example.com", true }, { "MAIL.Example.COM", true },
		{ "a.example.net", true }, { "A.EXAMPLE.NET", true },
		{ "example.net", false }, { ".example.net", false },
		{ "a.b.example.net", false }, { "aexample.net", false },
		{ "x.mail.example.com", false }, { "example.com", false },
		{ "", false }, { "*.example.net", true },
	};
	const char	*why;

	(void)state;
	assert_int_equal(sts_policy_parse(span_str("version: STSv1\n"
	    "mode: enforce\nmx: mail.example.com\nmx: *.example.net\n"
	    "max_age: 1\n"), &p, &why), PARSE_OK);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (sts_policy_has(&p, span_str(t[i].host)) != t[i].has)
			fail_msg("%s", t[i].host);
	}
}

static void
names(void **state)
{
	char	name[DNS_NAME_MAX + 1];

	(void)state;
	assert_true(sts_record_name("example.org", name, sizeof(name)));
	assert_string_equal(name, "_mta-sts.example.org");
	assert_true(sts_host_name("example.org", name, sizeof(name)));
	assert_string_equal(name, "mta-sts.example.org");
	assert_false(sts_host_name("[192.0.2.1]", name, sizeof(name)));
	assert_false(sts_host_name("", name, sizeof(name)));
	assert_string_equal(sts_mode_name(STS_MODE_TESTING), "testing");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(policies),
		cmocka_unit_test(bounds),
		cmocka_unit_test(hosts),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
