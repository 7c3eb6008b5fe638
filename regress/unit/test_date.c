/*
 * Dates of RFC 5322, 3.3, from times broken down.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/mime/date.h"

static void
test_date(void **state)
{
	static const struct {
		int64_t		 t;
		const char	*zone;
		int		 off;
		const char	*want;
	} rows[] = {
		{ 1795508126, "UTC0", 0, "Tue, 24 Nov 2026 08:15:26 +0000" },
		{ 1795508126, "XST-5:30", 330,
		    "Tue, 24 Nov 2026 13:45:26 +0530" },
		{ 1795508126, "XST9:30", -570,
		    "Mon, 23 Nov 2026 22:45:26 -0930" },
		{ 0, "UTC0", 0, "Thu, 01 Jan 1970 00:00:00 +0000" },
		{ 951782400, "UTC0", 0, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ 1798761599, "UTC0", 0, "Thu, 31 Dec 2026 23:59:59 +0000" },
		{ 253402300799, "UTC0", 0, "Fri, 31 Dec 9999 23:59:59 +0000" }
	};
	struct buf	 b;
	struct tm	 tm;
	time_t		 t;

	(void)state;
	buf_init(&b, 31);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setenv("TZ", rows[i].zone, 1);
		tzset();
		t = rows[i].t;
		localtime_r(&t, &tm);
		assert_int_equal(tm.tm_gmtoff / 60, rows[i].off);
		buf_reset(&b);
		assert_true(date_write(&b, &tm, rows[i].off));
		assert_string_equal(buf_cstr(&b), rows[i].want);
		buf_reset(&b);
		assert_true(date_local(&b, t));
		assert_string_equal(buf_cstr(&b), rows[i].want);
	}
	assert_false(date_write(&b, &tm, 0));
	buf_clear(&b);
}

static void
test_field(void **state)
{
	struct buf	 b;

	(void)state;
	setenv("TZ", "XST9:30", 1);
	tzset();
	buf_init(&b, 39);
	assert_true(date_field(&b, 1795508126));
	assert_string_equal(buf_cstr(&b),
	    "Date: Mon, 23 Nov 2026 22:45:26 -0930\r\n");
	buf_clear(&b);
	buf_init(&b, 38);		/* no room for all of it */
	assert_false(date_field(&b, 1795508126));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_field)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
