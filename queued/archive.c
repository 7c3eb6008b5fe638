/*
 * See archive.h.
 */
#include "queued/archive.h"

#include "common/mime/date.h"
#include "common/mime/header.h"

/* ---- recipients -------------------------------------------------------------- */

/* As the client gave it. */
static struct span
given(const struct rec_rcpt *r)
{
	return r->orig.len > 0 ? r->orig : r->to;
}

/* The next recipient that the client gave; those that an alias made of the one
 * before, and other copies, are passed over. */
static bool
next_given(struct span *s, const struct rec_msg *m, struct span *last)
{
	struct rec_rcpt	 r;

	while (rec_rcpt_next(s, m->version, &r)) {
		if ((r.flags & RCPT_F_ARCHIVE) != 0 ||
		    span_eq(given(&r), *last))
			continue;
		*last = given(&r);
		return true;
	}
	return false;
}

static void
fields(struct buf *b, const struct rec_msg *m)
{
	struct span	 s = m->rcpts, last = { NULL, 0 };
	const char	*sep = "X-Envelope-To: <";

	buf_str(b, "X-Envelope-From: <");
	buf_span(b, m->from);
	buf_str(b, ">\r\n");
	while (next_given(&s, m, &last)) {
		buf_str(b, sep);
		buf_span(b, last);
		buf_byte(b, '>');
		sep = ",\r\n\t<";
	}
	buf_str(b, "\r\n");
}

/* ---- journal reports ----------------------------------------------------------- */

static struct span
find(struct span header, const char *name)
{
	struct header_field	 f;

	while (header_next(&header, &f))
		if (span_caseis(f.name, name))
			return f.body;
	return span(NULL, 0);
}

/* The body of a field on one line. */
static void
line(struct buf *b, const char *name, struct span body)
{
	body = span_trim(body);
	buf_str(b, name);
	buf_str(b, ": ");
	for (size_t i = 0; i < body.len && i < 900; i++)
		if (body.p[i] != '\r' && body.p[i] != '\n')
			buf_byte(b, body.p[i]);
	buf_str(b, "\r\n");
}

static void
lines(struct buf *b, const struct archive *a)
{
	struct span	 s = a->m->rcpts, id, last = { NULL, 0 };
	struct rec_rcpt	 r;

	line(b, "Sender", a->m->from.len > 0 ? a->m->from : span_str("<>"));
	id = find(a->head, "Message-ID");
	line(b, "Message-Id", id.len > 0 ? id : find(a->prefix, "Message-ID"));
	line(b, "Subject", find(a->head, "Subject"));
	while (rec_rcpt_next(&s, a->m->version, &r)) {
		if ((r.flags & RCPT_F_ARCHIVE) != 0)
			continue;
		if (!span_eq(given(&r), last))
			line(b, "Recipient", last = given(&r));
		if (r.orig.len > 0)
			line(b, "Expanded", r.to);
	}
}

static void
journal(const struct archive *a, struct buf *b, struct buf *behind)
{
	bool	 eight = a->m->body != 0 || (a->m->flags & MSG_UTF8) != 0;

	buf_str(b, "Date: ");
	date_write(b, &a->tm, a->gmtoff_min);
	buf_fmt(b, "\r\nFrom: postmaster@%s\r\nTo: ", a->hostname);
	buf_span(b, a->to);
	buf_fmt(b, "\r\nSubject: Journal report\r\n"
	    "Message-ID: <%s.journal@%s>\r\n"
	    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=\"=_%s.journal\"\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n", a->id, a->hostname,
	    a->id, eight ? "8bit" : "7bit");
	buf_fmt(b, "--=_%s.journal\r\nContent-Type: text/plain; "
	    "charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n", a->id,
	    eight ? "8bit" : "7bit");
	lines(b, a);
	buf_fmt(b, "\r\n--=_%s.journal\r\nContent-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n", a->id,
	    eight ? "8bit" : "7bit");
	buf_fmt(behind, "\r\n--=_%s.journal--\r\n", a->id);
}

bool
archive_wrap(const struct archive *a, struct buf *before, struct buf *behind)
{
	if (a->journal)
		journal(a, before, behind);
	else
		fields(before, a->m);
	return !before->failed && !behind->failed;
}
