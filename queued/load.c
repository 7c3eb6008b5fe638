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

/*
 * What is due lies nearly in the order of its segment, though not quite: a
 * batch is written as its messages were complete. A load close to the last one
 * therefore reads around it; one by itself reads no more than its record.
 */
static bool
load_window(struct queue *q, uint64_t segment, uint64_t offset, size_t length)
{
	struct load_window *w = &q->loaded;
	bool		 near = w->segment == segment && length < LOAD_AHEAD / 4 &&
			    offset + LOAD_AHEAD > w->last &&
			    offset < w->last + LOAD_AHEAD;
	uint64_t	 from = offset, end = offset + length;
	ssize_t		 n;

	if (near) {
		from -= from < LOAD_AHEAD / 4 ? from : LOAD_AHEAD / 4;
		end = from + LOAD_AHEAD;
		/* Behind the tail records are yet to be written. */
		if (segment == segs_newest(q->segs) && end > segs_tail(q->segs))
			end = segs_tail(q->segs);
		if (end < offset + length)
			end = offset + length;
	}
	if (w->cap < end - from) {
		uint8_t *p = realloc(w->p, end - from);

		if (p == NULL)
			return false;
		w->p = p;
		w->cap = end - from;
	}
	n = segs_read(q->segs, segment, w->p, end - from, from);
	w->segment = segment;
	w->offset = from;
	w->len = n < 0 ? 0 : (size_t)n;
	return n >= 0 && from + w->len >= offset + length;
}

/* The bytes of a record, valid until the next load; empty: they can't be had. */
static struct span
load_from(struct queue *q, uint64_t id, uint64_t segment, uint64_t offset,
    uint32_t length)
{
	struct load_window *w = &q->loaded;
	bool		 have = w->segment == segment && offset >= w->offset &&
			    offset + length <= w->offset + w->len;
	char		 ids[ID_STRLEN];

	if (have || load_window(q, segment, offset, length)) {
		w->last = offset;
		return span(w->p + (offset - w->offset), length);
	}
	q->damage++;
	log_warnx("id=%s event=damage segment=%llx why=\"a record can't be "
	    "read\"", id_str(id, ids), (unsigned long long)segment);
	return span(NULL, 0);
}

bool
load_record(struct queue *q, uint64_t id, struct rec *r)
{
	struct live	*l = map_get_u64(q->live, id);
	struct store_msg m;
	const char	*why = "length";
	char		 ids[ID_STRLEN];
	struct span	 bytes;
	size_t		 need;

	if (l != NULL)
		return rec_decode(span(l->record, l->len), r, &need, &why) ==
		    PARSE_OK;
	if (!store_msg_get(q->store, id, &m))
		return false;
	bytes = load_from(q, id, m.segment, m.offset, m.length);
	if (bytes.len == 0)
		return false;
	if (rec_decode(bytes, r, &need, &why) ==
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
