/*
 * See again.h.
 */
#include "queued/again.h"

#include <sys/queue.h>
#include <stdlib.h>

#include "common/base/map.h"

enum state { AG_COMMITTING, AG_ANSWERED, AG_LOST };
struct entry {
	TAILQ_ENTRY(entry) entry;	/* the oldest first */
	uint8_t		 digest[AGAIN_DIGEST];
	uint64_t	 id;
	int64_t		 since_ms;
	enum state	 state;
};
struct again {
	TAILQ_HEAD(, entry) all;
	struct map	*by_digest, *by_id;
};

struct again *
again_new(void)
{
	struct again	*a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	TAILQ_INIT(&a->all);
	a->by_digest = map_new(AGAIN_MAX + 1);
	a->by_id = map_new(AGAIN_MAX + 1);
	if (a->by_digest == NULL || a->by_id == NULL) {
		again_free(a);
		return NULL;
	}
	return a;
}

static struct span
digest_of(const struct entry *e)
{
	return span(e->digest, sizeof(e->digest));
}

static void
forget(struct again *a, struct entry *e)
{
	map_del(a->by_digest, digest_of(e));
	map_del_u64(a->by_id, e->id);
	TAILQ_REMOVE(&a->all, e, entry);
	free(e);
}

void
again_free(struct again *a)
{
	struct entry	*e;

	if (a == NULL)
		return;
	while ((e = TAILQ_FIRST(&a->all)) != NULL)
		forget(a, e);
	map_free(a->by_digest);
	map_free(a->by_id);
	free(a);
}

static void
expire(struct again *a, int64_t now_ms)
{
	struct entry	*e;

	while ((e = TAILQ_FIRST(&a->all)) != NULL &&
	    (e->since_ms + AGAIN_MS <= now_ms ||
	    map_count(a->by_id) > AGAIN_MAX))
		forget(a, e);
}

void
again_commit(struct again *a, struct span digest, uint64_t id,
    int64_t now_ms)
{
	struct entry	*e;

	if (digest.len != AGAIN_DIGEST)
		return;
	/* Of two that are alike the last one is the one in doubt. */
	if ((e = map_get(a->by_digest, digest)) != NULL)
		forget(a, e);
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return;
	memcpy(e->digest, digest.p, sizeof(e->digest));
	e->id = id;
	e->since_ms = now_ms;
	if (!map_set(a->by_digest, digest, e) || !map_set_u64(a->by_id, id,
	    e)) {
		map_del(a->by_digest, digest);
		free(e);
		return;
	}
	TAILQ_INSERT_TAIL(&a->all, e, entry);
	expire(a, now_ms);
}

void
again_committed(struct again *a, uint64_t id, bool ok)
{
	struct entry	*e = map_get_u64(a->by_id, id);

	if (e != NULL && e->state == AG_COMMITTING && ok)
		e->state = AG_ANSWERED;
	else if (e != NULL && !ok)
		forget(a, e);
}

void
again_lost(struct again *a, uint64_t id)
{
	struct entry	*e = map_get_u64(a->by_id, id);

	if (e != NULL && e->state == AG_ANSWERED)
		e->state = AG_LOST;
}

uint64_t
again_known(struct again *a, struct span digest, int64_t now_ms)
{
	struct entry	*e;

	expire(a, now_ms);
	if (digest.len != AGAIN_DIGEST ||
	    (e = map_get(a->by_digest, digest)) == NULL ||
	    e->state != AG_LOST)
		return 0;
	e->state = AG_ANSWERED;
	return e->id;
}

size_t
again_count(const struct again *a)
{
	return map_count(a->by_id);
}
