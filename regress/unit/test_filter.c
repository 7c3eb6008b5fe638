/*
 * The filters of posternctl's queue verbs: words that are taken, words that are
 * refused with a reason, and what each means.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "queued/filter.h"

static struct filter	 f;
static struct queue	 q;

static const char *
parse(const char *words)
{
	char	 copy[2000], *argv[16];
	int	 argc = 0;

	strlcpy(copy, words, sizeof(copy));
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		argv[argc++] = w;
	return filter_parse(&f, argc, argv);
}

static struct store_msg
msg(void)
{
	struct store_msg m = { .from = span_str("A.User@Example.org"),
			    .accepted_ms = 1000 };

	assert_true(addr_parse(span_str("192.0.2.7"), &m.client));
	return m;
}

static bool
fits_msg(const char *words)
{
	struct store_msg m = msg();

	assert_null(parse(words));
	return filter_msg(&f, &q, 12345, &m);
}

static void
test_parse_bad(void **state)
{
	char	 big[600] = "sender=";

	(void)state;
	assert_non_null(parse("nonsense"));
	assert_non_null(parse("state=gone"));
	assert_non_null(parse("older=soon"));
	assert_non_null(parse("older="));
	assert_non_null(parse("sender="));
	assert_non_null(parse("rcpt="));
	assert_non_null(parse("Sender=a@b"));
	assert_non_null(parse("all state="));
	memset(big + 7, 'x', 590);
	assert_non_null(parse(big));
	assert_null(parse("all"));
	assert_null(parse("all sender=a@b rcpt=c@d domain=e action=f client=g "
	    "older=4h state=held reason~h"));
	assert_true(f.any_rcpt && f.older_ms == 4 * 3600000);
}

static void
test_msg(void **state)
{
	char	 id[ID_STRLEN];
	struct store_msg m = msg();

	(void)state;
	assert_true(fits_msg("all"));
	assert_true(fits_msg(id_str(12345, id)));
	assert_false(fits_msg(id_str(12346, id)));
	assert_true(fits_msg("sender=a.user@example.ORG"));
	assert_false(fits_msg("sender=user@example.org"));
	assert_false(fits_msg("sender=<>"));
	m.from.len = 0;
	assert_true(filter_msg(&f, &q, 1, &m));
	assert_true(fits_msg("client=192.0.2.7"));
	assert_false(fits_msg("client=192.0.2.70"));
	assert_true(fits_msg("state=waiting"));
	assert_false(fits_msg("state=held"));
	/* 9 s old: all words must hold. */
	assert_true(fits_msg("older=9s"));
	assert_false(fits_msg("older=10s"));
	assert_false(fits_msg("older=9s sender=<>"));
}

static bool
fits_rcpt(const char *words)
{
	struct store_rcpt r = { .to = span_str("\"x@y\"@Example.NET"),
			    .action = span_str("relay"),
			    .reason = span_str("450 4.2.0 Mailbox full") };

	assert_null(parse(words));
	return filter_rcpt(&f, &r);
}

static void
test_rcpt(void **state)
{
	(void)state;
	assert_true(fits_rcpt("all"));
	assert_true(fits_rcpt("rcpt=\"x@y\"@example.net"));
	assert_false(fits_rcpt("rcpt=y@example.net"));
	assert_true(fits_rcpt("domain=example.net"));
	assert_false(fits_rcpt("domain=ample.net"));
	assert_true(fits_rcpt("action=relay"));
	assert_false(fits_rcpt("action=rel"));
	assert_true(fits_rcpt("reason~FULL"));
	assert_true(fits_rcpt("reason~450"));
	assert_false(fits_rcpt("reason~fuller"));
	assert_false(fits_rcpt("domain=example.net reason~timeout"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_msg),
		cmocka_unit_test(test_rcpt),
	};
	struct mono	 now = { 10000 };

	clock_fake(&now, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
