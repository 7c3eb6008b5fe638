/*
 * The verb backup: the queue as it is at one moment, file by file, while mail
 * flows. That moment is a place in the journal: the segments up to it, the
 * newest of them with the mark of an orderly end there, and the bodies that
 * exist then; a pin keeps them. The index follows from these and is left out.
 *
 * The answer: a row "backup", then for each file a row "file" (name; bytes that
 * follow as data; size, with zeros behind those), in the end a row "end".
 */
#include "queued/ctl_i.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "queued/diskio.h"

#define PIECE	60000	/* bytes read in one go */

struct backup {
	struct queue	*q;
	struct pin	 pin;
	uint32_t	 uid;
	uint64_t	 newest, tail;	/* the moment */
	int64_t		 began_ms;
	bool		 done;
	/* The file at hand: a segment, or a body by its descriptor. */
	uint64_t	 segment;	/* 0: none left */
	int		 fd;
	uint64_t	 off, end;
	bool		 told;		/* its row is out */
	uint64_t	*bodies;
	size_t		 nbodies, cap, at;
	uint64_t	 files, bytes;
	uint8_t		 piece[PIECE];
};

static void
backup_gone(void *arg)
{
	struct backup	*b = arg;

	log_info("event=backup uid=%u files=%llu bytes=%llu result=%s "
	    "seconds=%lld", b->uid, (unsigned long long)b->files,
	    (unsigned long long)b->bytes, b->done ? "done" : "stopped",
	    (long long)(clock_mono().ms - b->began_ms) / 1000);
	pin_clear(b->q, &b->pin);
	dio_close(b->fd);
	free(b->bodies);
	free(b);
}

static void
body_seen(const char *name, void *arg)
{
	struct backup	*b = arg;
	uint64_t	 id, *v;

	if (!body_name(name, &id))
		return;
	if (b->nbodies == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		if ((v = reallocarray(b->bodies, b->cap, sizeof(*v))) == NULL)
			fatal("backup");
		b->bodies = v;
	}
	b->bodies[b->nbodies++] = id;
}

static void
file_row(struct ctl *c, struct backup *b, const char *name, uint64_t bytes,
    uint64_t size)
{
	ctl_row(c, "file");
	ctl_str(c, "name", name);
	ctl_num(c, "bytes", (int64_t)bytes);
	ctl_num(c, "size", (int64_t)size);
	ctl_row_end(c);
	b->told = true;
	b->off = 0;
	b->end = bytes;
	b->files++;
	b->bytes += bytes;
}

/* A piece of the segment at hand; then it is the next one's turn. */
static bool
segment_more(struct ctl *c, struct backup *b)
{
	struct segs	*s = b->q->segs;
	char		 name[32];
	uint64_t	 size = segs_size(s, b->segment), end;
	size_t		 len;

	if (!b->told) {
		end = b->segment == b->newest ? b->tail :
		    segs_end(s, b->segment);
		snprintf(name, sizeof(name), "seg.%016llx",
		    (unsigned long long)b->segment);
		file_row(c, b, name, end < size ? end : size, size);
	}
	len = b->end - b->off < PIECE ? (size_t)(b->end - b->off) : PIECE;
	if (segs_read(s, b->segment, b->piece, len, b->off) != (ssize_t)len)
		return false;
	if (b->off == 0 && b->segment == b->newest && len >= SEG_FIRST)
		segs_mark(b->piece, b->segment, b->tail);
	ctl_data(c, span(b->piece, len));
	if ((b->off += len) < b->end)
		return true;
	b->told = false;
	b->pin.segment = b->segment + 1;	/* this one may go */
	b->segment = b->segment == b->newest ? 0 :
	    segs_after(s, b->segment);
	return true;
}

/* The same for a body. One that is not there was of a transaction that came to
 * nothing, unless its message is known. */
static bool
body_more(struct ctl *c, struct backup *b)
{
	uint64_t	 id = b->bodies[b->at];
	struct store_msg m;
	char		 name[32];
	off_t		 size;
	size_t		 len;

	if (!b->told) {
		b->fd = body_open(id, false);
		if (b->fd == -1 || (size = dio_size(b->fd)) == -1) {
			b->at++;
			return !store_msg_get(b->q->store, id, &m);
		}
		snprintf(name, sizeof(name), "body.%016llx",
		    (unsigned long long)id);
		file_row(c, b, name, (uint64_t)size, (uint64_t)size);
	}
	len = b->end - b->off < PIECE ? (size_t)(b->end - b->off) : PIECE;
	if (dio_pread(b->fd, b->piece, len, (off_t)b->off) != (ssize_t)len)
		return false;
	ctl_data(c, span(b->piece, len));
	if ((b->off += len) < b->end)
		return true;
	dio_close(b->fd);
	b->fd = -1;
	b->told = false;
	b->at++;
	return true;
}

static void
backup_more(struct ctl *c, void *arg)
{
	struct backup	*b = arg;

	/* What it keeps may be what the disk lacks. */
	if (b->q->low) {
		ctl_end(c, EX_TEMPFAIL, b->q->closed_why);
		return;
	}
	if (b->segment != 0 ? !segment_more(c, b) :
	    b->at < b->nbodies && !body_more(c, b)) {
		ctl_end(c, EX_IOERR, "a file of the queue can't be read; see "
		    "verify");
		return;
	}
	if (b->segment != 0 || b->at < b->nbodies)
		return;
	b->done = true;
	ctl_row(c, "end");
	ctl_num(c, "files", (int64_t)b->files);
	ctl_num(c, "bytes", (int64_t)b->bytes);
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}

void
verb_backup(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = verb_queue(c);
	struct backup	*b;

	(void)argv;
	if (q == NULL)
		return;
	if (argc != 0) {
		ctl_end(c, EX_USAGE, "no word may follow");
		return;
	}
	if (q->body_pins > 0) {
		ctl_end(c, EX_TEMPFAIL, "a backup runs already");
		return;
	}
	if ((b = calloc(1, sizeof(*b))) == NULL) {
		ctl_end(c, EX_OSERR, "out of memory");
		return;
	}
	queue_flush(q);
	*b = (struct backup){ .q = q, .uid = ctl_uid(c), .fd = -1,
	    .newest = segs_newest(q->segs), .tail = segs_tail(q->segs),
	    .segment = segs_oldest(q->segs), .began_ms = clock_mono().ms };
	pin_set(q, &b->pin, b->segment, true);
	dio_each(body_seen, b);
	ctl_row(c, "backup");
	ctl_num(c, "messages", (int64_t)q->messages);
	ctl_num(c, "segments", (int64_t)segs_count(q->segs));
	ctl_num(c, "taken_ms", clock_wall().ms);
	ctl_row_end(c);
	ctl_more(c, backup_more, backup_gone, b);
}
