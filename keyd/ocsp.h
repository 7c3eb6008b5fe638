/*
 * An OCSP response in a file (RFC 6960), which a server staples to its
 * handshakes: is it one of this certificate, and how long is it good?
 */
#ifndef KEYD_OCSP_H
#define KEYD_OCSP_H

#include <openssl/types.h>

#include "common/base/clock.h"
#include "common/base/span.h"

#define OCSP_MAX	16384		/* bytes; as msg.def */

struct ocsp_info {
	struct wall	 this_update;
	struct wall	 next_update;	/* 0: none was said, good for ever */
	bool		 revoked;
};

/*
 * The response in DER. issuer is the next certificate of the chain; NULL: the
 * issuer's key is not compared. Its signature is its readers' matter. False:
 * *why is a static string.
 */
bool	 ocsp_read(struct span der, X509 *cert, X509 *issuer,
	    struct ocsp_info *, const char **why);
/* "valid", "revoked", "out of date", "not yet valid" at this time. */
const char *ocsp_state(const struct ocsp_info *, struct wall now);

/* A time of OpenSSL's; NULL or malformed: 1970. */
struct wall asn1_wall(const ASN1_TIME *);

#endif
