/*
 * A proxied listener: the client's whole session is the actual server's, from
 * its greeting on.
 */
#include <stdio.h>

#include "smtpd/proxy.h"

void
proxy_begin(struct session *s)
{
	s->link = link_open(&proxy_link_ops, NULL, s, s->listen->proxy, span(NULL, 0),
	    NULL);
	if (s->link == NULL)
		session_greet(s, 421, span_str("4.3.2 The proxy is "
		    "restarting"));
}

/* The greeting is the server's but for its name: ours is the one in our EHLO,
 * and inner names are nobody's business. */
void
proxy_greeted(struct session *s, uint16_t code, struct span text)
{
	char		 line[600];
	struct span	 rest;

	if (code != 220) {
		/* What is no refusal is no greeting either. */
		session_greet(s, code / 100 < 4 ? 421 : code, text);
		return;
	}
	rest = span_sub(text, 0, span_find(text, '\n'));
	span_skip(&rest, span_find(rest, ' '));
	rest = span_sub(rest, 0, 200);
	snprintf(line, sizeof(line), "%s%.*s", s->listen->hostname,
	    (int)rest.len, (const char *)rest.p);
	session_greet(s, 220, span_str(line));
}
