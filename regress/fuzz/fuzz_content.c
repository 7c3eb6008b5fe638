/*
 * Content as a client sends it: read in one piece and cut, it is the same and
 * canonical; written for a server and read back, it is what it was.
 */
#include <stdlib.h>

#include "common/smtp/content.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
read_all(struct smtp_content_in *c, struct span in, size_t step,
    struct buf *out)
{
	struct span	part;

	while (in.len > 0 && !c->done) {
		part = span_sub(in, 0, step);
		span_skip(&in, step);
		smtp_content_feed(c, &part, out);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_content_in	 a, b;
	struct smtp_content_out	 o;
	struct buf		 ca, cb, wire;
	struct span		 s;
	bool			 bdat = size > 0 && (data[0] & 1);

	buf_init(&ca, 4 << 20);
	buf_init(&cb, 4 << 20);
	buf_init(&wire, 8 << 20);
	smtp_content_begin(&a, bdat);
	smtp_content_begin(&b, bdat);
	a.normalize = b.normalize = size > 0 && (data[0] & 2) != 0;
	read_all(&a, span(data, size), size, &ca);
	read_all(&b, span(data, size), 3, &cb);
	if (a.faults != b.faults || a.done != b.done || a.size != b.size ||
	    !span_eq(buf_content(&ca), buf_content(&cb)))
		abort();
	smtp_content_out_begin(&o);
	s = buf_content(&ca);
	smtp_content_write(&o, &s, &wire);
	if (s.len != 0 || !smtp_content_finish(&o, &wire))
		abort();
	buf_reset(&cb);
	smtp_content_begin(&b, false);
	read_all(&b, buf_content(&wire), 1 << 16, &cb);
	if (!b.done || b.faults != 0 ||
	    !span_starts(buf_content(&cb), buf_content(&ca)))
		abort();
	buf_clear(&ca);
	buf_clear(&cb);
	buf_clear(&wire);
	return 0;
}
