/*
 * Rewritten senders: there and back, forged, old, twice forwarded, and by
 * programs that fold case.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "keyd/srs.h"

#define TODAY	20782		/* 2026-11-25 */

static const char	secret[] = "sixteen bytes or more";
static char		made[2048];

static const char *
make_with(const char *key, int64_t day, const char *from, const char *domain)
{
	struct buf	 b;
	bool		 ok;

	buf_init(&b, 1500);
	ok = srs_make(span_str(key), day, span_str(from), domain, &b);
	assert_true(span_cstr(buf_content(&b), made, sizeof(made)));
	buf_clear(&b);
	return ok ? made : NULL;
}

/* The local part of what was made. */
static struct span
local_of(const char *address)
{
	struct span	 s = span_str(address);

	return span_sub(s, 0, span_rfind(s, '@'));
}

static enum srs
back(const char *key, int64_t day, struct span local, char *dst, size_t size)
{
	struct buf	 b;
	enum srs	 r;

	buf_init(&b, 1500);
	r = srs_back(span_str(key), day, local, &b);
	assert_true(span_cstr(buf_content(&b), dst, size));
	buf_clear(&b);
	return r;
}

static void
there_and_back(void **st)
{
	static const char *const from[] = { "anna@example.org",
	    "a=b+c-d@sub.example", "\"a b\"@example.org", "x@[192.0.2.1]",
	    "J\xc3\xb6rg@m\xc3\xbcnchen.example" };
	char	 got[1500];

	(void)st;
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		assert_non_null(make_with(secret, TODAY, from[i],
		    "srs.example"));
		assert_non_null(strstr(made, "@srs.example"));
		assert_int_equal(back(secret, TODAY + SRS_DAYS, local_of(made),
		    got, sizeof(got)), SRS_OK);
		assert_string_equal(got, from[i]);
	}
}

static void
form(void **st)
{
	(void)st;
	make_with(secret, TODAY, "anna@example.org", "srs.example");
	assert_memory_equal(made, "SRS0=", 5);
	assert_string_equal(made + 13, "=JO=example.org=anna@srs.example");
	make_with(secret, TODAY, "\"a b\"@example.org", "srs.example");
	assert_memory_equal(made, "\"SRS0=", 6);
	assert_non_null(strstr(made, "=a b\"@srs.example"));
}

static void
folded(void **st)
{
	char	 got[1500];

	(void)st;
	make_with(secret, TODAY, "Anna@Example.org", "srs.example");
	for (char *p = made; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	assert_int_equal(back(secret, TODAY, local_of(made), got,
	    sizeof(got)), SRS_OK);
	assert_string_equal(got, "anna@example.org");
}

static void
forged(void **st)
{
	char	 got[1500], copy[2048];
	size_t	 n;

	(void)st;
	make_with(secret, TODAY, "anna@example.org", "srs.example");
	assert_int_equal(back("another secret, as long", TODAY,
	    local_of(made), got, sizeof(got)), SRS_FORGED);
	n = local_of(made).len;
	/* Each byte of it counts, but for its case. */
	for (size_t i = 5; i < n; i++) {
		memcpy(copy, made, sizeof(copy));
		copy[i] = copy[i] == '2' ? '3' : '2';
		assert_int_not_equal(back(secret, TODAY, local_of(copy), got,
		    sizeof(got)), SRS_OK);
		assert_string_equal(got, "");
	}
}

static void
old(void **st)
{
	char	 got[1500];

	(void)st;
	make_with(secret, TODAY, "anna@example.org", "srs.example");
	assert_int_equal(back(secret, TODAY + SRS_DAYS + 1, local_of(made),
	    got, sizeof(got)), SRS_OLD);
	/* Made tomorrow: none of ours, whatever the clock did. */
	assert_int_equal(back(secret, TODAY - 1, local_of(made), got,
	    sizeof(got)), SRS_OLD);
}

static void
twice(void **st)
{
	char	 one[2048], two[2048], got[1500];

	(void)st;
	make_with("the first one's secret", TODAY, "anna@example.org",
	    "one.example");
	strlcpy(one, made, sizeof(one));
	make_with(secret, TODAY, one, "two.example");
	strlcpy(two, made, sizeof(two));
	assert_memory_equal(two, "SRS1=", 5);
	assert_non_null(strstr(two, "=one.example=="));
	assert_int_equal(back(secret, TODAY + 100, local_of(two), got,
	    sizeof(got)), SRS_OK);
	assert_string_equal(got, one);
	/* A third one skips the second. */
	make_with("the third one's secret", TODAY, two, "three.example");
	assert_memory_equal(made, "SRS1=", 5);
	assert_int_equal(back("the third one's secret", TODAY, local_of(made),
	    got, sizeof(got)), SRS_OK);
	assert_string_equal(got, one);
	assert_int_equal(back(secret, TODAY, local_of(made), got,
	    sizeof(got)), SRS_FORGED);
}

static void
not_such(void **st)
{
	static const char *const local[] = { "", "anna", "SRS0", "SRS0=",
	    "SRS0=a", "SRS0=a=b", "SRS0=a=b=c", "SRS0=a=b==d", "SRS0=a=b=c=",
	    "SRS1=a=b", "SRS2=a=b=c=d", "srs0*a=b=c=d", "\"SRS0=a" };
	char	 got[1500];

	(void)st;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		assert_int_equal(back(secret, TODAY, span_str(local[i]), got,
		    sizeof(got)), SRS_NOT);
	assert_null(make_with(secret, TODAY, "nodomain", "srs.example"));
	assert_null(make_with(secret, TODAY, "@x.example", "srs.example"));
	assert_null(make_with(secret, TODAY, "", "srs.example"));
	assert_null(make_with(secret, TODAY, "a@x=b.example", "srs.example"));
	assert_null(make_with(secret, TODAY, "SRS0=a@x=b.example",
	    "srs.example"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back), cmocka_unit_test(form),
		cmocka_unit_test(folded), cmocka_unit_test(forged),
		cmocka_unit_test(old), cmocka_unit_test(twice),
		cmocka_unit_test(not_such)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
