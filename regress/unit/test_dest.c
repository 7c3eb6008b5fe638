/*
 * queued's destinations: which recipients share one, and how success and
 * trouble change the jobs that it may have at a time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "queued/dest.h"
#include "regress/lib/queuehelp.h"

static const struct retry usual = { 60000, 7200000 };
static struct conf	*conf;

static uint64_t
key(const char *action, const char *to, const char *domain)
{
	char		 got[CONF_TARGET_MAX];
	uint64_t	 k;

	k = dest_of(conf, span_str(action), span_str(to), span_str("s@a.example"),
	    span_str("user"), got);
	if (domain != NULL)
		assert_string_equal(got, domain);
	return k;
}

static void
test_names(void **state)
{
	uint64_t	 k = key("relay", "u@example.org", "example.org");

	(void)state;
	assert_true(key("relay", "other@EXAMPLE.org", "example.org") == k);
	assert_true(key("relay", "\"a@b\"@example.org", "example.org") == k);
	assert_true(key("relay", "u@example.net", "example.net") != k);
	assert_true(key("other", "u@example.org", "example.org") != k);
	assert_true(key("relay", "u@b\xc3\xbc" "cher.example",
	    "xn--bcher-kva.example") ==
	    key("relay", "u@xn--bcher-kva.EXAMPLE", NULL));
	key("relay", "u@[192.0.2.1]", "[192.0.2.1]");
	key("relay", "u@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]");
	/* An action with servers of its own is one destination. */
	assert_true(key("list", "u@example.org", "") ==
	    key("list", "u@example.net", ""));
}

static struct dest
fresh(void)
{
	return (struct dest){ .window = DEST_WINDOW,
	    .action = (char *)(uintptr_t)"relay",
	    .domain = (char *)(uintptr_t)"example.org" };
}

/* Begun a moment ago, with a reply that took no time. */
static bool
seen(struct dest *d, enum d_dest s, int64_t now)
{
	return dest_seen(d, &(struct dest_word){ s, now, 0 }, 40, &usual, now,
	    0);
}

static bool
took(struct dest *d, uint32_t ms)
{
	return dest_seen(d, &(struct dest_word){ D_DEST_OK, 1, ms }, 40,
	    &usual, 1, 0);
}

static void
test_up(void **state)
{
	struct dest	 d = fresh();

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_false(seen(&d, D_DEST_OK, 1));
	assert_int_equal(d.window, 40);
	assert_int_equal(d.state, DEST_UP);
	d.running = 39;
	assert_true(dest_may_start(&d, 1));
	d.running = 40;
	assert_false(dest_may_start(&d, 1));
	d.running = 0;
	d.paused = true;
	assert_false(dest_may_start(&d, 1));
}

static void
test_slow(void **state)
{
	struct dest	 d = fresh();

	(void)state;
	seen(&d, D_DEST_SLOW, 1);
	assert_int_equal(d.state, DEST_SLOW);
	assert_int_equal(d.window, DEST_WINDOW / 2);
	for (int i = 0; i < 10; i++)
		seen(&d, D_DEST_SLOW, 2 + i);
	assert_int_equal(d.window, 1);		/* never none at all */
	assert_true(dest_may_start(&d, 1));
	assert_false(seen(&d, D_DEST_OK, 1));
	assert_int_equal(d.state, DEST_UP);
	assert_int_equal(d.window, 2);
}

/* The jobs that were under way then tell of one trouble; and the window grows
 * slowly where it was met. */
static void
test_once(void **state)
{
	struct dest	 d = fresh();
	struct dest_word w = { D_DEST_SLOW, 1000, 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		dest_seen(&d, &w, 40, &usual, 1500 + i, 0);
	assert_int_equal(d.window, DEST_WINDOW / 2);
	for (int i = 0; i < 9; i++)
		seen(&d, D_DEST_OK, 2000);
	assert_int_equal(d.window, 10);
	seen(&d, D_DEST_OK, 2000);
	assert_int_equal(d.window, 11);		/* a round of ten */
	w.begun_ms = 2000;
	dest_seen(&d, &w, 40, &usual, 2100, 0);
	assert_int_equal(d.window, 5);
	/* A server that takes 8 at a time and no more: 4 to 8 it is. */
	for (int i = 0; i < 1000; i++) {
		seen(&d, d.window > 8 ? D_DEST_SLOW : D_DEST_OK, 3000 + i);
		assert_true(d.window >= 4 && d.window <= 9);
	}
}

/* A server that answers more slowly the more it has to do gets no more. */
static void
test_latency(void **state)
{
	struct dest	 d = fresh();
	unsigned	 was;

	(void)state;
	for (int i = 0; i < 5; i++)
		took(&d, 300);
	assert_int_equal(d.window, 25);
	for (int i = 0; i < 20; i++)
		took(&d, 900);
	was = d.window;
	assert_true(was < 33);
	for (int i = 0; i < 20; i++)
		took(&d, 900);
	assert_int_equal(d.window, was);
	for (int i = 0; i < 40; i++)
		took(&d, 300);
	assert_true(d.window > was);
	/* What is slow for good is no reason to stay small. */
	d = fresh();
	took(&d, 300);
	for (int i = 0; i < 400; i++)
		took(&d, 900);
	assert_int_equal(d.window, 40);
	/* And within a fifth of a second nobody is slow. */
	d = fresh();
	took(&d, 1);
	for (int i = 0; i < 100; i++)
		took(&d, 150);
	assert_int_equal(d.window, 40);
}

static void
test_down(void **state)
{
	struct dest	 d = fresh();
	int64_t		 probe;

	(void)state;
	d.running = 5;
	assert_false(seen(&d, D_DEST_DOWN, 1000));
	assert_int_equal(d.state, DEST_DOWN);
	assert_true(d.down_since_ms == 1000 && d.probe_ms > 1000);
	probe = d.probe_ms;
	/* The others that were under way say the same; it is one trouble. */
	for (int i = 0; i < 4; i++)
		seen(&d, D_DEST_DOWN, 1010);
	assert_true(d.probe_ms == probe && d.troubles == 1);
	assert_false(dest_may_start(&d, probe));	/* some still run */
	d.running = 0;
	assert_false(dest_may_start(&d, probe - 1));
	assert_true(dest_may_start(&d, probe));
	d.running = 1;				/* one probe at a time */
	assert_false(dest_may_start(&d, probe));
	d.running = 0;
	seen(&d, D_DEST_DOWN, probe);
	assert_true(d.troubles == 2 && d.probe_ms - probe > probe - 1000);
	assert_true(d.down_since_ms == 1000);
	/* A slow one among those begun before does not bring it back. */
	seen(&d, D_DEST_SLOW, probe);
	assert_int_equal(d.state, DEST_DOWN);
	/* It answers: told once, and carefully at first. */
	assert_true(seen(&d, D_DEST_OK, probe));
	assert_int_equal(d.state, DEST_UP);
	assert_true(d.window < DEST_WINDOW);
	assert_false(seen(&d, D_DEST_OK, probe));
	assert_int_equal(d.troubles, 0);
}

static void
test_limit(void **state)
{
	struct dest	 d = fresh();

	(void)state;
	assert_int_equal(dest_limit(conf, &d), 40);
	conf->limits.deliveries_per_dest = 0;
	assert_int_equal(dest_limit(conf, &d), 2);
	conf->limits.deliveries_per_dest = 20;
	conf->actions[0]->max_connections = 3;
	assert_int_equal(dest_limit(conf, &d), 6);
	conf->actions[0]->max_connections = 0;
	assert_string_equal(dest_state_str(DEST_UP), "up");
	assert_string_equal(dest_state_str(DEST_SLOW), "slow");
	assert_string_equal(dest_state_str(DEST_DOWN), "down");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_up),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_latency),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_limit),
	};

	conf = help_conf();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
