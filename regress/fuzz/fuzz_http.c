/*
 * An answer of HTTP: what is whole with less is the same with more, and never
 * longer than it may be.
 */
#include <stdlib.h>

#include "common/tls/http.h"

#define LIMIT	512

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct buf	 a, b;
	const char		*why;
	size_t			 cut = size > 0 ? data[size - 1] % size : 0;

	if (a.max == 0) {
		buf_init(&a, LIMIT);
		buf_init(&b, LIMIT);
	}
	if (http_text(span(data, cut), false, &a, &why) == PARSE_OK &&
	    (http_text(span(data, size), false, &b, &why) != PARSE_OK ||
	    !span_eq(buf_content(&a), buf_content(&b))))
		abort();
	if (http_text(span(data, size), true, &a, &why) == PARSE_MORE ||
	    buf_len(&a) > LIMIT)
		abort();
	if (http_accepted(span(data, size), true, &a, &why) == PARSE_MORE ||
	    buf_len(&a) != 0)
		abort();
	return 0;
}
