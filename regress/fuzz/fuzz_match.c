/*
 * A configuration, and behind a byte 0xff what is known of a session, fields
 * one after the other: each decision is whole.
 */
#include <stdlib.h>

#include "common/conf/match.h"
#include "regress/lib/confhelp.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct span
field(struct span *s)
{
	struct span	 f = span_sub(*s, 0, span_find(*s, 0xff));

	span_skip(s, f.len + 1);
	return f;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	 s = span(data, size), text = field(&s);
	struct span	 flags = field(&s);
	uint8_t		 bits = flags.len > 0 ? flags.p[0] : 0;
	struct match_in	 in = { .local = bits & 1, .rdns_known = bits & 2,
		.tls = bits & 4, .expanded = bits & 8 };
	struct match_out o;
	struct buf	 b, msgs;
	struct conf	*c;

	(void)addr_parse(field(&s), &in.client);
	in.rcpt_to = field(&s);
	in.mail_from = field(&s);
	in.helo = field(&s);
	in.auth_user = field(&s);
	in.tag = field(&s);
	in.rdns = field(&s);
	buf_init(&msgs, 1 << 20);
	confhelp_bundle(&b, text);
	if ((c = conf_parse(buf_content(&b), &msgs)) != NULL) {
		conf_match(c, &in, &o);
		if ((o.kind == MATCH_ACTION) != (o.action != NULL) ||
		    o.nlooked > c->nrules || o.text == NULL ||
		    (o.kind == MATCH_NEED_RDNS && in.rdns_known) ||
		    ((o.kind == MATCH_REJECT || o.kind == MATCH_NONE) &&
		    (o.code < 400 || o.code > 599)))
			abort();
	}
	conf_free(c);
	buf_clear(&b);
	buf_clear(&msgs);
	return 0;
}
