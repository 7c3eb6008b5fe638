/*
 * See source.h. A worker's own counts are exact; the sum comes from queued a
 * moment later, and stays as it was last heard while queued is away.
 */
#include "smtpd/source.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/table.h"

#define SWEEP_EVERY	1024	/* new sources between two looks for old ones */

struct source {
	struct addr	 addr;
	uint32_t	 here, total;	/* sessions */
	int64_t		 window_ms;	/* began; for the rate */
	uint32_t	 in_window;
};

static const struct conf	*conf;
static struct map		*sources;
static struct chan		*queued;
static unsigned			 unswept;

void
source_init(const struct conf *c)
{
	conf = c;
	if ((sources = map_new(SOURCES_MAX)) == NULL)
		fatal("sources");
}

/* The source that an address counts for. */
static struct addr
source_of(const struct addr *a)
{
	struct addr	m = addr_mask(a, a->family == 6 ? 64 : 32);

	m.port = 0;
	return m;
}

static struct span
key_of(const struct addr *a, uint8_t *key)
{
	key[0] = a->family;
	memcpy(key + 1, a->ip, 16);
	return span(key, 17);
}

static bool
stale(const struct source *s, int64_t now)
{
	return s->here == 0 && (conf->limits.rate_per_source == 0 ||
	    now - s->window_ms >= conf->limits.rate_per_ms);
}

static bool
sweep_one(struct span key, void *v, void *arg)
{
	if (stale(v, *(const int64_t *)arg)) {
		map_del(sources, key);
		free(v);
	}
	return true;
}

static struct source *
source_get(const struct addr *client, bool make)
{
	struct addr	 a = source_of(client);
	uint8_t		 key[17];
	struct span	 k = key_of(&a, key);
	struct source	*s = map_get(sources, k);
	int64_t		 now = clock_mono().ms;

	if (s != NULL || !make)
		return s;
	if (++unswept >= SWEEP_EVERY) {
		unswept = 0;
		map_each(sources, sweep_one, &now);
	}
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->addr = a;
	s->window_ms = now;
	if (!map_set(sources, k, s)) {
		free(s);
		return NULL;
	}
	return s;
}

static void
tell(const struct source *s)
{
	if (queued != NULL)
		CHAN_SEND(queued, q_source, .source = s->addr,
		    .count = s->here);
}

/* Ourselves and those that we send to come as often as they must. */
static bool
exempt(const struct addr *a)
{
	if (a->family == 0 || addr_is_loopback(a))
		return true;
	for (size_t i = 0; i < conf->nself; i++)
		if (addr_eq(&conf->self[i], a))
			return true;
	for (size_t i = 0; i < conf->nactions; i++)
		for (size_t k = 0; k < conf->actions[i]->ndests; k++)
			if (addr_eq(&conf->actions[i]->dests[k].addr, a))
				return true;
	return false;
}

/* The most specific limit that is said for it; 0: none. */
static unsigned
limit_of(const struct addr *a)
{
	const struct conf_limits	*l = &conf->limits;
	unsigned			 n = exempt(a) ? 0 :
					    l->sessions_per_source;
	int				 bits, best = -1;

	for (size_t i = 0; i < l->nfor_source; i++) {
		bits = table_addr_bits(l->for_source[i].table, a);
		if (bits > best) {
			best = bits;
			n = l->for_source[i].n;
		}
	}
	return n;
}

static bool
too_fast(struct source *s, const struct addr *client)
{
	const struct conf_limits	*l = &conf->limits;
	int64_t				 now = clock_mono().ms;

	if (l->rate_per_source == 0 || exempt(client))
		return false;
	if (now - s->window_ms >= l->rate_per_ms) {
		s->window_ms = now;
		s->in_window = 0;
	}
	return ++s->in_window > l->rate_per_source;
}

const char *
source_enter(const struct addr *client)
{
	struct source	*s;
	unsigned	 max = limit_of(client), n;

	if (client->family == 0)
		return NULL;
	if ((s = source_get(client, true)) == NULL)
		return "4.3.2 Too many clients";
	n = s->total > s->here ? s->total : s->here;
	if (max > 0 && n >= max)
		return "4.7.0 Too many sessions from your address";
	if (too_fast(s, client))
		return "4.7.0 Too many connections from your address";
	s->here++;
	s->total++;
	tell(s);
	return NULL;
}

void
source_leave(const struct addr *client)
{
	struct source	*s = source_get(client, false);
	uint8_t		 key[17];

	if (client->family == 0 || s == NULL || s->here == 0)
		return;
	s->here--;
	if (s->total > 0)
		s->total--;
	tell(s);
	if (stale(s, clock_mono().ms)) {
		map_del(sources, key_of(&s->addr, key));
		free(s);
	}
}

static bool
tell_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	if (((struct source *)v)->here > 0)
		tell(v);
	return true;
}

void
source_queue(struct chan *c)
{
	queued = c;
	if (c != NULL)
		map_each(sources, tell_one, NULL);
}

void
source_total(const struct addr *a, uint32_t count)
{
	struct source	*s = source_get(a, false);

	if (s != NULL)
		s->total = count;
}
