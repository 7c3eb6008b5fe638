/*
 * The PROXY protocol's header, versions 1 and 2 (HAProxy's proxy-protocol.txt,
 * 2.1 and 2.2): what a load balancer says of the client before anything else,
 * and what we say to an actual server. Pure functions.
 */
#ifndef SMTP_PROXYHDR_H
#define SMTP_PROXYHDR_H

#include "common/base/addr.h"
#include "common/base/buf.h"

#define PROXYHDR_V1_MAX	107	/* octets with CR LF (2.1) */
#define PROXYHDR_MAX	4096	/* of a version 2 header with all its TLVs */

struct proxyhdr {
	/* False: LOCAL, UNKNOWN, or a family that is not TCP over IP. The
	 * connection's own addresses stand then. */
	bool		 known;
	struct addr	 src, dst;	/* with their ports */
};

/*
 * PARSE_OK: a whole header; `in` moves behind it. PARSE_MORE: the beginning of
 * one; nothing is eaten. PARSE_BAD as soon as no further byte can make it one.
 * TLVs are passed over, but for the checksum, which must be right.
 */
enum parse proxyhdr_parse(struct span *in, struct proxyhdr *,
	    const char **why);
/* Append a header; src NULL: UNKNOWN, LOCAL. Addresses of two families are both
 * written as IPv6. False: it does not fit. */
bool	 proxyhdr_write_v1(struct buf *, const struct addr *src,
	    const struct addr *dst);
bool	 proxyhdr_write_v2(struct buf *, const struct addr *src,
	    const struct addr *dst);

#endif
