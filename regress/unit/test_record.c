/*
 * The records of queued's segments as bytes: what is written is read back, and
 * what is torn, damaged, of another version or too long is told apart.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/base/enc.h"
#include "queued/record.h"

static struct buf	b;

static const struct rec sample = { .kind = REC_MESSAGE,
    .id = 0x123456789abcdef0, .qtime_ms = 77777777777, .wall_s = 1795000000 };

static void
encode(const char *env, const char *prefix, const char *content)
{
	struct rec	 r = sample;

	buf_clear(&b);
	buf_init(&b, 1 << 20);
	r.env = span_str(env);
	r.prefix = span_str(prefix);
	r.content = span_str(content);
	assert_true(rec_encode(&b, &r));
	rec_stamp(b.p, 0xfeed, 4096);
}

static int
clean(void **state)
{
	(void)state;
	buf_clear(&b);
	return 0;
}

static void
test_back(void **state)
{
	struct rec	 r;
	const char	*why;
	size_t		 need;

	(void)state;
	encode("envelope", "Received: x\r\n", "hello\r\n");
	assert_int_equal(buf_len(&b) % REC_ALIGN, 0);
	assert_int_equal(rec_total(b.p), buf_len(&b));
	assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
	    PARSE_OK);
	assert_int_equal(r.kind, REC_MESSAGE);
	assert_int_equal(r.version, REC_VERSION);
	assert_true(r.id == sample.id);
	assert_int_equal(r.stamp, 0xfeed);
	assert_int_equal(r.synced, 4096);
	assert_true(r.qtime_ms == sample.qtime_ms);
	assert_int_equal(r.wall_s, sample.wall_s);
	assert_true(span_is(r.env, "envelope"));
	assert_true(span_is(r.prefix, "Received: x\r\n"));
	assert_true(span_is(r.content, "hello\r\n"));
	assert_int_equal(r.total, buf_len(&b));
	assert_true(rec_content_ok(&r));
	/* Header and envelope alone are enough for a replay. */
	assert_int_equal(rec_decode_env(span(b.p, REC_HEAD + 8), &r, &need,
	    &why), PARSE_OK);
	assert_int_equal(r.total, buf_len(&b));
	assert_int_equal(r.content.len, 0);
}

static void
test_empty_and_exact(void **state)
{
	static const char	fill[] =
	    "0123456789012345678901234567890123456789012345678901234567890123";
	struct rec	 r;
	const char	*why;
	size_t		 need;

	(void)state;
	encode("", "", "");
	assert_int_equal(buf_len(&b), 64);
	assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
	    PARSE_OK);
	assert_true(rec_content_ok(&r));
	encode("", "", fill);		/* ends just where the padding would */
	assert_int_equal(buf_len(&b), 128);
	assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
	    PARSE_OK);
	assert_true(span_is(r.content, fill));
}

/* Cut at every byte: more is wanted, and it is said how much. */
static void
test_cut(void **state)
{
	struct rec	 r;
	const char	*why;
	size_t		 need;
	uint8_t		*p;

	(void)state;
	encode("an envelope", "prefix", "content");
	for (size_t n = 0; n < buf_len(&b); n++) {
		p = malloc(n + 1);	/* so that ASan sees a byte too far */
		memcpy(p, b.p, n);
		assert_int_equal(rec_decode(span(p, n), &r, &need, &why),
		    PARSE_MORE);
		assert_true(need > n && need <= buf_len(&b));
		free(p);
	}
}

/* Any bit that flips is seen: in header and envelope by the record's own
 * checksum, behind them by the content's. */
static void
test_flips(void **state)
{
	struct rec	 r;
	const char	*why;
	size_t		 need, len;
	enum parse	 st;

	(void)state;
	encode("an envelope", "prefix", "content");
	len = REC_HEAD + 11;
	for (size_t bit = 0; bit < len * 8; bit++) {
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		st = rec_decode(buf_content(&b), &r, &need, &why);
		/* Flipped lengths may ask for more than there is. */
		assert_true(st == PARSE_BAD || (st == PARSE_MORE &&
		    bit >= 32 * 8 && bit < 44 * 8));
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = len * 8; bit < (len + 13) * 8; bit++) {
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
		    PARSE_OK);
		assert_false(rec_content_ok(&r));
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
	    PARSE_OK);
	assert_true(rec_content_ok(&r));
}

static void
test_not_stamped(void **state)
{
	struct rec	 r = sample;
	const char	*why;
	size_t		 need;

	(void)state;
	buf_init(&b, 1024);
	r.env = span_str("x");
	assert_true(rec_encode(&b, &r));
	assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
	    PARSE_BAD);
	assert_string_equal(why, "checksum");
}

/* A sound record of a version or kind that is not known is said to be one; a
 * damaged version byte is not. */
static void
test_versions(void **state)
{
	struct rec	 r;
	const char	*why;
	size_t		 need;

	(void)state;
	encode("e", "", "");
	b.p[4] = REC_VERSION + 1;
	assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
	    PARSE_BAD);
	assert_ptr_not_equal(why, rec_why_version);
	rec_stamp(b.p, 1, 0);
	assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
	    PARSE_BAD);
	assert_ptr_equal(why, rec_why_version);
	for (uint8_t v = 0; v < REC_VERSION; v++) {	/* older ones are read */
		b.p[4] = v;
		rec_stamp(b.p, 1, 0);
		assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
		    v >= REC_VERSION_MIN ? PARSE_OK : PARSE_BAD);
		if (v >= REC_VERSION_MIN)
			assert_int_equal(r.version, v);
	}
	b.p[4] = REC_VERSION;
	for (int kind = 0; kind < 256; kind++) {
		b.p[5] = (uint8_t)kind;
		rec_stamp(b.p, 1, 0);
		assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
		    kind >= REC_MESSAGE && kind <= REC_KIND_MAX ? PARSE_OK :
		    PARSE_BAD);
	}
}

static void
test_lengths(void **state)
{
	struct rec	 r = sample;
	const char	*why;
	size_t		 need;
	uint8_t		*p = calloc(1, REC_CONTENT_MAX + 1);
	static const size_t at[] = { 32, 36, 40 };

	(void)state;
	buf_init(&b, 1 << 20);
	r.content = span(p, REC_CONTENT_MAX);
	assert_true(rec_encode(&b, &r));
	r.content.len++;
	assert_false(rec_encode(&b, &r));
	r.content.len = 0;
	r.prefix = span(p, REC_PREFIX_MAX + 1);
	assert_false(rec_encode(&b, &r));
	free(p);
	/* Lengths that no writer makes are no record, and need no memory. */
	for (size_t i = 0; i < 3; i++) {
		encode("e", "p", "c");
		memset(b.p + at[i], 0xff, 4);
		assert_int_equal(rec_decode(buf_content(&b), &r, &need, &why),
		    PARSE_BAD);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_back, clean),
		cmocka_unit_test_teardown(test_empty_and_exact, clean),
		cmocka_unit_test_teardown(test_cut, clean),
		cmocka_unit_test_teardown(test_flips, clean),
		cmocka_unit_test_teardown(test_not_stamped, clean),
		cmocka_unit_test_teardown(test_versions, clean),
		cmocka_unit_test_teardown(test_lengths, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
