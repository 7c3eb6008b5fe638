/*
 * queued's side of the proxyds, over real channels: places for all of them, a
 * server's own limit, what is paused, one that is gone, one that talks rubbish.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "queued/hosts.h"
#include "queued/proxies.h"

static struct event_base	*base;
static struct queue		 q;
static struct queue		*queue = &q;
static struct proxies		*proxies;
static const char		*reported;

/* What a proxyd heard, as words. */
struct fake {
	struct chan	*chan;
	char		 heard[32][128];
	size_t		 n, seen;
	bool		 closed;
};
static struct fake	 one, two;

void	 proc_report(struct proc *, enum ipc_role, uint16_t, const char *);

void
proc_report(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *why)
{
	(void)p;
	(void)worker;
	assert_int_equal(role, IPC_PROXYD);
	reported = why;
}

static void
note(struct chan *c, const char *what, struct span s, const struct addr *a,
    uint32_t n)
{
	struct fake	*f = chan_arg(c);
	char		 at[ADDR_STRLEN];

	if (f->n < 32)
		snprintf(f->heard[f->n++], sizeof(f->heard[0]),
		    "%s %.*s %s %u", what, (int)s.len, (const char *)s.p,
		    a != NULL && a->family != 0 ? addr_str_port(a, at) : "-",
		    n);
}

static void
on_place(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_place	*m = msg;

	(void)fd;
	note(c, "place", m->action, &m->addr, m->tid);
}

static void
on_limit(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_limit	*m = msg;

	(void)fd;
	note(c, "limit", span_str("-"), &m->addr, m->limit);
}

static void
on_scarce(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_scarce	*m = msg;

	(void)fd;
	note(c, "scarce", span_str("-"), &m->addr, 0);
}

static void
on_pause(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_pause	*m = msg;

	(void)fd;
	note(c, "pause", m->name, NULL, m->on);
}

static void
on_state(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_server_state	*m = msg;

	(void)fd;
	note(c, "state", m->why, &m->addr, m->failures);
}

static const struct chan_row rows[] = {
	{ IPC_T_s_place, on_place },
	{ IPC_T_s_limit, on_limit },
	{ IPC_T_s_scarce, on_scarce },
	{ IPC_T_s_pause, on_pause },
	{ IPC_T_d_server_state, on_state },
	{ 0, NULL }
};

static void
on_closed(struct chan *c, const char *why)
{
	struct fake	*f = chan_arg(c);

	(void)why;
	f->closed = true;
}

static void
turn(void)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
begin(struct fake *f, uint16_t worker)
{
	int	fds[2];

	*f = (struct fake){ 0 };
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	f->chan = chan_new(base, fds[1], IPC_PROXYD, IPC_QUEUED, rows,
	    on_closed, f);
	assert_non_null(f->chan);
	proxies_add(proxies, worker, fds[0]);
	turn();
}

static void
end(struct fake *f)
{
	chan_free(f->chan);
	f->chan = NULL;
	turn();
}

static void
hears(struct fake *f, const char *want)
{
	turn();
	if (f->seen == f->n)
		fail_msg("nothing came, not \"%s\"", want);
	assert_string_equal(f->heard[f->seen++], want);
}

static void
quiet(struct fake *f)
{
	turn();
	if (f->seen < f->n)
		fail_msg("\"%s\" came too", f->heard[f->seen]);
}

static struct addr
at(unsigned n)
{
	return (struct addr){ .family = 4, .port = 25,
	    .ip = { 10, 0, 0, (uint8_t)n } };
}

/* Asks for a place at servers 1 .. n. */
static void
wants(struct fake *f, uint32_t tid, const char *action, unsigned n,
    unsigned all, unsigned each)
{
	uint8_t		 keys[4 * ADDR_KEY_LEN];
	struct addr	 a;

	for (unsigned i = 0; i < n; i++) {
		a = at(i + 1);
		addr_key(&a, keys + i * ADDR_KEY_LEN);
	}
	CHAN_SEND(f->chan, s_want, .tid = tid, .action = span_str(action),
	    .action_max = all, .server_max = each,
	    .addrs = span(keys, n * ADDR_KEY_LEN));
	turn();
}

static void
gives(struct fake *f, const char *action, unsigned server, bool full)
{
	CHAN_SEND(f->chan, s_give, .action = span_str(action),
	    .addr = at(server), .full = full);
	turn();
}

static int
setup(void **state)
{
	(void)state;
	q.paused = map_new(100);
	q.down = false;
	/* There is no end of it in queued, so it is one for all cases. */
	if (proxies == NULL)
		proxies = proxies_new(base, NULL, &queue);
	reported = NULL;
	begin(&one, 1);
	begin(&two, 2);
	hears(&one, "pause  - 0");
	hears(&two, "pause  - 0");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	end(&one);
	end(&two);
	assert_int_equal(proxies_count(proxies), 0);
	hosts_forget();
	map_free(q.paused);
	return 0;
}

static void
for_all(void **state)
{
	(void)state;
	wants(&one, 1, "p", 2, 0, 1);
	hears(&one, "place p 10.0.0.1:25 1");
	wants(&two, 1, "p", 2, 0, 1);
	hears(&two, "place p 10.0.0.2:25 1");
	wants(&one, 2, "p", 2, 0, 1);
	/* Idle sessions are in the way, whoever has them. */
	hears(&one, "scarce - 10.0.0.1:25 0");
	hears(&one, "scarce - 10.0.0.2:25 0");
	hears(&one, "place p - 2");
	hears(&two, "scarce - 10.0.0.1:25 0");
	hears(&two, "scarce - 10.0.0.2:25 0");
	gives(&two, "p", 2, false);
	hears(&one, "place p 10.0.0.2:25 2");
	quiet(&two);
	/* One that is gone leaves what it had. */
	wants(&two, 2, "p", 1, 0, 1);
	hears(&two, "scarce - 10.0.0.1:25 0");
	hears(&two, "place p - 2");
	end(&one);
	hears(&two, "place p 10.0.0.1:25 2");
	/* One that comes back tells what it has. */
	begin(&one, 1);
	hears(&one, "pause  - 0");
	CHAN_SEND(one.chan, s_hold, .action = span_str("q"), .addr = at(3),
	    .n = 5);
	turn();
	assert_int_equal(places_at(proxies_places(proxies),
	    &(struct addr){ .family = 4, .port = 25, .ip = { 10, 0, 0, 3 } }),
	    5);
	/* Who does not want to wait any more gets none. */
	wants(&one, 9, "p", 1, 0, 1);
	hears(&one, "scarce - 10.0.0.1:25 0");
	hears(&one, "place p - 9");
	CHAN_SEND(one.chan, s_leave, .tid = 9);
	turn();
	gives(&two, "p", 1, false);
	quiet(&one);
}

static void
limits(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 3; i++) {
		wants(i < 3 ? &one : &two, i, "p", 1, 0, 0);
		one.seen = one.n;
		two.seen = two.n;
	}
	/* The third is refused: two it is, for all, and for one that is new. */
	CHAN_SEND(two.chan, d_server, .addr = at(1), .name = span_str("h"),
	    .label = span_str("p"));
	gives(&two, "p", 1, true);
	hears(&one, "limit - 10.0.0.1:25 2");
	hears(&two, "limit - 10.0.0.1:25 2");
	end(&two);
	begin(&two, 2);
	hears(&two, "pause  - 0");
	hears(&two, "limit - 10.0.0.1:25 2");
	wants(&two, 4, "p", 2, 0, 0);
	hears(&two, "place p 10.0.0.2:25 4");
	/* No session anywhere: only who was refused hears that. */
	gives(&two, "p", 4, true);
	hears(&two, "limit - 10.0.0.4:25 0");
	quiet(&one);
}

static void
pauses(void **state)
{
	(void)state;
	map_set(q.paused, span_str("exchange"), &q);
	proxies_pauses(proxies);
	hears(&one, "pause  - 0");
	hears(&one, "pause exchange - 1");
	hears(&two, "pause  - 0");
	hears(&two, "pause exchange - 1");
	end(&two);
	begin(&two, 3);
	hears(&two, "pause  - 0");
	hears(&two, "pause exchange - 1");
	/* A queue that is down does not know. */
	q.down = true;
	proxies_pauses(proxies);
	quiet(&one);
	q.down = false;
	map_del(q.paused, span_str("exchange"));
	proxies_pauses(proxies);
	hears(&one, "pause  - 0");
	quiet(&one);
}

/* Health, to the others and to one that is new. */
static void
health(void **state)
{
	(void)state;
	CHAN_SEND(one.chan, d_server, .addr = at(1), .name = span_str("h"),
	    .label = span_str("p"), .failures = 2, .probe_ms = 10000,
	    .why = span_str("421 gone"), .conns = 3);
	hears(&two, "state 421 gone 10.0.0.1:25 2");
	quiet(&one);
	end(&two);
	begin(&two, 2);
	hears(&two, "state 421 gone 10.0.0.1:25 2");
	hears(&two, "pause  - 0");
	CHAN_SEND(two.chan, d_server, .addr = at(1));
	hears(&one, "state  10.0.0.1:25 0");
}

static void
nonsense(void **state)
{
	uint8_t	 junk[2 * ADDR_KEY_LEN] = { 0 };

	(void)state;
	for (int i = 0; i < 6; i++) {
		reported = NULL;
		one.closed = false;
		if (i == 0)
			CHAN_SEND(one.chan, s_want, .action = span_str("p"));
		if (i == 1)
			CHAN_SEND(one.chan, s_want, .action = span_str("p"),
			    .addrs = span(junk, sizeof(junk)));
		if (i == 2)
			CHAN_SEND(one.chan, s_want, .action = span_str("p"),
			    .addrs = span("\4\0\31", 3));
		if (i == 3)
			CHAN_SEND(one.chan, s_hold, .action = span_str("p"),
			    .addr = at(1), .n = UINT32_MAX);
		if (i == 4)
			CHAN_SEND(one.chan, s_give, .addr = at(1));
		if (i == 5)
			CHAN_SEND(one.chan, s_hold, .action = span_str("p"),
			    .n = 1);
		turn();
		assert_non_null(reported);
		assert_true(one.closed);
		end(&one);
		begin(&one, 1);
	}
	/* Giving what it never had, leaving where it never was: nothing. */
	one.seen = one.n;
	two.seen = two.n;
	gives(&one, "p", 1, false);
	CHAN_SEND(one.chan, s_leave, .tid = 77);
	quiet(&one);
	assert_false(one.closed);
	/* Mail it has none to give. */
	assert_int_equal(ipc_info(IPC_T_q_env)->from & IPC_PROXYD, 0);
	assert_int_equal(ipc_info(IPC_T_d_result)->from & IPC_PROXYD, 0);
	assert_int_equal(ipc_info(IPC_T_d_job)->to & IPC_PROXYD, 0);
}

int
main(void)
{
#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(for_all),
		CASE(limits),
		CASE(pauses),
		CASE(health),
		CASE(nonsense),
	};

	base = event_base_new();
	log_init("queued", LOG_FORM_TEXT, LOG_LV_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
