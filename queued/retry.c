/*
 * Back-off, expiry and queue time. See retry.h.
 */
#include "queued/retry.h"

#define QUEUE_TIME_JUMP	(7 * 24 * 3600 * INT64_C(1000))
#define PROBE_MAX	(5 * 60 * INT64_C(1000))

static int64_t
doubled(int64_t from, int64_t to, uint32_t times)
{
	while (times-- > 0 && from < to)
		from *= 2;
	return from < to ? from : to;
}

/* ms, between four and six fifths of it. */
static int64_t
spread(int64_t ms, uint32_t random)
{
	int64_t	 range = ms / 5 * 2;

	return range == 0 ? ms : ms - range / 2 + random % (range + 1);
}

int64_t
retry_next(const struct retry *r, uint32_t attempts, int64_t now,
    int64_t expire, uint32_t random)
{
	int64_t	 next;

	next = now + spread(doubled(r->min_ms, r->max_ms,
	    attempts == 0 ? 0 : attempts - 1), random);
	return next < expire ? next : expire > now ? expire : now;
}

bool
retry_expired(int64_t now, int64_t expire)
{
	return now >= expire;
}

int64_t
retry_probe(const struct retry *r, uint32_t troubles, int64_t now,
    uint32_t random)
{
	int64_t	 max = r->max_ms < PROBE_MAX ? r->max_ms : PROBE_MAX;
	int64_t	 min = r->min_ms / 2 > 0 ? r->min_ms / 2 : 1;

	return now + spread(doubled(min, max, troubles == 0 ? 0 :
	    troubles - 1), random);
}

int64_t
retry_queue_time(int64_t saved, int64_t saved_wall, int64_t wall)
{
	int64_t	 passed = wall - saved_wall;

	if (passed < 0)
		passed = 0;
	if (passed > QUEUE_TIME_JUMP)
		passed = QUEUE_TIME_JUMP;
	return saved + passed;
}
