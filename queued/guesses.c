/*
 * See guesses.h.
 */
#include "queued/guesses.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"

struct guess {
	uint64_t	 window;
	uint32_t	 n;
};
struct guesses {
	struct map	*map;
	uint64_t	 newest;	/* window */
	uint64_t	 swept;		/* no older one is there */
};

struct guesses *
guesses_new(void)
{
	struct guesses	*g = calloc(1, sizeof(*g));

	if (g == NULL || (g->map = map_new(GUESSES_KEPT_MAX)) == NULL)
		fatal("guesses");
	return g;
}

static bool
sweep_one(struct span key, void *v, void *arg)
{
	struct guesses	*g = arg;
	struct guess	*x = v;

	if (x->window < g->newest) {
		map_del(g->map, key);
		free(x);
	}
	return true;
}

static struct guess *
guess_new(struct guesses *g, struct span name)
{
	struct guess	*x;

	if (g->swept < g->newest) {
		g->swept = g->newest;
		map_each(g->map, sweep_one, g);
	}
	if ((x = calloc(1, sizeof(*x))) == NULL)
		return NULL;
	if (!map_set(g->map, name, x)) {
		free(x);
		return NULL;
	}
	return x;
}

uint32_t
guesses_add(struct guesses *g, struct span name, uint64_t *window, uint32_t n)
{
	struct guess	*x = map_get(g->map, name);

	if (*window > g->newest)
		g->newest = *window;
	if (x == NULL && (x = guess_new(g, name)) == NULL)
		return 0;
	if (*window > x->window) {
		x->window = *window;
		x->n = 0;
	}
	if (*window == x->window)
		x->n = x->n > UINT32_MAX - n ? UINT32_MAX : x->n + n;
	*window = x->window;
	return x->n;
}

size_t
guesses_count(const struct guesses *g)
{
	return map_count(g->map);
}
