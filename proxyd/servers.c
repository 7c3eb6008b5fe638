/*
 * What is down comes last; what is due for a probe is taken once. See
 * servers.h.
 */
#include "proxyd/servers.h"

#include "common/base/clock.h"
#include "common/base/rand.h"

static void
changed(const struct srv *s)
{
	(void)s;
}

void
servers_init(void)
{
	srvs_init(changed);
}

bool
servers_is_down(const struct addr *a)
{
	const struct srv	*s = srv_find(a);

	return s != NULL && health_is_down(&s->health);
}

struct srv *
servers_ref(const struct conf_action *a, const struct hosts_cand *c)
{
	const struct conf_pool	*p = a->pool;
	struct health_times	 t = { SERVERS_PROBE_MIN_MS,
				    SERVERS_PROBE_MAX_MS };

	if (p != NULL && p->probe_min_ms > 0)
		t = (struct health_times){ p->probe_min_ms, p->probe_max_ms };
	return srv_ref(&c->addr, c->name, p != NULL && p->name != NULL ?
	    p->name : a->name, &t);
}

void
servers_failed(const struct conf_action *a, const struct hosts_cand *c,
    const char *why)
{
	struct srv	*s = servers_ref(a, c);

	if (s == NULL)
		return;
	srv_failed(s, s->health.probing, why);
	srv_unref(s);
}

void
servers_works(const struct conf_action *a, const struct hosts_cand *c)
{
	struct srv	*s = servers_ref(a, c);

	if (s == NULL)
		return;
	srv_works(s);
	srv_unref(s);
}

/* Those that answer, standbys, those that are down. A probe that is due is
 * this caller's to make, and the other workers hear that it is. */
static unsigned
class_of(const struct conf_action *a, const struct hosts_cand *c)
{
	struct srv	*s = srv_find(&c->addr);

	if (s == NULL || !health_is_down(&s->health))
		return c->standby ? 1 : 0;
	if (!health_due(&s->health, clock_mono().ms) ||
	    (s = servers_ref(a, c)) == NULL)
		return c->standby ? 3 : 2;
	srv_probe(s);
	srv_unref(s);
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

size_t
servers_order(const struct conf_action *a, struct hosts_cand *c, size_t n)
{
	unsigned		class[HOSTS_CANDS_MAX], k;
	struct hosts_cand	t;
	size_t			first = 0, up = 0, j;
	bool			weights = false;

	for (size_t i = 0; i < n; i++) {
		t = c[i];
		k = class_of(a, &t);
		/* Each behind those that are as good: the order is kept. */
		for (j = i; j > 0 && class[j - 1] > k; j--) {
			class[j] = class[j - 1];
			c[j] = c[j - 1];
		}
		class[j] = k;
		c[j] = t;
		up += k < 2;
	}
	while (first < n && class[first] == 0)
		weights |= c[first++].weight > 0;
	if (weights && first > 1)
		draw(c, first);
	return up;
}
