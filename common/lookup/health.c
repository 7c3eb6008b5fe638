/*
 * The interval is min at the first failure and doubles to max. See health.h.
 */
#include "common/lookup/health.h"

static int64_t
interval(const struct health_times *t, uint32_t failures, uint32_t random)
{
	int64_t	 ms = t->min_ms > 0 ? t->min_ms : 1, range;

	while (failures-- > 1 && ms < t->max_ms)
		ms *= 2;
	if (ms > t->max_ms && t->max_ms > 0)
		ms = t->max_ms;
	range = ms / 5 * 2;
	return range == 0 ? ms : ms - range / 2 + random % (range + 1);
}

bool
health_due(const struct health *h, int64_t now)
{
	return health_is_down(h) && now >= h->probe_ms;
}

void
health_probe(struct health *h, const struct health_times *t, int64_t now,
    uint32_t random)
{
	h->probing = true;
	h->probe_ms = now + interval(t, h->failures, random);
}

bool
health_failed(struct health *h, bool probe, const struct health_times *t,
    int64_t now, uint32_t random)
{
	if (health_is_down(h) && !probe)
		return false;
	if (!health_is_down(h))
		h->since_ms = now;
	if (h->failures < UINT32_MAX)
		h->failures++;
	h->probing = false;
	h->probe_ms = now + interval(t, h->failures, random);
	return true;
}

bool
health_works(struct health *h, int64_t now)
{
	bool	 was = health_is_down(h);

	if (was || h->since_ms == 0)
		*h = (struct health){ .since_ms = now };
	return was;
}
