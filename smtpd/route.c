/*
 * See route.h.
 */
#include "smtpd/route.h"

struct match_in
route_in(const struct txn *t, struct span to)
{
	const struct session	*s = t->s;

	return (struct match_in){
		.client = s->client,
		.local = session_local(s),
		.rdns_known = s->peer.known,
		.rdns = peer_name(&s->peer),
		.helo = span_str(s->helo),
		.auth = s->authed,
		.auth_user = span_str(s->user),
		.mail_from = t->from,
		.rcpt_to = to,
		.tag = span_str(s->listen->tag),
		.tls = s->tls != NULL,
		.cert = span_str(s->cert)
	};
}

void
route(const struct txn *t, struct span to, bool expanded, size_t skip,
    struct match_out *out)
{
	struct match_in	in = route_in(t, to);

	in.expanded = expanded;
	in.skip = skip;
	conf_match(session_conf(), &in, out);
}
