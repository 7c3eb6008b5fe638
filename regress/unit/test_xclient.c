/*
 * XCLIENT's attributes: read, written, read back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/smtp/ehlo.h"
#include "common/smtp/xclient.h"

static void
reads(void **state)
{
	struct xclient	 x;
	const char	*why;
	char		 text[ADDR_STRLEN];

	(void)state;
	assert_int_equal(xclient_parse(span_str("NAME=spike.porcupine.org "
	    "addr=168.100.189.2 PORT=4711 PROTO=ESMTP HELO=a+2Bb+3Dc "
	    "LOGIN=u+40x DESTADDR=IPV6:2001:db8::1 DESTPORT=25 "
	    "REVERSE_NAME=other.example"), &x, &why), PARSE_OK);
	assert_int_equal(x.given, XC_ALL);
	assert_int_equal(x.none | x.later, 0);
	assert_string_equal(x.name, "spike.porcupine.org");
	assert_string_equal(x.reverse_name, "other.example");
	assert_string_equal(x.helo, "a+b=c");
	assert_string_equal(x.login, "u@x");
	assert_true(x.esmtp);
	assert_string_equal(addr_str_port(&x.client, text),
	    "168.100.189.2:4711");
	assert_string_equal(addr_str_port(&x.dest, text), "[2001:db8::1]:25");

	/* The port first; IPv6 without its prefix; what is not known. */
	assert_int_equal(xclient_parse(span_str("PORT=7 ADDR=2001:db8::2 "
	    "NAME=[UNAVAILABLE] HELO=[tempunavail] PROTO=smtp"), &x, &why),
	    PARSE_OK);
	assert_string_equal(addr_str_port(&x.client, text), "[2001:db8::2]:7");
	assert_int_equal(x.given, XC_PORT | XC_ADDR | XC_PROTO);
	assert_int_equal(x.none, XC_NAME);
	assert_int_equal(x.later, XC_HELO);
	assert_false(x.esmtp);
	assert_string_equal(x.name, "");
	assert_int_equal(x.dest.family, 0);
}

static void
refuses(void **state)
{
	static const char *const	bad[] = {
		"", " ", "NAME", "=", "=x", "NAME=", "FOO=bar",
		"ADDR=1.2.3", "ADDR=IPV6:", "ADDR=", "ADDR=host.example",
		"ADDR=1.2.3.4 ADDR=1.2.3.4", "ADDR=1.2.3.4  PORT=1",
		"PORT=65536", "PORT=-1", "PORT=x", "PROTO=LMTP", "PROTO=",
		"NAME=a+0D+0Ab", "NAME=a+00b", "NAME=a+20b", "NAME=a+2",
		"NAME=a+GGb", "NAME=[1.2.3.4]", "NAME=a=b",
		"HELO=a+0Ab", "HELO=", "HELO=a+7Fb", "LOGIN=a+00",
		"REVERSE_NAME=a/b", "DESTADDR=x", "DESTPORT=70000"
	};
	char				 arg[400] = "HELO=";
	struct xclient			 x;
	const char			*why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (xclient_parse(span_str(bad[i]), &x, &why) != PARSE_BAD)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_non_null(why);
	}
	memset(arg + 5, 'x', 256);
	assert_int_equal(xclient_parse(span(arg, 260), &x, &why), PARSE_OK);
	assert_int_equal(strlen(x.helo), 255);
	assert_int_equal(xclient_parse(span(arg, 261), &x, &why), PARSE_BAD);
}

static struct xclient
example(void)
{
	struct xclient	x = { .given = XC_ALL & ~XC_NAME, .later = XC_NAME,
			    .esmtp = true, .helo = "a b+\n",
			    .reverse_name = "r.example", .login = "u=v" };

	addr_parse(span_str("2001:db8::7"), &x.client);
	addr_parse(span_str("192.0.2.1"), &x.dest);
	x.client.port = 4711;
	x.dest.port = 25;
	return x;
}

static void
writes(void **state)
{
	static const struct { uint32_t listed; const char *want; } t[] = {
		{ 0, NULL },
		{ XC_ADDR, "ADDR=IPV6:2001:db8::7" },
		{ XC_NAME | XC_DESTADDR, "NAME=[TEMPUNAVAIL] "
		    "DESTADDR=192.0.2.1" },
		{ XC_ALL, "ADDR=IPV6:2001:db8::7 PORT=4711 "
		    "NAME=[TEMPUNAVAIL] PROTO=ESMTP DESTADDR=192.0.2.1 "
		    "DESTPORT=25 LOGIN=u+3Dv HELO=a+20b+2B+0A "
		    "REVERSE_NAME=r.example" }
	};
	struct xclient	x = example(), y;
	struct buf	b;
	const char	*why;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		buf_reset(&b);
		assert_int_equal(xclient_write(&b, &x, t[i].listed),
		    t[i].want != NULL);
		assert_true(t[i].want == NULL ||
		    span_is(buf_content(&b), t[i].want));
	}
	/* Read back: the same. */
	strlcpy(x.helo, "client.example", sizeof(x.helo));
	buf_reset(&b);
	assert_true(xclient_write(&b, &x, XC_ALL));
	assert_int_equal(xclient_parse(buf_content(&b), &y, &why), PARSE_OK);
	assert_memory_equal(&x, &y, sizeof(x));
	/* A command line has 512 octets: what does not fit is left out. */
	x.given |= XC_NAME;
	x.later = 0;
	memset(x.name, 'n', 255);
	memset(x.helo, 'h', 255);
	buf_reset(&b);
	assert_true(xclient_write(&b, &x, XC_ALL));
	assert_true(buf_len(&b) <= XCLIENT_ARG_MAX);
	assert_int_equal(xclient_parse(buf_content(&b), &y, &why), PARSE_OK);
	assert_int_equal(y.given, XC_ALL & ~XC_HELO);
	assert_string_equal(y.name, x.name);
	buf_clear(&b);
}

/* As EHLO's keyword, both ways. */
static void
listed(void **state)
{
	struct smtp_caps	c = { 0 };
	struct buf		b;

	(void)state;
	smtp_caps_line(&c, span_str("XCLIENT name ADDR  NEWER\tPORT"));
	assert_int_equal(c.bits, CAP_XCLIENT);
	assert_int_equal(c.xclient, XC_NAME | XC_ADDR | XC_PORT);
	buf_init(&b, 1000);
	assert_true(smtp_caps_text(&b, "mx.example", &c));
	assert_true(span_is(buf_content(&b),
	    "mx.example\nXCLIENT ADDR PORT NAME"));
	c.xclient = 0;
	buf_reset(&b);
	assert_true(smtp_caps_text(&b, "mx.example", &c));
	assert_true(span_is(buf_content(&b), "mx.example"));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses),
		cmocka_unit_test(writes),
		cmocka_unit_test(listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
