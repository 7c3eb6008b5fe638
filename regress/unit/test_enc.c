/*
 * base64, hex, xtext and CRC32C: the vectors of their standards, and what is
 * not of a strict form.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/enc.h"

#define S(lit)	((struct span)SPAN(lit))

static struct buf	b;

static struct span
out(void)
{
	return buf_content(&b);
}

static void
test_base64(void **state)
{
	/* RFC 4648, 10 */
	static const char *const rows[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfd", "//79" }, { "\xfb\xff", "+/8=" }
	};
	static const char *const bad[] = {
		"Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9v\n", " Zg=",
		"Zh==",		/* bits behind the last byte */
		"Zm9=", "Zg=v", "Z=9v", "Zm-v", "Zm_v", "Zm9v=", "\xc3\xa4zz"
	};

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&b);
		assert_true(enc_base64(&b, span_str(rows[i][0])));
		assert_true(span_is(out(), rows[i][1]));
		buf_reset(&b);
		assert_true(dec_base64(&b, span_str(rows[i][1])));
		assert_true(span_is(out(), rows[i][0]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(dec_base64(&b, span_str(bad[i])));
	assert_false(dec_base64(&b, S("A\0AA")));
	buf_clear(&b);
	buf_init(&b, 3);
	assert_false(enc_base64(&b, S("x")));
	buf_clear(&b);
}

static void
test_hex(void **state)
{
	(void)state;
	buf_init(&b, 6);
	assert_true(enc_hex(&b, S("\x00\xaf\x10")));
	assert_true(span_is(out(), "00af10"));
	assert_false(enc_hex(&b, S("x")));
	buf_clear(&b);
	for (unsigned c = 0; c < 256; c++) {
		const char	*p = c == 0 ? NULL : strchr("0123456789abcdef",
				    c >= 'A' && c <= 'F' ? c + 32 : c);
		int		 v = p == NULL ? -1 : p[0] <= '9' ? p[0] - '0' :
				    p[0] - 'a' + 10;

		assert_int_equal(hex_digit((uint8_t)c), v);
		assert_int_equal(hex_upper((uint8_t)c), c >= 'a' ? -1 : v);
	}
}

static void
test_base64_into(void **state)
{
	uint8_t	to[4] = "....";
	size_t	n = 9;

	(void)state;
	assert_false(dec_base64_into(S("Zm9v"), to, 4, 4, &n));
	assert_false(dec_base64_into(S("Zm9vYmE="), to, 1, 4, &n));
	assert_false(dec_base64_into(S("Zm9"), to, 1, 4, &n));
	assert_false(dec_base64_into(S(""), to, 1, 4, &n));
	assert_memory_equal(to, "....", 4);
	assert_int_equal(n, 9);
	assert_true(dec_base64_into(S("Zm9v"), to, 1, 4, &n));
	assert_int_equal(n, 3);
	assert_memory_equal(to, "foo.", 4);
	assert_true(dec_base64_into(S(""), to, 0, 4, &n));
	assert_int_equal(n, 0);
}

static void
test_xtext(void **state)
{
	static const char *const bad[] = {
		"+", "+2", "+2b", "+G0", "a b", "a=b", "\x7f", "\xc3\xa4"
	};
	uint8_t	 all[256];

	(void)state;
	buf_init(&b, 1000);
	assert_true(enc_xtext(&b, S("a+b=c d\n")));
	assert_true(span_is(out(), "a+2Bb+3Dc+20d+0A"));
	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	buf_reset(&b);
	assert_true(enc_xtext(&b, span(all, 256)));
	for (size_t i = 0; i < out().len; i++)
		assert_in_range(out().p[i], '!', '~');
	{
		struct buf	 d;

		buf_init(&d, 256);
		assert_true(dec_xtext(&d, out()));
		assert_true(span_eq(buf_content(&d), span(all, 256)));
		buf_clear(&d);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(dec_xtext(&b, span_str(bad[i])));
	buf_clear(&b);
}

static void
test_qp(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "plain\r\ntext\r\n", "plain\r\ntext\r\n" },
		{ "a=b\xc3\xa4", "a=3Db=C3=A4" },
		{ "end \r\ntab\t\r\nlast ", "end=20\r\ntab=09\r\nlast=20" },
		{ "in side\r\n", "in side\r\n" },
		{ "cr\rlf\nboth\n\r", "cr=0Dlf=0Aboth=0A=0D" },
		{ "", "" }
	};
	char		 many[300];
	struct span	 s, line;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_init(&b, 1000);
		assert_true(enc_qp(&b, span_str(rows[i].in)));
		assert_true(span_is(out(), rows[i].out));
		buf_clear(&b);
	}
	for (int c = 'x'; c < 'x' + 200; c += 100) {
		memset(many, c, sizeof(many));
		buf_init(&b, 2000);
		assert_true(enc_qp(&b, span(many, sizeof(many))));
		for (s = out(); span_word(&s, "\n", &line);)
			assert_true(line.len <= 77 && (s.len == 0 ||
			    line.p[line.len - 2] == '='));
		buf_clear(&b);
	}
	buf_init(&b, 10);
	assert_false(enc_qp(&b, span(many, sizeof(many))));
	buf_clear(&b);
}

static void
test_crc32c(void **state)
{
	uint8_t		 bytes[1000];
	uint32_t	 whole;

	(void)state;
	/* RFC 3720, B.4 */
	memset(bytes, 0, 32);
	assert_int_equal(enc_crc32c(0, span(bytes, 32)), 0x8a9136aa);
	memset(bytes, 0xff, 32);
	assert_int_equal(enc_crc32c(0, span(bytes, 32)), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(enc_crc32c(0, span(bytes, 32)), 0x46dd794e);
	assert_int_equal(enc_crc32c(0, S("123456789")), 0xe3069283);
	assert_int_equal(enc_crc32c(0, span(NULL, 0)), 0);
	/* With and without the instruction, cut anywhere, at any alignment. */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + i / 7);
	whole = enc_crc32c(0, span(bytes, sizeof(bytes)));
	for (size_t i = 0; i <= sizeof(bytes); i++) {
		struct span a = span(bytes, i);
		struct span z = span(bytes + i, sizeof(bytes) - i);

		assert_int_equal(enc_crc32c(enc_crc32c(0, a), z), whole);
		assert_int_equal(enc_crc32c_table(enc_crc32c_table(0, a), z),
		    whole);
	}
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64_into),
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_qp),
		cmocka_unit_test(test_crc32c)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
