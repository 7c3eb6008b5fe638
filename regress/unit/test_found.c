/*
 * What queued may find on the disk when it starts: an orderly end, torn and
 * foreign bytes, damage, a later version, no index.
 */
#include "regress/lib/lives.h"

static void
orderly(void)
{
	send_one(1);
	help_close(&sh->h);
}

static void
resumed(void)
{
	CHECK(segs_count(sh->h.q->segs) == 1);
	CHECK(sh->h.q->messages == 1);
	settle();
	help_close(&sh->h);
}

static void
test_orderly(void **state)
{
	(void)state;
	life(orderly);
	life(resumed);
	assert_int_equal(sh->nseen, 1);
}

static char	seg[32] = "seg.0000000000000001";

static off_t
find_record(uint64_t id)
{
	static uint8_t	 p[256 << 10];
	int		 fd = open(seg, O_RDONLY);
	ssize_t		 n = pread(fd, p, sizeof(p), 0);
	struct rec	 r;
	size_t		 need;
	const char	*why;

	close(fd);
	for (off_t off = SEG_FIRST; off < n; off += REC_ALIGN)
		if (rec_decode(span(p + off, (size_t)(n - off)), &r, &need,
		    &why) == PARSE_OK && r.id == id && r.kind == REC_MESSAGE)
			return off;
	return 0;
}

static void
scribble(const char *name, off_t off, const void *p, size_t n)
{
	int	 fd = open(name, O_RDWR);

	assert_int_equal(pwrite(fd, p, n, off), (ssize_t)n);
	close(fd);
}

static void
five(void)
{
	for (uint64_t id = 1; id <= 5; id++)
		send_one(id);
	queue_flush(sh->h.q);
}

static void
nothing_then_one(void)
{
	CHECK(sh->h.q->messages == 0);
	help_send(&sh->h, 100, "a@example.org", "b@x.example c@x.example",
	    999);
	queue_flush(sh->h.q);
}

static void
one_hundred(void)
{
	CHECK(sh->h.q->messages == 1 && queue_has(sh->h.q, 100) &&
	    !queue_has(sh->h.q, 2));
	settle();
}

static void
just_open(void)
{
	help_close(&sh->h);
}

/* A batch of which the first record is torn is nothing, and what follows of it
 * does not come back when its place is written again. */
static void
test_torn_batch(void **state)
{
	off_t	 off;

	(void)state;
	life(just_open);
	life(five);
	assert_true((off = find_record(1)) > 0);
	scribble(seg, off + 20, "torn", 4);
	/* The index has not seen it either. */
	assert_int_equal(system("rm -f log.* *.db"), 0);
	life(nothing_then_one);
	life(one_hundred);
	assert_true(sh->nseen == 1 && sh->seen[0].id == 100);
}

/* A message that holds the bytes of a record, of this or a later version, is
 * content and nothing else, also where the tail is searched. */
static void
record_inside(void)
{
	static uint8_t	 p[4096];
	struct rec_msg	 m = { .from = span_str("a@b.example") };
	struct rec_rcpt	 r = { .to = span_str("c@d.example"),
			    .action = span_str("relay") };
	struct rec	 in = { .kind = REC_MESSAGE, .id = 66 };
	struct txn	*t;
	struct buf	 b;
	size_t		 n = 0;

	buf_init(&b, 4096);
	rec_encode(&b, &in);
	for (size_t i = 0; i + 64 < sizeof(p); i += 4) {
		/* Wherever it comes to lie, one is aligned; of two versions. */
		if (i % 64)
			continue;
		b.p[4] = i % 128 ? REC_VERSION : REC_VERSION + 1;
		rec_stamp(b.p, 1, 0);
		memcpy(p + n, b.p, 64);
		n += 64;
	}
	buf_clear(&b);
	for (int shift = 0; shift < 64; shift += 4) {
		t = txn_begin(sh->h.q, &sh->h, 1, 10 + (uint64_t)shift, &m);
		txn_rcpt(t, &r);
		txn_commit(t, span(p, (size_t)shift), span(p, n), n);
	}
	queue_flush(sh->h.q);
}

static void
is_empty(void)
{
	CHECK(sh->h.q->messages == 0);
}

static void
test_record_inside(void **state)
{
	off_t	 off;

	(void)state;
	life(just_open);
	life(record_inside);
	assert_true((off = find_record(10)) > 0);
	scribble(seg, off + 20, "torn", 4);
	assert_int_equal(system("rm -f log.* *.db"), 0);
	life(is_empty);
}

/* The header of the newest segment is lost, and its file had an earlier life
 * with other messages, which must stay dead. */
static void
two_lives(void)
{
	struct segs	*s = sh->h.q->segs;
	static uint8_t	 p[8192];
	ssize_t		 n;

	for (uint64_t id = 201; id <= 205; id++)
		send_one(id);
	queue_flush(sh->h.q);
	/* As if it had been dropped and used again. */
	n = segs_read(s, 1, p, sizeof(p), SEG_FIRST);
	CHECK(n == sizeof(p));
	for (uint64_t id = 201; id <= 205; id++)
		help_change(&sh->h, id, CHANGE_REMOVE, false);
	queue_flush(sh->h.q);
	while (segs_newest(s) == 1) {
		send_one(300 + sh->h.nresults);
		queue_flush(sh->h.q);
	}
	scribble("seg.0000000000000002", 40960, p, sizeof(p));
}

static void
old_are_dead(void)
{
	for (uint64_t id = 201; id <= 205; id++)
		CHECK(!store_msg_get(sh->h.q->store, id,
		    &(struct store_msg){ 0 }));
	CHECK(segs_newest(sh->h.q->segs) > 2);
	CHECK(sh->h.q->messages > 50);
}

static void
test_header_lost(void **state)
{
	(void)state;
	life(two_lives);
	scribble("seg.0000000000000002", 9, "x", 1);
	assert_int_equal(system("rm -f log.* *.db"), 0);
	life(old_are_dead);
}

static void
down_child(void *arg)
{
	help_open(&sh->h, conf);
	CHECK(sh->h.q->down && sh->h.q->closed);
	CHECK(strcmp(sh->h.q->closed_why, arg) == 0);
	CHECK(!queue_has(sh->h.q, 1));
	send_one(7);
	CHECK(sh->h.nresults == 1 && sh->h.results[0].status == Q_FAILED);
	queue_run(sh->h.q);
	queue_housekeep(sh->h.q);
	help_close(&sh->h);
	sh->h.nresults = 0;
}

static void
two_segments(void)
{
	for (uint64_t id = 1; segs_newest(sh->h.q->segs) == 1; id++) {
		send_one(id);
		queue_flush(sh->h.q);
	}
	help_close(&sh->h);
}

/* A record of a later version, with its own segment's stamp. */
static void
make_later(uint64_t id)
{
	uint8_t		 p[4096];
	off_t		 off = find_record(id);
	int		 fd = open(seg, O_RDONLY);
	uint64_t	 stamp, synced;

	assert_true(off > 0);
	assert_int_equal(pread(fd, p, sizeof(p), off), sizeof(p));
	close(fd);
	memcpy(&stamp, p + 16, 8);
	memcpy(&synced, p + 24, 8);
	p[4] = REC_VERSION + 1;
	rec_stamp(p, le64toh(stamp), le64toh(synced));
	scribble(seg, off, p, sizeof(p));
}

static char	unknown[] =
	    "the queue was written by a version that is not known";

static void
test_later_version(void **state)
{
	(void)state;
	life(accepted);
	make_later(1);
	assert_int_equal(help_child(down_child, unknown), 0);
	assert_int_equal(help_child(down_child, unknown), 0);
}

/* In an older segment it matters only if it is read. */
static void
test_later_version_older(void **state)
{
	(void)state;
	life(two_segments);
	make_later(3);
	life(just_open);
	assert_int_equal(system("rm -f log.* *.db"), 0);
	/* And it stays so: no index is made of the rest. */
	assert_int_equal(help_child(down_child, unknown), 0);
	assert_int_equal(help_child(down_child, unknown), 0);
}

/* Damage of one record: said, the rest is there, its sender is told. */
static void
the_rest(void)
{
	CHECK(sh->h.q->messages == 5);
	settle();
	CHECK(sh->h.q->messages == 1);	/* deferred: it can't be read */
	help_advance(INT64_C(6) * 24 * 60 * MIN);
	settle();
	CHECK(sh->h.q->stats.bounced == 1);
	settle();
	CHECK(sh->h.q->messages == 0);
}

static void
test_damaged_content(void **state)
{
	off_t	 off;
	unsigned n = 0;

	(void)state;
	life(five);
	life(just_open);
	seg[19] = '2';			/* what was not marked was copied */
	off = find_record(3);
	assert_true(off > 0);
	scribble(seg, off + 600, "flipped", 7);
	seg[19] = '1';
	life(the_rest);
	for (size_t i = 0; i < sh->nseen; i++) {
		assert_true(sh->seen[i].bounce || sh->seen[i].id != 3);
		n += sh->seen[i].bounce;
	}
	assert_true(n == 1 && sh->nseen == 5);
}

/* The index is damaged, or gone: made anew. */
static void
rebuilt(void)
{
	CHECK(sh->h.q->messages == 5);
	settle();
	CHECK(sh->h.q->messages == 0);
}

static void
run_damaged(void *arg)
{
	(void)arg;
	help_open(&sh->h, conf);
	CHECK(sh->h.q->messages == 5);
	settle();
}

static void
test_damaged_index(void **state)
{
	uint8_t	 junk[4096];
	int	 st;

	(void)state;
	life(five);
	life(just_open);
	memset(junk, 0x5a, sizeof(junk));
	scribble("msg.db", 4096, junk, sizeof(junk));
	/* The first one to meet it ends, the next one makes it anew. */
	st = help_child(run_damaged, NULL);
	assert_true(st == DIO_EXIT || st == 0);
	sh->nseen = 0;
	if (st != 0)
		life(rebuilt);
	assert_int_equal(system("rm -f log.* *.db"), 0);
	life(empty);
}

/* Files that are no index at all. */
static void
test_no_index(void **state)
{
	(void)state;
	life(five);
	life(just_open);
	assert_int_equal(system("for f in *.db log.*; do echo junk >$f; done"),
	    0);
	life(rebuilt);
	assert_true(dio_exists("aside.msg.db"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIFE(test_orderly), LIFE(test_torn_batch),
		LIFE(test_record_inside), LIFE(test_header_lost),
		LIFE(test_later_version), LIFE(test_later_version_older),
		LIFE(test_damaged_content), LIFE(test_damaged_index),
		LIFE(test_no_index)
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
