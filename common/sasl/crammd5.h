/*
 * CRAM-MD5 (RFC 2195) for those who keep passwords: the digest of a challenge,
 * and Dovecot's hash of it, which is the two states of MD5 behind the keyed
 * blocks of HMAC (RFC 2104), in hex. For hash.c.
 */
#ifndef SASL_CRAMMD5_H
#define SASL_CRAMMD5_H

#include "common/base/span.h"

#define CRAMMD5_STATE	32	/* bytes: outer state, inner state */

/* The states that the hash stands for; false: not such a hash. */
bool	 crammd5_state(struct span hex, uint8_t state[CRAMMD5_STATE]);
/* Is it this password's hash? */
bool	 crammd5_check(struct span hex, struct span password);
/* Is digest, in hex, the one of challenge by this password, by this hash? */
bool	 crammd5_plain(struct span password, struct span challenge,
	    struct span digest);
bool	 crammd5_hashed(struct span hex, struct span challenge,
	    struct span digest);

#endif
