/*
 * SASL (RFC 4422) as the client, without the secrets: which mechanism is the
 * best that both sides have, and what a challenge of the server's asks for. What
 * a secret is needed for is keyd's (keyd/login.h). Pure functions.
 */
#ifndef SASL_CLIENT_H
#define SASL_CLIENT_H

#include "common/base/buf.h"

/* The best first. Those above MECH_OAUTHBEARER never show the secret. */
enum sasl_mech {
	MECH_SCRAM_SHA_256,		/* RFC 7677 */
	MECH_SCRAM_SHA_1,		/* RFC 5802 */
	MECH_CRAM_MD5,			/* RFC 2195 */
	MECH_OAUTHBEARER,		/* RFC 7628 */
	MECH_XOAUTH2,
	MECH_PLAIN,			/* RFC 4616 */
	MECH_LOGIN,
	MECH_NONE
};

const char *sasl_mech_name(enum sasl_mech);	/* "" for MECH_NONE */
/* Of a name, without regard to case. */
enum sasl_mech sasl_mech_named(struct span);
/* The best of a list with a space between, for a token or for a password. */
enum sasl_mech sasl_mech_choose(struct span offered, bool token);

/* An exchange that is under way; zeroed it has not begun. */
struct sasl_client {
	enum sasl_mech	 mech;
	uint8_t		 challenges;	/* that have come */
	bool		 proven;	/* SCRAM: the server knows the password */
	bool		 told;		/* it told an error by a challenge */
	struct buf	 first;		/* SCRAM: what was said first */
	struct buf	 expect;	/* and what the server must say */
};

#define SASL_FIRST_MAX	1024
#define SASL_EXPECT_MAX	128

/* Begins an exchange by this mechanism. */
void	 sasl_client_begin(struct sasl_client *, enum sasl_mech);
void	 sasl_client_clear(struct sasl_client *);

enum sasl_turn {
	SASL_ASK,		/* the response needs the secret */
	SASL_SAY,		/* *say, which is static and may be empty */
	SASL_STOP		/* cancel it; *why (static) says why */
};
/* The server's next challenge, decoded. */
enum sasl_turn sasl_client_challenge(struct sasl_client *, struct span,
	    struct span *say, const char **why);
/* The server says that we are in: may that be? Not where it had to show that it
 * knows the password and did not (RFC 5802, 5). */
bool	 sasl_client_done(const struct sasl_client *);

#endif
