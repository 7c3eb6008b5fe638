/*
 * What is known of recipients: how long an answer holds, when it is asked for
 * anew, what still counts while the server is down. The rows are
 * store_verify.h's; of a queue that is down, or full, nothing is known and
 * nothing is kept.
 */
#ifndef QUEUED_KNOWN_H
#define QUEUED_KNOWN_H

#include "common/ipc/codec.h"
#include "queued/store_verify.h"

#define KNOWN_BAD_MS	300000		/* a no holds so long */
#define KNOWN_ANY_MS	86400000	/* that a server takes any address */
#define KNOWN_MAX	500000		/* rows; those that end first go first */

struct queue;
struct dest;
struct job_rcpt;

struct known {
	uint8_t		 state;		/* V_NONE, V_GOOD, V_BAD */
	uint8_t		 any;		/* V_ANY_NOT_ASKED: or so long ago */
	bool		 refresh;	/* is asked for anew while it holds */
	bool		 good;		/* within known-good */
	char		 reply[STORE_VERIFY_REPLY_MAX + 1];
	char		 server[STORE_VERIFY_SERVER_MAX + 1];
};
struct known_params { int64_t cache_ms, good_ms; };

/*
 * The key of an address. domain is where its domain goes in lower case; false:
 * it is too long for any server.
 */
bool	 known_key(struct span to, struct span where, struct span target,
	    char domain[256], struct verify_key *);
void	 known_look(struct queue *, const struct verify_key *,
	    const struct known_params *, struct known *);
/* A server's answer, or none (V_LATER, V_DOWN change nothing). */
void	 known_tell(struct queue *, const struct verify_key *,
	    const struct known_params *, enum v_state, enum v_any,
	    struct span reply, struct span server);
/* A live session has shown it, good or bad. */
void	 known_learn(struct queue *, const struct verify_key *,
	    const struct known_params *, enum v_state, struct span reply,
	    struct span server);
/* A delivery has shown it, if its action asks servers at all. */
void	 known_delivery(struct queue *, const struct dest *,
	    const struct job_rcpt *);
/* Drops what is of no use any more, a few; true: there is more. */
bool	 known_sweep(struct queue *);
/* The same from n entries on, for tests. */
void	 known_limit(uint64_t n);

#endif
