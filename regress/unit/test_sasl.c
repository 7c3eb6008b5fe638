/*
 * Mechanisms that go through, and the names in what they say.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/enc.h"
#include "common/sasl/sasl.h"

static void
test_class(void **state)
{
	static const struct { const char *mech; enum sasl_class class; bool who;
	} is[] = {
		{ "PLAIN", SASL_PASSES, true },
		{ "login", SASL_PASSES, true },
		{ "CRAM-MD5", SASL_PASSES, true },
		{ "SCRAM-SHA-1", SASL_PASSES, true },
		{ "SCRAM-SHA-256", SASL_PASSES, true },
		{ "scram-sha-256-plus", SASL_NEVER, true },
		{ "SCRAM-SHA-1-PLUS", SASL_NEVER, true },
		{ "GS2-KRB5-PLUS", SASL_NEVER, false },
		{ "XOAUTH2", SASL_PASSES, true },
		{ "OAUTHBEARER", SASL_PASSES, true },
		{ "EXTERNAL", SASL_NEVER, false },
		{ "NTLM", SASL_ASKED, false },
		{ "GSSAPI", SASL_ASKED, false },
		{ "gss-spnego", SASL_ASKED, false },
		{ "KERBEROS", SASL_ASKED, false },
		{ "KERBEROS_V4", SASL_ASKED, false },
		{ "GS2-KRB5", SASL_ASKED, false },
		{ "DIGEST-MD5", SASL_PASSES, false },
		{ "NTLMV2", SASL_PASSES, false },
		{ "SCRAM-", SASL_PASSES, false },
		{ "X", SASL_PASSES, false }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
		assert_int_equal(sasl_class(span_str(is[i].mech)),
		    is[i].class);
		assert_int_equal(sasl_says_who(span_str(is[i].mech)),
		    is[i].who);
	}
	assert_true(sasl_mech(span_str("GSS-SPNEGO")));
	assert_true(sasl_mech(span_str("X_20-OCTETS-LONG-12X")));
	assert_false(sasl_mech(span_str("X_21-OCTETS-LONG-123X")));
	assert_false(sasl_mech(span_str("")));
	assert_false(sasl_mech(span_str("A B")));
	assert_false(sasl_mech(span_str("A\x7f")));
	assert_true(sasl_fails_by_challenge(span_str("XOAUTH2")));
	assert_true(sasl_fails_by_challenge(span_str("oauthbearer")));
	assert_false(sasl_fails_by_challenge(span_str("PLAIN")));
}

#define S(lit)	lit, sizeof(lit) - 1

static void
test_names(void **state)
{
	static const struct {
		const char	*mech, *said;
		size_t		 len;
		const char	*name;	/* NULL: none */
	} is[] = {
		{ "PLAIN", S("\0anna\0secret"), "anna" },
		{ "plain", S("boss\0anna\0secret"), "anna" },
		{ "PLAIN", S("\0anna@example.org\0"), "anna@example.org" },
		{ "PLAIN", S("\0EXAMPLE\\anna\0x\0y"), "EXAMPLE\\anna" },
		{ "PLAIN", S("\0m\xc3\xbcller\0x"), "m\xc3\xbcller" },
		{ "PLAIN", S("\0m\xfcller\0x"), NULL },
		{ "PLAIN", S("\0\0x"), NULL },
		{ "PLAIN", S("\0anna"), NULL },
		{ "PLAIN", S("anna"), NULL },
		{ "PLAIN", S("\0an\nna\0x"), NULL },
		{ "PLAIN", S(""), NULL },
		{ "LOGIN", S("anna"), "anna" },
		{ "LOGIN", S("Anna Muster"), "Anna Muster" },
		{ "LOGIN", S("anna\0"), NULL },
		{ "LOGIN", S("an\x7fna"), NULL },
		{ "LOGIN", S(""), NULL },
		{ "CRAM-MD5", S("anna b913a602c7eda7a495b4e6e7334d3890"),
		    "anna" },
		{ "CRAM-MD5", S("anna muster b913a602"), "anna muster" },
		{ "CRAM-MD5", S("anna"), NULL },
		{ "CRAM-MD5", S(" b913"), NULL },
		{ "SCRAM-SHA-1", S("n,,n=anna,r=abc"), "anna" },
		{ "SCRAM-SHA-256", S("y,a=boss,n=anna,r=abc"), "anna" },
		{ "SCRAM-SHA-256", S("n,,n=a=2Cb=3Dc,r=abc"), "a,b=c" },
		{ "SCRAM-SHA-256", S("n,,n=a=2cb,r=abc"), NULL },
		{ "SCRAM-SHA-256", S("n,,n=a=,r=abc"), NULL },
		{ "SCRAM-SHA-256", S("n,,m=x,n=anna,r=abc"), NULL },
		{ "SCRAM-SHA-256", S("n,,n=anna"), NULL },
		{ "SCRAM-SHA-256", S("n,,n=,r=abc"), NULL },
		{ "SCRAM-SHA-256", S("p=tls-unique,,n=anna,r=x"), "anna" },
		{ "SCRAM-SHA-256", S("x,,n=anna,r=x"), NULL },
		{ "SCRAM-SHA-256", S("n,boss,n=anna,r=x"), NULL },
		{ "SCRAM-SHA-256", S("n"), NULL },
		{ "SCRAM-SHA-256-PLUS", S("p=tls-exporter,,n=anna,r=x"),
		    "anna" },
		{ "GS2-KRB5-PLUS", S("p=tls-exporter,,n=anna,r=x"), NULL },
		{ "XOAUTH2", S("user=anna@example.org\1auth=Bearer t\1\1"),
		    "anna@example.org" },
		{ "XOAUTH2", S("user=anna"), NULL },
		{ "XOAUTH2", S("auth=Bearer t\1user=anna\1\1"), NULL },
		{ "OAUTHBEARER", S("n,a=anna@example.org,\1host=x\1port=587\1"
		    "auth=Bearer t\1\1"), "anna@example.org" },
		{ "OAUTHBEARER", S("n,a=an=3Dna,\1auth=Bearer t\1\1"),
		    "an=na" },
		{ "OAUTHBEARER", S("n,,\1auth=Bearer t\1\1"), NULL },
		{ "OAUTHBEARER", S("n,a=anna,auth"), NULL },
		{ "OAUTHBEARER", S("n,a=anna,"), NULL },
		{ "NTLM", S("\0anna\0secret"), NULL },
		{ "X-OTHER", S("\0anna\0secret"), NULL },
		{ "EXTERNAL", S("anna"), NULL }
	};
	char		 name[SASL_NAME_MAX + 1];
	struct buf	 b;
	bool		 ok;

	(void)state;
	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
		buf_init(&b, 4096);
		assert_true(enc_base64(&b, span(is[i].said, is[i].len)));
		ok = sasl_name(span_str(is[i].mech), buf_content(&b), name);
		if (ok != (is[i].name != NULL))
			fail_msg("case %zu: %s", i, ok ? name : "none");
		assert_string_equal(name, ok ? is[i].name : "");
		buf_clear(&b);
	}
	/* No base64, and "=": nothing was said. */
	assert_false(sasl_name(span_str("LOGIN"), span_str("="), name));
	assert_false(sasl_name(span_str("LOGIN"), span_str("YW5uYQ"), name));
	assert_false(sasl_name(span_str("LOGIN"), span_str("YW5uYR=="), name));
	assert_false(sasl_name(span_str("LOGIN"), span_str("*"), name));
}

static void
test_long(void **state)
{
	char		 name[SASL_NAME_MAX + 1], said[9000];
	struct buf	 b;

	(void)state;
	for (size_t n = 254; n < 258; n++) {
		memset(said, 'a', n);
		buf_init(&b, 20000);
		assert_true(enc_base64(&b, span(said, n)));
		assert_int_equal(sasl_name(span_str("LOGIN"), buf_content(&b),
		    name), n <= SASL_NAME_MAX);
		assert_int_equal(strlen(name), n <= SASL_NAME_MAX ? n : 0);
		buf_clear(&b);
	}
	/* A token of nearly a whole line. */
	memset(said, 't', sizeof(said));
	memcpy(said, "user=anna\1auth=Bearer ", 22);
	buf_init(&b, 20000);
	assert_true(enc_base64(&b, span(said, sizeof(said))));
	assert_true(sasl_name(span_str("XOAUTH2"), buf_content(&b), name));
	assert_string_equal(name, "anna");
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_class),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
