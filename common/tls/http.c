/*
 * A response of HTTP/1.x read as a whole: the head, then a body by length, by
 * chunks or up to the end. See http.h.
 */
#include "common/tls/http.h"

#include "common/base/enc.h"

struct head {
	bool		 plain;		/* Content-Type: text/plain */
	bool		 chunked, has_length, coded;
	uint64_t	 length;
};

/* A line without its CRLF, or bare LF; false: its end is not there. */
static bool
line(struct span *s, struct span *l)
{
	size_t	n = span_find(*s, '\n');

	if (n >= s->len)
		return false;
	*l = span_sub(*s, 0, n);
	span_skip(s, n + 1);
	if (l->len > 0 && l->p[l->len - 1] == '\r')
		l->len--;
	return true;
}

/* "HTTP/1.1 200 OK" */
static bool
status_ok(struct span l, const char **why)
{
	*why = "no HTTP";
	if (!span_starts(l, span_str("HTTP/1.")) || l.len < 12 ||
	    l.p[8] != ' ')
		return false;
	*why = "its status is not 200";
	return span_is(span_sub(l, 9, 3), "200") &&
	    (l.len == 12 || l.p[12] == ' ');
}

static bool
field(struct span l, struct head *h, const char **why)
{
	size_t		colon = span_find(l, ':');
	struct span	name = span_sub(l, 0, colon), v, type;

	*why = "a malformed header";
	if (colon == 0 || colon >= l.len)
		return false;
	v = span_trim(span_sub(l, colon + 1, l.len));
	if (span_caseis(name, "Content-Type")) {
		type = span_trim(span_sub(v, 0, span_find(v, ';')));
		h->plain = span_caseis(type, "text/plain");
	} else if (span_caseis(name, "Content-Length")) {
		if (h->has_length || !span_u64(v, INT64_MAX, &h->length))
			return false;
		h->has_length = true;
	} else if (span_caseis(name, "Transfer-Encoding")) {
		if (h->chunked || !span_caseis(v, "chunked"))
			return false;
		h->chunked = true;
	} else if (span_caseis(name, "Content-Encoding"))
		h->coded = !span_caseis(v, "identity");
	return true;
}

static enum parse
head(struct span *in, struct head *h, const char **why)
{
	struct span	s = span_sub(*in, 0, HTTP_HEAD_MAX), l;
	size_t		all = s.len;

	if (!line(&s, &l))
		goto more;
	if (!status_ok(l, why))
		return PARSE_BAD;
	for (;;) {
		if (!line(&s, &l))
			goto more;
		if (l.len == 0)
			break;
		if (!field(l, h, why))
			return PARSE_BAD;
	}
	span_skip(in, all - s.len);
	*why = "it is not text/plain";
	if (!h->plain || h->coded)
		return PARSE_BAD;
	/* RFC 9112, 6.1: both at once is an attack on somebody. */
	*why = "its length is said twice";
	return h->chunked && h->has_length ? PARSE_BAD : PARSE_OK;
more:
	*why = "its header is too long";
	return all == HTTP_HEAD_MAX ? PARSE_BAD : PARSE_MORE;
}

static bool
hex(struct span s, size_t *n)
{
	size_t	i;
	int	v;

	*n = 0;
	for (i = 0; i < s.len && s.p[i] != ';' && s.p[i] != ' '; i++) {
		if (i == 7 || (v = hex_digit(s.p[i])) == -1)
			return false;
		*n = *n * 16 + (size_t)v;
	}
	return i > 0;
}

/* RFC 9112, 7.1; what may follow the last chunk is of no interest. */
static enum parse
chunks(struct span s, struct buf *body, const char **why)
{
	struct span	l;
	size_t		n;

	for (;;) {
		if (!line(&s, &l))
			return PARSE_MORE;
		*why = "a malformed chunk";
		if (!hex(l, &n))
			return PARSE_BAD;
		if (n == 0)
			return PARSE_OK;
		*why = "it is too long";
		if (n > body->max)
			return PARSE_BAD;
		if (s.len < n)
			return PARSE_MORE;
		if (!buf_add(body, s.p, n))
			return PARSE_BAD;
		span_skip(&s, n);
		if (!line(&s, &l))
			return s.len > 2 ? PARSE_BAD : PARSE_MORE;
		*why = "a malformed chunk";
		if (l.len != 0)
			return PARSE_BAD;
	}
}

enum parse
http_text(struct span in, bool eof, struct buf *body, const char **why)
{
	struct head	h = { .plain = false };
	enum parse	res;

	buf_reset(body);
	if ((res = head(&in, &h, why)) == PARSE_OK && h.chunked)
		res = chunks(in, body, why);
	else if (res == PARSE_OK) {
		*why = "it is too long";
		if ((h.has_length && h.length > body->max) ||
		    (!h.has_length && in.len > body->max))
			return PARSE_BAD;
		if (h.has_length ? in.len < h.length : !eof)
			res = PARSE_MORE;
		else if (!buf_span(body, span_sub(in, 0, h.has_length ?
		    (size_t)h.length : in.len)))
			return PARSE_BAD;
	}
	if (res == PARSE_MORE && eof) {
		*why = "it is cut short";
		return PARSE_BAD;
	}
	return res;
}

enum parse
http_accepted(struct span in, bool eof, struct buf *body, const char **why)
{
	struct span	l;

	buf_reset(body);
	*why = "no HTTP";
	if (!line(&in, &l)) {
		if (in.len < HTTP_HEAD_MAX && !eof)
			return PARSE_MORE;
		return PARSE_BAD;
	}
	if (!span_starts(l, span_str("HTTP/1.")) || l.len < 12 ||
	    l.p[8] != ' ')
		return PARSE_BAD;
	*why = "its status is not 2xx";
	return l.p[9] == '2' && (l.len == 12 || l.p[12] == ' ') ? PARSE_OK :
	    PARSE_BAD;
}
