/*
 * An arena is the memory of one transaction: many small pieces, one free.
 * It has a maximum of bytes, so that no client can make it grow for ever.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "common/base/span.h"

struct arena;

/* An empty arena of at most max bytes in all. NULL: out of memory. */
struct arena *arena_new(size_t max);
/* Frees all pieces and the arena. Takes NULL. */
void	 arena_free(struct arena *);
/* Frees all pieces; the arena stays. */
void	 arena_reset(struct arena *);
/* n zeroed bytes, aligned for any type; NULL when the maximum is reached. */
void	*arena_alloc(struct arena *, size_t n);
/* A copy; its p is NULL (len 0) when the maximum is reached. Adds a NUL that is
 * not counted. */
struct span arena_span(struct arena *, struct span);
char	*arena_str(struct arena *, struct span);
/* Bytes handed out so far. */
size_t	 arena_used(const struct arena *);

#endif
