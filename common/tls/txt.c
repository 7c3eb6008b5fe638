/*
 * See txt.h.
 */
#include "common/tls/txt.h"

/* Does it begin as one? Such alone are counted. The field-delim is *WSP ";"
 * *WSP. */
static bool
begins(struct span *s, struct span version)
{
	if (!span_starts(*s, version))
		return false;
	span_skip(s, version.len);
	*s = span_trim(*s);
	return s->len > 0 && s->p[0] == ';';
}

bool
txt_only(const struct span *txt, size_t n, const char *version,
    struct span *s)
{
	struct span	one;
	size_t		count = 0;

	for (size_t i = 0; i < n; i++) {
		one = txt[i];
		if (begins(&one, span_str(version))) {
			*s = one;
			count++;
		}
	}
	return count == 1;
}

enum parse
txt_field(struct span *s, struct span *name, struct span *value)
{
	struct span	f;
	size_t		eq;

	if (s->len == 0)
		return PARSE_MORE;
	span_skip(s, 1);
	f = span_sub(*s, 0, span_find(*s, ';'));
	span_skip(s, f.len);
	f = span_trim(f);
	if (f.len == 0 && s->len == 0)
		return PARSE_MORE;
	if ((eq = span_find(f, '=')) == 0 || eq >= f.len)
		return PARSE_BAD;
	*name = span_sub(f, 0, eq);
	*value = span_sub(f, eq + 1, f.len);
	return PARSE_OK;
}
