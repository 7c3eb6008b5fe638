/*
 * What a gateway may know of SASL (RFC 4422) without taking part in it: which
 * mechanisms can go through it, and whose name a client says. Nothing here
 * judges a password.
 */
#ifndef SASL_SASL_H
#define SASL_SASL_H

#include "common/base/span.h"

#define SASL_MECH_MAX	20	/* octets of a mechanism's name: 3.1 */
#define SASL_NAME_MAX	255	/* of a user's, as it is kept */

/* sasl-mech: letters, digits, "-" and "_"; small letters too. */
bool	 sasl_mech(struct span);

/* Octets of base64, and "=" alone for an empty initial response (RFC 4954, 4, 8).
 * Whether they make sense is for whoever decodes them. */
bool	 sasl_base64(struct span);

enum sasl_class {
	SASL_PASSES,	/* nothing of it is bound to a connection */
	SASL_ASKED,	/* it may bind to a name, or negotiate a layer that
			 * hides the session: only if somebody asks for it */
	SASL_NEVER	/* bound to the client's own TLS */
};
enum sasl_class sasl_class(struct span mech);
/*
 * PLAIN, LOGIN, CRAM-MD5, SCRAM, XOAUTH2, OAUTHBEARER: its success says who the
 * client is, and there is no layer behind it. So is the -PLUS of one of these.
 */
bool	 sasl_says_who(struct span mech);
/* After a failure the server sends a challenge, which an empty response or a
 * cancellation ends (RFC 7628, 3.2.3; XOAUTH2). */
bool	 sasl_fails_by_challenge(struct span mech);
/*
 * The authentication identity in the client's first response, which is base64
 * as it went over, "=" for an empty one: PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC
 * 2195), SCRAM (RFC 5802), XOAUTH2, OAUTHBEARER (RFC 7628: the authorization
 * identity, the only one it names). Only the name is copied; what was decoded
 * is wiped. False, and empty: another mechanism, no name, or none that can be
 * shown: UTF-8 without control characters of at most SASL_NAME_MAX octets.
 */
bool	 sasl_name(struct span mech, struct span response,
	    char name[SASL_NAME_MAX + 1]);

#endif
