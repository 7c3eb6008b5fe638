/*
 * Changes to content as it passes: senders rewritten, long lines folded, and
 * nothing else touched, however it is cut; and which fields are there.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/mime/edit.h"
#include "common/mime/seen.h"

/* "@inner.example", and below it, is "@example.org". */
static bool
inner(struct span a, char dst[EDIT_ADDR_MAX], void *arg)
{
	static const char	end[] = "inner.example";
	size_t			at = span_rfind(a, '@');

	(void)arg;

	if (!span_caseends(a, span_str(end)))
		return false;
	snprintf(dst, EDIT_ADDR_MAX, "%.*s@example.org", (int)at,
	    (const char *)a.p);
	return true;
}

/* In pieces of so many bytes. */
static void
pass(struct span in, size_t piece, bool fold, bool rewrite, struct buf *out)
{
	struct edit	e;

	buf_reset(out);
	edit_begin(&e, fold, rewrite ? inner : NULL, NULL);
	for (; in.len > 0; span_skip(&in, piece))
		edit_feed(&e, span_sub(in, 0, piece), out);
	edit_end(&e, out);
	assert_false(e.failed);
	edit_clear(&e);
}

static void
same(const char *in, const char *want, bool fold, bool rewrite)
{
	struct buf	out;

	buf_init(&out, 4 << 20);
	for (size_t piece = 1; piece < 40; piece++) {
		pass(span_str(in), piece, fold, rewrite, &out);
		if (!span_is(buf_content(&out), want))
			fail_msg("\"%s\": \"%s\"", in, buf_cstr(&out));
	}
	pass(span_str(in), strlen(in), fold, rewrite, &out);
	assert_true(span_is(buf_content(&out), want));
	buf_clear(&out);
}

static void
senders(void **state)
{
	static const struct { const char *in, *want; } t[] = {
		{ "From: a@x.inner.example\r\n\r\n",
		    "From: a@example.org\r\n\r\n" },
		{ "From: \"A, a@inner.example\" <a@Inner.example> (c)\r\n"
		    "To: b@inner.example\r\n\r\nFrom: a@inner.example\r\n",
		    "From: \"A, a@inner.example\" <a@example.org> (c)\r\n"
		    "To: b@inner.example\r\n\r\nFrom: a@inner.example\r\n" },
		{ "from : =?UTF-8?Q?=C3=A4?=\r\n <a@inner.example>,\r\n\t"
		    "b@other.example,\r\n c@inner.example\r\nX: y\r\n\r\n",
		    "from : =?UTF-8?Q?=C3=A4?=\r\n <a@example.org>,\r\n\t"
		    "b@other.example,\r\n c@example.org\r\nX: y\r\n\r\n" },
		{ "Sender: a@inner.example\r\nReply-To: g: a@inner.example , "
		    "b (x) @ inner.example;\r\nResent-From: a@inner.example\r\n"
		    "X-From: a@inner.example",
		    "Sender: a@example.org\r\nReply-To: g: a@example.org , "
		    "b@example.org;\r\nResent-From: a@example.org\r\n"
		    "X-From: a@inner.example" },
		/* No list of addresses. */
		{ "From: a@inner.example, <b\r\n\r\n",
		    "From: a@inner.example, <b\r\n\r\n" },
		{ "From:\r\n\r\n", "From:\r\n\r\n" }, { "", "" },
		{ "\r\nFrom: a@inner.example\r\n",
		    "\r\nFrom: a@inner.example\r\n" },
		{ " From: a@inner.example\r\n", " From: a@inner.example\r\n" },
		{ "no field\r\nFrom: a@inner.example\r\n",
		    "no field\r\nFrom: a@inner.example\r\n" }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		same(t[i].in, t[i].want, false, true);
		same(t[i].in, t[i].want, true, true);
	}
}

static char *
fill(char *p, char c, size_t n)
{
	memset(p, c, n);
	return p + n;
}

static void
folds(void **state)
{
	static char	in[20000], want[20000];
	char		*p, *q;

	(void)state;
	/* As long as may be: stays. */
	p = stpcpy(in, "S: ");
	p = stpcpy(fill(p, 'x', 995), "\r\n\r\n");
	stpcpy(fill(p, 'y', 998), "\r\n");
	same(in, in, true, false);
	/* In the header a blank is put in, in the body none. */
	p = stpcpy(in, "S: ");
	p = stpcpy(fill(p, 'x', 2000), "\r\n\r\n");
	stpcpy(fill(p, 'y', 2000), "\r\n");
	q = stpcpy(want, "S:\r\n ");
	q = stpcpy(fill(q, 'x', 997), "\r\n ");
	q = stpcpy(fill(q, 'x', 997), "\r\n ");
	q = stpcpy(fill(q, 'x', 6), "\r\n\r\n");
	q = stpcpy(fill(q, 'y', 998), "\r\n");
	q = stpcpy(fill(q, 'y', 998), "\r\n");
	stpcpy(fill(q, 'y', 4), "\r\n");
	same(in, want, true, false);
	same(in, in, false, false);
	/* At the last blank that is near enough; it is not lost. */
	p = stpcpy(in, "\r\n");
	p = stpcpy(fill(p, 'a', 900), " ");
	p = stpcpy(fill(p, 'b', 50), "\t");
	stpcpy(fill(p, 'c', 100), "\r\n.\r\n");
	q = stpcpy(want, "\r\n");
	q = stpcpy(fill(q, 'a', 900), " ");
	q = stpcpy(fill(q, 'b', 50), "\r\n\t");
	stpcpy(fill(q, 'c', 100), "\r\n.\r\n");
	same(in, want, true, false);
	/* Never within a character. */
	p = stpcpy(in, "\r\n");
	for (p = fill(p, 'a', 997); p < in + 1100; )
		p = stpcpy(p, "\xc3\xa4");
	strcpy(p, "\r\n");
	q = stpcpy(want, "\r\n");
	q = stpcpy(fill(q, 'a', 997), "\r\n");
	strcpy(q, in + 2 + 997);
	same(in, want, true, false);
	/* A rewritten field is folded though others are not. */
	p = stpcpy(in, "From: ");
	p = fill(p, 'n', 985);
	strcpy(p, " <a@inner.example>\r\n\r\n");
	q = stpcpy(want, "From: ");
	q = fill(q, 'n', 985);
	strcpy(q, "\r\n <a@example.org>\r\n\r\n");
	same(in, want, false, true);
}

/* Fields that are longer than what is held pass as they are. */
static void
long_fields(void **state)
{
	size_t		 n = EDIT_FIELD_MAX * 2;
	char		*in = malloc(n * 2);
	char		*want = malloc(n * 2), *p;
	struct buf	 out;

	(void)state;
	assert_true(in != NULL && want != NULL);
	buf_init(&out, 4 << 20);
	for (size_t at = EDIT_FIELD_MAX - 40; at < EDIT_FIELD_MAX + 3; at++) {
		p = stpcpy(in, "X: ");
		p = stpcpy(fill(p, 'x', at), "\r\n\ty\r\n");
		strcpy(p, "From: a@inner.example\r\n\r\nbody\r\n");
		memcpy(want, in, (size_t)(p - in));
		strcpy(want + (p - in), "From: a@example.org\r\n\r\nbody\r\n");
		for (size_t piece = 9000; piece < 40000; piece += 7777) {
			pass(span_str(in), piece, false, true, &out);
			if (!span_is(buf_content(&out), want))
				fail_msg("at %zu, pieces of %zu", at, piece);
		}
	}
	p = stpcpy(fill(in, 'x', EDIT_FIELD_MAX + 9), "\r\n");
	strcpy(p, "From: a@inner.example\r\n");
	pass(span_str(in), 1000, false, true, &out);
	assert_true(span_is(buf_content(&out), in));
	buf_clear(&out);
	free(in);
	free(want);
}

static void
too_small(void **state)
{
	struct edit	e;
	struct buf	out;

	(void)state;
	buf_init(&out, 10);
	edit_begin(&e, false, inner, NULL);
	edit_feed(&e, span_str("From: a@inner.example\r\nTo: b\r\n"), &out);
	assert_true(e.failed);
	edit_clear(&e);
	buf_clear(&out);
}

static void
seen(void **state)
{
	static const struct { const char *in, *want; } t[] = {
		{ "", "" }, { "\r\nDate: x\r\n", "" },
		{ "Date: x\r\nFROM : y\r\nmessage-id: z\r\n\r\n", "dfm" },
		{ "Date: x\r\n From: y\r\n\r\nFrom: z\r\n", "d" },
		{ "Dat: x\r\nDates: x\r\nDate\r\nFrom: z\r\n", "" },
		{ "Subject-of-some-length: From: x\r\nFrom: x", "f" },
		{ "hello\r\nFrom: x\r\n", "b" }, { " Date: x\r\n", "b" },
		{ ": x\r\n", "b" }, { "a b: c\r\n", "b" },
		{ "X: y\r\nhello\r\n", "" },
		{ "Resent-From: x\r\nResent-Date: y\r\n\r\n", "" }
	};
	struct header_seen	h;
	char			got[5], *p;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (size_t piece = 1; piece < 30; piece++) {
			struct span	in = span_str(t[i].in);

			h = (struct header_seen){ 0 };
			for (; in.len > 0; span_skip(&in, piece))
				header_seen_feed(&h, span_sub(in, 0, piece));
			p = stpcpy(got, h.date ? "d" : "");
			p = stpcpy(p, h.from ? "f" : "");
			p = stpcpy(p, h.message_id ? "m" : "");
			stpcpy(p, h.bare ? "b" : "");
			if (strcmp(got, t[i].want) != 0)
				fail_msg("\"%s\": %s", t[i].in, got);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(senders),
		cmocka_unit_test(folds),
		cmocka_unit_test(long_fields),
		cmocka_unit_test(too_small),
		cmocka_unit_test(seen)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
