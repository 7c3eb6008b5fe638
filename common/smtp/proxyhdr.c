/*
 * The PROXY protocol's header. See proxyhdr.h.
 */
#include "common/smtp/proxyhdr.h"

#include <arpa/inet.h>

#include "common/base/enc.h"

#define SIG_LEN		12
#define V2_FIXED	16	/* signature, command, family, length */
#define V2_INET		12	/* two addresses, two ports */
#define V2_INET6	36
#define V2_UNIX		216
#define CMD_LOCAL	0x20	/* version 2 in the upper half */
#define CMD_PROXY	0x21
#define FAM_TCP4	0x11
#define FAM_TCP6	0x21
#define TLV_CRC32C	0x03

static const struct span	v1 = SPAN("PROXY ");
static const uint8_t		sig[SIG_LEN + 1] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- version 1, a line --------------------------------------------------- */

static bool
v1_addr(struct span *s, bool six, struct addr *a)
{
	struct span	word;

	return span_word(s, " ", &word) && addr_parse(word, a) &&
	    (span_find(word, ':') < word.len) == six;
}

static bool
v1_port(struct span *s, struct addr *a)
{
	struct span	word;
	uint64_t	n;

	if (!span_word(s, " ", &word) || !span_u64(word, 65535, &n))
		return false;
	a->port = (uint16_t)n;
	return true;
}

/* "TCP4" SP src SP dst SP src-port SP dst-port; or "UNKNOWN" and whatever */
static bool
v1_line(struct span s, struct proxyhdr *h)
{
	struct span	proto;
	bool		six;

	if (!span_word(&s, " ", &proto))
		return false;
	if (span_is(proto, "UNKNOWN"))
		return true;
	six = span_is(proto, "TCP6");
	if (!six && !span_is(proto, "TCP4"))
		return false;
	if (s.len == 0 || s.p[s.len - 1] == ' ' ||
	    !v1_addr(&s, six, &h->src) || !v1_addr(&s, six, &h->dst) ||
	    !v1_port(&s, &h->src) || !v1_port(&s, &h->dst) || s.len > 0)
		return false;
	h->known = true;
	return true;
}

static enum parse
v1_parse(struct span *in, struct proxyhdr *h, const char **why)
{
	struct span	line = span_sub(*in, 0, PROXYHDR_V1_MAX);
	size_t		lf = span_find(line, '\n');

	*why = "no PROXY line";
	if (lf == line.len && lf < PROXYHDR_V1_MAX)
		return PARSE_MORE;
	if (lf == line.len || line.p[lf - 1] != '\r' ||
	    !v1_line(span_sub(line, v1.len, lf - 1 - v1.len), h))
		return PARSE_BAD;
	span_skip(in, lf + 1);
	return PARSE_OK;
}

/* ---- version 2, binary --------------------------------------------------- */

static unsigned
be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* 2.2: over the whole header, with its own field as zeros. */
static bool
crc_right(struct span hdr, size_t at)
{
	static const uint8_t	zeros[4];
	const uint8_t		*p = hdr.p + at;
	uint32_t		 crc = enc_crc32c(0, span_sub(hdr, 0, at));

	crc = enc_crc32c(crc, span(zeros, sizeof(zeros)));
	crc = enc_crc32c(crc, span_sub(hdr, at + sizeof(zeros), hdr.len));
	return crc == ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3]);
}

/* The TLVs from octet `at` on. */
static bool
tlvs_right(struct span hdr, size_t at)
{
	size_t	len;

	while (at < hdr.len) {
		if (hdr.len - at < 3)
			return false;
		len = be16(hdr.p + at + 1);
		if (len > hdr.len - at - 3)
			return false;
		if (hdr.p[at] == TLV_CRC32C &&
		    (len != 4 || !crc_right(hdr, at + 3)))
			return false;
		at += 3 + len;
	}
	return true;
}

static void
v2_addr(struct addr *a, bool six, const uint8_t *ip, const uint8_t *port)
{
	struct sockaddr_in6	in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in	in = { .sin_family = AF_INET };

	/* Mapped addresses become what they are on the way. */
	if (six) {
		memcpy(&in6.sin6_addr, ip, 16);
		addr_from_sockaddr(a, (const struct sockaddr *)&in6);
	} else {
		memcpy(&in.sin_addr, ip, 4);
		addr_from_sockaddr(a, (const struct sockaddr *)&in);
	}
	a->port = (uint16_t)be16(port);
}

/* The addresses' part and the TLVs of a whole header that says PROXY. */
static bool
v2_body(struct span hdr, struct proxyhdr *h)
{
	static const size_t	 lens[] = { 0, V2_INET, V2_INET6, V2_UNIX };
	uint8_t			 fam = hdr.p[13];
	const uint8_t		*p = hdr.p + V2_FIXED;
	size_t			 len;

	/* How long an unknown one's addresses are, nobody knows. */
	if (fam >> 4 >= sizeof(lens) / sizeof(lens[0]))
		return true;
	len = lens[fam >> 4];
	if (hdr.len - V2_FIXED < len || !tlvs_right(hdr, V2_FIXED + len))
		return false;
	if (fam == FAM_TCP4) {
		v2_addr(&h->src, false, p, p + 8);
		v2_addr(&h->dst, false, p + 4, p + 10);
	} else if (fam == FAM_TCP6) {
		v2_addr(&h->src, true, p, p + 32);
		v2_addr(&h->dst, true, p + 16, p + 34);
	}
	h->known = fam == FAM_TCP4 || fam == FAM_TCP6;
	return true;
}

static enum parse
v2_parse(struct span *in, struct proxyhdr *h, const char **why)
{
	size_t	len;

	if (in->len > SIG_LEN && in->p[12] != CMD_LOCAL &&
	    in->p[12] != CMD_PROXY) {
		*why = "neither PROXY nor LOCAL of version 2";
		return PARSE_BAD;
	}
	if (in->len < V2_FIXED)
		return PARSE_MORE;
	len = V2_FIXED + be16(in->p + 14);
	if (len > PROXYHDR_MAX) {
		*why = "the PROXY header is too long";
		return PARSE_BAD;
	}
	if (in->len < len)
		return PARSE_MORE;
	/* LOCAL: the receiver is to ignore the rest, whatever it is. */
	if (in->p[12] == CMD_PROXY && !v2_body(span_sub(*in, 0, len), h)) {
		*why = "a malformed PROXY header, or its checksum is wrong";
		return PARSE_BAD;
	}
	span_skip(in, len);
	return PARSE_OK;
}

/* How much of `in` is the same as the magic's beginning. */
static bool
begins(struct span in, const void *magic, size_t len)
{
	return in.len == 0 || memcmp(in.p, magic, in.len < len ? in.len :
	    len) == 0;
}

enum parse
proxyhdr_parse(struct span *in, struct proxyhdr *h, const char **why)
{
	*h = (struct proxyhdr){ 0 };
	if (begins(*in, v1.p, v1.len))
		return in->len <= v1.len ? PARSE_MORE : v1_parse(in, h, why);
	if (begins(*in, sig, SIG_LEN))
		return v2_parse(in, h, why);
	*why = "no PROXY header";
	return PARSE_BAD;
}

/* ---- writing ------------------------------------------------------------- */

/* The octets of the address; mapped into IPv6 if six is wanted. */
static void
octets(const struct addr *a, bool six, uint8_t *dst)
{
	memset(dst, 0, 16);
	if (six && a->family == 4) {
		dst[10] = dst[11] = 0xff;
		memcpy(dst + 12, a->ip, 4);
	} else
		memcpy(dst, a->ip, a->family == 4 ? 4 : 16);
}

/* Only what both ends have can be told. */
static bool
tellable(const struct addr *src, const struct addr *dst)
{
	return src != NULL && dst != NULL && src->family != 0 &&
	    dst->family != 0;
}

static bool
text_of(const struct addr *a, bool six, char *text)
{
	uint8_t	ip[16];

	octets(a, six, ip);
	return inet_ntop(six ? AF_INET6 : AF_INET, ip, text, ADDR_STRLEN) !=
	    NULL;
}

bool
proxyhdr_write_v1(struct buf *b, const struct addr *src,
    const struct addr *dst)
{
	char	from[ADDR_STRLEN], to[ADDR_STRLEN];
	bool	six;

	if (!tellable(src, dst))
		return buf_str(b, "PROXY UNKNOWN\r\n");
	six = src->family == 6 || dst->family == 6;
	return text_of(src, six, from) && text_of(dst, six, to) &&
	    buf_fmt(b, "PROXY %s %s %s %u %u\r\n", six ? "TCP6" : "TCP4",
	    from, to, src->port, dst->port);
}

bool
proxyhdr_write_v2(struct buf *b, const struct addr *src,
    const struct addr *dst)
{
	bool	known = tellable(src, dst), six;
	uint8_t	hdr[V2_FIXED + V2_INET6], *p = hdr + V2_FIXED, ip[16];
	size_t	n;

	six = known && (src->family == 6 || dst->family == 6);
	n = six ? 16 : 4;
	memcpy(hdr, sig, SIG_LEN);
	hdr[12] = known ? CMD_PROXY : CMD_LOCAL;
	hdr[13] = !known ? 0 : six ? FAM_TCP6 : FAM_TCP4;
	hdr[14] = 0;
	hdr[15] = !known ? 0 : six ? V2_INET6 : V2_INET;
	if (!known)
		return buf_add(b, hdr, V2_FIXED);
	octets(src, six, ip);
	memcpy(p, ip, n);
	octets(dst, six, ip);
	memcpy(p + n, ip, n);
	p += 2 * n;
	*p++ = (uint8_t)(src->port >> 8);
	*p++ = (uint8_t)src->port;
	*p++ = (uint8_t)(dst->port >> 8);
	*p = (uint8_t)dst->port;
	return buf_add(b, hdr, (size_t)V2_FIXED + hdr[15]);
}
