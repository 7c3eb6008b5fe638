/*
 * Paths and mailboxes: one function per rule of RFC 5321, 4.1.2, with the
 * additions of RFC 6531, 3.3. A rule eats what it knows from the front of the
 * cursor and says false where the input cannot be one.
 */
#include "common/smtp/path.h"

#include "common/base/addr.h"
#include "common/base/utf8.h"

#define LABEL_MAX	63	/* octets: RFC 1035, 2.3.4 */

enum {
	C_ATEXT	= 1 << 0,	/* RFC 5322, 3.2.3 */
	C_QTEXT	= 1 << 1,	/* %d32-33 / %d35-91 / %d93-126 */
	C_QPAIR	= 1 << 2,	/* %d32-126, behind a backslash */
	C_LDH	= 1 << 3,	/* ALPHA / DIGIT / "-" */
	C_HIGH	= 1 << 4	/* UTF8-non-ascii */
};
#define QUOTED	(C_QTEXT | C_QPAIR)
#define ATOM	(C_ATEXT | QUOTED)
#define LETDIG	(C_LDH | ATOM)

static const uint8_t classes[256] = {
	[' '] = QUOTED,
	['!'] = ATOM,
	['"'] = C_QPAIR,
	['#' ... '\''] = ATOM,
	['(' ... ')'] = QUOTED,
	['*' ... '+'] = ATOM,
	[','] = QUOTED,
	['-'] = C_LDH | ATOM,
	['.'] = QUOTED,
	['/'] = ATOM,
	['0' ... '9'] = LETDIG,
	[':' ... '<'] = QUOTED,
	['='] = ATOM,
	['>'] = QUOTED,
	['?'] = ATOM,
	['@'] = QUOTED,
	['A' ... 'Z'] = LETDIG,
	['['] = QUOTED,
	['\\'] = C_QPAIR,
	[']'] = QUOTED,
	['^' ... '`'] = ATOM,
	['a' ... 'z'] = LETDIG,
	['{' ... '~'] = ATOM,
	[128 ... 255] = C_HIGH,
};

static bool
at(const struct span *in, uint8_t c)
{
	return in->len > 0 && in->p[0] == c;
}

static bool
eat(struct span *in, uint8_t c)
{
	if (!at(in, c))
		return false;
	span_skip(in, 1);
	return true;
}

/* Eats bytes of these classes; gives their number. */
static size_t
eat_class(struct span *in, unsigned k)
{
	size_t	n = 0;

	while (n < in->len && (classes[in->p[n]] & k) != 0)
		n++;
	span_skip(in, n);
	return n;
}

/* Dot-string = Atom *("."  Atom) */
static bool
dot_string(struct span *in, unsigned high)
{
	do {
		if (eat_class(in, C_ATEXT | high) == 0)
			return false;
	} while (eat(in, '.'));
	return true;
}

/* Quoted-string = DQUOTE *( qtextSMTP / quoted-pairSMTP ) DQUOTE */
static bool
quoted_string(struct span *in, unsigned high)
{
	if (!eat(in, '"'))
		return false;
	for (;;) {
		eat_class(in, C_QTEXT | high);
		if (!eat(in, '\\'))
			break;
		if (in->len == 0 || (classes[in->p[0]] & C_QPAIR) == 0)
			return false;
		span_skip(in, 1);
	}
	return eat(in, '"');
}

/* sub-domain = Let-dig [Ldh-str] / U-label; Ldh-str ends in Let-dig. */
static bool
sub_domain(struct span *in, unsigned high)
{
	struct span	s = *in;
	size_t		n = eat_class(in, C_LDH | high);

	return n > 0 && n <= LABEL_MAX * 4 && s.p[0] != '-' &&
	    s.p[n - 1] != '-';
}

/* Domain = sub-domain *("." sub-domain) */
static bool
domain(struct span *in, bool utf8, const char **why)
{
	struct span	s = *in, label;
	char		ascii[SMTP_DOMAIN_MAX + 1];
	bool		high;

	do {
		label = *in;
		if (!sub_domain(in, utf8 ? C_HIGH : 0)) {
			*why = "malformed domain";
			return false;
		}
		label.len -= in->len;
		if (utf8_is_ascii(label) && label.len > LABEL_MAX) {
			*why = "a label of the domain is too long";
			return false;
		}
	} while (eat(in, '.'));
	s.len -= in->len;
	if (s.len > SMTP_DOMAIN_MAX) {
		*why = "domain too long";
		return false;
	}
	high = !utf8_is_ascii(s);
	if (high && !utf8_domain_to_ascii(s, ascii, sizeof(ascii))) {
		*why = "not a valid internationalized domain";
		return false;
	}
	return true;
}

/* address-literal = "[" ( IPv4 / "IPv6:" IPv6 ) "]"; no General literal has
 * ever been registered, so none is taken. */
static bool
literal(struct span *in, const char **why)
{
	struct span	s;
	struct addr	a;
	size_t		n = span_find(*in, ']');

	*why = "malformed address literal";
	if (!at(in, '[') || n >= in->len)
		return false;
	s = span_sub(*in, 1, n - 1);
	if (span_casestarts(s, (struct span)SPAN("IPv6:"))) {
		span_skip(&s, 5);
		if (span_find(s, ':') == s.len || !addr_parse(s, &a))
			return false;
	} else if (span_find(s, ':') < s.len) {
		*why = "address literal of an unknown kind";
		return false;
	} else if (!addr_parse(s, &a))
		return false;
	span_skip(in, n + 1);
	return true;
}

static bool
domain_or_literal(struct span *in, bool utf8, const char **why)
{
	return at(in, '[') ? literal(in, why) : domain(in, utf8, why);
}

/* A-d-l = At-domain *( "," At-domain ), and its ":"; accepted and ignored
 * (RFC 5321, 3.3 and appendix C). */
static bool
source_route(struct span *in, bool utf8, const char **why)
{
	do {
		if (!eat(in, '@')) {
			*why = "malformed source route";
			return false;
		}
		if (!domain(in, utf8, why))
			return false;
	} while (eat(in, ','));
	*why = "malformed source route";
	return eat(in, ':');
}

/* Local-part = Dot-string / Quoted-string */
static bool
local_part(struct span *in, bool utf8, struct span *local, const char **why)
{
	unsigned	high = utf8 ? C_HIGH : 0;

	*local = *in;
	*why = "malformed local part";
	if (at(in, '"') ? !quoted_string(in, high) : !dot_string(in, high))
		return false;
	local->len -= in->len;
	if (local->len > SMTP_LOCAL_MAX) {
		*why = "local part too long";
		return false;
	}
	if (utf8 && !utf8_valid(*local)) {
		*why = "local part is not UTF-8";
		return false;
	}
	return true;
}

/* Mailbox = Local-part "@" ( Domain / address-literal ); without a domain only
 * Postmaster, where that is allowed (4.1.1.3). */
static bool
mailbox(struct span *in, bool utf8, bool postmaster, struct smtp_path *path,
    const char **why)
{
	path->text = *in;
	if (!local_part(in, utf8, &path->local, why))
		return false;
	if (eat(in, '@')) {
		path->domain = *in;
		path->literal = at(in, '[');
		if (!domain_or_literal(in, utf8, why))
			return false;
		path->domain.len -= in->len;
	} else if (!postmaster || !span_caseis(path->local, "postmaster")) {
		*why = "no domain";
		return false;
	}
	path->text.len -= in->len;
	path->utf8 = !utf8_is_ascii(path->text);
	if (path->text.len > SMTP_PATH_MAX) {
		*why = "address too long";
		return false;
	}
	return true;
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">" */
enum parse
smtp_path_parse(struct span *in, bool utf8, bool null,
    struct smtp_path *path, const char **why)
{
	struct span	s = *in;

	*path = (struct smtp_path){ 0 };
	if (!eat(&s, '<')) {
		*why = "an address stands between < and >";
		return PARSE_BAD;
	}
	if (at(&s, '>')) {
		if (!null) {
			*why = "empty address";
			return PARSE_BAD;
		}
	} else {
		if (at(&s, '@') && !source_route(&s, utf8, why))
			return PARSE_BAD;
		if (!mailbox(&s, utf8, !null, path, why))
			return PARSE_BAD;
	}
	if (!eat(&s, '>')) {
		*why = "malformed address";
		return PARSE_BAD;
	}
	*in = s;
	return PARSE_OK;
}

enum parse
smtp_mailbox_parse(struct span in, bool utf8, struct smtp_path *path,
    const char **why)
{
	*path = (struct smtp_path){ 0 };
	if (!mailbox(&in, utf8, true, path, why))
		return PARSE_BAD;
	if (in.len > 0) {
		*why = "malformed address";
		return PARSE_BAD;
	}
	return PARSE_OK;
}

enum parse
smtp_domain_parse(struct span in, bool utf8, const char **why)
{
	if (!domain_or_literal(&in, utf8, why))
		return PARSE_BAD;
	if (in.len > 0) {
		*why = "malformed domain";
		return PARSE_BAD;
	}
	return PARSE_OK;
}

/* The local part without its quotes and backslashes; dst has room for it. */
static struct span
unquote(struct span local, uint8_t *dst)
{
	size_t	n = 0;

	if (local.len < 2 || local.p[0] != '"')
		return local;
	for (size_t i = 1; i + 1 < local.len; i++) {
		if (local.p[i] == '\\' && i + 2 < local.len)
			i++;
		dst[n++] = local.p[i];
	}
	return span(dst, n);
}

static bool
write_local(struct buf *b, struct span local)
{
	uint8_t		raw[SMTP_LOCAL_MAX];
	struct span	s, rest;
	bool		ok;

	if (local.len > sizeof(raw))
		return false;
	s = rest = unquote(local, raw);
	/* 4.1.2: the simplest form is the one to send. */
	if (dot_string(&rest, C_HIGH) && rest.len == 0)
		return buf_span(b, s);
	ok = buf_byte(b, '"');
	for (size_t i = 0; i < s.len && ok; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			ok = buf_byte(b, '\\');
		ok = ok && buf_byte(b, s.p[i]);
	}
	return ok && buf_byte(b, '"');
}

bool
smtp_path_write(struct buf *b, const struct smtp_path *path)
{
	char	ascii[SMTP_DOMAIN_MAX + 1];

	if (path->text.len == 0)
		return true;
	if (!write_local(b, path->local))
		return false;
	if (path->domain.len == 0)
		return true;
	if (!buf_byte(b, '@'))
		return false;
	if (path->literal || !utf8_is_ascii(path->local))
		return buf_span(b, path->domain);
	return smtp_path_domain(path, ascii, sizeof(ascii)) &&
	    buf_str(b, ascii);
}

bool
smtp_path_domain(const struct smtp_path *path, char *dst, size_t size)
{
	if (path->domain.len > 0 && !path->literal)
		return utf8_domain_to_ascii(path->domain, dst, size);
	if (!span_cstr(path->domain, dst, size))
		return false;
	for (; *dst != '\0'; dst++) {
		if (*dst >= 'A' && *dst <= 'Z')
			*dst = (char)(*dst - 'A' + 'a');
	}
	return true;
}
