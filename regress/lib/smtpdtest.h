/*
 * What the tests of smtpd's sessions share: one configuration with a listener
 * of each kind, and words for a dialogue. For cmocka.
 */
#ifndef REGRESS_SMTPDTEST_H
#define REGRESS_SMTPDTEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "regress/lib/smtpdhelp.h"

/* Listeners by their port. */
enum { REGULAR = 25, PROXIED = 26, PASSWORDS = 27, DELAYED = 28, SMALL = 29,
    BY_HOST = 30, SOME = 31, HOST_PROXIED = 32, BALANCED = 33, GATEWAYS = 34,
    GATEWAYS_PROXIED = 35, OTHERS = 36 };

static const char	test_conf[] =
    "hostname gw.example.org\n"
    "action \"out\" relay to { \"192.0.2.9\" } open\n"
    "action \"live\" proxy to { \"192.0.2.9\" } open\n"
    "action \"other\" proxy to { \"192.0.2.10\" } open\n"
    "action \"told\" proxy to { \"192.0.2.11\" } open identity xclient\n"
    "listen on 192.0.2.1 port 25\n"
    "listen on 192.0.2.1 port 26 proxy \"live\"\n"
    "listen on 192.0.2.1 port 27 proxy \"live\" auth-plaintext\n"
    "listen on 192.0.2.1 port 28 greet-delay 2s\n"
    "listen on 192.0.2.1 port 29 max-message-size 60000\n"
    "listen on 192.0.2.1 port 30 tag byhost\n"
    "listen on 192.0.2.1 port 31 recipients { \"u@dest.example\" }\n"
    "listen on 192.0.2.1 port 32 proxy \"live\" tag hostproxy\n"
    "listen on 192.0.2.1 port 33 proxy-protocol from { 127.0.0.1 }\n"
    "listen on 192.0.2.1 port 34 xclient from { 192.0.2.64/26, ::1 }\n"
    "listen on 192.0.2.1 port 35 proxy \"told\" xclient from 192.0.2.64/26\n"
    "listen on 192.0.2.1 port 36 proxy-protocol from { 127.0.0.2 } "
    "greet-delay 2s\n"
    "limit sessions per source 3 for { 127.0.0.0/8 }\n"
    "match tag byhost from host { good.example } for any action \"out\"\n"
    "match tag byhost from any for domain \"dest.example\" reject "
    "\"550 5.7.1 no such name\"\n"
    "match tag hostproxy from host { evil.example } for any reject\n"
    "match from any for rcpt-to { \"no@dest.example\" } reject "
    "\"551 5.7.1 not this one\"\n"
    "match from any for domain \"dest.example\" action \"out\"\n"
    "match from any for domain \"live.example\" action \"live\"\n"
    "match from any for domain \"other.example\" action \"other\"\n"
    "match from any for domain \"told.example\" action \"told\"\n"
    "match from source 203.0.113.0/24 for domain \"source.example\" "
    "action \"out\"\n"
    "match from local for domain \"local.example\" action \"out\"\n";

static inline unsigned
listen_of(unsigned port)
{
	for (unsigned i = 0; i < world_conf->nlistens; i++)
		if (world_conf->listens[i]->naddrs > 0 &&
		    world_conf->listens[i]->addrs[0].port == port)
			return i;
	abort();
}

static inline struct client *
client_at(unsigned port)
{
	return client_new(listen_of(port), NULL);
}

static inline void
expect_at(struct client *c, const char *want, const char *what, int line)
{
	const char	*got = client_reply(c);

	if (got == NULL || strncmp(got, want, strlen(want)) != 0) {
		print_error("line %d: to \"%.60s\" wanted \"%s\", got \"%s\"\n",
		    line, what, want, got == NULL ? "nothing" : got);
		fail();
	}
}
/* The next reply begins so. */
#define expect(c, want)		expect_at((c), (want), "?", __LINE__)
#define say(c, what, want)	do {					\
		client_say((c), (what));				\
		expect_at((c), (want), (what), __LINE__);		\
	} while (0)
#define expect_nothing(c)	assert_null(client_reply(c))
#define expect_closed(c)	assert_true(client_closed(c))

/* Greeted, and EHLO said. */
static inline struct client *
hello(unsigned port)
{
	struct client	*c = client_at(port);

	expect(c, "220 gw.example.org");
	say(c, "EHLO client.example", "250-gw.example.org");
	return c;
}

/* The client goes, and nothing may be left of it. */
static inline void
leave(struct client *c)
{
	const char	*leak;

	client_free(c);
	if ((leak = world_leak()) != NULL)
		fail_msg("left behind: %s", leak);
	assert_int_equal(world_reports, 0);
	queued_reset();
	proxyd_reset();
}

static inline void
quit(struct client *c)
{
	say(c, "QUIT", "221");
	expect_closed(c);
	leave(c);
}

static inline int
test_init(void **state)
{
	(void)state;
	world_init(test_conf);
	return 0;
}

/* A test that failed does not take the next ones with it. */
static inline int
test_setup(void **state)
{
	(void)state;
	world_reset();
	return 0;
}

#define T(f)	cmocka_unit_test_setup(f, test_setup)

/* ---- content, and proxyd's answers ---- */

static char	big[300000] __attribute__((unused));

static inline void
expect_all(struct client *c, const char *const *codes)
{
	for (; *codes != NULL; codes++)
		expect_at(c, *codes, *codes, __LINE__);
	expect_nothing(c);
}

static inline void
begin(struct client *c, const char *rcpt)
{
	char	line[200];

	say(c, "MAIL FROM:<a@b.example>", "250");
	snprintf(line, sizeof(line), "RCPT TO:<%s>", rcpt);
	say(c, line, "250");
}

/* n bytes in lines of 62, not counting what ends the last of them. */
static inline void
fill(size_t n)
{
	for (size_t i = 0; i < n; i++)
		big[i] = i % 62 == 60 && i + 1 < n ? '\r' :
		    i % 62 == 61 ? '\n' : (char)('a' + i % 23);
	big[n] = '\0';
}

static inline void
write_all(struct client *c, const char *p, size_t n)
{
	size_t	put;

	for (unsigned tries = 0; n > 0 && tries < 10000; tries++) {
		put = client_write(c, p, n);
		p += put;
		n -= put;
		world_pass(2);
	}
	assert_int_equal(n, 0);
}

/* A chunk: the command with its bytes, no more. */
#define chunk(c, what, want)	do {					\
		client_send((c), (what));				\
		expect_at((c), (want), (what), __LINE__);		\
	} while (0)

static inline void
on(enum asked what, uint16_t code, const char *text)
{
	proxyd.on[what].code = code;
	proxyd.on[what].text = text;
}

static inline void
answer(uint16_t code, const char *text)
{
	assert_true(proxyd_answer(proxyd.tid, code, text));
	world_run();
}

static inline void
server_gone(void)
{
	proxyd_close(proxyd.tid, "gone");
	world_run();
}

#endif
