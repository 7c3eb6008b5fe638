/*
 * Health is remembered by address and port, in a table as small as a list of
 * servers is; the oldest entry makes room.
 */
#include "proxyd/servers.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"

struct health {
	struct addr	 addr;		/* family 0: free */
	struct mono	 down_until;
};

static const struct conf	*conf;
static unsigned			*counts;	/* by the action's index */
static struct health		 table[SERVERS_MAX];

void
servers_init(const struct conf *c)
{
	conf = c;
	if ((counts = calloc(c->nactions + 1, sizeof(*counts))) == NULL)
		fatal("servers");
}

static struct health *
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
	const struct health	*h = find(a);

	return h != NULL && h->down_until.ms > clock_mono().ms;
}

void
servers_failed(const struct addr *a)
{
	struct health	*h = find(a);

	for (size_t i = 0; h == NULL && i < SERVERS_MAX; i++) {
		if (table[i].addr.family == 0)
			h = &table[i];
	}
	if (h == NULL) {
		h = &table[0];
		for (size_t i = 1; i < SERVERS_MAX; i++) {
			if (table[i].down_until.ms < h->down_until.ms)
				h = &table[i];
		}
	}
	h->addr = *a;
	h->down_until.ms = clock_mono().ms + SERVERS_DOWN_MS;
}

void
servers_works(const struct addr *a)
{
	struct health	*h = find(a);

	if (h != NULL)
		h->addr.family = 0;
}

void
servers_order(struct hosts_cand *c, size_t n)
{
	struct hosts_cand	t;
	size_t			end = n, i = 0;

	/* Each that is down goes to the end once; the order is kept. */
	for (size_t seen = 0; seen < n && i < end; seen++) {
		if (!servers_is_down(&c[i].addr)) {
			i++;
			continue;
		}
		t = c[i];
		memmove(&c[i], &c[i + 1], (n - i - 1) * sizeof(t));
		c[n - 1] = t;
		end--;
	}
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
