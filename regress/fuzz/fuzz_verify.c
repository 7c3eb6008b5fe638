/*
 * Keys and rows of verify.db from any bytes: nothing outside is read, and what is
 * taken is within its ranges and written again as the same bytes.
 */
#include <stdlib.h>

#include "common/ipc/codec.h"
#include "queued/verify_row.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
row(struct span in)
{
	struct verify_row r;
	struct buf	 b;

	if (!verify_get_row(in, &r))
		return;
	if (r.state > V_BAD || r.any > V_ANY_YES ||
	    r.reply.len > STORE_VERIFY_REPLY_MAX ||
	    r.server.len > STORE_VERIFY_SERVER_MAX)
		abort();
	buf_init(&b, VERIFY_ROW_MAX);
	verify_put_row(&b, &r);
	/* by_delivery is a bool: any byte but 0 becomes 1. */
	if (b.failed || buf_len(&b) != in.len ||
	    (in.p[3] <= 1 && !span_eq(buf_content(&b), in)))
		abort();
	buf_clear(&b);
}

static void
key(struct span in)
{
	struct verify_key k;
	struct buf	 b;

	if (!verify_get_key(in, &k))
		return;
	if (span_find(k.domain, 0) < k.domain.len ||
	    span_find(k.local, 0) < k.local.len ||
	    span_find(k.where, 0) < k.where.len ||
	    span_find(k.target, 0) < k.target.len)
		abort();
	buf_init(&b, in.len + 1);
	if (!verify_put_key(&b, &k) || !span_eq(buf_content(&b), in))
		abort();
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	row(span(data, size));
	key(span(data, size));
	return 0;
}
