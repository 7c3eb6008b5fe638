/*
 * What a message asks of TLS (RFC 8689), at deliverd: with which servers it may
 * go, what becomes of it where none will do, and that no connection serves two
 * kinds of mail.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <stdio.h>

#include "common/tls/trust.h"
#include "regress/lib/deliverdhelp.h"
#include "regress/lib/certhelp.h"

#define OFFERS	HELLO, "R 250-x\r\n250 STARTTLS\r\n"
#define STARTS	OFFERS, "C STARTTLS", "S 220 go"
#define INSIDE	"C EHLO mail.example.org", "R 250-x\r\n250 PIPELINING\r\n"
#define KEEPS	"C EHLO mail.example.org", "R 250-x\r\n250-PIPELINING\r\n" \
		    "250 REQUIRETLS\r\n"
#define SECRET	"C MAIL FROM:<a@c.example> REQUIRETLS", RCPT, "C DATA", OK, \
		    OK, "S 354 go", "D", OK
#define USUAL	"C MAIL FROM:<a@c.example>", RCPT, "C DATA", OK, OK, \
		    "S 354 go", "D", OK

static struct ident	 ca, good, self;
static SSL_CTX		*good_tls, *self_tls;

static void
more_conf(char *dst, size_t size)
{
	unsigned	a = server_port(sa), b = server_port(sb);

	snprintf(dst, size,
	    "ca \"/ca\"\n"
	    "action \"off\" relay to \"127.0.0.1:%u\" tls off\n"
	    "action \"require\" relay to \"127.0.0.1:%u\" tls require\n"
	    "action \"verify\" relay to \"127.0.0.1:%u\" tls verify\n"
	    "action \"smtps\" relay to \"smtps://127.0.0.1:%u\"\n"
	    "action \"gone\" relay to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" }\n"
	    "action \"two\" relay to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" }\n",
	    a, a, a, a, a, server_closed_port(), a, b);
}

static int
start(void **state)
{
	tls_client_init();
	ca = IDENT(.cn = "Our CA", .ca = true);
	good = IDENT(.issuer = &ca, .san = "IP:127.0.0.1");
	self = IDENT(.san = "IP:127.0.0.1");
	good_tls = ident_server(&good, NULL);
	self_tls = ident_server(&self, NULL);
	trust_add("/ca", pem_file(ca.cert, NULL, NULL));
	deliverdhelp_conf = more_conf;
	return deliverdhelp_start(state);
}

static int
setup(void **state)
{
	server_tls(sa, good_tls, NULL);
	server_tls(sb, good_tls, NULL);
	return deliverdhelp_setup(state);
}

static void
secret(uint64_t id, const char *action)
{
	HAND(.id = id, .action = action, .requiretls = true);
	UNTIL(is_done(id));
}

/* For good, with this reply of ours; queued need not think that the server is
 * down. */
static void
fails(uint64_t id, const char *reply, const char *words)
{
	is(id, 0, D_PERM, reply);
	if (strstr(result(id, 0)->reply, words) == NULL)
		fail_msg("\"%s\" has no \"%s\"", result(id, 0)->reply, words);
	assert_false(result(id, 0)->remote);
	assert_int_equal(dest_was(id), D_DEST_OK);
	assert_int_equal(told[server_port(sa)].failures, 0);
}

/* Whatever the configuration asks for, the server has to prove its name. */
static void
goes(void **state)
{
	static const char *const actions[] = { "a", "require", "verify" };

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		SERVE(sa, STARTS, "T", KEEPS, SECRET, SECRET);
		secret(2 * i + 1, actions[i]);
		is(2 * i + 1, 0, D_OK, "250");
		assert_non_null(strstr(result(2 * i + 1, 0)->tls,
		    " verified"));
		secret(2 * i + 2, actions[i]);
		is(2 * i + 2, 0, D_OK, "250");
		SERVED(sa);
	}
	SERVE(sa, "T", "S 220 hi", KEEPS, SECRET);
	secret(9, "smtps");
	is(9, 0, D_OK, "250");
	SERVED(sa);
}

static void
not_offered(void **state)
{
	(void)state;
	/* What was said in plain is forgotten. */
	SERVE(sa, HELLO, "R 250-x\r\n250-REQUIRETLS\r\n250 STARTTLS\r\n",
	    "C STARTTLS", "S 220 go", "T", INSIDE, "C QUIT", "E");
	secret(1, "a");
	fails(1, "550 5.7.30 127.0.0.1[127.0.0.1]:", "REQUIRETLS is not "
	    "offered");
	SERVED(sa);
	/* Others get their mail there. */
	SERVE(sa, STARTS, "T", INSIDE, USUAL);
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	is(2, 0, D_OK, "250");
	SERVED(sa);
	/* Later it may be another one. */
	script_time(POOL_REFUSED_MS);
	UNTIL(pool_count_conns() == 0);
	SERVE(sa, STARTS, "T", KEEPS, SECRET);
	secret(3, "a");
	is(3, 0, D_OK, "250");
	SERVED(sa);
}

static void
no_tls(void **state)
{
	(void)state;
	SERVE(sa, HELLO, "R 250-x\r\n250 REQUIRETLS\r\n", "E");
	secret(1, "a");
	fails(1, "550 5.7.10 127.0.0.1[", "STARTTLS is not offered");
	SERVED(sa);
	secret(2, "off");
	fails(2, "550 5.7.10 REQUIRETLS: ", "tls is off");
	assert_int_equal(server_conns(sa), 1);
}

static void
old_server(void **state)
{
	(void)state;
	SERVE(sa, HELLO, "S 502 no", "C HELO mail.example.org", "S 250 x",
	    "E");
	secret(1, "a");
	fails(1, "550 5.7.10 127.0.0.1[", "STARTTLS is not offered");
	SERVED(sa);
}

static void
no_proof(void **state)
{
	(void)state;
	server_tls(sa, self_tls, NULL);
	SERVE(sa, STARTS, "F");
	secret(1, "a");
	fails(1, "550 5.7.10 127.0.0.1[", "");
	assert_int_equal(server_conns(sa), 1);
	/* Nor in plain, as other mail would go. */
	server_reset(sa);
	SERVE(sa, STARTS, "B 5", "R not TLS at all\r\n", "X");
	script_time(POOL_REFUSED_MS);
	secret(2, "require");
	fails(2, "550 5.7.10 127.0.0.1[", "no TLS session");
}

/* What may pass by itself is waited for. */
static void
for_now(void **state)
{
	(void)state;
	SERVE(sa, OFFERS, "C STARTTLS", "S 454 4.7.0 later", "E");
	secret(1, "a");
	is(1, 0, D_TEMP, "451 4.7.5 ");
	SERVED(sa);
	SERVE(sa, STARTS, "T", KEEPS, "C MAIL FROM:<a@c.example> REQUIRETLS",
	    RCPT, "C DATA", "S 450 4.2.0 later", "S 503 no", "S 503 no");
	secret(2, "require");
	is(2, 0, D_TEMP, "450 4.2.0 later");
}

static void
another_one(void **state)
{
	(void)state;
	SERVE(sa, STARTS, "T", INSIDE, "C QUIT", "E");
	SERVE(sb, STARTS, "T", KEEPS, SECRET);
	secret(1, "two");
	is(1, 0, D_OK, "250");
	SERVED(sa);
	SERVED(sb);
}

/* One that is down may be the one. */
static void
another_down(void **state)
{
	(void)state;
	SERVE(sa, STARTS, "T", INSIDE, "C QUIT", "E");
	secret(1, "gone");
	is(1, 0, D_TEMP, "451 4.4.1 ");
	SERVED(sa);
}

/* A connection that is idle is for its kind of mail. */
static void
apart(void **state)
{
	(void)state;
	SERVE(sa, STARTS, "T", KEEPS, USUAL);
	SERVE(sa, STARTS, "T", KEEPS, SECRET);
	SERVE(sa, STARTS, "T", KEEPS, USUAL);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	assert_int_equal(server_conns(sa), 1);
	secret(2, "a");
	assert_int_equal(server_conns(sa), 2);
	HAND(.id = 3, .action = "a", .tls_optional = true);
	UNTIL(is_done(3));
	assert_int_equal(server_conns(sa), 3);
	for (uint64_t id = 1; id < 4; id++)
		is(id, 0, D_OK, "250");
	SERVED(sa);
}

/* "TLS-Required: No": as opportunistic as ever; but the configuration's word
 * stands. */
static void
optional(void **state)
{
	(void)state;
	SERVE(sa, STARTS, "T", INSIDE, USUAL);
	HAND(.id = 1, .action = "a", .tls_optional = true);
	UNTIL(is_done(1));
	is(1, 0, D_OK, "250");
	assert_non_null(strstr(result(1, 0)->tls, "TLSv1.3"));
	SERVED(sa);
	SERVE(sa, PIPE, "E");
	HAND(.id = 2, .action = "require", .tls_optional = true);
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.7.4 ");
	SERVED(sa);
}

/* ---- demand.h --------------------------------------------------------------- */

static void
demands(void **state)
{
	static const struct { enum conf_tls_mode mode; bool named, sts, name,
	    pin; enum dane_verdict dane; bool ok; enum conf_tls_mode is; }
	    t[] = {
		{ TLS_OPPORTUNISTIC, true, false, false, false, DANE_NONE,
		    true, TLS_VERIFY },
		{ TLS_OPPORTUNISTIC, false, true, false, false, DANE_NONE,
		    true, TLS_VERIFY },
		{ TLS_OPPORTUNISTIC, false, false, false, false, DANE_NONE,
		    false, TLS_OPPORTUNISTIC },
		{ TLS_REQUIRE, true, false, false, false, DANE_UNUSABLE,
		    true, TLS_VERIFY },
		{ TLS_OPPORTUNISTIC, false, false, false, false,
		    DANE_REQUIRED, true, TLS_DANE },
		{ TLS_VERIFY, false, false, false, false, DANE_NONE, false,
		    TLS_VERIFY },
		{ TLS_VERIFY, false, false, true, false, DANE_NONE, true,
		    TLS_VERIFY },
		{ TLS_VERIFY, false, false, false, true, DANE_NONE, true,
		    TLS_VERIFY },
		{ TLS_OFF, true, true, false, false, DANE_NONE, false,
		    TLS_OFF },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct hosts_tls	d = { .tls = { .mode = t[i].mode,
					    .name = t[i].name ?
					    (char *)(uintptr_t)"mx" : NULL,
					    .npins = t[i].pin },
					    .dane = t[i].dane,
					    .named = t[i].named };

		if ((demand_requiretls(&d, t[i].sts) == NULL) != t[i].ok ||
		    demand_tls(&d).mode != t[i].is || !d.requiretls)
			fail_msg("row %zu", i);
	}
}

#undef CASE
#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, \
	    deliverdhelp_teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CASE(goes), CASE(not_offered), CASE(no_tls), CASE(old_server),
		CASE(no_proof), CASE(for_now), CASE(another_one),
		CASE(another_down), CASE(apart), CASE(optional),
		cmocka_unit_test(demands)
	};

	return cmocka_run_group_tests_name("requiretls_out", tests, start,
	    NULL);
}
