/*
 * See seen.h.
 */
#include "common/mime/seen.h"

/* A name is whole. */
static void
named(struct header_seen *h)
{
	struct span	name = span(h->name, h->len);

	h->any = h->value = true;
	h->date = h->date || span_caseis(name, "Date");
	h->from = h->from || span_caseis(name, "From");
	h->message_id = h->message_id || span_caseis(name, "Message-ID");
	if (h->begins != NULL)
		h->begins(name, h->arg);
}

/* A byte up to a line's colon. */
static void
name_byte(struct header_seen *h, uint8_t c)
{
	if (!h->mid) {
		h->mid = true;
		h->len = 0;
		h->blank = false;
		if ((c == ' ' || c == '\t') && h->any) {
			h->value = true;	/* the field goes on */
			if (h->body != NULL)
				h->body(span(&c, 1), h->arg);
			return;
		}
	}
	if (c == ':' && h->len > 0)
		named(h);
	else if ((c == ' ' || c == '\t') && h->len > 0)
		h->blank = true;
	else if (c <= ' ' || c >= 127 || c == ':' || h->blank) {
		h->over = true;
		h->broken = h->len > 0 || c != '\r';
		h->bare = !h->any && h->broken;
	} else if (h->len < sizeof(h->name))
		h->name[h->len++] = (char)c;
	else
		h->name[0] = '?';		/* longer than those of ours */
}

void
header_seen_feed(struct header_seen *h, struct span in)
{
	size_t	n;

	while (in.len > 0 && !h->over) {
		if (!h->value) {
			name_byte(h, in.p[0]);
			span_skip(&in, 1);
			continue;
		}
		n = span_find(in, '\n');
		if (n < in.len)
			h->value = h->mid = false;
		if (h->body != NULL)
			h->body(span_sub(in, 0, n + 1), h->arg);
		span_skip(&in, n + 1);
	}
}
