/*
 * proxyd tries each server of an action with a recipient that nobody has.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "proxyd/relaytest.h"
#include "proxyd/verify.h"
#include "regress/lib/confhelp.h"
#include "regress/lib/proxydhelp.h"

static const struct conf *conf;
static struct heard {
	uint8_t		 state;
	char		 reply[301], server[301];
} heard[10];
static size_t		 nheard, nlast;

static void
on_relayed(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_relayed	*m = msg;
	struct heard			*h = &heard[nheard++];

	(void)ch;
	(void)fd;
	assert_int_equal(m->tid, tid);
	assert_true(nheard < 10);
	h->state = m->state;
	span_cstr(m->reply, h->reply, sizeof(h->reply));
	span_cstr(m->server, h->server, sizeof(h->server));
	nlast += m->last;
}

static const struct chan_row rows[] = {
	{ IPC_T_p_relayed, on_relayed },
	{ 0, NULL }
};

static void
asks(const char *action)
{
	nheard = nlast = 0;
	CHAN_SEND(smtpd, p_relay, .tid = ++tid, .action = span_str(action));
}

/* The answer with this state; the last one says nothing else. */
static void
has(uint8_t state, const char *reply)
{
	for (size_t i = 0; i < nheard; i++)
		if (heard[i].state == state &&
		    strncmp(heard[i].reply, reply, strlen(reply)) == 0)
			return;
	fail_msg("no %u \"%s\" of %zu: %u \"%s\"", state, reply, nheard,
	    heard[0].state, heard[0].reply);
}

#define WELCOME	"S 220 hi", "C EHLO mail.example.org", "S 250-x", \
	"S 250 PIPELINING"
#define TRIES	"C MAIL FROM:<>", "C RCPT TO:<" RELAYTEST_RCPT ">"
#define RSET	"C RSET", "S 250 ok"

static void
each_server(void **state)
{
	(void)state;
	SERVE(sa, WELCOME, TRIES, "S 250 ok", "S 250 2.1.5 fine", RSET, "C QUIT", "E");
	SERVE(sb, WELCOME, TRIES, "S 250 ok", "S 554 5.7.1 denied", RSET, "C QUIT",
	    "E");
	asks("two");
	UNTIL(nlast == 1);
	assert_int_equal(nheard, 3);
	has(V_GOOD, "250 2.1.5 fine");
	has(V_BAD, "554 5.7.1 denied");
	assert_int_equal(heard[2].state, V_NONE);
	assert_non_null(strstr(heard[0].server, "[127.0.0.1]:"));
	script_settle(50);
	script_time(VERIFY_IDLE_MS + 2000);
	SERVED(sa);
	SERVED(sb);
}

static void
not_known(void **state)
{
	(void)state;
	/* It says neither. */
	SERVE(sa, WELCOME, TRIES, "S 250 ok", "S 450 4.7.1 later", RSET, "X");
	asks("one");
	UNTIL(nlast == 1);
	assert_int_equal(nheard, 2);
	has(V_LATER, "450 4.7.1 later");
	SERVED(sa);
	/* No empty sender is no answer. */
	SERVE(sa, WELCOME, TRIES, "S 550 5.7.1 no", "S 503 5.5.1 MAIL first", RSET,
	    "X");
	asks("one");
	UNTIL(nlast == 1);
	has(V_LATER, "550 5.7.1 no");
	SERVED(sa);
	/* One is not there, and does not hide the other. */
	SERVE(sa, WELCOME, TRIES, "S 250 ok", "S 250 fine", RSET, "X");
	asks("half");
	UNTIL(nlast == 1);
	assert_int_equal(nheard, 3);
	has(V_GOOD, "250 fine");
	has(V_DOWN, "");
	SERVED(sa);
	/* A connection that is lost is opened once more. */
	SERVE(sa, WELCOME, "C MAIL FROM:<>", "X");
	SERVE(sa, WELCOME, TRIES, "S 250 ok", "S 550 no", RSET, "X");
	asks("one");
	UNTIL(nlast == 1);
	has(V_BAD, "550 no");
	SERVED(sa);
}

static void
not_asked(void **state)
{
	(void)state;
	asks("none");
	UNTIL(nlast == 1);
	assert_int_equal(nheard, 1);
	has(V_LATER, "4.3.5 No such");
	asks("relay");
	UNTIL(nlast == 1);
	has(V_LATER, "4.3.5 No such");
	/* The smtpd goes: what it asked has an end. */
	SERVE(sa, WELCOME, TRIES, "W", "S 250 ok", "S 250 fine", RSET, "X");
	asks("one");
	UNTIL(server_waits(sa));
	smtpd_connect(rows);
	server_go(sa);
	SERVED(sa);
	UNTIL(verify_questions() == 0);
	assert_int_equal(nheard, 0);
}

static int
setup(void **state)
{
	(void)state;
	script_time(VERIFY_IDLE_MS + 2000);
	UNTIL(verify_conns() == 0);
	server_reset(sa);
	server_reset(sb);
	return 0;
}

static int
group_setup(void **state)
{
	char		 text[1000];
	struct buf	 msgs;
	struct ask	*ask;

	(void)state;
	script_init();
	sa = server_new();
	sb = server_new();
	snprintf(text, sizeof(text),
	    "hostname mail.example.org\n"
	    "action \"one\" proxy to \"127.0.0.1:%u\"\n"
	    "action \"two\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" }\n"
	    "action \"half\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" }\n"
	    "action \"relay\" relay to \"127.0.0.1\"\n"
	    "listen on 127.0.0.1 port 1\n"
	    "match for any action \"relay\"\n",
	    server_port(sa), server_port(sa), server_port(sb), server_port(sa),
	    server_closed_port());
	buf_init(&msgs, 1 << 16);
	if ((conf = confhelp_parse(text, &msgs)) == NULL) {
		fprintf(stderr, "%s\n", buf_cstr(&msgs));
		return -1;
	}
	buf_clear(&msgs);
	log_init("proxyd", LOG_FORM_TEXT, getenv("TEST_DEBUG") != NULL ?
	    LOG_LV_DEBUG : LOG_LV_WARN);
	ask = ask_new(NULL, IPC_PROXYD);
	link_init(NULL, conf, ask);
	verify_init(NULL, conf, ask);
	relaytest_init(NULL, conf, ask);
	smtpd_connect(rows);
	return 0;
}

#define ASKS(f)	cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ASKS(each_server), ASKS(not_known), ASKS(not_asked)
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
