/*
 * The server's keywords as p_caps. smtpd decides which of them its client sees;
 * PIPELINING and CHUNKING are translated here whatever the server has.
 */
#include "proxyd/caps.h"

void
caps_send(struct link *l)
{
	const struct smtp_caps	*caps = smtp_client_caps(l->c);

	CHAN_SEND(l->chan, p_caps, .tid = l->tid, .caps = caps->bits,
	    .size = caps->size,
	    .auth = span_sub(span_str(caps->auth), 0, 500));
}
