/*
 * What a client says in an AUTH exchange with a server that knows passwords, or
 * asks somebody who does: PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195) and the
 * outer form of SCRAM-SHA-256 (RFC 5802, 7677). Decoded messages go in, what to
 * do comes out; nothing here judges or keeps a password. Pure.
 */
#ifndef SASL_SERVER_H
#define SASL_SERVER_H

#include "common/base/span.h"

enum sasl_how { SASL_PLAIN, SASL_LOGIN, SASL_CRAM_MD5, SASL_SCRAM,
    SASL_SCRAM_PLUS };
enum sasl_next {
	SASL_CHALLENGE,		/* out goes to the client, who answers */
	SASL_JUDGE,		/* out (of what was said) is to be judged */
	SASL_DONE,		/* SCRAM: the client has heard the end of it */
	SASL_BAD,		/* malformed */
	SASL_OTHER		/* it wants to act for somebody else */
};

struct sasl_server {
	enum sasl_how	 how;
	unsigned	 step;
	struct span	 challenge;	/* CRAM-MD5's, the caller's */
};

/* False: no such mechanism here. */
bool	 sasl_server_init(struct sasl_server *, struct span mech,
	    struct span challenge);
/* Before anything was said: the exchange begins with a challenge. */
enum sasl_next sasl_server_open(struct sasl_server *, struct span *out);
/* May a client say something together with AUTH (RFC 4954, 4)? */
bool	 sasl_server_takes_initial(const struct sasl_server *);
/*
 * The client's next message. user is the name that was found in its first one
 * (sasl_name()), empty if there was none. out: a challenge, or for SASL_JUDGE the
 * password, the digest, or SCRAM's message; borrowed from said. why is static.
 */
enum sasl_next sasl_server_say(struct sasl_server *, struct span said,
	    struct span user, struct span *out, const char **why);

#endif
