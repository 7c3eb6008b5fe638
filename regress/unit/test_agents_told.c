/*
 * What deliverds tell queued of servers and domains, and hear of what the
 * others told: servers that are down or back, policies of MTA-STS, what came of TLS.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "common/base/clock.h"
#include "queued/hosts.h"
#include "queued/rpt.h"
#include "queued/side.h"
#include "regress/lib/agenthelp.h"
#include "regress/lib/queuehelp.h"

static void
tell(struct fake *f, uint8_t last, uint32_t failures, uint32_t conns)
{
	struct addr	 a = { .family = 4, .port = 25,
			    .ip = { 192, 0, 2, last } };

	CHAN_SEND(f->chan, d_server, .addr = a, .name = span_str("mx.example"),
	    .label = span_str("pool"), .failures = failures,
	    .since_ms = 1000, .probe_ms = failures > 0 ? 20000 : 0,
	    .why = span_str("451 4.4.1 refused"), .conns = conns,
	    .delivered = 2, .failed = 1);
}

/* What one deliverd finds out about a server the others hear, also one that
 * comes later; not what they know, and not of those that are up. */
static void
test_servers(void **state)
{
	struct addr	 a = { .family = 4, .port = 25,
			    .ip = { 192, 0, 2, 1 } };
	struct ipc_d_server_state st;

	(void)state;
	hosts_forget();
	fake_connect(&fakes.one, 0);
	fakes_turn();
	tell(&fakes.one, 1, 3, 4);
	tell(&fakes.one, 2, 0, 1);
	fakes_turn();
	assert_int_equal(fakes.one.states, 0);
	fake_connect(&fakes.two, 1);
	fakes_turn();
	assert_true(fakes.two.states == 1 && fakes.two.failures == 3 &&
	    fakes.two.probe_ms > 18000 && fakes.two.probe_ms <= 20000);
	/* The probe of one succeeds. */
	tell(&fakes.one, 1, 0, 4);
	fakes_turn();
	assert_true(fakes.two.states == 2 && fakes.two.failures == 0);
	tell(&fakes.one, 1, 0, 5);
	fakes_turn();
	assert_int_equal(fakes.two.states, 2);
	tell(&fakes.two, 1, 1, 0);
	fakes_turn();
	assert_true(fakes.one.states == 1 && fakes.one.failures == 1);
	assert_int_equal(hosts_count(), 2);
	/* queued's own view outlives who told of it. */
	fake_gone(&fakes.one);
	fakes_turn();
	assert_true(hosts_state(&a, &st) && st.failures == 1);
	hosts_forget();
	assert_false(hosts_state(&a, &st));
}

/* More servers than there is room for: those that are down stay. */
static void
test_servers_many(void **state)
{
	struct ipc_d_server m = { .addr = { .family = 6, .port = 25 } };
	struct ipc_d_server_state st;

	(void)state;
	hosts_forget();
	for (unsigned i = 0; i < 2 * HOSTS_KNOWN_MAX; i++) {
		m.addr.ip[14] = (uint8_t)(i >> 8);
		m.addr.ip[15] = (uint8_t)i;
		m.failures = i < 10;
		hosts_report(0, &m);
	}
	assert_int_equal(hosts_count(), HOSTS_KNOWN_MAX);
	for (unsigned i = 0; i < 10; i++) {
		m.addr.ip[14] = 0;
		m.addr.ip[15] = (uint8_t)i;
		assert_true(hosts_state(&m.addr, &st) && st.failures == 1);
	}
	/* Numbers that make no sense do no harm. */
	m.since_ms = m.probe_ms = UINT64_MAX;
	m.conns = UINT32_MAX;
	m.failures = 7;
	hosts_report(1, &m);
	assert_true(hosts_state(&m.addr, &st) && st.failures == 7);
	hosts_gone(1);
	assert_false(hosts_report(HOSTS_AGENTS, &m));
	hosts_forget();
}

/* A server of a destination that is down answers again: it is tried at once. */
static void
test_back_up(void **state)
{
	(void)state;
	fake_connect(&fakes.one, 0);
	fakes_turn();
	fakes_send(1, "b@x.example", 10);
	fakes_send(2, "b@x.example", 10);
	fakes_turn();
	assert_int_equal(fakes.one.njobs, 2);
	fake_done(&fakes.one, &fakes.one.jobs[0], D_TEMP, D_DEST_DOWN);
	fake_done(&fakes.one, &fakes.one.jobs[1], D_TEMP, D_DEST_DOWN);
	fakes_send(3, "b@x.example", 10);
	fakes_turn();
	assert_int_equal(fakes.one.njobs, 2);
	CHAN_SEND(fakes.one.chan, d_back_up, .action = span_str("relay"),
	    .domain = span_str("other.example"));
	fakes_turn();
	assert_int_equal(fakes.one.njobs, 2);
	CHAN_SEND(fakes.one.chan, d_back_up, .action = span_str("relay"),
	    .domain = span_str("x.example"));
	fakes_turn();
	assert_true(fakes.one.njobs == 3 && fakes.one.jobs[2].id == 3);
	usleep(5000);		/* so that they were tried before that */
	fake_done(&fakes.one, &fakes.one.jobs[2], D_OK, D_DEST_OK);
	fakes_turn();
	/* It is: those that were deferred come at once. */
	assert_int_equal(fakes.one.njobs, 5);
	fakes.attempt = 2;
	fake_done(&fakes.one, &fakes.one.jobs[3], D_OK, D_DEST_OK);
	fake_done(&fakes.one, &fakes.one.jobs[4], D_OK, D_DEST_OK);
	fakes_turn();
	fakes.attempt = 1;
	assert_int_equal(fakes.q->messages, 0);
}

/* What one deliverd has fetched the other one is told. */
static void
test_policies(void **state)
{
	static const char	text[] = "version: STSv1\nmode: testing\n"
				    "max_age: 60\nmx: a.test\n";

	(void)state;
	fake_connect(&fakes.one, 1);
	fake_connect(&fakes.two, 2);
	CHAN_SEND(fakes.two.chan, d_policy_ask, .domain = span_str("x.example"));
	fakes_turn();
	assert_int_equal(fakes.two.policies, 1);
	assert_string_equal(fakes.two.policy, "");
	CHAN_SEND(fakes.one.chan, d_policy, .domain = span_str("x.example"),
	    .id = span_str("1"), .expires_ms = (uint64_t)clock_wall().ms +
	    60000, .text = span_str(text));
	fakes_turn();
	CHAN_SEND(fakes.two.chan, d_policy_ask, .domain = span_str("x.example"));
	fakes_turn();
	assert_int_equal(fakes.two.policies, 2);
	assert_string_equal(fakes.two.policy, text);
	assert_int_equal(fakes.one.policies, 0);
}

/* Of what came of TLS: sums, as long as it makes sense. */
static void
test_tls(void **state)
{
	(void)state;
	fakes.conf->report_from = (char *)(uintptr_t)"tls@gw.example.org";
	fake_connect(&fakes.one, 1);
	fake_connect(&fakes.two, 2);
	CHAN_SEND(fakes.one.chan, d_tls, .domain = span_str("x.example"),
	    .rua = span_str("mailto:r@x.example"), .policy_domain =
	    span_str("x.example"), .result = RPT_OK);
	fakes_turn();
	fakes.conf->report_from = NULL;
	assert_int_equal(side_count(store_rpt(fakes.q->store)), 3);
	assert_int_equal(agents_count(fakes.agents), 2);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, fakes_enter, fakes_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_servers), T(test_servers_many), T(test_back_up),
		T(test_policies), T(test_tls),
	};

	return fakes_run("agents_told", tests, sizeof(tests) / sizeof(tests[0]));
}
