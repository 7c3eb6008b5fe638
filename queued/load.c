/*
 * A message's record, for its delivery and for people: from a bounded copy of
 * what was accepted just now, or from its segment.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/queue.h"

struct live {
	TAILQ_ENTRY(live) entry;
	uint64_t	 id;
	size_t		 len;
	uint8_t		 record[];
};

static void
live_free(struct queue *q, struct live *l)
{
	TAILQ_REMOVE(&q->lives, l, entry);
	map_del_u64(q->live, l->id);
	q->live_bytes -= l->len;
	free(l);
}

void
live_put(struct queue *q, uint64_t id, struct span record)
{
	struct live	*l;

	while (q->live_bytes + record.len > LIVE_MAX &&
	    (l = TAILQ_FIRST(&q->lives)) != NULL)
		live_free(q, l);
	live_drop(q, id);
	if ((l = malloc(sizeof(*l) + record.len)) == NULL)
		return;
	l->id = id;
	l->len = record.len;
	memcpy(l->record, record.p, record.len);
	if (!map_set_u64(q->live, id, l)) {
		free(l);
		return;
	}
	TAILQ_INSERT_TAIL(&q->lives, l, entry);
	q->live_bytes += l->len;
}

void
live_drop(struct queue *q, uint64_t id)
{
	struct live	*l = map_get_u64(q->live, id);

	if (l != NULL)
		live_free(q, l);
}

static bool
load_from(struct queue *q, uint64_t id, uint64_t segment, uint64_t offset,
    uint32_t length)
{
	uint8_t	*p;
	ssize_t	 n;
	char	 ids[ID_STRLEN];

	if (q->load_cap < length) {
		if ((p = realloc(q->load_buf, length)) == NULL)
			return false;
		q->load_buf = p;
		q->load_cap = length;
	}
	n = segs_read(q->segs, segment, q->load_buf, length, offset);
	if (n == (ssize_t)length)
		return true;
	q->damage++;
	log_warnx("id=%s event=damage segment=%llx why=\"a record can't be "
	    "read\"", id_str(id, ids), (unsigned long long)segment);
	return false;
}

bool
load_record(struct queue *q, uint64_t id, struct rec *r)
{
	struct live	*l = map_get_u64(q->live, id);
	struct store_msg m;
	const char	*why = "length";
	char		 ids[ID_STRLEN];
	size_t		 need;

	if (l != NULL)
		return rec_decode(span(l->record, l->len), r, &need, &why) ==
		    PARSE_OK;
	if (!store_msg_get(q->store, id, &m))
		return false;
	if (!load_from(q, id, m.segment, m.offset, m.length))
		return false;
	if (rec_decode(span(q->load_buf, m.length), r, &need, &why) ==
	    PARSE_OK && r->id == id) {
		if (rec_content_ok(r))
			return true;
		why = "checksum of the content";
	}
	q->damage++;
	log_warnx("id=%s event=damage segment=%llx offset=%llu why=\"%s\"",
	    id_str(id, ids), (unsigned long long)m.segment,
	    (unsigned long long)m.offset, why);
	return false;
}
