/*
 * Which server of a destination is next: those that answer, in the order of the
 * list, or each by its share where weights are given; a standby only while no
 * other one answers. Nothing is done here, only decided.
 */
#include "deliverd/pool_i.h"

static bool
same(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_eq(a, b);
}

static bool
answers(const struct cand *c)
{
	return !health_is_down(&c->srv->health) && !dest_refuses(c) &&
	    logins_refused(c->login) == NULL;
}

/* A connection to it has been under way for too long: it may be dead. A banner
 * may be late on purpose. */
static bool
is_slow(const struct dest *d, const struct cand *cand)
{
	int64_t			 now = clock_mono().ms;
	const struct conn	*c;

	TAILQ_FOREACH(c, &d->conns, entry) {
		if (c->srv == cand->srv && c->phase < CONN_IDLE &&
		    now - c->begun.ms >= (c->phase == CONN_CONNECT ?
		    POOL_SLOW_MS : POOL_LATE_MS))
			return true;
	}
	return false;
}

static bool
is_full(const struct dest *d, const struct cand *c)
{
	return d->pool != NULL && d->pool->max_connections > 0 &&
	    c->srv->conns >= d->pool->max_connections;
}

static bool
has_weights(const struct dest *d)
{
	for (size_t i = 0; i < d->ncands; i++) {
		if (d->cands[i].id.weight > 0)
			return true;
	}
	return false;
}

static double
weight(const struct cand *c)
{
	return c->id.weight > 0 ? c->id.weight : 1;
}

static size_t
group_conns(const struct dest *d, unsigned group)
{
	const struct conn	*c;
	size_t			 n = 0;

	for (size_t i = 0; i < d->ncands; i++) {
		if (d->cands[i].id.group != group)
			continue;
		TAILQ_FOREACH(c, &d->conns, entry)
			n += c->srv == d->cands[i].srv && !c->probe &&
			    c->phase != CONN_QUIT;
	}
	return n;
}

/* Is a, by its share, before b? Connections first, for where all are busy they
 * are what the shares follow; then messages. */
static bool
before(const struct dest *d, const struct cand *a, const struct cand *b)
{
	double	x, y;

	if (a->id.group == b->id.group)
		return false;		/* the list's order */
	x = (double)(group_conns(d, a->id.group) + 1) / weight(a);
	y = (double)(group_conns(d, b->id.group) + 1) / weight(b);
	if (x < y || y < x)
		return x < y;
	return d->given[a->id.group] < d->given[b->id.group];
}

static bool
may_use(const struct dest *d, const struct cand *c, bool standby,
    const struct addr *avoid)
{
	return answers(c) && c->id.standby == standby &&
	    (avoid == NULL || !same(&c->srv->addr, avoid)) &&
	    !is_full(d, c);
}

static bool
pick(const struct dest *d, bool standby, const struct addr *avoid,
    size_t *cand)
{
	bool	 weights = has_weights(d), found = false;

	for (size_t i = 0; i < d->ncands; i++) {
		if (!may_use(d, &d->cands[i], standby, avoid) ||
		    is_slow(d, &d->cands[i]))
			continue;
		if (found && !(weights &&
		    before(d, &d->cands[i], &d->cands[*cand])))
			continue;
		*cand = i;
		found = true;
		if (!weights)
			break;
	}
	return found;
}

/* May all that answer and are no standby be dead by now? */
static bool
all_slow(const struct dest *d)
{
	for (size_t i = 0; i < d->ncands; i++) {
		if (!d->cands[i].id.standby && answers(&d->cands[i]) &&
		    !is_slow(d, &d->cands[i]))
			return false;
	}
	return true;
}

bool
choose_any(const struct dest *d, bool standby, const struct addr *avoid)
{
	for (size_t i = 0; i < d->ncands; i++) {
		if (d->cands[i].id.standby == standby &&
		    answers(&d->cands[i]) && (avoid == NULL ||
		    !same(&d->cands[i].srv->addr, avoid)))
			return true;
	}
	return false;
}

enum choice
choose(const struct dest *d, const struct addr *avoid, size_t *cand)
{
	bool	 standby = !choose_any(d, false, NULL);

	if (pick(d, standby, avoid, cand))
		return CHOICE_ONE;
	if (!standby && all_slow(d) && pick(d, true, avoid, cand))
		return CHOICE_ONE;
	return choose_any(d, standby, avoid) ? CHOICE_FULL : CHOICE_DEAD;
}

static const struct cand *
cand_of(const struct dest *d, const struct conn *c)
{
	for (size_t i = 0; i < d->ncands; i++) {
		if (d->cands[i].srv == c->srv)
			return &d->cands[i];
	}
	return NULL;
}

/* Is there one of a higher place that could be used? */
static bool
better(const struct dest *d, const struct cand *than)
{
	for (const struct cand *c = d->cands; c < than; c++) {
		if (may_use(d, c, false, NULL) && !is_slow(d, c) &&
		    c->id.group != than->id.group)
			return true;
	}
	return false;
}

bool
choose_outdated(const struct dest *d, const struct conn *c)
{
	const struct cand	*cand = cand_of(d, c);

	if (cand == NULL || d->pool == NULL)
		return false;
	if (cand->id.standby)
		return choose_any(d, false, NULL);
	/* A list without weights is one of preference; so is MX, but there a
	 * connection that works is as good as another. */
	return !has_weights(d) && better(d, cand);
}

struct conn *
choose_idle(const struct dest *d)
{
	const struct cand	*cand, *top = NULL;
	struct conn		*c, *best = NULL;
	bool			 weights = has_weights(d);

	TAILQ_FOREACH(c, &d->conns, entry) {
		if (c->phase != CONN_IDLE)
			continue;
		cand = cand_of(d, c);
		if (best != NULL && (!weights || cand == NULL ||
		    (top != NULL && d->given[cand->id.group] >=
		    d->given[top->id.group])))
			continue;
		best = c;
		top = cand;
	}
	return best;
}

void
choose_given(struct dest *d, const struct conn *c)
{
	const struct cand	*cand = cand_of(d, c);
	double			 least;

	if (cand == NULL || !has_weights(d))
		return;
	d->given[cand->id.group] += 1 / weight(cand);
	/* Nobody has a claim on what went to others while it was away: those
	 * that don't answer go along with the one that has least. */
	least = d->given[cand->id.group];
	for (size_t i = 0; i < d->ncands; i++) {
		if (answers(&d->cands[i]) && !d->cands[i].id.standby &&
		    d->given[d->cands[i].id.group] < least)
			least = d->given[d->cands[i].id.group];
	}
	for (size_t i = 0; i < d->ncands; i++) {
		if (!answers(&d->cands[i]) &&
		    d->given[d->cands[i].id.group] < least)
			d->given[d->cands[i].id.group] = least;
	}
}

bool
choose_owed(const struct dest *d, size_t *cand)
{
	size_t	 least = d->ncands;

	if (!has_weights(d) || !choose_any(d, false, NULL))
		return false;
	for (size_t i = 0; i < d->ncands; i++) {
		if (!answers(&d->cands[i]) || d->cands[i].id.standby)
			continue;
		if (least == d->ncands || d->given[d->cands[i].id.group] <
		    d->given[d->cands[least].id.group])
			least = i;
	}
	if (least == d->ncands ||
	    group_conns(d, d->cands[least].id.group) > 0 ||
	    !may_use(d, &d->cands[least], false, NULL))
		return false;
	*cand = least;
	return true;
}

bool
choose_probe(const struct dest *d, size_t *cand)
{
	int64_t	now = clock_mono().ms;

	for (size_t i = 0; i < d->ncands; i++) {
		const struct cand	*c = &d->cands[i];

		if (health_is_down(&c->srv->health) ?
		    health_due(&c->srv->health, now) :
		    logins_due(c->login, now)) {
			*cand = i;
			return true;
		}
	}
	return false;
}

bool
choose_probed(const struct dest *d)
{
	for (size_t i = 0; i < d->ncands; i++) {
		const struct cand	*c = &d->cands[i];

		if ((health_is_down(&c->srv->health) &&
		    c->srv->health.probing) || logins_probed(c->login))
			return true;
	}
	return false;
}
