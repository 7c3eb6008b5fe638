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

#include "queued/sources.h"

static uint32_t	heard[SOURCES_PEERS];
static unsigned	told;
/* There is no end of them: they live as long as queued. */
static struct sources *s;

static void
tell(unsigned slot, const struct addr *a, uint32_t sum, void *arg)
{
	assert_ptr_equal(arg, heard);
	assert_true(a->family != 0);
	heard[slot] = sum;
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
set(unsigned slot, const char *a, uint32_t n)
{
	struct addr	 x = addr_of(a);

	told = 0;
	sources_set(s, slot, &x, n, tell, heard);
}

static void
test_sums(void **state)
{
	(void)state;
	s = sources_new();
	set(0, "192.0.2.1", 3);
	assert_true(told == 1 && heard[0] == 3);
	set(5, "192.0.2.1", 2);
	assert_true(told == 2 && heard[0] == 5 && heard[5] == 5);
	set(1, "192.0.2.2", 9);		/* another source */
	assert_true(told == 1 && heard[1] == 9 && heard[0] == 5);
	set(1, "2001:db8::1", 1);
	assert_int_equal(sources_count(s), 3);
	set(0, "192.0.2.1", 1);		/* absolute, not added */
	assert_true(heard[0] == 3 && heard[5] == 3);
	set(0, "192.0.2.1", 0);		/* the reporter hears too */
	assert_true(told == 2 && heard[0] == 2 && heard[5] == 2);
	set(5, "192.0.2.1", 0);
	assert_true(heard[5] == 0);
	assert_int_equal(sources_count(s), 2);
	set(5, "198.51.100.9", 0);		/* never heard of */
	assert_int_equal(told, 0);
	set(SOURCES_PEERS, "192.0.2.1", 1);	/* no such worker */
	assert_int_equal(told, 0);
	sources_gone(s, 1, tell, heard);
	assert_int_equal(sources_count(s), 0);
}

static void
test_gone(void **state)
{
	char		 name[32];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "10.0.%u.%u", i / 200, i % 200);
		set(1, name, 2);
		if (i % 3 == 0)
			set(2, name, 1);
	}
	assert_int_equal(sources_count(s), 300);
	told = 0;
	sources_gone(s, 1, tell, heard);
	assert_int_equal(sources_count(s), 100);
	assert_int_equal(heard[2], 1);
	sources_gone(s, 2, tell, heard);
	assert_int_equal(sources_count(s), 0);
	sources_gone(s, SOURCES_PEERS, tell, heard);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
