/*
 * The Received field. See received.h.
 */
#include "common/mime/date.h"
#include "common/mime/received.h"

/* What a client said may stand in our header only as printable text without
 * what would end or fold a comment. */
static bool
received_safe(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	 c = s.p[i];

		if (c <= ' ' || c == 0x7f || c == '(' || c == ')' || c == '\\')
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
	buf_fmt(b, " (postern) with %s id ", r->with);
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

static const char	name[] = "received:";

void
received_count_begin(struct received_count *c)
{
	*c = (struct received_count){ .bol = true };
}

/* One byte of the header. */
static void
received_byte(struct received_count *c, uint8_t ch)
{
	c->header_bytes++;
	if (c->bol) {
		c->bol = false;
		if (ch == '\r' || ch == '\n') {
			c->over = true;
			return;
		}
		c->pos = 0;
		c->match = ch != ' ' && ch != '\t';
		if (c->match)
			c->fields++;
	}
	if (ch == '\n') {
		c->bol = true;
		return;
	}
	if (!c->match)
		return;
	if ((ch | 0x20) != name[c->pos] && ch != name[c->pos])
		c->match = false;
	else if (name[++c->pos] == '\0') {
		c->received++;
		c->match = false;
	}
}

void
received_count_feed(struct received_count *c, struct span s)
{
	for (size_t i = 0; i < s.len && !c->over; i++)
		received_byte(c, s.p[i]);
}
