/*
 * Whom a message says it is from: the same whatever the cuts; nothing that is
 * found has a line end in it, and where nothing is wrong something was found.
 */
#include <stdlib.h>

#include "common/mime/author.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
each(struct span addr, void *arg)
{
	struct buf	*b = arg;

	if (addr.len == 0 || span_find(addr, '\n') < addr.len ||
	    span_find(addr, '\r') < addr.len)
		abort();
	return buf_span(b, addr) && buf_byte(b, '\n') && addr.len != 13;
}

static void
look(struct span in, size_t piece, struct buf *found)
{
	struct header_seen	 h = { 0 };
	struct author		 a;

	author_begin(&a, &h, each, found);
	for (; in.len > 0; span_skip(&in, piece))
		header_seen_feed(&h, span_sub(in, 0, piece));
	author_end(&a, &h);
	if (a.why == NULL && buf_len(found) == 0)
		abort();
	buf_str(found, a.stopped ? "stopped" : a.why != NULL ? a.why : "fine");
	author_clear(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	in = span(data, size);
	struct buf	one, two;

	buf_init(&one, 16 << 20);
	buf_init(&two, 16 << 20);
	look(in, size > 0 ? size : 1, &one);
	look(in, 3, &two);
	if (!span_eq(buf_content(&one), buf_content(&two)))
		abort();
	buf_clear(&one);
	buf_clear(&two);
	return 0;
}
