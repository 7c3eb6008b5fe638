/*
 * Senders at a destination: each has its jobs in order, they take turns, and
 * the one with most gives way where memory is full.
 */
#include <stdlib.h>

#include "queued/due_i.h"

static uint64_t
mix(uint64_t h, const uint8_t *p, size_t n)
{
	while (n-- > 0)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

uint64_t
due_sender_key(struct span from, const struct addr *client)
{
	uint64_t	 h = UINT64_C(0xcbf29ce484222325);

	if (from.len > 0)
		h = mix(h, from.p, from.len);
	else
		h = mix(h + client->family, client->ip, client->family == 4 ?
		    4 : 16);
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	return h != 0 ? h : 1;
}

/* Two pairs that share a key of the map share their turns, no more. */
static uint64_t
map_key(const struct dest *d, uint64_t key)
{
	return d->key ^ (key << 23 | key >> 41);
}

struct sender *
sender_find(struct queue *q, const struct dest *d, uint64_t key)
{
	return map_get_u64(q->senders, map_key(d, key));
}

struct sender *
sender_get(struct queue *q, struct dest *d, uint64_t key)
{
	struct sender	*s = sender_find(q, d, key);

	if (s != NULL)
		return s;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->key = key;
	TAILQ_INIT(&s->ready);
	if (!map_set_u64(q->senders, map_key(d, key), s)) {
		free(s);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&d->senders, s, entry);
	d->nsenders++;
	return s;
}

void
sender_turn(struct dest *d, struct sender *s)
{
	TAILQ_REMOVE(&d->senders, s, entry);
	TAILQ_INSERT_TAIL(&d->senders, s, entry);
}

void
sender_rest(struct queue *q, struct dest *d, struct sender *s)
{
	if (s->nready > 0 || s->skipped)
		return;
	map_del_u64(q->senders, map_key(d, s->key));
	TAILQ_REMOVE(&d->senders, s, entry);
	d->nsenders--;
	free(s);
}

struct job *
sender_next(struct dest *d)
{
	struct sender	*s;

	TAILQ_FOREACH(s, &d->senders, entry)
		if (s->nready > 0) {
			sender_turn(d, s);
			return TAILQ_FIRST(&s->ready);
		}
	return NULL;
}

void
sender_skip(struct dest *d, struct sender *s, const struct store_due *row)
{
	if (!s->skipped)
		d->nskipped++;
	if (!s->skipped || row->next_ms < s->pos.next_ms ||
	    (row->next_ms == s->pos.next_ms && row->id < s->pos.id)) {
		s->pos = *row;
		s->pos.dest = d->key;
	}
	s->skipped = s->blocked = true;
}

void
sender_unskip(struct dest *d, struct sender *s)
{
	if (s->skipped)
		d->nskipped--;
	s->skipped = false;
}

bool
sender_room(struct queue *q, struct dest *d, const struct sender *s)
{
	struct sender	*most = NULL, *x;
	struct store_due row;
	struct job	*j;

	if (d->nready < READY_MAX && q->nready < READY_TOTAL)
		return true;
	TAILQ_FOREACH(x, &d->senders, entry)
		if (most == NULL || x->nready > most->nready)
			most = x;
	if (most == NULL || most == s ||
	    most->nready < (s == NULL ? 0 : s->nready) + 2)
		return false;
	j = TAILQ_LAST(&most->ready, job_list);
	row = (struct store_due){ .next_ms = j->next_ms, .id = j->id };
	sender_skip(d, most, &row);
	job_unready(q, j);
	job_free(q, j);
	return true;
}

void
sender_reset(struct queue *q, struct dest *d)
{
	struct sender	*s;
	struct job	*j;

	while ((s = TAILQ_FIRST(&d->senders)) != NULL) {
		sender_unskip(d, s);
		if ((j = TAILQ_FIRST(&s->ready)) == NULL) {
			sender_rest(q, d, s);
			continue;
		}
		job_unready(q, j);	/* with the last one the sender goes */
		job_free(q, j);
	}
}
