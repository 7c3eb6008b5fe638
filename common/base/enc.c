/*
 * base64, hex, xtext, quoted-printable and CRC32C. See enc.h.
 */
#include <nmmintrin.h>
#include <string.h>

#include "common/base/enc.h"

static const char	b64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char	hexlow[] = "0123456789abcdef";

bool
enc_base64(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i += 3) {
		uint32_t v = (uint32_t)s.p[i] << 16;
		char	 q[4] = "====";

		if (i + 1 < s.len)
			v |= (uint32_t)s.p[i + 1] << 8;
		if (i + 2 < s.len)
			v |= s.p[i + 2];
		q[0] = b64[v >> 18];
		q[1] = b64[v >> 12 & 63];
		if (i + 1 < s.len)
			q[2] = b64[v >> 6 & 63];
		if (i + 2 < s.len)
			q[3] = b64[v & 63];
		if (!buf_add(b, q, 4))
			return false;
	}
	return true;
}

bool
enc_hex(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!buf_byte(b, (uint8_t)hexlow[s.p[i] >> 4]) ||
		    !buf_byte(b, (uint8_t)hexlow[s.p[i] & 15]))
			return false;
	return true;
}

/* xchar: "!" to "~" but for "+" and "=" (RFC 3461, 4). */
static bool
is_xchar(uint8_t c)
{
	return c >= '!' && c <= '~' && c != '+' && c != '=';
}

bool
enc_xtext(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (is_xchar(s.p[i]) ? !buf_byte(b, s.p[i]) :
		    !buf_fmt(b, "+%02X", s.p[i]))
			return false;
	return true;
}

#define QP_LINE	76	/* RFC 2045, 6.7 (5) */

static bool
at_crlf(struct span s, size_t i)
{
	return i + 1 < s.len && s.p[i] == '\r' && s.p[i + 1] == '\n';
}

bool
enc_qp(struct buf *b, struct span s)
{
	size_t	 col = 0, n;
	bool	 plain, ok = true;

	for (size_t i = 0; i < s.len && ok; i++) {
		uint8_t	 c = s.p[i];

		if (at_crlf(s, i)) {
			ok = buf_str(b, "\r\n");
			col = 0;
			i++;
			continue;
		}
		/* A blank at a line's end is encoded (3). */
		plain = (c > ' ' && c <= '~' && c != '=') ||
		    ((c == ' ' || c == '\t') && i + 1 < s.len &&
		    !at_crlf(s, i + 1));
		n = plain ? 1 : 3;
		/* One column is for the "=" of a soft break. */
		if (col + n > QP_LINE - 1) {
			ok = buf_str(b, "=\r\n");
			col = 0;
		}
		col += n;
		ok = ok && (plain ? buf_byte(b, c) : buf_fmt(b, "=%02X", c));
	}
	return ok;
}

static int
b64_value(uint8_t c)
{
	const char	*p = c == 0 ? NULL : strchr(b64, c);

	return p == NULL ? -1 : (int)(p - b64);
}

bool
dec_base64(struct buf *b, struct span s)
{
	if (s.len % 4 != 0)
		return false;
	for (size_t i = 0; i < s.len; i += 4) {
		uint32_t v = 0;
		int	 n = 3;

		if (i + 4 == s.len && s.p[i + 3] == '=')
			n = s.p[i + 2] == '=' ? 1 : 2;
		for (int k = 0; k < 4; k++) {
			int d = k <= n ? b64_value(s.p[i + (size_t)k]) : 0;

			if (d == -1)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		/* Bits behind the last byte must be 0: one form for each. */
		if ((n == 1 && (v & 0xffff) != 0) ||
		    (n == 2 && (v & 0xff) != 0))
			return false;
		for (int k = 0; k < n; k++)
			if (!buf_byte(b, (uint8_t)(v >> (16 - 8 * k))))
				return false;
	}
	return true;
}

bool
dec_base64_into(struct span in, uint8_t *dst, size_t min, size_t max,
    size_t *len)
{
	struct buf	b;
	bool		ok;

	buf_init(&b, max);
	b.secret = true;
	ok = dec_base64(&b, in) && buf_len(&b) >= min;
	if (ok) {
		*len = buf_len(&b);
		if (*len > 0)
			memcpy(dst, buf_content(&b).p, *len);
	}
	buf_clear(&b);
	return ok;
}

int
hex_upper(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int
hex_digit(uint8_t c)
{
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : hex_upper(c);
}

bool
dec_xtext(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		int	 hi, lo;

		if (is_xchar(s.p[i])) {
			if (!buf_byte(b, s.p[i]))
				return false;
			continue;
		}
		if (s.p[i] != '+' || s.len - i < 3 ||
		    (hi = hex_upper(s.p[i + 1])) == -1 ||
		    (lo = hex_upper(s.p[i + 2])) == -1 ||
		    !buf_byte(b, (uint8_t)(hi << 4 | lo)))
			return false;
		i += 2;
	}
	return true;
}

/*
 * Every byte of every message passes here, so the instruction is used where
 * the processor has it, and a table otherwise.
 */
__attribute__((target("sse4.2")))
static uint32_t
crc_sse(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t	 c = crc, v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		c = _mm_crc32_u64(c, v);
	}
	for (crc = (uint32_t)c; n > 0; p++, n--)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}

/* table[k][b] is the remainder of byte b with k zero bytes behind it. */
static uint32_t	table[8][256];

static void
crc_make(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
		table[0][i] = c;
	}
	for (int k = 1; k < 8; k++)
		for (int i = 0; i < 256; i++)
			table[k][i] = table[k - 1][i] >> 8 ^
			    table[0][table[k - 1][i] & 255];
}

uint32_t
enc_crc32c_table(uint32_t crc, struct span s)
{
	const uint8_t	*p = s.p;
	size_t		 n = s.len;

	if (table[0][1] == 0)
		crc_make();
	crc = ~crc;
	for (; n >= 8; p += 8, n -= 8)
		crc = table[7][(crc ^ p[0]) & 255] ^
		    table[6][(crc >> 8 ^ p[1]) & 255] ^
		    table[5][(crc >> 16 ^ p[2]) & 255] ^
		    table[4][crc >> 24 ^ p[3]] ^
		    table[3][p[4]] ^ table[2][p[5]] ^
		    table[1][p[6]] ^ table[0][p[7]];
	for (; n > 0; p++, n--)
		crc = table[0][(crc ^ *p) & 255] ^ crc >> 8;
	return ~crc;
}

uint32_t
enc_crc32c(uint32_t crc, struct span s)
{
	if (!__builtin_cpu_supports("sse4.2"))
		return enc_crc32c_table(crc, s);
	return ~crc_sse(~crc, s.p, s.len);
}
