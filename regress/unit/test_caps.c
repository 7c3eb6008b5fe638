/*
 * What differs between two replies to EHLO.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/base/log.h"
#include "proxyd/caps.h"

static void
differ(const struct smtp_caps *was, const struct smtp_caps *is,
    const char *added, const char *lost)
{
	struct buf	a, l;

	buf_init(&a, 2000);
	buf_init(&l, 2000);
	caps_differ(was, is, &a, &l);
	assert_true(span_is(buf_content(&a), added));
	assert_true(span_is(buf_content(&l), lost));
	buf_clear(&a);
	buf_clear(&l);
}

static void
test_differ(void **state)
{
	struct smtp_caps	none = { .bits = CAP_ESMTP },
				some = { .bits = CAP_ESMTP | CAP_SIZE |
				    CAP_8BITMIME | CAP_AUTH, .size = 1000,
				    .auth = "PLAIN LOGIN" },
				other = some;

	(void)state;
	differ(&none, &none, "", "");
	differ(&some, &some, "", "");
	differ(&none, &some, "SIZE 1000, AUTH PLAIN LOGIN, 8BITMIME", "");
	differ(&some, &none, "", "SIZE 1000, AUTH PLAIN LOGIN, 8BITMIME");
	other.size = 2000;
	differ(&some, &other, "SIZE 2000", "SIZE 1000");
	strlcpy(other.auth, "PLAIN", sizeof(other.auth));
	other.bits |= CAP_CHUNKING | CAP_XCLIENT | CAP_STARTTLS;
	other.bits &= ~(uint32_t)CAP_8BITMIME;
	differ(&some, &other, "SIZE 2000, STARTTLS, AUTH PLAIN, "
	    "CHUNKING, XCLIENT", "SIZE 1000, AUTH PLAIN LOGIN, 8BITMIME");
}

/* As many servers as there is room for, and then no more. */
static void
test_learn(void **state)
{
	struct smtp_caps	caps = { .bits = CAP_ESMTP }, helo = { 0 };
	char			server[40];

	(void)state;
	caps_learn(NULL, &caps);
	caps_learn("a[127.0.0.1]:25", &helo);
	for (int i = 0; i < CAPS_SERVERS + 10; i++) {
		snprintf(server, sizeof(server), "s%d[127.0.0.1]:25", i);
		caps_learn(server, &caps);
		caps.bits ^= CAP_DSN;
		caps_learn(server, &caps);
	}
	caps_forget();
	caps_forget();
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_differ), cmocka_unit_test(test_learn)
	};

	log_init("proxyd", LOG_FORM_TEXT, LOG_LV_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
