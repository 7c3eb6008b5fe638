/*
 * The TXT record and the addresses in it. See rpt.h.
 */
#include "common/tls/rpt.h"

#include <stdio.h>
#include <string.h>

#include "common/base/enc.h"
#include "common/tls/txt.h"

bool
rpt_record_name(const char *domain, char *dst, size_t size)
{
	int	n = snprintf(dst, size, "_smtp._tls.%s", domain);

	return n > 0 && (size_t)n < size && dns_name_ok(span_str(dst));
}

/* 1*(field-delim tlsrpt-field) [field-delim]: the first "rua=" counts, fields
 * with other names are for others. */
static bool
fields(struct span s, struct span *rua)
{
	struct span	name, value;
	enum parse	got;

	*rua = span(NULL, 0);
	while ((got = txt_field(&s, &name, &value)) == PARSE_OK)
		if (rua->len == 0 && span_is(name, "rua"))
			*rua = span_trim(value);
	if (got == PARSE_BAD)
		return false;
	return rua->len > 0 && rua->len <= RPT_RUA_MAX;
}

/* Would it do as a string, on one line? */
static bool
is_clean(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

bool
rpt_record(const struct span *txt, size_t n, struct span *rua)
{
	struct span	s;

	*rua = span(NULL, 0);
	if (txt_only(txt, n, "v=TLSRPTv1", &s) && fields(s, rua) &&
	    is_clean(*rua))
		return true;
	*rua = span(NULL, 0);
	return false;
}

/* ---- addresses ---- */

/* RFC 5322's atext and ".": what needs no quotes. */
static bool
is_local(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') ||
		    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL)))
			return false;
	}
	return s.len > 0 && s.len <= 64;
}

/* RFC 3986, 2.1 */
static bool
percent(struct span s, struct buf *b)
{
	int	hi, lo;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] != '%') {
			buf_byte(b, s.p[i]);
			continue;
		}
		if (s.len - i < 3 || (hi = hex_digit(s.p[i + 1])) == -1 ||
		    (lo = hex_digit(s.p[i + 2])) == -1)
			return false;
		buf_byte(b, (uint8_t)(hi * 16 + lo));
		i += 2;
	}
	return !b->failed;
}

/* RFC 6068: one address; what it wants in the header is not for it to say. */
static bool
mailto(struct span s, struct rpt_uri *u)
{
	struct buf	b;
	struct span	a;
	size_t		at;
	bool		ok;

	buf_init(&b, RPT_URI_MAX);
	ok = percent(span_sub(s, 0, span_find(s, '?')), &b);
	a = buf_content(&b);
	at = span_rfind(a, '@');
	ok = ok && at < a.len && is_local(span_sub(a, 0, at)) &&
	    dns_name_ok(span_sub(a, at + 1, a.len)) &&
	    span_cstr(a, u->to, sizeof(u->to));
	buf_clear(&b);
	u->https = false;
	return ok;
}

bool
rpt_url(struct span url, char host[DNS_NAME_MAX + 1], struct span *target)
{
	struct span	rest, name, port;
	size_t		n;

	if (!span_casestarts(url, span_str("https://")))
		return false;
	for (size_t i = 0; i < url.len; i++)
		if (url.p[i] <= ' ' || url.p[i] > '~')
			return false;
	rest = span_sub(url, 8, url.len);
	rest = span_sub(rest, 0, span_find(rest, '#'));
	n = span_find(rest, '/');
	name = span_sub(rest, 0, n);
	*target = n < rest.len ? span_sub(rest, n, rest.len) : span_str("/");
	n = span_find(name, ':');
	port = span_sub(name, n, name.len);
	name = span_sub(name, 0, n);
	/* A number at its end is an address (WHATWG); those have no name. */
	n = span_rfind(name, '.');
	return (port.len == 0 || span_is(port, ":443")) &&
	    dns_name_ok(name) && n + 1 < name.len &&
	    !(name.p[n + 1] >= '0' && name.p[n + 1] <= '9') &&
	    span_cstr(name, host, DNS_NAME_MAX + 1);
}

static bool
https(struct span s, struct rpt_uri *u)
{
	char		host[DNS_NAME_MAX + 1];
	struct span	target;

	u->https = true;
	return rpt_url(s, host, &target) && span_cstr(s, u->to, sizeof(u->to));
}

bool
rpt_uri_next(struct span *list, struct rpt_uri *u)
{
	struct span	s;

	while (list->len > 0) {
		s = span_sub(*list, 0, span_find(*list, ','));
		span_skip(list, s.len + 1);
		s = span_trim(s);
		if (span_casestarts(s, span_str("mailto:")) &&
		    mailto(span_sub(s, 7, s.len), u))
			return true;
		if (https(s, u))
			return true;
	}
	return false;
}
