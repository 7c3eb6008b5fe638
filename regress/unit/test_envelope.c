/*
 * Envelopes of queued's records: message with recipients, change, state. What
 * is written is read back; nothing that is cut or inconsistent is taken.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "queued/record.h"

static void
rcpts_make(struct buf *b, uint32_t n)
{
	char	 to[64];

	buf_init(b, 1 << 20);
	for (uint32_t i = 0; i < n; i++) {
		struct rec_rcpt r = { .n = i, .state = i % 3, .notify = 5,
		    .attempt = i * 3, .next_ms = -7 - (int64_t)i,
		    .last_ms = 99 + i,
		    .action = span_str("relay"), .orcpt = span_str("rfc822;x"),
		    .reason = span_str("450 4.2.0 later"),
		    .orig = span_str("alias@example.org"), .group = i / 2,
		    .flags = RCPT_F_EXPANDED, .server = span_str("mx[1]:25") };

		snprintf(to, sizeof(to), "user%u@example.org", i);
		r.to = span_str(to);
		assert_true(rec_rcpt_add(b, &r));
	}
}

static void
msg_make(struct buf *out, struct buf *rcpts, struct span cause)
{
	struct rec_msg	 m = { .flags = MSG_UTF8, .body = 1, .ret = 2,
	    .held = true, .held_since_ms = 5, .accepted_ms = 6,
	    .expire_ms = 7, .received_ms = 8, .size = 9,
	    .from = span_str("a@b"), .envid = span_str("id"),
	    .rdns = span_str("host"), .helo = span_str("h"),
	    .auth = span_str("u"), .tag = span_str("t"),
	    .mail_auth = span_str("<>"), .nrcpts = 3,
	    .rcpts = buf_content(rcpts), .cause_id = 10, .cause = cause };

	assert_true(addr_parse(span_str("2001:db8::1"), &m.client));
	buf_init(out, 1 << 20);
	assert_true(rec_msg_encode(out, &m));
}

static void
test_message(void **state)
{
	struct buf	 rcpts, out;
	struct rec_msg	 m;
	struct rec_rcpt	 r;
	struct span	 s;
	const char	*why;
	char		 addr[ADDR_STRLEN];
	uint32_t	 n = 0;

	(void)state;
	rcpts_make(&rcpts, 3);
	msg_make(&out, &rcpts, span(NULL, 0));
	assert_int_equal(rec_msg_decode(buf_content(&out), REC_VERSION, &m,
	    &why),
	    PARSE_OK);
	assert_int_equal(m.flags, MSG_UTF8);
	assert_true(m.held && m.body == 1 && m.ret == 2);
	assert_true(m.held_since_ms == 5 && m.accepted_ms == 6 &&
	    m.expire_ms == 7 && m.received_ms == 8 && m.size == 9);
	assert_string_equal(addr_str(&m.client, addr), "2001:db8::1");
	assert_true(span_is(m.from, "a@b") && span_is(m.envid, "id") &&
	    span_is(m.rdns, "host") && span_is(m.helo, "h") &&
	    span_is(m.auth, "u") && span_is(m.tag, "t") &&
	    span_is(m.mail_auth, "<>"));
	for (s = m.rcpts; rec_rcpt_next(&s, m.version, &r); n++) {
		assert_int_equal(r.n, n);
		assert_int_equal(r.state, n % 3);
		assert_int_equal(r.attempt, n * 3);
		assert_true(r.next_ms == -7 - (int64_t)n && r.notify == 5 &&
		    r.last_ms == 99 + n);
		assert_true(span_is(r.action, "relay") &&
		    span_is(r.orcpt, "rfc822;x") &&
		    span_is(r.reason, "450 4.2.0 later"));
		assert_true(r.group == n / 2 && r.flags == RCPT_F_EXPANDED &&
		    span_is(r.orig, "alias@example.org") &&
		    span_is(r.server, "mx[1]:25"));
	}
	assert_int_equal(n, 3);
	buf_clear(&rcpts);
	buf_clear(&out);
}

/* Cut at every byte, or with one too many: none is a message. */
static void
test_message_cut(void **state)
{
	struct buf	 rcpts, out;
	struct rec_msg	 m;
	const char	*why;
	uint8_t		*p;

	(void)state;
	rcpts_make(&rcpts, 3);
	msg_make(&out, &rcpts, span(NULL, 0));
	for (size_t n = 0; n < buf_len(&out); n++) {
		p = malloc(n + 1);
		memcpy(p, out.p, n);
		assert_int_equal(rec_msg_decode(span(p, n), REC_VERSION, &m, &why),
		    PARSE_BAD);
		free(p);
	}
	buf_byte(&out, 0);
	assert_int_equal(rec_msg_decode(buf_content(&out), REC_VERSION, &m,
	    &why),
	    PARSE_BAD);
	buf_clear(&rcpts);
	buf_clear(&out);
}

static void
bad_with(struct buf *rcpts, uint32_t nrcpts, struct span cause)
{
	struct rec_msg	 m = { .nrcpts = nrcpts, .rcpts = buf_content(rcpts),
			    .cause = cause };
	struct buf	 out;
	const char	*why;

	buf_init(&out, 1 << 20);
	assert_true(rec_msg_encode(&out, &m));
	assert_int_equal(rec_msg_decode(buf_content(&out), REC_VERSION, &m,
	    &why),
	    PARSE_BAD);
	buf_clear(&out);
}

static void
test_message_bad(void **state)
{
	struct buf	 rcpts;
	struct rec_rcpt	 r = { .n = 7, .to = span_str("a@b") };

	(void)state;
	rcpts_make(&rcpts, 3);
	bad_with(&rcpts, 2, span(NULL, 0));	/* numbers don't agree */
	bad_with(&rcpts, 4, span(NULL, 0));
	bad_with(&rcpts, 3, span_str("no change"));
	assert_true(rec_rcpt_add(&rcpts, &r));	/* not the next one */
	bad_with(&rcpts, 4, span(NULL, 0));
	buf_reset(&rcpts);
	bad_with(&rcpts, 0, span(NULL, 0));	/* nobody to deliver to */
	r.n = 0;
	r.group = 1;				/* begun by nobody before */
	assert_true(rec_rcpt_add(&rcpts, &r));
	bad_with(&rcpts, 1, span(NULL, 0));
	buf_reset(&rcpts);
	r.group = 0;
	r.state = RCPT_STATE_MAX + 1;
	assert_true(rec_rcpt_add(&rcpts, &r));
	bad_with(&rcpts, 1, span(NULL, 0));
	buf_reset(&rcpts);
	r.state = RCPT_PREPARED;
	r.way = WAY_MAX + 1;
	assert_true(rec_rcpt_add(&rcpts, &r));
	bad_with(&rcpts, 1, span(NULL, 0));
	buf_reset(&rcpts);
	r.way = WAY_MAX;
	r.settled = SETTLED_LAST + 2;
	assert_true(rec_rcpt_add(&rcpts, &r));
	bad_with(&rcpts, 1, span(NULL, 0));
	buf_clear(&rcpts);
}

/* Only of version 3 on, and only such a recipient, has a way. */
static void
test_prepared(void **state)
{
	struct rec_rcpt	 r = { .state = RCPT_PREPARED, .to = span_str("a@b"),
			    .way = WAY_MAX, .settled = SETTLED_LAST + 1 },
			    got;
	struct buf	 b;
	struct span	 s;
	size_t		 len;

	(void)state;
	buf_init(&b, 1 << 16);
	assert_true(rec_rcpt_add(&b, &r));
	s = buf_content(&b);
	assert_true(rec_rcpt_next(&s, REC_VERSION, &got));
	assert_int_equal(s.len, 0);
	assert_int_equal(got.state, RCPT_PREPARED);
	assert_int_equal(got.way, WAY_MAX);
	assert_int_equal(got.settled, SETTLED_LAST + 1);
	for (uint8_t v = REC_VERSION_MIN; v < 3; v++) {
		s = buf_content(&b);
		assert_false(rec_rcpt_next(&s, v, &got));
	}
	len = buf_len(&b);
	buf_reset(&b);
	r.state = RCPT_WAITING;
	assert_true(rec_rcpt_add(&b, &r));
	assert_int_equal(buf_len(&b), len - 2);
	for (uint8_t v = 2; v <= REC_VERSION; v++) {
		s = buf_content(&b);
		assert_true(rec_rcpt_next(&s, v, &got));
		assert_int_equal(s.len, 0);
		assert_int_equal(got.way, 0);
	}
	buf_clear(&b);
}

static void
test_settled(void **state)
{
	struct rec_settled in = { 7, SETTLED_QUEUE, span_str("450 4.2.0 x"),
			    span_str("mx[1]:25") }, out;
	char		 big[2000];
	struct buf	 b;
	const char	*why;
	uint8_t		*p;

	(void)state;
	memset(big, 'x', sizeof(big));
	buf_init(&b, 1 << 16);
	assert_true(rec_settled_encode(&b, &in));
	assert_int_equal(rec_settled_decode(buf_content(&b), &out, &why),
	    PARSE_OK);
	assert_true(out.way == 7 && out.outcome == SETTLED_QUEUE &&
	    span_is(out.reply, "450 4.2.0 x") &&
	    span_is(out.server, "mx[1]:25"));
	for (size_t n = 0; n < buf_len(&b); n++) {
		p = malloc(n + 1);	/* so that ASan sees a byte too far */
		memcpy(p, b.p + b.start, n);
		assert_int_equal(rec_settled_decode(span(p, n), &out, &why),
		    PARSE_BAD);
		free(p);
	}
	buf_byte(&b, 0);
	assert_int_equal(rec_settled_decode(buf_content(&b), &out, &why),
	    PARSE_BAD);
	for (int i = 0; i < 3; i++) {
		buf_reset(&b);
		in.way = i == 1 ? WAY_MAX + 1 : 0;
		in.outcome = i == 2 ? SETTLED_LAST + 1 : SETTLED_TAKEN;
		in.reply = span(big, sizeof(big));
		assert_true(rec_settled_encode(&b, &in));
		assert_int_equal(rec_settled_decode(buf_content(&b), &out,
		    &why), i == 0 ? PARSE_OK : PARSE_BAD);
		if (i == 0)
			assert_int_equal(out.reply.len, REC_REASON_MAX);
	}
	buf_clear(&b);
}

static void
test_change(void **state)
{
	struct buf	 fates, out, rcpts, msg;
	struct rec_change ch = { .what = CHANGE_HOLD, .held = true,
			    .held_since_ms = 3, .expire_ms = 4, .nrcpts = 2 },
			    got;
	struct rec_fate	 f = { .n = 1, .state = RCPT_DONE, .attempt = 2,
			    .next_ms = 3, .last_ms = 4,
			    .reason = span_str("250 ok"),
			    .server = span_str("mx[1]:25") };
	struct rec_msg	 m;
	struct span	 s;
	const char	*why;
	char		 big[2000];

	(void)state;
	memset(big, 'x', sizeof(big));
	buf_init(&fates, 4096);
	buf_init(&out, 4096);
	assert_true(rec_fate_add(&fates, &f));
	f.n = 70000;
	f.reason = f.server = span(big, sizeof(big));	/* cut */
	assert_true(rec_fate_add(&fates, &f));
	ch.rcpts = buf_content(&fates);
	assert_true(rec_change_encode(&out, &ch));
	assert_int_equal(rec_change_decode(buf_content(&out), REC_VERSION, &got,
	    &why),
	    PARSE_OK);
	assert_true(got.what == CHANGE_HOLD && got.held &&
	    got.held_since_ms == 3 && got.expire_ms == 4);
	s = got.rcpts;
	assert_true(rec_fate_next(&s, got.version, &f) && f.n == 1 &&
	    f.state == RCPT_DONE && f.attempt == 2 && f.next_ms == 3 &&
	    f.last_ms == 4 && span_is(f.reason, "250 ok") &&
	    span_is(f.server, "mx[1]:25"));
	assert_true(rec_fate_next(&s, got.version, &f) && f.n == 70000 &&
	    f.reason.len == REC_REASON_MAX && f.server.len == REC_SERVER_MAX);
	assert_false(rec_fate_next(&s, got.version, &f));
	/* In a bounce it goes along. */
	rcpts_make(&rcpts, 3);
	msg_make(&msg, &rcpts, buf_content(&out));
	assert_int_equal(rec_msg_decode(buf_content(&msg), REC_VERSION, &m,
	    &why),
	    PARSE_OK);
	assert_true(m.cause_id == 10 && span_eq(m.cause, buf_content(&out)));
	for (size_t n = 0; n < buf_len(&out); n++)
		assert_int_equal(rec_change_decode(span(out.p, n),
		    REC_VERSION, &got, &why), PARSE_BAD);
	buf_clear(&fates);
	buf_clear(&out);
	buf_clear(&rcpts);
	buf_clear(&msg);
}

/* New actions go before the fates, with a length of their own. */
static void
test_route(void **state)
{
	struct buf	 routes, fates, out;
	struct rec_route r = { .n = 3, .action = span_str("relay") };
	struct rec_fate	 f = { .n = 1, .state = RCPT_WAITING };
	struct rec_change ch = { .what = CHANGE_ROUTE | CHANGE_KEEP,
			    .expire_ms = 9, .nrcpts = 1 }, got;
	struct span	 s;
	const char	*why;

	(void)state;
	buf_init(&routes, 1000);
	buf_init(&fates, 1000);
	buf_init(&out, 1000);
	assert_true(rec_route_add(&routes, &r));
	r = (struct rec_route){ .n = 70000, .action = span_str("") };
	assert_true(rec_route_add(&routes, &r));
	assert_true(rec_fate_add(&fates, &f));
	ch.routes = buf_content(&routes);
	ch.rcpts = buf_content(&fates);
	assert_true(rec_change_encode(&out, &ch));
	assert_int_equal(rec_change_decode(buf_content(&out), REC_VERSION,
	    &got, &why), PARSE_OK);
	assert_int_equal(got.what, CHANGE_ROUTE | CHANGE_KEEP);
	assert_int_equal(got.expire_ms, 9);
	s = got.routes;
	assert_true(rec_route_next(&s, &r) && r.n == 3 &&
	    span_is(r.action, "relay"));
	assert_true(rec_route_next(&s, &r) && r.n == 70000 &&
	    r.action.len == 0);
	assert_false(rec_route_next(&s, &r));
	s = got.rcpts;
	assert_true(rec_fate_next(&s, got.version, &f) && f.n == 1);
	for (size_t n = 0; n < buf_len(&out); n++)
		assert_int_equal(rec_change_decode(span(out.p, n),
		    REC_VERSION, &got, &why), PARSE_BAD);
	/* Half a route at the end of theirs. */
	ch.routes.len--;
	buf_reset(&out);
	assert_true(rec_change_encode(&out, &ch));
	assert_int_equal(rec_change_decode(buf_content(&out), REC_VERSION,
	    &got, &why), PARSE_BAD);
	buf_clear(&routes);
	buf_clear(&fates);
	buf_clear(&out);
}

/* What version 1 wrote, by hand: the fields that came later are empty. */
static void
test_version_1(void **state)
{
	static const uint8_t	msg[] =
	    "\4\1\2\0" "\0\0\0\0\0\0\0\0" "\6\0\0\0\0\0\0\0"
	    "\7\0\0\0\0\0\0\0" "\10\0\0\0\0\0\0\0" "\11\0\0\0\0\0\0\0"
	    "\0\0\0" "\3\0a@b" "\0\0" "\0\0" "\0\0" "\0\0" "\0\0"
	    "\2\0\0\0" "\120\0\0\0"
	    "\0\0\0\0\0\4\1\0\0\0" "\1\0\0\0\0\0\0\0"
	    "\2\0\0\0\0\0\0\0" "\3\0c@d" "\1\0R" "\0\0" "\3\0" "450"
	    "\1\0\0\0\1\0\0\0\0\0" "\1\0\0\0\0\0\0\0"
	    "\2\0\0\0\0\0\0\0" "\3\0e@f" "\1\0R" "\1\0o" "\0\0"
	    "\5\0\0\0\0\0\0\0" "\114\0\0\0"
	    "\0\0" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\2\0\0\0"
	    "\0\0\0\0\2\1\0\0\0" "\0\0\0\0\0\0\0\0"
	    "\0\0\0\0\0\0\0\0" "\0\0"
	    "\1\0\0\0\1\1\0\0\0" "\0\0\0\0\0\0\0\0"
	    "\0\0\0\0\0\0\0\0" "\0\0";
	struct span	 in = span(msg, sizeof(msg) - 1), s;
	struct rec_msg	 m;
	struct rec_rcpt	 r;
	struct rec_change ch;
	struct rec_fate	 f;
	const char	*why;

	(void)state;
	assert_int_equal(rec_msg_decode(in, 1, &m, &why), PARSE_OK);
	assert_true(m.version == 1 && m.flags == MSG_UTF8 &&
	    span_is(m.from, "a@b") && m.nrcpts == 2 && m.cause_id == 5);
	s = m.rcpts;
	assert_true(rec_rcpt_next(&s, 1, &r) && span_is(r.to, "c@d") &&
	    r.notify == 4 && span_is(r.reason, "450") && r.group == 0 &&
	    r.flags == 0 && r.orig.len == 0 && r.server.len == 0);
	assert_true(rec_rcpt_next(&s, 1, &r) && span_is(r.to, "e@f") &&
	    r.state == RCPT_DONE && span_is(r.orcpt, "o") && r.group == 1);
	assert_false(rec_rcpt_next(&s, 1, &r));
	assert_int_equal(rec_change_decode(m.cause, 1, &ch, &why), PARSE_OK);
	s = ch.rcpts;
	assert_true(rec_fate_next(&s, 1, &f) && f.state == RCPT_FAILED &&
	    rec_fate_next(&s, 1, &f) && f.n == 1 && f.server.len == 0);
	assert_int_equal(rec_msg_decode(in, REC_VERSION, &m, &why), PARSE_BAD);
	assert_int_equal(rec_change_decode(ch.rcpts, REC_VERSION, &ch, &why),
	    PARSE_BAD);
}

/* Version 3 wrote all but the parameter AUTH of MAIL; bit 4 of the flags had
 * its name, but nobody set it. */
static void
test_version_3(void **state)
{
	static const char	mark[] = "\1\0t\2\0<>";
	struct buf	 rcpts, now, was;
	struct rec_msg	 m;
	const char	*why;
	uint8_t		*at;

	(void)state;
	rcpts_make(&rcpts, 3);
	msg_make(&now, &rcpts, span(NULL, 0));
	at = memmem(now.p, buf_len(&now), mark, sizeof(mark) - 1);
	assert_non_null(at);
	at += 3;			/* behind the tag */
	buf_init(&was, 1 << 20);
	buf_add(&was, now.p, (size_t)(at - now.p));
	buf_add(&was, at + 4, buf_len(&now) - (size_t)(at + 4 - now.p));
	assert_int_equal(rec_msg_decode(buf_content(&was), 3, &m, &why),
	    PARSE_OK);
	assert_true(m.version == 3 && m.flags == MSG_UTF8 && m.nrcpts == 3 &&
	    span_is(m.tag, "t") && m.mail_auth.len == 0 && m.cause_id == 10);
	assert_int_equal(rec_msg_decode(buf_content(&was), REC_VERSION, &m,
	    &why), PARSE_BAD);
	assert_int_equal(rec_msg_decode(buf_content(&now), 3, &m, &why),
	    PARSE_BAD);
	buf_clear(&rcpts);
	buf_clear(&now);
	buf_clear(&was);
}

static void
test_state(void **state)
{
	struct buf	 names, out;
	struct rec_state st = { .mta_paused = true, .npaused = 2 }, got;
	struct span	 s, name;
	const char	*why;

	(void)state;
	buf_init(&names, 1000);
	buf_init(&out, 1000);
	assert_true(rec_name_add(&names, span_str("relay")));
	assert_true(rec_name_add(&names, span_str("")));
	st.paused = buf_content(&names);
	assert_true(rec_state_encode(&out, &st));
	assert_int_equal(rec_state_decode(buf_content(&out), &got, &why),
	    PARSE_OK);
	assert_true(got.mta_paused && got.npaused == 2);
	s = got.paused;
	assert_true(rec_name_next(&s, &name) && span_is(name, "relay"));
	assert_true(rec_name_next(&s, &name) && name.len == 0);
	assert_false(rec_name_next(&s, &name));
	for (size_t n = 0; n < buf_len(&out); n++)
		assert_int_equal(rec_state_decode(span(out.p, n), &got, &why),
		    PARSE_BAD);
	buf_clear(&names);
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_message_cut),
		cmocka_unit_test(test_message_bad),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_version_3),
		cmocka_unit_test(test_prepared),
		cmocka_unit_test(test_settled),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
