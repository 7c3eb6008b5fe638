/*
 * A notification as a whole: its header, its three parts and what lies between
 * them. The parts are made first, so that it is known what they need: 8 bit,
 * UTF-8, room.
 */
#include "common/mime/dsn_i.h"

#include <time.h>

#include "common/base/enc.h"
#include "common/base/utf8.h"
#include "common/mime/date.h"

/* Bytes as they are sent; what these leave of DSN_MAX is for the message. */
#define TEXT_MAX	14000
#define FIELDS_MAX	26000
#define OUTER_MAX	5000	/* header and boundaries */
#define HEADER_MAX	32000	/* of the message's header, before encoding */
#define NAME_LEN_MAX	255	/* of a server */
#define ID_LEN_MAX	40	/* of a notification */
#define LINE_LEN_MAX	998	/* RFC 5322, 2.1.1 */

enum form { FORM_7BIT, FORM_8BIT, FORM_QP };
struct part {
	const char	*type;		/* with its parameters */
	enum form	 form;
	struct buf	 b;		/* as it is sent */
};

/* ---- what the parts are made of ---- */

/* s cut to n bytes, at the end of a character. */
static struct span
cut(struct span s, size_t n)
{
	if (s.len <= n)
		return s;
	while (n > 0 && (s.p[n] & 0xc0) == 0x80)
		n--;
	return span_sub(s, 0, n);
}

void
dsn_safe(struct buf *b, struct span s, bool utf8)
{
	s = cut(s, DSN_VALUE_MAX);
	utf8 = utf8 && utf8_valid(s);
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	 c = s.p[i];

		buf_byte(b, c == '\t' || c == '\n' ? ' ' : c < 0x20 ||
		    c == 0x7f || (c > 0x7f && !utf8) ? '?' : c);
	}
}

void
dsn_date(struct buf *b, const struct dsn *d, uint64_t ms)
{
	time_t		 t = (time_t)(ms / 1000) + d->zone_min * 60;
	struct tm	 tm;

	if (gmtime_r(&t, &tm) != NULL)
		date_write(b, &tm, d->zone_min);
}

void
dsn_server(struct span server, struct span *name, struct span *addr)
{
	size_t	 open = span_find(server, '['), end;

	*name = span_sub(server, 0, open < NAME_LEN_MAX ? open : NAME_LEN_MAX);
	*addr = span_sub(server, open + 1, NAME_LEN_MAX);
	end = span_find(*addr, ']');
	*addr = end < addr->len ? span_sub(*addr, 0, end) : span(NULL, 0);
}

bool
dsn_has(const struct dsn *d, enum dsn_action a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (d->rcpts[i].action == a)
			return true;
	return false;
}

/* Can it be sent as it is: lines of a sane length, no NUL, CR and LF together,
 * and ASCII unless eightbit? */
static bool
as_it_is(struct span s, bool eightbit)
{
	size_t	 line = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\r' && i + 1 < s.len && s.p[i + 1] == '\n') {
			line = 0;
			i++;
		} else if (s.p[i] == '\r' || s.p[i] == '\n' ||
		    s.p[i] == '\0' || ++line > LINE_LEN_MAX ||
		    (s.p[i] > 0x7f && !eightbit))
			return false;
	}
	return true;
}

/* ---- the message that it is about ---- */

/* The next line of the header, without its end; false behind the last. */
static bool
header_line(struct span *s, struct span *line)
{
	size_t	 n = span_find(*s, '\n');

	*line = span_sub(*s, 0, n);
	if (line->len > 0 && line->p[line->len - 1] == '\r')
		line->len--;
	if (line->len == 0)
		return false;
	span_skip(s, n + 1);
	return true;
}

/* The header by itself: whole lines, as many as there is room for. */
static void
header_join(struct buf *b, const struct dsn *d)
{
	struct span	 in[2] = { d->prefix, d->content }, line;

	for (int i = 0; i < 2; i++)
		while (header_line(&in[i], &line)) {
			if (buf_len(b) + line.len + 2 > HEADER_MAX)
				return;
			buf_span(b, line);
			buf_str(b, "\r\n");
		}
}

/* The same as it is sent. */
static void
put_header(struct part *p, struct span header)
{
	struct span	 line;
	size_t		 before;

	while (header_line(&header, &line)) {
		before = buf_len(&p->b);
		if (p->form == FORM_QP)
			enc_qp(&p->b, line);
		else
			buf_span(&p->b, line);
		buf_str(&p->b, "\r\n");
		if (!p->b.failed)
			continue;
		p->b.len = p->b.start + before;
		p->b.failed = false;
		return;
	}
}

/* A field's value up to the end of its first continuation line. */
static struct span
field_value(struct span line, struct span rest)
{
	struct span	 next;

	if (rest.len == 0 || (rest.p[0] != ' ' && rest.p[0] != '\t') ||
	    !header_line(&rest, &next))
		return line;
	return span(line.p, (size_t)(next.p + next.len - line.p));
}

/* The value of the Message-ID field, to be referred to, or empty. */
static struct span
message_id(struct span header)
{
	static const struct span name = SPAN("message-id:");
	struct span	 line, id;
	size_t		 n;

	while (header_line(&header, &line)) {
		if (!span_casestarts(line, name))
			continue;
		line = field_value(line, header);
		span_skip(&line, span_find(line, '<'));
		n = span_find(line, '>');
		id = span_sub(line, 0, n + 1);
		if (n == line.len || id.len > DSN_VALUE_MAX)
			break;
		for (size_t i = 0; i < id.len; i++)
			if (id.p[i] <= ' ' || id.p[i] >= 0x7f)
				return span(NULL, 0);
		return id;
	}
	return span(NULL, 0);
}

/*
 * The whole message, if it fits. Other than message/rfc822 may message/global
 * be encoded (RFC 6532, 3.7), and so go where there is no SMTPUTF8.
 */
static bool
put_whole(struct part *p, const struct dsn *d, bool global, bool smtputf8)
{
	p->type = global ? "message/global" : "message/rfc822";
	p->form = as_it_is(d->prefix, false) && as_it_is(d->content, false) ?
	    FORM_7BIT : FORM_8BIT;
	if (global && !smtputf8)
		p->form = FORM_QP;
	else if (!as_it_is(d->prefix, true) || !as_it_is(d->content, true))
		return false;
	if (p->form == FORM_QP)
		return enc_qp(&p->b, d->prefix) && enc_qp(&p->b, d->content);
	return buf_span(&p->b, d->prefix) && buf_span(&p->b, d->content);
}

/* The message where its sender wanted that and something failed (RFC 3461,
 * 4.3), else its header. */
static enum dsn_returned
returned(struct part *p, const struct dsn *d, struct span header, size_t told,
    size_t room, bool smtputf8)
{
	bool	 global = d->utf8 && !utf8_is_ascii(header) &&
		    utf8_valid(header);
	bool	 full = d->full && dsn_has(d, DSN_FAILED, told);

	buf_init(&p->b, room);
	if (d->prefix.len + d->content.len == 0)
		return DSN_RETURNS_NONE;
	if (full && d->whole && put_whole(p, d, global, smtputf8))
		return DSN_RETURNS_ALL;
	buf_reset(&p->b);
	p->type = global ? "message/global-headers" : "text/rfc822-headers";
	p->form = as_it_is(header, false) ? FORM_7BIT :
	    global && smtputf8 && as_it_is(header, true) ? FORM_8BIT : FORM_QP;
	put_header(p, header);
	return full ? DSN_TOO_LONG : DSN_RETURNS_HEADER;
}

/* ---- the other two ---- */

/* What was written as UTF-8, in a form that its way allows. */
static void
encode(struct part *p, struct span s, bool smtputf8)
{
	p->form = utf8_is_ascii(s) ? FORM_7BIT : smtputf8 ? FORM_8BIT :
	    FORM_QP;
	if (p->form == FORM_QP)
		enc_qp(&p->b, s);
	else
		buf_span(&p->b, s);
}

/* Encoded it is longer: then it says less. */
static void
text_part(struct part *p, const struct dsn *d, size_t told,
    enum dsn_returned what, bool smtputf8)
{
	struct buf	 raw;

	buf_init(&p->b, TEXT_MAX);
	for (size_t k = 1; k <= 3; k++) {
		buf_init(&raw, TEXT_MAX / k - TEXT_MAX / 16);
		buf_reset(&p->b);
		dsn_text(&raw, d, told, what);
		encode(p, buf_content(&raw), smtputf8);
		p->b.failed |= raw.failed;
		buf_clear(&raw);
		if (!p->b.failed)
			break;
	}
	p->type = p->form == FORM_7BIT ? "text/plain; charset=us-ascii" :
	    "text/plain; charset=utf-8";
}

/* Encoded they are longer: then there is room for fewer recipients. */
static size_t
fields_part(struct part *p, const struct dsn *d, bool smtputf8)
{
	struct buf	 raw;
	size_t		 told = 0;

	buf_init(&p->b, FIELDS_MAX);
	for (size_t max = FIELDS_MAX; max > 0 && told == 0; max /= 2) {
		buf_init(&raw, max);
		buf_reset(&p->b);
		told = dsn_fields(&raw, d);
		encode(p, buf_content(&raw), smtputf8);
		if (p->b.failed)
			told = 0;
		buf_clear(&raw);
	}
	p->type = p->form == FORM_7BIT ? "message/delivery-status" :
	    "message/global-delivery-status";	/* RFC 6533, 4 */
	return told;
}

/* ---- all together ---- */

#define BOUNDARY_MAX	96

/* One that is in no part. What is encoded has no "=_". */
static void
boundary_make(char *dst, const struct dsn *d, const struct part *p, size_t n)
{
	struct buf	 b;
	size_t		 i;

	for (unsigned k = 0;; k++) {
		buf_init(&b, BOUNDARY_MAX - 1);
		buf_fmt(&b, "=_%x.", k);
		dsn_safe(&b, span_sub(d->id, 0, ID_LEN_MAX), false);
		span_cstr(buf_content(&b), dst, BOUNDARY_MAX);
		buf_clear(&b);
		for (i = 0; i < n; i++)
			if (buf_len(&p[i].b) > 0 && memmem(p[i].b.p +
			    p[i].b.start, buf_len(&p[i].b), dst,
			    strlen(dst)) != NULL)
				break;
		if (i == n)
			return;
	}
}

static const char *
form_name(enum form f)
{
	return f == FORM_7BIT ? "7bit" : f == FORM_8BIT ? "8bit" :
	    "quoted-printable";
}

static void
put_top(struct buf *b, const struct dsn *d, size_t told, struct span of,
    const char *boundary, const struct dsn_form *form)
{
	buf_str(b, "Date: ");
	dsn_date(b, d, d->now_ms);
	buf_str(b, "\r\nFrom: Mail Delivery System <MAILER-DAEMON@");
	dsn_safe(b, d->host, false);
	buf_str(b, ">\r\nTo: <");
	dsn_safe(b, d->to, form->smtputf8);
	buf_fmt(b, ">\r\nSubject: %s\r\nMessage-ID: <", dsn_subject(d, told));
	dsn_safe(b, span_sub(d->id, 0, ID_LEN_MAX), false);
	buf_str(b, "@");
	dsn_safe(b, d->host, false);
	buf_str(b, ">\r\n");
	if (of.len > 0) {
		buf_str(b, "In-Reply-To: ");
		buf_span(b, of);
		buf_str(b, "\r\nReferences: ");
		buf_span(b, of);
		buf_str(b, "\r\n");
	}
	buf_str(b, "Auto-Submitted: auto-replied\r\n");	/* RFC 3834, 5.1 */
	/* RFC 6522, 3. */
	buf_fmt(b, "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%s\"\r\nContent-Transfer-Encoding: %s\r\n\r\n"
	    "This is a report in MIME format.\r\n", boundary,
	    form->eightbit ? "8bit" : "7bit");
}

static void
put_part(struct buf *b, const struct part *p, const char *boundary)
{
	buf_fmt(b, "\r\n--%s\r\nContent-Type: %s\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n", boundary, p->type,
	    form_name(p->form));
	buf_span(b, buf_content(&p->b));
}

bool
dsn_write(struct buf *b, const struct dsn *d, struct dsn_form *form)
{
	struct part	 p[3];
	struct buf	 header;
	enum dsn_returned what;
	char		 boundary[BOUNDARY_MAX];
	size_t		 room, n;
	bool		 ok;

	form->smtputf8 = !utf8_is_ascii(d->to);
	buf_init(&header, HEADER_MAX);
	header_join(&header, d);
	form->told = fields_part(&p[1], d, form->smtputf8);
	room = b->max - OUTER_MAX - TEXT_MAX - buf_len(&p[1].b);
	what = returned(&p[2], d, buf_content(&header), form->told, room,
	    form->smtputf8);
	text_part(&p[0], d, form->told, what, form->smtputf8);
	/* Without a message there is no third part (RFC 6522, 3). */
	n = what == DSN_RETURNS_NONE ? 2 : 3;
	form->eightbit = form->smtputf8 || p[2].form == FORM_8BIT;
	boundary_make(boundary, d, p, n);
	put_top(b, d, form->told, message_id(buf_content(&header)), boundary,
	    form);
	for (size_t i = 0; i < n; i++)
		put_part(b, &p[i], boundary);
	buf_fmt(b, "\r\n--%s--\r\n", boundary);
	ok = !b->failed && !p[0].b.failed && !p[1].b.failed && form->told > 0;
	for (size_t i = 0; i < 3; i++)
		buf_clear(&p[i].b);
	buf_clear(&header);
	return ok;
}
