/*
 * Logins as the client: which mechanism, what keyd says to each challenge, held
 * against the examples of the RFCs, and what a server may not get by with.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "keyd/login.h"

static const uint8_t	 zero[LOGIN_NONCE];
static struct buf	 response, expect;
static bool		 says;
static const char	*why;

static bool
next(struct login l)
{
	buf_reset(&response);
	buf_reset(&expect);
	return login_next(&l, zero, &response, &says, &expect, &why);
}
#define NEXT(...)	next((struct login){ __VA_ARGS__ })

static void
said(const struct buf *b, const char *want)
{
	if (!span_is(buf_content(b), want))
		fail_msg("\"%.*s\"", (int)buf_len(b),
		    (const char *)buf_content(b).p);
}

static void
choice(void **state)
{
	const struct { const char *offered; bool token; const char *want; } t[] = {
		{ "LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256", false,
		    "SCRAM-SHA-256" },
		{ "SCRAM-SHA-256-PLUS SCRAM-SHA-1 PLAIN", false,
		    "SCRAM-SHA-1" },
		{ "PLAIN cram-md5", false, "CRAM-MD5" },
		{ "LOGIN PLAIN", false, "PLAIN" },
		{ "XOAUTH2 OAUTHBEARER LOGIN", false, "LOGIN" },
		{ "XOAUTH2 OAUTHBEARER LOGIN PLAIN", true, "OAUTHBEARER" },
		{ "PLAIN XOAUTH2", true, "XOAUTH2" },
		{ "PLAIN LOGIN", true, "" },
		{ "GSSAPI NTLM EXTERNAL PLAINS", false, "" },
		{ "", false, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(sasl_mech_name(sasl_mech_choose(
		    span_str(t[i].offered), t[i].token)), t[i].want);
}

/* RFC 4616, 4; RFC 2195, 2; LOGIN; RFC 7628, 3.1. */
static void
plain_ones(void **state)
{
	const struct span u = span_str("tim"), p = span_str("tanstaaftanstaaf");

	(void)state;
	assert_true(NEXT(MECH_PLAIN, u, p));
	assert_true(says && span_eq(buf_content(&response),
	    (struct span)SPAN("\0tim\0tanstaaftanstaaf")));
	assert_false(NEXT(MECH_PLAIN, u, p, .step = 1));
	assert_true(NEXT(MECH_LOGIN, u, p) && !says);
	said(&response, "");
	assert_true(NEXT(MECH_LOGIN, u, p, .step = 1) && says);
	said(&response, "tim");
	assert_true(NEXT(MECH_LOGIN, u, p, .step = 2) && says);
	said(&response, "tanstaaftanstaaf");
	assert_false(NEXT(MECH_LOGIN, u, p, .step = 3));
	assert_true(NEXT(MECH_CRAM_MD5, u, p) && !says);
	assert_true(NEXT(MECH_CRAM_MD5, u, p, .step = 1, .challenge =
	    span_str("<1896.697170952@postoffice.reston.mci.net>")) && says);
	said(&response, "tim b913a602c7eda7a495b4e6e7334d3890");
	assert_false(NEXT(MECH_CRAM_MD5, u, p, .step = 2));
	assert_true(NEXT(MECH_OAUTHBEARER, span_str("a=b@example.com"),
	    span_str("tok")) && says);
	said(&response, "n,a=a=3Db@example.com,\1auth=Bearer tok\1\1");
	assert_true(NEXT(MECH_XOAUTH2, u, span_str("tok")) && says);
	said(&response, "user=tim\1auth=Bearer tok\1\1");
	assert_false(NEXT(MECH_NONE, u, p));
}

static const char *const rfc5802[] = {
	"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,"
	    "i=4096",
	"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	    "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
};
static const char *const rfc7677[] = {
	"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
};

static bool
final(enum sasl_mech m, const char *user, const char *first, const char *got)
{
	return NEXT(m, span_str(user), span_str("pencil"), .step = 1,
	    .first = span_str(first), .challenge = span_str(got));
}

static void
scram(void **state)
{
	(void)state;
	/* The second time the derived keys are at hand. */
	for (int i = 0; i < 2; i++) {
		assert_true(final(MECH_SCRAM_SHA_1, "user", rfc5802[0],
		    rfc5802[1]));
		said(&response, rfc5802[2]);
		said(&expect, rfc5802[3]);
		assert_true(final(MECH_SCRAM_SHA_256, "user", rfc7677[0],
		    rfc7677[1]));
		said(&response, rfc7677[2]);
		said(&expect, rfc7677[3]);
	}
	login_forget();
	assert_true(final(MECH_SCRAM_SHA_256, "user", rfc7677[0],
	    rfc7677[1]));
	said(&response, rfc7677[2]);
	assert_true(NEXT(MECH_SCRAM_SHA_256, span_str("a,b=c"),
	    span_str("pencil")));
	said(&response, "n,,n=a=2Cb=3Dc,r=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	assert_int_equal(buf_len(&expect), 0);
}

/* The server's first message, or ours as it is said to have been. */
static void
scram_lies(void **state)
{
	static const char first[] = "n,,n=user,r=0123456789abcdef";
#define R	"r=0123456789abcdefXYZ"
	const char *const t[] = {
		"", "x", "r=", "e=other-error",
		"r=0123456789abcdef,s=QSXC,i=4096",	/* nothing of its own */
		"r=0123456789abcdeXYZ,s=QSXC,i=4096",	/* not ours */
		"m=x," R ",s=QSXC,i=4096",
		R ",i=4096,s=QSXC", R ",s=QSXC", R ",s=,i=4096",
		R ",s=Q,i=4096", R ",s=QSXC,i=", R ",s=QSXC,i=4095",
		R ",s=QSXC,i=-1", R ",s=QSXC,i=100001", R ",s=QSXC,i=0x1000",
		R ",s=QSXC,i=99999999999999999999",
	};
	const struct { const char *user, *first; } mine[] = {
		{ "user", "" }, { "user", "n,," },
		{ "user", "n,,n=other,r=0123456789abcdef" },
		{ "user", "y,,n=user,r=0123456789abcdef" },
		{ "user", "n,a=x,n=user,r=0123456789abcdef" },
		{ "user", "n,,n=user,r=01234" },
		{ "user", "n,,n=user,r=0123456789abcdef,x=y" },
		{ "us", "n,,n=user,r=0123456789abcdef" },
	};

	(void)state;
	assert_true(final(MECH_SCRAM_SHA_1, "user", first,
	    R ",s=QSXC,i=4096"));
	assert_true(final(MECH_SCRAM_SHA_1, "user", first,
	    R ",s=QSXC,i=4096,x=y"));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (final(MECH_SCRAM_SHA_1, "user", first, t[i]))
			fail_msg("\"%s\" is taken", t[i]);
		assert_true(why[0] != '\0');
	}
	for (size_t i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
		if (final(MECH_SCRAM_SHA_1, mine[i].user, mine[i].first,
		    R ",s=QSXC,i=4096"))
			fail_msg("\"%s\" is taken", mine[i].first);
	assert_false(NEXT(MECH_SCRAM_SHA_1, span_str("user"),
	    span_str("pencil"), .step = 2, .first = span_str(first),
	    .challenge = span_str(R ",s=QSXC,i=4096")));
}

/* ---- the exchange, without secrets ----------------------------------------- */

static struct sasl_client	client;
static struct span		say;

static enum sasl_turn
comes(const char *challenge)
{
	return sasl_client_challenge(&client, span_str(challenge), &say, &why);
}

static void
begin(enum sasl_mech m)
{
	sasl_client_clear(&client);
	sasl_client_begin(&client, m);
}

static void
exchange(void **state)
{
	(void)state;
	begin(MECH_PLAIN);
	assert_true(sasl_client_done(&client));
	assert_int_equal(comes("x"), SASL_STOP);
	begin(MECH_LOGIN);
	assert_int_equal(comes("Username:"), SASL_ASK);
	assert_int_equal(client.challenges, 1);
	assert_int_equal(comes("Password:"), SASL_ASK);
	assert_int_equal(comes("And?"), SASL_STOP);
	begin(MECH_CRAM_MD5);
	assert_int_equal(comes("<x>"), SASL_ASK);
	assert_int_equal(comes("<x>"), SASL_STOP);
	begin(MECH_OAUTHBEARER);
	assert_int_equal(comes("{\"status\":\"invalid_token\"}"), SASL_SAY);
	assert_true(span_is(say, "\1"));
	assert_false(sasl_client_done(&client));
	assert_int_equal(comes("{}"), SASL_STOP);
	begin(MECH_XOAUTH2);
	assert_int_equal(comes("{}"), SASL_SAY);
	assert_int_equal(say.len, 0);
	begin(MECH_NONE);
	assert_int_equal(comes(""), SASL_STOP);
}

/* The server shows that it knows the password, or it is not believed. */
static void
proof(void **state)
{
	const char *const bad[] = { "", "v=", "v=abcdeF", "v=abcde",
	    "v=abcdefg", "x=abcdef", "r=abcdef,v=abcdef" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(MECH_SCRAM_SHA_1);
		assert_int_equal(comes("r=…"), SASL_ASK);
		buf_str(&client.expect, "v=abcdef");
		assert_int_equal(comes(bad[i]), SASL_STOP);
		assert_false(sasl_client_done(&client));
	}
	begin(MECH_SCRAM_SHA_1);
	assert_false(sasl_client_done(&client));
	assert_int_equal(comes("r=…"), SASL_ASK);
	assert_false(sasl_client_done(&client));
	/* Before there is anything to be expected. */
	assert_int_equal(comes("v="), SASL_STOP);
	buf_str(&client.expect, "v=abcdef");
	assert_int_equal(comes("v=abcdef,ext=x"), SASL_SAY);
	assert_int_equal(say.len, 0);
	assert_true(sasl_client_done(&client));
	assert_int_equal(comes("v=abcdef"), SASL_STOP);
	begin(MECH_SCRAM_SHA_256);
	assert_int_equal(comes("r=…"), SASL_ASK);
	assert_int_equal(comes("e=invalid-proof"), SASL_SAY);
	assert_false(sasl_client_done(&client));
}

static int
setup(void **state)
{
	(void)state;
	buf_init(&response, LOGIN_RESPONSE_MAX);
	buf_init(&expect, SASL_EXPECT_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_clear(&response);
	buf_clear(&expect);
	sasl_client_clear(&client);
	login_forget();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(choice),
		cmocka_unit_test(plain_ones),
		cmocka_unit_test(scram),
		cmocka_unit_test(scram_lies),
		cmocka_unit_test(exchange),
		cmocka_unit_test(proof),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
