/*
 * Counting of fields gives the same however the content is cut; a HELO and a
 * reverse name of any bytes make one field.
 */
#include <stdlib.h>

#include "common/mime/received.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct received_count	 whole, cut;
	struct span		 in = span(data, size);
	struct received		 r = { .helo = in, .rdns = in,
				    .client = { .family = 4 }, .with = "SMTP" };
	struct buf		 b;

	received_count_begin(&whole);
	received_count_feed(&whole, in);
	received_count_begin(&cut);
	for (size_t i = 0; i < size; i++)
		received_count_feed(&cut, span(data + i, 1));
	if (whole.received != cut.received || whole.fields != cut.fields ||
	    whole.header_bytes != cut.header_bytes || whole.over != cut.over ||
	    whole.received > whole.fields || whole.header_bytes > size)
		abort();
	buf_init(&b, 2 * size + 300);
	if (!received_write(&b, &r))
		abort();
	received_count_begin(&cut);
	received_count_feed(&cut, buf_content(&b));
	if (cut.received != 1 || cut.fields != 1 || cut.over)
		abort();
	buf_clear(&b);
	return 0;
}
