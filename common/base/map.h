/*
 * A bounded hash map from bytes to a pointer. Keys are copied; values belong to
 * the caller. Its hash is keyed by a random number of the process, so that no
 * stranger can choose keys that collide.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "common/base/span.h"

struct map;

struct map *map_new(size_t max);	/* at most max entries */
void	 map_free(struct map *);	/* the values are not touched */
/* The same; f, as free(3), is called for each value. Takes NULL. */
void	 map_free_all(struct map *, void (*f)(void *));
void	*map_get(const struct map *, struct span key);
/* Sets or replaces; false if full or out of memory. v is not NULL. */
bool	 map_set(struct map *, struct span key, void *v);
/* Removes; gives the value, NULL if there was none. */
void	*map_del(struct map *, struct span key);
size_t	 map_count(const struct map *);
/* Calls f for each entry in any order, until it returns false. f may delete
 * the entry it was called for, and no other. */
void	 map_each(struct map *, bool (*f)(struct span key, void *v, void *arg),
	    void *arg);

/* The same keyed by a number. */
void	*map_get_u64(const struct map *, uint64_t);
bool	 map_set_u64(struct map *, uint64_t, void *);
void	*map_del_u64(struct map *, uint64_t);

#endif
