/*
 * See tlsrpt.h. The JSON is encoded in quoted-printable: its lines may be long,
 * and for people it stays legible.
 */
#include "common/mime/tlsrpt.h"

#include <time.h>

#include "common/base/enc.h"
#include "common/mime/date.h"

bool
tlsrpt_file_name(struct buf *b, const struct tlsrpt *r)
{
	buf_span(b, r->host);
	buf_byte(b, '!');
	buf_span(b, r->domain);
	buf_fmt(b, "!%lld!%lld!", (long long)r->begin_s, (long long)r->end_s);
	buf_span(b, r->id);
	return buf_str(b, ".json");
}

static void
field(struct buf *b, const char *name, struct span value)
{
	buf_fmt(b, "%s: ", name);
	buf_span(b, value);
	buf_str(b, "\r\n");
}

static void
path(struct buf *b, const char *name, struct span mail)
{
	buf_fmt(b, "%s: <", name);
	buf_span(b, mail);
	buf_str(b, ">\r\n");
}

static void
message_id(struct buf *b, const struct tlsrpt *r)
{
	buf_byte(b, '<');
	buf_span(b, r->id);
	buf_str(b, ".tlsrpt@");
	buf_span(b, r->host);
	buf_str(b, ">\r\n");
}

static void
top(struct buf *b, const struct tlsrpt *r)
{
	time_t		 now = (time_t)r->now_s;
	struct tm	 tm = { 0 };

	gmtime_r(&now, &tm);
	buf_str(b, "Date: ");
	date_write(b, &tm, 0);
	buf_str(b, "\r\n");
	path(b, "From", r->from);
	path(b, "To", r->to);
	buf_str(b, "Subject: Report Domain: ");
	buf_span(b, r->domain);
	buf_str(b, "\r\n\tSubmitter: ");
	buf_span(b, r->host);
	buf_str(b, "\r\n\tReport-ID: ");
	message_id(b, r);
	buf_str(b, "Message-ID: ");
	message_id(b, r);
	field(b, "TLS-Report-Domain", r->domain);
	field(b, "TLS-Report-Submitter", r->host);
	/* RFC 8460, 3; RFC 8689, 5: what is wrong with their TLS must not
	 * keep it from them. */
	buf_str(b, "TLS-Required: No\r\nAuto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
	    "\tboundary=\"=_");
	buf_span(b, r->id);
	buf_str(b, ".tlsrpt\"\r\n\r\nThis is a report in MIME format.\r\n");
}

static void
boundary(struct buf *b, const struct tlsrpt *r, const char *end)
{
	buf_str(b, "\r\n--=_");
	buf_span(b, r->id);
	buf_fmt(b, ".tlsrpt%s\r\n", end);
}

static void
day(struct buf *b, int64_t s)
{
	time_t		 t = (time_t)s;
	struct tm	 tm = { 0 };
	char		 text[40] = "";

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	buf_str(b, text);
}

bool
tlsrpt_write(struct buf *b, const struct tlsrpt *r)
{
	top(b, r);
	boundary(b, r, "");
	buf_str(b, "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
	    "The report of TLS (RFC 8460) of sessions from\r\n");
	buf_span(b, r->host);
	buf_str(b, "\r\nto servers of\r\n");
	buf_span(b, r->domain);
	buf_str(b, "\r\nfrom ");
	day(b, r->begin_s);
	buf_str(b, " to ");
	day(b, r->end_s);
	buf_str(b, " UTC is attached.\r\n");
	boundary(b, r, "");
	buf_str(b, "Content-Type: application/tlsrpt+json\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "Content-Disposition: attachment;\r\n\tfilename=\"");
	tlsrpt_file_name(b, r);
	buf_str(b, "\"\r\n\r\n");
	/* An LF alone would be encoded, and is as good in JSON as CRLF. */
	for (struct span s = r->json; s.len > 0;) {
		struct span	l = span_sub(s, 0, span_find(s, '\n'));

		span_skip(&s, l.len + 1);
		enc_qp(b, l);
		buf_str(b, "\r\n");
	}
	boundary(b, r, "--");
	return !b->failed;
}
