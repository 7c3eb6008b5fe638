/*
 * A tree from a text, as the parent would make it on a machine that is called
 * mail.example.org; for unit tests and fuzz targets.
 */
#ifndef REGRESS_CONFHELP_H
#define REGRESS_CONFHELP_H

#include "common/conf/conf.h"


static inline void
confhelp_bundle(struct buf *b, struct span text)
{
	const struct span	 no = span(NULL, 0);

	bundle_begin(b);
	bundle_add(b, BUNDLE_HOSTNAME, no, no, span_str("mail.example.org"));
	bundle_add(b, BUNDLE_ADDRESS, no, no, span_str("127.0.0.1"));
	bundle_add(b, BUNDLE_ADDRESS, no, no, span_str("192.0.2.1"));
	bundle_add(b, BUNDLE_ADDRESS, no, no, span_str("2001:db8::1"));
	bundle_add(b, BUNDLE_RESOLVER, no, no, span_str("192.0.2.53"));
	bundle_add(b, BUNDLE_GENERATION, no, no, span_str("7"));
	bundle_add(b, BUNDLE_MAIN, span_str("t.conf"), span_str("t.conf"),
	    text);
}

/* msgs may be NULL. */
static inline struct conf *
confhelp_parse(const char *text, struct buf *msgs)
{
	struct buf	 b, mine;
	struct conf	*c;

	buf_init(&mine, 1 << 20);
	confhelp_bundle(&b, span_str(text));
	c = conf_parse(buf_content(&b), msgs == NULL ? &mine : msgs);
	buf_clear(&b);
	buf_clear(&mine);
	return c;
}

#endif
