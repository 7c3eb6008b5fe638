/*
 * Three kinds of counts in one map, told apart by the first byte of their keys:
 * by action, by server, and (with the owners' shares) by both. Questions that
 * wait are few and scanned from the first one on. See places.h.
 */
#include "common/lookup/places.h"

#include <sys/queue.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"

#define ACTION_MAX	64
#define KEY_MAX		(1 + ADDR_KEY_LEN + ACTION_MAX)

struct count {
	unsigned	 n;
	/* Of a server. */
	unsigned	 learned;	/* the limit at `at`; 0: none */
	int64_t		 at;
	/* Of both. */
	struct addr	 addr;
	char		 action[ACTION_MAX + 1];
	unsigned	*shares;	/* PLACES_OWNERS; NULL */
};
struct waiter {
	TAILQ_ENTRY(waiter) entry;
	struct places_want w;
	char		 action[ACTION_MAX + 1];
	struct addr	*addrs;
};
struct places {
	struct map	*counts;
	TAILQ_HEAD(, waiter) waiters;
	size_t		 nwaiters;
	unsigned	 waiting[PLACES_OWNERS];
	void		(*granted)(void *, unsigned, uint32_t, struct span,
			    const struct addr *);
	void		*arg;
};

struct places *
places_new(void (*granted)(void *, unsigned, uint32_t, struct span,
    const struct addr *), void *arg)
{
	struct places	*p = calloc(1, sizeof(*p));

	if (p == NULL || (p->counts = map_new(PLACES_MAX)) == NULL) {
		free(p);
		return NULL;
	}
	TAILQ_INIT(&p->waiters);
	p->granted = granted;
	p->arg = arg;
	return p;
}

/* ---- counts ------------------------------------------------------------- */

static struct span
key_of(struct span action, const struct addr *a, uint8_t key[KEY_MAX])
{
	size_t	 n = 1;

	key[0] = a == NULL ? 'a' : action.len == 0 ? 's' : 'b';
	if (a != NULL) {
		addr_key(a, key + n);
		n += ADDR_KEY_LEN;
	}
	action = span_sub(action, 0, ACTION_MAX);
	if (action.len > 0)
		memcpy(key + n, action.p, action.len);
	return span(key, n + action.len);
}

static struct count *
count_get(const struct places *p, struct span action, const struct addr *a)
{
	uint8_t	 key[KEY_MAX];

	return map_get(p->counts, key_of(action, a, key));
}

static unsigned
count_n(const struct places *p, struct span action, const struct addr *a)
{
	const struct count	*c = count_get(p, action, a);

	return c != NULL ? c->n : 0;
}

static struct count *
count_make(struct places *p, struct span action, const struct addr *a)
{
	struct count	*c = count_get(p, action, a);
	uint8_t		 key[KEY_MAX];

	if (c != NULL)
		return c;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("places");
	if (a != NULL)
		c->addr = *a;
	span_cstr(span_sub(action, 0, ACTION_MAX), c->action,
	    sizeof(c->action));
	if (a != NULL && action.len > 0 && (c->shares = calloc(PLACES_OWNERS,
	    sizeof(*c->shares))) == NULL)
		fatal("places");
	if (!map_set(p->counts, key_of(action, a, key), c)) {
		free(c->shares);
		free(c);
		return NULL;
	}
	return c;
}

static void
count_free(void *v)
{
	struct count	*c = v;

	free(c->shares);
	free(c);
}

/* Goes when nothing is known of it any more. */
static void
count_drop(struct places *p, struct span action, const struct addr *a)
{
	struct count	*c = count_get(p, action, a);
	uint8_t		 key[KEY_MAX];

	if (c == NULL || c->n > 0 || c->learned > 0)
		return;
	map_del(p->counts, key_of(action, a, key));
	count_free(c);
}

static void
count_less(struct places *p, struct span action, const struct addr *a,
    unsigned n)
{
	struct count	*c = count_get(p, action, a);

	if (c == NULL)
		return;
	c->n -= n < c->n ? n : c->n;
	count_drop(p, action, a);
}

static unsigned
learned(const struct count *c, int64_t now)
{
	if (c == NULL || c->learned == 0 || now - c->at > PLACES_FORGET_MS)
		return 0;
	return c->learned + (unsigned)((now - c->at) / PLACES_RAISE_MS);
}

/* ---- questions ---------------------------------------------------------- */

/* 0: none. */
static unsigned
server_limit(const struct places *p, const struct places_want *w,
    const struct addr *a, int64_t now)
{
	unsigned	 n = learned(count_get(p, span(NULL, 0), a), now);

	return n == 0 || (w->server_max > 0 && w->server_max < n) ?
	    w->server_max : n;
}

bool
places_bounded(const struct places *p, const struct places_want *w,
    int64_t now)
{
	if (w->action_max > 0 || w->server_max > 0)
		return true;
	for (size_t i = 0; i < w->n; i++)
		if (server_limit(p, w, &w->addrs[i], now) > 0)
			return true;
	return false;
}

static bool
fits(const struct places *p, const struct places_want *w, int64_t now,
    size_t *which)
{
	unsigned	 max;

	if (w->action_max > 0 &&
	    count_n(p, w->action, NULL) >= w->action_max)
		return false;
	for (*which = 0; *which < w->n; (*which)++) {
		max = server_limit(p, w, &w->addrs[*which], now);
		if (max == 0 || count_n(p, span(NULL, 0),
		    &w->addrs[*which]) < max)
			return true;
	}
	return false;
}

static void
waiter_free(struct places *p, struct waiter *x)
{
	TAILQ_REMOVE(&p->waiters, x, entry);
	p->nwaiters--;
	p->waiting[x->w.owner]--;
	free(x->addrs);
	free(x);
}

/* What one of an action did not get, the next one of it would not either. */
static bool
same_question(const struct waiter *a, const struct waiter *b)
{
	return a != NULL && a->w.n == b->w.n &&
	    a->w.action_max == b->w.action_max &&
	    a->w.server_max == b->w.server_max &&
	    strcmp(a->action, b->action) == 0;
}

void
places_scan(struct places *p, int64_t now)
{
	struct waiter	*x, *next, *vain = NULL;
	struct addr	 got;
	size_t		 i;
	unsigned	 owner;
	uint32_t	 tid;
	char		 action[ACTION_MAX + 1];

	TAILQ_FOREACH_SAFE(x, &p->waiters, entry, next) {
		if (same_question(vain, x))
			continue;
		if (!fits(p, &x->w, now, &i)) {
			vain = x;
			continue;
		}
		got = x->addrs[i];
		owner = x->w.owner;
		tid = x->w.tid;
		strlcpy(action, x->action, sizeof(action));
		places_hold(p, owner, x->w.action, &got, 1);
		waiter_free(p, x);
		p->granted(p->arg, owner, tid, span_str(action), &got);
	}
}

static void
waits(struct places *p, const struct places_want *w)
{
	struct waiter	*x = calloc(1, sizeof(*x));

	if (x == NULL || (x->addrs = reallocarray(NULL, w->n,
	    sizeof(*x->addrs))) == NULL)
		fatal("places");
	x->w = *w;
	memcpy(x->addrs, w->addrs, w->n * sizeof(*x->addrs));
	x->w.addrs = x->addrs;
	span_cstr(span_sub(w->action, 0, ACTION_MAX), x->action,
	    sizeof(x->action));
	x->w.action = span_str(x->action);
	TAILQ_INSERT_TAIL(&p->waiters, x, entry);
	p->nwaiters++;
	p->waiting[w->owner]++;
}

bool
places_take(struct places *p, const struct places_want *w, bool wait,
    int64_t now, struct addr *got)
{
	size_t	 i;

	if (p->nwaiters > 0)
		places_scan(p, now);
	if (fits(p, w, now, &i)) {
		*got = w->addrs[i];
		places_hold(p, w->owner, w->action, got, 1);
		return true;
	}
	if (wait && p->waiting[w->owner] < PLACES_WAITING)
		waits(p, w);
	return false;
}

void
places_leave(struct places *p, unsigned owner, uint32_t tid)
{
	struct waiter	*x;

	TAILQ_FOREACH(x, &p->waiters, entry) {
		if (x->w.owner == owner && x->w.tid == tid) {
			waiter_free(p, x);
			return;
		}
	}
}

size_t
places_waiting(const struct places *p)
{
	return p->nwaiters;
}

/* ---- what is held ------------------------------------------------------- */

void
places_hold(struct places *p, unsigned owner, struct span action,
    const struct addr *a, unsigned n)
{
	struct count	*c = count_make(p, action, a);
	struct count	*by_action = count_make(p, action, NULL);
	struct count	*by_addr = count_make(p, span(NULL, 0), a);

	/* No room to count: as if there were no limit. */
	if (c == NULL || by_action == NULL || by_addr == NULL ||
	    c->shares == NULL) {
		count_drop(p, action, a);
		count_drop(p, action, NULL);
		count_drop(p, span(NULL, 0), a);
		return;
	}
	c->shares[owner] += n;
	c->n += n;
	by_action->n += n;
	by_addr->n += n;
}

static void
less(struct places *p, struct count *c, unsigned owner, unsigned n)
{
	struct addr	 a = c->addr;
	char		 action[ACTION_MAX + 1];

	strlcpy(action, c->action, sizeof(action));
	c->shares[owner] -= n;
	count_less(p, span_str(action), NULL, n);
	count_less(p, span(NULL, 0), &a, n);
	count_less(p, span_str(action), &a, n);	/* frees c */
}

bool
places_give(struct places *p, unsigned owner, struct span action,
    const struct addr *a)
{
	struct count	*c = count_get(p, action, a);

	if (c == NULL || c->shares == NULL || c->shares[owner] == 0)
		return false;
	less(p, c, owner, 1);
	return true;
}

struct first {
	unsigned	 owner;
	struct count	*c;
};

static bool
first_one(struct span key, void *v, void *arg)
{
	struct first	*f = arg;
	struct count	*c = v;

	(void)key;
	if (c->shares == NULL || c->shares[f->owner] == 0)
		return true;
	f->c = c;
	return false;
}

void
places_gone(struct places *p, unsigned owner)
{
	struct waiter	*x, *next;
	struct first	 f = { owner, NULL };

	TAILQ_FOREACH_SAFE(x, &p->waiters, entry, next)
		if (x->w.owner == owner)
			waiter_free(p, x);
	for (;;) {
		f.c = NULL;
		map_each(p->counts, first_one, &f);
		if (f.c == NULL)
			return;
		less(p, f.c, owner, f.c->shares[owner]);
	}
}

struct each {
	unsigned	 owner;
	void		(*f)(void *, struct span, const struct addr *,
			    unsigned);
	void		*arg;
};

static bool
each_one(struct span key, void *v, void *arg)
{
	struct each	*e = arg;
	struct count	*c = v;

	(void)key;
	if (c->shares != NULL && c->shares[e->owner] > 0)
		e->f(e->arg, span_str(c->action), &c->addr,
		    c->shares[e->owner]);
	return true;
}

void
places_each(struct places *p, unsigned owner,
    void (*f)(void *, struct span, const struct addr *, unsigned), void *arg)
{
	map_each(p->counts, each_one, &(struct each){ owner, f, arg });
}

unsigned
places_at(const struct places *p, const struct addr *a)
{
	return count_n(p, span(NULL, 0), a);
}

unsigned
places_of(const struct places *p, struct span action)
{
	return count_n(p, action, NULL);
}

/* ---- limits that servers have ------------------------------------------- */

unsigned
places_limit(const struct places *p, const struct addr *a, int64_t now)
{
	return learned(count_get(p, span(NULL, 0), a), now);
}

void
places_limit_set(struct places *p, const struct addr *a, unsigned limit,
    int64_t now)
{
	struct count	*c = count_make(p, span(NULL, 0), a);

	if (c == NULL)
		return;
	c->learned = limit;
	c->at = now;
	count_drop(p, span(NULL, 0), a);
}

unsigned
places_full(struct places *p, const struct addr *a, int64_t now)
{
	unsigned	 n = count_n(p, span(NULL, 0), a);
	unsigned	 was = places_limit(p, a, now);

	if (n == 0)
		return 0;
	/* Several that were refused at once say the same. */
	if (was > 0 && was < n)
		n = was;
	places_limit_set(p, a, n, now);
	return n;
}

void
places_free(struct places *p)
{
	struct waiter	*x;

	if (p == NULL)
		return;
	while ((x = TAILQ_FIRST(&p->waiters)) != NULL)
		waiter_free(p, x);
	map_free_all(p->counts, count_free);
	free(p);
}
