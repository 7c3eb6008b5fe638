/*
 * Rewriting senders and folding lines: the same whatever the cuts, no line that
 * is folded is too long, and without either nothing changes.
 */
#include <stdlib.h>

#include "common/mime/edit.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
other(struct span a, char dst[EDIT_ADDR_MAX], void *arg)
{
	(void)arg;
	memcpy(dst, "other@example.org", sizeof("other@example.org"));
	return a.len % 2 == 1;
}

/* Canonical content, as what is eaten is. */
static void
canonical(struct span in, struct buf *out)
{
	for (; in.len > 0; span_skip(&in, 1))
		if (in.p[0] == '\n')
			buf_str(out, "\r\n");
		else if (in.p[0] != '\r' && in.p[0] != '\0')
			buf_byte(out, in.p[0]);
	buf_str(out, "\r\n");
}

static bool
edit(struct span in, size_t piece, bool fold, edit_addr *f, struct buf *out)
{
	struct edit	e;
	bool		good;

	buf_reset(out);
	edit_begin(&e, fold, f, NULL);
	for (; in.len > 0; span_skip(&in, piece))
		edit_feed(&e, span_sub(in, 0, piece), out);
	edit_end(&e, out);
	good = !e.failed;
	edit_clear(&e);
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf	 in, a, b;
	struct span	 s, line;

	buf_init(&in, 4 << 20);
	buf_init(&a, 16 << 20);
	buf_init(&b, 16 << 20);
	canonical(span(data, size), &in);
	s = buf_content(&in);
	if (!edit(s, 7, false, NULL, &a) || !span_eq(buf_content(&a), s))
		abort();
	if (edit(s, s.len, true, other, &a) != edit(s, 3, true, other, &b) ||
	    !span_eq(buf_content(&a), buf_content(&b)))
		abort();
	s = buf_content(&a);
	while (span_word(&s, "\n", &line))
		if (line.len > EDIT_LINE_MAX + 1)
			abort();
	buf_clear(&in);
	buf_clear(&a);
	buf_clear(&b);
	return 0;
}
