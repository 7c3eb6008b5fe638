/*
 * Addresses and prefixes: reading, writing, comparing, both kinds of sockaddr.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "common/base/addr.h"

#define S(lit)	((struct span)SPAN(lit))

static void
test_parse(void **state)
{
	/* in, family, written again */
	static const struct {
		struct span	 in;
		int		 family;	/* 0: refused */
		const char	*text;
	} rows[] = {
		{ SPAN("192.0.2.1"), 4, "192.0.2.1" },
		{ SPAN("0.0.0.0"), 4, "0.0.0.0" },
		{ SPAN("2001:DB8:0::1"), 6, "2001:db8::1" },
		{ SPAN("::"), 6, "::" },
		{ SPAN("::ffff:192.0.2.1"), 4, "192.0.2.1" },
		{ SPAN("::ffff:c000:201"), 4, "192.0.2.1" },
		{ SPAN("::192.0.2.1"), 6, "::192.0.2.1" },
		{ SPAN(""), 0, NULL },
		{ SPAN("192.0.2"), 0, NULL },
		{ SPAN("192.0.2.256"), 0, NULL },
		{ SPAN("192.0.2.1 "), 0, NULL },
		{ SPAN("192.0.2.1\0"), 0, NULL },
		{ SPAN("192.0.02.1"), 0, NULL },
		{ SPAN("0x7f.1"), 0, NULL },
		{ SPAN("2130706433"), 0, NULL },
		{ SPAN("[::1]"), 0, NULL },
		{ SPAN("fe80::1%lo"), 0, NULL },
		{ SPAN("1:2:3:4:5:6:7:8:9"), 0, NULL },
		{ SPAN("0000:0000:0000:0000:0000:ffff:192.168.100.200:25"), 0,
		    NULL }
	};
	struct addr	 a;
	char		 text[ADDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(addr_parse(rows[i].in, &a),
		    rows[i].family != 0);
		if (rows[i].family == 0)
			continue;
		assert_int_equal(a.family, rows[i].family);
		assert_int_equal(a.port, 0);
		assert_string_equal(addr_str(&a, text), rows[i].text);
	}
}

static void
test_port(void **state)
{
	static const struct {
		const char	*in;
		const char	*text;	/* NULL: refused */
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1:25" },
		{ "192.0.2.1:2525", "192.0.2.1:2525" },
		{ "192.0.2.1:65535", "192.0.2.1:65535" },
		{ "2001:db8::1", "[2001:db8::1]:25" },
		{ "[2001:db8::1]", "[2001:db8::1]:25" },
		{ "[2001:db8::1]:465", "[2001:db8::1]:465" },
		{ "[::ffff:192.0.2.1]:465", "192.0.2.1:465" },
		{ "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
		    "[1111:2222:3333:4444:5555:6666:7777:8888]:65535" },
		{ "192.0.2.1:", NULL }, { "192.0.2.1:0", NULL },
		{ "192.0.2.1:65536", NULL }, { "192.0.2.1:x", NULL },
		{ "192.0.2.1:+1", NULL }, { "[192.0.2.1]:25", NULL },
		{ "[::1", NULL }, { "[::1]25", NULL }, { "[::1]:", NULL },
		{ "[]", NULL }, { "", NULL }, { ":25", NULL }
	};
	struct addr	 a;
	char		 text[ADDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = addr_parse_port(span_str(rows[i].in), 25, &a);

		if (ok != (rows[i].text != NULL))
			fail_msg("%s", rows[i].in);
		if (ok)
			assert_string_equal(addr_str_port(&a, text),
			    rows[i].text);
	}
	a = (struct addr){ 0 };
	assert_string_equal(addr_str(&a, text), "local");
	assert_string_equal(addr_str_port(&a, text), "local");
}

static void
test_prefix(void **state)
{
	static const struct {
		const char	*in, *inside, *outside;	/* NULLs: refused */
	} rows[] = {
		{ "192.0.2.0/24", "192.0.2.255", "192.0.3.0" },
		{ "192.0.2.1", "192.0.2.1", "192.0.2.2" },
		{ "192.0.2.128/25", "192.0.2.129", "192.0.2.127" },
		{ "0.0.0.0/0", "255.255.255.255", "::1" },
		{ "10.0.0.0/7", "11.1.1.1", "12.0.0.0" },
		{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::" },
		{ "2001:db8::1", "2001:db8::1", "2001:db8::" },
		{ "2001:db8::/127", "2001:db8::1", "2001:db8::2" },
		{ "::/0", "2001:db8::1", "192.0.2.1" },
		{ "::ffff:192.0.2.0/120", "192.0.2.7", "192.0.3.0" },
		{ "192.0.2.1/24", NULL, NULL }, { "192.0.2.0/33", NULL, NULL },
		{ "192.0.2.0/", NULL, NULL }, { "192.0.2.0/-1", NULL, NULL },
		{ "192.0.2.0/24/1", NULL, NULL }, { "/24", NULL, NULL },
		{ "2001:db8::1/64", NULL, NULL }, { "::/129", NULL, NULL },
		/* Neither a part of IPv4 nor 192.0.2.1/32. */
		{ "::ffff:192.0.2.1/32", NULL, NULL },
		{ "::ffff:0.0.0.0/95", NULL, NULL }
	};
	struct addr_prefix	 p;
	struct addr		 a;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = addr_parse_prefix(span_str(rows[i].in), &p);

		if (ok != (rows[i].inside != NULL))
			fail_msg("%s", rows[i].in);
		if (!ok)
			continue;
		assert_true(addr_parse(span_str(rows[i].inside), &a));
		assert_true(addr_in(&a, &p));
		assert_true(addr_parse(span_str(rows[i].outside), &a));
		assert_false(addr_in(&a, &p));
	}
}

static void
test_loopback(void **state)
{
	static const char *const yes[] = { "127.0.0.1", "127.255.255.255",
	    "::1", "::ffff:127.0.0.1" };
	static const char *const no[] = { "128.0.0.1", "::", "::2", "1::1" };
	struct addr	 a = { 0 };

	(void)state;
	assert_false(addr_is_loopback(&a));
	for (size_t i = 0; i < 4; i++) {
		assert_true(addr_parse(span_str(yes[i]), &a));
		assert_true(addr_is_loopback(&a));
		assert_true(addr_parse(span_str(no[i]), &a));
		assert_false(addr_is_loopback(&a));
	}
}

static void
test_sockaddr(void **state)
{
	static const char *const texts[] = { "192.0.2.1:25",
	    "[2001:db8::1]:2525" };
	struct sockaddr_storage	 ss;
	struct sockaddr		 un = { .sa_family = AF_UNIX };
	struct sockaddr_in6	 in6 = { .sin6_family = AF_INET6 };
	struct addr		 a, b;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_true(addr_parse_port(span_str(texts[i]), 1, &a));
		assert_int_equal(addr_to_sockaddr(&a, &ss), i == 0 ?
		    sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		addr_from_sockaddr(&b, (struct sockaddr *)&ss);
		assert_memory_equal(&a, &b, sizeof(a));
	}
	/* What a client of IPv4 looks like on a socket of both. */
	inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6.sin6_addr);
	in6.sin6_port = htons(99);
	addr_from_sockaddr(&a, (struct sockaddr *)&in6);
	assert_int_equal(a.family, 4);
	assert_int_equal(a.port, 99);
	addr_from_sockaddr(&a, &un);
	assert_int_equal(a.family, 0);
}

static void
test_names(void **state)
{
	struct addr	 a, m;
	char		 name[80], text[ADDR_STRLEN];

	(void)state;
	addr_parse(S("192.0.2.1"), &a);
	assert_string_equal(addr_reverse_name(&a, name),
	    "1.2.0.192.in-addr.arpa");
	m = addr_mask(&a, 23);
	assert_string_equal(addr_str(&m, text), "192.0.2.0");
	m = addr_mask(&a, 22);
	assert_string_equal(addr_str(&m, text), "192.0.0.0");
	m = addr_mask(&a, 0);
	assert_string_equal(addr_str(&m, text), "0.0.0.0");
	addr_parse(S("2001:db8::567:89ab"), &a);
	/* RFC 3596, 2.5 */
	assert_string_equal(addr_reverse_name(&a, name), "b.a.9.8.7.6.5.0."
	    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	m = addr_mask(&a, 64);
	assert_string_equal(addr_str(&m, text), "2001:db8::");
	m = addr_mask(&a, 128);
	assert_true(addr_eq(&m, &a));
}

/* The key tells families, ports and addresses apart, and nothing else. */
static void
test_key(void **state)
{
	static const char *const all[] = { "192.0.2.1:25", "192.0.2.1:281",
	    "192.0.2.2:25", "[2001:db8::1]:25", "[2001:db8::2]:25",
	    "[c000:201::]:25" };
	struct addr	 a, b;
	uint8_t		 k[ADDR_KEY_LEN], l[ADDR_KEY_LEN];

	(void)state;
	for (size_t i = 0; i < 6; i++)
		for (size_t n = 0; n < 6; n++) {
			memset(&a, 0xa5, sizeof(a));
			memset(&b, 0x5a, sizeof(b));
			assert_true(addr_parse_port(span_str(all[i]), 1, &a));
			assert_true(addr_parse_port(span_str(all[n]), 1, &b));
			assert_int_equal(span_eq(addr_key(&a, k),
			    addr_key(&b, l)), i == n);
		}
	/* And back; or not at all. */
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_true(addr_parse_port(span_str(all[i]), 1, &a));
		assert_true(addr_from_key(addr_key(&a, k), &b));
		assert_true(addr_eq(&a, &b) && a.port == b.port);
	}
	assert_false(addr_from_key(span(k, ADDR_KEY_LEN - 1), &b));
	k[0] = 0;
	assert_false(addr_from_key(span(k, ADDR_KEY_LEN), &b));
	k[0] = 5;
	assert_false(addr_from_key(span(k, ADDR_KEY_LEN), &b));
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_key)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
