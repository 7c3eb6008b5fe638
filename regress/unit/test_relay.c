/*
 * A server that takes mail for anybody, as it trusts the gateway: what a
 * proxied listener does about it.
 */
#include "regress/lib/smtpdtest.h"

#include "smtpd/relay.h"

static const char	conf_text[] =
    "hostname gw.example.org\n"
    "action \"live\" proxy to { \"192.0.2.9\" }\n"
    "action \"free\" proxy to { \"192.0.2.9\" } open\n"
    "listen on 192.0.2.1 port 25 proxy \"live\"\n"
    "listen on 192.0.2.1 port 26 proxy \"live\" recipients "
    "{ \"u@dest.example\" }\n"
    "listen on 192.0.2.1 port 27 proxy \"live\" auth-plaintext\n"
    "listen on 192.0.2.1 port 28 proxy \"free\"\n";
enum { ANY = 25, LISTED, AUTH, FREE };

static uint32_t	asked;
static unsigned	nasked;

static void
on_relay(const struct ipc_p_relay *m)
{
	assert_true(span_is(m->action, "live"));
	asked = m->tid;
	nasked++;
}

static void
says(uint8_t state, const char *reply)
{
	CHAN_SEND(proxyd.chan, p_relayed, .tid = asked, .state = state,
	    .reply = span_str(reply), .server = span_str("a[192.0.2.9]:25"));
}

static void
last(uint8_t state)
{
	CHAN_SEND(proxyd.chan, p_relayed, .tid = asked, .state = state,
	    .last = true);
	world_run();
}

static void
result(uint8_t state)
{
	relay_start();
	world_run();
	says(state, "250 2.1.5 Ok");
	last(V_NONE);
}

static void
tries(struct client *c, const char *want)
{
	expect(c, "220");
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", want);
	quit(c);
}

#define DENIED	"550 5.7.1 gw.example.org: relaying denied"

static void
test_denied(void **state)
{
	struct client	*c;

	(void)state;
	/* It is asked at the start, once for both listeners; free is not. */
	assert_int_equal(nasked, 1);
	/* Not known: nothing is refused. */
	tries(client_at(ANY), "250");
	says(V_BAD, "554 5.7.1 denied");
	says(V_GOOD, "250 2.1.5 Ok");
	tries(client_at(ANY), "250");
	last(V_NONE);
	tries(client_at(ANY), DENIED);
	tries(client_at(FREE), "250");
	/* Who says which recipients there are knows. */
	tries(client_at(LISTED), "250");
	/* From here. */
	tries(client_new(listen_of(ANY), "127.0.0.1"), "250");
	/* Logged in. */
	c = client_at(AUTH);
	expect(c, "220");
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", DENIED);
	say(c, "RSET", "250");
	say(c, "AUTH PLAIN AAAA", "235");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	quit(c);
}

/* The last result stays until there is another one. */
static void
test_stays(void **state)
{
	(void)state;
	result(V_GOOD);
	tries(client_at(ANY), DENIED);
	result(V_LATER);
	tries(client_at(ANY), DENIED);
	result(V_DOWN);
	tries(client_at(ANY), DENIED);
	relay_start();
	world_run();
	last(V_LATER);
	tries(client_at(ANY), DENIED);
	/* One says no, one nothing. */
	relay_start();
	world_run();
	says(V_BAD, "554");
	says(V_DOWN, "");
	last(V_NONE);
	tries(client_at(ANY), DENIED);
	result(V_BAD);
	tries(client_at(ANY), "250");
	result(V_DOWN);
	tries(client_at(ANY), "250");
}

/* Asked again: soon if there was no result, else after an hour; and when
 * proxyd came back. */
static void
test_times(void **state)
{
	unsigned	n;

	(void)state;
	result(V_DOWN);
	n = nasked;
	world_skip_ms(RELAY_RETRY_MS - 2000);
	assert_int_equal(nasked, n);
	world_skip_ms(3000);
	assert_int_equal(nasked, n + 1);
	/* One at a time. */
	relay_start();
	world_run();
	assert_int_equal(nasked, n + 1);
	says(V_BAD, "554");
	last(V_NONE);
	world_skip_ms(RELAY_RETRY_MS + 1000);
	assert_int_equal(nasked, n + 1);
	world_skip_ms(RELAY_AGAIN_MS);
	assert_int_equal(nasked, n + 2);
	/* With proxyd the answer is gone. */
	proxyd_die();
	proxyd_start();
	world_run();
	world_skip_ms(RELAY_RETRY_MS + 1000);
	assert_int_equal(nasked, n + 3);
	/* An answer to nothing. */
	asked = 4711;
	says(V_GOOD, "250");
	last(V_NONE);
	tries(client_at(ANY), "250");
}

static int
init(void **state)
{
	(void)state;
	proxyd.relay = on_relay;
	world_init(conf_text);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_denied), cmocka_unit_test(test_stays),
		cmocka_unit_test(test_times)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
