/*
 * Messages of several ways (prepared.h): a smtpd that is lost and a queued that
 * is restarted at each step; and that they live on through compaction, a lost
 * index and a check of the queue.
 */
#include "regress/lib/preparedhelp.h"

/* ---- smtpd is lost ---- */

static void
test_lost(void **state)
{
	(void)state;
	/* Before it is durable. */
	help_prepare(&h, 4, "s@from.example", THREE, 500, 3);
	queue_forget_owner(h.q, &h);
	queue_flush(h.q);
	assert_true(ends == 1 && !end_told && end_status == Q_FAILED);
	assert_false(queue_has(h.q, 4));
	/* Then, with nothing taken. */
	prepare(5);
	help_settle(&h, 5, 2, SETTLED_REFUSED, "554 no");
	queue_forget_owner(h.q, &h);
	queue_flush(h.q);
	assert_true(ends == 2 && end_id == 5 && end_status == Q_FAILED);
	assert_false(queue_has(h.q, 5));
	/* With one taken, its settlement on its way to the disk. */
	prepare(6);
	help_settle(&h, 6, 2, SETTLED_TAKEN, "250 ok");
	queue_forget_owner(h.q, &h);
	queue_flush(h.q);
	assert_true(ends == 3 && end_id == 6 && end_status == Q_OK);
	assert_false(end_told);
	audit();
	deliver();
	assert_int_equal(strlen(sent), strlen("a@one.example;") * 2);
	assert_null(strstr(sent, "c@three.example"));
	/* With the end on its way: nobody is told, it is durable. */
	prepare(7);
	help_settle(&h, 7, 2, SETTLED_TAKEN, "250 ok");
	prepared_finish(h.q, &h, 1, 7, true);
	queue_forget_owner(h.q, &h);
	queue_flush(h.q);
	assert_int_equal(ends, 3);
	assert_int_equal(h.q->messages, 1);
}

/* Many of one smtpd, and one of another, which stays. */
static void
test_lost_many(void **state)
{
	struct rec_msg	 m = { .flags = MSG_PREPARED };
	struct rec_rcpt	 r = { .action = span_str("relay"), .way = 1,
			    .to = span_str("a@one.example") };
	int		 other;
	struct txn	*t;

	(void)state;
	for (uint64_t id = 1; id <= 300; id++) {
		t = txn_begin(h.q, id == 150 ? (void *)&other : &h, 1, id, &m);
		txn_rcpt(t, &r);
		if (id == 150)		/* its answer would go elsewhere */
			queue_flush(h.q);
		txn_commit(t, span_str(""), span_str("x\r\n"), 3);
		if (id == 150) {
			h.q->entries[h.q->nentries - 1].owner = &h;
			queue_flush(h.q);
			assert_true(prepared_settle(h.q, &h, id,
			    &(struct rec_settled){ 1, SETTLED_TAKEN,
			    span_str(""), span_str("") }));
		}
	}
	queue_flush(h.q);
	assert_int_equal(h.q->nprepared, 300);
	queue_forget_owner(h.q, &h);
	queue_flush(h.q);
	assert_int_equal(ends, 300);
	assert_int_equal(h.q->nprepared, 0);
	assert_int_equal(h.q->messages, 0);	/* that one had no other way */
}

/* ---- queued is restarted ---- */

static void
test_restart_again_settled(void **state)
{
	(void)state;
	for (int index = 0; index < 2; index++) {
		uint64_t	 id = 5 + (uint64_t)index;

		prepare(id);
		help_settle(&h, id, 1, SETTLED_TAKEN, "250 ok");
		if (index)
			queue_flush(h.q);
		/* What was not flushed is lost; smtpd says it again. */
		crash(index);
		assert_int_equal(h.q->nprepared, 1);
		assert_int_equal(rcpt(id, 1).settled, index);
		assert_true(queue_has(h.q, id));
		audit();
		help_advance(30000);
		house();
		help_settle(&h, id, 1, SETTLED_TAKEN, "250 ok");
		help_advance(60 * MIN);
		house();			/* it has an owner */
		assert_int_equal(h.q->nprepared, 1);
		help_settle(&h, id, 2, SETTLED_TAKEN, "250 ok");
		prepared_finish(h.q, &h, 1, id, true);
		queue_flush(h.q);
		assert_true(end_told && end_status == Q_OK);
		deliver();
		assert_string_equal(sent, "a@one.example;");
	}
}

/* Nobody comes: with one taken it is ours in a minute, else void in ten. */
static void
test_restart_alone(void **state)
{
	(void)state;
	for (int index = 0; index < 2; index++) {
		uint64_t	 id = 10 * (uint64_t)(index + 1);

		prepare(id);
		prepare(id + 1);
		help_settle(&h, id + 1, 2, SETTLED_TAKEN, "250 ok");
		help_settle(&h, id + 1, 1, SETTLED_REFUSED, "554 5.0.0 no");
		queue_flush(h.q);
		crash(index);
		assert_int_equal(h.q->nprepared, 2);
		help_advance(PREPARED_TAKEN_MS - 1);
		house();
		assert_int_equal(h.q->nprepared, 2);
		help_advance(2);
		house();
		assert_int_equal(h.q->nprepared, 1);
		assert_true(end_id == id + 1 && end_status == Q_OK);
		deliver();
		assert_string_equal(sent, "a@one.example;s@from.example;");
		assert_non_null(strstr(dsn, "554 5.0.0 no"));
		help_advance(PREPARED_OPEN_MS - PREPARED_TAKEN_MS - 2);
		house();
		assert_int_equal(h.q->nprepared, 1);
		help_advance(2);
		house();
		assert_int_equal(h.q->nprepared, 0);
		assert_true(end_id == id && end_status == Q_FAILED);
		assert_false(end_told);
		assert_false(queue_has(h.q, id));
		audit();
		assert_int_equal(h.q->messages, 0);
	}
}

/* The end itself is or is not durable. */
static void
test_restart_finished(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		uint64_t	 id = 5 + (uint64_t)i;
		bool		 keep = i & 1, flushed = i & 2, index = i & 4;

		prepare(id);
		if (keep)
			help_settle(&h, id, 1, SETTLED_TAKEN, "250 ok");
		queue_flush(h.q);
		prepared_finish(h.q, &h, 1, id, keep);
		if (flushed)
			queue_flush(h.q);
		if (flushed && keep)
			deliver();
		crash(index);
		assert_int_equal(h.q->nprepared, !flushed);
		assert_int_equal(queue_has(h.q, id), keep || !flushed);
		prepared_finish(h.q, &h, 1, id, keep);
		queue_flush(h.q);
		if (keep)
			assert_true(end_told && end_status == Q_OK);
		deliver();
		assert_string_equal(sent, keep && !flushed ?
		    "a@one.example;c@three.example;" : "");
		audit();
		assert_int_equal(h.q->messages, 0);
	}
}

/* ---- segments come and go ---- */

static void
test_compacted(void **state)
{
	uint64_t	 first;

	(void)state;
	prepare(5);
	help_settle(&h, 5, 1, SETTLED_TAKEN, "250 ok");
	help_prepare(&h, 6, "s@from.example", THREE, 70000, 3);
	queue_flush(h.q);
	first = segs_oldest(h.q->segs);
	for (uint64_t id = 100; id < 400; id++) {
		help_send(&h, id, "s@from.example", "a@one.example", 6000);
		if (id % 20 == 0) {
			deliver();
			house();
		}
	}
	assert_true(segs_oldest(h.q->segs) > first + 1);
	assert_int_equal(h.q->nprepared, 2);
	assert_int_equal(rcpt(5, 1).settled, SETTLED_TAKEN + 1);
	assert_int_equal(rcpt(5, 2).way, 2);
	assert_int_equal(rcpt(5, 2).state, RCPT_PREPARED);
	audit();
	/* The snapshots are all that there is of them. */
	crash(false);
	assert_int_equal(h.q->nprepared, 2);
	assert_int_equal(rcpt(5, 1).settled, SETTLED_TAKEN + 1);
	help_settle(&h, 6, 2, SETTLED_TAKEN, "250 ok");
	prepared_finish(h.q, &h, 1, 6, true);
	help_advance(PREPARED_TAKEN_MS + 1);
	deliver();
	sent[0] = '\0';
	house();
	deliver();
	assert_string_equal(sent, "a@one.example;c@three.example;");
	assert_int_equal(h.q->messages, 0);
	audit();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lost), T(test_lost_many),
		T(test_restart_again_settled), T(test_restart_alone),
		T(test_restart_finished), T(test_compacted),
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
