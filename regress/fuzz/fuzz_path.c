/*
 * A path: what is taken has no control characters, and what is written from it
 * is a mailbox again.
 */
#include <stdlib.h>

#include "common/smtp/path.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_path	 p, q;
	struct span		 in = span(data, size);
	struct buf		 b;
	const char		*why;
	char			 dom[256];

	if (smtp_path_parse(&in, true, true, &p, &why) != PARSE_OK)
		return 0;
	for (size_t i = 0; i < p.text.len; i++) {
		if (p.text.p[i] < ' ' || p.text.p[i] == 127)
			abort();
	}
	(void)smtp_path_domain(&p, dom, sizeof(dom));
	buf_init(&b, 1024);
	if (smtp_path_write(&b, &p) && buf_len(&b) > 0 && p.domain.len > 0 &&
	    smtp_mailbox_parse(buf_content(&b), true, &q, &why) != PARSE_OK)
		abort();
	buf_clear(&b);
	return 0;
}
