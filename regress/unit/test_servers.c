/*
 * proxyd's order of servers: who is down, who is only a standby, whose turn it is
 * by its weight.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/base/clock.h"
#include "proxyd/servers.h"

static struct mono	now = { 1000000 };
static char		name_a[] = "a", name_p[] = "p", name_q[] = "q";
static struct conf_action action = { .name = name_a, .type = ACT_PROXY };

/* "a b* c3": names are addresses, * a standby, a digit the weight. */
static size_t
cands(const char *s, struct hosts_cand *c)
{
	size_t	 n = 0;

	memset(c, 0, 8 * sizeof(*c));
	for (; *s != '\0'; s++) {
		if (*s == ' ')
			continue;
		if (*s == '*')
			c[n - 1].standby = true;
		else if (*s >= '0' && *s <= '9')
			c[n - 1].weight = (uint8_t)(*s - '0');
		else {
			snprintf(c[n].name, sizeof(c[n].name), "%c", *s);
			c[n].addr = (struct addr){ .family = 4, .port = 25 };
			c[n].addr.ip[0] = (uint8_t)*s;
			c[n].group = (uint16_t)n;
			n++;
		}
	}
	return n;
}

static void
order(const char *list, const char *want)
{
	struct hosts_cand	c[8];
	char			got[16] = "";
	size_t			n = cands(list, c);

	servers_order(&action, c, n);
	for (size_t i = 0; i < n; i++)
		strlcat(got, c[i].name, sizeof(got));
	assert_string_equal(got, want);
}

static void
later(int64_t ms)
{
	now.ms += ms;
	clock_fake(&now, NULL);
}

static void
down(void **state)
{
	struct hosts_cand	c[8];

	(void)state;
	later(0);
	cands("a b c", c);
	order("a b c", "abc");
	order("a* b c", "bca");
	servers_failed(&action, &c[0], "421 x");
	assert_true(servers_is_down(&c[0].addr));
	order("a b c", "bca");
	order("a b* c", "cba");
	order("a b*", "ba");
	servers_failed(&action, &c[1], "421 x");
	order("a b c", "cab");
	/* One caller tries the first one; for others it is down. */
	later(SERVERS_PROBE_MIN_MS * 6 / 5);
	servers_works(&action, &c[1]);
	order("a b c", "abc");
	order("a b c", "bca");
	/* In vain: twice as long. */
	servers_failed(&action, &c[0], "421 x");
	later(SERVERS_PROBE_MIN_MS * 6 / 5);
	order("a b c", "bca");
	later(SERVERS_PROBE_MIN_MS * 6 / 5);
	order("a b c", "abc");
	servers_works(&action, &c[0]);
	order("a b c", "abc");
}

static void
weights(void **state)
{
	struct hosts_cand	c[8];
	unsigned		first[256] = { 0 };

	(void)state;
	for (int i = 0; i < 8000; i++) {
		size_t	 n = cands("a3 b c* d4", c);

		servers_order(&action, c, n);
		first[(uint8_t)c[0].name[0]]++;
		assert_string_equal(c[3].name, "c");
	}
	assert_in_range(first['a'], 2800, 3200);
	assert_in_range(first['b'], 850, 1150);
	assert_in_range(first['d'], 3800, 4200);
}

/* How many are up; a pool has times of its own. */
static void
up(void **state)
{
	struct conf_pool	p = { .name = name_p, .probe_min_ms = 1000,
				    .probe_max_ms = 4000 };
	struct conf_action	pooled = { .name = name_q, .pool = &p };
	struct hosts_cand	c[8], o[8];
	size_t			n = cands("u v w*", c);

	(void)state;
	assert_int_equal(servers_order(&pooled, c, n), 3);
	cands("u v w*", o);
	servers_failed(&pooled, &o[0], "421 x");
	servers_failed(&pooled, &o[2], "421 x");
	assert_int_equal(servers_order(&pooled, c, n), 1);
	assert_string_equal(c[0].name, "v");
	/* Both are due, once. */
	later(1300);
	assert_int_equal(servers_order(&pooled, c, n), 3);
	assert_int_equal(servers_order(&pooled, c, n), 1);
	servers_works(&pooled, &o[0]);
	servers_works(&pooled, &o[2]);
	assert_int_equal(servers_order(&pooled, c, n), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(down),
		cmocka_unit_test(weights),
		cmocka_unit_test(up),
	};

	clock_fake(&now, NULL);
	servers_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
