/*
 * SCRAM-SHA-256 as a server (RFC 5802, 7677), with tls-exporter as its channel
 * binding (RFC 9266): what is said within one exchange, from the keys that a
 * users' file has. Pure, but for the random part of the nonce, which the caller
 * gives.
 */
#ifndef SASL_SCRAM_H
#define SASL_SCRAM_H

#include "common/sasl/hash.h"

#define SCRAM_AUTH_MAX	2560	/* bytes of what both sides sign */
#define SCRAM_NONCE_MAX	512	/* of both sides together */
#define SCRAM_GS2_MAX	300
#define SCRAM_BINDING_MAX 64	/* of the channel */
#define SCRAM_FAKE_SALT	16	/* bytes, as of those that we make */

struct scram {
	struct hash_scram keys;
	bool		 bound;		/* -PLUS */
	uint8_t		 binding[SCRAM_BINDING_MAX];
	size_t		 binding_len;	/* 0: there is no such channel */
	char		 gs2[SCRAM_GS2_MAX];	/* the client's header */
	size_t		 gs2_len;
	char		 nonce[SCRAM_NONCE_MAX];
	size_t		 nonce_len;
	char		 auth[SCRAM_AUTH_MAX];	/* so far */
	size_t		 auth_len;
};
enum scram_verdict { SCRAM_YES, SCRAM_NO, SCRAM_BAD };

/* plus: the mechanism is the one that binds, to this channel. binding not empty
 * without plus: it was offered, and a client that says that it was not has been
 * lied to. */
void	 scram_init(struct scram *, const struct hash_scram *, bool plus,
	    struct span binding);
/*
 * client-first-message; user is whom smtpd has found in it, nonce our part,
 * printable without ",". Appends the challenge. False: malformed, and *why is
 * static.
 */
bool	 scram_first(struct scram *, struct span said, struct span nonce,
	    struct buf *challenge, const char **why);
/* client-final-message; on SCRAM_YES appends the server's signature. */
enum scram_verdict scram_final(struct scram *, struct span said,
	    struct buf *signature, const char **why);

#endif
