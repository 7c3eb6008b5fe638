/*
 * Spans: comparing, finding, cutting. See span.h.
 */
#include <stdlib.h>

#include "common/base/span.h"

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool
span_caseeq(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool
span_caseis(struct span a, const char *s)
{
	return span_caseeq(a, span_str(s));
}

bool
span_starts(struct span a, struct span b)
{
	return a.len >= b.len && span_eq(span(a.p, b.len), b);
}

bool
span_casestarts(struct span a, struct span b)
{
	return a.len >= b.len && span_caseeq(span(a.p, b.len), b);
}

bool
span_caseends(struct span a, struct span b)
{
	return a.len >= b.len &&
	    (b.len == 0 || span_caseeq(span(a.p + (a.len - b.len), b.len), b));
}

int
span_cmp(struct span a, struct span b)
{
	size_t	 n = a.len < b.len ? a.len : b.len;
	int	 c = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (c != 0)
		return c;
	return a.len < b.len ? -1 : a.len > b.len;
}

size_t
span_find(struct span s, uint8_t c)
{
	const uint8_t	*p;

	if (s.len == 0 || (p = memchr(s.p, c, s.len)) == NULL)
		return s.len;
	return (size_t)(p - s.p);
}

size_t
span_rfind(struct span s, uint8_t c)
{
	const uint8_t	*p;

	if (s.len == 0 || (p = memrchr(s.p, c, s.len)) == NULL)
		return s.len;
	return (size_t)(p - s.p);
}

struct span
span_sub(struct span s, size_t from, size_t len)
{
	if (from > s.len)
		from = s.len;
	if (len > s.len - from)
		len = s.len - from;
	return span(s.p == NULL ? NULL : s.p + from, len);
}

void
span_skip(struct span *s, size_t n)
{
	if (n > s->len)
		n = s->len;
	if (n > 0)
		s->p += n;
	s->len -= n;
}

struct span
span_trim(struct span s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		span_skip(&s, 1);
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

bool
span_word(struct span *s, const char *sep, struct span *word)
{
	size_t	 n = 0, seps = strlen(sep);

	if (s->len == 0)
		return false;
	while (n < s->len && memchr(sep, s->p[n], seps) == NULL)
		n++;
	*word = span(s->p, n);
	span_skip(s, n < s->len ? n + 1 : n);
	return true;
}

bool
span_u64(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t	 v = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned)s.p[i] - '0';

		if (d > 9 || v > max / 10 || d > max || v * 10 > max - d)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

bool
span_cstr(struct span s, char *dst, size_t size)
{
	dst[0] = '\0';
	if (s.len >= size || span_find(s, 0) != s.len)
		return false;
	if (s.len > 0)
		memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
	return true;
}

char *
span_dup(struct span s)
{
	char	*d = malloc(s.len + 1);

	if (d == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(d, s.p, s.len);
	d[s.len] = '\0';
	return d;
}
