/*
 * Destinations: names and concurrency. See dest.h.
 */
#include "queued/dest.h"

#include "common/conf/table.h"

#define FAST_MS		200	/* a reply within this is prompt */
#define FAST_SLOWLY	512

static uint64_t
hash(uint64_t h, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * UINT64_C(0x100000001b3);
	return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

/* FNV-1a with a final mix; it only has to tell destinations apart. Two with the
 * same key would share their turns, never a job: that compares the names. */
uint64_t
dest_key(struct span action, struct span domain)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	h = hash(hash(h, action), domain);
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return h ^ h >> 33;
}

uint64_t
dest_of(const struct conf *conf, struct span action, struct span to,
    struct span from, struct span auth_user, char domain[CONF_TARGET_MAX])
{
	static const struct conf_action by_domain;	/* of one that is gone */
	const struct conf_action *a = conf_action_find(conf, action);

	if (!conf_target(conf, a != NULL ? a : &by_domain, to, from, auth_user,
	    domain))
		domain[0] = '\0';
	return dest_key(action, span_str(domain));
}

/* A number for a table's entries, whatever their order. */
static bool
entry_sum(struct span key, struct span value, void *arg)
{
	uint64_t	*sum = arg;

	*sum += hash(hash(UINT64_C(0xcbf29ce484222325), key), value);
	return true;
}

static uint64_t
table_sum(const struct conf_action *a)
{
	uint64_t	 sum = 0;

	if (a->by != BY_NONE)
		table_each(a->to_table, entry_sum, &sum);
	return sum;
}

/* Does mail by this action go elsewhere than by the one of the other tree? */
static bool
action_moves(const struct conf_action *a, const struct conf *other,
    bool subaddress_same)
{
	const struct conf_action *o = conf_action_find(other,
				    span_str(a->name));

	if (o == NULL)
		return a->ndests > 0 || a->by != BY_NONE;
	return (a->ndests > 0) != (o->ndests > 0) || a->by != o->by ||
	    (a->by != BY_NONE && (!subaddress_same ||
	    table_sum(a) != table_sum(o)));
}

bool
dest_moves(const struct conf *a, const struct conf *b)
{
	bool	 same = span_is(span_str(a->subaddress), b->subaddress != NULL ?
		    b->subaddress : "");

	for (size_t i = 0; i < a->nactions; i++)
		if (action_moves(a->actions[i], b, same))
			return true;
	for (size_t i = 0; i < b->nactions; i++)
		if (action_moves(b->actions[i], a, same))
			return true;
	return false;
}

unsigned
dest_limit(const struct conf *conf, const struct dest *d)
{
	unsigned	 n = conf->limits.deliveries_per_dest;
	const struct conf_action *a;
	struct span	 v;

	for (size_t i = 0; i < conf->limits.deliveries_for.n; i++)
		if (table_get_domain(conf->limits.deliveries_for.v[i].table,
		    span_str(d->domain), &v)) {
			n = conf->limits.deliveries_for.v[i].n;
			break;
		}
	a = conf_action_find(conf, span_str(d->action));
	if (a != NULL && a->max_connections > 0 && a->max_connections < n)
		n = a->max_connections;
	/* Twice as many jobs as connections, so that none waits a round trip
	 * for its next message. */
	return n == 0 ? 2 : n * 2;
}

bool
dest_may_start(const struct dest *d, int64_t now)
{
	if (d->paused)
		return false;
	if (d->state == DEST_DOWN)
		return d->running == 0 && now >= d->probe_ms;
	return d->running < d->window;
}

/* Are replies as prompt as they can be? What the quickest takes is learnt
 * again, slowly, so that it follows a server that has become slower for good.
 * Below FAST_MS nobody is slow. */
static bool
prompt(struct dest *d, uint32_t ms)
{
	if (ms == 0)
		return true;
	if (d->fast_ms == 0 || ms < d->fast_ms)
		d->fast_ms = ms;
	else
		d->fast_ms += (ms - d->fast_ms) / FAST_SLOWLY + 1;
	d->reply_ms = d->reply_ms == 0 ? ms :
	    (uint32_t)(((uint64_t)d->reply_ms * 7 + ms) / 8);
	return d->reply_ms <= FAST_MS || d->reply_ms / 2 < d->fast_ms;
}

static void
grow(struct dest *d, unsigned limit)
{
	if (d->trouble_window > 0 && d->window >= d->trouble_window &&
	    ++d->streak < d->window)
		return;
	d->streak = 0;
	d->window++;
	if (d->window > limit)
		d->window = limit;
}

/* Jobs begun before the window was halved tell of the same trouble. */
static void
shrink(struct dest *d, int64_t begun, int64_t now)
{
	d->streak = 0;
	if (d->trouble_window > 0 && begun < d->halved_ms)
		return;
	d->halved_ms = now;
	d->window = d->window > 1 ? d->window / 2 : 1;
	d->trouble_window = d->window;
}

bool
dest_seen(struct dest *d, const struct dest_word *w, unsigned limit,
    const struct retry *retry, int64_t now, uint32_t random)
{
	bool	 back = d->state == DEST_DOWN;

	switch (w->seen) {
	case D_DEST_OK:
		d->state = DEST_UP;
		d->troubles = 0;
		if (back) {
			d->window = DEST_WINDOW / 4;
			d->trouble_window = d->streak = 0;
			d->reply_ms = 0;
		}
		if (prompt(d, w->reply_ms))
			grow(d, limit);
		else
			d->streak = 0;
		return back;
	case D_DEST_SLOW:
		if (d->state != DEST_DOWN)
			d->state = DEST_SLOW;
		d->troubles++;
		shrink(d, w->begun_ms, now);
		return false;
	case D_DEST_DOWN:
	default:
		if (d->state == DEST_DOWN && now < d->probe_ms)
			return false;	/* one of those begun before */
		if (d->state != DEST_DOWN)
			d->down_since_ms = now;
		d->state = DEST_DOWN;
		d->troubles++;
		d->probe_ms = retry_probe(retry, d->troubles, now, random);
		return false;
	}
}

const char *
dest_state_str(enum dest_state s)
{
	return s == DEST_UP ? "up" : s == DEST_SLOW ? "slow" : "down";
}
