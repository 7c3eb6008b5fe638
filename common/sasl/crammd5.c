/*
 * MD5 (RFC 1321) with its state at hand, which no library gives without calls
 * that are going away; and HMAC of it. See crammd5.h.
 */
#include "common/sasl/crammd5.h"

#include <openssl/crypto.h>

#include "common/base/enc.h"

#define BLOCK	64

struct md5 {
	uint32_t	 s[4];
	uint64_t	 len;		/* of what went in */
	uint8_t		 part[BLOCK];
};

static const uint32_t sines[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
	0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
	0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
	0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
	0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
	0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
	0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
	0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
	0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391
};
static const uint8_t turns[4][4] = {
	{ 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 },
	{ 6, 10, 15, 21 }
};

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* RFC 1321, 3.4 */
static void
block(uint32_t s[4], const uint8_t *p)
{
	uint32_t	a = s[0], b = s[1], c = s[2], d = s[3], f, t;
	unsigned	k, r;

	for (unsigned i = 0; i < 64; i++) {
		switch (i / 16) {
		case 0:
			f = (b & c) | (~b & d);
			k = i;
			break;
		case 1:
			f = (d & b) | (~d & c);
			k = (5 * i + 1) % 16;
			break;
		case 2:
			f = b ^ c ^ d;
			k = (3 * i + 5) % 16;
			break;
		default:
			f = c ^ (b | ~d);
			k = 7 * i % 16;
			break;
		}
		r = turns[i / 16][i % 4];
		t = a + f + sines[i] + get32(p + 4 * k);
		a = d;
		d = c;
		c = b;
		b += t << r | t >> (32 - r);
	}
	s[0] += a;
	s[1] += b;
	s[2] += c;
	s[3] += d;
}

static void
md5_begin(struct md5 *m)
{
	*m = (struct md5){ .s = { 0x67452301, 0xefcdab89, 0x98badcfe,
	    0x10325476 } };
}

static void
md5_add(struct md5 *m, struct span in)
{
	for (size_t i = 0; i < in.len; i++) {
		m->part[m->len++ % BLOCK] = in.p[i];
		if (m->len % BLOCK == 0)
			block(m->s, m->part);
	}
}

static void
md5_end(struct md5 *m, uint8_t to[16])
{
	static const uint8_t	pad[BLOCK] = { 0x80 };
	uint64_t		bits = m->len * 8;
	uint8_t			len[8];

	md5_add(m, span(pad, 1 + (119 - m->len % BLOCK) % BLOCK));
	put32(len, (uint32_t)bits);
	put32(len + 4, (uint32_t)(bits >> 32));
	md5_add(m, span(len, sizeof(len)));
	for (int i = 0; i < 4; i++)
		put32(to + 4 * i, m->s[i]);
	OPENSSL_cleanse(m, sizeof(*m));
}

/* Behind the key's block, in which each byte is xored with pad. */
static void
keyed(struct md5 *m, struct span password, uint8_t pad)
{
	uint8_t	key[BLOCK] = { 0 };

	md5_begin(m);
	if (password.len > BLOCK) {
		md5_add(m, password);
		md5_end(m, key);
		md5_begin(m);
	} else
		memcpy(key, password.p, password.len);
	for (size_t i = 0; i < BLOCK; i++)
		key[i] ^= pad;
	md5_add(m, span(key, sizeof(key)));
	OPENSSL_cleanse(key, sizeof(key));
}

static void
state_of(struct span password, uint8_t state[CRAMMD5_STATE])
{
	struct md5	m;

	for (int k = 0; k < 2; k++) {
		keyed(&m, password, k == 0 ? 0x5c : 0x36);
		for (int i = 0; i < 4; i++)
			put32(state + 16 * k + 4 * i, m.s[i]);
	}
	OPENSSL_cleanse(&m, sizeof(m));
}

static bool
unhex(struct span hex, uint8_t *to, size_t len)
{
	int	h, l;

	if (hex.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		h = hex_digit(hex.p[2 * i]);
		l = hex_digit(hex.p[2 * i + 1]);
		if (h == -1 || l == -1)
			return false;
		to[i] = (uint8_t)(h << 4 | l);
	}
	return true;
}

bool
crammd5_state(struct span hex, uint8_t state[CRAMMD5_STATE])
{
	return unhex(hex, state, CRAMMD5_STATE);
}

bool
crammd5_check(struct span hex, struct span password)
{
	uint8_t	is[CRAMMD5_STATE], made[CRAMMD5_STATE];
	bool	ok;

	if (!crammd5_state(hex, is))
		return false;
	state_of(password, made);
	ok = CRYPTO_memcmp(is, made, sizeof(is)) == 0;
	OPENSSL_cleanse(is, sizeof(is));
	OPENSSL_cleanse(made, sizeof(made));
	return ok;
}

static void
md5_from(struct md5 *m, const uint8_t *state)
{
	*m = (struct md5){ .len = BLOCK };
	for (int i = 0; i < 4; i++)
		m->s[i] = get32(state + 4 * i);
}

/* HMAC from its states. */
static bool
digest_is(const uint8_t state[CRAMMD5_STATE], struct span challenge,
    struct span said)
{
	struct md5	m;
	uint8_t		mac[16], have[16];
	bool		ok;

	md5_from(&m, state + 16);
	md5_add(&m, challenge);
	md5_end(&m, mac);
	md5_from(&m, state);
	md5_add(&m, span(mac, sizeof(mac)));
	md5_end(&m, mac);
	ok = unhex(said, have, sizeof(have)) &&
	    CRYPTO_memcmp(mac, have, sizeof(mac)) == 0;
	OPENSSL_cleanse(mac, sizeof(mac));
	return ok;
}

bool
crammd5_plain(struct span password, struct span challenge, struct span digest)
{
	uint8_t	state[CRAMMD5_STATE];
	bool	ok;

	state_of(password, state);
	ok = digest_is(state, challenge, digest);
	OPENSSL_cleanse(state, sizeof(state));
	return ok;
}

bool
crammd5_hashed(struct span hex, struct span challenge, struct span digest)
{
	uint8_t	state[CRAMMD5_STATE];
	bool	ok;

	ok = crammd5_state(hex, state) && digest_is(state, challenge, digest);
	OPENSSL_cleanse(state, sizeof(state));
	return ok;
}
