/*
 * From a recipient to its action: what is known of the session, put before the
 * rules (common/conf/match.h).
 */
#ifndef SMTPD_ROUTE_H
#define SMTPD_ROUTE_H

#include "common/conf/match.h"
#include "smtpd/txn.h"

/* What is known, of this recipient. */
struct match_in route_in(const struct txn *, struct span to);
/* The decision, by the rules behind the first `skip`; MATCH_NEED_RDNS: ask
 * again when the peer is known. */
void	 route(const struct txn *, struct span to, bool expanded, size_t skip,
	    struct match_out *);

#endif
