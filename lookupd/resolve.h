/*
 * Questions to the resolvers: c-ares on libevent, used for no more than the
 * transport (ids, retries, other servers, TCP); the parser is common/dns. The
 * same question asked twice goes out once; CNAMEs are followed to their end.
 */
#ifndef LOOKUPD_RESOLVE_H
#define LOOKUPD_RESOLVE_H

#include <event2/event.h>

#include "lookupd/cache.h"

#define RESOLVE_TIMEOUT_MS	10000	/* in all; then DNS_TEMPFAIL */
#define RESOLVE_TRY_MS		1500	/* a server's first try; doubles */
#define RESOLVE_TRIES		3
#define RESOLVE_QUESTIONS_MAX	4096	/* on their way */
#define RESOLVE_WAITERS_MAX	16384	/* who wait for them */
#define RESOLVE_PER_OWNER_MAX	4096
#define RESOLVE_SERVERS_MAX	16

struct resolver;

struct resolve_stats {
	uint64_t	asked, hits, joined, sent, answered, failed, late,
			refused;
	size_t		questions, waiters;
};

/* Called once for each question, perhaps before resolve_ask() returns; the
 * answer is borrowed until it returns. ttl: seconds left. */
typedef void resolve_fn(void *owner, uint32_t tid, const struct answer *,
	    uint32_t ttl);

/* Reads what c-ares wants to read, so it belongs before confinement. */
struct resolver *resolve_new(struct event_base *, resolve_fn *);
/* The servers from now on; questions on their way are asked again. trust_ad:
 * believe the AD bit of servers that are not on the loopback. False: refused
 * by c-ares (out of memory). */
bool	 resolve_servers(struct resolver *, const struct addr *, size_t n,
	    bool trust_ad);
/* Asks. Beyond the limits the answer is DNS_TEMPFAIL at once. */
void	 resolve_ask(struct resolver *, enum dns_type, struct span name,
	    void *owner, uint32_t tid);
/* The owner has gone: its waiters are forgotten. */
void	 resolve_forget(struct resolver *, void *owner);
struct cache *resolve_cache(struct resolver *);
void	 resolve_stats(const struct resolver *, struct resolve_stats *);

#endif
