/*
 * SMTP replies, read from servers and written to clients (RFC 5321, 4.2). What
 * a server says is judged line by line and kept as clean text; nothing of it is
 * ever passed on as it came.
 */
#include "common/smtp/reply.h"

#include "common/base/utf8.h"

void
smtp_reply_init(struct smtp_reply *r)
{
	*r = (struct smtp_reply){ 0 };
	buf_init(&r->text, SMTP_REPLY_LINES_MAX * (SMTP_REPLY_LINE_MAX + 1));
	buf_init(&r->line, SMTP_REPLY_LINE_MAX);
}

void
smtp_reply_line_max(struct smtp_reply *r, size_t max)
{
	r->line.max = max;
}

void
smtp_reply_clear(struct smtp_reply *r)
{
	buf_clear(&r->text);
	buf_clear(&r->line);
	smtp_reply_init(r);
}

/* Forgets the reply that was given; keeps the memory. */
static void
next_reply(struct smtp_reply *r)
{
	buf_reset(&r->text);
	buf_reset(&r->line);
	r->code = r->first = 0;
	r->lines = 0;
	r->cut = r->complete = r->cr = r->over = false;
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/*
 * Reply-code = %x32-35 %x30-35 %x30-39. The second digit is taken up to 9, as
 * there are servers with such codes; a preliminary 1yz is no SMTP.
 */
static bool
line_code(struct span line, uint16_t *code, bool *last)
{
	if (line.len < 3 || line.p[0] < '2' || line.p[0] > '5' ||
	    !is_digit(line.p[1]) || !is_digit(line.p[2]))
		return false;
	if (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return false;
	*code = (uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 +
	    (line.p[2] - '0'));
	*last = line.len == 3 || line.p[3] == ' ';
	return true;
}

/* textstring = 1*(%d09 / %d32-126), and UTF-8 where it may stand (RFC 6531,
 * 3.7.4); a byte that is none of these becomes "?". */
static bool
add_clean(struct buf *b, struct span s, bool utf8)
{
	uint8_t	*p;

	if (s.len == 0)
		return true;
	if ((p = buf_room(b, s.len)) == NULL)
		return false;
	utf8 = utf8 && utf8_valid(s);
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	c = s.p[i];

		if ((c < ' ' && c != '\t') || c == 127 || (c > 127 && !utf8))
			c = '?';
		p[i] = c;
	}
	buf_added(b, s.len);
	return true;
}

/* A line that was cut within a UTF-8 sequence ends before it. */
static struct span
whole_chars(struct span s)
{
	size_t	n = s.len;

	for (int i = 0; i < 3 && n > 0 && (s.p[n - 1] & 0xc0) == 0x80; i++)
		n--;
	if (n > 0 && s.p[n - 1] >= 0xc0)
		s.len = n - 1;
	return s;
}

/* One whole line is in r->line. */
static enum parse
end_line(struct smtp_reply *r, bool utf8, const char **why)
{
	struct span	line = buf_content(&r->line), text;
	uint16_t	code;
	bool		last;

	if (!line_code(line, &code, &last)) {
		*why = "not an SMTP reply";
		return PARSE_BAD;
	}
	if (r->lines > 0 && code != r->first) {
		*why = "codes of one reply differ";
		return PARSE_BAD;
	}
	r->code = r->first = code;
	text = span_sub(line, 4, line.len);
	if (r->over) {
		r->cut = true;
		if (utf8)
			text = whole_chars(text);
	}
	if (r->lines < SMTP_REPLY_LINES_MAX) {
		if ((r->lines > 0 && !buf_byte(&r->text, '\n')) ||
		    !add_clean(&r->text, text, utf8)) {
			*why = "out of memory";
			return PARSE_BAD;
		}
	} else
		r->cut = true;
	if (r->lines < UINT16_MAX)
		r->lines++;
	buf_reset(&r->line);
	r->over = r->cr = false;
	r->complete = last;
	return last ? PARSE_OK : PARSE_MORE;
}

/* Bytes of a line, without its CR LF; what is too long is left out. */
static bool
keep(struct smtp_reply *r, const uint8_t *p, size_t n)
{
	size_t	room = r->line.max - buf_len(&r->line);

	if (n > room) {
		n = room;
		r->over = true;
	}
	return n == 0 || buf_add(&r->line, p, n);
}

enum parse
smtp_reply_feed(struct smtp_reply *r, struct span *in, bool utf8,
    const char **why)
{
	const uint8_t	*lf;
	enum parse	 res;
	size_t		 n;
	bool		 cr;

	if (r->complete)
		next_reply(r);
	while (in->len > 0) {
		lf = memchr(in->p, '\n', in->len);
		n = lf != NULL ? (size_t)(lf - in->p) : in->len;
		/* A CR of the last call turns out to be half of a CR LF or a
		 * byte of text. */
		if (r->cr && n > 0 && !keep(r, (const uint8_t *)"\r", 1))
			goto nomem;
		cr = n > 0 ? in->p[n - 1] == '\r' : r->cr;
		if (!keep(r, in->p, n > 0 && cr ? n - 1 : n))
			goto nomem;
		r->cr = cr;
		span_skip(in, lf != NULL ? n + 1 : n);
		if (lf == NULL)
			break;
		if (!cr) {
			*why = "a reply's line ends in a bare LF";
			return PARSE_BAD;
		}
		if ((res = end_line(r, utf8, why)) != PARSE_MORE)
			return res;
	}
	return PARSE_MORE;
nomem:
	*why = "out of memory";
	return PARSE_BAD;
}

/* "." 1*3DIGIT from *i on. */
static bool
dot_number(struct span s, size_t *i)
{
	size_t	n = 0;

	if (*i >= s.len || s.p[*i] != '.')
		return false;
	for (++*i; *i < s.len && is_digit(s.p[*i]); ++*i)
		n++;
	return n >= 1 && n <= 3;
}

/* RFC 3463, 2: class "." subject "." detail. */
bool
smtp_enhanced(uint16_t code, struct span text, struct span *enh)
{
	size_t	i = 1;

	if (text.len < 5 || text.p[0] != '0' + code / 100 ||
	    (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5') ||
	    !dot_number(text, &i) || !dot_number(text, &i))
		return false;
	if (i < text.len && text.p[i] != ' ' && text.p[i] != '\n' &&
	    text.p[i] != '\t')
		return false;
	*enh = span(text.p, i);
	return true;
}

/* The next line of text, which always has one, if only an empty one. */
static bool
next_line(struct span *text, bool *end, struct span *line)
{
	size_t	n;

	if (*end)
		return false;
	n = span_find(*text, '\n');
	*line = span_sub(*text, 0, n);
	*end = n >= text->len;
	span_skip(text, n + 1);
	return true;
}

bool
smtp_reply_write(struct buf *b, uint16_t code, struct span text)
{
	struct span	line;
	bool		end = false;

	if (code < 200 || code > 599)
		return false;
	while (next_line(&text, &end, &line)) {
		/* 4.2: a space follows the code even without text, as there
		 * are clients that want it. */
		if (!buf_fmt(b, "%03u%c", (unsigned)code, end ? ' ' : '-') ||
		    !add_clean(b, line, true) || !buf_str(b, "\r\n"))
			return false;
	}
	return true;
}

bool
smtp_reply_flat(struct buf *b, uint16_t code, struct span text)
{
	struct span	line;
	bool		end = false, first = true;

	if (!buf_fmt(b, "%03u", (unsigned)code))
		return false;
	while (next_line(&text, &end, &line)) {
		if (line.len == 0 && end)
			break;
		if (!buf_str(b, first ? " " : " / ") ||
		    !add_clean(b, line, true))
			return false;
		first = false;
	}
	return true;
}
