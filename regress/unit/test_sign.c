/*
 * What keyd signs and what it does not: each statement with each kind of key and
 * each scheme; and a million requests that are almost one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>

#include "keyd/sign.h"
#include "regress/lib/certhelp.h"

#define KINDS	4

static EVP_PKEY	*keys[KINDS];
static uint64_t	 seed = 0x9e3779b97f4a7c15;

static int
group_setup(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++)
		keys[i] = key_make((enum tls_key)i);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

static uint64_t
chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static const struct {
	const char	*name;
	uint16_t	 group;		/* 0: TLS 1.3 */
	size_t		 len;		/* of the hash, the point */
} good[] = {
	{ "TLS 1.3, SHA-256", 0, 32 },
	{ "TLS 1.3, SHA-384", 0, 48 },
	{ "TLS 1.2, X25519", 29, 32 },
	{ "TLS 1.2, P-256", 23, 65 },
	{ "TLS 1.2, P-384", 24, 97 },
};
#define NGOOD	(sizeof(good) / sizeof(good[0]))

static size_t
make(size_t i, uint8_t *p)
{
	return good[i].group == 0 ? statement_tls13(p, good[i].len) :
	    statement_tls12(p, good[i].group, good[i].len);
}

static enum statement
is(const uint8_t *p, size_t len)
{
	const char	*why = NULL;
	enum statement	 what = statement_is(span(p, len), &why);

	assert_int_equal(what == STATEMENT_NONE, why != NULL);
	return what;
}

static void
statements(void **state)
{
	uint8_t	 p[400];
	size_t	 n;

	(void)state;
	for (size_t i = 0; i < NGOOD; i++) {
		n = make(i, p);
		assert_int_equal(is(p, n), good[i].group == 0 ?
		    STATEMENT_TLS13 : STATEMENT_TLS12);
		/* One more or less, and one of its fixed bytes. */
		p[n] = 0;
		assert_int_equal(is(p, n + 1), STATEMENT_NONE);
		assert_int_equal(is(p, n - 1), STATEMENT_NONE);
		for (size_t k = 0; k < n; k++) {
			bool	 fixed = good[i].group == 0 ? k < 98 :
				    (k >= 64 && k < 68) ||
				    (k == 68 && good[i].len != 32);

			p[k] ^= 0x80;
			assert_int_equal(is(p, n) == STATEMENT_NONE, fixed);
			p[k] ^= 0x80;
		}
	}
	assert_int_equal(is(NULL, 0), STATEMENT_NONE);
}

static void
never(void **state)
{
	static const struct { uint16_t group; size_t len; } t[] = {
		{ 25, 133 },		/* P-521 */
		{ 30, 56 },		/* X448 */
		{ 22, 65 },		/* secp256k1 */
		{ 256, 65 },		/* ffdhe2048 */
		{ 29, 65 }, { 23, 32 }, { 23, 33 }, { 24, 65 }, { 24, 49 },
	};
	uint8_t	 p[1024];
	size_t	 n;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		n = statement_tls12(p, t[i].group, t[i].len);
		assert_int_equal(is(p, n), STATEMENT_NONE);
	}
	/* A client's: who has it signed could log in as us elsewhere. */
	n = statement_tls13(p, 32);
	memcpy(p + 64 + 9, "client", 6);
	assert_int_equal(is(p, n), STATEMENT_NONE);
	/* Other contexts: post-handshake, exported authenticators. */
	memcpy(p + 64 + 9, "peer  ", 6);
	assert_int_equal(is(p, n), STATEMENT_NONE);
	/* SHA-512, SHA-1, no hash. */
	assert_int_equal(is(p, statement_tls13(p, 64)), STATEMENT_NONE);
	assert_int_equal(is(p, statement_tls13(p, 20)), STATEMENT_NONE);
	assert_int_equal(is(p, statement_tls13(p, 0)), STATEMENT_NONE);
	/* A digest alone; explicit curves; DHE; too long to look at. */
	assert_int_equal(is(p, 32), STATEMENT_NONE);
	n = statement_tls12(p, 23, 65);
	p[64] = 1;
	assert_int_equal(is(p, n), STATEMENT_NONE);
	p[64] = 2;
	assert_int_equal(is(p, n), STATEMENT_NONE);
	memset(p, 0xff, sizeof(p));
	assert_int_equal(is(p, sizeof(p)), STATEMENT_NONE);
	/* A compressed point of the right length is none. */
	n = statement_tls12(p, 23, 65);
	p[68] = 2;
	assert_int_equal(is(p, n), STATEMENT_NONE);
}

/* May this kind of key sign so? Written down, not worked out. */
static bool
allowed(enum tls_key key, uint16_t scheme, bool tls13)
{
	switch (scheme) {
	case 0x0401:
	case 0x0501:
	case 0x0601:
		return key == TLS_RSA && !tls13;
	case 0x0804:
	case 0x0805:
	case 0x0806:
		return key == TLS_RSA;
	case 0x0403:
		return key == TLS_P256 || (key == TLS_P384 && !tls13);
	case 0x0503:
		return key == TLS_P384 || (key == TLS_P256 && !tls13);
	case 0x0807:
		return key == TLS_ED25519;
	default:
		return false;
	}
}

static void
pairs(void **state)
{
	uint8_t		 p[400], sig[SIGNATURE_MAX];
	const char	*why;
	size_t		 n, len;
	unsigned	 done = 0;
	bool		 ok;

	(void)state;
	for (size_t i = 0; i < NGOOD; i++) {
		n = make(i, p);
		for (int k = 0; k < KINDS; k++)
			/* All that IANA has, and some; each of them but once:
			 * ours lie in 0x0400-0x08ff. */
			for (unsigned s = 0; s < 0x0a00; s++) {
				why = NULL;
				ok = sign_statement(keys[k], (enum tls_key)k,
				    (uint16_t)s, span(p, n), sig, &len, &why);
				assert_int_equal(ok, allowed((enum tls_key)k,
				    (uint16_t)s, good[i].group == 0));
				if (!ok) {
					assert_non_null(why);
					continue;
				}
				done++;
				assert_true(signature_is(keys[k],
				    scheme_find((uint16_t)s), span(p, n),
				    span(sig, len)));
			}
	}
	assert_int_equal(done, 2 * 6 + 3 * 11);
	assert_int_equal(ERR_peek_error(), 0);
}

/* One change to a good request that makes it none. */
static size_t
spoil(size_t i, uint8_t *p, size_t n, uint16_t *scheme, enum tls_key key)
{
	size_t	 at;
	uint8_t	 bit = (uint8_t)(1 << chance() % 8);

	switch (chance() % 4) {
	case 0:					/* a fixed byte */
		at = good[i].group == 0 ? chance() % 98 : 64 + chance() % 4;
		p[at] ^= bit;
		return n;
	case 1:					/* cut */
		do
			at = chance() % n;
		while (n - at == 16);
		return at;
	case 2:					/* longer */
		at = n + 1 + chance() % 60;
		return at == n + 16 ? at + 1 : at;
	default:				/* by another scheme */
		do
			*scheme = (uint16_t)chance();
		while (allowed(key, *scheme, good[i].group == 0));
		return n;
	}
}

static void
mutated(void **state)
{
	static const uint16_t	 schemes[KINDS] = { 0x0804, 0x0403, 0x0503,
				    0x0807 };
	uint8_t			 p[400], sig[SIGNATURE_MAX];
	const char		*why;
	size_t			 n, len;

	(void)state;
	for (int round = 0; round < 1000000; round++) {
		size_t		 i = chance() % NGOOD;
		enum tls_key	 key = (enum tls_key)(chance() % KINDS);
		uint16_t	 scheme = schemes[key];

		memset(p, (int)chance(), sizeof(p));
		n = spoil(i, p, make(i, p), &scheme, key);
		/* Two groups may have turned into each other's number, but not
		 * into each other's length. */
		assert_false(sign_statement(keys[key], key, scheme,
		    span(p, n), sig, &len, &why));
	}
}

static void
names(void **state)
{
	(void)state;
	assert_int_equal(scheme_of(TLS_RSA, "SHA256", true)->code, 0x0804);
	assert_int_equal(scheme_of(TLS_RSA, "sha2-512", false)->code, 0x0601);
	assert_int_equal(scheme_of(TLS_P384, "SHA2-384", false)->code, 0x0503);
	assert_int_equal(scheme_of(TLS_P384, "SHA256", false)->code, 0x0403);
	assert_int_equal(scheme_of(TLS_ED25519, NULL, false)->code, 0x0807);
	assert_int_equal(scheme_of(TLS_ED25519, "", false)->code, 0x0807);
	assert_null(scheme_of(TLS_RSA, "SHA1", false));
	assert_null(scheme_of(TLS_RSA, "", true));
	assert_null(scheme_of(TLS_P256, "SHA256", true));
	assert_null(scheme_of(TLS_ED25519, "SHA256", false));
	assert_null(scheme_find(0x0203));	/* ecdsa_sha1 */
	assert_null(scheme_find(0x0808));	/* ed448 */
	assert_null(scheme_find(0x0809));	/* rsa_pss_pss_sha256 */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements),
		cmocka_unit_test(never),
		cmocka_unit_test(pairs),
		cmocka_unit_test(mutated),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
