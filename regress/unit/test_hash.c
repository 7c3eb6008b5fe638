/*
 * Passwords as users' files keep them, the files themselves, and what is said in
 * SCRAM-SHA-256 and CRAM-MD5, with the examples of the RFCs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/base/enc.h"
#include "common/sasl/scram.h"
#include "common/sasl/server.h"
#include "common/sasl/users.h"

static struct crypt_data	data;

#define S(s)	span_str(s)

static enum hash_result
check(const char *hash, const char *password)
{
	return hash_check(S(hash), S(password), &data);
}

/* Well-formed, but its cost is none. */
static void
test_failed(void **state)
{
	static const struct crypt_data	none;

	(void)state;
	assert_int_equal(check("$2b$99$abcdefghijklmnopqrstuuN9kMz2S3Xo5hTg9uJYQ"
	    "z5wF6b1cB7aW", "geheim"), HASH_FAILED);
	assert_memory_equal(&data, &none, sizeof(data));
}

static void
test_make(void **state)
{
	static const struct { enum hash_make how; const char *name, *begin; }
	    all[] = {
		{ MAKE_YESCRYPT, "yescrypt", "{CRYPT}$y$j9T$" },
		{ MAKE_BCRYPT, "bcrypt", "{BLF-CRYPT}$2b$" },
		{ MAKE_SHA512, "sha512-crypt", "{SHA512-CRYPT}$6$" },
		{ MAKE_SCRAM, "scram-sha-256", "{SCRAM-SHA-256}4096," },
	};
	char	 long_[600];

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct buf	 a, b;

		buf_init(&a, HASH_MAX);
		buf_init(&b, HASH_MAX);
		assert_true(hash_make(all[i].how, S("pass wörd"), &a));
		assert_true(hash_make(all[i].how, S("pass wörd"), &b));
		/* Each has a salt of its own. */
		assert_string_not_equal(buf_cstr(&a), buf_cstr(&b));
		assert_int_equal(strncmp(buf_cstr(&a), all[i].begin,
		    strlen(all[i].begin)), 0);
		assert_string_equal(hash_name(buf_content(&a)), all[i].name);
		assert_int_equal(check(buf_cstr(&a), "pass wörd"), HASH_YES);
		assert_int_equal(check(buf_cstr(&a), "pass word"), HASH_NO);
		assert_int_equal(check(buf_cstr(&a), ""), HASH_NO);
		assert_int_equal(check(buf_cstr(&a), "pass wörd "), HASH_NO);
		buf_clear(&a);
		buf_clear(&b);
	}
	struct buf	 b;

	buf_init(&b, HASH_MAX);
	memset(long_, 'x', sizeof(long_));
	assert_false(hash_make(MAKE_YESCRYPT, S(""), &b));
	assert_false(hash_make(MAKE_YESCRYPT, span("a\0b", 3), &b));
	assert_false(hash_make(MAKE_SCRAM, span(long_, 512), &b));
	assert_true(hash_make(MAKE_SCRAM, span(long_, 511), &b));
	buf_clear(&b);
}

static void
test_parse(void **state)
{
	static const char *const good[] = { "{PLAIN}x", "{clear}a:b",
	    "{CLEARTEXT} ",
	    "$2y$10$abcdefghijklmnopqrstuuN9kMz2S3Xo5hTg9uJYQz5wF6b1cB7aW",
	    "{CRAM-MD5}9186d855e11eba527a7a52ca82b313e180d62234f0acc9051b527243d41e2740",
	};
	static const char *const locked[] = { "", "*", "!", "!$y$j9T$x$y",
	    "{CRYPT}!$6$x$y" };
	static const char *const bad[] = { "x", "{CRYPT}x", "{CRYPT}", "{}",
	    "{PLAIN}", "{PLAIN", "{SSHA}abcd", "{MD5-CRYPT}$1$x$abcdefgh",
	    "$1$abcdefgh$0123456789012345678901", "abJnggxhB/yWI",
	    "$y$j9T$abcdefgh$", "$6$a b$0123456789012345678901",
	    "{CRAM-MD5}00", "{CRAM-MD5}zz86d855e11eba527a7a52ca82b313e180d62234"
	    "f0acc9051b527243d41e2740",
	    "{SCRAM-SHA-256}", "{SCRAM-SHA-256}0,QQ==,QQ==,QQ==",
	    "{SCRAM-SHA-256}4096,QQ==,QQ==,QQ==",
	    "{SCRAM-SHA-256}99999999,W22ZaJ0SNY7soEsUEjb6gQ==,"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
	};
	enum hash_scheme	 scheme;
	struct span		 body;
	const char		*why;
	char			 long_[HASH_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(hash_parse(S(good[i]), &scheme, &body, &why));
		assert_int_not_equal(scheme, HASH_LOCKED);
	}
	for (size_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++) {
		assert_true(hash_parse(S(locked[i]), &scheme, &body, &why));
		assert_int_equal(scheme, HASH_LOCKED);
		assert_int_equal(check(locked[i], "x"), HASH_NO);
		assert_int_equal(check(locked[i], "!"), HASH_NO);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		assert_false(hash_parse(S(bad[i]), &scheme, &body, &why));
		assert_non_null(why);
	}
	memset(long_, 'x', sizeof(long_));
	memcpy(long_, "{PLAIN}", 7);
	assert_false(hash_parse(span(long_, HASH_MAX + 1), &scheme, &body,
	    &why));
	assert_int_equal(check("{PLAIN}secret", "secret"), HASH_YES);
	assert_int_equal(check("{PLAIN}secret", "Secret"), HASH_NO);
	assert_int_equal(check("{PLAIN}secret", "secre"), HASH_NO);
}

static void
test_class(void **state)
{
	static const struct { const char *a, *b; bool same; } pairs[] = {
		{ "$y$j9T$aaaaaaaa$0123456789012345678901",
		  "{CRYPT}$y$j9T$bbbbbbbb$abcdefghijklmnopqrstuv", true },
		{ "$y$j9T$aaaaaaaa$0123456789012345678901",
		  "$y$jAT$aaaaaaaa$0123456789012345678901", false },
		{ "$6$aaaaaaaa$0123456789012345678901",
		  "$6$rounds=9999$aaaaaaaa$0123456789012345678901", false },
		{ "{PLAIN}a", "{CLEAR}bbb", true },
	};
	char	 a[HASH_CLASS_MAX], b[HASH_CLASS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		hash_class(S(pairs[i].a), a);
		hash_class(S(pairs[i].b), b);
		assert_int_equal(strcmp(a, b) == 0, pairs[i].same);
	}
	hash_class(S("$2y$10$abcdefghijklmnopqrstuuN9kMz2S3Xo5hTg9uJYQz5wF6b1"
	    "cB7aW"), a);
	assert_string_equal(a, "$2y$10");
}

/* ---- files ----------------------------------------------------------------- */

#define BCRYPT	"$2y$10$abcdefghijklmnopqrstuuN9kMz2S3Xo5hTg9uJYQz5wF6b1cB7aW"

static void
test_users(void **state)
{
	static const char	 text[] =
	    "# people\n\n  \n"
	    "anna:{PLAIN}a\n"
	    "bert@example.org:" BCRYPT ":1000:1000:Bert:/home/bert:/bin/sh:\r\n"
	    "carl:!\n"
	    "dora:{PLAIN}d::::::x=1 NOLOGIN\n"
	    "emil:{PLAIN}e::::::userdb_mail=x allow_nets=10.0.0.0/8\n"
	    "fritz:{PLAIN}f::::::nologins nodelay\n"
	    "m\xc3\xbcller:{PLAIN}m";
	const char		*why;
	unsigned		 line;
	struct users		*u = users_parse(S(text), &why, &line);

	(void)state;
	assert_non_null(u);
	assert_int_equal(users_count(u), 7);
	assert_true(span_is(users_at(u, 1)->name, "bert@example.org"));
	assert_true(span_is(users_get(u, S("bert@example.org"))->hash, BCRYPT));
	assert_int_equal(users_get(u, S("anna"))->scheme, HASH_PLAIN);
	assert_int_equal(users_at(u, 1)->scheme, HASH_CRYPT);
	assert_int_equal(users_get(u, S("carl"))->scheme, HASH_LOCKED);
	assert_null(users_get(u, S("Anna")));
	assert_null(users_get(u, S("ann")));
	assert_null(users_get(u, S("")));
	assert_null(users_at(u, 7));
	assert_false(users_get(u, S("anna"))->barred);
	assert_true(users_get(u, S("dora"))->barred);
	assert_true(users_get(u, S("emil"))->barred);
	assert_false(users_get(u, S("fritz"))->barred);
	assert_true(span_is(users_get(u, S("m\xc3\xbcller"))->hash,
	    "{PLAIN}m"));
	assert_true(span_is(users_decoy(u), "{PLAIN}a"));
	assert_true(users_all(u, 1U << HASH_PLAIN | 1U << HASH_CRYPT));
	assert_false(users_all(u, 1U << HASH_PLAIN));
	users_free(u);
	u = users_parse(S(""), &why, &line);
	assert_int_equal(users_count(u), 0);
	assert_int_equal(users_decoy(u).len, 0);
	assert_false(users_all(u, ~0U));
	users_free(u);
}

static void
test_bad_users(void **state)
{
	static const struct { const char *text; unsigned line; } bad[] = {
		{ "anna", 1 }, { "a:{PLAIN}x\n:{PLAIN}x\n", 2 },
		{ "a:{PLAIN}x\n\na:{PLAIN}y\n", 3 }, { "a:secret", 1 },
		{ "a\tb:{PLAIN}x", 1 }, { " a:{PLAIN}x", 1 },
		{ "a :{PLAIN}x", 1 }, { "\xff:{PLAIN}x", 1 },
		{ "a:{SSHA}x", 1 },
	};
	char		 name[400];
	const char	*why;
	unsigned	 line;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		assert_null(users_parse(S(bad[i].text), &why, &line));
		assert_non_null(why);
		assert_int_equal(line, bad[i].line);
	}
	memset(name, 'n', sizeof(name));
	assert_true(users_name_ok(span(name, USERS_NAME_MAX)));
	assert_false(users_name_ok(span(name, USERS_NAME_MAX + 1)));
	assert_false(users_name_ok(span("a\0b", 3)));
}

/* ---- SCRAM ----------------------------------------------------------------- */

/* RFC 7677, 3; its keys as Dovecot writes them. */
#define PENCIL "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define FIRST	"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define NONCE	"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define BOTH	"rOprNGfwEbeRWgbNEkqO" NONCE
#define PROOF	"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static struct buf	out;
static const char	*why_not;

static void
scram(struct scram *s, bool plus, struct span binding)
{
	struct hash_scram	 keys;

	assert_true(hash_scram(S(PENCIL), &keys));
	scram_init(s, &keys, plus, binding);
	buf_clear(&out);
	buf_init(&out, 1024);
	why_not = NULL;
}

static bool
first(struct scram *s, const char *said)
{
	return scram_first(s, S(said), S(NONCE), &out, &why_not);
}

static enum scram_verdict
last(struct scram *s, const char *said)
{
	buf_reset(&out);
	return scram_final(s, S(said), &out, &why_not);
}

static void
test_scram(void **state)
{
	static const char *const bad_first[] = { "", "n", "n,", "n,,", "x,,n=u,r=a",
	    "n,,m=x,n=user,r=a", "n,,n=user", "n,,n=user,r=", "n,,n=,r=a",
	    "n,,n=user,x=a", "n,a=other,n=user,r=a", "n,b=user,n=user,r=a",
	    "p=tls-unique,,n=user,r=a", "p=tls-exporter,,n=user,r=a",
	    "n,,n=user,r=a\x7f" };
	static const char *const bad_last[] = { "", "c=biws", "c=biws,r=" BOTH,
	    "c=biws,r=" BOTH ",p=", "c=biws,r=" BOTH ",p=AAAA",
	    "c=eSws,r=" BOTH ",p=" PROOF, "r=" BOTH ",p=" PROOF,
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" PROOF,
	    "c=biws,r=" BOTH "x,p=" PROOF, "c=biws,r=" BOTH ",p=" PROOF "," };
	struct scram	 s;

	(void)state;
	scram(&s, false, span(NULL, 0));
	assert_true(first(&s, FIRST));
	assert_string_equal(buf_cstr(&out), "r=" BOTH
	    ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
	assert_int_equal(last(&s, "c=biws,r=" BOTH ",p=" PROOF), SCRAM_YES);
	assert_string_equal(buf_cstr(&out),
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	assert_int_equal(check(PENCIL, "pencil"), HASH_YES);
	assert_int_equal(check(PENCIL, "pencils"), HASH_NO);

	scram(&s, false, span(NULL, 0));
	assert_true(first(&s, FIRST));
	assert_int_equal(last(&s, "c=biws,r=" BOTH ",p="
	    "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVA="), SCRAM_NO);
	for (size_t i = 0; i < sizeof(bad_first) / sizeof(bad_first[0]); i++) {
		scram(&s, false, span(NULL, 0));
		assert_false(first(&s, bad_first[i]));
		assert_non_null(why_not);
	}
	for (size_t i = 0; i < sizeof(bad_last) / sizeof(bad_last[0]); i++) {
		scram(&s, false, span(NULL, 0));
		assert_true(first(&s, FIRST));
		assert_int_equal(last(&s, bad_last[i]), SCRAM_BAD);
		assert_int_equal(buf_len(&out), 0);
	}
	/* The same name twice, an extension, "y" where nothing was offered. */
	scram(&s, false, span(NULL, 0));
	assert_true(first(&s, "y,a=user,n=user,r=a,x=1"));
}

/* Each byte of both messages changed, and each length: never a yes. */
static void
test_scram_changed(void **state)
{
	const char	 final[] = "c=biws,r=" BOTH ",p=" PROOF;
	char		 said[sizeof(final)];
	struct scram	 s;

	(void)state;
	for (size_t i = 0; i < sizeof(final) - 1; i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(said, final, sizeof(said));
			said[i] = (char)(said[i] ^ 1 << bit);
			scram(&s, false, span(NULL, 0));
			assert_true(first(&s, FIRST));
			assert_int_not_equal(scram_final(&s, span(said,
			    sizeof(said) - 1), &out, &why_not), SCRAM_YES);
		}
		scram(&s, false, span(NULL, 0));
		assert_true(first(&s, FIRST));
		assert_int_not_equal(scram_final(&s, span(final, i), &out,
		    &why_not), SCRAM_YES);
	}
}

static void
test_scram_bound(void **state)
{
	struct span	 channel = S("0123456789abcdef0123456789abcdef");
	struct scram	 s;

	(void)state;
	scram(&s, true, channel);
	assert_true(first(&s, "p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
	/* Another channel's, and none: what was said first is what counts. */
	assert_int_equal(last(&s, "c=biws,r=" BOTH ",p=" PROOF), SCRAM_BAD);
	scram(&s, true, channel);
	assert_false(first(&s, FIRST));
	scram(&s, true, span(NULL, 0));
	assert_false(first(&s, "p=tls-exporter,,n=user,r=a"));
	/* It was offered, and the client says that it was not. */
	scram(&s, false, channel);
	assert_false(first(&s, "y,,n=user,r=a"));
	scram(&s, false, channel);
	assert_true(first(&s, FIRST));
	assert_int_equal(last(&s, "c=biws,r=" BOTH ",p=" PROOF), SCRAM_YES);
}

/* RFC 2195, 2: tim, tanstaaftanstaaf. */
static void
test_cram(void **state)
{
	static const char *const hashes[] = { "{PLAIN}tanstaaftanstaaf",
	    "{CRAM-MD5}d06d4e1b26fccaa4b0b61801132340a3"
	    "54b21152711fb604ca3e035e7015116b" };
	struct span	 challenge = S("<1896.697170952@postoffice.reston."
			    "mci.net>");
	const char	*digest = "b913a602c7eda7a495b4e6e7334d3890";

	(void)state;
	assert_true(hash_cram(S(hashes[0]), challenge, S(digest)));
	assert_true(hash_cram(S(hashes[1]), challenge, S(digest)));
	assert_false(hash_cram(S("{PLAIN}tanstaaf"), challenge, S(digest)));
	assert_false(hash_cram(S(hashes[0]), S("<x>"), S(digest)));
	assert_false(hash_cram(S(hashes[0]), challenge, S("")));
	assert_false(hash_cram(S(hashes[0]), challenge,
	    S("b913a602c7eda7a495b4e6e7334d389")));
	assert_false(hash_cram(S(PENCIL), challenge, S(digest)));
	/* What doveadm pw makes of "test". */
	assert_int_equal(check("{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338"
	    "c7743304777dccd376f332bee68d2cf6", "test"), HASH_YES);
	assert_int_equal(check("{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338"
	    "c7743304777dccd376f332bee68d2cf6", "Test"), HASH_NO);
}

/* ---- the outer form -------------------------------------------------------- */

static enum sasl_next
say(struct sasl_server *s, const void *said, size_t len, const char *user,
    struct span *to)
{
	const char	*why = NULL;

	return sasl_server_say(s, span(said, len), S(user), to, &why);
}
#define SAY(s, lit, user)	say((s), (lit), sizeof(lit) - 1, (user), &to)

static void
test_server(void **state)
{
	struct sasl_server	 s;
	struct span		 to;

	(void)state;
	assert_false(sasl_server_init(&s, S("GSSAPI"), S("")));
	assert_true(sasl_server_init(&s, S("plain"), S("")));
	assert_int_equal(sasl_server_open(&s, &to), SASL_CHALLENGE);
	assert_int_equal(to.len, 0);
	assert_int_equal(SAY(&s, "\0anna\0secret", "anna"), SASL_JUDGE);
	assert_true(span_is(to, "secret"));
	assert_int_equal(SAY(&s, "anna\0anna\0secret", "anna"), SASL_JUDGE);
	assert_int_equal(SAY(&s, "bert\0anna\0secret", "anna"), SASL_OTHER);
	assert_int_equal(SAY(&s, "\0anna\0se\0cret", "anna"), SASL_BAD);
	assert_int_equal(SAY(&s, "\0anna\0", "anna"), SASL_BAD);
	assert_int_equal(SAY(&s, "\0\0secret", ""), SASL_BAD);
	assert_int_equal(SAY(&s, "", ""), SASL_BAD);

	assert_true(sasl_server_init(&s, S("LOGIN"), S("")));
	sasl_server_open(&s, &to);
	assert_true(span_is(to, "Username:"));
	assert_int_equal(SAY(&s, "anna", "anna"), SASL_CHALLENGE);
	assert_true(span_is(to, "Password:"));
	assert_int_equal(SAY(&s, "secret", "anna"), SASL_JUDGE);
	assert_true(span_is(to, "secret"));
	assert_true(sasl_server_init(&s, S("LOGIN"), S("")));
	assert_int_equal(SAY(&s, "", ""), SASL_BAD);
	assert_true(sasl_server_init(&s, S("LOGIN"), S("")));
	assert_int_equal(SAY(&s, "anna", "anna"), SASL_CHALLENGE);
	assert_int_equal(SAY(&s, "se\0cret", "anna"), SASL_BAD);

	assert_true(sasl_server_init(&s, S("CRAM-MD5"), S("<1@x>")));
	assert_false(sasl_server_takes_initial(&s));
	sasl_server_open(&s, &to);
	assert_true(span_is(to, "<1@x>"));
	assert_int_equal(SAY(&s, "an na 0123", "an na"), SASL_JUDGE);
	assert_true(span_is(to, "0123"));

	assert_true(sasl_server_init(&s, S("SCRAM-SHA-256"), S("")));
	assert_int_equal(SAY(&s, FIRST, "user"), SASL_JUDGE);
	assert_int_equal(SAY(&s, "c=biws", "user"), SASL_JUDGE);
	assert_int_equal(SAY(&s, "", "user"), SASL_DONE);
	assert_int_equal(SAY(&s, "x", "user"), SASL_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_class),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_bad_users),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_scram_changed),
		cmocka_unit_test(test_scram_bound),
		cmocka_unit_test(test_cram),
		cmocka_unit_test(test_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
