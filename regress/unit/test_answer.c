/*
 * DNS responses, built byte by byte: records of each type, CNAME chains,
 * negative answers, and packets that lie about their own shape.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/dns/answer.h"

enum { QR = 0x8180, AD = 0x0020, TC = 0x0200, SERVFAIL = 2, NX = 3,
    T_SOA = 6, T_RRSIG = 46 };

static struct buf		 p;
static struct dns_answer	 a;
static const char		*why;

static void
u16(unsigned v)
{
	buf_byte(&p, (uint8_t)(v >> 8));
	buf_byte(&p, (uint8_t)v);
}

static void
u32(uint32_t v)
{
	u16(v >> 16);
	u16(v & 0xffff);
}

/* Labels; "" is the root; "*N" at the end is a pointer to offset N. */
static void
name(const char *s)
{
	size_t	n;

	while (*s != '\0' && *s != '*') {
		n = strcspn(s, ".*");
		buf_byte(&p, (uint8_t)n);
		buf_add(&p, s, n);
		s += n + (s[n] == '.');
	}
	if (*s == '*')
		u16(0xc000U | (unsigned)atoi(s + 1));
	else
		buf_byte(&p, 0);
}

/* Header and question; the question's name is at offset 12. */
static void
begin(unsigned flags, unsigned an, unsigned ns, const char *q,
    enum dns_type type)
{
	buf_reset(&p);
	u16(4711);
	u16(QR | flags);
	u16(1);
	u16(an);
	u16(ns);
	u16(0);
	name(q);
	u16(type);
	u16(1);
}

static size_t
rr(const char *owner, unsigned type, uint32_t ttl)
{
	name(owner);
	u16(type);
	u16(1);
	u32(ttl);
	u16(0);
	return buf_len(&p);
}

static void
rr_end(size_t at)
{
	size_t	n = buf_len(&p) - at;

	p.p[p.start + at - 2] = (uint8_t)(n >> 8);
	p.p[p.start + at - 1] = (uint8_t)n;
}

static void
rr_name(const char *owner, unsigned type, uint32_t ttl, const char *to)
{
	size_t	at = rr(owner, type, ttl);

	name(to);
	rr_end(at);
}

static void
rr_a(const char *owner, uint32_t ttl, uint32_t ip)
{
	size_t	at = rr(owner, DNS_A, ttl);

	u32(ip);
	rr_end(at);
}

static void
rr_mx(const char *owner, uint32_t ttl, unsigned pref, const char *host)
{
	size_t	at = rr(owner, DNS_MX, ttl);

	u16(pref);
	name(host);
	rr_end(at);
}

static void
rr_soa(const char *owner, uint32_t ttl, uint32_t minimum)
{
	size_t	at = rr(owner, T_SOA, ttl);

	name("ns.example");
	name("root.example");
	for (int i = 0; i < 4; i++)
		u32(1);
	u32(minimum);
	rr_end(at);
}

static enum parse
parse(const char *q, enum dns_type type)
{
	return dns_answer_parse(buf_content(&p), q, type, &a, &why);
}

static int
setup(void **state)
{
	(void)state;
	buf_init(&p, 65535);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_clear(&p);
	return 0;
}

static void
addresses(void **state)
{
	size_t	at;

	(void)state;
	begin(AD, 3, 0, "a.example", DNS_A);
	rr_a("*12", 300, 0xc0000201);
	rr_a("A.EXAMPLE", 200, 0xc0000202);
	rr_a("other.example", 100, 0xc0000203);
	assert_int_equal(parse("A.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_OK);
	assert_true(a.ad);
	assert_int_equal(a.ttl, 200);
	assert_int_equal(a.nrr, 2);
	assert_int_equal(a.rr[1].addr.family, 4);
	assert_memory_equal(a.rr[1].addr.ip, "\xc0\x00\x02\x02", 4);

	begin(0, 1, 0, "a.example", DNS_AAAA);
	at = rr("*12", DNS_AAAA, 5);
	for (int i = 0; i < 4; i++)
		u32(0x20010db8);
	rr_end(at);
	assert_int_equal(parse("a.example", DNS_AAAA), PARSE_OK);
	assert_int_equal(a.rr[0].addr.family, 6);
	assert_false(a.ad);
}

static void
mx(void **state)
{
	(void)state;
	begin(0, 3, 0, "example.org", DNS_MX);
	rr_mx("*12", 60, 10, "MX1*12");
	rr_mx("*12", 60, 20, "mx2.example.net");
	rr_mx("*12", 60, 30, "bad name.example");
	assert_int_equal(parse("example.org", DNS_MX), PARSE_OK);
	assert_int_equal(a.nrr, 2);
	assert_string_equal(a.rr[0].name, "mx1.example.org");
	assert_int_equal(a.rr[0].pref, 10);
	assert_string_equal(a.rr[1].name, "mx2.example.net");

	/* RFC 7505: the null MX. */
	begin(0, 1, 0, "example.org", DNS_MX);
	rr_mx("*12", 60, 0, "");
	assert_int_equal(parse("example.org", DNS_MX), PARSE_OK);
	assert_int_equal(a.status, DNS_OK);
	assert_string_equal(a.rr[0].name, "");

	/* Records that can't be read are not "no records". */
	begin(0, 1, 0, "example.org", DNS_MX);
	rr_mx("*12", 60, 0, "x\ny");
	assert_int_equal(parse("example.org", DNS_MX), PARSE_OK);
	assert_int_equal(a.status, DNS_TEMPFAIL);
}

static void
txt(void **state)
{
	size_t	at;

	(void)state;
	begin(0, 1, 0, "example.org", DNS_TXT);
	at = rr("*12", DNS_TXT, 60);
	buf_add(&p, "\x07v=spf1 \x00\x04-all", 14);
	rr_end(at);
	assert_int_equal(parse("example.org", DNS_TXT), PARSE_OK);
	assert_int_equal(a.rr[0].text_len, 11);
	assert_memory_equal(a.rr[0].text, "v=spf1 -all", 11);

	/* Too long to be kept: nothing is said about the policy. */
	begin(0, 1, 0, "example.org", DNS_TXT);
	at = rr("*12", DNS_TXT, 60);
	for (int i = 0; i < 17; i++) {
		buf_byte(&p, 255);
		for (int k = 0; k < 255; k++)
			buf_byte(&p, 'x');
	}
	rr_end(at);
	assert_int_equal(parse("example.org", DNS_TXT), PARSE_OK);
	assert_int_equal(a.status, DNS_TEMPFAIL);

	begin(0, 1, 0, "example.org", DNS_TXT);
	at = rr("*12", DNS_TXT, 60);
	buf_add(&p, "\x08v=spf1 ", 8);
	rr_end(at);
	assert_int_equal(parse("example.org", DNS_TXT), PARSE_BAD);
}

static void
tlsa(void **state)
{
	size_t	at;

	(void)state;
	begin(AD, 3, 0, "_25._tcp.mx.example", DNS_TLSA);
	rr_name("*12", DNS_CNAME, 300, "_dane.example");
	at = rr("_dane.example", DNS_TLSA, 60);
	buf_add(&p, "\3\1\1\0abc", 7);
	rr_end(at);
	at = rr("_dane.example", DNS_TLSA, 60);
	rr_end(at);
	assert_int_equal(parse("_25._tcp.mx.example", DNS_TLSA), PARSE_OK);
	assert_int_equal(a.status, DNS_OK);
	assert_true(a.ad);
	assert_int_equal(a.nrr, 2);
	assert_int_equal(a.rr[0].text_len, 7);
	assert_memory_equal(a.rr[0].text, "\3\1\1\0abc", 7);
	assert_int_equal(a.rr[1].text_len, 0);
	assert_string_equal(a.canon, "_dane.example");

	/* Too long to be kept: that is not "no records". */
	begin(0, 1, 0, "mx.example", DNS_TLSA);
	at = rr("*12", DNS_TLSA, 60);
	for (int i = 0; i <= DNS_TXT_MAX; i++)
		buf_byte(&p, 3);
	rr_end(at);
	assert_int_equal(parse("mx.example", DNS_TLSA), PARSE_OK);
	assert_int_equal(a.status, DNS_TEMPFAIL);
}

static void
cnames(void **state)
{
	char	from[16], to[16];

	(void)state;
	begin(0, 3, 0, "w.example", DNS_A);
	rr_a("c.example", 30, 0x01020304);	/* in no order */
	rr_name("*12", DNS_CNAME, 300, "b.example");
	rr_name("b.example", DNS_CNAME, 20, "c.example");
	assert_int_equal(parse("w.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.cnames, 2);
	assert_int_equal(a.ttl, 20);
	assert_string_equal(a.canon, "c.example");

	/* A question for the link itself. */
	assert_int_equal(parse("w.example", DNS_CNAME), PARSE_BAD);
	begin(AD, 1, 0, "w.example", DNS_CNAME);
	rr_name("*12", DNS_CNAME, 300, "b.example");
	assert_int_equal(parse("w.example", DNS_CNAME), PARSE_OK);
	assert_int_equal(a.nrr, 1);
	assert_string_equal(a.rr[0].name, "b.example");
	assert_string_equal(a.canon, "");
	assert_string_equal(a.next, "");

	/* The chain leaves the packet. */
	begin(0, 1, 0, "w.example", DNS_A);
	rr_name("*12", DNS_CNAME, 300, "b.example");
	assert_int_equal(parse("w.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_NODATA);
	assert_string_equal(a.next, "b.example");
	assert_int_equal(a.ttl, 300);

	/* It ends in a name without such records. */
	begin(0, 1, 1, "w.example", DNS_A);
	rr_name("*12", DNS_CNAME, 300, "b.example");
	rr_soa("example", 900, 60);
	assert_int_equal(parse("w.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_NODATA);
	assert_string_equal(a.next, "");
	assert_int_equal(a.ttl, 60);

	/* A loop. */
	begin(0, 2, 0, "w.example", DNS_A);
	rr_name("*12", DNS_CNAME, 300, "b.example");
	rr_name("b.example", DNS_CNAME, 300, "w.example");
	assert_int_equal(parse("w.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_TEMPFAIL);

	/* 8 links are followed, 9 are not. */
	for (int n = 8; n <= 9; n++) {
		begin(0, (unsigned)n + 1, 0, "n0", DNS_A);
		for (int i = 0; i < n; i++) {
			snprintf(from, sizeof(from), "n%d", i);
			snprintf(to, sizeof(to), "n%d", i + 1);
			rr_name(from, DNS_CNAME, 60, to);
		}
		rr_a(to, 60, 1);
		assert_int_equal(parse("n0", DNS_A), PARSE_OK);
		assert_int_equal(a.status, n == 8 ? DNS_OK : DNS_TEMPFAIL);
	}
}

static void
negative(void **state)
{
	(void)state;
	begin(NX, 0, 1, "x.example", DNS_A);
	rr_soa("example", 100, 600);
	assert_int_equal(parse("x.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_NXDOMAIN);
	assert_int_equal(a.ttl, 100);

	begin(0, 0, 0, "x.example", DNS_A);
	assert_int_equal(parse("x.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_NODATA);
	assert_int_equal(a.ttl, 0);

	begin(SERVFAIL, 0, 0, "x.example", DNS_A);
	assert_int_equal(parse("x.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_TEMPFAIL);

	begin(TC, 1, 0, "x.example", DNS_A);
	rr_a("*12", 1, 1);
	assert_int_equal(parse("x.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_TEMPFAIL);
	assert_int_equal(a.nrr, 0);
}

static void
not_an_answer(void **state)
{
	(void)state;
	begin(0, 0, 0, "x.example", DNS_A);
	assert_int_equal(parse("y.example", DNS_A), PARSE_BAD);
	assert_int_equal(parse("x.example", DNS_MX), PARSE_BAD);
	assert_int_equal(parse("", DNS_A), PARSE_BAD);
	p.p[2] &= 0x7f;				/* a query */
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
	begin(0x0800, 0, 0, "x.example", DNS_A);	/* another opcode */
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
	begin(0, 0, 0, "x.example", DNS_A);
	p.p[5] = 2;				/* two questions */
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
}

/* Pointers to themselves, forwards and in a ring; lengths beyond the end. */
static void
lies(void **state)
{
	size_t	at;

	(void)state;
	begin(0, 1, 0, "x.example", DNS_A);
	rr_a("*27", 1, 1);
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
	begin(0, 1, 0, "x.example", DNS_A);
	rr_a("*40", 1, 1);
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
	begin(0, 1, 0, "x.example", DNS_A);
	rr_a("abc*27", 1, 1);
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
	begin(0, 1, 0, "x.example", DNS_A);
	rr_a("*16383", 1, 1);
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
	begin(0, 2, 0, "x.example", DNS_A);	/* one record too few */
	rr_a("*12", 1, 1);
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
	begin(0, 1, 0, "x.example", DNS_A);	/* an address of 3 bytes */
	at = rr("*12", DNS_A, 1);
	buf_add(&p, "abc", 3);
	rr_end(at);
	assert_int_equal(parse("x.example", DNS_A), PARSE_BAD);
	begin(0, 1, 0, "x.example", DNS_MX);	/* a name and more */
	at = rr("*12", DNS_MX, 1);
	u16(1);
	name("a.b");
	buf_byte(&p, 0);
	rr_end(at);
	assert_int_equal(parse("x.example", DNS_MX), PARSE_BAD);
	begin(0, 1, 0, "x.example", DNS_MX);	/* no name at all */
	at = rr("*12", DNS_MX, 1);
	buf_byte(&p, 0);
	rr_end(at);
	assert_int_equal(parse("x.example", DNS_MX), PARSE_BAD);
	begin(0, 1, 0, "x.example", DNS_A);
	rr_a("*12", 0xffffffff, 1);
	assert_int_equal(parse("x.example", DNS_A), PARSE_OK);
	assert_int_equal(a.ttl, 0);
	begin(0, 65535, 0, "x.example", DNS_A);
	assert_int_equal(parse("x.example", DNS_A), PARSE_OK);
	assert_int_equal(a.status, DNS_TEMPFAIL);
}

/* Cut anywhere, a packet is bad; each byte changed, it does no harm. */
static void
cuts(void **state)
{
	struct span	s;
	uint8_t		old;

	(void)state;
	begin(0, 2, 0, "w.example", DNS_MX);
	rr_name("*12", DNS_CNAME, 300, "b.example");
	rr_mx("b.example", 60, 1, "mx*12");
	s = buf_content(&p);
	for (size_t n = 0; n < s.len; n++)
		assert_int_equal(dns_answer_parse(span_sub(s, 0, n),
		    "w.example", DNS_MX, &a, &why), PARSE_BAD);
	for (size_t n = 0; n < s.len; n++) {
		old = p.p[n];
		for (int c = 0; c < 256; c++) {
			p.p[n] = (uint8_t)c;
			(void)parse("w.example", DNS_MX);
		}
		p.p[n] = old;
	}
}

static void
names(void **state)
{
	static const struct { const char *s; bool ok; } t[] = {
		{ "a", true }, { "a.b", true }, { "_dmarc.a", true },
		{ "1/2.3.in-addr.arpa", true },
		{ "", false }, { ".", false }, { "a.", false },
		{ ".a", false }, { "a..b", false }, { "a b", false },
		{ "a\\.b", false }, { "\xc3\xa4", false },
	};
	char		big[300];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(dns_name_ok(span_str(t[i].s)), t[i].ok);
	memset(big, 'a', sizeof(big));
	assert_true(dns_name_ok(span(big, 63)));
	assert_false(dns_name_ok(span(big, 64)));
	for (size_t i = 1; i < sizeof(big); i += 2)
		big[i] = '.';
	assert_true(dns_name_ok(span(big, 253)));
	assert_false(dns_name_ok(span(big, 255)));
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(addresses), T(mx), T(txt), T(tlsa), T(cnames),
		T(negative),
		T(not_an_answer), T(lies), T(cuts), T(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
