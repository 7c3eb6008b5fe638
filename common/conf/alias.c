/*
 * Lists of what an alias stands for. See alias.h.
 */
#include "common/conf/alias.h"

#include <stdio.h>

#include "common/base/utf8.h"
#include "common/conf/table.h"

static const char	a_program[] = "a program: postern starts none for mail";
static const char	a_file[] = "a file: postern keeps no mail in files";
static const struct span include = SPAN(":include:");

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Bytes of the quoted string at the front, with its quotes; 0: it has no
 * end. */
static size_t
quoted_len(struct span s)
{
	for (size_t i = 1; i < s.len && s.p[i] != '\n'; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* An element without the blanks around it; in moves behind its separator.
 * False: a quote has no end. */
static bool
take_element(struct span *in, struct span *e)
{
	size_t	 n = 0, q;

	while (n < in->len && in->p[n] != ',' && in->p[n] != '\n') {
		q = 1;
		if (in->p[n] == '"' && (q = quoted_len(span_sub(*in, n,
		    in->len))) == 0) {
			span_skip(in, in->len);
			return false;
		}
		n += q;
	}
	*e = span_sub(*in, 0, n);
	span_skip(in, n + 1);
	while (e->len > 0 && is_blank(e->p[e->len - 1]))
		e->len--;
	return true;
}

static bool
is_local_part(struct span s)
{
	if (s.len == 0 || s.len > ALIAS_LOCAL_MAX || !utf8_valid(s))
		return false;
	/* No control is in a quoted string either (RFC 5321, 4.1.2). */
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	if (s.p[0] == '"')
		return s.len > 2 && quoted_len(s) == s.len;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == ' ' ||
		    strchr("()<>[]:;@\\,\"", s.p[i]) != NULL ||
		    (s.p[i] == '.' && (i == 0 || i + 1 == s.len ||
		    s.p[i - 1] == '.')))
			return false;
	return true;
}

static bool
is_domain(struct span s)
{
	char	 tmp[256];

	return (s.len > 2 && s.len < 64 && s.p[0] == '[' &&
	    span_find(s, ']') == s.len - 1 && utf8_is_ascii(s)) ||
	    utf8_domain_to_ascii(s, tmp, sizeof(tmp));
}

/* Where the domain's @ is; behind a quoted local part. */
static size_t
find_at(struct span s)
{
	size_t	 q = s.len > 0 && s.p[0] == '"' ? quoted_len(s) : 0;

	return q + span_find(span_sub(s, q, s.len), '@');
}

static enum parse
address(struct alias *a, const char **why)
{
	size_t	 at = find_at(a->text);

	*why = "no address, name, @domain or :include:file";
	if (at == 0) {
		a->kind = ALIAS_DOMAIN;
		span_skip(&a->text, 1);
		return is_domain(a->text) ? PARSE_OK : PARSE_BAD;
	}
	a->kind = at < a->text.len ? ALIAS_ADDRESS : ALIAS_NAME;
	if (!is_local_part(span_sub(a->text, 0, at)) || (at < a->text.len &&
	    !is_domain(span_sub(a->text, at + 1, a->text.len))))
		return PARSE_BAD;
	return PARSE_OK;
}

/* A program or a file may be quoted as a whole: "|vacation anna". */
static const char *
unsafe(struct span s)
{
	if (s.len > 1 && s.p[0] == '"' && quoted_len(s) == s.len)
		span_skip(&s, 1);
	return s.len > 0 && s.p[0] == '|' ? a_program :
	    s.len > 0 && s.p[0] == '/' ? a_file : NULL;
}

enum parse
alias_next(struct span *in, struct alias *a, const char **why)
{
	struct span	 e;

	for (;;) {
		while (in->len > 0 && (is_blank(in->p[0]) || in->p[0] == ',' ||
		    in->p[0] == '\n'))
			span_skip(in, 1);
		if (in->len == 0)
			return PARSE_MORE;
		if (in->p[0] != '#')
			break;
		span_skip(in, span_find(*in, '\n'));
	}
	*a = (struct alias){ .kind = ALIAS_NAME };
	*why = "a quote without an end";
	if (!take_element(in, &e))
		return PARSE_BAD;
	a->text = e;
	if ((*why = unsafe(e)) != NULL)
		return PARSE_BAD;
	/* The whole of it may be quoted too, as sendmail has it. */
	if (e.len > include.len + 1 && e.p[0] == '"' &&
	    quoted_len(e) == e.len &&
	    span_casestarts(span_sub(e, 1, e.len), include))
		e = span_sub(e, 1, e.len - 2);
	if (!span_casestarts(e, include))
		return address(a, why);
	a->kind = ALIAS_INCLUDE;
	a->text = span_trim(span_sub(e, include.len, e.len));
	*why = "no name of a file behind :include:";
	return a->text.len > 0 && a->text.len <= ALIAS_PATH_MAX ? PARSE_OK :
	    PARSE_BAD;
}

/* ---- what it means for a recipient ----------------------------------------- */

/* The part of a local part behind its name: "+ext", or nothing. */
static struct span
extension(const struct conf *c, struct span local)
{
	size_t	 n = c->subaddress[0] == '\0' || (local.len > 0 &&
		    local.p[0] == '"') ? local.len :
		    span_find(local, (uint8_t)c->subaddress[0]);

	return span_sub(local, n == 0 ? local.len : n, local.len);
}

bool
alias_address(const struct conf *c, const struct alias *a, struct span rcpt,
    bool by_user, char dst[ALIAS_ADDR_MAX])
{
	size_t		 at = find_at(rcpt);
	struct span	 local = span_sub(rcpt, 0, at), ext = { NULL, 0 };
	struct span	 domain = at < rcpt.len ?
			    span_sub(rcpt, at + 1, rcpt.len) :
			    span_str(c->hostname);
	struct span	 name = a->text, to = domain;
	char		 ascii[256];
	int		 n;

	if (a->kind == ALIAS_DOMAIN) {
		name = local;
		to = a->text;
	} else if (a->kind == ALIAS_ADDRESS) {
		at = find_at(a->text);
		name = span_sub(a->text, 0, at);
		to = span_sub(a->text, at + 1, a->text.len);
	}
	if (utf8_domain_to_ascii(to, ascii, sizeof(ascii)))
		to = span_str(ascii);
	if (by_user && a->kind != ALIAS_DOMAIN && span_caseeq(to, domain) &&
	    name.p[0] != '"' && extension(c, name).len == 0)
		ext = extension(c, local);
	if (name.len + ext.len > ALIAS_LOCAL_MAX)
		return false;
	n = snprintf(dst, ALIAS_ADDR_MAX, "%.*s%.*s@%.*s", (int)name.len,
	    (const char *)name.p, (int)ext.len, ext.len > 0 ?
	    (const char *)ext.p : "", (int)to.len, (const char *)to.p);
	return n > 0 && n < ALIAS_ADDR_MAX;
}

bool
alias_file(const struct conf *c, struct span path, struct span *text)
{
	for (size_t i = 0; i < c->nlists; i++)
		if (span_eq(c->lists[i].path, path)) {
			*text = c->lists[i].text;
			return true;
		}
	return false;
}

bool
alias_entry(const struct conf *c, const struct conf_action *a,
    struct span rcpt, bool ours, struct span *value, bool *by_user)
{
	size_t		 at = find_at(rcpt);
	struct span	 local = span_sub(rcpt, 0, at), ext, name, whole;
	char		 tmp[ALIAS_ADDR_MAX];
	int		 n;

	*by_user = false;
	if (!table_get_mail(a->aliases, rcpt, c->subaddress, ours, value))
		return false;
	ext = extension(c, local);
	if (ext.len == 0 || table_get(a->aliases, rcpt, NULL))
		return true;
	/* By which of the keys that table_get_mail() tries? */
	name = span_sub(local, 0, local.len - ext.len);
	n = snprintf(tmp, sizeof(tmp), "%.*s%.*s", (int)name.len,
	    (const char *)name.p, (int)(rcpt.len - at), rcpt.len > at ?
	    (const char *)rcpt.p + at : "");
	whole = n > 0 && n < (int)sizeof(tmp) ? span(tmp, (size_t)n) : rcpt;
	*by_user = table_get(a->aliases, whole, NULL) || (ours &&
	    !table_get(a->aliases, local, NULL) &&
	    table_get(a->aliases, name, NULL));
	return true;
}
