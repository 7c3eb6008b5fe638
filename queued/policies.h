/*
 * Domains' MTA-STS policies (RFC 8461, 10.2), as deliverds fetched them, for
 * all of them and over restarts: sts.db beside the index (side.h). Its loss is
 * no more than that of a cache. Of a queue that is down nothing is known,
 * and in one that takes no mail nothing new is kept.
 */
#ifndef QUEUED_POLICIES_H
#define QUEUED_POLICIES_H

#include "common/ipc/codec.h"
#include "common/tls/sts.h"

#define POLICIES_MAX	10000	/* domains; what ends first makes room */

struct queue;
struct side;
struct side_kind;
struct store;

struct policy {			/* spans are borrowed until the next call */
	struct span	 domain;
	struct span	 id;		/* of its record */
	int64_t		 expires_ms;	/* unix time */
	struct span	 text;		/* of sts_policy_write() */
};

extern const struct side_kind policies_kind;
struct side *store_policies(struct store *);

/* What a deliverd says; no policy, or one that has expired, is not kept. */
void	 policies_put(struct queue *, const struct ipc_d_policy *);
/* False: there is none that holds. */
bool	 policies_get(struct queue *, struct span domain, struct policy *);
/* f must not call the store. */
void	 policies_each(struct queue *, void (*f)(const struct policy *, void *),
	    void *arg);
/* Drops some that have expired; true: there is more. */
bool	 policies_sweep(struct queue *);
/* Room for n, for tests. */
void	 policies_limit(uint64_t n);

#endif
