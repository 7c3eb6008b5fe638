/*
 * queued's chain of segment files: making the next one, appending, reading
 * after a reopening, what is said of files that are damaged, missing, planted
 * or of another version, and which file is dropped.
 */
#include <sys/stat.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/enc.h"
#include "queued/diskio.h"
#include "queued/record.h"
#include "queued/segment.h"
#include "regress/lib/queuehelp.h"

#define SIZE	(64 << 10)
#define SLICE	(16 << 10)

static const char	*path;
static struct buf	 b;

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	dio_hook(NULL);
	buf_clear(&b);
	help_dir_remove(path);
	return 0;
}

static struct segs *
reopen(const char *want)
{
	const char	*why = "";
	struct segs	*s = segs_open(SIZE, SLICE, &why);

	if (want == NULL)
		assert_non_null(s);
	else {
		assert_null(s);
		assert_string_equal(why, want);
	}
	return s;
}

/* A record of 1 KiB in b. */
static void
record(uint64_t id)
{
	static uint8_t	 content[1024 - REC_HEAD];
	struct rec	 r = { .kind = REC_CHANGE, .id = id,
			    .content = span(content, sizeof(content)) };

	buf_init(&b, 1 << 20);
	buf_reset(&b);
	assert_true(rec_encode(&b, &r));
}

static void
append(struct segs *s, uint64_t id)
{
	buf_clear(&b);
	record(id);
	segs_stamp_all(s, b.p, buf_len(&b));
	assert_int_equal(segs_append(s, b.p, buf_len(&b)), 0);
}

static uint64_t
id_at(struct segs *s, uint64_t number, uint64_t off)
{
	uint8_t		 p[1024];
	struct rec	 r;
	size_t		 need;
	const char	*why;

	assert_int_equal(segs_read(s, number, p, sizeof(p), off), 1024);
	assert_int_equal(rec_decode(span(p, sizeof(p)), &r, &need, &why),
	    PARSE_OK);
	assert_true(r.stamp == segs_stamp(s, number));
	return r.id;
}

static void
test_chain(void **state)
{
	struct segs	*s = reopen(NULL);

	(void)state;
	assert_int_equal(segs_count(s), 0);
	assert_int_equal(segs_newest(s), 0);
	assert_false(segs_fit(s, 1));
	assert_int_equal(segs_next(s, 0, NULL, 0), 0);
	assert_int_equal(segs_newest(s), 1);
	assert_int_equal(segs_tail(s), SEG_FIRST);
	while (segs_fit(s, 1024))
		append(s, segs_tail(s));
	assert_true(segs_tail(s) == SIZE);
	assert_true(segs_synced(s) == SEG_FIRST);
	segs_sync(s);
	assert_true(segs_synced(s) == SIZE);
	/* Its first records come with the segment. */
	buf_clear(&b);
	record(77);
	assert_int_equal(segs_next(s, segs_tail(s), b.p, buf_len(&b)), 0);
	assert_true(segs_newest(s) == 2 && segs_end(s, 1) == SIZE &&
	    segs_end(s, 2) == SEG_END_UNKNOWN && segs_after(s, 1) == 2 &&
	    segs_after(s, 2) == 0);
	assert_true(segs_tail(s) == SEG_FIRST + 1024 &&
	    segs_synced(s) == segs_tail(s));
	assert_true(segs_stamp(s, 1) != segs_stamp(s, 2));
	segs_close(s, false);
	s = reopen(NULL);
	assert_true(segs_count(s) == 2 && segs_oldest(s) == 1 &&
	    segs_damage(s) == 0 && segs_closed_at(s) == 0);
	assert_true(id_at(s, 1, SEG_FIRST) == SEG_FIRST);
	assert_true(id_at(s, 1, SIZE - 1024) == SIZE - 1024);
	assert_true(id_at(s, 2, SEG_FIRST) == 77);
	assert_int_equal(segs_read(s, 3, &s, 1, 0), -1);
	segs_close(s, false);
}

static void
test_orderly_end(void **state)
{
	struct segs	*s = reopen(NULL);

	(void)state;
	segs_next(s, 0, NULL, 0);
	append(s, 1);
	segs_sync(s);
	segs_close(s, true);
	s = reopen(NULL);
	assert_int_equal(segs_closed_at(s), SEG_FIRST + 1024);
	segs_resume(s, segs_closed_at(s));
	append(s, 2);			/* not synced: no mark of an end */
	segs_close(s, true);
	s = reopen(NULL);
	assert_int_equal(segs_closed_at(s), SEG_FIRST + 1024);
	segs_resume(s, SEG_FIRST + 1024);
	assert_int_equal(segs_next(s, segs_tail(s), NULL, 0), 0);
	assert_int_equal(segs_closed_at(s), 0);
	segs_close(s, false);
	s = reopen(NULL);
	assert_int_equal(segs_closed_at(s), 0);	/* the older one's is past */
	segs_close(s, false);
}

static void
test_recycle(void **state)
{
	struct segs	*s = reopen(NULL);
	struct stat	 st, again;

	(void)state;
	segs_next(s, 0, NULL, 0);
	append(s, 1);
	segs_sync(s);
	assert_int_equal(segs_next(s, segs_tail(s), NULL, 0), 0);
	assert_int_equal(stat("seg.0000000000000001", &st), 0);
	segs_drop_oldest(s);
	assert_true(segs_oldest(s) == 2 && segs_spare_ready(s));
	assert_int_equal(stat("spare", &again), 0);
	assert_true(st.st_ino == again.st_ino && again.st_size == SIZE);
	/* Used again: what an earlier life left is no record of this one. */
	append(s, 2);
	segs_sync(s);
	assert_int_equal(segs_next(s, segs_tail(s), NULL, 0), 0);
	assert_int_equal(stat("seg.0000000000000003", &again), 0);
	assert_true(st.st_ino == again.st_ino);
	segs_close(s, false);
	s = reopen(NULL);
	assert_true(segs_count(s) == 2 && segs_oldest(s) == 2);
	segs_drop_oldest(s);
	assert_int_equal(segs_count(s), 1);
	segs_close(s, false);
}

static void
test_spare_in_slices(void **state)
{
	struct segs	*s = reopen(NULL);
	struct stat	 st;
	int		 n = 1;

	(void)state;
	assert_true(segs_spare_step(s));
	stat("spare", &st);
	assert_int_equal(st.st_size, SLICE);
	segs_close(s, false);
	s = reopen(NULL);		/* goes on where it was */
	while (segs_spare_step(s))
		n++;
	assert_int_equal(n + 1, SIZE / SLICE);
	assert_true(segs_spare_ready(s));
	assert_false(segs_spare_step(s));
	segs_close(s, false);
}

/* Writes over n bytes of a file. */
static void
scribble(const char *name, off_t off, const void *p, size_t n)
{
	int	 fd = open(name, O_RDWR);

	assert_true(fd != -1);
	assert_int_equal(pwrite(fd, p, n, off), (ssize_t)n);
	close(fd);
}

static void
test_versions(void **state)
{
	struct segs	*s = reopen(NULL);
	uint8_t		 head[52];
	uint32_t	 v = htole32(2), crc;
	int		 fd;

	(void)state;
	segs_next(s, 0, NULL, 0);
	segs_close(s, false);
	fd = open("seg.0000000000000001", O_RDONLY);
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	close(fd);
	memcpy(head + 4, &v, 4);
	crc = htole32(enc_crc32c(0, span(head, 48)));
	memcpy(head + 48, &crc, 4);
	scribble("seg.0000000000000001", 0, head, sizeof(head));
	reopen("a segment has a format that this version does not know");
}

static void
test_damage(void **state)
{
	struct segs	*s = reopen(NULL);

	(void)state;
	for (int i = 0; i < 4; i++) {
		segs_next(s, i == 0 ? 0 : segs_tail(s), NULL, 0);
		append(s, (uint64_t)i);
		segs_sync(s);
	}
	segs_close(s, false);
	scribble("seg.0000000000000002", 9, "x", 1);
	s = reopen(NULL);		/* its records are still read */
	assert_int_equal(segs_damage(s), 1);
	assert_true(segs_stamp(s, 2) == 0 && segs_size(s, 2) == SIZE &&
	    segs_end(s, 1) == SEG_END_UNKNOWN &&
	    segs_end(s, 2) == SEG_FIRST + 1024);
	segs_close(s, false);
	assert_int_equal(unlink("seg.0000000000000002"), 0);
	s = reopen(NULL);		/* a hole is no end */
	assert_int_equal(segs_damage(s), 1);
	assert_true(segs_count(s) == 3 && segs_after(s, 1) == 3);
	segs_close(s, false);
	assert_int_equal(truncate("seg.0000000000000003", 100), 0);
	s = reopen(NULL);
	assert_int_equal(segs_damage(s), 2);
	segs_close(s, false);
}

static void
test_other_files(void **state)
{
	struct segs	*s;
	int		 fd;

	(void)state;
	/* Names that are not quite ours are nobody's. */
	fd = open("seg.1", O_RDWR | O_CREAT, 0600);
	close(fd);
	fd = open("seg.0000000000000000", O_RDWR | O_CREAT, 0600);
	close(fd);
	fd = open("seg.000000000000000G", O_RDWR | O_CREAT, 0600);
	close(fd);
	s = reopen(NULL);
	assert_true(segs_count(s) == 0 && segs_damage(s) == 0);
	segs_close(s, false);
	/* A link is not followed, and not taken for damage either. */
	assert_int_equal(symlink("/etc/passwd", "seg.0000000000000001"), 0);
	reopen("a segment can't be opened");
}

static int
full(const struct dio_event *e, void *arg)
{
	unsigned	*left = arg;

	return e->op == DIO_WRITE && (*left)-- == 0 ? ENOSPC : 0;
}

/* No room: nothing has changed, and it goes on when there is some. */
static void
test_full(void **state)
{
	unsigned	 left = 2;
	struct dio_hook	 h = { .inject = full, .arg = &left };
	struct segs	*s = reopen(NULL);

	(void)state;
	dio_hook(&h);
	assert_int_equal(segs_next(s, 0, NULL, 0), -1);
	assert_int_equal(segs_count(s), 0);
	left = UINT32_MAX;
	assert_int_equal(segs_next(s, 0, NULL, 0), 0);
	append(s, 1);
	segs_close(s, false);
}

static void
test_append_full(void **state)
{
	unsigned	 left = 0;
	struct dio_hook	 h = { .inject = full, .arg = &left };
	struct segs	*s = reopen(NULL);

	(void)state;
	segs_next(s, 0, NULL, 0);
	record(1);
	segs_stamp_all(s, b.p, buf_len(&b));
	dio_hook(&h);
	assert_int_equal(segs_append(s, b.p, buf_len(&b)), -1);
	assert_int_equal(segs_tail(s), SEG_FIRST);
	dio_hook(NULL);
	segs_close(s, false);
}

/* What was copied out of a segment of another size finds room. */
static void
test_larger_than_size(void **state)
{
	struct segs	*s = reopen(NULL);
	struct buf	 big;
	struct rec	 r = { .kind = REC_CHANGE };

	(void)state;
	segs_next(s, 0, NULL, 0);
	buf_init(&big, 1 << 20);
	for (r.id = 0; r.id < 2000; r.id++)
		assert_true(rec_encode(&big, &r));
	assert_int_equal(segs_next(s, SEG_FIRST, big.p, buf_len(&big)), 0);
	assert_true(segs_size(s, 2) >= segs_tail(s));
	assert_false(segs_fit(s, 64));
	buf_clear(&big);
	segs_next(s, segs_tail(s), NULL, 0);
	segs_drop_oldest(s);
	segs_drop_oldest(s);
	segs_close(s, false);
	s = reopen(NULL);
	assert_true(segs_count(s) == 1 && segs_size(s, 3) == SIZE);
	segs_close(s, false);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_chain), T(test_orderly_end), T(test_recycle),
		T(test_spare_in_slices), T(test_versions), T(test_damage),
		T(test_other_files), T(test_full), T(test_append_full),
		T(test_larger_than_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
