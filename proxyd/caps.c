/*
 * The server's keywords as p_caps. smtpd decides which of them its client sees;
 * PIPELINING and CHUNKING are translated here whatever the server has.
 */
#include "proxyd/caps.h"

#define OTHERS_MAX	1000	/* bytes of them: msg.def */

static void
send_caps(struct link *l, struct span others)
{
	const struct smtp_caps	*caps = smtp_client_caps(l->c);

	CHAN_SEND(l->chan, p_caps, .tid = l->tid, .caps = caps->bits,
	    .size = caps->size,
	    .auth = span_sub(span_str(caps->auth), 0, 500),
	    .others = others);
}

void
caps_send(struct link *l)
{
	send_caps(l, span(NULL, 0));
}

void
caps_send_all(struct link *l, struct span ehlo)
{
	struct buf	others;

	buf_init(&others, OTHERS_MAX);
	smtp_caps_others(ehlo, &others);
	send_caps(l, buf_content(&others));
	buf_clear(&others);
}
