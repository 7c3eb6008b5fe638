/*
 * See edit.h. A field is held until the line behind it shows that it is whole;
 * a line that is folded, until it is too long or ends.
 */
#include "common/mime/edit.h"

#include "common/mime/header.h"
#include "common/mime/mailbox.h"

enum {
	ED_HEADER,		/* fields, held */
	ED_LONG,		/* the rest of one that is too long */
	ED_LONG_BOL,		/* behind one of its lines */
	ED_BODY
};

void
edit_begin(struct edit *e, bool fold, edit_addr *rewrite, void *arg)
{
	*e = (struct edit){ .fold = fold, .rewrite = rewrite, .arg = arg,
	    .continues = true };
	buf_init(&e->hold, EDIT_FIELD_MAX);
	buf_init(&e->part, EDIT_LINE_MAX + 1);
}

void
edit_clear(struct edit *e)
{
	buf_clear(&e->hold);
	buf_clear(&e->part);
}

static void
put(struct edit *e, struct span s, struct buf *out)
{
	if (!buf_span(out, s))
		e->failed = true;
}

/* ---- folding --------------------------------------------------------------- */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Where a line of EDIT_LINE_MAX bytes is cut: before its last blank that has
 * something else in front of it, else anywhere but within a character. */
static size_t
cut_at(struct span line, bool *blank)
{
	size_t	 n, first = 0;

	while (first < line.len && is_blank(line.p[first]))
		first++;
	for (n = line.len - 1; n > first; n--)
		if (is_blank(line.p[n])) {
			*blank = true;
			return n;
		}
	*blank = false;
	for (n = line.len; n > line.len - 4 && (line.p[n - 1] & 0xc0) == 0x80;)
		n--;
	return line.p[n - 1] >= 0xc0 ? n - 1 : n;
}

/* The line so far is full, and goes on. */
static void
break_line(struct edit *e, struct buf *out)
{
	uint8_t		 rest[EDIT_LINE_MAX];
	struct span	 line = buf_content(&e->part);
	bool		 blank;
	size_t		 n = cut_at(line, &blank), left = line.len - n;

	put(e, span_sub(line, 0, n), out);
	put(e, span_str("\r\n"), out);
	memcpy(rest, line.p + n, left);
	buf_reset(&e->part);
	if (!blank && e->continues)
		buf_byte(&e->part, ' ');
	buf_add(&e->part, rest, left);
	e->folded++;
}

static void
folded(struct edit *e, struct span in, struct buf *out)
{
	size_t	n, room;

	while (in.len > 0 && !e->failed) {
		if (in.p[0] == '\n') {
			put(e, buf_content(&e->part), out);
			put(e, span_str("\r\n"), out);
			buf_reset(&e->part);
			span_skip(&in, 1);
			continue;
		}
		if (in.p[0] == '\r') {
			span_skip(&in, 1);
			continue;
		}
		if (buf_len(&e->part) >= EDIT_LINE_MAX)
			break_line(e, out);
		n = span_find(in, '\r');
		room = EDIT_LINE_MAX - buf_len(&e->part);
		n = n < room ? n : room;
		if (!buf_add(&e->part, in.p, n))
			e->failed = true;
		span_skip(&in, n);
	}
}

static void
emit(struct edit *e, struct span s, bool fold, struct buf *out)
{
	if (fold)
		folded(e, s, out);
	else
		put(e, s, out);
}

/* ---- fields ---------------------------------------------------------------- */

static bool
names_senders(struct span name)
{
	static const char *const fields[] = { "From", "Sender", "Reply-To" };
	static const struct span resent = SPAN("Resent-");

	if (span_casestarts(name, resent))
		span_skip(&name, resent.len);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (span_caseis(name, fields[i]))
			return true;
	return false;
}

/* The field with the addresses in it rewritten, in b. False: none was, or it is
 * no list of addresses. */
static bool
rewrite(struct edit *e, const struct header_field *f, struct buf *b)
{
	struct mailbox_list	 l;
	struct mailbox		 m;
	char			 dst[EDIT_ADDR_MAX];
	unsigned		 n = 0;
	size_t			 done = 0;

	buf_span(b, span_sub(f->all, 0, (size_t)(f->body.p - f->all.p)));
	mailbox_list_begin(&l, f->body);
	while (mailbox_next(&l, &m)) {
		if (!e->rewrite(m.addr, dst, e->arg))
			continue;
		buf_span(b, span_sub(f->body, done, m.start - done));
		buf_str(b, dst);
		done = m.end;
		n++;
	}
	buf_span(b, span_sub(f->body, done, SIZE_MAX));
	buf_str(b, "\r\n");
	if (l.why != NULL)
		n = 0;
	mailbox_list_clear(&l);
	e->rewritten += n;
	return n > 0;
}

static void
field(struct edit *e, struct span all, struct buf *out)
{
	struct header_field	 f;
	struct span		 in = all;
	struct buf		 b;

	if (e->rewrite == NULL || !header_next(&in, &f) ||
	    !names_senders(f.name)) {
		emit(e, all, e->fold, out);
		return;
	}
	buf_init(&b, EDIT_OUT);
	/* Longer addresses may make a line too long. */
	if (rewrite(e, &f, &b))
		emit(e, buf_content(&b), true, out);
	else
		emit(e, all, e->fold, out);
	e->failed = e->failed || b.failed;
	buf_clear(&b);
}

/* All but the last line of what is held is a field, and whole. */
static void
flush(struct edit *e, struct buf *out)
{
	if (e->line == 0)
		return;
	field(e, span_sub(buf_content(&e->hold), 0, e->line), out);
	buf_drain(&e->hold, e->line);
	e->line = 0;
}

/* What is held is no header any more. */
static void
body(struct edit *e, struct buf *out)
{
	/* Not one field: nothing is before it. */
	e->state = ED_BODY;
	e->continues = false;
	emit(e, buf_content(&e->hold), e->fold, out);
	buf_reset(&e->hold);
}

/* The last line of what is held is whole. */
static void
line_is_whole(struct edit *e, struct buf *out)
{
	struct span	line = span_sub(buf_content(&e->hold), e->line,
			    SIZE_MAX);

	if (e->line > 0 && is_blank(line.p[0])) {
		e->line = buf_len(&e->hold);
		return;
	}
	flush(e, out);
	line = buf_content(&e->hold);
	if (header_begins(line))
		e->line = line.len;
	else
		body(e, out);
}

/* A field too long to be held passes as it is. */
static void
overflow(struct edit *e, struct buf *out)
{
	bool	whole = e->line == buf_len(&e->hold);

	if (e->line == 0 && !header_begins(buf_content(&e->hold))) {
		body(e, out);
		return;
	}
	/* The line that has just begun may be the next field. */
	if (e->line > 0 && !whole &&
	    !is_blank(buf_content(&e->hold).p[e->line])) {
		flush(e, out);
		return;
	}
	emit(e, buf_content(&e->hold), e->fold, out);
	buf_reset(&e->hold);
	e->line = 0;
	e->state = whole ? ED_LONG_BOL : ED_LONG;
}

static void
header(struct edit *e, struct span *in, struct buf *out)
{
	size_t	n = span_find(*in, '\n'), room;

	n = n < in->len ? n + 1 : in->len;
	room = EDIT_FIELD_MAX - buf_len(&e->hold);
	if (room == 0) {
		overflow(e, out);
		return;
	}
	n = n < room ? n : room;
	if (!buf_add(&e->hold, in->p, n))
		e->failed = true;
	span_skip(in, n);
	if (in->p[-1] == '\n')
		line_is_whole(e, out);
}

static void
long_field(struct edit *e, struct span *in, struct buf *out)
{
	size_t	n;

	if (e->state == ED_LONG_BOL && !is_blank(in->p[0])) {
		e->state = ED_HEADER;
		return;
	}
	n = span_find(*in, '\n');
	e->state = n < in->len ? ED_LONG_BOL : ED_LONG;
	n = n < in->len ? n + 1 : in->len;
	emit(e, span_sub(*in, 0, n), e->fold, out);
	span_skip(in, n);
}

void
edit_feed(struct edit *e, struct span in, struct buf *out)
{
	while (in.len > 0 && !e->failed) {
		switch (e->state) {
		case ED_HEADER:
			header(e, &in, out);
			break;
		case ED_BODY:
			emit(e, in, e->fold, out);
			in.len = 0;
			break;
		default:
			long_field(e, &in, out);
			break;
		}
	}
}

void
edit_end(struct edit *e, struct buf *out)
{
	if (e->state == ED_HEADER) {
		flush(e, out);
		emit(e, buf_content(&e->hold), e->fold, out);
		buf_reset(&e->hold);
	}
	put(e, buf_content(&e->part), out);
	buf_reset(&e->part);
}
