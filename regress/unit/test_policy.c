/*
 * `tls policy`: what an entry says, until when, and for which domains.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/conf/bundle.h"
#include "common/conf/policy.h"

#define DAY	86400000LL

static void
entries(void **state)
{
	static const struct {
		const char		*value;
		bool			 good;
		enum conf_tls_mode	 mode;
		int64_t			 until;
	} t[] = {
		{ "off", true, TLS_OFF, INT64_MAX },
		{ "opportunistic", true, TLS_OPPORTUNISTIC, INT64_MAX },
		{ " require ", true, TLS_REQUIRE, INT64_MAX },
		{ "verify", true, TLS_VERIFY, INT64_MAX },
		{ "dane", true, TLS_DANE, INT64_MAX },
		{ "dane until 1970-01-01", true, TLS_DANE, DAY },
		{ "off  until\t1971-03-01", true, TLS_OFF, 425 * DAY },
		{ "off until 2000-02-29", true, TLS_OFF, 11017 * DAY },
		{ "off until 2000-03-01", true, TLS_OFF, 11018 * DAY },
		{ "off until 2027-01-01", true, TLS_OFF, 20820 * DAY },
		{ "", false, 0, 0 }, { "strict", false, 0, 0 },
		{ "Require", false, 0, 0 },
		{ "off until", false, 0, 0 },
		{ "off since 2027-01-01", false, 0, 0 },
		{ "off until 2027-1-1", false, 0, 0 },
		{ "off until 2027-13-01", false, 0, 0 },
		{ "off until 2027-00-01", false, 0, 0 },
		{ "off until 2027-02-29", false, 0, 0 },
		{ "off until 2027-04-31", false, 0, 0 },
		{ "off until 2100-02-29", false, 0, 0 },
		{ "off until 2027-12-32", false, 0, 0 },
		{ "off until 2027-12-31", true, TLS_OFF, 21184 * DAY },
		{ "off until 9999-12-31", true, TLS_OFF, 2932897 * DAY },
		{ "off until 2027-01-00", false, 0, 0 },
		{ "off until 1969-12-31", false, 0, 0 },
		{ "off until 2027-01-01 12:00", false, 0, 0 },
		{ "until 2027-01-01", false, 0, 0 },
	};
	enum conf_tls_mode	 mode;
	const char		*why;
	int64_t			 until;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		enum parse	res = policy_parse(span_str(t[i].value),
				    &mode, &until, &why);

		if ((res == PARSE_OK) != t[i].good || (t[i].good &&
		    (mode != t[i].mode || until != t[i].until)))
			fail_msg("\"%s\"", t[i].value);
	}
}

static void
domains(void **state)
{
	static const char	 text[] = "tls policy { one.example = require, "
				    ".one.example = dane, "
				    "old.example = \"off until 2000-02-29\" }\n"
				    "listen on 127.0.0.1 port 2525\n"
				    "action a relay\n"
				    "match from local for any action a\n";
	static const struct {
		const char		*domain;
		int64_t			 now;
		bool			 has;
		enum conf_tls_mode	 mode;
	} t[] = {
		{ "one.example", 0, true, TLS_REQUIRE },
		{ "ONE.example", 0, true, TLS_REQUIRE },
		{ "a.b.one.example", 0, true, TLS_DANE },
		{ "two.example", 0, false, 0 },
		{ "", 0, false, 0 },
		{ "old.example", 11017 * DAY - 1, true, TLS_OFF },
		{ "old.example", 11017 * DAY, false, 0 },
	};
	struct conf		*c, none = { .tls_policy = NULL };
	enum conf_tls_mode	 mode;
	struct buf		 bundle, msgs;

	(void)state;
	buf_init(&bundle, 64 << 10);
	buf_init(&msgs, 64 << 10);
	bundle_add(&bundle, BUNDLE_HOSTNAME, span_str(""), span_str(""),
	    span_str("gw.example"));
	assert_true(bundle_add(&bundle, BUNDLE_MAIN, span_str("test"),
	    span_str(""), span_str(text)));
	c = conf_parse(buf_content(&bundle), &msgs);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&msgs));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (policy_of(c, span_str(t[i].domain), t[i].now, &mode) !=
		    t[i].has || (t[i].has && mode != t[i].mode))
			fail_msg("%s", t[i].domain);
	}
	assert_false(policy_of(&none, span_str("one.example"), 0, &mode));
	conf_free(c);
	buf_clear(&bundle);
	buf_clear(&msgs);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
