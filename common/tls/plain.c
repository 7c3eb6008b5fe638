/*
 * Servers with which TLS does not work. See client.h.
 */
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/tls/client.h"

struct plain {
	struct addr	 addr;
	int64_t		 until_ms;
};

static struct map	*plains;

static bool
older(struct span key, void *v, void *arg)
{
	struct plain	**best = arg, *p = v;

	(void)key;
	if (*best == NULL || p->until_ms < (*best)->until_ms)
		*best = p;
	return true;
}

void
tls_plain_note(const struct addr *a)
{
	struct plain	*p = NULL;
	uint8_t		 k[ADDR_KEY_LEN];

	if (plains == NULL && (plains = map_new(TLS_PLAIN_MAX)) == NULL)
		fatal("plain");
	if ((p = map_get(plains, addr_key(a, k))) == NULL) {
		if (map_count(plains) == TLS_PLAIN_MAX) {
			map_each(plains, older, &p);
			map_del(plains, addr_key(&p->addr, k));
		} else if ((p = calloc(1, sizeof(*p))) == NULL)
			fatal("plain");
		p->addr = *a;
		map_set(plains, addr_key(a, k), p);
	}
	p->until_ms = clock_mono().ms + TLS_PLAIN_MS;
}

bool
tls_plain_is(const struct addr *a)
{
	const struct plain	*p;
	uint8_t			 k[ADDR_KEY_LEN];

	return plains != NULL && (p = map_get(plains, addr_key(a, k))) != NULL &&
	    p->until_ms > clock_mono().ms;
}

void
tls_plain_forget(void)
{
	map_free_all(plains, free);
	plains = NULL;
}
