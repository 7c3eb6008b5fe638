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

void
space_check(struct queue *q, bool now)
{
	struct statvfs	 vfs;
	char		 why[100];
	int64_t		 t = clock_mono().ms;
	uint64_t	 need = wanted(q);

	if (q->down || (!now && t - q->space_checked_ms < CHECK_MS &&
	    t >= q->space_checked_ms && q->space_checked_ms != 0))
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
	if (!q->closed && q->space_free < need) {
		snprintf(why, sizeof(why), "%llu MiB free, %llu are wanted",
		    (unsigned long long)q->space_free >> 20,
		    (unsigned long long)need >> 20);
		queue_closed(q, true, why);
	} else if (!q->closed && segs_count(q->segs) > 0 &&
	    !segs_spare_ready(q->segs) && !segs_fit(q->segs,
	    q->params.seg_size / 4) && !segs_spare_step(q->segs) &&
	    !segs_spare_ready(q->segs))
		queue_closed(q, true, "no room for the next segment");
	else if (q->closed && q->space_free > need + need / 16 +
	    q->params.seg_slice && (segs_spare_ready(q->segs) ||
	    segs_fit(q->segs, q->params.seg_size / 4)))
		queue_closed(q, false, "");
}
