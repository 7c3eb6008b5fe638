/*
 * Failed logins by name: in a worker, and over all of them at queued.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/base/clock.h"
#include "queued/guesses.h"
#include "regress/lib/confhelp.h"
#include "smtpd/digest.h"
#include "smtpd/guess.h"

static struct conf	*conf;

static void
at(uint64_t window)
{
	struct mono	m = { 1000000 };
	struct wall	w = { (int64_t)window * GUESS_WINDOW_MS + 5 };

	clock_fake(&m, &w);
}

static void
test_limits(void **state)
{
	(void)state;
	at(7);
	for (unsigned i = 1; i <= 4; i++) {
		assert_true(guess_may_try("anna"));
		assert_int_equal(guess_failed(i % 2 ? "anna" : "ANNA"), i);
	}
	assert_false(guess_may_try("Anna"));
	assert_true(guess_may_try("anna@example.org"));
	/* The first table that has the name. */
	guess_failed("bert");
	assert_false(guess_may_try("BERT"));
	for (int i = 0; i < 9; i++)
		guess_failed("web");
	assert_true(guess_may_try("web"));
	/* The next hour. */
	at(8);
	assert_true(guess_may_try("anna"));
	assert_int_equal(guess_failed("anna"), 1);
	clock_fake(NULL, NULL);
}

static void
test_total(void **state)
{
	uint8_t	key[IPC_GUESS_KEY] = { 0 };

	(void)state;
	at(9);
	assert_false(guess_total(&(struct ipc_q_guess_total){
	    .name = span(key, 15), .window = 9, .failed = 5 }));
	assert_true(guess_total(&(struct ipc_q_guess_total){
	    .name = span(key, 16), .window = 9, .failed = 5 }));
	clock_fake(NULL, NULL);
}

/* More names than there is room for. */
static void
test_full(void **state)
{
	char	name[32];

	(void)state;
	at(10);
	for (unsigned i = 0; i < GUESSES_MAX + 10; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		assert_int_equal(guess_failed(name), 1);
	}
	assert_int_equal(guess_failed(name), 2);
	clock_fake(NULL, NULL);
}

static void
test_sum(void **state)
{
	static struct guesses	*g;	/* there is no end of them */
	uint64_t		 w = 5;
	uint32_t		 n;

	(void)state;
	g = guesses_new();
	assert_int_equal(guesses_add(g, span_str("a"), &w, 2), 2);
	assert_int_equal(guesses_add(g, span_str("a"), &w, 1), 3);
	assert_int_equal(guesses_add(g, span_str("b"), &w, 1), 1);
	w = 6;
	assert_int_equal(guesses_add(g, span_str("a"), &w, 1), 1);
	/* One that comes late counts for its own hour, which is over. */
	w = 5;
	assert_int_equal(guesses_add(g, span_str("a"), &w, 9), 1);
	assert_int_equal(w, 6);
	assert_int_equal(guesses_add(g, span_str("a"), &w, UINT32_MAX),
	    UINT32_MAX);
	/* Old ones make room, those of now do not. */
	w = 7;
	for (n = 0; n < 400000; n++)
		guesses_add(g, span(&n, sizeof(n)), &w, 1);
	assert_in_range(guesses_count(g), 1000, 200000);
	assert_int_equal(guesses_add(g, span_str("a"), &w, 1), 0);
	n = 0;
	assert_int_equal(guesses_add(g, span(&n, sizeof(n)), &w, 1), 2);
}

static int
begin(void **state)
{
	(void)state;
	conf = confhelp_parse("action \"out\" relay to { \"192.0.2.9\" }\n"
	    "listen on 192.0.2.1 port 25\n"
	    "match from any for domain \"dest.example\" action \"out\"\n"
	    "limit auth-failures per user 4\n"
	    "limit auth-failures per user 1 for { bert }\n"
	    "limit auth-failures per user 100 for { web, bert }\n", NULL);
	if (conf == NULL)
		return -1;
	digest_init();
	guess_init(conf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_sum)
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
