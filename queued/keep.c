/*
 * Mail that is over but can still be read (`queue keep`): each change that may
 * settle the last recipient says until when; that time over, or the disk short
 * of room, it goes, the oldest first and some at a time.
 */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/queue.h"

#define STEP		64
#define REST_MS		10000	/* for the room to come back */

void
keep_mark(const struct queue *q, struct rec_change *ch)
{
	if (q->conf->keep_ms <= 0)
		return;
	ch->what |= CHANGE_KEEP;
	ch->expire_ms = queue_now(q) + q->conf->keep_ms;
}

struct ended {
	struct queue	*q;
	bool		 early;
	uint64_t	 ids[STEP];
	size_t		 n;
};

static bool
ended_one(int64_t until_ms, uint64_t id, void *arg)
{
	struct ended	*e = arg;

	if (until_ms > queue_now(e->q) && !e->early) {
		e->q->keep_next_ms = until_ms;
		return false;
	}
	e->ids[e->n++] = id;
	return e->n < STEP;
}

/* Bytes that its end frees, sooner or later. */
static uint64_t
drop(struct queue *q, uint64_t id, bool early)
{
	struct rec_change ch = { .what = CHANGE_REMOVE };
	struct rec	 r = { .kind = REC_CHANGE, .id = id };
	struct store_msg m;
	struct buf	 env;
	char		 ids[ID_STRLEN];
	uint64_t	 bytes = 0;

	if (store_msg_get(q->store, id, &m))
		bytes = m.length + (m.flags & MSG_BODY_FILE ? m.size : 0);
	buf_init(&env, 256);
	if (rec_change_encode(&env, &ch)) {
		r.env = buf_content(&env);
		queue_record(q, &r);
	}
	buf_clear(&env);
	log_debug("id=%s event=forget why=%s", id_str(id, ids),
	    early ? "room" : "time");
	return bytes;
}

/* Is room wanted of what is kept? What was let go frees it only when its
 * segments go, so no more than is missing is let go at a time. */
static bool
wants_room(struct queue *q)
{
	uint64_t	 short_of = space_short(q);
	int64_t		 now = clock_mono().ms;

	if (q->kept == 0 || short_of == 0) {
		q->keep_owed = 0;
		return false;
	}
	if (q->keep_owed > 0)
		return true;
	if (q->keep_rest_ms != 0 && now < q->keep_rest_ms)
		return false;
	q->keep_owed = short_of;
	q->keep_rest_ms = now + REST_MS;
	log_info("event=keep result=early messages=%llu size=%llu",
	    (unsigned long long)q->kept, (unsigned long long)short_of);
	return true;
}

bool
keep_step(struct queue *q)
{
	struct ended	 e = { .q = q, .early = wants_room(q) };
	uint64_t	 freed = 0;

	if (q->kept == 0 || (!e.early && queue_now(q) < q->keep_next_ms))
		return false;
	queue_flush(q);
	q->keep_next_ms = 0;
	store_keeps(q->store, ended_one, &e);
	for (size_t i = 0; i < e.n; i++)
		freed += drop(q, e.ids[i], e.early);
	if (e.early)
		q->keep_owed -= freed < q->keep_owed ? freed : q->keep_owed;
	if (e.n > 0)
		queue_flush(q);
	return e.n == STEP;
}
