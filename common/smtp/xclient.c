/*
 * XCLIENT's attributes. See xclient.h.
 */
#include "common/smtp/xclient.h"

#include "common/base/enc.h"
#include "common/smtp/command.h"

#define NATTRS	(sizeof(attrs) / sizeof(attrs[0]))

/* In the order in which they are written: what a server can do without, or gets
 * with the next EHLO anyway, comes last. */
static const struct {
	const char	*name;
	enum xclient_attr attr;
} attrs[] = {
	{ "ADDR", XC_ADDR },
	{ "PORT", XC_PORT },
	{ "NAME", XC_NAME },
	{ "PROTO", XC_PROTO },
	{ "DESTADDR", XC_DESTADDR },
	{ "DESTPORT", XC_DESTPORT },
	{ "LOGIN", XC_LOGIN },
	{ "HELO", XC_HELO },
	{ "REVERSE_NAME", XC_REVERSE_NAME }
};

static uint32_t
attr_of(struct span name)
{
	for (size_t i = 0; i < NATTRS; i++)
		if (span_caseis(name, attrs[i].name))
			return attrs[i].attr;
	return 0;
}

uint32_t
xclient_listed(struct span args)
{
	struct span	word;
	uint32_t	all = 0;

	while (span_word(&args, " \t", &word))
		all |= attr_of(word);
	return all;
}

bool
xclient_list(struct buf *b, uint32_t listed)
{
	bool	ok = true;

	for (size_t i = 0; ok && i < NATTRS; i++)
		if ((listed & attrs[i].attr) != 0)
			ok = buf_fmt(b, " %s", attrs[i].name);
	return ok;
}

/* ---- reading ------------------------------------------------------------- */

static bool
get_addr(struct span v, struct addr *a)
{
	static const struct span	six = SPAN("IPV6:");
	uint16_t			port = a->port;

	if (span_casestarts(v, six))
		span_skip(&v, six.len);
	if (!addr_parse(v, a))
		return false;
	a->port = port;
	return true;
}

static bool
get_port(struct span v, struct addr *a)
{
	uint64_t	n;

	if (!span_u64(v, 65535, &n))
		return false;
	a->port = (uint16_t)n;
	return true;
}

static bool
get_host(struct span v, char *dst)
{
	const char	*why;

	return v.len > 0 && v.p[0] != '[' &&
	    smtp_helo_parse(v, true, &why) == PARSE_OK &&
	    span_cstr(v, dst, XCLIENT_VALUE_MAX + 1);
}

static bool
get_text(struct span v, char *dst)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] <= ' ' || v.p[i] == 127)
			return false;
	return v.len > 0 && span_cstr(v, dst, XCLIENT_VALUE_MAX + 1);
}

static bool
get_proto(struct span v, bool *esmtp)
{
	*esmtp = span_caseis(v, "ESMTP");
	return *esmtp || span_caseis(v, "SMTP");
}

static bool
get_value(struct xclient *x, uint32_t attr, struct span v)
{
	switch ((enum xclient_attr)attr) {
	case XC_NAME:
		return get_host(v, x->name);
	case XC_REVERSE_NAME:
		return get_host(v, x->reverse_name);
	case XC_ADDR:
		return get_addr(v, &x->client);
	case XC_DESTADDR:
		return get_addr(v, &x->dest);
	case XC_PORT:
		return get_port(v, &x->client);
	case XC_DESTPORT:
		return get_port(v, &x->dest);
	case XC_PROTO:
		return get_proto(v, &x->esmtp);
	case XC_HELO:
		return get_text(v, x->helo);
	case XC_LOGIN:
		return get_text(v, x->login);
	case XC_ALL:
		break;
	}
	return false;
}

static bool
get_attr(struct xclient *x, uint32_t attr, struct span text)
{
	struct buf	v;
	bool		ok;

	if (span_caseis(text, "[UNAVAILABLE]")) {
		x->none |= attr;
		return true;
	}
	if (span_caseis(text, "[TEMPUNAVAIL]")) {
		x->later |= attr;
		return true;
	}
	buf_init(&v, XCLIENT_VALUE_MAX);
	ok = dec_xtext(&v, text) && get_value(x, attr, buf_content(&v));
	buf_clear(&v);
	x->given |= attr;
	return ok;
}

enum parse
xclient_parse(struct span arg, struct xclient *x, const char **why)
{
	struct span	word, name;
	uint32_t	attr;

	*x = (struct xclient){ 0 };
	*why = "XCLIENT needs attributes";
	if (arg.len == 0)
		return PARSE_BAD;
	while (span_word(&arg, " ", &word)) {
		*why = "an attribute that is none of XCLIENT's, or comes twice";
		if (!span_word(&word, "=", &name) ||
		    (attr = attr_of(name)) == 0 ||
		    ((x->given | x->none | x->later) & attr) != 0)
			return PARSE_BAD;
		*why = "a value that makes no sense";
		if (!get_attr(x, attr, word))
			return PARSE_BAD;
	}
	return PARSE_OK;
}

/* ---- writing ------------------------------------------------------------- */

static bool
put_addr(struct buf *b, const struct addr *a)
{
	char	text[ADDR_STRLEN];

	return buf_fmt(b, "%s%s", a->family == 6 ? "IPV6:" : "",
	    addr_str(a, text));
}

static bool
put_value(struct buf *b, const struct xclient *x, enum xclient_attr attr)
{
	switch (attr) {
	case XC_NAME:
		return enc_xtext(b, span_str(x->name));
	case XC_REVERSE_NAME:
		return enc_xtext(b, span_str(x->reverse_name));
	case XC_ADDR:
		return put_addr(b, &x->client);
	case XC_DESTADDR:
		return put_addr(b, &x->dest);
	case XC_PORT:
		return buf_fmt(b, "%u", x->client.port);
	case XC_DESTPORT:
		return buf_fmt(b, "%u", x->dest.port);
	case XC_PROTO:
		return buf_str(b, x->esmtp ? "ESMTP" : "SMTP");
	case XC_HELO:
		return enc_xtext(b, span_str(x->helo));
	case XC_LOGIN:
		return enc_xtext(b, span_str(x->login));
	case XC_ALL:
		break;
	}
	return false;
}

/* "NAME=value", or nothing at all. */
static bool
put_attr(struct buf *b, const struct xclient *x, size_t i)
{
	enum xclient_attr	attr = attrs[i].attr;

	if (!buf_fmt(b, "%s=", attrs[i].name))
		return false;
	if ((x->given & attr) != 0)
		return put_value(b, x, attr);
	return buf_str(b, (x->none & attr) != 0 ? "[UNAVAILABLE]" :
	    "[TEMPUNAVAIL]");
}

bool
xclient_write(struct buf *b, const struct xclient *x, uint32_t listed)
{
	struct buf	one;
	size_t		n = 0;
	bool		ok = true;

	buf_init(&one, XCLIENT_ARG_MAX);
	for (size_t i = 0; ok && i < NATTRS; i++) {
		if (((x->given | x->none | x->later) & listed &
		    (uint32_t)attrs[i].attr) == 0)
			continue;
		buf_reset(&one);
		if (!put_attr(&one, x, i) || n + (n > 0) + buf_len(&one) >
		    XCLIENT_ARG_MAX)
			continue;
		ok = (n == 0 || buf_byte(b, ' ')) &&
		    buf_span(b, buf_content(&one));
		n += (n > 0) + buf_len(&one);
	}
	buf_clear(&one);
	return ok && n > 0;
}
