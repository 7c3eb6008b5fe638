/*
 * What proxyd's workers share through queued, from the side of one of them:
 * health, places, pauses; and how it goes on while queued is away or silent.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "proxyd/idle.h"
#include "proxyd/place.h"
#include "proxyd/servers.h"
#include "regress/lib/proxydhelp.h"

/* A queued of a few lines: what it hears, as words. */
static struct chan	*queued;
static char		 said[64][128];
static size_t		 nsaid, nseen;
static uint32_t		 want;		/* the last s_want's number */
static struct addr	 want_at[8];

static void
note(const char *what, struct span action, const struct addr *a, unsigned n)
{
	char	ip[ADDR_STRLEN];

	if (nsaid < 64)
		snprintf(said[nsaid++], sizeof(said[0]), "%s %.*s %s %u", what,
		    (int)action.len, (const char *)action.p,
		    a != NULL ? addr_str_port(a, ip) : "-", n);
}

static void
on_server(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_server	*m = msg;

	(void)c;
	(void)fd;
	note(m->failures > 0 ? "down" : "up", m->label, &m->addr, m->conns);
}

static void
on_want(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_want	*m = msg;
	struct span		 s = m->addrs;
	unsigned		 n = 0;

	(void)c;
	(void)fd;
	want = m->tid;
	for (; s.len > 0; span_skip(&s, ADDR_KEY_LEN))
		addr_from_key(span_sub(s, 0, ADDR_KEY_LEN), &want_at[n++]);
	note("want", m->action, &want_at[0], n * 100 + m->action_max * 10 +
	    m->server_max);
}

static void
on_leave(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)msg;
	(void)fd;
	note("leave", span_str("-"), NULL, 0);
}

static void
on_hold(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_hold	*m = msg;

	(void)c;
	(void)fd;
	note("hold", m->action, &m->addr, m->n);
}

static void
on_give(struct chan *c, const void *msg, int fd)
{
	const struct ipc_s_give	*m = msg;

	(void)c;
	(void)fd;
	note(m->full ? "full" : "give", m->action, &m->addr, 1);
}

static const struct chan_row rows[] = {
	{ IPC_T_d_server, on_server },
	{ IPC_T_s_want, on_want },
	{ IPC_T_s_leave, on_leave },
	{ IPC_T_s_hold, on_hold },
	{ IPC_T_s_give, on_give },
	{ 0, NULL }
};

static void
lost(struct chan *c, const char *why)
{
	(void)c;
	(void)why;
}

static void
queued_start(void)
{
	int	fds[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	chan_free(queued);
	script_turn();
	place_peer(0, fds[0]);
	queued = chan_new(script_base, fds[1], IPC_QUEUED, IPC_PROXYD, rows,
	    lost, NULL);
	nsaid = nseen = 0;
}

static void
queued_stop(void)
{
	chan_free(queued);
	queued = NULL;
	script_settle(20);
	nsaid = nseen = 0;
}

/* It hears this, sooner or later, and has not before. */
static bool
came(const char *text)
{
	while (nseen < nsaid)
		if (strcmp(said[nseen++], text) == 0)
			return true;
	return false;
}

static void
queued_hears(const char *what, const char *action, struct server *s,
    unsigned n)
{
	char	 text[128];
	int64_t	 until = script_real_ms() + SCRIPT_PATIENCE_MS;

	snprintf(text, sizeof(text), "%s %s 127.0.0.1:%u %u", what, action,
	    server_port(s), n);
	while (!came(text)) {
		if (script_real_ms() > until)
			fail_msg("queued never heard \"%s\"", text);
		script_turn();
	}
}

static void
queued_hears_leave(void)
{
	UNTIL(came("leave - - 0"));
}

static struct addr
at(struct server *s)
{
	struct addr	a;

	assert_true(addr_parse_port(span_str("127.0.0.1"), server_port(s),
	    &a));
	return a;
}

static void
pauses(const char *name, bool on)
{
	CHAN_SEND(queued, s_pause, .name = STR(name), .on = on);
	script_settle(10);
}

static void
up(const char *action)
{
	opens(action, "");
	hears("server *");
	hears("reply 220 hi");
}

/* ---- which server ------------------------------------------------------- */

static void
told_of_servers(void **state)
{
	(void)state;
	queued_start();
	SERVE(sa, "S 220 hi");
	up("two");
	queued_hears("hold", "two", sa, 1);
	script_time(1100);
	queued_hears("up", "two", sa, 1);
	SEND(p_close);
	queued_hears("give", "two", sa, 1);
	/* 4xx at the greeting: the standby, and everybody hears of it. */
	SERVE(sa, "S 451 4.3.0 not now", "E");
	SERVE(sb, "S 220 hi");
	up("two");
	queued_hears("down", "two", sa, 1);
	SEND(p_close);
	UNTIL(link_count() == 0);
	/* Down, so the standby is the first one. */
	SERVE(sb, "S 220 hi");
	up("two");
	SEND(p_close);
	UNTIL(link_count() == 0);
	assert_int_equal(server_conns(sa), 2);
	/* Another worker has seen that it is back. */
	CHAN_SEND(queued, d_server_state, .addr = at(sa));
	script_settle(20);
	SERVE(sa, "S 220 hi");
	up("two");
	assert_int_equal(server_conns(sa), 3);
	SEND(p_close);
	/* And that it is down; and that a probe is somebody else's. */
	CHAN_SEND(queued, d_server_state, .addr = at(sa), .failures = 1,
	    .probe_ms = 60000, .why = STR("421 away"));
	script_settle(20);
	SERVE(sb, "S 220 hi");
	up("two");
	SEND(p_close);
	SERVED(sb);
}

static void
last_words(void **state)
{
	(void)state;
	queued_start();
	SERVE(sa, "S 421 4.3.0 not now", "E");
	SERVE(sb, "S 554 5.7.1 not you", "E");
	opens("two", "");
	hears("reply 554 5.7.1 not you");
	hears("closed *");
}

static void
paused(void **state)
{
	char	name[64];

	(void)state;
	queued_start();
	snprintf(name, sizeof(name), "127.0.0.1:%u", server_port(sa));
	SERVE(sa, "S 220 hi", "C NOOP", OK);
	up("two");
	pauses(name, true);
	/* What runs goes on, new ones go elsewhere. */
	SEND(p_noop);
	hears("reply 250*");
	SEND(p_close);
	SERVE(sb, "S 220 hi");
	up("two");
	SEND(p_close);
	pauses("two", true);
	opens("two", "");
	hears("own 421 4.3.2 All servers of the action are paused");
	hears("closed *");
	/* Others are not; a new queued tells it all anew. */
	SERVE(sb, "S 220 hi");
	up("b");
	SEND(p_close);
	pauses("", false);
	SERVE(sa, "S 220 hi");
	up("two");
	SEND(p_close);
	pauses("127.0.0.1", true);
	opens("two", "");
	hears("own 421 4.3.2 All *");
	hears("closed *");
	/* With queued away it holds. */
	queued_stop();
	opens("two", "");
	hears("own 421 4.3.2 All *");
	hears("closed *");
	queued_start();
	pauses("", false);
	SERVE(sa, "S 220 hi");
	up("two");
	SEND(p_close);
	/* What is kept there without a client is not any more. */
	SERVE(sa, "S 220 hi", "C RSET", OK, "C QUIT");
	up("kept");
	SEND(p_quit);
	hears("own 221 2.0.0 Bye");
	hears("closed QUIT");
	script_settle(30);
	assert_int_equal(idle_count(NULL), 1);
	pauses("two", true);
	assert_int_equal(idle_count(NULL), 1);
	pauses("kept", true);
	assert_int_equal(idle_count(NULL), 0);
	SERVED(sa);
	pauses("", false);
}

/* Many wait here for one place; who gets it can't be connected, and each of
 * them asks for the next one. */
static void
one_after_the_other(void **state)
{
	uint32_t	first, t[6];

	(void)state;
	queued_stop();
	SERVE(sa, "S 220 hi");
	up("max");
	first = tid;
	for (int i = 0; i < 6; i++) {
		opens("max", "");
		t[i] = tid;
	}
	script_settle(30);
	assert_int_equal(place_waiting(), 6);
	for (int i = 0; i < 3; i++)
		SERVE(sa, "X");
	SERVE(sa, "S 220 hi");
	/* The second goes away with a place given, or just before. */
	CHAN_SEND(smtpd, p_close, .tid = t[1]);
	CHAN_SEND(smtpd, p_close, .tid = first);
	tid = t[4];
	hears("server *");
	hears("reply 220 hi");
	assert_int_equal(server_conns(sa), 5);
	SEND(p_close);
}

/* ---- places ------------------------------------------------------------- */

static void
asked_for(void **state)
{
	(void)state;
	queued_start();
	SERVE(sb, "S 220 hi");
	opens("pool", "");
	queued_hears("want", "pool", sa, 201);
	/* The second one has a place. */
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("pool"),
	    .addr = at(sb));
	hears("server *");
	hears("reply 220 hi");
	SEND(p_close);
	queued_hears("give", "pool", sb, 1);
	/* None now, then one. */
	SERVE(sa, "S 220 hi");
	opens("pool", "");
	queued_hears("want", "pool", sa, 201);
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("pool"));
	script_settle(20);
	script_time(PLACE_ASK_MS + 1000);
	script_settle(20);
	hears_no_more();
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("pool"),
	    .addr = at(sa));
	hears("server *");
	hears("reply 220 hi");
	SEND(p_close);
	/* None in time. */
	opens("pool", "");
	queued_hears("want", "pool", sa, 201);
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("pool"));
	script_settle(20);
	script_time(PLACE_WAIT_MS + 100);
	hears("own 421 4.3.2 Too many sessions*");
	hears("closed *");
	queued_hears_leave();
	/* It was on its way: given back. */
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("pool"),
	    .addr = at(sa));
	queued_hears("give", "pool", sa, 1);
	/* The client goes away while it waits. */
	opens("pool", "");
	queued_hears("want", "pool", sa, 201);
	SEND(p_close);
	queued_hears_leave();
	assert_int_equal(place_waiting(), 0);
	/* No limit: nobody is asked. */
	SERVE(sa, "S 220 hi");
	up("a");
	queued_hears("hold", "a", sa, 1);
}

/* It connects in vain: the place is given back, the next one asked for. */
static void
given_back(void **state)
{
	(void)state;
	queued_start();
	SERVE(sa, "X");
	opens("pool", "");
	queued_hears("want", "pool", sa, 201);
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("pool"),
	    .addr = at(sa));
	queued_hears("give", "pool", sa, 1);
	queued_hears("want", "pool", sb, 101);
	SERVE(sb, "S 220 hi");
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("pool"),
	    .addr = at(sb));
	hears("server *");
	hears("reply 220 hi");
}

/* "Too many" is not down. */
static void
refused(void **state)
{
	(void)state;
	queued_start();
	SERVE(sa, "S 421 4.3.2 The maximum number of connections", "E");
	SERVE(sb, "S 220 hi");
	up("two");
	queued_hears("full", "two", sa, 1);
	assert_false(servers_is_down(&(struct addr){ .family = 4,
	    .port = server_port(sa), .ip = { 127, 0, 0, 1 } }));
	SEND(p_close);
	SERVE(sa, "S 421 4.7.0 mail Error: too many connections from x", "E");
	SERVE(sb, "S 220 hi");
	up("two");
	queued_hears("full", "two", sa, 1);
	SEND(p_close);
	/* queued has counted: from now on it is asked. */
	CHAN_SEND(queued, s_limit, .addr = at(sa), .limit = 3);
	script_settle(20);
	opens("two", "");
	queued_hears("want", "two", sa, 200);
	SERVE(sb, "S 220 hi");
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("two"),
	    .addr = at(sb));
	hears("server *");
	hears("reply 220 hi");
	SEND(p_close);
	UNTIL(link_count() == 0);
	/* Not even one: as good as down. */
	SERVE(sa, "S 421 4.3.2 going away", "E");
	opens("a", "");
	queued_hears("want", "a", sa, 100);
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("a"),
	    .addr = at(sa));
	hears("reply 421 4.3.2 going away");
	hears("closed *");
	CHAN_SEND(queued, s_limit, .addr = at(sa), .limit = 0);
	script_settle(20);
	queued_hears("down", "a", sa, 0);
}

/* ---- without queued ----------------------------------------------------- */

static void
silent(void **state)
{
	uint32_t	first;

	(void)state;
	queued_start();
	SERVE(sa, "S 220 hi");
	opens("max", "");
	queued_hears("want", "max", sa, 110);
	hears_no_more();
	/* No word: its own view. */
	script_time(PLACE_ASK_MS + 100);
	hears("server *");
	hears("reply 220 hi");
	queued_hears_leave();
	queued_hears("hold", "max", sa, 1);
	first = tid;
	/* It is gone with a question open; so is the answer. */
	opens("max", "");
	queued_hears("want", "max", sa, 110);
	queued_stop();
	script_settle(20);
	hears_no_more();
	SERVE(sa, "S 220 hi");
	CHAN_SEND(smtpd, p_close, .tid = first);
	hears("server *");
	hears("reply 220 hi");
	/* Back: it hears what is held. */
	queued_start();
	queued_hears("hold", "max", sa, 1);
	queued_stop();
	opens("max", "");
	script_settle(20);
	script_time(PLACE_WAIT_MS + 100);
	hears("own 421 4.3.2 Too many*");
	hears("closed *");
}

static void
learns_alone(void **state)
{
	uint32_t	t[3];

	(void)state;
	queued_stop();
	for (int i = 0; i < 2; i++) {
		SERVE(sa, "S 220 hi");
		up("two");
		t[i] = tid;
	}
	SERVE(sa, "S 421 4.3.2 no more", "E");
	SERVE(sb, "S 220 hi");
	up("two");
	t[2] = tid;
	SERVE(sb, "S 220 hi");
	up("two");
	assert_int_equal(server_conns(sa), 3);
	CHAN_SEND(smtpd, p_close, .tid = t[0]);
	UNTIL(link_count() == 3);
	SERVE(sa, "S 220 hi");
	up("two");
	assert_int_equal(server_conns(sa), 4);
	CHAN_SEND(smtpd, p_close, .tid = t[2]);
}

/* What makes no sense ends the channel, not the process. */
static void
nonsense(void **state)
{
	(void)state;
	queued_start();
	opens("pool", "");
	queued_hears("want", "pool", sa, 201);
	reported = NULL;
	CHAN_SEND(queued, s_place, .tid = want, .action = STR("pool"),
	    .addr = at(sc));
	UNTIL(reported != NULL);
	/* It decides by itself. */
	SERVE(sa, "S 220 hi");
	hears("server *");
	hears("reply 220 hi");
}

static int
each_teardown(void **state)
{
	queued_stop();
	proxydhelp_teardown(state);
	/* What was learned of servers, too, is forgotten in time. */
	script_time(2 * 3600000);
	return 0;
}

int
main(void)
{
#define EACH(f)	cmocka_unit_test_setup_teardown(f, proxydhelp_setup, \
	    each_teardown)
	const struct CMUnitTest tests[] = {
		EACH(told_of_servers),
		EACH(last_words),
		EACH(paused),
		EACH(one_after_the_other),
		EACH(asked_for),
		EACH(given_back),
		EACH(refused),
		EACH(silent),
		EACH(learns_alone),
		EACH(nonsense),
	};

	return cmocka_run_group_tests(tests, proxydhelp_start, NULL);
}
