/*
 * A delivery status notification from any bytes: whatever addresses, replies
 * and the message say, it has its lines, its parts and its bits in order.
 */
#include <stdlib.h>

#include "common/base/utf8.h"
#include "common/mime/dsn.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The next field: two bytes of length, then itself. */
static struct span
take(struct span *in)
{
	struct span	 s;
	size_t		 n;

	if (in->len < 2)
		return span(NULL, 0);
	n = (size_t)in->p[0] | (size_t)in->p[1] << 8;
	span_skip(in, 2);
	s = span_sub(*in, 0, n);
	span_skip(in, s.len);
	return s;
}

static void
check(struct span s, const struct dsn *d, const struct dsn_form *f)
{
	struct span	 line, boundary = { NULL, 0 };
	size_t		 n = 0, told = 0;

	if (f->told == 0 || f->told > d->nrcpts ||
	    (!f->eightbit && !utf8_is_ascii(s)))
		abort();
	while (span_word(&s, "\n", &line)) {
		if (line.len == 0 || line.p[line.len - 1] != '\r' ||
		    --line.len > 998 || span_find(line, '\r') != line.len ||
		    span_find(line, '\0') != line.len)
			abort();
		if (boundary.len == 0 &&
		    span_starts(line, span_str("\tboundary=\"")))
			boundary = span_sub(line, 11, line.len - 12);
		if (line.len >= boundary.len + 2 && boundary.len > 0 &&
		    span_starts(line, span_str("--")) &&
		    span_starts(span_sub(line, 2, line.len), boundary))
			n++;
		if (n == 2 && span_starts(line, span_str("Final-Recipient: ")))
			told++;
	}
	/* Two or three parts, and the end. */
	if ((n != 3 && n != 4) || told != f->told)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	 in = span(data, size);
	struct dsn_rcpt	 rcpts[8];
	struct dsn	 d = { .now_ms = 1795000000000, .rcpts = rcpts };
	struct dsn_form	 f;
	struct buf	 b;
	uint8_t		 bits;

	if (size < 3)
		return 0;
	bits = in.p[0];
	d.double_bounce = bits & 1;
	d.utf8 = bits & 2;
	d.full = bits & 4;
	d.whole = bits & 8;
	d.nrcpts = 1 + (bits >> 4) % 8;
	d.zone_min = (int8_t)in.p[1] * 6;
	d.arrived_ms = (uint64_t)in.p[2] << 33;
	d.until_ms = (uint64_t)in.p[2] << 55;
	span_skip(&in, 3);
	d.host = take(&in);
	d.id = take(&in);
	d.of = take(&in);
	d.to = take(&in);
	d.envid = take(&in);
	d.prefix = take(&in);
	d.content = take(&in);
	for (size_t i = 0; i < d.nrcpts; i++) {
		bits = in.len > 0 ? in.p[0] : 0;
		span_skip(&in, 1);
		rcpts[i] = (struct dsn_rcpt){ .action = DSN_FAILED +
		    bits % (DSN_ACTIONS - 1), .expired = bits & 64,
		    .tried_ms = (uint64_t)(bits & 128) << 40, .to = take(&in),
		    .orig = take(&in), .orcpt = take(&in), .reply = take(&in),
		    .server = take(&in) };
	}
	buf_init(&b, DSN_MAX);
	if (!dsn_write(&b, &d, &f))
		abort();
	check(buf_content(&b), &d, &f);
	buf_clear(&b);
	return 0;
}
