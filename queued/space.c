/*
 * Room on the disk: below the reserve no new mail is taken, so that what is
 * there can still be delivered; a file of the size that recovery may need is
 * held and released when the disk is full in spite of it.
 */
#include <sys/statvfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "queued/diskio.h"
#include "queued/queue.h"

#define CHECK_MS	100

/* What must be free for new mail to be taken. */
static uint64_t
wanted(const struct queue *q)
{
	return q->conf->reserve + q->params.store.cache +
	    q->params.store.lg_max;
}

static void
reserve_make(struct queue *q)
{
	int	 fd, st;

	if ((fd = dio_open(DIO_RESERVE, O_RDWR | O_CREAT)) == -1)
		return;
	st = dio_allocate(fd, q->params.reserve_file);
	dio_close(fd);
	if (st == -1)
		dio_unlink(DIO_RESERVE);
	else
		q->reserve_there = true;
}

void
space_release(struct queue *q)
{
	if (!q->reserve_there)
		return;
	dio_unlink(DIO_RESERVE);
	q->reserve_there = false;
}

/* Room beyond what is wanted: below it, what is kept goes. */
static uint64_t
margin(const struct queue *q)
{
	return wanted(q) / 8 + 2 * q->params.seg_size;
}

uint64_t
space_short(const struct queue *q)
{
	uint64_t	 need = wanted(q) + margin(q);

	return q->space_free < need ? need - q->space_free : 0;
}

/* One of the two reasons for taking no mail comes or goes. */
static void
decide(struct queue *q, bool *reason, bool on, const char *why)
{
	if (*reason == on)
		return;
	*reason = on;
	if (on || !(q->low || q->oversize))
		queue_closed(q, on, on ? why : "");
}

/* `queue size`: nothing is taken until a sixteenth of it is free again. */
static void
size_check(struct queue *q)
{
	uint64_t	 max = q->conf->queue_size;
	char		 why[100];

	snprintf(why, sizeof(why), "%llu bytes of content in the queue, queue "
	    "size is %llu", (unsigned long long)q->content_bytes,
	    (unsigned long long)max);
	decide(q, &q->oversize, max > 0 && q->content_bytes >=
	    (q->oversize ? max - max / 16 : max), why);
}

void
space_check(struct queue *q, bool now)
{
	struct statvfs	 vfs;
	char		 why[100];
	int64_t		 t = clock_mono().ms;
	uint64_t	 need = wanted(q);

	if (q->down)
		return;
	size_check(q);
	if (!now && t - q->space_checked_ms < CHECK_MS &&
	    t >= q->space_checked_ms && q->space_checked_ms != 0)
		return;
	q->space_checked_ms = t;
	if (fstatvfs(q->dir_fd, &vfs) == -1) {
		log_warn("fstatvfs");
		return;
	}
	q->space_free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (!q->reserve_there &&
	    q->space_free > need + 2 * q->params.reserve_file)
		reserve_make(q);
	if (!q->low && q->space_free < need) {
		snprintf(why, sizeof(why), "%llu MiB free, %llu are wanted",
		    (unsigned long long)q->space_free >> 20,
		    (unsigned long long)need >> 20);
		decide(q, &q->low, true, why);
	} else if (!q->low && segs_count(q->segs) > 0 &&
	    !segs_spare_ready(q->segs) && !segs_fit(q->segs,
	    q->params.seg_size / 4) && !segs_spare_step(q->segs) &&
	    !segs_spare_ready(q->segs))
		decide(q, &q->low, true, "no room for the next segment");
	else if (q->low && q->space_free > need + need / 16 +
	    q->params.seg_slice && (segs_spare_ready(q->segs) ||
	    segs_fit(q->segs, q->params.seg_size / 4)))
		decide(q, &q->low, false, "");
}
