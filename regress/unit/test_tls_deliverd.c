/*
 * TLS of deliverd: when it begins, what is forgotten, and what becomes of the
 * mail where it fails.
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
#define GARBAGE	"B 5", "R not TLS at all\r\n", "X"

static struct ident	 ca, good, old, self;
static SSL_CTX		*good_tls, *old_tls, *self_tls;

static void
more_conf(char *dst, size_t size)
{
	unsigned	a = server_port(sa), b = server_port(sb);

	snprintf(dst, size,
	    "ca \"/ca\"\n"
	    "action \"off\" relay to \"127.0.0.1:%u\" tls off\n"
	    "action \"require\" relay to \"127.0.0.1:%u\" tls require\n"
	    "action \"verify\" relay to \"127.0.0.1:%u\" tls verify\n"
	    "action \"mxname\" relay to \"127.0.0.1:%u\" tls verify name "
	    "mx.example\n"
	    "action \"other\" relay to \"127.0.0.1:%u\" tls verify name "
	    "other.example\n"
	    "action \"nofile\" relay to \"127.0.0.1:%u\" tls verify ca "
	    "\"/none\"\n"
	    "action \"scheme\" relay to \"smtp+tls://127.0.0.1:%u\"\n"
	    "action \"smtps\" relay to \"smtps://127.0.0.1:%u\"\n"
	    "action \"notls\" relay to \"smtp+notls://127.0.0.1:%u\"\n"
	    "action \"two\" relay to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" } "
	    "tls require\n", a, a, a, a, a, a, a, a, a, a, b);
}

static int
start(void **state)
{
	tls_client_init();
	ca = IDENT(.cn = "Our CA", .ca = true);
	good = IDENT(.issuer = &ca, .san = "IP:127.0.0.1,DNS:mx.example");
	old = IDENT(.issuer = &ca, .san = "IP:127.0.0.1", .from_days = -9,
	    .to_days = -2);
	self = IDENT(.san = "IP:127.0.0.1");
	good_tls = ident_server(&good, NULL);
	old_tls = ident_server(&old, NULL);
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
has(const char *text, const char *want)
{
	if (strstr(text, want) == NULL)
		fail_msg("\"%s\" has no \"%s\"", text, want);
}

/* One message of this action, whose result is awaited. */
static void
send_one(uint64_t id, const char *action)
{
	HAND(.id = id, .action = action);
	UNTIL(is_done(id));
}

/* What queued has heard of sa's TLS. */
static void
host_has(const char *want)
{
	script_time(1100);
	UNTIL(told[server_port(sa)].tls[0] != '\0' &&
	    strstr(told[server_port(sa)].tls, want) != NULL);
}

/* ---- it works ------------------------------------------------------------ */

static void
opportunistic(void **state)
{
	(void)state;
	/* What is said in plain is forgotten: no PIPELINING, no SIZE. */
	SERVE(sa, HELLO, "R 250-x\r\n250-PIPELINING\r\n250-SIZE 1\r\n"
	    "250 STARTTLS\r\n", "C STARTTLS", "Q", "S 220 go", "T",
	    "C EHLO mail.example.org", "S 250 x", "C MAIL FROM:<a@c.example>",
	    OK, RCPT, OK, "C DATA", "S 354 go", "D", OK);
	send_one(1, "a");
	is(1, 0, D_OK, "250 2.0.0 ok");
	has(result(1, 0)->tls, "TLSv1.3 TLS_");
	SERVED(sa);
	host_has("opportunistic: TLSv1.3 TLS_");
}

static void
no_tls(void **state)
{
	(void)state;
	SERVE(sa, PIPE, TAKES);
	send_one(1, "a");
	is(1, 0, D_OK, "250");
	assert_string_equal(result(1, 0)->tls, "none");
	host_has("opportunistic: plain, STARTTLS is not offered");
	SERVED(sa);
}

static void
off(void **state)
{
	static const char *const actions[] = { "off", "notls" };

	(void)state;
	for (uint64_t i = 0; i < 2; i++) {
		SERVE(sa, HELLO, "R 250-x\r\n250-STARTTLS\r\n"
		    "250 PIPELINING\r\n", TAKES);
		send_one(i + 1, actions[i]);
		is(i + 1, 0, D_OK, "250");
		SERVED(sa);
	}
	host_has("off: plain");
}

static void
required(void **state)
{
	(void)state;
	/* Nobody looks at whose certificate it is. */
	server_tls(sa, self_tls, NULL);
	SERVE(sa, STARTS, "T", INSIDE, TAKES, TAKES);
	send_one(1, "require");
	is(1, 0, D_OK, "250");
	/* The session is used again. */
	send_one(2, "require");
	is(2, 0, D_OK, "250");
	has(result(2, 0)->tls, "TLSv1.3");
	SERVED(sa);
}

static void
verified(void **state)
{
	static const char *const actions[] = { "verify", "scheme", "mxname" };

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		if (i == 2)
			server_tls(sa, good_tls, "mx.example");
		SERVE(sa, STARTS, "T", INSIDE, TAKES);
		send_one(i + 1, actions[i]);
		is(i + 1, 0, D_OK, "250");
		has(result(i + 1, 0)->tls, " verified");
		SERVED(sa);
	}
	host_has("verify: TLSv1.3 TLS_");
}

static void
smtps(void **state)
{
	(void)state;
	SERVE(sa, "T", "S 220 hi", INSIDE, TAKES);
	send_one(1, "smtps");
	is(1, 0, D_OK, "250");
	has(result(1, 0)->tls, "TLSv1.3");
	SERVED(sa);
}

static void
byte_by_byte(void **state)
{
	(void)state;
	SERVE(sa, "1", STARTS, "T", INSIDE, TAKES);
	send_one(1, "require");
	is(1, 0, D_OK, "250");
	SERVED(sa);
}

/* ---- opportunistic: in plain, on a new connection ------------------------ */

/* The second connection is in plain, and so is the next one for some time. */
static void
then_plain(const char *why)
{
	SERVE(sa, HELLO, "R 250-x\r\n250-STARTTLS\r\n250 PIPELINING\r\n",
	    TAKES);
	send_one(1, "a");
	is(1, 0, D_OK, "250");
	assert_string_equal(result(1, 0)->tls, "none");
	SERVED(sa);
	host_has(why);
	assert_int_equal(told[server_port(sa)].failures, 0);
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(pool_count_conns() == 0);
	SERVE(sa, HELLO, "R 250-x\r\n250-STARTTLS\r\n250 PIPELINING\r\n",
	    TAKES);
	send_one(2, "a");
	is(2, 0, D_OK, "250");
	SERVED(sa);
	/* It is tried again when that is long ago. */
	script_time(TLS_PLAIN_MS);
	UNTIL(pool_count_conns() == 0);
	SERVE(sa, STARTS, "T", INSIDE, TAKES);
	send_one(3, "a");
	is(3, 0, D_OK, "250");
	has(result(3, 0)->tls, "TLSv1.3");
	SERVED(sa);
}

static void
refused(void **state)
{
	(void)state;
	SERVE(sa, OFFERS, "C STARTTLS", "S 454 4.7.0 no certificate", "E");
	then_plain("opportunistic: plain, it refuses STARTTLS: 454 4.7.0 no "
	    "certificate");
}

static void
broken(void **state)
{
	(void)state;
	SERVE(sa, STARTS, GARBAGE);
	then_plain("opportunistic: plain, ");
}

static void
lost(void **state)
{
	(void)state;
	SERVE(sa, OFFERS, "C STARTTLS", "X");
	then_plain("opportunistic: plain, connection lost");
}

static void
silent(void **state)
{
	(void)state;
	SERVE(sa, STARTS, "B 5", "W");
	HAND(.id = 9, .action = "a");
	UNTIL(server_waits(sa));
	script_settle(50);
	SERVE(sa, HELLO, "R 250-x\r\n250-STARTTLS\r\n250 PIPELINING\r\n",
	    TAKES);
	script_time(REMOTE_TLS_MS + 200);
	UNTIL(is_done(9));
	is(9, 0, D_OK, "250");
	host_has("opportunistic: plain, timed out");
}

/* ---- asked for: never in plain ------------------------------------------- */

/* Nothing went, and the server is not taken for one that is down. */
static void
waits(uint64_t id, const char *reply)
{
	is(id, 0, D_TEMP, "451 4.7.");
	has(result(id, 0)->reply, reply);
	assert_false(result(id, 0)->remote);
	assert_int_equal(dest_was(id), D_DEST_OK);
	assert_int_equal(told[server_port(sa)].failures, 0);
	/* A ClientHello at most. */
	assert_true(server_content(sa).len <= 5);
	SERVED(sa);
}

static void
not_offered(void **state)
{
	(void)state;
	SERVE(sa, PIPE, "E");
	send_one(1, "require");
	waits(1, "451 4.7.4 127.0.0.1[127.0.0.1]:");
	has(result(1, 0)->reply, "STARTTLS is not offered, and mail may "
	    "not go there in plain");
	/* It is not asked at once again. */
	send_one(2, "require");
	waits(2, "4.7.4");
	assert_int_equal(server_conns(sa), 1);
	host_has("require: refused, STARTTLS is not offered");
	/* Others need no TLS of it. */
	SERVE(sa, PIPE, TAKES);
	send_one(3, "a");
	is(3, 0, D_OK, "250");
	script_time(POOL_REFUSED_MS);
	UNTIL(pool_count_conns() == 0);
	SERVE(sa, STARTS, "T", INSIDE, TAKES);
	send_one(4, "require");
	is(4, 0, D_OK, "250");
	SERVED(sa);
}

static void
another_one(void **state)
{
	(void)state;
	SERVE(sa, PIPE, "E");
	SERVE(sb, STARTS, "T", INSIDE, TAKES);
	send_one(1, "two");
	is(1, 0, D_OK, "250");
	SERVED(sa);
	SERVED(sb);
}

static void
required_broken(void **state)
{
	(void)state;
	SERVE(sa, STARTS, GARBAGE);
	send_one(1, "require");
	waits(1, "451 4.7.5 127.0.0.1[127.0.0.1]:");
	has(result(1, 0)->reply, "no TLS session: ");
	assert_int_equal(server_conns(sa), 1);
}

static void
required_refused(void **state)
{
	(void)state;
	SERVE(sa, OFFERS, "C STARTTLS", "S 502 no", "E");
	send_one(1, "verify");
	waits(1, "no TLS session: it refuses STARTTLS: 502 no");
}

static void
certificates(void **state)
{
	const struct {
		const char	*action;
		SSL_CTX		*tls;
		const char	*sni, *why;
	} t[] = {
		{ "verify", old_tls, NULL,
		    "the certificate has expired on " },
		{ "scheme", self_tls, NULL,
		    "the certificate is self-signed" },
		{ "other", good_tls, "other.example",
		    "the certificate is for mx.example, not for "
		    "other.example" },
		{ "nofile", good_tls, NULL,
		    "there is no file of CAs to hold it against" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		setup(state);
		server_tls(sa, t[i].tls, t[i].sni);
		SERVE(sa, STARTS, "F");
		send_one(1, t[i].action);
		waits(1, t[i].why);
		has(result(1, 0)->reply, "451 4.7.5 127.0.0.1[127.0.0.1]:");
		host_has("verify: refused, ");
		deliverdhelp_teardown(state);
	}
	setup(state);
}

/* What is said behind the 220 in plain would be taken for the server's. */
static void
injected(void **state)
{
	static const char *const actions[] = { "a", "require", "verify" };

	for (size_t i = 0; i < 3; i++) {
		setup(state);
		SERVE(sa, OFFERS, "C STARTTLS",
		    "R 220 go\r\n250-x\r\n250 PIPELINING\r\n", "E");
		send_one(1, actions[i]);
		is(1, 0, D_TEMP, "451 4.5.0 127.0.0.1[127.0.0.1]:");
		has(result(1, 0)->reply,
		    "plain text behind the reply to STARTTLS");
		SERVED(sa);
		assert_int_equal(server_conns(sa), 1);
		deliverdhelp_teardown(state);
	}
	setup(state);
}

static void
smtps_plain(void **state)
{
	(void)state;
	SERVE(sa, "S 220 hi", "B 5", "X");
	send_one(1, "smtps");
	is(1, 0, D_TEMP, "451 4.7.5 127.0.0.1[127.0.0.1]:");
	has(result(1, 0)->reply, "no TLS session: ");
	SERVED(sa);
}

/* ---- who wants TLS, and does not get it ---------------------------------- */

static void
wants_tls(void **state)
{
	(void)state;
	SERVE(sa, HELLO, "R 250-x\r\n250 STARTTLS\r\n", MAIL,
	    "S 530 5.7.0 Must issue a STARTTLS command first");
	send_one(1, "off");
	is(1, 0, D_TEMP, "451 4.7.0 127.0.0.1[127.0.0.1]:");
	has(result(1, 0)->reply, "takes nothing without TLS, and tls is off "
	    "for it; it said: 530 5.7.0 Must issue a STARTTLS command first");
	SERVED(sa);
	/* Another 530 is what it is. */
	SERVE(sb, PLAIN, MAIL, "S 530 5.7.1 Authentication required");
	send_one(2, "b");
	is(2, 0, D_PERM, "530 5.7.1");
	SERVED(sb);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, \
	    deliverdhelp_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(opportunistic), T(no_tls), T(off), T(required), T(verified),
		T(smtps), T(byte_by_byte), T(refused), T(broken), T(lost),
		T(silent), T(not_offered), T(another_one), T(required_broken),
		T(required_refused), T(certificates), T(injected),
		T(smtps_plain), T(wants_tls),
	};

	return cmocka_run_group_tests_name("tls_deliverd", tests, start, NULL);
}
