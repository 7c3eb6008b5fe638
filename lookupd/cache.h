/*
 * Answers kept by their TTL, negative ones and failures too: a map with the
 * least recently used at its end, bounded in bytes. An answer is one packed
 * piece of memory. The cache takes the time as an argument and does no I/O.
 */
#ifndef LOOKUPD_CACHE_H
#define LOOKUPD_CACHE_H

#include "common/base/clock.h"
#include "common/dns/answer.h"

#define CACHE_BYTES_MAX	(16 << 20)	/* a rlimit of 256 MiB leaves that */
#define CACHE_TTL_MIN_S	1
#define CACHE_TTL_MAX_S	86400		/* RFC 8767 would allow 7 days */
#define CACHE_NEG_MAX_S	3600		/* RFC 2308, 5 allows 3 hours */
#define CACHE_FAIL_S	10		/* SERVFAIL, dead; RFC 2308: <= 300 */

/* A packed answer; immutable. */
struct answer {
	enum dns_status	 status;
	bool		 ad;
	uint32_t	 ttl;		/* seconds from when it was made */
	uint16_t	 nrr;
	size_t		 size;		/* of the records in data */
	uint8_t		 canon_len;	/* the name where a chain of CNAMEs */
	uint8_t		 data[];	/* ended stands behind them */
};
struct answer_rr {			/* borrowed from the answer */
	uint8_t		 type;
	uint16_t	 pref;
	struct addr	 addr;
	struct span	 name, text;
};

/* Packs; clamps the TTL to the limits above. Free with free(). NULL: memory. */
struct answer *answer_pack(const struct dns_answer *);
/* One with this status and no records. */
struct answer *answer_none(enum dns_status, uint32_t ttl);
/* Empty: the name that was asked for is no alias. */
struct span answer_canon(const struct answer *);
/* The record at *pos (0 to begin with), which moves on. False at the end. */
bool	 answer_next(const struct answer *, size_t *pos, struct answer_rr *);

struct cache;

struct cache *cache_new(size_t bytes_max);
void	 cache_free(struct cache *);
/* NULL if there is none, or it has expired. *ttl is what is left, in seconds.
 * The answer is valid until the cache is changed. */
const struct answer *cache_get(struct cache *, enum dns_type, struct span name,
	    struct mono now, uint32_t *ttl);
/* Takes the answer, whether or not it can be kept. */
void	 cache_put(struct cache *, enum dns_type, struct span name,
	    struct answer *, struct mono now);
/* Forgets all types of a name, or everything if name is empty; how many. */
size_t	 cache_flush(struct cache *, struct span name);
size_t	 cache_entries(const struct cache *);
size_t	 cache_bytes(const struct cache *);

#endif
