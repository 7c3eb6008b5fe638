/*
 * proxyd's sessions without a client: which are kept, for whom, for how long,
 * and what becomes of one that is dead when it is used.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/smtp/command.h"
#include "proxyd/idle.h"
#include "proxyd/place.h"
#include "regress/lib/proxydhelp.h"

#define RSET	"C RSET", OK
#define DONE	MAIL, OK, RCPT, OK, "C DATA", "S 354 go", "D", OK

static void
message(void)
{
	recipients(1);
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	SEND(p_data);
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("x\r\n"));
	hears("reply 250 2.0.0 ok");
}

static void
quits(void)
{
	SEND(p_quit);
	hears("own 221 2.0.0 Bye");
	hears("closed QUIT");
}

/* Two clients, one connection; EHLO anew, the greeting as it was. */
static void
used_again(void **state)
{
	(void)state;
	SERVE(sa, PLAIN, DONE, RSET, "C EHLO client.example", "S 250 x", DONE,
	    RSET, "C EHLO rule.example", "S 250 x", DONE);
	session("kept", "caps E0 ");
	message();
	quits();
	UNTIL(idle_count(NULL) == 1);
	assert_int_equal(link_count(), 0);
	script_settle(30);
	session("kept", "caps E0 ");
	assert_int_equal(idle_count(NULL), 0);
	message();
	quits();
	script_settle(30);
	/* At rule level EHLO is ours. */
	opens("kept", "rule.example");
	hears("server 127.0.0.1*");
	hears("caps E0 ");
	hears("own 220 ready");
	message();
	SERVED(sa);
	assert_int_equal(server_conns(sa), 1);
}

/* No more than two, none after AUTH, within a transaction, refused RSET. */
static void
not_kept(void **state)
{
	uint32_t	t[3];

	(void)state;
	SERVE(sa, HELLO, "R 250-x\r\n250 AUTH PLAIN\r\n", "C AUTH PLAIN AAAA",
	    "S 235 2.7.0 yes", "C QUIT", "S 221 bye");
	session("kept", "caps E0 PLAIN");
	SEND(p_auth, .mech = STR("PLAIN"), .has_initial = true,
	    .initial = STR("AAAA"));
	hears("reply 235 2.7.0 yes");
	SEND(p_quit);
	hears("reply 221 bye");
	hears("closed QUIT");
	SERVED(sa);
	SERVE(sa, PLAIN, MAIL, OK, "C QUIT", "S 221 bye");
	session("kept", "caps E0 ");
	SEND(p_mail, .from = STR("a@c.example"));
	hears("reply 250*");
	SEND(p_quit);
	hears("reply 221 bye");
	hears("closed QUIT");
	SERVED(sa);
	/* The client goes away without a word: so do we. */
	SERVE(sa, PLAIN, "C QUIT");
	session("kept", "caps E0 ");
	SEND(p_close);
	SERVED(sa);
	assert_int_equal(idle_count(NULL), 0);
	SERVE(sa, PLAIN, "C RSET", "S 421 4.3.2 no", "E");
	session("kept", "caps E0 ");
	quits();
	SERVED(sa);
	UNTIL(idle_count(NULL) == 0);
	/* An action without. */
	SERVE(sa, PLAIN, "C QUIT", "S 221 bye");
	session("a", "caps E0 ");
	SEND(p_quit);
	hears("reply 221 bye");
	hears("closed QUIT");
	/* The third. */
	for (int i = 0; i < 3; i++) {
		if (i < 2)
			SERVE(sa, PLAIN, RSET);
		else
			SERVE(sa, PLAIN, "C QUIT", "S 221 bye");
		session("kept", "caps E0 ");
		t[i] = tid;
	}
	for (int i = 0; i < 3; i++) {
		tid = t[i];
		SEND(p_quit);
		hears(i < 2 ? "own 221 *" : "reply 221 bye");
		hears("closed QUIT");
	}
	SERVED(sa);
	assert_int_equal(idle_count(NULL), 2);
	/* The end of the process: QUIT for both. */
	script_settle(30);
	idle_end();
	assert_int_equal(idle_count(NULL), 0);
	script_settle(30);
	assert_null(server_wrong(sa));
}

static void
in_time(void **state)
{
	(void)state;
	SERVE(sa, PLAIN, RSET, "C QUIT");
	session("kept", "caps E0 ");
	quits();
	script_settle(30);
	script_time(IDLE_MAX_MS - 1000);
	script_settle(30);
	assert_int_equal(idle_count(NULL), 1);
	script_time(1200);
	UNTIL(idle_count(NULL) == 0);
	SERVED(sa);
	/* One that ends it after 20 s: the next ones are kept for 15. */
	SERVE(sa, PLAIN, RSET, "W", "S 421 4.4.2 idle", "X");
	SERVE(sa, PLAIN, RSET, "C QUIT");
	session("kept", "caps E0 ");
	quits();
	UNTIL(server_waits(sa));
	script_settle(30);
	script_time(20000);
	server_go(sa);
	UNTIL(idle_count(NULL) == 0);
	session("kept", "caps E0 ");
	quits();
	script_settle(30);
	assert_int_equal(idle_count(NULL), 1);
	script_time(15500);
	UNTIL(idle_count(NULL) == 0);
	SERVED(sa);
}

/* Dead at its use: EHLO goes to a new connection, and nobody hears of it. */
static void
dead(void **state)
{
	(void)state;
	SERVE(sa, PLAIN, RSET, "C EHLO client.example", "X");
	SERVE(sa, "S 220 hello anew", "C EHLO client.example", "S 250 x", DONE);
	session("kept", "caps E0 ");
	quits();
	script_settle(30);
	opens("kept", "");
	hears("server *");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears("server *");
	hears("caps E0 ");
	hears("reply 250 x");
	message();
	SERVED(sa);
	assert_int_equal(server_conns(sa), 2);
	SEND(p_close);
	UNTIL(link_count() == 0);
	/* The same with 421 for an answer; at rule level; while a client that
	 * has been greeted says nothing; and with what comes meanwhile. */
	server_reset(sa);
	SERVE(sa, PLAIN, RSET, "C EHLO rule.example", "S 421 4.4.2 late", "E");
	SERVE(sa, "S 220 hi", "C EHLO rule.example", "S 250 x", "C QUIT");
	session("kept", "caps E0 ");
	quits();
	script_settle(30);
	opens("kept", "rule.example");
	hears("server *");
	hears("caps E0 ");
	hears("own 220 ready");
	SEND(p_close);
	SERVED(sa);
	server_reset(sa);
	SERVE(sa, PLAIN, RSET, "W", "X");
	SERVE(sa, "W", "S 220 hi", "C EHLO client.example", "S 250 x", MAIL,
	    OK);
	session("kept", "caps E0 ");
	quits();
	UNTIL(server_waits(sa));
	script_settle(30);
	opens("kept", "");
	hears("server *");
	hears("reply 220 hi");
	server_go(sa);
	UNTIL(server_conns(sa) == 2 && server_waits(sa));
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	script_settle(30);
	server_go(sa);
	hears("server *");
	hears("caps E0 ");
	hears("reply 250 x");
	SEND(p_mail, .from = STR("a@c.example"));
	hears("reply 250*");
	SERVED(sa);
}

/* And no new one can be had: the client's command has an answer. */
static void
dead_for_good(void **state)
{
	(void)state;
	SERVE(sa, PLAIN, RSET, "C EHLO client.example", "X");
	SERVE(sa, "S 554 5.3.2 closed", "E");
	session("kept", "caps E0 ");
	quits();
	script_settle(30);
	opens("kept", "");
	hears("server *");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears("reply 554 5.3.2 closed");
	hears("closed *");
	SERVED(sa);
	assert_int_equal(link_count(), 0);
}

/* One that is kept has a place, and gives it to who needs it. */
static void
places(void **state)
{
	struct addr	 at;

	(void)state;
	SERVE(sa, PLAIN, RSET, "C EHLO client.example", "S 250 x");
	session("keptmax", "caps E0 ");
	quits();
	script_settle(30);
	assert_int_equal(idle_count(NULL), 1);
	session("keptmax", "caps E0 ");
	SERVED(sa);
	SEND(p_close);
	UNTIL(link_count() == 0);
	server_reset(sa);
	SERVE(sa, PLAIN, RSET, "C QUIT");
	session("keptmax", "caps E0 ");
	quits();
	script_settle(30);
	assert_int_equal(idle_count(NULL), 1);
	/* It is scarce: given up, and none kept for a while. */
	assert_true(addr_parse_port(span_str("127.0.0.1"), server_port(sa),
	    &at));
	idle_scarce(&at);
	assert_int_equal(idle_count(NULL), 0);
	SERVED(sa);
	SERVE(sa, PLAIN, "C QUIT", "S 221 bye");
	session("keptmax", "caps E0 ");
	SEND(p_quit);
	hears("reply 221 bye");
	hears("closed QUIT");
	SERVED(sa);
}

/* Not where the server knows who the client is by a way that ends with the
 * connection. */
static void
identities(void **state)
{
	struct conf_action	 a = { .idle_connections = 1 };

	(void)state;
	a.identity = IDENTITY_NONE;
	assert_true(idle_may_keep(&a));
	a.identity = IDENTITY_HEADER;
	assert_true(idle_may_keep(&a));
	a.identity = IDENTITY_PROXY_V1;
	assert_false(idle_may_keep(&a));
	a.identity = IDENTITY_PROXY_V2;
	assert_false(idle_may_keep(&a));
	a.identity = IDENTITY_NONE;
	a.idle_connections = 0;
	assert_false(idle_may_keep(&a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(used_again),
		CASE(not_kept),
		CASE(in_time),
		CASE(dead),
		CASE(dead_for_good),
		CASE(places),
		CASE(identities),
	};

	return cmocka_run_group_tests(tests, proxydhelp_start, NULL);
}
