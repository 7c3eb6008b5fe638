/*
 * The arena: a list of blocks, freed together. See arena.h.
 */
#include <stdlib.h>

#include "common/base/arena.h"

#define BLOCK	2048	/* bytes of an ordinary block */

struct block {
	struct block	*next;
	size_t		 size, used;
	_Alignas(max_align_t) uint8_t bytes[];
};
struct arena {
	struct block	*blocks;	/* the newest first */
	size_t		 max, used;
};

struct arena *
arena_new(size_t max)
{
	struct arena	*a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->max = max;
	return a;
}

void
arena_reset(struct arena *a)
{
	struct block	*b, *next;

	for (b = a->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks = NULL;
	a->used = 0;
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_reset(a);
	free(a);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	const size_t	 align = _Alignof(max_align_t);
	struct block	*b = a->blocks;
	size_t		 size;
	void		*p;

	if (n > a->max)
		return NULL;
	n = n == 0 ? align : (n + align - 1) / align * align;
	if (n > a->max - a->used)
		return NULL;
	if (b == NULL || b->size - b->used < n) {
		size = n > BLOCK ? n : BLOCK;
		if ((b = malloc(sizeof(*b) + size)) == NULL)
			return NULL;
		b->next = a->blocks;
		b->size = size;
		b->used = 0;
		a->blocks = b;
	}
	p = b->bytes + b->used;
	b->used += n;
	a->used += n;
	memset(p, 0, n);
	return p;
}

char *
arena_str(struct arena *a, struct span s)
{
	char	*p = arena_alloc(a, s.len + 1);

	if (p != NULL && s.len > 0)
		memcpy(p, s.p, s.len);
	return p;
}

struct span
arena_span(struct arena *a, struct span s)
{
	char	*p = arena_str(a, s);

	return span(p, p == NULL ? 0 : s.len);
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}
