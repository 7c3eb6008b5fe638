/*
 * Sessions per source. See sources.h.
 */
#include "queued/sources.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"

#define SOURCES_MAX	200000

struct source {
	struct addr	 addr;
	uint32_t	 sum;
	uint32_t	 counts[SOURCES_PEERS];
};
struct sources {
	struct map	*map;
};

struct sources *
sources_new(void)
{
	struct sources	*s = calloc(1, sizeof(*s));

	if (s == NULL || (s->map = map_new(SOURCES_MAX)) == NULL)
		fatal("sources");
	return s;
}

static struct span
key_of(const struct addr *a, uint8_t *key)
{
	key[0] = a->family;
	memcpy(key + 1, a->ip, 16);
	return span(key, 17);
}

static void
set(struct sources *s, struct source *x, unsigned slot, uint32_t count,
    void (*tell)(unsigned, const struct addr *, uint32_t, void *), void *arg)
{
	uint8_t	 key[17];

	x->sum += count - x->counts[slot];
	x->counts[slot] = count;
	for (unsigned i = 0; i < SOURCES_PEERS; i++)
		if (x->counts[i] > 0 || i == slot)
			tell(i, &x->addr, x->sum, arg);
	if (x->sum == 0) {
		map_del(s->map, key_of(&x->addr, key));
		free(x);
	}
}

void
sources_set(struct sources *s, unsigned slot, const struct addr *a,
    uint32_t count, void (*tell)(unsigned, const struct addr *, uint32_t,
    void *), void *arg)
{
	uint8_t		 key[17];
	struct source	*x = map_get(s->map, key_of(a, key));

	if (slot >= SOURCES_PEERS || (x == NULL && count == 0))
		return;
	if (x == NULL) {
		if ((x = calloc(1, sizeof(*x))) == NULL)
			return;
		x->addr = *a;
		if (!map_set(s->map, key_of(a, key), x)) {
			free(x);	/* that many: the worker's own count
					 * is what is known of this one */
			return;
		}
	}
	set(s, x, slot, count, tell, arg);
}

struct gone {
	struct sources	*s;
	unsigned	 slot;
	void		(*tell)(unsigned, const struct addr *, uint32_t,
			    void *);
	void		*arg;
};

static bool
gone_one(struct span key, void *v, void *arg)
{
	struct gone	*g = arg;
	struct source	*x = v;

	(void)key;
	if (x->counts[g->slot] > 0)
		set(g->s, x, g->slot, 0, g->tell, g->arg);
	return true;
}

void
sources_gone(struct sources *s, unsigned slot, void (*tell)(unsigned,
    const struct addr *, uint32_t, void *), void *arg)
{
	struct gone	 g = { s, slot, tell, arg };

	if (slot < SOURCES_PEERS)
		map_each(s->map, gone_one, &g);
}

size_t
sources_count(const struct sources *s)
{
	return map_count(s->map);
}
