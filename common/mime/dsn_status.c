/*
 * The fields of a notification that are for programs (RFC 3464; 6533 for
 * addresses with UTF-8).
 */
#include "common/mime/dsn_i.h"

#include <stdio.h>

#include "common/base/enc.h"
#include "common/base/utf8.h"

#define ADDR_MAX	1000	/* bytes of a decoded ORCPT */

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* "5.1.1" at the front, behind which no letter follows; its length, or 0. */
static size_t
enhanced(struct span s)
{
	size_t	 i = 2, digits;

	if (s.len < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5') ||
	    s.p[1] != '.')
		return 0;
	for (int part = 0; part < 2; part++) {
		for (digits = 0; i < s.len && is_digit(s.p[i]); i++)
			digits++;
		if (digits < 1 || digits > 3)
			return 0;
		if (part == 0 && (i == s.len || s.p[i++] != '.'))
			return 0;
	}
	return i == s.len || s.p[i] == ' ' ? i : 0;
}

/* What a reply code means if there is no other: RFC 3463 and 5321, 4.2.3. */
static const char *
by_code(struct span code)
{
	static const struct { const char *code, *detail; } table[] = {
		{ "421", "3.2" }, { "450", "2.0" }, { "452", "3.1" },
		{ "500", "5.2" }, { "501", "5.4" }, { "502", "5.1" },
		{ "503", "5.1" }, { "504", "5.4" }, { "552", "2.2" },
		{ "553", "1.3" }
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (span_is(code, table[i].code))
			return table[i].detail;
	return "0.0";
}

char *
dsn_status(const struct dsn_rcpt *r, char buf[DSN_STATUSLEN])
{
	struct span	 s = r->reply, code = { NULL, 0 };
	char		 class = r->action == DSN_FAILED ? '5' :
			    r->action == DSN_DELAYED ? '4' : '2';
	size_t		 n;

	if (s.len >= 3 && is_digit(s.p[0]) && is_digit(s.p[1]) &&
	    is_digit(s.p[2]) && (s.len == 3 || s.p[3] == ' ')) {
		code = span_sub(s, 0, 3);
		span_skip(&s, 4);
	}
	if (r->expired)			/* RFC 3463, 3.5: X.4.7 */
		snprintf(buf, DSN_STATUSLEN, "%c.4.7", class);
	else if ((n = enhanced(s)) > 0)
		snprintf(buf, DSN_STATUSLEN, "%c%.*s", class, (int)n - 1,
		    (const char *)s.p + 1);
	else
		snprintf(buf, DSN_STATUSLEN, "%c.%s", class,
		    class == '2' ? "0.0" : by_code(code));
	return buf;
}

/* ---- fields ---- */

static void
field(struct buf *b, const char *name, const char *type, struct span value,
    bool utf8)
{
	buf_fmt(b, "%s: %s%s", name, type, type[0] != '\0' ? "; " : "");
	dsn_safe(b, value, utf8);
	buf_str(b, "\r\n");
}

static void
field_date(struct buf *b, const struct dsn *d, const char *name, uint64_t ms)
{
	buf_fmt(b, "%s: ", name);
	dsn_date(b, d, ms);
	buf_str(b, "\r\n");
}

/* An address with its type; one with UTF-8 has its own (RFC 6533, 3). */
static void
field_addr(struct buf *b, const char *name, struct span addr, bool utf8)
{
	field(b, name, utf8_is_ascii(addr) ? "rfc822" : "utf-8", addr, utf8);
}

/* "\x{E9}" at the front of s, as UTF-8; its length, or 0 (RFC 6533, 3). */
static size_t
embedded(struct span s, struct buf *out)
{
	uint32_t	 v = 0;
	size_t		 i = 3;

	if (s.len < 5 || memcmp(s.p, "\\x{", 3) != 0)
		return 0;
	for (; i < s.len && i < 9 && s.p[i] != '}'; i++) {
		uint8_t	 c = s.p[i];

		if (!is_digit(c) && (c < 'A' || c > 'F'))
			return 0;
		v = v * 16 + (uint32_t)(is_digit(c) ? c - '0' : c - 'A' + 10);
	}
	if (i == 3 || i == s.len || s.p[i] != '}' || v > 0x10ffff)
		return 0;
	if (v < 0x80)
		buf_byte(out, (uint8_t)v);
	else if (v < 0x800)
		buf_fmt(out, "%c%c", 0xc0 | v >> 6, 0x80 | (v & 63));
	else if (v < 0x10000)
		buf_fmt(out, "%c%c%c", 0xe0 | v >> 12, 0x80 | (v >> 6 & 63),
		    0x80 | (v & 63));
	else
		buf_fmt(out, "%c%c%c%c", 0xf0 | v >> 18, 0x80 | (v >> 12 & 63),
		    0x80 | (v >> 6 & 63), 0x80 | (v & 63));
	return i + 1;
}

/* What an ORCPT parameter stands for; false: as it is malformed, nothing. */
static bool
orcpt_decode(struct span orcpt, struct span *type, struct buf *out)
{
	size_t		 n = span_find(orcpt, ';');
	struct span	 s;
	struct buf	 plain;
	bool		 ok;

	*type = span_sub(orcpt, 0, n);
	s = span_sub(orcpt, n + 1, orcpt.len);
	if (n == 0 || n >= orcpt.len || s.len == 0)
		return false;
	if (!span_caseis(*type, "utf-8"))
		return dec_xtext(out, s);
	buf_init(&plain, ADDR_MAX);
	/* RFC 6533, 3: xtext of \x{...}, or UTF-8 as it is. */
	if (utf8_is_ascii(s) && dec_xtext(&plain, s))
		s = buf_content(&plain);
	while (s.len > 0) {
		if ((n = embedded(s, out)) == 0)
			buf_byte(out, s.p[0]);
		span_skip(&s, n > 0 ? n : 1);
	}
	ok = !out->failed && utf8_valid(buf_content(out));
	buf_clear(&plain);
	return ok;
}

/* address-type = atom, here what RFC 3461 lets a client say. */
static bool
type_ok(struct span t)
{
	for (size_t i = 0; i < t.len; i++)
		if (!is_digit(t.p[i]) && t.p[i] != '-' && t.p[i] != '_' &&
		    ((t.p[i] | 0x20) < 'a' || (t.p[i] | 0x20) > 'z'))
			return false;
	return true;
}

static void
original_recipient(struct buf *b, const struct dsn_rcpt *r, bool utf8)
{
	struct buf	 addr;
	struct span	 type;
	char		 name[64];

	buf_init(&addr, ADDR_MAX);
	if (orcpt_decode(r->orcpt, &type, &addr) && type_ok(type) &&
	    span_cstr(type, name, sizeof(name)))
		field(b, "Original-Recipient", name, buf_content(&addr), utf8);
	else if (r->orig.len > 0)
		field_addr(b, "Original-Recipient", r->orig, utf8);
	buf_clear(&addr);
}

static void
remote_mta(struct buf *b, const struct dsn_rcpt *r)
{
	struct span	 name, addr;

	dsn_server(r->server, &name, &addr);
	if (name.len == 0)
		return;
	buf_str(b, "Remote-MTA: dns; ");
	/* Of one without a name, the address as a literal. */
	if (span_eq(name, addr))
		buf_byte(b, '[');
	dsn_safe(b, name, false);
	buf_str(b, span_eq(name, addr) ? "]\r\n" : "\r\n");
}

/* RFC 3464, 2.3. */
static void
recipient(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	static const char *const actions[DSN_ACTIONS] = { "failed", "failed",
	    "delayed", "delivered", "relayed", "expanded" };
	char		 status[DSN_STATUSLEN];
	bool		 utf8 = d->utf8 || !utf8_is_ascii(r->to) ||
			    !utf8_is_ascii(r->orig) || !utf8_is_ascii(r->orcpt);

	buf_str(b, "\r\n");
	original_recipient(b, r, utf8);
	field_addr(b, "Final-Recipient", r->to, utf8);
	buf_fmt(b, "Action: %s\r\n", actions[r->action]);
	buf_fmt(b, "Status: %s\r\n", dsn_status(r, status));
	if (r->action != DSN_DELIVERED && r->action != DSN_EXPANDED) {
		remote_mta(b, r);
		if (r->reply.len > 0)
			field(b, "Diagnostic-Code", r->server.len > 0 ?
			    "smtp" : "x-postern", r->reply, utf8);
	}
	if (r->tried_ms != 0)
		field_date(b, d, "Last-Attempt-Date", r->tried_ms);
	field(b, "Final-Log-ID", "", d->of, false);
	if (r->action == DSN_DELAYED)
		field_date(b, d, "Will-Retry-Until", d->until_ms);
}

/* RFC 3464, 2.2. */
static void
message(struct buf *b, const struct dsn *d)
{
	struct buf	 envid;

	buf_init(&envid, ADDR_MAX);
	if (d->envid.len > 0 && dec_xtext(&envid, d->envid))
		field(b, "Original-Envelope-Id", "", buf_content(&envid),
		    false);
	buf_clear(&envid);
	field(b, "Reporting-MTA", "dns", d->host, false);
	field_date(b, d, "Arrival-Date", d->arrived_ms);
}

size_t
dsn_fields(struct buf *b, const struct dsn *d)
{
	size_t	 n, before;

	message(b, d);
	for (n = 0; n < d->nrcpts; n++) {
		before = buf_len(b);
		recipient(b, d, &d->rcpts[n]);
		if (!b->failed)
			continue;
		b->len = b->start + before;
		b->failed = false;
		break;
	}
	return n;
}
