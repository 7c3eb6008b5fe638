/*
 * The Received field: what it looks like, what strangers can not put into it,
 * and counting fields however the content is cut.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mime/received.h"

#define S(lit)	((struct span)SPAN(lit))

static struct received
sample(void)
{
	struct received	 r = {
		.helo = SPAN("client.example"), .rdns = SPAN("host.example"),
		.by = SPAN("mx.example"), .with = "ESMTP",
		.id = SPAN("0123456789abc"), .rcpt = SPAN("b@dest.example"),
		.tm = { .tm_wday = 2, .tm_mday = 24, .tm_mon = 10,
		    .tm_year = 126, .tm_hour = 8, .tm_min = 15, .tm_sec = 26 }
	};

	addr_parse(S("192.0.2.1"), &r.client);
	return r;
}

static void
test_write(void **state)
{
	struct received	 r = sample();
	struct buf	 b;

	(void)state;
	buf_init(&b, 1000);
	assert_true(received_write(&b, &r));
	assert_string_equal(buf_cstr(&b),
	    "Received: from client.example (host.example [192.0.2.1])\r\n"
	    "\tby mx.example (postern) with ESMTP id 0123456789abc\r\n"
	    "\tfor <b@dest.example>;\r\n"
	    "\tTue, 24 Nov 2026 08:15:26 +0000\r\n");
	/* No name, several recipients, IPv6. */
	addr_parse(S("2001:db8::1"), &r.client);
	r.rdns = r.rcpt = span(NULL, 0);
	buf_reset(&b);
	assert_true(received_write(&b, &r));
	assert_string_equal(buf_cstr(&b),
	    "Received: from client.example ([IPv6:2001:db8::1])\r\n"
	    "\tby mx.example (postern) with ESMTP id 0123456789abc;\r\n"
	    "\tTue, 24 Nov 2026 08:15:26 +0000\r\n");
	r.client = (struct addr){ 0 };
	r.helo = span(NULL, 0);
	buf_reset(&b);
	assert_true(received_write(&b, &r));
	assert_memory_equal(buf_content(&b).p,
	    "Received: from localhost (local)\r\n", 34);
	buf_clear(&b);
	buf_init(&b, 60);
	assert_false(received_write(&b, &r));
	buf_clear(&b);
}

/* Each byte in HELO and in the reverse name: four lines, one field. */
static void
test_strangers(void **state)
{
	struct received_count	 c;
	struct received		 r = sample();
	struct buf		 b, want;
	uint8_t			 helo[3] = "a?b";

	(void)state;
	buf_init(&b, 1000);
	buf_init(&want, 1000);
	r.helo = r.rdns = span(helo, 3);
	received_write(&want, &r);
	for (int i = 0; i < 256; i++) {
		helo[1] = (uint8_t)i;
		buf_reset(&b);
		assert_true(received_write(&b, &r));
		assert_int_equal(buf_len(&b), buf_len(&want));
		received_count_begin(&c);
		received_count_feed(&c, buf_content(&b));
		assert_int_equal(c.fields, 1);
		assert_int_equal(c.received, 1);
		if (i <= ' ' || i >= 127 || strchr("()<>\"\\;,", i) != NULL)
			assert_true(span_eq(buf_content(&b),
			    buf_content(&want)));
		else
			assert_int_equal(buf_content(&b).p[16], i);
	}
	buf_clear(&b);
	buf_clear(&want);
}

static void
test_count(void **state)
{
	static const struct {
		const char	*in;
		unsigned	 received, fields, bytes;
		bool		 over;
	} rows[] = {
		{ "Received: x\r\n\r\nReceived: y\r\n", 1, 1, 13, true },
		{ "Received: x\r\nreCEIVed: y\r\n\tz\r\n\r\n", 2, 2, 30,
		    true },
		{ "Received:x\r\nX-Received: y\r\nReceived-SPF: z\r\n\r\n", 1,
		    3, 44, true },
		{ "Subject: a\r\n Received: b\r\n", 0, 1, 26, false },
		{ "Received : x\r\n\r\n", 1, 1, 14, true },
		{ "Receive: x\r\nReceivedd: y\r\nXReceived: z\r\n", 0, 3, 40,
		    false },
		{ "Received\x1a x\r\n", 0, 0, 9, true },
		{ "A:\r\n\r\n", 0, 1, 4, true },
		{ "\r\nReceived: x\r\n", 0, 0, 0, true },
		{ "", 0, 0, 0, false },
		/* What is no field ends the header (or there is none). */
		{ "hello there\r\nReceived: x\r\n", 0, 0, 7, true },
		{ " folded\r\nReceived: x\r\n", 0, 0, 0, true },
		{ "A: b\r\nnonsense\r\nReceived: x\r\n", 0, 1, 15, true },
		{ ": x\r\n", 0, 0, 0, true }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span	 s = span_str(rows[i].in);

		for (size_t cut = 0; cut <= s.len; cut++) {
			struct received_count	 c;

			received_count_begin(&c);
			received_count_feed(&c, span_sub(s, 0, cut));
			received_count_feed(&c, span_sub(s, cut, s.len));
			assert_int_equal(c.received, rows[i].received);
			assert_int_equal(c.fields, rows[i].fields);
			assert_int_equal(c.over, rows[i].over);
			assert_int_equal(c.header_bytes, rows[i].bytes);
		}
	}
}

/* RFC 8689, 3: one field, whose value is "No". */
static void
test_tls_required(void **state)
{
	static const struct { const char *in; bool optional; } rows[] = {
		{ "TLS-Required: No\r\n\r\n", true },
		{ "tls-required:no\r\n\r\n", true },
		{ "A: b\r\nTLS-REQUIRED : \tNO \t\r\n\r\n", true },
		{ "TLS-Required:\r\n No\r\n \r\nA: b\r\n\r\n", true },
		{ "TLS-Required: No\r\nTo: n\r\n\to\r\n\r\n", true },
		{ "TLS-Required: No", true },
		{ "TLS-Required: N", false },
		{ "TLS-Required: N o\r\n\r\n", false },
		{ "TLS-Required: N\r\n o\r\n\r\n", false },
		{ "TLS-Required: Not\r\n\r\n", false },
		{ "TLS-Required: No\r\n x\r\n\r\n", false },
		{ "TLS-Required: Yes, No\r\n\r\n", false },
		{ "TLS-Required:\r\n\r\nNo\r\n", false },
		{ "TLS-Required: No\r\nTLS-Required: No\r\n\r\n", false },
		{ "TLS-Required: No\r\nTLS-Required: Yes\r\n\r\n", false },
		{ "X-TLS-Required: No\r\n\r\n", false },
		{ "TLS-Require: No\r\nTLS-Requiredd: No\r\n\r\n", false },
		{ "TLS: No\r\nReceived: No\r\nTo: No\r\n\r\n", false },
		{ "A: b\r\n TLS-Required: No\r\n\r\n", false },
		{ "A: b\r\n\r\nTLS-Required: No\r\n", false },
		{ "no header\r\nTLS-Required: No\r\n\r\n", false },
		{ "", false }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span	 s = span_str(rows[i].in);

		for (size_t cut = 0; cut <= s.len; cut++) {
			struct received_count	 c;

			received_count_begin(&c);
			received_count_feed(&c, span_sub(s, 0, cut));
			received_count_feed(&c, span_sub(s, cut, s.len));
			if (received_tls_optional(&c) != rows[i].optional)
				fail_msg("%s, cut at %zu", rows[i].in, cut);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_tls_required)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
