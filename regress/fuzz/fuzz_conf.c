/*
 * A configuration, with the files that it names behind it, each after a byte
 * 0xff: nothing breaks, a tree is printed, and what is printed is a
 * configuration that prints the same.
 */
#include <stdlib.h>

#include "regress/lib/confhelp.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct files {
	struct span	 rest;		/* texts that are left */
	struct buf	*bundle;
	unsigned	 n;
};

/* The next text is the file that is wanted. */
static void
give(enum bundle_kind kind, struct span key, void *arg)
{
	struct files	*f = arg;
	struct span	 text;

	f->n++;
	if (f->rest.len == 0 || f->n > 20)
		return;
	text = span_sub(f->rest, 0, span_find(f->rest, 0xff));
	span_skip(&f->rest, text.len + 1);
	bundle_add(f->bundle, kind, key, key, text);
}

/* Printed, or an empty buffer; files are given once more each time. */
static void
print(struct span text, struct span files, struct buf *out)
{
	struct buf	 b, copy, msgs;
	struct files	 f = { files, &b, 0 };
	struct conf	*c;

	confhelp_bundle(&b, text);
	for (unsigned i = 0; i < 4; i++) {
		/* What is read may not move while it grows. */
		buf_init(&copy, BUNDLE_MAX);
		buf_span(&copy, buf_content(&b));
		conf_wants(buf_content(&copy), give, &f);
		buf_clear(&copy);
	}
	buf_init(&msgs, 1 << 20);
	buf_init(out, 64 << 20);
	if ((c = conf_parse(buf_content(&b), &msgs)) != NULL)
		conf_print(c, out);
	else if (buf_len(&msgs) == 0)
		abort();
	conf_free(c);
	buf_clear(&msgs);
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	 s = span(data, size);
	size_t		 n = span_find(s, 0xff);
	struct buf	 once, twice;

	print(span_sub(s, 0, n), span_sub(s, n + 1, size), &once);
	/* Tables' files keep their names; included texts stand in it now, so
	 * that the order of files would be another. */
	if (buf_len(&once) > 0 && n >= size) {
		print(buf_content(&once), span(NULL, 0), &twice);
		if (!span_eq(buf_content(&once), buf_content(&twice)))
			abort();
		buf_clear(&twice);
	}
	buf_clear(&once);
	return 0;
}
