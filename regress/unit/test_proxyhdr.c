/*
 * The PROXY protocol's header: read, written, cut at every octet, damaged.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/smtp/proxyhdr.h"

#define SIG	"\r\n\r\n\0\r\nQUIT\n"
#define V4	"\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\x30\x39\0\x19"
#define V4_TLV(len) "\x21\x11\0" len "\xc0\0\2\7\xc6\x33\x64\1\x30\x39\0\x19"
#define B(lit)	{ (const uint8_t *)(lit), sizeof(lit) - 1 }

static struct addr
at(const char *text)
{
	struct addr	a = { 0 };

	assert_true(addr_parse_port(span_str(text), 0, &a));
	return a;
}

static const char *
shown(const struct proxyhdr *h)
{
	static char	text[2 * ADDR_STRLEN + 2];
	char		src[ADDR_STRLEN], dst[ADDR_STRLEN];

	if (!h->known)
		return "unknown";
	snprintf(text, sizeof(text), "%s %s", addr_str_port(&h->src, src),
	    addr_str_port(&h->dst, dst));
	return text;
}

static const struct { struct span in; const char *want; } good[] = {
	{ B("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r\n"),
	    "192.0.2.7:12345 198.51.100.1:25" },
	{ B("PROXY TCP6 2001:db8::7 2001:db8::1 12345 25\r\n"),
	    "[2001:db8::7]:12345 [2001:db8::1]:25" },
	{ B("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 0 65535\r\n"),
	    "192.0.2.7:0 [2001:db8::1]:65535" },
	{ B("PROXY UNKNOWN\r\n"), "unknown" },
	{ B("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"),
	    "unknown" },
	{ B(SIG V4), "192.0.2.7:12345 198.51.100.1:25" },
	{ B(SIG "\x21\x21\0\x24" "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
	    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\x30\x39\0\x19"),
	    "[2001:db8::7]:12345 [2001:db8::1]:25" },
	/* LOCAL: whatever follows counts for nothing. */
	{ B(SIG "\x20\0\0\0"), "unknown" },
	{ B(SIG "\x20\x11\0\3abc"), "unknown" },
	/* No TCP over IP, and families of later days. */
	{ B(SIG "\x21\0\0\0"), "unknown" },
	{ B(SIG "\x21\x12\0\x0c\xc0\0\2\7\xc6\x33\x64\1\x30\x39\0\x19"),
	    "unknown" },
	{ B(SIG "\x21\x51\0\5hello"), "unknown" },
	/* TLVs: of a kind that is not known, of no length. */
	{ B(SIG V4_TLV("\x17") "\xea\0\5vpce-\4\0\0"),
	    "192.0.2.7:12345 198.51.100.1:25" },
	/* The checksum, as another program made it. */
	{ B(SIG V4_TLV("\x13") "\3\0\4\xe3\xe9\xb6\xfa"),
	    "192.0.2.7:12345 198.51.100.1:25" }
};

/* Whole at its last octet and at no earlier one; what follows stays. */
static void
reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct proxyhdr	 h;
		struct span	 in;
		const char	*why = "";
		uint8_t		 more[256];

		for (size_t n = 0; n < good[i].in.len; n++) {
			in = span_sub(good[i].in, 0, n);
			if (proxyhdr_parse(&in, &h, &why) != PARSE_MORE)
				fail_msg("%zu: %zu octets: %s", i, n, why);
			assert_int_equal(in.len, n);
		}
		memcpy(more, good[i].in.p, good[i].in.len);
		memcpy(more + good[i].in.len, "EHLO", 4);
		in = span(more, good[i].in.len + 4);
		if (proxyhdr_parse(&in, &h, &why) != PARSE_OK)
			fail_msg("%zu: %s", i, why);
		assert_string_equal(shown(&h), good[i].want);
		assert_true(span_is(in, "EHLO"));
	}
}

static void
refuses(void **state)
{
	static const struct span	bad[] = {
		B("EHLO x\r\n"), B("\rx"), B("PROXX"), B("proxy TCP4"),
		B("\n"), B("\r\n\r\n\r"),
		B("PROXY \r\n"), B("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n"),
		B("PROXY TCP4\r\n"), B("PROXY TCP4 \r\n"),
		B("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n"),
		B("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
		B("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n"),
		B("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"),
		B("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"),
		B("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n"),
		B("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
		B("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"),
		B("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n"),
		B("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"),
		B("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"),
		B("PROXY TCP4 ::ffff:1.2.3.4 1.2.3.4 1 2\r\n"),
		B("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"),
		B("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"),
		/* 107 octets and no end. */
		B("PROXY UNKNOWN 0123456789012345678901234567890123456789"
		"01234567890123456789012345678901234567890123456789012"),
		/* Version 2: another one, no such command. */
		B(SIG "\x11"), B(SIG "\x31"), B(SIG "\x22"), B(SIG "\x2f"),
		/* As long as no header may be. */
		B(SIG "\x21\x11\xff\xff"), B(SIG "\x20\0\x10\1"),
		/* Too short for its family. */
		B(SIG "\x21\x11\0\0"), B(SIG "\x21\x11\0\x0b" "12345678901"),
		B(SIG "\x21\x21\0\x0c" "123456789012"),
		B(SIG "\x21\x31\0\2ab"),
		/* TLVs beyond the end; a checksum that is none. */
		B(SIG V4_TLV("\x0d") "\1"), B(SIG V4_TLV("\x0f") "\1\0\1"),
		B(SIG V4_TLV("\x10") "\1\1\0x"),
		B(SIG V4_TLV("\x12") "\3\0\3abc"),
		B(SIG V4_TLV("\x13") "\3\0\4\xe3\xe9\xb6\xfb")
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct proxyhdr	 h;
		struct span	 in = bad[i];
		const char	*why = NULL;

		if (proxyhdr_parse(&in, &h, &why) != PARSE_BAD)
			fail_msg("bad %zu was taken", i);
		assert_non_null(why);
		assert_int_equal(in.len, bad[i].len);
		assert_false(h.known);
	}
}

/* What is written is read back, and needs all its octets. */
static void
round_trip(void **state)
{
	static const struct { const char *src, *dst; size_t len; } t[] = {
		{ "192.0.2.7:12345", "198.51.100.1:25", 28 },
		{ "255.255.255.255:65535", "255.255.255.255:65535", 28 },
		{ "[2001:db8::7]:1", "[2001:db8::1]:65535", 52 },
		{ "192.0.2.7:12345", "[2001:db8::1]:25", 52 },
		{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535",
		    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", 52 }
	};
	struct proxyhdr	 h;
	struct addr	 none = { 0 };
	struct span	 in;
	struct buf	 b;
	const char	*why;
	char		 want[2 * ADDR_STRLEN + 2];

	(void)state;
	buf_init(&b, 200);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (int v = 1; v <= 2; v++) {
			struct addr	src = at(t[i].src), dst = at(t[i].dst);

			buf_reset(&b);
			assert_true(v == 1 ? proxyhdr_write_v1(&b, &src, &dst) :
			    proxyhdr_write_v2(&b, &src, &dst));
			in = buf_content(&b);
			assert_true(v == 1 ? in.len <= PROXYHDR_V1_MAX :
			    in.len == t[i].len);
			assert_int_equal(proxyhdr_parse(&in, &h, &why),
			    PARSE_OK);
			assert_int_equal(in.len, 0);
			snprintf(want, sizeof(want), "%s %s", t[i].src,
			    t[i].dst);
			assert_string_equal(shown(&h), want);
		}
	for (int v = 1; v <= 2; v++) {
		struct addr	a = at("192.0.2.7:1");

		buf_reset(&b);
		assert_true(v == 1 ? proxyhdr_write_v1(&b, NULL, &a) :
		    proxyhdr_write_v2(&b, NULL, &a));
		assert_true(v == 1 ? proxyhdr_write_v1(&b, &none, &a) :
		    proxyhdr_write_v2(&b, &a, &none));
		in = buf_content(&b);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(proxyhdr_parse(&in, &h, &why),
			    PARSE_OK);
			assert_false(h.known);
		}
		assert_int_equal(in.len, 0);
	}
	buf_clear(&b);
	buf_init(&b, 27);
	assert_false(proxyhdr_write_v2(&b, &(struct addr){ .family = 4 },
	    &(struct addr){ .family = 4 }));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses),
		cmocka_unit_test(round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
