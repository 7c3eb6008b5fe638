/*
 * Segment files: the chain, the spare, reading and appending. What is written
 * into them is record.c's, when is commit.c's.
 */
#include "queued/segment.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/enc.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/bytes.h"
#include "queued/diskio.h"
#include "queued/record.h"

#define HEAD_MAGIC	0x47535150	/* "PQSG" */
#define MARK_MAGIC	0x4b4d5150	/* "PQMK" */
#define HEAD_VERSION	1
#define HEAD_LEN	52		/* with its checksum */
#define MARK_AT		512
#define MARK_LEN	24
#define READ_FDS	32		/* segments held open for reading */
#define SPARE		"spare"

struct seg {
	uint64_t	 number, prev_end, size, stamp;
	int		 fd;		/* -1: closed */
	uint64_t	 used;		/* for choosing what to close */
};

struct segs {
	struct seg	*v;		/* by number */
	size_t		 n, cap;
	uint64_t	 size, slice;
	uint64_t	 tail, synced;	/* in the newest */
	uint64_t	 closed_at;
	uint64_t	 tick;
	uint64_t	 spare_len;	/* zeros written so far */
	bool		 spare_ready;
	unsigned	 damage;
	const char	*why;
};

static char *
seg_name(uint64_t number, char *dst, size_t size)
{
	snprintf(dst, size, "seg.%016llx", (unsigned long long)number);
	return dst;
}

static struct seg *
seg_find(const struct segs *s, uint64_t number)
{
	for (size_t i = s->n; i-- > 0;)
		if (s->v[i].number == number)
			return &s->v[i];
	return NULL;
}

static void
seg_add(struct segs *s, const struct seg *g)
{
	struct seg	*v;
	size_t		 i;

	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		if ((v = reallocarray(s->v, s->cap, sizeof(*v))) == NULL)
			fatal("segments");
		s->v = v;
	}
	for (i = s->n++; i > 0 && s->v[i - 1].number > g->number; i--)
		s->v[i] = s->v[i - 1];
	s->v[i] = *g;
}

static bool
head_parse(struct segs *s, struct span in, struct seg *g)
{
	struct cur	 c = { in, false };
	uint32_t	 magic, version;
	uint64_t	 number;

	magic = cur_u32(&c);
	version = cur_u32(&c);
	number = cur_u64(&c);
	g->prev_end = cur_u64(&c);
	g->size = cur_u64(&c);
	cur_u64(&c);			/* oldest, for people with a dump */
	g->stamp = cur_u64(&c);
	if (magic != HEAD_MAGIC || cur_u32(&c) !=
	    enc_crc32c(0, span(in.p, HEAD_LEN - 4)))
		return false;
	if (version != HEAD_VERSION)
		s->why = "a segment has a format that this version does not "
		    "know";
	return number == g->number;
}

static uint64_t
mark_parse(struct span in, uint64_t number)
{
	struct cur	 c = { in, false };
	uint32_t	 magic = cur_u32(&c), crc;
	uint64_t	 n, end;

	n = cur_u64(&c);
	end = cur_u64(&c);
	crc = cur_u32(&c);
	if (magic != MARK_MAGIC || n != number ||
	    crc != enc_crc32c(0, span(in.p, MARK_LEN - 4)))
		return 0;
	return end;
}

static void
seg_seen(const char *name, void *arg)
{
	struct segs	*s = arg;
	struct seg	 g = { .fd = -1 };
	uint8_t		 head[1024] = { 0 };
	unsigned long long n;
	char		 check[32];
	ssize_t		 len = -1;
	int		 fd;

	if (sscanf(name, "seg.%16llx", &n) != 1 ||
	    strcmp(seg_name(n, check, sizeof(check)), name) != 0 || n == 0)
		return;
	g.number = n;
	if ((fd = dio_open(name, O_RDONLY)) == -1) {
		/* Nothing is known of it, so nothing may be made of it. */
		log_warn("event=fault op=open file=%s", name);
		s->why = "a segment can't be opened";
		return;
	}
	len = dio_pread(fd, head, sizeof(head), 0);
	dio_close(fd);
	if (len != sizeof(head) ||
	    !head_parse(s, span(head, HEAD_LEN), &g)) {
		log_warnx("event=damage file=%s why=\"header of the segment\"",
		    name);
		s->damage++;
		g.prev_end = SEG_END_UNKNOWN;
		g.size = s->size;
		g.stamp = 0;
	}
	if (n >= segs_newest(s))
		s->closed_at = mark_parse(span(head + MARK_AT, MARK_LEN), n);
	seg_add(s, &g);
}

struct segs *
segs_open(uint64_t size, uint64_t slice, const char **why)
{
	struct segs	*s;
	struct stat	 st;

	*why = "out of memory";
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->size = size;
	s->slice = slice;
	dio_each(seg_seen, s);
	if (s->why != NULL) {
		*why = s->why;
		segs_close(s, false);
		return NULL;
	}
	for (size_t i = 1; i < s->n; i++)
		if (s->v[i].number != s->v[i - 1].number + 1) {
			log_warnx("event=damage why=\"segments between %llx "
			    "and %llx are missing\"",
			    (unsigned long long)s->v[i - 1].number,
			    (unsigned long long)s->v[i].number);
			s->damage++;
		}
	/* A spare of another size is of no use. Zeros known by its length
	 * alone are synced once more when it is done. */
	if (stat(SPARE, &st) == 0) {
		if ((uint64_t)st.st_size > size)
			dio_unlink(SPARE);
		else
			s->spare_len = (uint64_t)st.st_size / slice * slice;
	}
	return s;
}

static int
seg_fd(struct segs *s, struct seg *g)
{
	struct seg	*old = NULL;
	char		 name[32];
	unsigned	 open = 0;

	g->used = ++s->tick;
	if (g->fd != -1)
		return g->fd;
	for (size_t i = 0; i + 1 < s->n; i++)
		if (s->v[i].fd != -1) {
			open++;
			if (old == NULL || s->v[i].used < old->used)
				old = &s->v[i];
		}
	if (open >= READ_FDS) {
		dio_close(old->fd);
		old->fd = -1;
	}
	seg_name(g->number, name, sizeof(name));
	return g->fd = dio_open(name, O_RDWR);
}

void
segs_mark(uint8_t *block, uint64_t number, uint64_t tail)
{
	uint8_t		*p = block + MARK_AT;
	struct buf	 b;

	buf_init(&b, MARK_LEN);
	put_u32(&b, MARK_MAGIC);
	put_u64(&b, number);
	put_u64(&b, tail);
	if (b.failed)
		fatal("segment");
	memcpy(p, buf_content(&b).p, MARK_LEN - 4);
	put_u32(&b, enc_crc32c(0, span(p, MARK_LEN - 4)));
	memcpy(p, buf_content(&b).p, MARK_LEN);
	buf_clear(&b);
}

void
segs_close(struct segs *s, bool clean)
{
	uint8_t		 block[SEG_FIRST];
	struct seg	*g;

	if (s == NULL)
		return;
	if (clean && s->n > 0 && s->tail != 0 && s->tail == s->synced) {
		g = &s->v[s->n - 1];
		segs_mark(block, g->number, s->tail);
		if (dio_pwrite(seg_fd(s, g), block + MARK_AT, MARK_LEN,
		    MARK_AT) == 0)
			dio_sync(g->fd);
	}
	for (size_t i = 0; i < s->n; i++)
		dio_close(s->v[i].fd);
	free(s->v);
	free(s);
}

unsigned
segs_damage(const struct segs *s)
{
	return s->damage;
}

size_t
segs_count(const struct segs *s)
{
	return s->n;
}

uint64_t
segs_oldest(const struct segs *s)
{
	return s->n ? s->v[0].number : 0;
}

uint64_t
segs_newest(const struct segs *s)
{
	return s->n ? s->v[s->n - 1].number : 0;
}

uint64_t
segs_after(const struct segs *s, uint64_t number)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].number > number)
			return s->v[i].number;
	return 0;
}

bool
segs_have(const struct segs *s, uint64_t number)
{
	return seg_find(s, number) != NULL;
}

uint64_t
segs_size(const struct segs *s, uint64_t number)
{
	const struct seg *g = seg_find(s, number);

	return g == NULL ? 0 : g->size;
}

uint64_t
segs_end(const struct segs *s, uint64_t number)
{
	const struct seg *g = seg_find(s, number + 1);

	return g == NULL ? SEG_END_UNKNOWN : g->prev_end;
}

uint64_t
segs_stamp(const struct segs *s, uint64_t number)
{
	const struct seg *g = seg_find(s, number);

	return g == NULL ? 0 : g->stamp;
}

uint64_t
segs_closed_at(const struct segs *s)
{
	return s->closed_at;
}

ssize_t
segs_read(struct segs *s, uint64_t number, void *p, size_t len, uint64_t off)
{
	struct seg	*g = seg_find(s, number);
	int		 fd;

	if (g == NULL) {
		errno = ENOENT;
		return -1;
	}
	if ((fd = seg_fd(s, g)) == -1)
		return -1;
	return dio_pread(fd, p, len, (off_t)off);
}

void
segs_resume(struct segs *s, uint64_t tail)
{
	s->tail = s->synced = tail;
	if (seg_fd(s, &s->v[s->n - 1]) == -1)
		dio_stop("open", "the newest segment", errno);
}

static bool
head_write(struct segs *s, int fd, const struct seg *g)
{
	uint8_t		 block[SEG_FIRST] = { 0 };
	struct buf	 b;
	struct span	 head;
	bool		 ok;

	buf_init(&b, HEAD_LEN);
	put_u32(&b, HEAD_MAGIC);
	put_u32(&b, HEAD_VERSION);
	put_u64(&b, g->number);
	put_u64(&b, g->prev_end);
	put_u64(&b, g->size);
	put_u64(&b, segs_oldest(s) ? segs_oldest(s) : g->number);
	put_u64(&b, g->stamp);
	put_u32(&b, enc_crc32c(0, buf_content(&b)));
	head = buf_content(&b);
	if (head.p == NULL || head.len != HEAD_LEN)
		fatal("segment");
	memcpy(block, head.p, HEAD_LEN);
	buf_clear(&b);
	ok = dio_pwrite(fd, block, sizeof(block), 0) == 0;
	return ok;
}

static void
stamp_all(uint8_t *p, size_t len, uint64_t stamp, uint64_t synced)
{
	size_t	 n;

	for (; len > 0; p += n, len -= n) {
		rec_stamp(p, stamp, synced);
		n = rec_total(p);
	}
}

void
segs_stamp_all(const struct segs *s, void *p, size_t len)
{
	stamp_all(p, len, s->v[s->n - 1].stamp, s->synced);
}

int
segs_next(struct segs *s, uint64_t prev_end, void *p, size_t len)
{
	struct seg	 g = { .number = segs_newest(s) + 1, .size = s->size,
			    .prev_end = prev_end, .stamp = rand_u64() | 1 };
	char		 name[32];

	/* The end of one that was larger may be longer than one is now. */
	if (g.size < SEG_FIRST + len)
		g.size = SEG_FIRST + len;
	while (!s->spare_ready)
		if (!segs_spare_step(s) && !s->spare_ready)
			return -1;
	if ((g.fd = dio_open(SPARE, O_RDWR)) == -1)
		dio_stop("open", SPARE, errno);
	stamp_all(p, len, g.stamp, SEG_FIRST);
	if (!head_write(s, g.fd, &g) ||
	    (len > 0 && dio_pwrite(g.fd, p, len, SEG_FIRST) == -1)) {
		dio_close(g.fd);
		return -1;
	}
	dio_sync(g.fd);
	dio_rename(SPARE, seg_name(g.number, name, sizeof(name)));
	dio_sync_dir();
	seg_add(s, &g);
	s->v[s->n - 1].used = ++s->tick;
	s->spare_ready = false;
	s->spare_len = 0;
	s->closed_at = 0;
	s->tail = s->synced = SEG_FIRST + len;
	return 0;
}

uint64_t
segs_tail(const struct segs *s)
{
	return s->tail;
}

uint64_t
segs_synced(const struct segs *s)
{
	return s->synced;
}

bool
segs_fit(const struct segs *s, size_t len)
{
	return s->n > 0 && s->tail + len <= s->v[s->n - 1].size;
}

int
segs_append(struct segs *s, const void *p, size_t len)
{
	if (dio_pwrite(s->v[s->n - 1].fd, p, len, (off_t)s->tail) == -1)
		return -1;
	s->tail += len;
	return 0;
}

void
segs_sync(struct segs *s)
{
	if (s->synced == s->tail)
		return;
	dio_sync(s->v[s->n - 1].fd);
	s->synced = s->tail;
}

bool
segs_spare_step(struct segs *s)
{
	uint8_t	*zeros;
	size_t	 n;
	int	 fd, st;

	if (s->spare_ready)
		return false;
	n = s->slice;
	if (s->spare_len + n > s->size)
		n = s->size - s->spare_len;
	if ((fd = dio_open(SPARE, O_RDWR | O_CREAT)) == -1)
		return false;
	st = 0;
	if (n > 0) {
		if ((zeros = calloc(1, n)) == NULL)
			fatal("spare");
		st = dio_pwrite(fd, zeros, n, (off_t)s->spare_len);
		free(zeros);
	}
	if (st == 0) {
		s->spare_len += n;
		dio_sync(fd);
		s->spare_ready = s->spare_len == s->size;
	}
	dio_close(fd);
	return st == 0 && !s->spare_ready;
}

bool
segs_spare_ready(const struct segs *s)
{
	return s->spare_ready;
}

void
segs_drop_oldest(struct segs *s)
{
	struct seg	 g = s->v[0];
	char		 name[32];

	seg_name(g.number, name, sizeof(name));
	dio_close(g.fd);
	if (!s->spare_ready && g.size == s->size) {
		/* Its blocks are allocated: better than any new one. */
		dio_rename(name, SPARE);
		s->spare_ready = true;
		s->spare_len = s->size;
	} else
		dio_unlink(name);
	dio_sync_dir();
	memmove(s->v, s->v + 1, --s->n * sizeof(*s->v));
}
