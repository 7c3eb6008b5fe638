/*
 * Address lists: see mailbox.h. The reader goes by tokens: words, the points
 * and signs of an addr-spec are put together until "<" shows that they were a
 * display name, ":" that they named a group, or the element ends.
 */
#include "common/mime/mailbox.h"

#include "common/base/enc.h"
#include "common/base/utf8.h"

#define ADDR_MAX	1024	/* octets of an addr-spec; a path has 511 */
#define WORD_MAX	75	/* an encoded word (RFC 2047, 2) */

/* Specials (RFC 5322, 3.2.3) without the point, which local parts have. */
static bool
is_atom(uint8_t c)
{
	return c > ' ' && c != 127 && strchr("()<>[]:;@\\,\"", c) == NULL;
}

static uint8_t
first(const struct span *in)
{
	return in->len > 0 ? in->p[0] : 0;
}

/* At one of these, or at the end. */
static bool
ends(const struct span *in, const char *signs)
{
	return in->len == 0 || (in->p[0] != 0 &&
	    strchr(signs, in->p[0]) != NULL);
}

/* comment = "(" *([FWS] ccontent) [FWS] ")", and they nest. */
static bool
skip_comment(struct mailbox_list *l)
{
	size_t	depth = 0;

	do {
		if (l->in.len == 0) {
			l->why = "a comment has no end";
			return false;
		}
		if (l->in.p[0] == '(')
			depth++;
		else if (l->in.p[0] == ')')
			depth--;
		else if (l->in.p[0] == '\\')
			span_skip(&l->in, 1);
		span_skip(&l->in, 1);
	} while (depth > 0);
	return true;
}

/* CFWS; *any if there was some. */
static bool
skip_cfws(struct mailbox_list *l, bool *any)
{
	*any = false;
	while (l->in.len > 0) {
		switch (l->in.p[0]) {
		case ' ':
		case '\t':
		case '\r':
		case '\n':
			span_skip(&l->in, 1);
			break;
		case '(':
			if (!skip_comment(l))
				return false;
			break;
		default:
			return true;
		}
		*any = true;
	}
	return true;
}

static bool
put(struct mailbox_list *l, struct span s)
{
	if (buf_span(&l->addr, s))
		return true;
	l->why = "an address or a name is too long";
	return false;
}

/* Eats n bytes, of which folds are left out. */
static bool
take_unfolded(struct mailbox_list *l, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (l->in.p[i] != '\r' && l->in.p[i] != '\n' &&
		    !put(l, span_sub(l->in, i, 1)))
			return false;
	span_skip(&l->in, n);
	return true;
}

/* quoted-string, with its quotes. */
static bool
take_quoted(struct mailbox_list *l)
{
	size_t	n = 1;

	for (;; n++) {
		if (n >= l->in.len) {
			l->why = "a quoted string has no end";
			return false;
		}
		if (l->in.p[n] == '"')
			break;
		if (l->in.p[n] == '\\')
			n++;
	}
	return take_unfolded(l, n + 1);
}

/* domain-literal = "[" … "]" */
static bool
take_literal(struct mailbox_list *l)
{
	size_t	n = span_find(l->in, ']');

	if (n == l->in.len) {
		l->why = "an address literal has no end";
		return false;
	}
	return take_unfolded(l, n + 1);
}

static bool
take_atom(struct mailbox_list *l)
{
	size_t	n = 0;

	while (n < l->in.len && is_atom(l->in.p[n]))
		n++;
	if (!put(l, span_sub(l->in, 0, n)))
		return false;
	span_skip(&l->in, n);
	return true;
}

/* What has been put together of an element. */
struct element {
	size_t	 words;		/* runs that blanks part */
	bool	 at;		/* "@" outside of quotes */
	bool	 doubtful;	/* see struct mailbox */
	bool	 joins;		/* the last was "@" or ended in a point */
	size_t	 start, end;	/* in the input: the first token, and behind
				 * the last one */
};

/*
 * The tokens up to one that ends them: , ; : < > or the end. Blanks around "@"
 * and points belong to an addr-spec (4.4), elsewhere they part words.
 */
static bool
take_words(struct mailbox_list *l, struct element *e)
{
	bool	 blank, ok;
	uint8_t	 c;

	*e = (struct element){ .end = l->all.len - l->in.len };
	for (;;) {
		if (!skip_cfws(l, &blank))
			return false;
		if (ends(&l->in, ",;:<>"))
			return true;
		c = first(&l->in);
		if (e->words == 0)
			e->start = l->all.len - l->in.len;
		if (e->words == 0 || (blank && !e->joins && c != '@' &&
		    c != '.'))
			e->words++;
		if (c == '@') {
			e->at = true;
			ok = put(l, span_sub(l->in, 0, 1));
			span_skip(&l->in, 1);
		} else if (c == '"')
			ok = take_quoted(l);
		else if (c == '[')
			ok = take_literal(l);
		else if (is_atom(c))
			ok = take_atom(l);
		else {
			l->why = "a character that cannot stand there";
			ok = false;
		}
		if (!ok)
			return false;
		e->end = l->all.len - l->in.len;
		c = l->in.p[-1];
		e->joins = c == '@' || c == '.';
	}
}

/* obs-route = "@" domain *("," "@" domain) ":", which means nothing. */
static bool
skip_route(struct mailbox_list *l, bool *is)
{
	size_t	n = span_find(l->in, ':');

	*is = first(&l->in) == '@';
	if (!*is)
		return true;
	if (n == l->in.len || span_find(l->in, '>') < n) {
		l->why = "a route without an address";
		return false;
	}
	span_skip(&l->in, n + 1);
	return true;
}

/* angle-addr, behind its "<"; and nothing but the element's end behind it. */
static bool
take_angle(struct mailbox_list *l, struct element *e)
{
	bool	blank, doubtful = e->at, route;

	buf_reset(&l->addr);
	if (!skip_cfws(l, &blank) || !skip_route(l, &route) ||
	    !take_words(l, e))
		return false;
	e->doubtful = doubtful || route;
	if (first(&l->in) != '>') {
		l->why = "an address in < > has no end";
		return false;
	}
	span_skip(&l->in, 1);
	if (!skip_cfws(l, &blank))
		return false;
	if (!ends(&l->in, ",;")) {
		l->why = "no comma behind an address";
		return false;
	}
	return true;
}

/* The sign that ended the words of an element, or began its other part. */
static bool
element(struct mailbox_list *l, struct element *e, bool *found)
{
	*found = false;
	buf_reset(&l->addr);
	if (!take_words(l, e))
		return false;
	switch (first(&l->in)) {
	case '<':
		span_skip(&l->in, 1);
		if (!take_angle(l, e))
			return false;
		break;
	case '>':
		l->why = "> without <";
		return false;
	case ':':
		if (l->group || e->at || e->words == 0) {
			l->why = "a colon that begins no group";
			return false;
		}
		l->group = true;
		span_skip(&l->in, 1);
		return true;
	default:
		/* An empty one: obs-addr-list, or an empty group. */
		if (e->words == 0)
			return true;
		break;
	}
	if (e->words != 1) {
		l->why = e->words == 0 ? "an empty address" :
		    "blanks within an address";
		return false;
	}
	*found = true;
	return true;
}

/* Eats the comma or semicolon behind an element. */
static bool
separator(struct mailbox_list *l)
{
	switch (first(&l->in)) {
	case ',':
		span_skip(&l->in, 1);
		break;
	case ';':
		if (!l->group) {
			l->why = "a semicolon without a group";
			return false;
		}
		l->group = false;
		span_skip(&l->in, 1);
		break;
	}
	return true;
}

void
mailbox_list_begin(struct mailbox_list *l, struct span text)
{
	*l = (struct mailbox_list){ .all = text, .in = text };
	buf_init(&l->addr, ADDR_MAX);
}

void
mailbox_list_clear(struct mailbox_list *l)
{
	buf_clear(&l->addr);
}

bool
mailbox_next(struct mailbox_list *l, struct mailbox *m)
{
	struct element	e;
	bool		found;

	while (l->why == NULL && l->in.len > 0) {
		if (!element(l, &e, &found) || !separator(l))
			return false;
		if (!found)
			continue;
		m->addr = buf_content(&l->addr);
		m->domain = e.at;
		m->doubtful = e.doubtful;
		m->start = e.start;
		m->end = e.end;
		return true;
	}
	if (l->why == NULL && l->group)
		l->why = "a group has no end";
	return false;
}

/* ---- writing ------------------------------------------------------------- */

/* Of a multiple of three octets, so that each word is whole in itself, and of
 * whole characters (RFC 2047, 5). */
static bool
encoded_words(struct buf *b, struct span s)
{
	const size_t	max = (WORD_MAX - sizeof("=?UTF-8?B?") -
	    sizeof("?=") + 2) / 4 * 3;
	bool		ok = true;

	while (ok && s.len > 0) {
		size_t n = s.len < max ? s.len : max;

		while (n < s.len && n > 1 && (s.p[n] & 0xc0) == 0x80)
			n--;
		ok = buf_str(b, "=?UTF-8?B?") &&
		    enc_base64(b, span_sub(s, 0, n)) && buf_str(b, "?=");
		span_skip(&s, n);
		if (s.len > 0)
			ok = ok && buf_byte(b, ' ');
	}
	return ok;
}

static bool
quoted(struct buf *b, struct span s)
{
	buf_byte(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < ' ' || s.p[i] == 127)
			continue;
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_byte(b, '\\');
		buf_byte(b, s.p[i] > 127 ? '?' : s.p[i]);
	}
	return buf_byte(b, '"');
}

bool
mailbox_phrase_write(struct buf *b, struct span name)
{
	bool	atoms = name.len > 0;

	if (!utf8_is_ascii(name) && utf8_valid(name))
		return encoded_words(b, name);
	for (size_t i = 0; i < name.len; i++)
		atoms = atoms && (name.p[i] == ' ' ? i > 0 &&
		    i + 1 < name.len : name.p[i] != '.' && name.p[i] < 127 &&
		    is_atom(name.p[i]));
	return atoms ? buf_span(b, name) : quoted(b, name);
}
