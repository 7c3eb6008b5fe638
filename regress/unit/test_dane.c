/*
 * TLSA records: which are usable, and what is decided from an answer.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/tls/dane.h"

#define D32	"0123456789abcdef0123456789abcdef"
#define D64	D32 D32
#define B(lit)	{ (const uint8_t *)(lit), sizeof(lit) - 1 }

static const struct { struct span rdata; bool parses, usable; } records[] = {
	{ B("\3\1\1" D32), true, true },
	{ B("\2\1\1" D32), true, true },
	{ B("\2\0\1" D32), true, true },
	{ B("\3\0\2" D64), true, true },
	{ B("\3\1\0" "key"), true, true },
	/* Authorities of the web, and usages of later days. */
	{ B("\0\1\1" D32), true, false },
	{ B("\1\1\1" D32), true, false },
	{ B("\4\1\1" D32), true, false },
	{ B("\377\1\1" D32), true, false },
	/* Selectors and matching types that nobody knows. */
	{ B("\3\2\1" D32), true, false },
	{ B("\3\1\3" D32), true, false },
	{ B("\3\1\377" D64), true, false },
	/* Digests of a wrong length. */
	{ B("\3\1\1" D64), true, false },
	{ B("\3\1\2" D32), true, false },
	{ B("\3\1\1" "x"), true, false },
	/* Cut. */
	{ B("\3\1\1"), false, false },
	{ B("\3\1"), false, false },
	{ B(""), false, false },
};

static void
usable(void **state)
{
	struct dane_rr	r;

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		bool	parses = dane_parse(records[i].rdata, &r);

		if (parses != records[i].parses || (parses &&
		    dane_usable(&r) != records[i].usable))
			fail_msg("record %zu", i);
	}
}

/* The table of RFC 7672, 2.2. */
static void
decisions(void **state)
{
	static const struct span	 good = B("\3\1\1" D32),
					 bad = B("\1\1\1" D32);
	const struct {
		enum dns_status		 status;
		bool			 ad;
		struct span		 rr[2];
		size_t			 n;
		enum dane_verdict	 want;
	} t[] = {
		{ DNS_OK, true, { good, bad }, 2, DANE_REQUIRED },
		{ DNS_OK, true, { bad, good }, 2, DANE_REQUIRED },
		{ DNS_OK, true, { bad, bad }, 2, DANE_UNUSABLE },
		{ DNS_OK, true, { { NULL, 0 } }, 1, DANE_UNUSABLE },
		{ DNS_OK, false, { good, good }, 2, DANE_NONE },
		{ DNS_NODATA, true, { { NULL, 0 } }, 0, DANE_NONE },
		{ DNS_NODATA, false, { { NULL, 0 } }, 0, DANE_NONE },
		{ DNS_NXDOMAIN, true, { { NULL, 0 } }, 0, DANE_NONE },
		{ DNS_TEMPFAIL, false, { { NULL, 0 } }, 0, DANE_DEFER },
		/* What comes beside no answer counts for nothing. */
		{ DNS_TEMPFAIL, true, { good, good }, 2, DANE_DEFER },
	};
	struct dane_set	*set;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		enum dane_verdict v = dane_decide(t[i].status, t[i].ad,
		    t[i].rr, t[i].n, &set);

		if (v != t[i].want || (set != NULL) != (v == DANE_REQUIRED))
			fail_msg("row %zu: %d", i, v);
		if (set != NULL) {
			assert_int_equal(set->n, 1);
			assert_int_equal(set->rr[0].usage, 3);
			assert_true(span_is(set->rr[0].data, D32));
		}
		free(set);
	}
}

static void
sets(void **state)
{
	struct span	 rr[DANE_RRS_MAX + 8], two[2] = { B("\3\1\1" D32),
			    B("\2\0\2" D64) };
	struct dane_set	*a, *b;

	(void)state;
	for (size_t i = 0; i < DANE_RRS_MAX + 8; i++)
		rr[i] = two[0];
	assert_int_equal(dane_decide(DNS_OK, true, rr, DANE_RRS_MAX + 8, &a),
	    DANE_REQUIRED);
	assert_int_equal(a->n, DANE_RRS_MAX);
	dane_decide(DNS_OK, true, two, 2, &b);
	free(a);
	a = dane_set_dup(b);
	assert_int_equal(b->n, 2);
	assert_int_equal(a->n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(a->rr[i].usage, two[i].p[0]);
		assert_int_equal(a->rr[i].selector, two[i].p[1]);
		assert_int_equal(a->rr[i].matching, two[i].p[2]);
		assert_true(span_eq(a->rr[i].data, span_sub(two[i], 3,
		    two[i].len)));
		assert_ptr_not_equal(a->rr[i].data.p, b->rr[i].data.p);
	}
	assert_null(dane_set_dup(NULL));
	free(a);
	free(b);
}

static void
names(void **state)
{
	char	 name[DANE_NAME_MAX], text[DANE_TEXT_MAX], cut[12];
	char	 longest[DNS_NAME_MAX + 1];

	(void)state;
	assert_true(dane_name(25, "mx.example.org", name, sizeof(name)));
	assert_string_equal(name, "_25._tcp.mx.example.org");
	assert_false(dane_name(25, "", name, sizeof(name)));
	memset(longest, 'a', sizeof(longest) - 1);
	for (size_t i = 60; i < sizeof(longest) - 1; i += 61)
		longest[i] = '.';
	longest[250] = '\0';
	assert_true(dns_name_ok(span_str(longest)));
	assert_false(dane_name(25, longest, name, sizeof(name)));
	assert_string_equal(dane_text((struct span)B("\3\1\1\xab\1"), text,
	    sizeof(text)), "3 1 1 ab01");
	assert_string_equal(dane_text((struct span)B("\3\1\1\xab\1\2\3\4"), cut,
	    sizeof(cut)), "3 1 1 ab01");
	assert_string_equal(dane_text((struct span)B("\3"), text,
	    sizeof(text)), "");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(usable),
		cmocka_unit_test(decisions),
		cmocka_unit_test(sets),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
