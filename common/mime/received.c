/*
 * The Received field, and what is looked for in a header. See received.h.
 */
#include "common/mime/date.h"
#include "common/mime/received.h"

/* What a client said, or a name server, may stand in our header only as what
 * neither ends the clause nor begins a comment or string. Domains in HELO and
 * in DNS are ASCII (RFC 6531, 3.7.1). */
static bool
received_safe(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	 c = s.p[i];

		if (c <= ' ' || c >= 0x7f || strchr("()<>\"\\;,", c) != NULL)
			c = '?';
		if (!buf_byte(b, c))
			return false;
	}
	return true;
}

/*
 * From-domain = "FROM" FWS Extended-Domain; the TCP-info is the address, with
 * the reverse name where it was confirmed (RFC 5321, 4.4).
 */
static void
received_from(struct buf *b, const struct received *r)
{
	char	 ip[ADDR_STRLEN];

	buf_str(b, "Received: from ");
	if (r->helo.len > 0)
		received_safe(b, r->helo);
	else
		buf_str(b, "localhost");
	if (r->client.family == 0) {
		buf_str(b, " (local)");
	} else {
		buf_str(b, " (");
		if (r->rdns.len > 0) {
			received_safe(b, r->rdns);
			buf_byte(b, ' ');
		}
		buf_fmt(b, r->client.family == 6 ? "[IPv6:%s])" : "[%s])",
		    addr_str(&r->client, ip));
	}
}

bool
received_write(struct buf *b, const struct received *r)
{
	received_from(b, r);
	buf_str(b, "\r\n\tby ");
	buf_span(b, r->by);
	buf_fmt(b, " (postern) with %s%s", r->with, r->tls == NULL ? " id " :
	    "\r\n\t");
	if (r->tls != NULL)
		buf_fmt(b, "(version=%s cipher=%s) id ", r->tls, r->cipher);
	buf_span(b, r->id);
	if (r->rcpt.len > 0) {
		buf_str(b, "\r\n\tfor <");
		buf_span(b, r->rcpt);
		buf_byte(b, '>');
	}
	buf_str(b, ";\r\n\t");
	date_write(b, &r->tm, r->gmtoff_min);
	return buf_str(b, "\r\n");
}

static const char	received[] = "received", tls_required[] = "tls-required";

/* How much of the value "No" has been there. */
enum { NO_BEGIN, NO_N, NO_WHOLE, NO_OTHER };

void
received_count_begin(struct received_count *c)
{
	*c = (struct received_count){ .name = received, .bol = true };
}

/* A field begins, goes on, or the header is over at ch, the first of a line. */
static void
received_line(struct received_count *c, uint8_t ch)
{
	c->bol = false;
	c->in_name = c->match = false;
	if (ch == ' ' || ch == '\t') {
		if (c->fields == 0)
			c->over = true;
	} else if (ch <= ' ' || ch >= 0x7f || ch == ':') {
		c->over = true;
	} else {
		c->name = (ch | 0x20) == 't' ? tls_required : received;
		c->pos = 0;
		c->in_value = false;
		c->in_name = c->match = true;
	}
}

/* A field of that name has begun. */
static void
received_named(struct received_count *c)
{
	if (c->name == received) {
		c->received++;
		return;
	}
	c->in_value = true;
	c->no = NO_BEGIN;
	if (c->tls_fields < 2)
		c->tls_fields++;
}

/* Blanks and folds around it do not matter. */
static void
received_value(struct received_count *c, uint8_t ch)
{
	if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n') {
		if (c->no == NO_N)
			c->no = NO_OTHER;
	} else if (c->no == NO_BEGIN && (ch | 0x20) == 'n')
		c->no = NO_N;
	else if (c->no == NO_N && (ch | 0x20) == 'o')
		c->no = NO_WHOLE;
	else
		c->no = NO_OTHER;
}

/* ftext *WSP ":" (RFC 5322, 2.2 and 4.5); what is no field ends the header. */
static void
received_name(struct received_count *c, uint8_t ch)
{
	bool	 end = c->name[c->pos] == '\0';

	if (ch == ':') {
		c->in_name = false;
		c->fields++;
		if (c->match && end)
			received_named(c);
	} else if (ch == ' ' || ch == '\t') {
		c->blank = true;
	} else if (ch <= ' ' || ch >= 0x7f || c->blank) {
		c->over = true;
	} else if (c->match && !end && (ch | 0x20) == c->name[c->pos]) {
		c->pos++;
	} else {
		c->match = false;
	}
}

/* One byte of the header. */
static void
received_byte(struct received_count *c, uint8_t ch)
{
	if (c->bol) {
		c->blank = false;
		received_line(c, ch);
	}
	if (c->over)
		return;
	c->header_bytes++;
	if (c->in_name)
		received_name(c, ch);
	else if (c->in_value)
		received_value(c, ch);
	if (ch == '\n')
		c->bol = true;
}

void
received_count_feed(struct received_count *c, struct span s)
{
	for (size_t i = 0; i < s.len && !c->over; i++)
		received_byte(c, s.p[i]);
}

bool
received_tls_optional(const struct received_count *c)
{
	return c->tls_fields == 1 && c->no == NO_WHOLE;
}
