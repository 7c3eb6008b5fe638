/*
 * The client's confirmed reverse name, and rules that wait for it: PTR, forward
 * confirmation, resolvers that fail, are slow or are not there.
 */
#include "regress/lib/smtpdtest.h"

#include "common/dns/answer.h"
#include "common/lookup/ask.h"
#include "smtpd/txn.h"

/* A session whose first RCPT waits. */
static struct client *
waiting(const char *from)
{
	struct client	*c = client_new(listen_of(BY_HOST), from);

	expect(c, "220");
	say(c, "EHLO client.example", "250");
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\n"
	    "RCPT TO:<u@nowhere.example>\r\n");
	expect(c, "250 2.1.0");
	expect_nothing(c);
	return c;
}

static void
test_confirmed(void **state)
{
	struct client	*c = waiting(NULL);

	(void)state;
	assert_int_equal(lookupd.type, DNS_PTR);
	assert_string_equal(lookupd.name, "7.2.0.192.in-addr.arpa");
	lookupd_answer(DNS_OK, "Good.Example");
	expect_nothing(c);
	assert_int_equal(lookupd.type, DNS_A);
	assert_string_equal(lookupd.name, "Good.Example");
	lookupd_answer(DNS_OK, WORLD_SOURCE);
	expect(c, "250 2.1.5");
	expect(c, "250 2.1.5");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_non_null(strstr(queued.content,
	    "(good.example [192.0.2.7])"));
	/* Asked once a session. */
	lookupd.asked = 0;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	assert_int_equal(lookupd.asked, 0);
	quit(c);
	/* IPv6. */
	c = waiting("2001:db8::7");
	assert_int_equal(lookupd.type, DNS_PTR);
	lookupd_answer(DNS_OK, "good.example");
	assert_int_equal(lookupd.type, DNS_AAAA);
	lookupd_answer(DNS_OK, "2001:db8::7");
	expect(c, "250");
	expect(c, "250");
	quit(c);
}

static void
test_unconfirmed(void **state)
{
	struct client	*c;

	(void)state;
	/* Another's address: whoever owns the reverse zone may say anything. */
	c = waiting(NULL);
	lookupd_answer(DNS_OK, "good.example");
	lookupd_answer(DNS_OK, "192.0.2.8");
	expect(c, "550 5.7.1 no such name");
	expect(c, "550 5.7.1");
	quit(c);
	for (int at = 0; at < 2; at++)
		for (uint8_t st = DNS_NODATA; st <= DNS_TEMPFAIL; st++) {
			c = waiting(NULL);
			if (at == 1)
				lookupd_answer(DNS_OK, "good.example");
			lookupd_answer(st, NULL);
			expect(c, "550 5.7.1 no such name");
			expect(c, "550");
			quit(c);
		}
	/* A name that may not be asked for. */
	c = waiting(NULL);
	lookupd_answer(DNS_OK, "no good");
	expect(c, "550 5.7.1 no such name");
	expect(c, "550");
	quit(c);
	/* No answer at all. */
	c = waiting(NULL);
	world_skip_ms(ASK_TIMEOUT_MS);
	expect(c, "550 5.7.1 no such name");
	expect(c, "550");
	quit(c);
	/* The client goes meanwhile: the session with the answer. */
	c = waiting(NULL);
	client_free(c);
	assert_non_null(world_leak());
	lookupd_answer(DNS_OK, "good.example");
	lookupd_answer(DNS_OK, WORLD_SOURCE);
	assert_null(world_leak());
	/* The session goes, and the answer finds nobody. */
	c = waiting(NULL);
	session_fail(c->s, 421, span_str("4.3.2 x"), "shutting down");
	leave(c);
	lookupd_answer(DNS_OK, "good.example");
}

/* Loopback's name is asked for only if a rule wants it. */
static void
test_local(void **state)
{
	struct client	*c;

	(void)state;
	lookupd.asked = 0;
	c = client_new(listen_of(REGULAR), "127.0.0.1");
	expect(c, "220");
	say(c, "EHLO c.example", "250");
	assert_int_equal(lookupd.asked, 0);
	leave(c);
	c = waiting("127.0.0.1");
	assert_int_equal(lookupd.asked, 1);
	lookupd_answer(DNS_NXDOMAIN, NULL);
	expect(c, "550 5.7.1");
	expect(c, "550");
	quit(c);
}

/* Nothing waits for what could not be asked. */
static void
test_too_many(void **state)
{
	static struct peer	 others[ASK_MAX];
	struct client		*c;
	struct addr		 a = { 0 };

	(void)state;
	assert_true(addr_parse(span_str("203.0.113.1"), &a));
	for (size_t i = 0; i < ASK_MAX; i++) {
		peer_begin(&others[i], &a);
		peer_look(&others[i]);
	}
	c = client_new(listen_of(BY_HOST), "127.0.0.1");
	expect(c, "220");
	say(c, "EHLO client.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "550 5.7.1 no such name");
	for (size_t i = 0; i < ASK_MAX; i++)
		peer_clear(&others[i]);
	quit(c);
}

static int
with_lookupd(void **state)
{
	test_init(state);
	lookupd_start();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_confirmed), T(test_unconfirmed), T(test_local),
		T(test_too_many)
	};

	return cmocka_run_group_tests(tests, with_lookupd, NULL);
}
