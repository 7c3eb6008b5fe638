/*
 * The life of a message in queued's core, driven as the daemon does it but with
 * a clock that the test moves: acceptance, one sync for many, delivery, later
 * attempts, expiry, failures and the one bounce they cause, what people do.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>

#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/diskio.h"
#include "regress/lib/queuehelp.h"

#define MIN	INT64_C(60000)
#define DAY	(24 * 60 * MIN)
#define SEEN	4096

static const char	*path;
static struct conf	*conf;
static struct help	 h;

/* What was handed out, in order, and what is answered to it. */
static struct seen {
	uint64_t	 id, cause;
	uint8_t		 flags;
	uint32_t	 attempt;
	size_t		 nrcpts;
	char		 from[64], to[64];
	struct job	*job;
} seen[SEEN];
static size_t		 nseen;
static enum d_status	 reply_status;
static enum d_dest	 reply_dest;
static const char	*reply_text;
static bool		 keep;		/* don't end jobs */
static char		 bounce_text[REC_CONTENT_MAX + 1];

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	struct seen	*s = &seen[nseen++ % SEEN];

	*s = (struct seen){ .id = j->id, .cause = m->cause_id,
	    .flags = m->flags, .attempt = j->rcpts[0].attempt,
	    .nrcpts = j->nrcpts, .job = j };
	assert_true(span_cstr(m->from, s->from, sizeof(s->from)));
	strlcpy(s->to, j->rcpts[0].to, sizeof(s->to));
	if (m->flags & MSG_BOUNCE)
		span_cstr(r->content, bounce_text, sizeof(bounce_text));
	else if (!(m->flags & MSG_BODY_FILE)) {
		assert_true(m->size == r->content.len);
		assert_true(help_content_ok(j->id, r->content));
		assert_true(span_is(r->prefix, "Received: by test\r\n"));
	}
	if (!keep)
		help_end(x, j, reply_status, reply_text, reply_dest);
}

static void
replies(enum d_status st, const char *text, enum d_dest dest)
{
	reply_status = st;
	reply_text = text;
	reply_dest = dest;
}

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	memset(&h, 0, sizeof(h));
	h.can_hand = true;
	h.hand = hand;
	nseen = 0;
	keep = false;
	replies(D_OK, "250 2.0.0 Ok", D_DEST_OK);
	help_clock();
	help_open(&h, conf);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	help_close(&h);
	help_dir_remove(path);
	return 0;
}

/* All that is due and that follows from it. */
static int64_t
settle(void)
{
	int64_t	 wait;
	size_t	 before;

	do {
		before = nseen;
		queue_flush(h.q);
		wait = queue_run(h.q);
		queue_flush(h.q);
	} while (nseen != before);
	return wait;
}

static void
test_deliver(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 3; id++)
		help_send(&h, id, "a@example.org", "b@example.net", id * 5000);
	assert_int_equal(h.nresults, 0);
	assert_false(queue_has(h.q, 1));
	queue_flush(h.q);
	assert_int_equal(h.nresults, 3);
	assert_int_equal(h.results[2].status, Q_OK);
	assert_true(queue_has(h.q, 1));
	assert_int_equal(h.q->messages, 3);
	queue_run(h.q);
	assert_int_equal(nseen, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(seen[i].id == i + 1 && seen[i].attempt == 1 &&
		    seen[i].nrcpts == 1);
		assert_string_equal(seen[i].from, "a@example.org");
		assert_string_equal(seen[i].to, "b@example.net");
	}
	assert_int_equal(h.recorded, 0);
	queue_flush(h.q);
	assert_int_equal(h.recorded, 3);
	assert_int_equal(h.q->messages, 0);
	assert_false(queue_has(h.q, 1));
	settle();
	assert_int_equal(nseen, 3);
	assert_true(h.q->live_bytes == 0 && h.q->nrunning == 0 &&
	    h.q->nready == 0 && map_count(h.q->jobs) == 0 &&
	    map_count(h.q->dests) == 0 && h.q->pool == 0 &&
	    map_count(h.q->open_ids) == 0);
}

static void
count_log(const char *name, void *arg)
{
	*(unsigned *)arg += strncmp(name, "log.", 4) == 0;
}

/* The index's log is cut at its checkpoints: a start reads no more of it. */
static void
test_index_log(void **state)
{
	unsigned	 n = 0;

	(void)state;
	for (uint64_t id = 1; id <= 3000; id++) {
		help_send(&h, id, "a@example.org", "b@example.net", 10);
		if (id % 50 == 0)
			settle();
	}
	dio_each(count_log, &n);
	assert_in_range(n, 1, 3);
}

static void
test_group_commit(void **state)
{
	uint64_t	 before;

	(void)state;
	queue_flush(h.q);
	before = dio_syncs();
	for (uint64_t id = 1; id <= 50; id++)
		help_send(&h, id, "a@example.org", "b@example.net", 1000);
	queue_flush(h.q);
	assert_int_equal(h.nresults, 50);
	assert_int_equal(dio_syncs() - before, 1);
	/* Results share the next one. */
	queue_run(h.q);
	queue_run(h.q);
	queue_run(h.q);
	for (uint64_t id = 51; id <= 100; id++)
		help_send(&h, id, "a@example.org", "b@example.net", 1000);
	queue_flush(h.q);
	assert_int_equal(dio_syncs() - before, 2);
	assert_int_equal(h.recorded, 50);
	/* A batch has a bound: it is written without being asked. */
	for (uint64_t id = 201; id <= 200 + BATCH_MSGS; id++)
		help_send(&h, id, "a@example.org", "b@example.net", 10);
	assert_int_equal(h.nresults, 100 + BATCH_MSGS);
}

static void
test_refused(void **state)
{
	struct rec_msg	 m = { .from = span_str("a@b.example") };
	struct rec_rcpt	 r = { .to = span_str("c@d.example"),
			    .action = span_str("relay") };
	struct txn	*t;

	(void)state;
	help_send(&h, 1, "a@example.org", "b@example.net", 100);
	help_send(&h, 1, "a@example.org", "b@example.net", 100);
	assert_true(h.nresults == 1 && h.results[0].status == Q_REFUSED);
	queue_flush(h.q);
	help_send(&h, 1, "a@example.org", "b@example.net", 100);
	assert_true(h.nresults == 3 && h.results[2].status == Q_REFUSED);
	/* Nobody to deliver to; another size than was announced. */
	help_send(&h, 2, "a@example.org", "", 100);
	assert_true(h.nresults == 4 && h.results[3].status == Q_REFUSED);
	assert_non_null(t = txn_begin(h.q, &h, 1, 3, &m));
	assert_int_equal(txn_rcpt(t, &r), 0);
	txn_commit(t, span_str(""), span_str("abc"), 4);
	assert_true(h.nresults == 5 && h.results[4].status == Q_REFUSED);
	conf->limits.recipients = 1;
	assert_non_null(t = txn_begin(h.q, &h, 1, 3, &m));
	assert_int_equal(txn_rcpt(t, &r), 0);
	assert_int_equal(txn_rcpt(t, &r), -1);
	txn_commit(t, span_str(""), span_str("abc"), 3);
	assert_true(h.nresults == 6 && h.results[5].status == Q_REFUSED);
	conf->limits.recipients = 1000;
	/* Of a group that no recipient before it began; flags of no meaning. */
	for (int i = 0; i < 2; i++) {
		assert_non_null(t = txn_begin(h.q, &h, 1, 3, &m));
		assert_int_equal(txn_rcpt(t, &r), 0);
		r.group = i == 0 ? 2 : 1;
		r.flags = i == 0 ? 0 : RCPT_F_ALL + 1;
		assert_int_equal(txn_rcpt(t, &r), -1);
		r.group = r.flags = 0;
		txn_commit(t, span_str(""), span_str("abc"), 3);
		assert_true(h.nresults == 7 + (size_t)i &&
		    h.results[6 + i].status == Q_REFUSED);
	}
	settle();
	assert_true(nseen == 1 && h.q->messages == 0);
}

static void
test_retry(void **state)
{
	int64_t	 wait, begin = queue_now(h.q), lo = MIN / 5 * 4;

	(void)state;
	replies(D_TEMP, "450 4.2.0 later", D_DEST_OK);
	help_send(&h, 1, "a@example.org", "b@example.net", 100);
	wait = settle();
	assert_int_equal(nseen, 1);
	assert_true(wait >= lo && wait <= MIN);
	help_advance(lo - 1);
	settle();
	assert_int_equal(nseen, 1);
	help_advance(MIN / 5 * 2 + 1);
	settle();
	assert_int_equal(nseen, 2);
	assert_int_equal(seen[1].attempt, 2);
	/* The last attempt is when the message expires, then the sender is
	 * told, once. */
	while (h.q->stats.expired == 0) {
		assert_true(queue_now(h.q) - begin <= 5 * DAY);
		wait = settle();
		assert_true(wait > 0);
		help_advance(wait);
		if (queue_now(h.q) - begin >= 5 * DAY)
			break;
	}
	replies(D_TEMP, "450 4.2.0 never", D_DEST_OK);
	for (size_t i = nseen; nseen == i;)
		settle();
	assert_int_equal(h.q->stats.expired, 1);
	assert_int_equal(h.q->stats.bounced, 1);
	assert_true(seen[nseen - 1].flags & MSG_BOUNCE);
	assert_string_equal(seen[nseen - 1].from, "");
	assert_string_equal(seen[nseen - 1].to, "a@example.org");
	assert_non_null(strstr(bounce_text, "<b@example.net>:\r\n"
	    "    It was not delivered in time: after "));
	assert_non_null(strstr(bounce_text, "\r\nStatus: 5.4.7\r\n"));
	assert_non_null(strstr(bounce_text, "450 4.2.0 never"));
	assert_int_equal(h.q->messages, 1);
	replies(D_OK, "250 2.0.0 Ok", D_DEST_OK);
	help_advance(2 * MIN);
	settle();
	assert_int_equal(h.q->messages, 0);
}

/* Two of three fail: one bounce tells of both, and nobody of the bounce. */
static void
test_one_bounce(void **state)
{
	(void)state;
	replies(D_PERM, "550 5.1.1 no such user\r\nsecond", D_DEST_OK);
	help_send(&h, 1, "a@example.org", "b@example.net c@example.net", 300);
	queue_flush(h.q);
	keep = true;
	queue_run(h.q);
	keep = false;
	assert_int_equal(seen[0].nrcpts, 2);
	help_end(&h, seen[0].job, D_PERM, "550 5.1.1 no such user",
	    D_DEST_OK);
	assert_int_equal(h.q->stats.bounced, 0);
	queue_flush(h.q);
	assert_int_equal(h.recorded, 2);
	assert_int_equal(h.q->messages, 1);	/* the bounce, in its place */
	settle();
	assert_int_equal(nseen, 2);
	assert_true(seen[1].flags & MSG_BOUNCE);
	assert_true(seen[1].cause == 1);
	assert_string_equal(seen[1].from, "");
	assert_string_equal(seen[1].to, "a@example.org");
	assert_non_null(strstr(bounce_text, "Auto-Submitted: auto-replied"));
	assert_non_null(strstr(bounce_text, "<b@example.net>:"));
	assert_non_null(strstr(bounce_text, "<c@example.net>:"));
	assert_non_null(strstr(bounce_text, "\r\n\r\nReceived: by test\r\n"));
	/* It failed as well, and that is the end of it. */
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(h.q->stats.bounced, 1);
}

static void
test_partly(void **state)
{
	struct job	*j;

	(void)state;
	keep = true;
	help_send(&h, 1, "a@example.org", "b@x.example c@x.example d@x.example",
	    300);
	queue_flush(h.q);
	queue_run(h.q);
	keep = false;
	j = seen[0].job;
	help_result(&h, j, &h, 1, 0, D_OK, "250");
	help_result(&h, j, &h, 1, 1, D_PERM, "550");
	queue_flush(h.q);		/* while the third is under way */
	assert_int_equal(h.recorded, 2);
	assert_int_equal(h.q->messages, 2);
	help_result(&h, j, &h, 1, 2, D_TEMP, "450");
	job_ended(h.q, j, D_DEST_OK);
	settle();
	assert_int_equal(h.recorded, 3 + 1);
	assert_int_equal(h.q->messages, 1);
	assert_null(strstr(bounce_text, "<d@x.example>"));
	help_advance(2 * MIN);
	settle();
	assert_true(seen[2].id == 1 && seen[2].nrcpts == 1 &&
	    seen[2].attempt == 2);
	assert_string_equal(seen[2].to, "d@x.example");
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(h.q->stats.bounced, 1);
}

static void
send_notify(uint64_t id, uint8_t notify)
{
	struct rec_msg	 m = { .from = span_str("a@b.example") };
	struct rec_rcpt	 r = { .to = span_str("c@d.example"),
			    .action = span_str("relay"), .notify = notify };
	struct txn	*t = txn_begin(h.q, &h, 1, id, &m);

	txn_rcpt(t, &r);
	txn_commit(t, span_str("Received: by test\r\n"), span_str(""), 0);
	settle();
}

/* RFC 3461, 4.1: whoever did not ask for failures is told of none. */
static void
test_notify(void **state)
{
	(void)state;
	replies(D_PERM, "550 5.1.1 no", D_DEST_OK);
	send_notify(1, NOTIFY_NEVER);
	send_notify(2, NOTIFY_SUCCESS);
	send_notify(3, NOTIFY_SUCCESS | NOTIFY_DELAY);
	assert_int_equal(h.q->stats.bounced, 0);
	send_notify(4, NOTIFY_FAILURE);
	send_notify(5, 0);
	assert_int_equal(h.q->stats.bounced, 2);
	assert_int_equal(h.q->messages, 0);
}

/* `queue warn-after`: told once, by the first failure after that time. */
static void
test_delay_told(void **state)
{
	size_t	 told = 0;

	(void)state;
	conf->warn_after_ms = 4 * 60 * MIN;
	replies(D_TEMP, "450 4.2.0 full", D_DEST_OK);
	help_send(&h, 1, "a@example.org", "b@x.example c@x.example", 100);
	help_send(&h, 2, "", "b@x.example", 100);
	settle();
	for (int i = 0; i < 20 * 60; i++) {
		help_advance(MIN);
		settle();
	}
	assert_int_equal(h.q->stats.bounced, 0);
	/* One message that itself can't be delivered, and no word about it. */
	assert_int_equal(h.q->messages, 3);
	for (size_t i = 0; i < nseen; i++)
		told += (seen[i].flags & MSG_BOUNCE) && seen[i].attempt == 1;
	assert_int_equal(told, 1);
	assert_non_null(strstr(bounce_text,
	    "Subject: Your message is delayed\r\n"));
	assert_non_null(strstr(bounce_text, "\r\nWill-Retry-Until: "));
	assert_non_null(strstr(bounce_text, "<b@x.example>:"));
	assert_non_null(strstr(bounce_text, "<c@x.example>:"));
	conf->warn_after_ms = 0;
}

static void
test_hold_release_remove(void **state)
{
	struct store_msg m;
	int64_t		 expire;

	(void)state;
	help_send(&h, 1, "a@example.org", "b@x.example", 100);
	help_send(&h, 2, "a@example.org", "b@x.example", 100);
	queue_flush(h.q);
	store_msg_get(h.q->store, 1, &m);
	expire = m.expire_ms;
	help_change(&h, 1, CHANGE_HOLD, true);
	help_change(&h, 2, CHANGE_REMOVE, false);
	settle();
	assert_int_equal(nseen, 0);
	assert_true(h.q->held == 1 && h.q->messages == 1);
	assert_false(queue_has(h.q, 2));
	/* Time that a message is held does not count. */
	help_advance(9 * DAY);
	settle();
	assert_int_equal(nseen, 0);
	help_change(&h, 1, CHANGE_HOLD, false);
	queue_flush(h.q);
	store_msg_get(h.q->store, 1, &m);
	assert_true(m.expire_ms == expire + 9 * DAY && h.q->held == 0);
	settle();
	assert_int_equal(nseen, 1);
	assert_int_equal(h.q->messages, 0);
}

static void
test_schedule_now(void **state)
{
	(void)state;
	replies(D_TEMP, "450", D_DEST_OK);
	help_send(&h, 1, "a@example.org", "b@x.example", 100);
	settle();
	assert_int_equal(nseen, 1);
	help_change(&h, 1, 0, false);
	settle();
	assert_int_equal(nseen, 2);
	assert_int_equal(seen[1].attempt, 2);
	/* While it runs: it is not tried twice, its own result counts. */
	keep = true;
	help_change(&h, 1, 0, false);
	settle();
	help_change(&h, 1, 0, false);
	settle();
	assert_int_equal(nseen, 3);
	help_end(&h, seen[2].job, D_TEMP, "450", D_DEST_OK);
	settle();
	assert_int_equal(nseen, 3);
}

/* Held and released while a job of it runs and then defers. */
static void
test_hold_running(void **state)
{
	(void)state;
	keep = true;
	help_send(&h, 1, "a@example.org", "b@x.example", 100);
	settle();
	assert_int_equal(nseen, 1);
	help_change(&h, 1, CHANGE_HOLD, true);
	settle();
	help_end(&h, seen[0].job, D_TEMP, "450 4.0.0 x", D_DEST_OK);
	settle();
	help_advance(2 * MIN);
	settle();
	assert_int_equal(nseen, 1);
	help_change(&h, 1, CHANGE_HOLD, false);
	settle();
	assert_int_equal(nseen, 2);
	help_change(&h, 1, CHANGE_HOLD, true);
	settle();
	help_change(&h, 1, CHANGE_HOLD, false);
	settle();
	assert_int_equal(nseen, 2);
	/* Its deliverd died: its job is there again. */
	job_again(h.q, seen[1].job, true);
	settle();
	assert_int_equal(nseen, 3);
	help_end(&h, seen[2].job, D_OK, "250", D_DEST_OK);
	settle();
	assert_int_equal(h.q->messages, 0);
}

/* Removed while its result waits to be written. */
static void
test_remove_with_result(void **state)
{
	(void)state;
	keep = true;
	for (uint64_t id = 1; id <= 300; id++)
		help_send(&h, id, "a@example.org", "b@x.example c@y.example",
		    10);
	conf->limits.deliveries_per_dest = 1000;
	queue_conf(h.q, conf);
	settle();
	while (nseen < 600) {
		size_t	 n = nseen;

		for (size_t i = 0; i < n; i++)
			seen[i].job->dest->window = 1000;
		due_pauses(h.q);
		settle();
		assert_true(nseen > n);
	}
	conf->limits.deliveries_per_dest = 20;
	for (size_t i = 0; i < 600; i++)
		help_end(&h, seen[i].job, D_TEMP, "450 4.2.0 a reply that "
		    "takes some room in a record, so that not all results "
		    "fit a batch and some stay behind in memory for the next",
		    D_DEST_OK);
	for (uint64_t id = 1; id <= 300; id++)
		help_change(&h, id, CHANGE_REMOVE, false);
	h.can_hand = false;		/* so that one is ready */
	help_send(&h, 1000, "a@example.org", "b@x.example", 10);
	settle();
	help_change(&h, 1000, CHANGE_REMOVE, false);
	settle();
	assert_int_equal(h.recorded, 600);
	assert_true(h.q->messages == 0 && h.q->nready == 0 &&
	    h.q->nrunning == 0 && map_count(h.q->jobs) == 0);
}

/* Recipients of one destination that are due at other times: the later one is
 * tried though its time comes while a job for the first one runs. */
static void
test_two_times(void **state)
{
	struct job	*j;

	(void)state;
	keep = true;
	help_send(&h, 1, "a@example.org", "b@x.example c@x.example", 100);
	settle();
	j = seen[0].job;
	help_result(&h, j, &h, 1, 0, D_TEMP, "450");
	queue_flush(h.q);
	help_advance(10 * MIN);		/* the other takes its time */
	settle();
	help_result(&h, j, &h, 1, 1, D_OK, "250");
	queue_flush(h.q);
	assert_int_equal(nseen, 1);
	job_ended(h.q, j, D_DEST_OK);
	settle();
	assert_int_equal(nseen, 2);
	assert_string_equal(seen[1].to, "b@x.example");
	help_end(&h, seen[1].job, D_OK, "250", D_DEST_OK);
	settle();
	assert_int_equal(h.q->messages, 0);
}

/* Content longer than a record lies in a file of its own. */
static void
test_long_content(void **state)
{
	uint8_t		*p = malloc(300000);
	struct rec_msg	 m = { .from = span_str("a@b.example") };
	struct txn	*t;
	int		 fd;

	(void)state;
	keep = true;
	help_send(&h, 7, "a@example.org", "b@x.example", 300000);
	settle();
	assert_true(h.results[0].status == Q_OK && nseen == 1 &&
	    seen[0].flags & MSG_BODY_FILE);
	assert_true((fd = body_open(7, false)) != -1);
	assert_int_equal(dio_pread(fd, p, 300000, 0), 300000);
	assert_true(help_content_ok(7, span(p, 300000)));
	dio_close(fd);
	help_end(&h, seen[0].job, D_OK, "250", D_DEST_OK);
	settle();
	assert_false(dio_exists("body.0000000000000007"));
	/* What is not committed leaves nothing. */
	t = txn_begin(h.q, &h, 1, 8, &m);
	for (int i = 0; i < 10; i++)
		assert_int_equal(txn_data(t, span(p, 30000)), 0);
	assert_true(dio_exists("body.0000000000000008"));
	txn_abort(t);
	assert_false(dio_exists("body.0000000000000008"));
	conf->limits.message_size = 100000;
	help_send(&h, 9, "a@example.org", "b@x.example", 300000);
	conf->limits.message_size = 50 << 20;
	assert_true(h.results[1].status == Q_REFUSED);
	assert_false(dio_exists("body.0000000000000009"));
	assert_true(h.q->body_fds == 0 && h.q->pool == 0);
	free(p);
}

/* A channel is gone: nobody is told, the message is ours all the same. */
static void
test_owner_gone(void **state)
{
	(void)state;
	help_send(&h, 1, "a@example.org", "b@x.example", 100);
	queue_forget_owner(h.q, &h);
	settle();
	assert_true(h.nresults == 0 && nseen == 1);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_deliver), T(test_group_commit), T(test_index_log),
		T(test_refused),
		T(test_retry), T(test_one_bounce), T(test_partly),
		T(test_notify), T(test_delay_told),
		T(test_hold_release_remove),
		T(test_schedule_now), T(test_hold_running),
		T(test_remove_with_result), T(test_two_times),
		T(test_long_content), T(test_owner_gone),
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
