/*
 * What is known of recipients, on disk: verify.db beside the index (side.h).
 *
 * Keys: DOMAIN 0 LOCAL 0 WHERE 0 TARGET, one recipient at one server; with an
 * empty LOCAL the server itself, for the domain.
 */
#ifndef QUEUED_STORE_VERIFY_H
#define QUEUED_STORE_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"

#define STORE_VERIFY_REPLY_MAX	300	/* bytes of either */
#define STORE_VERIFY_SERVER_MAX	300

struct store;
struct side;
struct side_kind;

struct verify_key {		/* all without NUL */
	struct span	 domain;	/* lower case */
	struct span	 local;
	struct span	 where;		/* "action NAME" or "pool NAME" */
	struct span	 target;
};
/* Times are unix time in ms. Spans are borrowed until the next call. */
struct verify_row {
	uint8_t		 state;		/* enum v_state; V_NONE, V_GOOD, V_BAD */
	uint8_t		 any;		/* enum v_any, of the server itself */
	bool		 by_delivery;	/* not by a question */
	int64_t		 since_ms;	/* said so first */
	int64_t		 asked_ms;	/* said so last */
	int64_t		 until_ms;	/* holds so long */
	int64_t		 good_ms;	/* last known to be good; 0: never */
	int64_t		 drop_ms;	/* of no use any more then */
	struct span	 reply, server;
};

extern const struct side_kind store_verify_kind;
/* The one of a store. */
struct side *store_verify(struct store *);

bool	 store_verify_get(struct side *, const struct verify_key *,
	    struct verify_row *);
/* A row that is longer than it may be, or a key, is not kept. */
void	 store_verify_put(struct side *, const struct verify_key *,
	    const struct verify_row *);
bool	 store_verify_del(struct side *, const struct verify_key *);
/*
 * Rows of a domain, or of one recipient with local, in order until f returns
 * false; f must not call the store. after (or NULL): from behind this one on.
 */
void	 store_verify_each(struct side *, struct span domain,
	    const struct span *local, const struct verify_key *after,
	    bool (*f)(const struct verify_key *, const struct verify_row *,
	    void *), void *arg);

#endif
