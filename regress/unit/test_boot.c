/*
 * What each daemon gets: the planned bounds and their refusal with the sum, and
 * the times of a daemon that dies again and again.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "postern/postern.h"

#define MIB	(1ULL << 20)
#define GIB	(1ULL << 30)

static void
back_off(void **state)
{
	/* architecture.md: at once, then after 0.1 s, 0.2 s … up to 5 s. */
	static const int64_t	 want[] = { 0, 100, 200, 400, 800, 1600, 3200,
	    5000, 5000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(backoff_ms(i), want[i]);
	for (unsigned i = 10; i < 100000; i += 17)
		assert_int_equal(backoff_ms(i), 5000);
	assert_int_equal(backoff_ms(UINT32_MAX), 5000);
}

static void
names(void **state)
{
	(void)state;
	assert_string_equal(role_name(IPC_PARENT), "postern");
	assert_string_equal(role_name(IPC_SMTPD), "smtpd");
	assert_string_equal(role_name(IPC_KEYD), "keyd");
	assert_string_equal(role_name(IPC_PASSWD), "passwd");
	assert_int_equal(role_index(IPC_PASSWD), NROLES - 1);
}

static struct conf_action	 relay = { .type = ACT_RELAY };
static struct conf_action	 proxy = { .type = ACT_PROXY };
static struct conf_listen	 plain, passwords = {
    .takes_passwords = true };

static struct conf *
conf_of(unsigned sessions, unsigned deliveries, bool with_proxy,
    bool with_passwords)
{
	static struct conf_action	*actions[2];
	static struct conf_listen	*listens[2];
	static struct conf		 c;

	memset(&c, 0, sizeof(c));
	actions[0] = &relay;
	actions[1] = &proxy;
	listens[0] = &plain;
	listens[1] = &passwords;
	c.actions = actions;
	c.nactions = with_proxy ? 2 : 1;
	c.listens = listens;
	c.nlistens = with_passwords ? 2 : 1;
	c.limits.sessions = sessions;
	c.limits.deliveries = deliveries;
	return &c;
}

static const struct plan_role *
role(const struct plan *p, enum ipc_role r)
{
	return &p->role[role_index(r)];
}

static void
holds(void **state)
{
	struct plan	 p;
	struct buf	 msgs;

	(void)state;
	buf_init(&msgs, 4096);
	/* The defaults on two processors. */
	assert_true(plan_make(&p, conf_of(4000, 200, true, false), 2, 1 << 19,
	    8 * GIB, &msgs));
	assert_int_equal(buf_len(&msgs), 0);
	assert_int_equal(p.classes, 1);
	assert_true(p.proxies);
	assert_int_equal(p.sessions, 2000);
	assert_int_equal(role(&p, IPC_SMTPD)->count, 2);
	assert_int_equal(role(&p, IPC_PROXYD)->count, 2);
	assert_int_equal(role(&p, IPC_DELIVERD)->count, 1);
	assert_int_equal(role(&p, IPC_QUEUED)->count, 1);
	/* security.md, 2 */
	assert_int_equal(role(&p, IPC_SMTPD)->nofile, 2000 * 2 + 64);
	assert_int_equal(role(&p, IPC_PROXYD)->nofile, 2000 + 64);
	assert_true(role(&p, IPC_DELIVERD)->nofile >= 200 + 64);
	assert_int_equal(role(&p, IPC_LOOKUPD)->nofile, 512);
	assert_int_equal(role(&p, IPC_KEYD)->nofile, 64);
	assert_int_equal(p.nofile, 4064);
	assert_true(role(&p, IPC_QUEUED)->fsize == UINT64_MAX);
	for (unsigned i = 1; i < NROLES; i++) {
		if (1 << i != IPC_QUEUED)
			assert_int_equal(p.role[i].fsize, 0);
		assert_true(p.role[i].as >= 64 * MIB);
	}
	/* Passwords: twice the workers, so twice the memory. */
	{
		uint64_t	 once = p.memory;

		assert_true(plan_make(&p, conf_of(4000, 200, true, true), 2,
		    1 << 19, 8 * GIB, &msgs));
		assert_int_equal(p.classes, 2);
		assert_true(p.memory > once + 4000 * 64 * 1024ULL);
	}
	/* What is kept without a client, by each worker and each action. */
	proxy.idle_connections = 300;
	assert_true(plan_make(&p, conf_of(4000, 200, true, false), 2, 1 << 19,
	    8 * GIB, &msgs));
	assert_int_equal(role(&p, IPC_PROXYD)->nofile, 2000 + 300 + 64);
	proxy.idle_connections = 1100;
	assert_false(plan_make(&p, conf_of(400, 20, true, false), 2, 1300,
	    8 * GIB, &msgs));
	assert_non_null(strstr(buf_cstr(&msgs), "each proxyd needs 1364 "));
	assert_non_null(strstr(buf_cstr(&msgs), "idle-connections 1100"));
	buf_reset(&msgs);
	proxy.idle_connections = 0;
	/* A mirror: a second link for each session. */
	proxy.mirror = &relay;
	assert_true(plan_make(&p, conf_of(4000, 200, true, false), 2, 1 << 19,
	    8 * GIB, &msgs));
	proxy.mirror = NULL;
	assert_int_equal(role(&p, IPC_SMTPD)->nofile, 2000 * 2 + 64);
	assert_int_equal(role(&p, IPC_PROXYD)->nofile, 2 * 2000 + 64);
	/* No proxy: none is started, none is counted. */
	assert_true(plan_make(&p, conf_of(4000, 200, false, false), 2, 1 << 19,
	    8 * GIB, &msgs));
	assert_int_equal(role(&p, IPC_PROXYD)->count, 0);
	/* But where servers are asked for recipients, for a few connections. */
	relay.backup_mx = true;
	assert_true(plan_make(&p, conf_of(4000, 200, false, false), 2, 1 << 19,
	    8 * GIB, &msgs));
	relay.backup_mx = false;
	assert_int_equal(role(&p, IPC_PROXYD)->count, 2);
	assert_in_range(role(&p, IPC_PROXYD)->nofile, 64 + 64, 1000);
	buf_clear(&msgs);
}

/* Workers by processors; together they hold what was asked for. */
static void
shares(void **state)
{
	static const unsigned	 cpus[] = { 0, 1, 2, 3, 4, 7, 8, 9, 64, 1024 };
	struct plan		 p;
	struct buf		 msgs;

	(void)state;
	buf_init(&msgs, 4096);
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++)
		for (unsigned sessions = 1; sessions < 60000;
		    sessions = sessions * 3 + 1) {
			assert_true(plan_make(&p, conf_of(sessions, 1, true,
			    false), cpus[i], 1 << 19, 64 * GIB, &msgs));
			assert_in_range(role(&p, IPC_SMTPD)->count, 1,
			    WORKERS_MAX);
			assert_in_range(role(&p, IPC_DELIVERD)->count, 1, 4);
			assert_true(p.sessions * role(&p, IPC_SMTPD)->count >=
			    sessions);
			assert_in_range(p.sessions, 1, UINT16_MAX);
		}
	buf_clear(&msgs);
}

static void
refused(void **state)
{
	struct plan	 p;
	struct buf	 msgs;
	const char	*s;

	(void)state;
	buf_init(&msgs, 4096);
	/* Descriptors: of one process, by the hard limit. */
	assert_false(plan_make(&p, conf_of(4000, 200, false, false), 2, 1024,
	    8 * GIB, &msgs));
	s = buf_cstr(&msgs);
	assert_non_null(strstr(s, "each smtpd needs 4064 descriptors"));
	assert_non_null(strstr(s, "limit sessions 4000 over 2 workers"));
	assert_non_null(strstr(s, "the hard limit is 1024"));
	buf_reset(&msgs);
	assert_true(plan_make(&p, conf_of(4000, 200, false, false), 2, 4064,
	    8 * GIB, &msgs));
	assert_false(plan_make(&p, conf_of(4000, 200, false, false), 2, 4063,
	    8 * GIB, &msgs));
	buf_reset(&msgs);
	/* Memory: the terms and the sum. 60,000 x (64 + 160) KiB x 2, 200 x 192
	 * KiB, 512 MiB. */
	assert_false(plan_make(&p, conf_of(60000, 200, true, true), 8, 1 << 19,
	    8 * GIB, &msgs));
	s = buf_cstr(&msgs);
	assert_int_equal(p.memory / MIB, (60000ULL * 224 * 2 + 200 * 192) /
	    1024 + 512);
	assert_non_null(strstr(s, "60000 sessions of 224 KiB twice"));
	assert_non_null(strstr(s, "200 deliveries of 192 KiB"));
	assert_non_null(strstr(s, "512 MiB for the queue"));
	assert_non_null(strstr(s, "are 26799 MiB, the machine has 8192 MiB"));
	buf_reset(&msgs);
	assert_true(plan_make(&p, conf_of(60000, 200, true, true), 8, 1 << 19,
	    p.memory, &msgs));
	assert_false(plan_make(&p, conf_of(60000, 200, true, true), 8, 1 << 19,
	    p.memory - 1, &msgs));
	buf_clear(&msgs);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(back_off),
		cmocka_unit_test(names),
		cmocka_unit_test(holds),
		cmocka_unit_test(shares),
		cmocka_unit_test(refused)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
