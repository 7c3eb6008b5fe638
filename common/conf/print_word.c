/*
 * Words of a configuration as they are written: see print_i.h.
 */
#include <inttypes.h>

#include "common/conf/print_i.h"
#include "common/conf/table_i.h"

void
put_escaped(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_byte(b, '\\');
		buf_byte(b, s.p[i]);
	}
}

void
put_quoted_span(struct buf *b, struct span s)
{
	buf_byte(b, '"');
	put_escaped(b, s);
	buf_byte(b, '"');
}

void
put_quoted(struct buf *b, const char *s)
{
	put_quoted_span(b, span_str(s));
}

/* In the largest unit that loses nothing. */
void
put_duration(struct buf *b, int64_t ms)
{
	static const struct { int64_t ms; char letter; } units[] = {
		{ 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' }
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ms > 0 && ms % units[i].ms == 0) {
			buf_fmt(b, "%" PRId64 "%c", ms / units[i].ms,
			    units[i].letter);
			return;
		}
	buf_fmt(b, "%" PRId64 "s", ms / 1000);
}

void
put_size(struct buf *b, uint64_t n)
{
	static const char	 letters[] = "GMK";

	for (unsigned i = 0; i < 3; i++)
		if (n % (1ULL << (30 - 10 * i)) == 0) {
			buf_fmt(b, "%" PRIu64 "%c", n >> (30 - 10 * i),
			    letters[i]);
			return;
		}
	buf_fmt(b, "%" PRIu64, n);
}

void
put_addr(struct buf *b, const struct addr *a)
{
	char	 text[ADDR_STRLEN];

	buf_str(b, addr_str(a, text));
}

void
put_entries(struct buf *b, const struct conf_table *t)
{
	buf_str(b, "{");
	for (size_t i = 0; i < t->n; i++) {
		buf_str(b, i == 0 ? " " : ", ");
		put_quoted_span(b, t->entries[i].key);
		if (t->entries[i].value.len > 0) {
			buf_str(b, " = ");
			put_quoted_span(b, t->entries[i].value);
		}
	}
	buf_str(b, " }");
}

void
put_tspec(struct buf *b, const struct conf_table *t)
{
	buf_byte(b, ' ');
	if (t->name != NULL)
		buf_fmt(b, "<%s>", t->name);
	else
		put_entries(b, t);
}
