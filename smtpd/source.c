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

/* How often in the present window, over all workers as far as is known here. */
struct count {
	uint64_t	 window;
	uint32_t	 n, unsaid;	/* unsaid: not yet told to queued */
};
struct source {
	struct addr	 addr;
	uint32_t	 here, total;	/* sessions */
	int64_t		 seen_ms;
	struct count	 came, failed;
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

/* Windows have the same numbers in all workers: a source has one limit. */
static uint64_t
window_of(int64_t per_ms)
{
	return (uint64_t)clock_wall().ms / (uint64_t)per_ms;
}

/* In the window of now. */
static uint32_t
count_now(const struct count *c, uint64_t window)
{
	return c->window == window ? c->n : 0;
}

static void
count_one(struct count *c, uint64_t window)
{
	if (c->window != window)
		*c = (struct count){ .window = window };
	c->n++;
	c->unsaid++;
}

/* The sum of all, in which ours is. */
static void
count_sum(struct count *c, uint64_t window, uint32_t n)
{
	if (window > c->window)
		*c = (struct count){ .window = window };
	if (window == c->window && n > c->n)
		c->n = n;
}

static bool
stale(const struct source *s)
{
	return s->here == 0 && clock_mono().ms - s->seen_ms >=
	    (s->came.n > 0 || s->failed.n > 0 ? SOURCE_KEEP_MS : 0);
}

static void
source_free(struct source *s)
{
	uint8_t	key[17];

	map_del(sources, key_of(&s->addr, key));
	free(s);
}

static bool
sweep_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	if (stale(v))
		source_free(v);
	return true;
}

/* The same for all that have no session, whatever else is known of them. */
static bool
forget_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	if (((struct source *)v)->here == 0)
		source_free(v);
	return true;
}

/* A full table forgets, rather than that strangers keep everybody out. */
static bool
insert(struct span key, struct source *s)
{
	if (map_set(sources, key, s))
		return true;
	map_each(sources, forget_one, NULL);
	return map_set(sources, key, s);
}

static struct source *
source_get(const struct addr *client, bool make)
{
	struct addr	 a = source_of(client);
	uint8_t		 key[17];
	struct span	 k = key_of(&a, key);
	struct source	*s = map_get(sources, k);

	if (s != NULL)
		s->seen_ms = clock_mono().ms;
	if (s != NULL || !make)
		return s;
	if (++unswept >= SWEEP_EVERY) {
		unswept = 0;
		map_each(sources, sweep_one, NULL);
	}
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->addr = a;
	s->seen_ms = clock_mono().ms;
	if (!insert(k, s)) {
		free(s);
		return NULL;
	}
	return s;
}

static void
tell(struct source *s)
{
	if (queued == NULL)
		return;
	CHAN_SEND(queued, q_source, .source = s->addr, .sessions = s->here,
	    .came_window = s->came.window, .came = s->came.unsaid,
	    .failed_window = s->failed.window, .failed = s->failed.unsaid);
	s->came.unsaid = s->failed.unsaid = 0;
}

/* Who comes for others: what counts is those. */
static bool
speaks_for_others(const struct addr *a)
{
	const struct conf_listen	*l;
	struct span			 ignored;

	for (size_t i = 0; i < conf->nlistens; i++) {
		l = conf->listens[i];
		if ((l->proxy_protocol != NULL &&
		    table_get_addr(l->proxy_protocol, a, &ignored)) ||
		    (l->xclient != NULL &&
		    table_get_addr(l->xclient, a, &ignored)))
			return true;
	}
	return false;
}

/* Ourselves and those that we send to come as often as they must. */
static bool
exempt(const struct addr *a)
{
	if (a->family == 0 || addr_is_loopback(a) || speaks_for_others(a))
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

/*
 * The limit for this client: of the table whose prefix is the most specific, or
 * the general one, which is not for ourselves. n 0: none.
 */
static struct conf_limit_for
limit_of(const struct addr *a, const struct conf_limits_for *list, unsigned n,
    int64_t per_ms)
{
	struct conf_limit_for	l = { NULL, exempt(a) ? 0 : n, per_ms };
	int			bits, best = -1;

	for (size_t i = 0; i < list->n; i++) {
		bits = table_addr_bits(list->v[i].table, a);
		if (bits > best) {
			best = bits;
			l = list->v[i];
		}
	}
	return l;
}

static bool
too_fast(struct source *s, const struct addr *client)
{
	const struct conf_limits	*all = &conf->limits;
	struct conf_limit_for		 l = limit_of(client, &all->rate_for,
					    all->rate_per_source,
					    all->rate_per_ms);

	if (l.n == 0)
		return false;
	if (count_now(&s->came, window_of(l.per_ms)) >= l.n)
		return true;
	count_one(&s->came, window_of(l.per_ms));
	return false;
}

const char *
source_enter(const struct addr *client)
{
	const struct conf_limits	*all = &conf->limits;
	struct conf_limit_for		 l = limit_of(client,
					    &all->sessions_for,
					    all->sessions_per_source, 0);
	struct source			*s;

	if (client->family == 0)
		return NULL;
	if ((s = source_get(client, true)) == NULL)
		return "4.3.2 Too many clients";
	if (l.n > 0 && (s->total > s->here ? s->total : s->here) >= l.n)
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

	if (client->family == 0 || s == NULL || s->here == 0)
		return;
	s->here--;
	if (s->total > 0)
		s->total--;
	tell(s);
	if (stale(s))
		source_free(s);
}

static bool
tell_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
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
source_total(const struct ipc_q_source_total *m)
{
	struct source	*s = source_get(&m->source, m->sessions > 0 ||
			    m->came > 0 || m->failed > 0);

	if (s == NULL)
		return;
	s->total = m->sessions;
	count_sum(&s->came, m->came_window, m->came);
	count_sum(&s->failed, m->failed_window, m->failed);
}

void
source_failed(const struct addr *client)
{
	struct source	*s;

	if (client->family == 0 || (s = source_get(client, true)) == NULL)
		return;
	count_one(&s->failed, window_of(SOURCE_FAILED_MS));
	tell(s);
}

bool
source_may_try(const struct addr *client)
{
	const struct conf_limits	*all = &conf->limits;
	const struct source		*s = source_get(client, false);
	struct conf_limit_for		 l = limit_of(client,
					    &all->auth_failures_for,
					    all->auth_failures_per_source, 0);

	return s == NULL || l.n == 0 ||
	    count_now(&s->failed, window_of(SOURCE_FAILED_MS)) < l.n;
}
