/*
 * Destinations: names and concurrency. See dest.h.
 */
#include "queued/dest.h"

#include "common/base/utf8.h"
#include "common/conf/table.h"

static uint64_t
hash(uint64_t h, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * UINT64_C(0x100000001b3);
	return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

/* FNV-1a with a final mix; it only has to tell destinations apart. Two with the
 * same key would share their turns, never a job: that compares the names. */
static uint64_t
dest_key(struct span action, struct span domain)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	h = hash(hash(h, action), domain);
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return h ^ h >> 33;
}

uint64_t
dest_of(const struct conf *conf, struct span action, struct span to,
    char *domain)
{
	const struct conf_action *a = conf_action_find(conf, action);
	size_t			  at = span_rfind(to, '@');
	struct span		  d = span_sub(to, at + 1, to.len);

	domain[0] = '\0';
	if (a != NULL && a->ndests > 0)
		return dest_key(action, span_str(""));
	if (!utf8_domain_to_ascii(d, domain, 256)) {
		/* An address literal, or nothing: as it is, lower case. */
		if (!span_cstr(d, domain, 256))
			domain[0] = '\0';
		for (char *p = domain; *p != '\0'; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p += 'a' - 'A';
	}
	return dest_key(action, span_str(domain));
}

unsigned
dest_limit(const struct conf *conf, const struct dest *d)
{
	unsigned	 n = conf->limits.deliveries_per_dest;
	struct span	 v;

	for (size_t i = 0; i < conf->limits.deliveries_for.n; i++)
		if (table_get_domain(conf->limits.deliveries_for.v[i].table,
		    span_str(d->domain), &v)) {
			n = conf->limits.deliveries_for.v[i].n;
			break;
		}
	/* Twice as many jobs as connections, so that none waits a round trip
	 * for its next message. */
	return n == 0 ? 2 : n * 2;
}

bool
dest_may_start(const struct dest *d, int64_t now)
{
	if (d->paused)
		return false;
	if (d->state == DEST_DOWN)
		return d->running == 0 && now >= d->probe_ms;
	return d->running < d->window;
}

bool
dest_seen(struct dest *d, enum d_dest seen, unsigned limit,
    const struct retry *retry, int64_t now, uint32_t random)
{
	bool	 back = d->state == DEST_DOWN;

	switch (seen) {
	case D_DEST_OK:
		d->state = DEST_UP;
		d->troubles = 0;
		if (back)
			d->window = DEST_WINDOW / 4;
		d->window++;
		if (d->window > limit)
			d->window = limit;
		return back;
	case D_DEST_SLOW:
		if (d->state != DEST_DOWN)
			d->state = DEST_SLOW;
		d->troubles++;
		d->window = d->window > 1 ? d->window / 2 : 1;
		return false;
	case D_DEST_DOWN:
	default:
		if (d->state == DEST_DOWN && now < d->probe_ms)
			return false;	/* one of those begun before */
		if (d->state != DEST_DOWN)
			d->down_since_ms = now;
		d->state = DEST_DOWN;
		d->troubles++;
		d->probe_ms = retry_probe(retry, d->troubles, now, random);
		return false;
	}
}

const char *
dest_state_str(enum dest_state s)
{
	return s == DEST_UP ? "up" : s == DEST_SLOW ? "slow" : "down";
}
