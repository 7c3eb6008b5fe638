/*
 * See author.h.
 */
#include "common/mime/author.h"

#include "common/mime/mailbox.h"

static void
unknown(struct author *a, const char *why)
{
	if (a->why == NULL)
		a->why = why;
}

/* from = "From:" mailbox-list CRLF; groups too (RFC 6854). sender = "Sender:"
 * mailbox CRLF. */
static void
judge(struct author *a)
{
	struct mailbox_list	 l;
	struct mailbox		 m;
	unsigned		 n = 0;

	mailbox_list_begin(&l, buf_content(&a->field));
	while (!a->stopped && mailbox_next(&l, &m)) {
		n++;
		if (m.doubtful || !m.domain)
			unknown(a, m.doubtful ? "an address beside an address" :
			    "an address without a domain");
		a->stopped = !a->each(m.addr, a->arg);
	}
	if (a->stopped)
		n = 1;
	else if (l.why != NULL)
		unknown(a, l.why);
	else if (n == 0)
		unknown(a, "a field without an address");
	if (a->in_sender && n > 1)
		unknown(a, "a Sender of several addresses");
	mailbox_list_clear(&l);
}

/* The field that has begun is whole. */
static void
whole(struct author *a)
{
	if ((a->in_from || a->in_sender) && !a->field.failed)
		judge(a);
	a->in_from = a->in_sender = false;
	buf_reset(&a->field);
}

static void
begins(struct span name, void *arg)
{
	struct author	*a = arg;

	whole(a);
	a->in_from = span_caseis(name, "From");
	a->in_sender = span_caseis(name, "Sender");
	a->from_fields += a->in_from;
	a->sender_fields += a->in_sender;
}

static void
body(struct span s, void *arg)
{
	struct author	*a = arg;

	if ((a->in_from || a->in_sender) && !buf_span(&a->field, s))
		unknown(a, "a field that is too long");
}

void
author_begin(struct author *a, struct header_seen *h, author_addr *each,
    void *arg)
{
	*a = (struct author){ .each = each, .arg = arg };
	buf_init(&a->field, AUTHOR_FIELD_MAX);
	h->begins = begins;
	h->body = body;
	h->arg = a;
}

void
author_end(struct author *a, const struct header_seen *h)
{
	if (a->over)
		return;
	a->over = true;
	whole(a);
	if (h->broken)
		unknown(a, "a line in the header that is no field");
	else if (a->from_fields != 1)
		unknown(a, a->from_fields == 0 ? "no From" :
		    "more than one From");
	else if (a->sender_fields > 1)
		unknown(a, "more than one Sender");
}

void
author_clear(struct author *a)
{
	buf_clear(&a->field);
}
