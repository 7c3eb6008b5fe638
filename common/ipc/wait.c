/*
 * Outstanding requests by number. See wait.h.
 */
#include <stdlib.h>

#include "common/base/map.h"
#include "common/ipc/wait.h"

struct wait {
	struct map	*map;
	uint32_t	 next;
};

struct wait *
wait_new(size_t max)
{
	struct wait	*w = calloc(1, sizeof(*w));

	if (w != NULL && (w->map = map_new(max)) == NULL) {
		free(w);
		w = NULL;
	}
	return w;
}

void
wait_free(struct wait *w)
{
	if (w == NULL)
		return;
	map_free(w->map);
	free(w);
}

uint32_t
wait_add(struct wait *w, void *owner)
{
	do {
		if (++w->next == 0)
			w->next = 1;
	} while (map_get_u64(w->map, w->next) != NULL);
	return map_set_u64(w->map, w->next, owner) ? w->next : 0;
}

void *
wait_get(const struct wait *w, uint32_t tid)
{
	return map_get_u64(w->map, tid);
}

void *
wait_take(struct wait *w, uint32_t tid)
{
	return map_del_u64(w->map, tid);
}

size_t
wait_count(const struct wait *w)
{
	return map_count(w->map);
}

struct each {
	void	(*f)(uint32_t, void *, void *);
	void	*arg;
};

static bool
wait_one(struct span key, void *owner, void *arg)
{
	const struct each	*e = arg;
	uint64_t		 tid;

	memcpy(&tid, key.p, sizeof(tid));
	e->f((uint32_t)tid, owner, e->arg);
	return true;
}

void
wait_each(struct wait *w, void (*f)(uint32_t, void *, void *), void *arg)
{
	struct each	 e = { f, arg };

	map_each(w->map, wait_one, &e);
}
