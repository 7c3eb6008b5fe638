/*
 * Places at servers: limits of actions and of servers, who is next, what an
 * owner takes with it, and the limits that servers have of their own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/lookup/paused.h"
#include "common/lookup/places.h"

#define MINUTE	60000

static struct places	*p;
static int64_t		 now;
static char		 heard[1024];	/* "tid@server " of what was granted */

static void
granted(void *arg, unsigned owner, uint32_t tid, struct span action,
    const struct addr *a)
{
	size_t	 n = strlen(heard);

	assert_ptr_equal(arg, &p);
	assert_true(owner < PLACES_OWNERS);
	assert_true(action.len > 0);
	snprintf(heard + n, sizeof(heard) - n, "%u@%c ", tid, a->ip[0]);
}

static int
setup(void **state)
{
	(void)state;
	now = 1000;
	heard[0] = '\0';
	p = places_new(granted, &p);
	return p == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	places_free(p);
	return 0;
}

static struct addr
at(char c)
{
	return (struct addr){ .family = 4, .port = 25,
	    .ip = { (uint8_t)c } };
}

/* The server that was given, or '-'. */
static char
take_from(unsigned owner, uint32_t tid, const char *action,
    const char *servers, unsigned action_max, unsigned server_max)
{
	struct addr		 a[8], got;
	struct places_want	 w = { .owner = owner, .tid = tid,
				    .action = span_str(action),
				    .action_max = action_max,
				    .server_max = server_max, .addrs = a };

	for (; *servers != '\0'; servers++)
		a[w.n++] = at(*servers);
	return places_take(p, &w, true, now, &got) ? (char)got.ip[0] : '-';
}

static void
give(unsigned owner, const char *action, char server)
{
	struct addr	 a = at(server);

	assert_true(places_give(p, owner, span_str(action), &a));
	places_scan(p, now);
}

static void
limits(void **state)
{
	struct addr	 a = at('a'), b = at('b');

	(void)state;
	/* None: any number, the first one. */
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(take_from(0, i, "none", "xy", 0, 0), 'x');
	/* Each server: the next one, then none. */
	assert_int_equal(take_from(0, 1, "p", "ab", 0, 2), 'a');
	assert_int_equal(take_from(1, 1, "p", "ab", 0, 2), 'a');
	assert_int_equal(take_from(2, 1, "p", "ab", 0, 2), 'b');
	assert_int_equal(take_from(0, 2, "q", "ab", 0, 2), 'b');
	assert_int_equal(places_at(p, &a), 2);
	assert_int_equal(places_at(p, &b), 2);
	assert_int_equal(places_of(p, span_str("p")), 3);
	assert_int_equal(take_from(1, 2, "q", "ab", 0, 2), '-');
	/* The action, whatever its servers have. */
	assert_int_equal(take_from(0, 5, "all", "cd", 2, 0), 'c');
	assert_int_equal(take_from(1, 5, "all", "dc", 2, 0), 'd');
	assert_int_equal(take_from(2, 5, "all", "ef", 2, 0), '-');
	assert_int_equal(places_waiting(p), 2);
	/* Without a wish to wait nothing is kept. */
	{
		struct addr		 got;
		struct places_want	 w = { .tid = 9,
					    .action = span_str("all"),
					    .action_max = 2, .addrs = &a,
					    .n = 1 };

		assert_false(places_take(p, &w, false, now, &got));
		assert_int_equal(places_waiting(p), 2);
	}
}

static void
first_come(void **state)
{
	(void)state;
	assert_int_equal(take_from(0, 1, "p", "ab", 0, 1), 'a');
	assert_int_equal(take_from(0, 2, "p", "ab", 0, 1), 'b');
	assert_int_equal(take_from(1, 3, "p", "ab", 0, 1), '-');
	assert_int_equal(take_from(2, 4, "p", "ab", 0, 1), '-');
	assert_int_equal(take_from(0, 5, "q", "b", 0, 1), '-');
	assert_int_equal(take_from(0, 6, "p", "ab", 0, 1), '-');
	give(0, "p", 'a');
	assert_string_equal(heard, "3@a ");
	/* One that comes does not overtake. */
	assert_int_equal(take_from(3, 7, "p", "ab", 0, 1), '-');
	places_leave(p, 2, 4);
	give(0, "p", 'b');
	assert_string_equal(heard, "3@a 5@b ");
	give(0, "q", 'b');
	assert_string_equal(heard, "3@a 5@b 6@b ");
	/* Nobody has what somebody else had. */
	{
		struct addr	 b = at('b');

		assert_false(places_give(p, 9, span_str("p"), &b));
		assert_false(places_give(p, 0, span_str("z"), &b));
	}
	give(1, "p", 'a');
	assert_string_equal(heard, "3@a 5@b 6@b 7@a ");
	assert_int_equal(places_waiting(p), 0);
}

static void
gone(void **state)
{
	struct addr	 a = at('a');

	(void)state;
	places_hold(p, 3, span_str("p"), &a, 7);
	places_hold(p, 3, span_str("q"), &a, 1);
	places_hold(p, 4, span_str("p"), &a, 2);
	assert_int_equal(places_at(p, &a), 10);
	assert_int_equal(take_from(3, 1, "p", "a", 0, 5), '-');
	assert_int_equal(take_from(4, 1, "p", "a", 0, 5), '-');
	places_gone(p, 3);
	assert_int_equal(places_at(p, &a), 2);
	assert_int_equal(places_of(p, span_str("q")), 0);
	places_scan(p, now);
	assert_string_equal(heard, "1@a ");
	assert_int_equal(places_waiting(p), 0);
	places_gone(p, 4);
	assert_int_equal(places_at(p, &a), 0);
}

static void
sum(void *arg, struct span action, const struct addr *a, unsigned n)
{
	unsigned	*total = arg;

	assert_true(action.len > 0 && a->family == 4);
	*total += n;
}

static void
held(void **state)
{
	struct addr	 a = at('a'), b = at('b');
	unsigned	 n = 0;

	(void)state;
	places_hold(p, 1, span_str("p"), &a, 7);
	places_hold(p, 1, span_str("q"), &b, 2);
	places_hold(p, 2, span_str("q"), &b, 100);
	places_each(p, 1, sum, &n);
	assert_int_equal(n, 9);
}

/* A server that refuses the 21st has a limit of 20. */
static void
learned(void **state)
{
	struct addr		 a = at('a');
	struct places_want	 w = { .action = span_str("p"), .addrs = &a,
				    .n = 1 };

	(void)state;
	assert_int_equal(places_full(p, &a, now), 0);
	places_hold(p, 0, span_str("p"), &a, 12);
	places_hold(p, 1, span_str("p"), &a, 8);
	assert_false(places_bounded(p, &w, now));
	assert_int_equal(places_full(p, &a, now), 20);
	assert_true(places_bounded(p, &w, now));
	assert_int_equal(take_from(0, 1, "p", "ab", 0, 0), 'b');
	assert_int_equal(take_from(0, 2, "p", "a", 0, 0), '-');
	assert_int_equal(take_from(0, 3, "p", "a", 0, 50), '-');
	/* A minute later it may have one more, and the first one gets it. */
	now += MINUTE - 1;
	places_scan(p, now);
	assert_string_equal(heard, "");
	now += 1;
	places_scan(p, now);
	assert_string_equal(heard, "2@a ");
	assert_int_equal(places_limit(p, &a, now), 21);
	/* Refused again. */
	give(0, "p", 'a');
	assert_string_equal(heard, "2@a 3@a ");
	assert_int_equal(places_full(p, &a, now), 21);
	now += 10 * MINUTE;
	assert_int_equal(places_limit(p, &a, now), 31);
	/* What is configured stays the most. */
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(take_from(0, 50 + i, "p", "a", 0, 25), 'a');
	assert_int_equal(take_from(0, 60, "p", "a", 0, 25), '-');
	now += 50 * MINUTE + 1;
	assert_int_equal(places_limit(p, &a, now), 0);
	places_limit_set(p, &a, 3, now);
	assert_int_equal(places_limit(p, &a, now), 3);
	places_limit_set(p, &a, 0, now);
	assert_int_equal(places_limit(p, &a, now), 0);
}

static void
names(void **state)
{
	struct map	*m = map_new(10);
	struct addr	 a = at('a'), six;

	(void)state;
	assert_true(addr_parse_port(span_str("[2001:db8::1]:26"), 25, &six));
	assert_false(paused_has(m, "act", "h.example", &a));
	map_set(m, span_str("act"), m);
	assert_true(paused_has(m, "act", "h.example", &a));
	assert_true(paused_has(m, "act", NULL, NULL));
	assert_false(paused_has(m, "other", "h.example", &a));
	assert_false(paused_has(m, "other", NULL, NULL));
	map_set(m, span_str("h.example"), m);
	assert_true(paused_has(m, "other", "h.example", &a));
	assert_false(paused_has(m, "other", "i.example", &a));
	map_set(m, span_str("i.example:25"), m);
	assert_true(paused_has(m, "other", "i.example", &a));
	a.port = 26;
	assert_false(paused_has(m, "other", "i.example", &a));
	map_set(m, span_str("97.0.0.0:26"), m);
	assert_true(paused_has(m, "other", "x", &a));
	a.port = 27;
	assert_false(paused_has(m, "other", "x", &a));
	map_set(m, span_str("97.0.0.0"), m);
	assert_true(paused_has(m, "other", "x", &a));
	assert_false(paused_has(m, "other", "x", &six));
	map_set(m, span_str("[2001:db8::1]:26"), m);
	assert_true(paused_has(m, "other", "x", &six));
	map_free(m);
}

int
main(void)
{
#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(limits),
		CASE(first_come),
		CASE(gone),
		CASE(held),
		CASE(learned),
		CASE(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
