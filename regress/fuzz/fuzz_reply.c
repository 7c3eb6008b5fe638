/*
 * Bytes of a server, in one piece and in pieces: the same replies, and what is
 * written from them is a reply again.
 */
#include <stdlib.h>

#include "common/smtp/reply.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply	 a, b;
	struct span		 in = span(data, size), one;
	struct buf		 out;
	enum parse		 ra, rb;
	const char		*why;
	size_t			 at = 0;

	smtp_reply_init(&a);
	smtp_reply_init(&b);
	buf_init(&out, 1 << 20);
	do {
		ra = smtp_reply_feed(&a, &in, true, &why);
		for (rb = PARSE_MORE; rb == PARSE_MORE && at < size; at++) {
			one = span(data + at, 1);
			rb = smtp_reply_feed(&b, &one, true, &why);
		}
		if (ra != rb || (ra == PARSE_OK && (a.code != b.code ||
		    !span_eq(buf_content(&a.text), buf_content(&b.text)))))
			abort();
		if (ra != PARSE_OK)
			break;
		buf_reset(&out);
		if (!smtp_reply_write(&out, a.code, buf_content(&a.text)))
			abort();
		one = buf_content(&out);
		if (smtp_reply_feed(&b, &one, true, &why) != PARSE_OK ||
		    b.code != a.code || one.len != 0)
			abort();
	} while (in.len > 0);
	smtp_reply_clear(&a);
	smtp_reply_clear(&b);
	buf_clear(&out);
	return 0;
}
