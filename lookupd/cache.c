/*
 * The cache of answers: a map from (type, name) to entries in a queue ordered
 * by their last use. See cache.h.
 */
#include <sys/queue.h>
#include <stdlib.h>

#include "lookupd/cache.h"

#include "common/base/map.h"

#define ENTRY_BYTES	160	/* map node and malloc's own, beside the data */

struct entry {
	TAILQ_ENTRY(entry) link;
	struct answer	*answer;
	int64_t		 expires_ms;
	size_t		 cost;
	size_t		 keylen;
	uint8_t		 key[1 + DNS_NAME_MAX];
};
TAILQ_HEAD(entries, entry);

struct cache {
	struct map	*map;
	struct entries	 lru;		/* most recently used first */
	size_t		 bytes, bytes_max;
};

/* ---- packed answers: type, pref, address, name and text with lengths ---- */

static size_t
put(uint8_t *p, const void *bytes, size_t n)
{
	if (p != NULL && n > 0)
		memcpy(p, bytes, n);
	return n;
}

/* Writes the records to p, or only counts their bytes if p is NULL. */
static size_t
pack(uint8_t *p, const struct dns_answer *a)
{
	size_t	n = 0;

	for (size_t i = 0; i < a->nrr; i++) {
		const struct dns_rr	*r = &a->rr[i];
		uint8_t			 type = (uint8_t)r->type;
		uint8_t			 name = (uint8_t)strlen(r->name);
		uint16_t		 text = (uint16_t)r->text_len;
#define PUT(x, len)	n += put(p == NULL ? NULL : p + n, (x), (len))
		PUT(&type, 1);
		PUT(&r->pref, sizeof(r->pref));
		PUT(&r->addr, sizeof(r->addr));
		PUT(&name, 1);
		PUT(r->name, name);
		PUT(&text, sizeof(text));
		PUT(r->text, text);
#undef PUT
	}
	return n;
}

static uint32_t
clamp(uint32_t ttl, uint32_t max)
{
	return ttl < CACHE_TTL_MIN_S ? CACHE_TTL_MIN_S : ttl > max ? max :
	    ttl;
}

struct answer *
answer_pack(const struct dns_answer *d)
{
	struct answer	*a;
	size_t		 n = pack(NULL, d), canon = strlen(d->canon);

	if ((a = malloc(sizeof(*a) + n + canon)) == NULL)
		return NULL;
	*a = (struct answer){ .status = d->status, .ad = d->ad,
	    .nrr = (uint16_t)d->nrr, .size = n,
	    .canon_len = (uint8_t)canon };
	a->ttl = d->status == DNS_OK ? clamp(d->ttl, CACHE_TTL_MAX_S) :
	    d->status == DNS_TEMPFAIL ? CACHE_FAIL_S :
	    clamp(d->ttl, CACHE_NEG_MAX_S);
	pack(a->data, d);
	put(a->data + n, d->canon, canon);
	return a;
}

struct span
answer_canon(const struct answer *a)
{
	return span(a->data + a->size, a->canon_len);
}

struct answer *
answer_none(enum dns_status status, uint32_t ttl)
{
	struct answer	*a;

	if ((a = malloc(sizeof(*a))) == NULL)
		return NULL;
	*a = (struct answer){ .status = status, .ttl = ttl };
	return a;
}

bool
answer_next(const struct answer *a, size_t *pos, struct answer_rr *r)
{
	const uint8_t	*p = a->data + *pos;
	uint16_t	 text;

	if (*pos >= a->size)
		return false;
	r->type = *p++;
	memcpy(&r->pref, p, sizeof(r->pref));
	p += sizeof(r->pref);
	memcpy(&r->addr, p, sizeof(r->addr));
	p += sizeof(r->addr);
	r->name = span(p + 1, *p);
	p += 1 + r->name.len;
	memcpy(&text, p, sizeof(text));
	r->text = span(p + sizeof(text), text);
	*pos = (size_t)(p + sizeof(text) + text - a->data);
	return true;
}

/* ---- the cache ---- */

struct cache *
cache_new(size_t bytes_max)
{
	struct cache	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	TAILQ_INIT(&c->lru);
	c->bytes_max = bytes_max;
	if ((c->map = map_new(bytes_max / ENTRY_BYTES + 1)) == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

static void
drop(struct cache *c, struct entry *e)
{
	TAILQ_REMOVE(&c->lru, e, link);
	map_del(c->map, span(e->key, e->keylen));
	c->bytes -= e->cost;
	free(e->answer);
	free(e);
}

void
cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	cache_flush(c, span(NULL, 0));
	map_free(c->map);
	free(c);
}

/* Names that differ by case alone are one name (RFC 4343). */
static size_t
make_key(uint8_t key[1 + DNS_NAME_MAX], enum dns_type type, struct span name)
{
	size_t	n = name.len > DNS_NAME_MAX ? DNS_NAME_MAX : name.len;

	key[0] = (uint8_t)type;
	for (size_t i = 0; i < n; i++)
		key[1 + i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ?
		    (uint8_t)(name.p[i] - 'A' + 'a') : name.p[i];
	return 1 + n;
}

static struct entry *
find(struct cache *c, enum dns_type type, struct span name)
{
	uint8_t	key[1 + DNS_NAME_MAX];
	size_t	n = make_key(key, type, name);

	return map_get(c->map, span(key, n));
}

const struct answer *
cache_get(struct cache *c, enum dns_type type, struct span name,
    struct mono now, uint32_t *ttl)
{
	struct entry	*e;

	if ((e = find(c, type, name)) == NULL)
		return NULL;
	if (e->expires_ms <= now.ms) {
		drop(c, e);
		return NULL;
	}
	TAILQ_REMOVE(&c->lru, e, link);
	TAILQ_INSERT_HEAD(&c->lru, e, link);
	*ttl = (uint32_t)((e->expires_ms - now.ms + 999) / 1000);
	return e->answer;
}

void
cache_put(struct cache *c, enum dns_type type, struct span name,
    struct answer *a, struct mono now)
{
	struct entry	*e;

	if ((e = find(c, type, name)) != NULL)
		drop(c, e);
	if ((e = calloc(1, sizeof(*e))) == NULL) {
		free(a);
		return;
	}
	e->keylen = make_key(e->key, type, name);
	e->answer = a;
	e->expires_ms = now.ms + (int64_t)a->ttl * 1000;
	e->cost = ENTRY_BYTES + sizeof(*e) + e->keylen + sizeof(*a) + a->size +
	    a->canon_len;
	while (c->bytes + e->cost > c->bytes_max && !TAILQ_EMPTY(&c->lru))
		drop(c, TAILQ_LAST(&c->lru, entries));
	if (e->cost > c->bytes_max ||
	    !map_set(c->map, span(e->key, e->keylen), e)) {
		free(e->answer);
		free(e);
		return;
	}
	TAILQ_INSERT_HEAD(&c->lru, e, link);
	c->bytes += e->cost;
}

size_t
cache_flush(struct cache *c, struct span name)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX,
	    DNS_TXT, DNS_PTR, DNS_CNAME, DNS_TLSA };
	struct entry	*e;
	size_t		 n = 0;

	if (name.len == 0) {
		while ((e = TAILQ_FIRST(&c->lru)) != NULL) {
			drop(c, e);
			n++;
		}
		return n;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if ((e = find(c, types[i], name)) != NULL) {
			drop(c, e);
			n++;
		}
	}
	return n;
}

size_t
cache_entries(const struct cache *c)
{
	return map_count(c->map);
}

size_t
cache_bytes(const struct cache *c)
{
	return c->bytes;
}
