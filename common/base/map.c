/*
 * The bounded hash map: chains, doubled when they get long. The hash is
 * SipHash-1-3 with a key of the process. See map.h.
 */
#include <stdlib.h>

#include "common/base/map.h"
#include "common/base/rand.h"

struct entry {
	struct entry	*next;
	uint64_t	 hash;
	void		*value;
	size_t		 len;
	uint8_t		 key[];
};
struct map {
	struct entry	**slots;
	size_t		 nslots;	/* a power of two */
	size_t		 count, max;
	uint64_t	 k0, k1;
};

#define ROTL(x, b)	((x) << (b) | (x) >> (64 - (b)))
#define ROUND do {							\
	v0 += v1; v1 = ROTL(v1, 13); v1 ^= v0; v0 = ROTL(v0, 32);	\
	v2 += v3; v3 = ROTL(v3, 16); v3 ^= v2;				\
	v0 += v3; v3 = ROTL(v3, 21); v3 ^= v0;				\
	v2 += v1; v1 = ROTL(v1, 17); v1 ^= v2; v2 = ROTL(v2, 32);	\
} while (0)

static uint64_t
map_hash(const struct map *m, struct span s)
{
	uint64_t	 v0 = m->k0 ^ 0x736f6d6570736575ULL;
	uint64_t	 v1 = m->k1 ^ 0x646f72616e646f6dULL;
	uint64_t	 v2 = m->k0 ^ 0x6c7967656e657261ULL;
	uint64_t	 v3 = m->k1 ^ 0x7465646279746573ULL;
	uint64_t	 w, last = (uint64_t)s.len << 56;

	for (; s.len >= 8; span_skip(&s, 8)) {
		memcpy(&w, s.p, 8);
		v3 ^= w;
		ROUND;
		v0 ^= w;
	}
	for (size_t i = 0; i < s.len; i++)
		last |= (uint64_t)s.p[i] << (8 * i);
	v3 ^= last;
	ROUND;
	v0 ^= last;
	v2 ^= 0xff;
	ROUND;
	ROUND;
	ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

struct map *
map_new(size_t max)
{
	struct map	*m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->nslots = 16;
	m->max = max;
	m->k0 = rand_u64();
	m->k1 = rand_u64();
	if ((m->slots = calloc(m->nslots, sizeof(*m->slots))) == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void
map_free(struct map *m)
{
	struct entry	*e, *next;

	if (m == NULL)
		return;
	for (size_t i = 0; i < m->nslots; i++)
		for (e = m->slots[i]; e != NULL; e = next) {
			next = e->next;
			free(e);
		}
	free(m->slots);
	free(m);
}

void
map_free_all(struct map *m, void (*f)(void *))
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->nslots; i++)
		for (struct entry *e = m->slots[i]; e != NULL; e = e->next)
			f(e->value);
	map_free(m);
}

/* The place that points to the entry of key, or to the NULL at its chain's
 * end. */
static struct entry **
map_place(const struct map *m, struct span key, uint64_t hash)
{
	struct entry	**p = &m->slots[hash & (m->nslots - 1)];

	while (*p != NULL && !((*p)->hash == hash &&
	    span_eq(span((*p)->key, (*p)->len), key)))
		p = &(*p)->next;
	return p;
}

void *
map_get(const struct map *m, struct span key)
{
	struct entry	*e = *map_place(m, key, map_hash(m, key));

	return e == NULL ? NULL : e->value;
}

/* More slots; with no memory for them the chains just stay longer. */
static void
map_grow(struct map *m)
{
	size_t		  n = m->nslots * 2;
	struct entry	**slots = calloc(n, sizeof(*slots)), *e, *next;

	if (slots == NULL)
		return;
	for (size_t i = 0; i < m->nslots; i++)
		for (e = m->slots[i]; e != NULL; e = next) {
			next = e->next;
			e->next = slots[e->hash & (n - 1)];
			slots[e->hash & (n - 1)] = e;
		}
	free(m->slots);
	m->slots = slots;
	m->nslots = n;
}

bool
map_set(struct map *m, struct span key, void *v)
{
	uint64_t	 hash = map_hash(m, key);
	struct entry   **p = map_place(m, key, hash), *e;

	if (*p != NULL) {
		(*p)->value = v;
		return true;
	}
	if (m->count == m->max ||
	    (e = malloc(sizeof(*e) + key.len)) == NULL)
		return false;
	e->next = NULL;
	e->hash = hash;
	e->value = v;
	e->len = key.len;
	if (key.len > 0)
		memcpy(e->key, key.p, key.len);
	*p = e;
	if (++m->count > m->nslots)
		map_grow(m);
	return true;
}

void *
map_del(struct map *m, struct span key)
{
	struct entry	**p = map_place(m, key, map_hash(m, key)), *e = *p;
	void		 *v;

	if (e == NULL)
		return NULL;
	*p = e->next;
	v = e->value;
	free(e);
	m->count--;
	return v;
}

size_t
map_count(const struct map *m)
{
	return m->count;
}

void
map_each(struct map *m, bool (*f)(struct span, void *, void *), void *arg)
{
	struct entry	*e, *next;

	for (size_t i = 0; i < m->nslots; i++)
		for (e = m->slots[i]; e != NULL; e = next) {
			next = e->next;
			if (!f(span(e->key, e->len), e->value, arg))
				return;
		}
}

void *
map_get_u64(const struct map *m, uint64_t k)
{
	return map_get(m, span(&k, sizeof(k)));
}

bool
map_set_u64(struct map *m, uint64_t k, void *v)
{
	return map_set(m, span(&k, sizeof(k)), v);
}

void *
map_del_u64(struct map *m, uint64_t k)
{
	return map_del(m, span(&k, sizeof(k)));
}
