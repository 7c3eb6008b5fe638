/*
 * Messages of several ways (prepared.h): durable before any server has the
 * last dot, nobody's until they are finished; what comes of each way; a smtpd
 * that is lost and a queued that is restarted at each step; and that they live
 * on through compaction, a lost index and a check of the queue.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/audit.h"
#include "queued/dsn.h"
#include "queued/prepared.h"
#include "queued/walk.h"
#include "regress/lib/queuehelp.h"

#define MIN	INT64_C(60000)
#define THREE	"a@one.example b@two.example c@three.example"

static struct conf	*conf, *moved;
static const char	*path;
static struct help	 h;

/* What was delivered, "b@two.example;", and told. */
static char		 sent[4096], dsn[65536];
static uint64_t		 end_id;
static enum q_status	 end_status;
static bool		 end_told;
static unsigned		 ends;

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	if (m->flags & MSG_BOUNCE)
		assert_true(span_cstr(span_sub(r->content, 0,
		    sizeof(dsn) - 1), dsn, sizeof(dsn)));
	for (size_t i = 0; i < j->nrcpts; i++) {
		strlcat(sent, j->rcpts[i].to, sizeof(sent));
		strlcat(sent, ";", sizeof(sent));
	}
	help_end(x, j, D_OK, "250 2.0.0 Ok", D_DEST_OK);
}

static void
finished(struct help *x, uint64_t id, enum q_status st, bool told)
{
	(void)x;
	ends++;
	end_id = id;
	end_status = st;
	end_told = told;
}

static void
life_begin(void)
{
	memset(&h, 0, sizeof(h));
	sent[0] = dsn[0] = '\0';
	ends = 0;
	h.can_hand = true;
	h.hand = hand;
	h.finished = finished;
	help_open(&h, conf);
	assert_false(h.q->down);
}

static int
setup(void **state)
{
	(void)state;
	path = help_dir();
	help_clock();
	life_begin();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (h.q != NULL)
		help_close(&h);
	help_dir_remove(path);
	conf->keep_ms = 0;
	return 0;
}

/* kill -9 and a new start: what memory had is gone. */
static void
crash(bool index)
{
	store_close(h.q->store);	/* without a checkpoint */
	h.q->store = NULL;
	queue_forget(h.q);
	if (!index)
		assert_int_equal(system("rm -f log.* *.db"), 0);
	life_begin();
}

static void
problem(struct audit *v, const char *what, uint64_t id, uint64_t segment,
    uint64_t offset)
{
	(void)v;
	fail_msg("audit: %s: message %llu at %llx:%llu", what,
	    (unsigned long long)id, (unsigned long long)segment,
	    (unsigned long long)offset);
}

static void
audit(void)
{
	for (int offline = 0; offline < 2; offline++) {
		struct audit	 v = { .problem = problem };

		queue_flush(h.q);
		assert_true(audit_init(&v, h.q, offline));
		while (audit_step(&v))
			;
		assert_int_equal(v.problems, 0);
		audit_clear(&v);
	}
}

/* Whatever is due now, and all that follows from it. */
static void
deliver(void)
{
	for (int i = 0; i < 4; i++) {
		queue_flush(h.q);
		queue_run(h.q);
	}
	queue_flush(h.q);
}

static void
house(void)
{
	while (queue_housekeep(h.q))
		;
	queue_flush(h.q);
}

static struct store_rcpt
rcpt(uint64_t id, uint32_t n)
{
	struct store_rcpt r;

	assert_true(store_rcpt_get(h.q->store, id, n, &r));
	return r;
}

static void
prepare(uint64_t id)
{
	help_prepare(&h, id, "s@from.example", THREE, 500, 3);
	queue_flush(h.q);
	assert_int_equal(h.results[h.nresults - 1].id, id);
	assert_int_equal(h.results[h.nresults - 1].status, Q_OK);
}

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
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_nobodys), T(test_ours), T(test_relayed),
		T(test_relayed_not), T(test_all_taken), T(test_void),
		T(test_wrong), T(test_alias_expanded), T(test_lost),
		T(test_lost_many), T(test_restart_again_settled),
		T(test_restart_alone), T(test_restart_finished),
		T(test_compacted), T(test_redest), T(test_refused_by_queue),
	};

	conf = help_conf();
	moved = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
