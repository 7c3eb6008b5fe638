/*
 * The message on its way in: see intake.h.
 */
#include "posternctl/intake.h"

#include "common/base/utf8.h"
#include "common/mime/header.h"

void
intake_begin(struct intake *m, bool dots)
{
	*m = (struct intake){ .dots = dots };
	buf_init(&m->head, INTAKE_HEADER_MAX);
	spill_init(&m->body, INTAKE_BODY_MAX);
	buf_init(&m->line, INTAKE_BODY_MAX);
}

void
intake_clear(struct intake *m)
{
	buf_clear(&m->head);
	spill_clear(&m->body);
	buf_clear(&m->line);
}

/* How much of an over-long line stands on the first of its lines: up to a
 * blank, which then begins the next, or else whole characters. */
static size_t
fold_at(struct span line, size_t max)
{
	size_t	n = max;

	while (n > 1 && line.p[n] != ' ' && line.p[n] != '\t')
		n--;
	/* Not a line of blanks alone, which would end a header. */
	for (size_t i = 0; n > 1 && i < n; i++)
		if (line.p[i] != ' ' && line.p[i] != '\t')
			return n;
	n = max;
	while (n > max - 4 && (line.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* Where a line goes to. */
struct sink {
	struct buf	*head;		/* or NULL: */
	struct spill	*body;
};

static void
out(struct sink to, struct span s)
{
	if (to.head != NULL)
		buf_span(to.head, s);
	else
		(void)spill_span(to.body, s);
}
#define OUT(to, lit)	out((to), (struct span)SPAN(lit))

/* All of a line that is longer than one may be, but for its last part. blank:
 * what is left is to begin with one. */
static void
fold(struct sink to, struct span *line, bool *blank)
{
	size_t	n;

	while (line->len + *blank > INTAKE_LINE_MAX) {
		if (*blank)
			OUT(to, " ");
		n = fold_at(*line, INTAKE_LINE_MAX - *blank);
		out(to, span_sub(*line, 0, n));
		OUT(to, "\r\n");
		span_skip(line, n);
		*blank = line->p[0] != ' ' && line->p[0] != '\t';
	}
}

static void
put(struct sink to, struct span line, bool blank)
{
	fold(to, &line, &blank);
	if (blank)
		OUT(to, " ");
	out(to, line);
	OUT(to, "\r\n");
}

static bool
blank_begins(struct span line)
{
	return line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

/* A CR within a field would be the end of a line for some, and a way to add
 * fields for others: it becomes a blank. Field or not: false, it is body. */
static bool
head_line(struct intake *m, struct span line)
{
	size_t	before = m->head.len;

	if (!header_begins(line) && (m->head.len == 0 || !blank_begins(line)))
		return false;
	/* A fold of nothing ends the header for some readers. */
	if (span_trim(line).len == 0)
		return true;
	put((struct sink){ .head = &m->head }, line, false);
	for (size_t i = before; i + 2 < m->head.len; i++)
		if (m->head.p[i] == '\r' && m->head.p[i + 1] != '\n')
			m->head.p[i] = ' ';
	return true;
}

/* Up to the last CR in it: each ends a line. */
static void
body_lines(struct intake *m, struct span *line)
{
	size_t	n;

	while ((n = span_find(*line, '\r')) < line->len) {
		put((struct sink){ .body = &m->body }, span_sub(*line, 0, n),
		    m->blank);
		m->blank = false;
		span_skip(line, n + 1);
	}
}

static void
body_line(struct intake *m, struct span line)
{
	body_lines(m, &line);
	put((struct sink){ .body = &m->body }, line, m->blank);
	m->blank = false;
}

static bool
fail(struct intake *m, const char *why)
{
	m->why = why;
	return false;
}

static struct span
without_cr(struct span line)
{
	while (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* One line without its LF, or what is left of it. */
static bool
take(struct intake *m, struct span line)
{
	bool	first = !m->begun, rest = m->within;

	m->begun = true;
	m->within = false;
	line = without_cr(line);
	if (span_find(line, 0) < line.len)
		return fail(m, "the message has a NUL in it");
	if (m->dots && !rest && span_is(line, ".")) {
		m->done = true;
		return true;
	}
	if (first && span_starts(line, (struct span)SPAN("From ")))
		return true;
	m->eight = m->eight || !utf8_is_ascii(line);
	if (!m->in_body && line.len == 0) {
		m->in_body = true;
		return true;
	}
	if (!m->in_body && !head_line(m, line))
		m->in_body = true;
	if (m->in_body)
		body_line(m, line);
	if (m->head.failed)
		return fail(m, "the header is too large");
	return m->body.why == NULL || fail(m, m->body.why);
}

/* A line so long that it is not waited for as a whole, unless it is a field. */
static bool
part(struct intake *m)
{
	struct span	 line = buf_content(&m->line), rest;

	if (!m->in_body && line.len <= INTAKE_HEADER_MAX)
		return true;
	if (!m->begun && span_starts(line, (struct span)SPAN("From ")))
		return true;
	if (!m->in_body && (header_begins(line) ||
	    (m->head.len > 0 && blank_begins(line))))
		return fail(m, "the header is too large");
	m->begun = m->in_body = m->within = true;
	if (span_find(line, 0) < line.len)
		return fail(m, "the message has a NUL in it");
	m->eight = m->eight || !utf8_is_ascii(line);
	/* CRs at its end may belong to the LF that is to come. */
	rest = without_cr(line);
	body_lines(m, &rest);
	fold((struct sink){ .body = &m->body }, &rest, &m->blank);
	buf_drain(&m->line, (size_t)(rest.p - line.p));
	return m->body.why == NULL || fail(m, m->body.why);
}

bool
intake_feed(struct intake *m, struct span in)
{
	struct span	line;
	size_t		n;

	while (in.len > 0 && !m->done && m->why == NULL) {
		n = span_find(in, '\n');
		line = span_sub(in, 0, n);
		if (buf_len(&m->line) > 0 || n == in.len) {
			if (!buf_span(&m->line, line))
				return fail(m, "the message is too large");
			if (n == in.len)
				return buf_len(&m->line) <= INTAKE_PART ||
				    part(m);
			line = buf_content(&m->line);
		}
		if (!take(m, line))
			return false;
		buf_reset(&m->line);
		span_skip(&in, n + 1);
	}
	return m->why == NULL;
}

bool
intake_end(struct intake *m)
{
	if (m->done || m->why != NULL || buf_len(&m->line) == 0)
		return m->why == NULL;
	if (!take(m, buf_content(&m->line)))
		return false;
	buf_reset(&m->line);
	return true;
}
