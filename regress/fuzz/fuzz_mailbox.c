/*
 * Address lists and headers with recipients: what is found ends within the
 * input and in order, and a completed header is complete: once more adds and
 * takes out nothing.
 */
#include <stdlib.h>

#include "common/mime/header.h"
#include "common/mime/mailbox.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
list(struct span in)
{
	struct mailbox_list	 l;
	struct mailbox		 m;
	size_t			 last = 0;

	mailbox_list_begin(&l, in);
	while (mailbox_next(&l, &m)) {
		if (m.end > in.len || m.start >= m.end || m.start < last ||
		    m.addr.len == 0)
			abort();
		last = m.end;
		for (size_t i = 0; i < m.addr.len; i++)
			if (m.addr.p[i] == '\r' || m.addr.p[i] == '\n')
				abort();
	}
	mailbox_list_clear(&l);
}

static void
count(struct span addr, void *arg)
{
	(void)addr;
	++*(size_t *)arg;
}

static void
header(struct span in)
{
	const struct header_missing	 m = { .from = SPAN("u@h"),
	    .date = SPAN("d"), .message_id = SPAN("<m>"),
	    .domain = SPAN("h") };
	struct header_field		 f;
	const char			*why = NULL;
	struct buf			 once, twice;
	size_t				 n = 0;

	if (!header_recipients(in, count, &n, &f, &why) && why == NULL)
		abort();
	buf_init(&once, 1 << 20);
	buf_init(&twice, 1 << 20);
	if (header_complete(in, &m, &once) &&
	    header_complete(buf_content(&once), &m, &twice) &&
	    !span_eq(buf_content(&once), buf_content(&twice)))
		abort();
	buf_clear(&once);
	buf_clear(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	list(span(data, size));
	header(span(data, size));
	return 0;
}
