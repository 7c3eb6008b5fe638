/*
 * See route.h.
 */
#include "smtpd/route.h"

void
route(const struct txn *t, struct span to, struct match_out *out)
{
	const struct session	*s = t->s;
	struct match_in		 in = {
		.client = s->client,
		.local = session_local(s),
		.rdns_known = s->peer.known,
		.rdns = peer_name(&s->peer),
		.helo = span_str(s->helo),
		.mail_from = t->from,
		.rcpt_to = to,
		.tag = span_str(s->listen->tag)
	};

	conf_match(session_conf(), &in, out);
}
