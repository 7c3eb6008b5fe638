/*
 * See sources.h.
 */
#include "queued/sources.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"

#define SWEEP_EVERY	1024	/* new sources between two looks for old ones */

struct source {
	struct addr	 addr;
	struct source_state sum;
	int64_t		 seen_ms;
	uint32_t	 sessions[SOURCES_PEERS];
};
struct sources {
	struct map	*map;
	unsigned	 unswept;
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

/* Has it no session, and nothing of a window that may still count? */
static bool
is_old(const struct source *x)
{
	bool	 windows = x->sum.came.n > 0 || x->sum.failed.n > 0;

	return x->sum.sessions == 0 && (!windows ||
	    clock_mono().ms - x->seen_ms > SOURCES_KEEP_MS);
}

static bool
drop_old(struct sources *s, struct source *x)
{
	uint8_t	 key[17];

	if (!is_old(x))
		return false;
	map_del(s->map, key_of(&x->addr, key));
	free(x);
	return true;
}

static bool
sweep_one(struct span key, void *v, void *arg)
{
	(void)key;
	drop_old(arg, v);
	return true;
}

/* NULL: that many, or nothing worth to be kept. */
static struct source *
source_new(struct sources *s, const struct addr *a)
{
	uint8_t		 key[17];
	struct source	*x;

	if (++s->unswept >= SWEEP_EVERY) {
		s->unswept = 0;
		map_each(s->map, sweep_one, s);
	}
	if ((x = calloc(1, sizeof(*x))) == NULL)
		return NULL;
	x->addr = *a;
	if (!map_set(s->map, key_of(a, key), x)) {
		free(x);
		return NULL;
	}
	return x;
}

static void
tell_all(const struct source *x, sources_tell *tell, void *arg)
{
	for (unsigned i = 0; i < SOURCES_PEERS; i++)
		tell(i, &x->addr, &x->sum, arg);
}

static void
add(struct source_count *sum, const struct source_count *more)
{
	if (more->n == 0 || more->window < sum->window)
		return;
	if (more->window > sum->window)
		*sum = (struct source_count){ more->window, 0 };
	sum->n = sum->n > UINT32_MAX - more->n ? UINT32_MAX :
	    sum->n + more->n;
}

void
sources_report(struct sources *s, unsigned slot, const struct addr *a,
    const struct source_state *st, sources_tell *tell, void *arg)
{
	uint8_t		 key[17];
	struct source	*x = map_get(s->map, key_of(a, key));

	if (slot >= SOURCES_PEERS || (x == NULL && st->sessions == 0 &&
	    st->came.n == 0 && st->failed.n == 0))
		return;
	if (x == NULL && (x = source_new(s, a)) == NULL)
		return;
	x->seen_ms = clock_mono().ms;
	x->sum.sessions += st->sessions - x->sessions[slot];
	x->sessions[slot] = st->sessions;
	add(&x->sum.came, &st->came);
	add(&x->sum.failed, &st->failed);
	tell_all(x, tell, arg);
	drop_old(s, x);
}

struct gone {
	struct sources	*s;
	unsigned	 slot;
	sources_tell	*tell;
	void		*arg;
};

static bool
gone_one(struct span key, void *v, void *arg)
{
	struct gone	*g = arg;
	struct source	*x = v;

	(void)key;
	if (x->sessions[g->slot] == 0)
		return true;
	x->sum.sessions -= x->sessions[g->slot];
	x->sessions[g->slot] = 0;
	tell_all(x, g->tell, g->arg);
	drop_old(g->s, x);
	return true;
}

void
sources_gone(struct sources *s, unsigned slot, sources_tell *tell, void *arg)
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
