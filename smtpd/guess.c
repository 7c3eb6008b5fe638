/*
 * See guess.h.
 */
#include "smtpd/guess.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/table.h"
#include "common/sasl/sasl.h"
#include "smtpd/digest.h"

struct guess {
	uint8_t		 key[IPC_GUESS_KEY];
	uint64_t	 window;
	uint32_t	 n;
};

static const struct conf	*conf;
static struct map		*guesses;
static struct chan		*queued;
static uint64_t			 swept;	/* no older window is there */

void
guess_init(const struct conf *c)
{
	conf = c;
	if ((guesses = map_new(GUESSES_MAX)) == NULL)
		fatal("guesses");
}

static uint64_t
window_now(void)
{
	return (uint64_t)clock_wall().ms / GUESS_WINDOW_MS;
}

/* The same in all workers. False: no memory. */
static bool
key_of(const char *name, uint8_t key[IPC_GUESS_KEY])
{
	uint8_t		 all[DIGEST_LEN];
	char		 low[SASL_NAME_MAX + 1];
	struct digest	*d = digest_new();
	size_t		 n;
	bool		 ok;

	for (n = 0; n < SASL_NAME_MAX && name[n] != '\0'; n++)
		low[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ?
		    name[n] - 'A' + 'a' : name[n]);
	if (d == NULL)
		return false;
	digest_add(d, span(low, n));
	ok = digest_end(d, all);
	digest_free(d);
	memcpy(key, all, IPC_GUESS_KEY);
	return ok;
}

static void
guess_free(struct guess *g)
{
	map_del(guesses, span(g->key, sizeof(g->key)));
	free(g);
}

/* arg: the window before which all is old; NULL: all of it goes. */
static bool
sweep_one(struct span key, void *v, void *arg)
{
	struct guess	*g = v;

	(void)key;
	if (arg == NULL || g->window < *(uint64_t *)arg)
		guess_free(g);
	return true;
}

static struct guess *
guess_get(const uint8_t key[IPC_GUESS_KEY], bool make)
{
	struct span	 k = span(key, IPC_GUESS_KEY);
	struct guess	*g = map_get(guesses, k);
	uint64_t	 now = window_now();

	if (g != NULL || !make)
		return g;
	if (swept < now) {
		swept = now;
		map_each(guesses, sweep_one, &now);
	}
	if ((g = calloc(1, sizeof(*g))) == NULL)
		return NULL;
	memcpy(g->key, key, IPC_GUESS_KEY);
	if (map_set(guesses, k, g))
		return g;
	/* A full table forgets, rather than that it stops counting. */
	map_each(guesses, sweep_one, NULL);
	if (map_set(guesses, k, g))
		return g;
	free(g);
	return NULL;
}

unsigned
guess_failed(const char *name)
{
	uint8_t		 key[IPC_GUESS_KEY];
	uint64_t	 now = window_now();
	struct guess	*g;

	if (!key_of(name, key) || (g = guess_get(key, true)) == NULL)
		return 1;
	if (g->window != now) {
		g->window = now;
		g->n = 0;
	}
	g->n++;
	if (queued != NULL)
		CHAN_SEND(queued, q_guess, .name = span(key, sizeof(key)),
		    .window = now, .failed = 1);
	return g->n;
}

/* The first table that has the name says its limit. */
static unsigned
limit_of(const char *name)
{
	const struct conf_limits_for	*l = &conf->limits.auth_users_for;

	for (size_t i = 0; i < l->n; i++)
		if (table_get_mail(l->v[i].table, span_str(name), "", true,
		    NULL))
			return l->v[i].n;
	return conf->limits.auth_failures_per_user;
}

bool
guess_may_try(const char *name)
{
	uint8_t			 key[IPC_GUESS_KEY];
	const struct guess	*g;

	return !key_of(name, key) || (g = guess_get(key, false)) == NULL ||
	    g->window != window_now() || g->n < limit_of(name);
}

void
guess_queue(struct chan *c)
{
	queued = c;
}

bool
guess_total(const struct ipc_q_guess_total *m)
{
	struct guess	*g;

	if (m->name.len != IPC_GUESS_KEY)
		return false;
	if ((g = guess_get(m->name.p, true)) == NULL ||
	    m->window < g->window)
		return true;
	if (m->window > g->window) {
		g->window = m->window;
		g->n = 0;
	}
	if (m->failed > g->n)
		g->n = m->failed;
	return true;
}
