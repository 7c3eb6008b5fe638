/*
 * Sessions per source over all smtpd workers: each hears the sum, also when
 * another one dies.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/base/clock.h"
#include "queued/sources.h"

static struct source_state heard[SOURCES_PEERS];
static unsigned	told;
/* There is no end of them: they live as long as queued. */
static struct sources *s;

/* They live as long as queued does, nothing frees them; a pointer stays. */
static void
fresh(void)
{
	static struct sources	*kept[8];
	static unsigned		 n;

	assert_true(n < 8);
	s = kept[n++] = sources_new();
}

static void
tell(unsigned slot, const struct addr *a, const struct source_state *sum,
    void *arg)
{
	assert_ptr_equal(arg, heard);
	assert_true(a->family != 0);
	heard[slot] = *sum;
	told++;
}

static struct addr
addr_of(const char *text)
{
	struct addr	 a;

	assert_true(addr_parse(span_str(text), &a));
	return a;
}

static void
report(unsigned slot, const char *a, struct source_state st)
{
	struct addr	 x = addr_of(a);

	told = 0;
	sources_report(s, slot, &x, &st, tell, heard);
}

static void
set(unsigned slot, const char *a, uint32_t n)
{
	report(slot, a, (struct source_state){ .sessions = n });
}

static void
test_sums(void **state)
{
	(void)state;
	fresh();
	set(0, "192.0.2.1", 3);
	assert_true(told == SOURCES_PEERS && heard[0].sessions == 3);
	set(5, "192.0.2.1", 2);
	assert_true(heard[0].sessions == 5 && heard[5].sessions == 5);
	set(1, "192.0.2.2", 9);		/* another source */
	assert_int_equal(heard[1].sessions, 9);
	set(1, "2001:db8::1", 1);
	assert_int_equal(sources_count(s), 3);
	set(0, "192.0.2.1", 1);		/* absolute, not added */
	assert_true(heard[0].sessions == 3 && heard[5].sessions == 3);
	set(0, "192.0.2.1", 0);
	assert_true(heard[0].sessions == 2 && heard[5].sessions == 2);
	set(5, "192.0.2.1", 0);
	assert_true(heard[5].sessions == 0);
	assert_int_equal(sources_count(s), 2);
	set(5, "198.51.100.9", 0);		/* never heard of */
	assert_int_equal(told, 0);
	set(SOURCES_PEERS, "192.0.2.1", 1);	/* no such worker */
	assert_int_equal(told, 0);
	sources_gone(s, 1, tell, heard);
	assert_int_equal(sources_count(s), 0);
}

/* What happened is added up over the workers, in the newest window. */
static void
test_windows(void **state)
{
	struct mono	 m = { 1000 };
	struct wall	 w = { 1000 };

	(void)state;
	clock_fake(&m, &w);
	fresh();
	report(0, "192.0.2.1", (struct source_state){ 1, { 7, 1 }, { 0, 0 } });
	report(1, "192.0.2.1", (struct source_state){ 1, { 7, 2 }, { 3, 1 } });
	assert_int_equal(heard[0].came.n, 3);
	assert_int_equal(heard[0].failed.n, 1);
	assert_int_equal(heard[0].failed.window, 3);
	/* Late news of a window that is over. */
	report(0, "192.0.2.1", (struct source_state){ 1, { 6, 9 }, { 3, 2 } });
	assert_int_equal(heard[1].came.n, 3);
	assert_int_equal(heard[1].failed.n, 3);
	report(0, "192.0.2.1", (struct source_state){ 1, { 8, 1 }, { 4, 1 } });
	assert_int_equal(heard[1].came.window, 8);
	assert_int_equal(heard[1].came.n, 1);
	assert_int_equal(heard[1].failed.n, 1);
	/* It stays known without sessions, for as long as a window may be. */
	sources_gone(s, 0, tell, heard);
	sources_gone(s, 1, tell, heard);
	assert_int_equal(heard[2].sessions, 0);
	assert_int_equal(sources_count(s), 1);
	m.ms += SOURCES_KEEP_MS + 1;
	clock_fake(&m, &w);
	for (unsigned i = 0; i < 1100; i++) {
		char	 name[32];

		snprintf(name, sizeof(name), "10.1.%u.%u", i / 200, i % 200);
		set(1, name, 1);
	}
	assert_int_equal(sources_count(s), 1100);
	clock_fake(NULL, NULL);
}

static void
test_gone(void **state)
{
	char		 name[32];

	(void)state;
	fresh();
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "10.0.%u.%u", i / 200, i % 200);
		set(1, name, 2);
		if (i % 3 == 0)
			set(2, name, 1);
	}
	assert_int_equal(sources_count(s), 300);
	sources_gone(s, 1, tell, heard);
	assert_int_equal(sources_count(s), 100);
	sources_gone(s, 2, tell, heard);
	assert_int_equal(sources_count(s), 0);
	sources_gone(s, SOURCES_PEERS, tell, heard);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
