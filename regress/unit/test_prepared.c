/*
 * Messages of several ways (prepared.h): durable before any server has the
 * last dot, nobody's until they are finished; what comes of each way.
 */
#include "regress/lib/preparedhelp.h"

#include "common/smtp/param.h"
#include "queued/walk.h"

static struct conf	*moved;

static unsigned
fits(const char *word)
{
	char		*argv[] = { (char *)(uintptr_t)word };
	struct walk	*w = walk_new(h.q, WALK_COUNT, 0);
	unsigned	 n;

	assert_non_null(w);
	assert_null(filter_parse(&w->filter, 1, argv));
	while (walk_step(w))
		;
	n = (unsigned)w->fits;
	walk_free(w);
	return n;
}

static void
change(enum walk_what what, const char *word)
{
	char		*argv[] = { (char *)(uintptr_t)word };
	struct walk	*w = walk_new(h.q, what, 0);

	assert_non_null(w);
	assert_null(filter_parse(&w->filter, 1, argv));
	help_advance(1);
	while (walk_step(w))
		;
	assert_int_equal(w->changed, 0);
	walk_free(w);
}

/* ---- its life ---- */

static void
test_nobodys(void **state)
{
	char	 id[ID_STRLEN];

	(void)state;
	prepare(5);
	assert_true(queue_has(h.q, 5));
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(h.q->content_bytes, 0);
	assert_int_equal(h.q->nprepared, 1);
	assert_int_equal(h.q->stats.accepted, 0);
	assert_int_equal(rcpt(5, 1).state, RCPT_PREPARED);
	assert_int_equal(rcpt(5, 2).way, 2);
	help_advance(10 * MIN * 60);
	deliver();
	house();
	assert_int_equal(h.handed, 0);
	assert_int_equal(fits("all"), 0);
	assert_int_equal(fits("state=waiting"), 0);
	assert_int_equal(fits("state=held"), 0);
	assert_int_equal(fits("state=prepared"), 1);
	assert_int_equal(fits(id_str(5, id)), 1);
	for (enum walk_what w = WALK_SCHEDULE; w <= WALK_REROUTE; w++) {
		change(w, "state=prepared");
		change(w, id);
	}
	help_change(&h, 5, CHANGE_REMOVE, false);	/* nor so */
	help_change(&h, 5, CHANGE_HOLD, true);
	audit();
	assert_int_equal(h.q->nprepared, 1);
	assert_int_equal(h.q->held, 0);
	/* Its id is taken. */
	help_send(&h, 5, "s@from.example", "a@one.example", 10);
	assert_int_equal(h.results[h.nresults - 1].status, Q_REFUSED);
}

static void
test_ours(void **state)
{
	(void)state;
	prepare(5);
	help_settle(&h, 5, 1, SETTLED_TAKEN, "250 2.0.0 mine");
	queue_flush(h.q);
	assert_int_equal(rcpt(5, 1).settled, SETTLED_TAKEN + 1);
	assert_int_equal(rcpt(5, 0).settled, 0);
	audit();
	/* One of them is not in the index yet when it ends. */
	help_settle(&h, 5, 2, SETTLED_REFUSED, "554 5.7.1 never");
	help_settle(&h, 5, 0, SETTLED_QUEUE, "");
	prepared_finish(h.q, &h, 1, 5, true);
	assert_int_equal(ends, 0);		/* nothing is durable yet */
	queue_flush(h.q);
	assert_int_equal(ends, 1);
	assert_true(end_told && end_status == Q_OK && end_id == 5);
	assert_int_equal(h.q->stats.accepted, 1);
	assert_int_equal(h.q->nprepared, 0);
	assert_int_equal(h.q->messages, 2);	/* and the notification */
	assert_int_equal(rcpt(5, 0).state, RCPT_WAITING);
	assert_int_equal(rcpt(5, 1).state, RCPT_DONE);
	assert_int_equal(rcpt(5, 2).state, RCPT_FAILED);
	audit();
	deliver();
	assert_non_null(strstr(sent, "a@one.example;"));
	assert_null(strstr(sent, "b@two.example"));
	assert_null(strstr(sent, "c@three.example"));
	assert_non_null(strstr(sent, "s@from.example;"));
	assert_non_null(strstr(dsn, "c@three.example"));
	assert_non_null(strstr(dsn, "554 5.7.1 never"));
	assert_non_null(strstr(dsn, "live"));
	assert_null(strstr(dsn, "b@two.example"));
	assert_int_equal(h.q->messages, 0);
	audit();
	/* Said once more: it is ours, or was. */
	ends = 0;
	prepared_finish(h.q, &h, 1, 5, true);
	queue_flush(h.q);
	assert_int_equal(ends, 1);
}

/* A server without DSN tells nobody of success: we do, once it has taken them.
 * Who was refused to the client's face is not told of it by mail. */
static void
test_relayed(void **state)
{
	(void)state;
	for (int crashed = 0; crashed < 2; crashed++) {
		uint64_t	 id = 5 + (uint64_t)crashed;

		h.notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
		prepare(id);
		h.notify = 0;
		help_settle(&h, id, 0, SETTLED_TAKEN, "250 ok");
		help_settle(&h, id, 1, SETTLED_RELAYED, "250 2.0.0 mine");
		help_settle(&h, id, 2, SETTLED_TOLD, "550 5.7.1 no");
		queue_flush(h.q);
		assert_int_equal(rcpt(id, 1).settled, SETTLED_RELAYED + 1);
		assert_string_equal(dsn, "");
		if (crashed) {
			crash(false);
			help_advance(PREPARED_TAKEN_MS + 1);
			house();
		} else
			prepared_finish(h.q, &h, 1, id, true);
		deliver();
		assert_int_equal(end_status, Q_OK);
		assert_string_equal(sent, "s@from.example;");
		assert_non_null(strstr(dsn, "Action: relayed"));
		assert_non_null(strstr(dsn, "b@two.example"));
		assert_null(strstr(dsn, "a@one.example"));
		assert_null(strstr(dsn, "c@three.example"));
		assert_int_equal(h.q->messages, 0);
		audit();
		sent[0] = dsn[0] = '\0';
	}
}

/* That server alone, and it is not known whether it has the message: void. */
static void
test_relayed_not(void **state)
{
	(void)state;
	h.notify = NOTIFY_SUCCESS;
	help_prepare(&h, 5, "s@from.example", "b@two.example", 500, 1);
	queue_flush(h.q);
	prepared_finish(h.q, &h, 1, 5, false);
	deliver();
	assert_int_equal(h.handed, 0);
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(h.q->nprepared, 0);
}

/* All taken: nothing is left of it, or it is kept as others are. */
static void
test_all_taken(void **state)
{
	(void)state;
	for (int kept = 0; kept < 2; kept++) {
		conf->keep_ms = kept ? 60 * MIN : 0;
		prepare(5 + kept);
		for (unsigned w = 0; w < 3; w++)
			help_settle(&h, 5 + kept, w, SETTLED_TAKEN, "250 ok");
		prepared_finish(h.q, &h, 1, 5 + kept, true);
		queue_flush(h.q);
		assert_int_equal(end_status, Q_OK);
		assert_int_equal(h.q->messages, 0);
		assert_int_equal(h.q->kept, kept);
		audit();
		deliver();
		assert_int_equal(h.handed, 0);
	}
}

static void
test_void(void **state)
{
	(void)state;
	help_prepare(&h, 5, "s@from.example", THREE, 70000, 3);
	queue_flush(h.q);
	assert_int_equal(system("ls body.* >/dev/null 2>&1"), 0);
	help_settle(&h, 5, 1, SETTLED_REFUSED, "554 no");
	prepared_finish(h.q, &h, 1, 5, false);
	queue_flush(h.q);
	assert_int_equal(ends, 1);
	assert_true(!end_told && end_status == Q_FAILED);
	assert_false(queue_has(h.q, 5));
	assert_int_equal(h.q->nprepared, 0);
	deliver();
	house();
	assert_int_equal(h.handed, 0);
	assert_int_not_equal(system("ls body.* >/dev/null 2>&1"), 0);
	audit();
	prepared_finish(h.q, &h, 1, 5, true);
	queue_flush(h.q);
	assert_true(end_told && end_status == Q_FAILED);
	/* Void by who forgets that one has it: it isn't. */
	prepare(6);
	help_settle(&h, 6, 1, SETTLED_TAKEN, "250 ok");
	prepared_finish(h.q, &h, 1, 6, false);
	queue_flush(h.q);
	assert_true(!end_told && end_status == Q_OK);
	deliver();
	assert_string_equal(sent, "a@one.example;c@three.example;");
	crash(true);
	assert_false(queue_has(h.q, 5));
	assert_true(queue_has(h.q, 6));		/* of late */
}

/* A way that nobody has, a message that nobody knows, a way said twice. */
static void
test_wrong(void **state)
{
	struct rec_settled s = { 3, SETTLED_TAKEN, span_str(""),
			    span_str("") };
	int		 other;

	(void)state;
	prepare(5);
	assert_false(prepared_settle(h.q, &h, 5, &s));
	s.way = WAY_MAX + 1;
	assert_false(prepared_settle(h.q, &h, 5, &s));
	s.way = 1;
	s.outcome = SETTLED_LAST + 1;
	assert_false(prepared_settle(h.q, &h, 5, &s));
	s.outcome = SETTLED_TAKEN;
	assert_true(prepared_settle(h.q, &h, 77, &s));
	assert_true(prepared_settle(h.q, &other, 5, &s));	/* not his */
	prepared_owner_gone(h.q, &other);
	help_settle(&h, 5, 1, SETTLED_QUEUE, "450 later");
	help_settle(&h, 5, 1, SETTLED_TAKEN, "250 no");		/* too late */
	queue_flush(h.q);
	assert_int_equal(rcpt(5, 1).settled, SETTLED_QUEUE + 1);
	assert_true(span_is(rcpt(5, 1).reason, "450 later"));
	/* Of a message that is not prepared there are no ways. */
	help_send(&h, 6, "s@from.example", "a@one.example", 10);
	queue_flush(h.q);
	s.way = 0;
	assert_true(prepared_settle(h.q, &h, 6, &s));
	prepared_finish(h.q, &h, 1, 6, false);
	queue_flush(h.q);
	assert_int_equal(h.q->messages, 1);
	prepared_owner_gone(h.q, &h);
	queue_flush(h.q);
	assert_int_equal(h.q->nprepared, 0);
}

static void
test_alias_expanded(void **state)
{
	struct rec_msg	 m = { .flags = MSG_PREPARED,
			    .from = span_str("s@from.example") };
	struct rec_rcpt	 r = { .action = span_str("relay"),
			    .notify = NOTIFY_SUCCESS };
	static const char *const to[] = { "x@one.example", "y@one.example",
			    "z@two.example" };
	struct txn	*t;

	(void)state;
	for (int keep = 0; keep < 2; keep++) {
		t = txn_begin(h.q, &h, 1, 5 + (uint64_t)keep, &m);
		for (uint32_t i = 0; i < 3; i++) {
			r.to = span_str(to[i]);
			r.group = i;
			r.way = i == 2;
			r.orig = span_str(i < 2 ? "all@here.example" : "");
			r.flags = i < 2 ? RCPT_F_EXPANDED : 0;
			txn_rcpt(t, &r);
		}
		txn_commit(t, span_str(""), span_str("hello\r\n"), 7);
		queue_flush(h.q);
		assert_int_equal(h.q->messages, 0);	/* nothing is told */
		if (keep)
			help_settle(&h, 6, 1, SETTLED_TAKEN, "250 ok");
		prepared_finish(h.q, &h, 1, 5 + (uint64_t)keep, keep);
		deliver();
		if (!keep)
			assert_string_equal(sent, "");
	}
	assert_non_null(strstr(dsn, "all@here.example"));
	assert_non_null(strstr(dsn, "Action: expanded"));
	assert_non_null(strstr(sent, "x@one.example;y@one.example;"));
	assert_null(strstr(sent, "z@two.example"));
	assert_int_equal(h.q->messages, 0);
}

/* What its recipients' destinations are called may change meanwhile. */
static void
test_redest(void **state)
{
	(void)state;
	prepare(5);
	moved->actions[0]->ndests = 1;
	moved->actions[0]->dests = conf->actions[1]->dests;
	queue_conf(h.q, moved);
	audit();
	help_settle(&h, 5, 2, SETTLED_TAKEN, "250 ok");
	prepared_finish(h.q, &h, 1, 5, true);
	deliver();
	assert_string_equal(sent, "a@one.example;b@two.example;");
	assert_int_equal(h.handed, 1);		/* one pool, one job */
	queue_conf(h.q, conf);
}

static void
test_refused_by_queue(void **state)
{
	struct rec_msg	 m = { .flags = MSG_PREPARED };
	struct rec_rcpt	 r = { .action = span_str("relay"),
			    .way = WAY_MAX + 1,
			    .to = span_str("a@one.example") };
	struct txn	*t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		t = txn_begin(h.q, &h, 1, 5, &m);
		assert_int_equal(txn_rcpt(t, &r), -1);
		txn_commit(t, span_str(""), span_str("x\r\n"), 3);
		assert_int_equal(h.results[h.nresults - 1].status, Q_REFUSED);
		m.flags = 0;		/* a way, and not prepared */
		r.way = 1;
	}
	/* A queue that takes no mail. */
	queue_closed(h.q, true, "for the test");
	help_prepare(&h, 5, "s@from.example", THREE, 500, 3);
	queue_flush(h.q);
	assert_int_equal(h.results[h.nresults - 1].status, Q_FULL);
	assert_int_equal(h.q->nprepared, 0);
	queue_closed(h.q, false, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nobodys), T(test_ours), T(test_relayed),
		T(test_relayed_not), T(test_all_taken), T(test_void),
		T(test_wrong), T(test_alias_expanded), T(test_redest),
		T(test_refused_by_queue),
	};

	conf = help_conf();
	moved = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
