/*
 * Messages of the parser: position, text, the line and a caret below the place.
 */
#include <stdarg.h>
#include <string.h>

#include "common/base/utf8.h"
#include "common/conf/lex.h"

#define LINE_SHOWN_MAX	200	/* bytes; a longer line is not shown */

static void	 message(struct lex *, const struct conf_pos *, const char *,
		    const char *, va_list)
		    __attribute__((format(printf, 4, 0)));

static struct span
line_of(const struct lex *l, const struct conf_pos *pos)
{
	struct span	 s, line = span(NULL, 0);
	unsigned	 n = 1;

	for (size_t i = 0; i < l->nseen; i++) {
		if (strcmp(l->seen[i].file, pos->file) != 0)
			continue;
		s = l->seen[i].text;
		while (span_word(&s, "\n", &line))
			if (n++ == pos->line)
				return line;
		break;
	}
	return span(NULL, 0);
}

/* Tabs are one blank here, so that the caret stands where it belongs; so does
 * a character of several bytes. */
static void
show_line(struct buf *b, struct span line, unsigned col)
{
	bool	 utf8 = utf8_valid(line);

	buf_str(b, "    ");
	for (size_t i = 0; i < line.len; i++) {
		uint8_t	 c = line.p[i];

		if (c == '\t')
			c = ' ';
		else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			c = '?';
		buf_byte(b, c);
	}
	buf_str(b, "\n    ");
	for (size_t i = 0; i + 1 < col; i++)
		if (!utf8 || i >= line.len || (line.p[i] & 0xc0) != 0x80)
			buf_byte(b, ' ');
	buf_str(b, "^\n");
}

static void
message(struct lex *l, const struct conf_pos *pos, const char *kind,
    const char *fmt, va_list ap)
{
	struct span	 line = line_of(l, pos);

	buf_fmt(l->msgs, "%s:%u:%u: %s: ", pos->file, pos->line, pos->col,
	    kind);
	buf_vfmt(l->msgs, fmt, ap);
	buf_str(l->msgs, "\n");
	if (line.len > 0 && line.len <= LINE_SHOWN_MAX)
		show_line(l->msgs, line, pos->col);
}

void
lex_error(struct lex *l, const struct conf_pos *pos, const char *fmt, ...)
{
	va_list	 ap;

	l->errors++;
	if (l->errors == LEX_SHOWN_MAX + 1)
		buf_str(l->msgs, "more errors are not shown\n");
	if (l->errors > LEX_SHOWN_MAX)
		return;
	va_start(ap, fmt);
	message(l, pos, "error", fmt, ap);
	va_end(ap);
}

void
lex_warning(struct lex *l, const struct conf_pos *pos, const char *fmt, ...)
{
	va_list	 ap;

	l->warnings++;
	if (l->warnings == LEX_SHOWN_MAX + 1)
		buf_str(l->msgs, "more warnings are not shown\n");
	if (l->warnings > LEX_SHOWN_MAX)
		return;
	va_start(ap, fmt);
	message(l, pos, "warning", fmt, ap);
	va_end(ap);
}
