/*
 * Header fields, the recipients among them, and completing: see header.h.
 */
#include "common/mime/header.h"

#include "common/mime/mailbox.h"

enum kind {
	F_OTHER, F_RCPT, F_ADDR, F_DROP, F_FROM, F_DATE, F_MESSAGE_ID, F_TRACE
};

/* Fields that mean something here; "Resent-" before one is looked at apart. */
static const struct {
	const char	*name;
	enum kind	 kind;
	bool		 hidden;	/* names recipients, and is taken out */
} known[] = {
	{ "To", F_RCPT, false }, { "Cc", F_RCPT, false },
	{ "Bcc", F_RCPT, true }, { "From", F_FROM, false },
	{ "Sender", F_ADDR, false }, { "Reply-To", F_ADDR, false },
	{ "Date", F_DATE, false }, { "Message-ID", F_MESSAGE_ID, false },
	{ "Return-Path", F_DROP, true }, { "Received", F_TRACE, false }
};
#define KNOWN_MAX	(sizeof(known) / sizeof(known[0]))

struct field {
	struct header_field	 f;
	size_t			 which;		/* in known; KNOWN_MAX: none */
	enum kind		 kind;
	bool			 resent;	/* Resent-… */
};

/* The end of the line that begins at byte from, behind its CR LF. */
static size_t
line_end(struct span in, size_t from)
{
	size_t	n = from + span_find(span_sub(in, from, SIZE_MAX), '\n');

	return n < in.len ? n + 1 : in.len;
}

/* field-name = 1*ftext; the bytes up to the colon, 0 if it is none. */
static size_t
name_len(struct span line, size_t *colon)
{
	size_t	n = 0;

	while (n < line.len && line.p[n] > ' ' && line.p[n] < 127 &&
	    line.p[n] != ':')
		n++;
	*colon = n;
	while (*colon < line.len && (line.p[*colon] == ' ' ||
	    line.p[*colon] == '\t'))
		(*colon)++;
	return *colon < line.len && line.p[*colon] == ':' ? n : 0;
}

bool
header_begins(struct span line)
{
	size_t	colon;

	return name_len(line, &colon) > 0;
}

bool
header_next(struct span *in, struct header_field *f)
{
	size_t	end = line_end(*in, 0), colon, n;

	if ((n = name_len(span_sub(*in, 0, end), &colon)) == 0)
		return false;
	while (end < in->len && (in->p[end] == ' ' || in->p[end] == '\t'))
		end = line_end(*in, end);
	f->name = span_sub(*in, 0, n);
	f->all = span_sub(*in, 0, end);
	f->body = span_sub(f->all, colon + 1, SIZE_MAX);
	if (f->body.len > 0 && f->body.p[f->body.len - 1] == '\n')
		f->body.len--;
	if (f->body.len > 0 && f->body.p[f->body.len - 1] == '\r')
		f->body.len--;
	span_skip(in, end);
	return true;
}

static bool
next(struct span *in, struct field *f)
{
	struct span	name;

	if (!header_next(in, &f->f))
		return false;
	name = f->f.name;
	f->resent = span_casestarts(name, (struct span)SPAN("Resent-"));
	if (f->resent)
		span_skip(&name, sizeof("Resent-") - 1);
	for (f->which = 0; f->which < KNOWN_MAX; f->which++)
		if (span_caseis(name, known[f->which].name))
			break;
	f->kind = f->which < KNOWN_MAX ? known[f->which].kind : F_OTHER;
	return true;
}

/*
 * A resending puts its block of Resent- fields on top. It ends where a name
 * comes again, which is an older one's, or the trace of the journey between
 * the two begins (RFC 5322, 3.6.6).
 */
struct block {
	unsigned	seen;		/* by the index in known */
	bool		over;
};

static bool
in_block(struct block *b, const struct field *f)
{
	if (!f->resent && (f->kind == F_TRACE || f->kind == F_DROP))
		b->over = b->over || b->seen != 0;
	if (!f->resent || b->over)
		return false;
	if ((b->seen & 1U << f->which) != 0) {
		b->over = true;
		return false;
	}
	if (f->which < KNOWN_MAX)
		b->seen |= 1U << f->which;
	return true;
}

/* ---- recipients ---------------------------------------------------------- */

static bool
is_resent(struct span header)
{
	struct block	b = { 0 };
	struct field	f;

	while (next(&header, &f))
		if (in_block(&b, &f) && f.kind == F_RCPT)
			return true;
	return false;
}

static bool
each_of(struct span body, void (*f)(struct span, void *), void *arg,
    const char **why)
{
	struct mailbox_list	 l;
	struct mailbox		 m;

	mailbox_list_begin(&l, body);
	while (mailbox_next(&l, &m))
		f(m.addr, arg);
	*why = l.why;
	mailbox_list_clear(&l);
	return *why == NULL;
}

bool
header_recipients(struct span header, void (*f)(struct span, void *),
    void *arg, struct header_field *field, const char **why)
{
	bool		resent = is_resent(header), mine;
	struct block	b = { 0 };
	struct field	x;

	while (next(&header, &x)) {
		mine = resent ? in_block(&b, &x) : !x.resent;
		if (!mine || x.kind != F_RCPT)
			continue;
		*field = x.f;
		if (!each_of(x.f.body, f, arg, why))
			return false;
	}
	return true;
}

/* ---- completing ---------------------------------------------------------- */

/* The field with a domain behind each address that has none. */
static void
qualify(struct buf *out, const struct header_field *f, struct span domain)
{
	struct mailbox_list	 l;
	struct mailbox		 m;
	size_t			 done = 0;
	size_t			 before = buf_len(out);

	buf_span(out, span_sub(f->all, 0, (size_t)(f->body.p - f->all.p)));
	mailbox_list_begin(&l, f->body);
	while (mailbox_next(&l, &m)) {
		if (m.domain)
			continue;
		buf_span(out, span_sub(f->body, done, m.end - done));
		buf_byte(out, '@');
		buf_span(out, domain);
		done = m.end;
	}
	buf_span(out, span_sub(f->body, done, SIZE_MAX));
	buf_str(out, "\r\n");
	if (l.why != NULL && !out->failed) {
		out->len = out->start + before;
		buf_span(out, f->all);
	}
	mailbox_list_clear(&l);
}

static void
add(struct buf *out, const char *prefix, const char *name, struct span body,
    bool missing)
{
	if (!missing || body.len == 0)
		return;
	buf_fmt(out, "%s%s: ", prefix, name);
	buf_span(out, body);
	buf_str(out, "\r\n");
}

static void
add_missing(struct buf *out, struct span header, const struct header_missing *m)
{
	struct block	b = { 0 };
	bool		has[F_TRACE + 1] = { false };
	bool		again[F_TRACE + 1] = { false }, resent = false;
	struct field	f;

	while (next(&header, &f)) {
		if (in_block(&b, &f))
			again[f.kind] = resent = true;
		else if (!f.resent)
			has[f.kind] = true;
	}
	add(out, "Resent-", "From", m->from, resent && !again[F_FROM]);
	add(out, "Resent-", "Date", m->date, resent && !again[F_DATE]);
	add(out, "Resent-", "Message-ID", m->message_id, resent &&
	    !again[F_MESSAGE_ID]);
	add(out, "", "From", m->from, !has[F_FROM]);
	add(out, "", "Date", m->date, !has[F_DATE]);
	add(out, "", "Message-ID", m->message_id, !has[F_MESSAGE_ID] &&
	    !resent);
}

bool
header_complete(struct span header, const struct header_missing *m,
    struct buf *out)
{
	struct span	in = header;
	struct field	f;

	add_missing(out, header, m);
	while (next(&in, &f)) {
		if (f.which < KNOWN_MAX && known[f.which].hidden)
			continue;
		if (f.kind == F_RCPT || f.kind == F_ADDR || f.kind == F_FROM)
			qualify(out, &f.f, m->domain);
		else
			buf_span(out, f.f.all);
	}
	return !out->failed;
}
