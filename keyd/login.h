/*
 * Logins at other servers, as the client (SASL, RFC 4422): the next thing to say
 * in an exchange, worked out here so that a password itself leaves keyd only for
 * PLAIN and LOGIN, and a token for its own two mechanisms. Nothing is kept
 * between the steps of an exchange: each question has all that it needs.
 */
#ifndef KEYD_LOGIN_H
#define KEYD_LOGIN_H

#include "common/sasl/client.h"

#define LOGIN_NONCE	24		/* bytes that a SCRAM nonce is made of */
/* Rounds that a server may ask for: with less a password is guessed from one
 * exchange by whoever poses as the server, more would stop keyd (RFC 5802, 9;
 * RFC 7677, 4). */
#define LOGIN_ROUNDS_MIN	4096
#define LOGIN_ROUNDS_MAX	100000
#define LOGIN_RESPONSE_MAX	9216

struct login {
	enum sasl_mech	 mech;
	struct span	 user, secret;	/* secret: a token for those that have one */
	unsigned	 step;		/* challenges that have come */
	struct span	 first;		/* SCRAM: what was said first */
	struct span	 challenge;	/* the last one */
};

/*
 * Puts the response into *response, empty before, and for the last step of
 * SCRAM what the server must say into *expect. nonce is used in the first step
 * of SCRAM. *says false: the server begins. False: *why (static) says why.
 */
bool	 login_next(const struct login *, const uint8_t nonce[LOGIN_NONCE],
	    struct buf *response, bool *says, struct buf *expect,
	    const char **why);
/* Forgets what was derived from passwords. */
void	 login_forget(void);

#endif
