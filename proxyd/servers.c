/*
 * Health is remembered by address and port, in a table as small as a list of
 * servers is; the oldest entry makes room.
 */
#include "proxyd/servers.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/lookup/health.h"

struct server {
	struct addr	 addr;		/* family 0: free */
	struct health	 health;
};
static const struct health_times times = { SERVERS_PROBE_MIN_MS,
    SERVERS_PROBE_MAX_MS };

static const struct conf	*conf;
static unsigned			*counts;	/* by the action's index */
static struct server		 table[SERVERS_MAX];

void
servers_init(const struct conf *c)
{
	conf = c;
	if ((counts = calloc(c->nactions + 1, sizeof(*counts))) == NULL)
		fatal("servers");
}

static struct server *
find(const struct addr *a)
{
	for (size_t i = 0; i < SERVERS_MAX; i++) {
		if (table[i].addr.family != 0 && addr_eq(&table[i].addr, a) &&
		    table[i].addr.port == a->port)
			return &table[i];
	}
	return NULL;
}

bool
servers_is_down(const struct addr *a)
{
	const struct server	*s = find(a);

	return s != NULL && health_is_down(&s->health);
}

/* A free place, or that of the one whose probe was due the longest ago. */
static struct server *
make(const struct addr *a)
{
	struct server	*s = &table[0];

	for (size_t i = 0; i < SERVERS_MAX; i++) {
		if (table[i].addr.family == 0) {
			s = &table[i];
			break;
		}
		if (table[i].health.probe_ms < s->health.probe_ms)
			s = &table[i];
	}
	*s = (struct server){ .addr = *a };
	return s;
}

void
servers_failed(const struct addr *a)
{
	struct server	*s = find(a);

	if (s == NULL)
		s = make(a);
	health_failed(&s->health, s->health.probing, &times,
	    clock_mono().ms, rand_below(UINT32_MAX));
}

void
servers_works(const struct addr *a)
{
	struct server	*s = find(a);

	if (s != NULL)
		s->addr.family = 0;
}

/* Those that answer, standbys, those that are down. A probe that is due is
 * this caller's to make. */
static unsigned
class_of(const struct hosts_cand *c)
{
	struct server	*s = find(&c->addr);
	int64_t		 now = clock_mono().ms;

	if (s == NULL || !health_is_down(&s->health))
		return c->standby ? 1 : 0;
	if (!health_due(&s->health, now))
		return c->standby ? 3 : 2;
	health_probe(&s->health, &times, now, rand_below(UINT32_MAX));
	return c->standby ? 1 : 0;
}

/* Of the first n, all with weights: one group of them to the front. */
static void
draw(struct hosts_cand *c, size_t n)
{
	struct hosts_cand	t;
	uint32_t		all = 0, at;
	size_t			i;

	for (i = 0; i < n; i++)
		all += i > 0 && c[i].group == c[i - 1].group ? 0 :
		    c[i].weight > 0 ? c[i].weight : 1;
	at = rand_below(all);
	for (i = 0; i < n; i++) {
		if (i > 0 && c[i].group == c[i - 1].group)
			continue;
		if (at < (c[i].weight > 0 ? c[i].weight : 1))
			break;
		at -= c[i].weight > 0 ? c[i].weight : 1;
	}
	for (size_t to = 0, g = c[i].group; i < n && c[i].group == g; i++) {
		t = c[i];
		memmove(&c[to + 1], &c[to], (i - to) * sizeof(t));
		c[to++] = t;
	}
}

void
servers_order(struct hosts_cand *c, size_t n)
{
	unsigned		class[HOSTS_CANDS_MAX], k;
	struct hosts_cand	t;
	size_t			first = 0, j;
	bool			weights = false;

	for (size_t i = 0; i < n; i++) {
		t = c[i];
		k = class_of(&t);
		/* Each behind those that are as good: the order is kept. */
		for (j = i; j > 0 && class[j - 1] > k; j--) {
			class[j] = class[j - 1];
			c[j] = c[j - 1];
		}
		class[j] = k;
		c[j] = t;
	}
	while (first < n && class[first] == 0)
		weights |= c[first++].weight > 0;
	if (weights && first > 1)
		draw(c, first);
}

static unsigned *
count_of(const struct conf_action *a)
{
	size_t	i;

	for (i = 0; i < conf->nactions; i++) {
		if (conf->actions[i] == a)
			break;
	}
	return &counts[i];
}

bool
servers_take(const struct conf_action *a)
{
	unsigned	*n = count_of(a);

	if (a->max_connections != 0 && *n >= a->max_connections)
		return false;
	(*n)++;
	return true;
}

void
servers_release(const struct conf_action *a)
{
	unsigned	*n = count_of(a);

	if (*n > 0)
		(*n)--;
}

unsigned
servers_count(const struct conf_action *a)
{
	return *count_of(a);
}
