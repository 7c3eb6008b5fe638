/*
 * A PROXY header is found at the same octet however it is cut, and what it says
 * of a client can be said again; so with XCLIENT's attributes.
 */
#include <stdlib.h>

#include "common/smtp/proxyhdr.h"
#include "common/smtp/xclient.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
again(const struct proxyhdr *h, bool two)
{
	struct proxyhdr	 g;
	struct buf	 b;
	struct span	 in;
	const char	*why;

	buf_init(&b, 200);
	if (!(two ? proxyhdr_write_v2 : proxyhdr_write_v1)(&b,
	    h->known ? &h->src : NULL, &h->dst))
		abort();
	in = buf_content(&b);
	if (proxyhdr_parse(&in, &g, &why) != PARSE_OK || in.len != 0 ||
	    g.known != h->known || (h->known && (!addr_eq(&g.src, &h->src) ||
	    !addr_eq(&g.dst, &h->dst) || g.src.port != h->src.port ||
	    g.dst.port != h->dst.port)))
		abort();
	buf_clear(&b);
}

static void
attributes(struct span in)
{
	struct xclient	 x, y;
	struct buf	 b;
	const char	*why;

	if (xclient_parse(in, &x, &why) != PARSE_OK)
		return;
	buf_init(&b, XCLIENT_ARG_MAX);
	if (xclient_write(&b, &x, XC_ALL) &&
	    (xclient_parse(buf_content(&b), &y, &why) != PARSE_OK ||
	    (y.given | x.given) != x.given))
		abort();
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	 in = span(data, size), part;
	struct proxyhdr	 h, cut;
	const char	*why;
	enum parse	 res = proxyhdr_parse(&in, &h, &why);
	size_t		 len = size - in.len;

	if (res != PARSE_OK && len != 0)
		abort();
	for (size_t n = 0; res == PARSE_OK && n <= len; n++) {
		part = span(data, n);
		if (proxyhdr_parse(&part, &cut, &why) !=
		    (n == len ? PARSE_OK : PARSE_MORE))
			abort();
	}
	if (res == PARSE_OK) {
		again(&h, false);
		again(&h, true);
	}
	attributes(span(data, size));
	return 0;
}
