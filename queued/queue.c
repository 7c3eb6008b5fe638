/*
 * The queue as a whole: opening, closing, its clock, what is paused, and the
 * small work between batches.
 */
#include <sys/statvfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "queued/diskio.h"
#include "queued/dest.h"
#include "queued/due.h"
#include "queued/prepared.h"
#include "queued/rpt.h"

#define MIB		(UINT64_C(1) << 20)
#define BIG_DISK	(8192 * MIB)
#define PAUSED_MAX	1000
#define JOBS_MAX	(READY_TOTAL + 64 * RUNNING_MAX)

void
queue_params_for_disk(struct queue_params *p)
{
	struct statvfs	 vfs;
	int		 fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*p = (struct queue_params){ .seg_size = 64 * MIB, .seg_slice = MIB,
	    .store = { .cache = 64 * MIB, .lg_max = 16 * MIB,
	    .lg_bsize = 4 * MIB } };
	if (fd != -1 && fstatvfs(fd, &vfs) == 0 &&
	    (uint64_t)vfs.f_blocks * vfs.f_frsize < BIG_DISK) {
		p->seg_size = 4 * MIB;
		p->store = (struct store_params){ .cache = 8 * MIB,
		    .lg_max = 4 * MIB, .lg_bsize = MIB };
	}
	if (fd != -1)
		close(fd);
	p->reserve_file = 2 * (p->store.cache + (uint64_t)p->store.lg_max);
}

int64_t
queue_now(const struct queue *q)
{
	return q->qtime_ms + (clock_mono().ms - q->mono_ms);
}

void
queue_closed(struct queue *q, bool closed, const char *why)
{
	q->closed = closed;
	strlcpy(q->closed_why, why, sizeof(q->closed_why));
	if (closed)
		log_warnx("event=closed why=%s", log_quote(span_str(why)));
	else
		log_info("event=open");
	q->ops->state(q, !closed, q->closed_why);
}

static void
maps_make(struct queue *q)
{
	TAILQ_INIT(&q->lives);
	TAILQ_INIT(&q->active);
	TAILQ_INIT(&q->parked);
	TAILQ_INIT(&q->dirty);
	TAILQ_INIT(&q->pins);
	q->open_ids = map_new(1 << 20);
	q->live = map_new(1 << 20);
	q->seg_live = map_new(1 << 20);
	q->paused = map_new(PAUSED_MAX);
	q->grouped = map_new(1 << 20);
	q->prepared = map_new(PREPARED_MAX + BATCH_MSGS);
	if (q->open_ids == NULL || q->live == NULL || q->seg_live == NULL ||
	    q->paused == NULL || q->grouped == NULL ||
	    q->prepared == NULL)
		fatal("queue");
	buf_init(&q->msgs, 64 * MIB);
	buf_init(&q->changes, 64 * MIB);
	buf_init(&q->env, REC_ENV_MAX);
	buf_init(&q->scratch, 65536);
	due_init(q);
}

struct queue *
queue_open(const struct queue_params *p, const struct conf *conf,
    const struct queue_ops *ops, void *arg)
{
	struct queue	*q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		fatal("queue");
	q->conf = conf;
	q->ops = ops;
	q->arg = arg;
	q->params = *p;
	q->mono_ms = q->opened_ms = clock_mono().ms;
	maps_make(q);
	q->dir_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q->dir_fd == -1)
		dio_stop("open", "the folder", errno);
	q->lock_fd = dio_lock();
	q->reserve_there = dio_exists(DIO_RESERVE);
	if (recover(q) == -1) {
		q->down = q->closed = true;
		log_warnx("event=closed why=%s",
		    log_quote(span_str(q->closed_why)));
		return q;
	}
	apply_count(q);
	prepared_load(q);
	space_check(q, true);
	due_reset(q);
	return q;
}

static bool
live_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	free(v);
	return true;
}

void
queue_forget(struct queue *q)
{
	if (q == NULL)
		return;
	due_free(q);
	prepared_free(q);
	segs_close(q->segs, false);
	map_each(q->live, live_one, NULL);
	map_free(q->live);
	map_free(q->open_ids);
	map_free(q->seg_live);
	map_free(q->paused);
	map_free(q->grouped);
	map_free(q->recent);
	for (size_t i = 0; i < q->nentries; i++)
		dio_close(q->entries[i].body_fd);
	buf_clear(&q->msgs);
	buf_clear(&q->changes);
	buf_clear(&q->env);
	buf_clear(&q->scratch);
	free(q->acks);
	free(q->loaded.p);
	free(q->over);
	if (q->lock_fd != -1)
		close(q->lock_fd);
	close(q->dir_fd);
	free(q);
}

void
queue_close(struct queue *q)
{
	if (!q->down) {
		queue_flush(q);
		store_checkpoint(q->store, true);
		store_close(q->store);
		q->store = NULL;
		segs_close(q->segs, true);
		q->segs = NULL;
	}
	queue_forget(q);
}

void
queue_conf(struct queue *q, const struct conf *conf)
{
	bool	 moves = dest_moves(q->conf, conf);

	q->conf = conf;
	if (q->down)
		return;
	/* What is read anew must be what is known: nothing waits. */
	queue_flush(q);
	if (moves)
		apply_redest(q);
	due_reset(q);
	q->ops->want_run(q);
}

bool
queue_housekeep(struct queue *q)
{
	if (q->down)
		return false;
	space_check(q, false);
	if (q->stuck)
		queue_flush(q);
	if (q->recent != NULL && clock_mono().ms - q->opened_ms > RECENT_MS) {
		map_free(q->recent);
		q->recent = NULL;
	}
	if (prepared_step(q))
		return true;
	if (keep_step(q))
		return true;
	if (rpt_step(q))
		return true;
	if (!segs_spare_ready(q->segs) && !q->low)
		return segs_spare_step(q->segs) || segs_spare_ready(q->segs);
	if (pin_step(q))
		return true;
	return compact_step(q);
}

/* ---- what is paused ---- */

void
queue_pause_mta(struct queue *q, bool on)
{
	q->mta_paused = on;
	queue_state_record(q, &q->changes);
	q->ops->want_flush(q, true);
	q->ops->want_run(q);
}

bool
queue_pause_dest(struct queue *q, struct span name, bool on)
{
	if (!on)
		map_del(q->paused, name);
	else if (!map_set(q->paused, name, q))
		return false;
	due_pauses(q);
	queue_state_record(q, &q->changes);
	q->ops->want_flush(q, true);
	q->ops->want_run(q);
	return true;
}

bool
queue_is_paused(const struct queue *q, const struct dest *d)
{
	return map_get(q->paused, span_str(d->action)) != NULL ||
	    (d->domain[0] != '\0' &&
	    map_get(q->paused, span_str(d->domain)) != NULL);
}

struct names {
	struct buf	*b;
	uint32_t	 n;
};

static bool
name_add(struct span key, void *v, void *arg)
{
	struct names	*n = arg;

	(void)v;
	n->n++;
	return rec_name_add(n->b, key);
}

uint32_t
queue_paused_names(struct queue *q, struct buf *b)
{
	struct names	 n = { b, 0 };

	map_each(q->paused, name_add, &n);
	return n.n;
}
