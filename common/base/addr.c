/*
 * IP addresses. See addr.h.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "common/base/addr.h"

static const uint8_t	mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255 };

static void
addr_set6(struct addr *a, const uint8_t *ip)
{
	memset(a->ip, 0, sizeof(a->ip));
	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		a->family = 4;
		memcpy(a->ip, ip + 12, 4);
	} else {
		a->family = 6;
		memcpy(a->ip, ip, 16);
	}
}

bool
addr_parse(struct span s, struct addr *a)
{
	char	 text[INET6_ADDRSTRLEN];
	uint8_t	 ip[16];

	if (!span_cstr(s, text, sizeof(text)))
		return false;
	if (inet_pton(AF_INET, text, ip) == 1) {
		*a = (struct addr){ .family = 4 };
		memcpy(a->ip, ip, 4);
		return true;
	}
	if (inet_pton(AF_INET6, text, ip) != 1)
		return false;
	*a = (struct addr){ 0 };
	addr_set6(a, ip);
	return true;
}

bool
addr_parse_port(struct span s, uint16_t port, struct addr *a)
{
	struct span	 host = s, num = span(NULL, 0);
	uint64_t	 v = port;
	size_t		 i;

	if (s.len > 0 && s.p[0] == '[') {
		if ((i = span_find(s, ']')) == s.len)
			return false;
		host = span_sub(s, 1, i - 1);
		num = span_sub(s, i + 1, s.len);
		if (num.len > 0 && num.p[0] != ':')
			return false;
		if (span_find(host, ':') == host.len)
			return false;
	} else if ((i = span_find(s, ':')) < s.len && span_rfind(s, ':') == i) {
		host = span_sub(s, 0, i);
		num = span_sub(s, i, s.len);
	}
	if (num.len > 0) {
		span_skip(&num, 1);
		if (!span_u64(num, 65535, &v) || v == 0)
			return false;
	}
	if (!addr_parse(host, a))
		return false;
	a->port = (uint16_t)v;
	return true;
}

struct addr
addr_mask(const struct addr *a, uint8_t bits)
{
	struct addr	 m = *a;

	for (unsigned i = 0; i < 16; i++) {
		if (bits >= 8 * (i + 1))
			continue;
		if (bits <= 8 * i)
			m.ip[i] = 0;
		else
			m.ip[i] &= (uint8_t)(0xff00 >> (bits - 8 * i));
	}
	return m;
}

bool
addr_parse_prefix(struct span s, struct addr_prefix *p)
{
	size_t		 i = span_find(s, '/');
	uint64_t	 bits;
	struct addr	 m;
	unsigned	 max;

	if (!addr_parse(span_sub(s, 0, i), &p->addr))
		return false;
	max = span_find(s, ':') < s.len ? 128 : 32;
	bits = max;
	if (i < s.len && !span_u64(span_sub(s, i + 1, s.len), max, &bits))
		return false;
	/* ::ffff:192.0.2.0/120 is 192.0.2.0/24; a shorter one than /96 would
	 * hold more than mapped addresses. */
	if (p->addr.family == 4 && max == 128) {
		if (bits < 96)
			return false;
		bits -= 96;
	}
	p->bits = (uint8_t)bits;
	m = addr_mask(&p->addr, p->bits);
	return addr_eq(&m, &p->addr);
}

bool
addr_in(const struct addr *a, const struct addr_prefix *p)
{
	struct addr	 m;

	if (a->family != p->addr.family)
		return false;
	m = addr_mask(a, p->bits);
	return addr_eq(&m, &p->addr);
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip,
	    a->family == 4 ? 4 : a->family == 6 ? 16 : 0) == 0;
}

bool
addr_is_loopback(const struct addr *a)
{
	static const uint8_t	one[16] = { [15] = 1 };

	return (a->family == 4 && a->ip[0] == 127) ||
	    (a->family == 6 && memcmp(a->ip, one, 16) == 0);
}

char *
addr_str(const struct addr *a, char *dst)
{
	if (a->family == 0 || inet_ntop(a->family == 4 ? AF_INET : AF_INET6,
	    a->ip, dst, ADDR_STRLEN) == NULL)
		memcpy(dst, "local", 6);
	return dst;
}

char *
addr_str_port(const struct addr *a, char *dst)
{
	char	 ip[ADDR_STRLEN];

	addr_str(a, ip);
	if (a->family == 0)
		memcpy(dst, ip, sizeof(ip));
	else
		snprintf(dst, ADDR_STRLEN, a->family == 6 ? "[%.45s]:%u" :
		    "%.45s:%u", ip, a->port);
	return dst;
}

void
addr_from_sockaddr(struct addr *a, const struct sockaddr *sa)
{
	*a = (struct addr){ 0 };
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		a->family = 4;
		a->port = ntohs(in.sin_port);
		memcpy(a->ip, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		addr_set6(a, in6.sin6_addr.s6_addr);
		a->port = ntohs(in6.sin6_port);
	}
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (a->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip, 4);
		return sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	}
}

char *
addr_reverse_name(const struct addr *a, char *dst)
{
	static const char	hex[] = "0123456789abcdef";
	char			*p = dst;

	if (a->family == 4) {
		snprintf(dst, 80, "%u.%u.%u.%u.in-addr.arpa", a->ip[3],
		    a->ip[2], a->ip[1], a->ip[0]);
		return dst;
	}
	for (int i = 15; i >= 0; i--) {
		*p++ = hex[a->ip[i] & 15];
		*p++ = '.';
		*p++ = hex[a->ip[i] >> 4];
		*p++ = '.';
	}
	memcpy(p, "ip6.arpa", 9);
	return dst;
}

struct span
addr_key(const struct addr *a, uint8_t dst[ADDR_KEY_LEN])
{
	memset(dst, 0, ADDR_KEY_LEN);
	dst[0] = a->family;
	dst[1] = (uint8_t)(a->port >> 8);
	dst[2] = (uint8_t)a->port;
	memcpy(dst + 3, a->ip, a->family == 4 ? 4 : 16);
	return span(dst, ADDR_KEY_LEN);
}

bool
addr_from_key(struct span key, struct addr *a)
{
	*a = (struct addr){ 0 };
	if (key.len != ADDR_KEY_LEN || (key.p[0] != 4 && key.p[0] != 6))
		return false;
	a->family = key.p[0];
	a->port = (uint16_t)(key.p[1] << 8 | key.p[2]);
	memcpy(a->ip, key.p + 3, a->family == 4 ? 4 : 16);
	return true;
}
