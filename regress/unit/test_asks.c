/*
 * proxyd asks servers for recipients: scripted servers on 127.0.0.1 answer, and
 * a smtpd at the other end of a channel hears what is known. Real sources but
 * for the process around them.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "proxyd/servers.h"
#include "proxyd/verify.h"
#include "regress/lib/confhelp.h"
#include "regress/lib/proxydhelp.h"

#define HEARD_MAX	3000
#define HEALTH_MS	10000	/* a server that failed is passed over */

static const struct conf *conf;
static struct heard {
	uint32_t	 tid;
	uint8_t		 state, any;
	char		 reply[301], server[301];
} heard[HEARD_MAX];
static size_t		 nheard;

/* ---- smtpd ------------------------------------- */

static void
on_verified(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_verified	*m = msg;
	struct heard			*h = &heard[nheard];

	(void)ch;
	(void)fd;
	if (nheard == HEARD_MAX)
		abort();
	h->tid = m->tid;
	h->state = m->state;
	h->any = m->any;
	span_cstr(m->reply, h->reply, sizeof(h->reply));
	span_cstr(m->server, h->server, sizeof(h->server));
	nheard++;
}

static const struct chan_row rows[] = {
	{ IPC_T_p_verified, on_verified },
	{ 0, NULL }
};

static uint32_t
asks_at(const char *action, const char *target, const char *to, bool probe)
{
	CHAN_SEND(smtpd, p_verify, .tid = ++tid, .action = span_str(action),
	    .target = span_str(target), .to = span_str(to), .probe = probe);
	return tid;
}

static uint32_t
asks(const char *action, const char *to)
{
	return asks_at(action, "", to, false);
}

/* The answer to a question, which comes. */
static const struct heard *
answer(uint32_t t)
{
	size_t	i = 0;

	UNTIL(({
		for (i = 0; i < nheard && heard[i].tid != t; i++)
			;
		i < nheard || chan_gone;
	}));
	if (chan_gone)
		fail_msg("the channel is gone: %s", reported);
	return &heard[i];
}

static void
says(uint32_t t, uint8_t state, const char *reply)
{
	const struct heard	*h = answer(t);

	if (h->state != state || strncmp(h->reply, reply, strlen(reply)) != 0)
		fail_msg("%u: state %u \"%s\", not %u \"%s\"", t, h->state,
		    h->reply, state, reply);
}

/* Would a stranger be taken? */
static uint32_t
strange(const char *action, const char *to)
{
	CHAN_SEND(smtpd, p_verify, .tid = ++tid, .action = span_str(action),
	    .to = span_str(to), .stranger = true);
	return tid;
}

#define WELCOME	"S 220 hi", "C EHLO mail.example.org", "S 250-x", \
	"S 250-SMTPUTF8", "S 250 PIPELINING"
#define FROM_NOBODY	"C MAIL FROM:<>"
#define RSET	"C RSET", "S 250 ok"
#define BYE	"C QUIT", "E"

/* ---- cases ----------------------------------------------------------------- */

static void
answers(void **state)
{
	uint32_t	t[4];

	(void)state;
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<good@x.example>",
	    "C RCPT TO:<bad@x.example>", "C RCPT TO:<soft@x.example>",
	    "S 250 2.1.0 ok", "S 250 2.1.5 fine", "S 550-5.1.1 who",
	    "S 550 5.1.1 is that", "S 451 4.3.0 later", RSET,
	    FROM_NOBODY, "C RCPT TO:<more@x.example>", "S 250 ok", "S 250 ok", RSET,
	    BYE);
	/* The first goes as soon as there is a connection, with the others. */
	t[0] = asks("a", "good@x.example");
	t[1] = asks("a", "bad@x.example");
	t[2] = asks("a", "soft@x.example");
	says(t[0], V_GOOD, "250 2.1.5 fine");
	says(t[1], V_BAD, "550 5.1.1 who / 5.1.1 is that");
	says(t[2], V_LATER, "451 4.3.0 later");
	assert_non_null(strstr(answer(t[0])->server, "127.0.0.1"));
	assert_int_equal(answer(t[0])->any, V_ANY_NOT_ASKED);
	UNTIL(verify_questions() == 0);
	/* The same connection, which then ends for want of questions. */
	t[3] = asks("a", "more@x.example");
	says(t[3], V_GOOD, "250 ok");
	assert_int_equal(server_conns(sa), 1);
	script_settle(20);
	script_time(VERIFY_IDLE_MS + 2000);
	UNTIL(verify_conns() == 0);
	SERVED(sa);
}

/* A server without PIPELINING, or without EHLO. */
static void
plain(void **state)
{
	(void)state;
	SERVE(sa, "S 220 hi", "C EHLO mail.example.org", "S 500 what",
	    "C HELO mail.example.org", "S 250 x", FROM_NOBODY, "Q", "S 250 ok",
	    "C RCPT TO:<u@x.example>", "Q", "S 250 ok", RSET, "E");
	says(asks("a", "u@x.example"), V_GOOD, "250 ok");
	/* SMTPUTF8 where there is none: nobody there has such an address. */
	says(asks("a", "\303\274@x.example"), V_BAD, "553 5.6.7 ");
}

static void
utf8(void **state)
{
	(void)state;
	SERVE(sb, WELCOME, "C MAIL FROM:<> SMTPUTF8",
	    "C RCPT TO:<\303\274@x.example>", "S 250 ok", "S 250 ok", RSET,
	    "E");
	says(asks("b", "\303\274@x.example"), V_GOOD, "250 ok");
}

/* Who brings many refusals is given up before the server does it. */
static void
refusals(void **state)
{
	uint32_t	t[VERIFY_BATCH + 1];
	char		to[40];

	(void)state;
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u0@x.example>",
	    "C RCPT TO:<u1@x.example>", "C RCPT TO:<u2@x.example>",
	    "C RCPT TO:<u3@x.example>", "C RCPT TO:<u4@x.example>",
	    "S 250 ok", "S 550 no", "S 550 no", "S 550 no", "S 550 no",
	    "S 550 no", RSET, BYE);
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u5@x.example>", "S 250 ok",
	    "S 550 no", RSET, "E");
	for (unsigned i = 0; i <= VERIFY_BATCH; i++) {
		snprintf(to, sizeof(to), "u%u@x.example", i);
		t[i] = asks("a", to);
	}
	for (unsigned i = 0; i <= VERIFY_BATCH; i++)
		says(t[i], V_BAD, "550 no");
}

static void
takes_anything(void **state)
{
	uint32_t	t[3];

	(void)state;
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>",
	    "C RCPT TO:<v@x.example>", "C RCPT TO:<w@y.example>", "S 250 ok",
	    "S 250 ok", "S 250 ok", "S 250 ok", "C RCPT TO:<nobody-*",
	    "C RCPT TO:<nobody-*", "S 250 ok", "S 550 no", RSET, "E");
	t[0] = asks_at("a", "", "u@x.example", true);
	t[1] = asks_at("a", "", "v@x.example", true);
	t[2] = asks_at("a", "", "w@y.example", true);
	for (unsigned i = 0; i < 3; i++)
		says(t[i], V_GOOD, "250 ok");
	/* Once a domain. */
	assert_int_equal(answer(t[0])->any, V_ANY_YES);
	assert_int_equal(answer(t[1])->any, V_ANY_NOT_ASKED);
	assert_int_equal(answer(t[2])->any, V_ANY_NO);
	SERVE(sb, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "S 250 ok",
	    "S 550 no", RSET, "E");
	t[0] = asks_at("b", "", "u@x.example", true);
	says(t[0], V_BAD, "550 no");
	assert_int_equal(answer(t[0])->any, V_ANY_NOT_ASKED);
}

/* The connection breaks at the probe: the yes stands. */
static void
probe_lost(void **state)
{
	uint32_t	t;

	(void)state;
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "S 250 ok",
	    "S 250 ok", "C RCPT TO:<nobody-*", "X");
	t = asks_at("a", "", "u@x.example", true);
	says(t, V_GOOD, "250 ok");
	assert_int_equal(answer(t)->any, V_ANY_NOT_ASKED);
}

static void
no_empty_sender(void **state)
{
	uint32_t	t, up;

	(void)state;
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "S 550 5.7.1 no null",
	    "S 503 no mail", RSET, "E");
	t = asks("a", "u@x.example");
	up = asks("a", "");
	says(t, V_LATER, "550 5.7.1 no null");
	says(up, V_GOOD, "");
}

static void
lost(void **state)
{
	uint32_t	t[2];

	(void)state;
	/* An idle connection that the server has closed, then one it ends. */
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "X");
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "S 250 ok",
	    "S 250 ok", RSET, "E");
	says(asks("a", "u@x.example"), V_GOOD, "250 ok");
	smtpd_connect(rows);
	server_reset(sa);
	script_settle(20);
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>",
	    "C RCPT TO:<v@x.example>", "S 250 ok", "S 250 ok",
	    "S 421 4.3.2 bye", "X");
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<v@x.example>", "S 421 4.3.2 bye",
	    "X");
	t[0] = asks("a", "u@x.example");
	t[1] = asks("a", "v@x.example");
	says(t[0], V_GOOD, "250 ok");
	/* Twice is enough. */
	says(t[1], V_LATER, "4.4.2 127.0.0.1");
	assert_int_equal(server_conns(sa), 2);
}

static void
stalls(void **state)
{
	uint32_t	t;

	(void)state;
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "W");
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "W");
	t = asks("a", "u@x.example");
	UNTIL(server_waits(sa));
	script_time(VERIFY_REPLY_MS + 1000);
	UNTIL(server_conns(sa) == 2);
	script_settle(50);
	script_time(VERIFY_REPLY_MS + 1000);
	says(t, V_LATER, "4.4.2 127.0.0.1");
}

static void
down(void **state)
{
	uint32_t	t;

	(void)state;
	t = asks("down", "u@x.example");
	says(t, V_DOWN, "127.0.0.1");
	says(asks("down", ""), V_DOWN, "");
	/* Without a connection: it is remembered. */
	assert_int_equal(verify_conns(), 0);
	SERVE(sa, "S 554 5.3.2 go away", "X");
	says(asks("a", "u@x.example"), V_DOWN, "");
	says(asks("a", "u@x.example"), V_DOWN, "");
	assert_int_equal(server_conns(sa), 1);
	/* And forgotten. */
	script_time(VERIFY_DOWN_MS + 1000);
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "S 250 ok",
	    "S 250 ok", RSET, "E");
	says(asks("a", "u@x.example"), V_GOOD, "250 ok");
}

static void
next_server(void **state)
{
	(void)state;
	SERVE(sa, "S 421 4.3.2 busy", "X");
	SERVE(sb, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "S 250 ok",
	    "S 250 ok", RSET, "E");
	says(asks("three", "u@x.example"), V_GOOD, "250 ok");
	assert_int_equal(server_conns(sa), 1);
}

static void
is_it_there(void **state)
{
	(void)state;
	SERVE(sa, WELCOME, FROM_NOBODY, "S 250 ok", RSET);
	says(asks("a", ""), V_GOOD, "");
	/* Within seconds nobody is asked, later the connection is tried. */
	says(asks("a", ""), V_GOOD, "");
	script_settle(20);
	script_time(VERIFY_UP_MS + 1000);
	says(asks("a", ""), V_GOOD, "");
	assert_int_equal(server_conns(sa), 1);
	SERVED(sa);
}

/* A table's value is where the question goes. */
static void
by_table(void **state)
{
	char	target[64];

	(void)state;
	SERVE(sb, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "S 250 ok",
	    "S 550 5.1.1 no", RSET, "E");
	snprintf(target, sizeof(target), "127.0.0.1:%u", server_port(sb));
	says(asks_at("table", target, "u@x.example", false), V_BAD,
	    "550 5.1.1 no");
	/* None that is not configured. */
	says(asks_at("table", "127.0.0.1:25", "u@x.example", false), V_BUSY,
	    "4.3.2 ");
	says(asks_at("table", "", "u@x.example", false), V_BUSY, "4.3.2 ");
	says(asks_at("a", "127.0.0.1:25", "u@x.example", false), V_BUSY,
	    "4.3.2 ");
}

#define XHELLO	"S 220 hi", "C EHLO mail.example.org", \
	"R 250-x\r\n250 XCLIENT NAME ADDR PORT\r\n"
#define XCLIENT	"C XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]"

/* As who the server sees behind real sessions; each time by a new connection. */
static void
strangers(void **state)
{
	(void)state;
	SERVE(sa, "S 220 hi", "C EHLO mail.example.org", "S 250 x",
	    FROM_NOBODY, "S 250 ok", "C RCPT TO:<u@x.example>", "S 250 yes",
	    RSET, BYE);
	says(strange("seen", "u@x.example"), V_GOOD, "250 yes");
	UNTIL(verify_conns() == 0);
	SERVED(sa);
	server_reset(sa);
	SERVE(sa, "C PROXY TCP4 192.0.2.1 192.0.2.2 25 25", "S 220 hi",
	    "C EHLO mail.example.org", "S 250 x", FROM_NOBODY, "S 250 ok",
	    "C RCPT TO:<u@x.example>", "S 554 5.7.1 relaying denied", RSET,
	    BYE);
	says(strange("v1", "u@x.example"), V_BAD, "554 5.7.1 relaying");
	UNTIL(verify_conns() == 0);
	SERVED(sa);
	server_reset(sa);
	SERVE(sa, XHELLO, XCLIENT, "S 220 again", "C EHLO mail.example.org",
	    "S 250 x", FROM_NOBODY, "S 250 ok", "C RCPT TO:<u@x.example>",
	    "S 554 5.7.1 relaying denied", RSET, BYE);
	says(strange("xc", "u@x.example"), V_BAD, "554 5.7.1 relaying");
	UNTIL(verify_conns() == 0);
	SERVED(sa);
}

/* It takes us for all clients, or does not talk to this one, which is no reason
 * not to send it others. */
static void
strangers_not_told(void **state)
{
	struct addr	at;

	(void)state;
	SERVE(sa, XHELLO, XCLIENT, "S 503 5.5.1 no", "C EHLO mail.example.org",
	    "S 250 x", FROM_NOBODY, "S 250 ok", "C RCPT TO:<u@x.example>",
	    "S 250 yes", RSET, BYE);
	says(strange("xc", "u@x.example"), V_GOOD, "250 yes");
	UNTIL(verify_conns() == 0);
	SERVED(sa);
	server_reset(sa);
	SERVE(sa, XHELLO, XCLIENT, "S 554 5.7.1 you are listed");
	says(strange("xc", "u@x.example"), V_DOWN, "");
	UNTIL(verify_conns() == 0);
	addr_parse_port(span_str("127.0.0.1"), server_port(sa), &at);
	assert_false(servers_is_down(&at));
}

static void
refused(void **state)
{
	(void)state;
	says(asks("nowhere", "u@x.example"), V_LATER, "4.3.5 ");
	says(asks("live", "u@x.example"), V_LATER, "4.3.5 ");
	says(strange("a", "u@x.example"), V_LATER, "4.3.5 ");
	assert_int_equal(verify_questions(), 0);
}

static void
too_many(void **state)
{
	size_t	n = 0, busy = 0;

	(void)state;
	SERVE(sa, "W");
	SERVE(sa, "W");
	for (unsigned i = 0; i < VERIFY_WAITING + 10; i++)
		asks("a", "u@x.example");
	UNTIL(nheard == 10);
	for (size_t i = 0; i < nheard; i++)
		busy += heard[i].state == V_BUSY;
	assert_int_equal(busy, 10);
	assert_int_equal(verify_questions(), VERIFY_WAITING);
	/* Nobody waits for ever. */
	UNTIL(server_waits(sa));
	for (unsigned i = 0; i < 8; i++) {
		script_time(VERIFY_OPEN_MS + 1000);
		script_settle(20);
	}
	UNTIL(verify_questions() == 0);
	for (size_t i = 0; i < nheard; i++)
		n += heard[i].state == V_LATER || heard[i].state == V_DOWN;
	assert_int_equal(n, VERIFY_WAITING);
}

/* Who asked is gone: nobody is told, and all is in order. */
static void
smtpd_gone(void **state)
{
	(void)state;
	SERVE(sa, WELCOME, FROM_NOBODY, "C RCPT TO:<u@x.example>", "W", "S 250 ok",
	    "S 250 ok", RSET, "E");
	asks("a", "u@x.example");
	UNTIL(server_waits(sa));
	asks("a", "v@x.example");
	script_settle(20);
	smtpd_connect(rows);
	script_settle(20);
	server_go(sa);
	UNTIL(verify_questions() < 2);
	assert_int_equal(nheard, 0);
}

/* ---- */

static int
setup(void **state)
{
	(void)state;
	nheard = 0;
	return 0;
}

/* Nothing stays from one case to the next. */
static int
teardown(void **state)
{
	(void)state;
	server_reset(sa);
	server_reset(sb);
	/* Connections break, what was asked is answered, health forgotten. */
	for (unsigned i = 0; i < 6; i++) {
		script_settle(10);
		script_time(HEALTH_MS);
	}
	script_settle(10);
	assert_int_equal(verify_questions(), 0);
	assert_int_equal(verify_conns(), 0);
	smtpd_connect(rows);
	return 0;
}

static int
group_setup(void **state)
{
	static char	 text[2048];
	struct buf	 msgs;

	(void)state;
	script_init();
	sa = server_new();
	sb = server_new();
	snprintf(text, sizeof(text),
	    "action \"a\" relay to \"127.0.0.1:%u\" recipients { server }\n"
	    "action \"b\" relay to \"127.0.0.1:%u\" backup-mx\n"
	    "action \"three\" relay to { \"127.0.0.1:%u\", \"127.0.0.1:%u\", "
	    "\"127.0.0.1:%u\" } recipients { server }\n"
	    "action \"down\" relay to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" } "
	    "recipients { server }\n"
	    "table t { x.example = \"127.0.0.1:%u\" }\n"
	    "action \"table\" relay to <t> by rcpt-domain "
	    "recipients { server }\n"
	    "action \"live\" proxy to \"127.0.0.1\"\n"
	    "action \"seen\" proxy to \"127.0.0.1:%u\"\n"
	    "action \"v1\" proxy to \"127.0.0.1:%u\" identity proxy-v1\n"
	    "action \"xc\" proxy to \"127.0.0.1:%u\" identity xclient\n"
	    "listen on 127.0.0.1 port 1\n"
	    "match for any action \"a\"\n",
	    server_port(sa), server_port(sb), server_closed_port(),
	    server_port(sa), server_port(sb), server_closed_port(),
	    server_closed_port(), server_port(sb), server_port(sa),
	    server_port(sa), server_port(sa));
	buf_init(&msgs, 1 << 16);
	if ((conf = confhelp_parse(text, &msgs)) == NULL) {
		fprintf(stderr, "%s\n", buf_cstr(&msgs));
		return -1;
	}
	buf_clear(&msgs);
	log_init("proxyd", LOG_FORM_TEXT, getenv("TEST_DEBUG") != NULL ?
	    LOG_LV_DEBUG : LOG_LV_WARN);
	link_init(NULL, conf, ask_new(NULL, IPC_PROXYD));
	verify_init(NULL, conf, ask_new(NULL, IPC_PROXYD));
	smtpd_connect(rows);
	return 0;
}

#define ASKS(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ASKS(answers),
		ASKS(plain),
		ASKS(utf8),
		ASKS(refusals),
		ASKS(takes_anything),
		ASKS(probe_lost),
		ASKS(no_empty_sender),
		ASKS(lost),
		ASKS(stalls),
		ASKS(down),
		ASKS(next_server),
		ASKS(is_it_there),
		ASKS(by_table),
		ASKS(strangers),
		ASKS(strangers_not_told),
		ASKS(refused),
		ASKS(too_many),
		ASKS(smtpd_gone),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
