/*
 * Who is told of what became of a message: NOTIFY, servers with DSN, copies of
 * one recipient, archives, aliases, what has no sender. Driven through the
 * queue as it is; what it sends is collected.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/smtp/param.h"
#include "queued/dsn.h"
#include "regress/lib/queuehelp.h"

#define MIN	INT64_C(60000)
#define DAY	(24 * 60 * MIN)
#define TOLD	64

static const char	*path;
static struct conf	*conf;
static struct help	 h;

/* The notifications that were handed out. */
static struct told {
	char		 to[64], text[DSN_MAX + 1];
	uint64_t	 cause;
	uint8_t		 flags;
	uint8_t		 notify;
} told[TOLD];
static size_t		 ntold;
/* What became of each action's jobs; -1: they are kept. */
static int		 by_action[3];
static bool		 server_dsn, notices_fail;
static struct job	*kept[4];
static size_t		 nkept;
static uint8_t		 notify_seen[8];
static uint8_t		 posted, flags_seen;	/* flags of messages */

static void
end(struct job *j, int status)
{
	static const char *const replies[] = { "250 2.0.0 Ok",
	    "450 4.2.0 later", "550 5.1.1 no such user" };

	for (size_t i = 0; i < j->nrcpts; i++)
		result_add(h.q, j, &h, 1, &(struct result){ .id = j->id,
		    .n = j->rcpts[i].n, .attempt = j->rcpts[i].attempt,
		    .status = (uint8_t)status, .remote = true,
		    .dsn = server_dsn, .reply = span_str(replies[status]),
		    .server = span_str("mx.x[192.0.2.1]:25") });
	job_ended(h.q, j, D_DEST_OK);
}

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	int	 status = D_OK;

	if (m->flags & MSG_BOUNCE) {
		struct told	*t = &told[ntold++ % TOLD];

		assert_int_equal(m->from.len, 0);
		assert_int_equal(m->size, r->content.len);
		t->cause = m->cause_id;
		t->flags = m->flags;
		t->notify = j->rcpts[0].notify;
		strlcpy(t->to, j->rcpts[0].to, sizeof(t->to));
		assert_true(span_cstr(r->content, t->text, sizeof(t->text)));
		help_end(x, j, notices_fail ? D_PERM : D_OK,
		    notices_fail ? "550 no" : "250 ok", D_DEST_OK);
		return;
	}
	flags_seen = m->flags;
	for (size_t i = 0; i < 3; i++)
		if (strcmp(conf->actions[i]->name, j->dest->action) == 0)
			status = by_action[i];
	for (size_t i = 0; i < j->nrcpts; i++)
		notify_seen[j->rcpts[i].n % 8] = j->rcpts[i].notify;
	if (status == -1)
		kept[nkept++ % 4] = j;
	else
		end(j, status);
}

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	memset(&h, 0, sizeof(h));
	h.can_hand = true;
	h.hand = hand;
	ntold = nkept = 0;
	posted = 0;
	server_dsn = notices_fail = false;
	by_action[0] = by_action[1] = by_action[2] = D_OK;
	conf->warn_after_ms = 0;
	conf->postmaster = NULL;
	conf->double_bounces = false;
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

static void
settle(void)
{
	unsigned	 before;

	do {
		before = h.handed;
		queue_flush(h.q);
		queue_run(h.q);
		queue_flush(h.q);
	} while (h.handed != before);
}

/* One recipient a row; `from` may be empty. */
struct row {
	const char	*to, *action, *orig, *orcpt;
	uint32_t	 group;
	uint8_t		 notify, flags;
};

static void
post(uint64_t id, const char *from, enum smtp_ret ret, const char *content,
    const struct row *rows, size_t n)
{
	struct rec_msg	 m = { .from = span_str(from), .ret = (uint8_t)ret,
			    .envid = span_str("e+2B1"),
			    .flags = posted & MSG_REQUIRETLS,
			    .received_ms = 1795000000000 };
	struct txn	*t = txn_begin(h.q, &h, 1, id, &m);

	assert_non_null(t);
	for (size_t i = 0; i < n; i++) {
		struct rec_rcpt	 r = { .to = span_str(rows[i].to),
				    .action = span_str(rows[i].action),
				    .notify = rows[i].notify,
				    .flags = rows[i].flags,
				    .group = rows[i].group };

		r.orig = span_str(rows[i].orig ? rows[i].orig : "");
		r.orcpt = span_str(rows[i].orcpt ? rows[i].orcpt : "");
		assert_int_equal(txn_rcpt(t, &r), 0);
	}
	if (posted & MSG_TLS_OPTIONAL)
		txn_tls_optional(t);
	txn_commit(t, span_str("Received: by test\r\n"), span_str(content),
	    strlen(content));
}
#define POST(id, from, ret, ...) do {					\
	static const struct row rows_[] = { __VA_ARGS__ };		\
	post((id), (from), (ret), "Subject: x\r\n\r\nHello\r\n", rows_,	\
	    sizeof(rows_) / sizeof(rows_[0]));				\
} while (0)

static void
has(size_t i, const char *what)
{
	assert_true(i < ntold);
	if (strstr(told[i].text, what) == NULL)
		fail_msg("\"%s\" is not in:\n%s", what, told[i].text);
}

static size_t
count(size_t i, const char *what)
{
	const char	*p = told[i].text;
	size_t		 n = 0;

	for (; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* ---- NOTIFY ---- */

static void
test_success(void **state)
{
	(void)state;
	POST(1, "a@b.example", RET_NONE, { "c@x.example", "relay" });
	POST(2, "a@b.example", RET_NONE,
	    { "c@x.example", "relay", .notify = NOTIFY_NEVER });
	POST(3, "a@b.example", RET_NONE,
	    { "c@x.example", "relay", .notify = NOTIFY_FAILURE });
	settle();
	assert_int_equal(ntold, 0);
	POST(4, "A@b.example", RET_FULL, { "c@x.example", "relay",
	    .notify = NOTIFY_SUCCESS, .orcpt = "rfc822;o+2Bc@x.example" });
	settle();
	assert_int_equal(ntold, 1);
	assert_string_equal(told[0].to, "A@b.example");
	assert_int_equal(told[0].notify, NOTIFY_NEVER);
	assert_true(told[0].cause == 4);
	has(0, "Action: relayed\r\n");
	has(0, "Original-Envelope-Id: e+1\r\n");
	has(0, "Original-Recipient: rfc822; o+c@x.example\r\n");
	has(0, "Remote-MTA: dns; mx.x\r\n");
	assert_int_equal(count(0, "Hello"), 0);
	/* The next server tells. */
	server_dsn = true;
	POST(5, "a@b.example", RET_FULL,
	    { "c@x.example", "relay", .notify = NOTIFY_SUCCESS });
	settle();
	assert_int_equal(ntold, 1);
	/* Here its way ends. */
	server_dsn = false;
	POST(6, "a@b.example", RET_FULL,
	    { "c@x.example", "drop", .notify = NOTIFY_SUCCESS });
	settle();
	assert_int_equal(ntold, 2);
	has(1, "Action: delivered\r\n");
	POST(7, "", RET_FULL,
	    { "c@x.example", "relay", .notify = NOTIFY_SUCCESS });
	settle();
	assert_int_equal(ntold, 2);
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(h.q->stats.bounced, 0);
}

static void
test_failure(void **state)
{
	(void)state;
	by_action[0] = D_PERM;
	server_dsn = true;
	POST(1, "a@b.example", RET_FULL, { "c@x.example", "relay" },
	    { "d@x.example", "relay", .group = 1, .notify = NOTIFY_NEVER },
	    { "e@x.example", "relay", .group = 2, .notify = NOTIFY_SUCCESS },
	    { "f@x.example", "relay", .group = 3, .notify = NOTIFY_FAILURE,
	    .orcpt = "rfc822;of@x.example" });
	settle();
	assert_int_equal(ntold, 1);
	assert_int_equal(count(0, "Action: failed\r\n"), 2);
	has(0, "Final-Recipient: rfc822; c@x.example\r\n");
	has(0, "Original-Recipient: rfc822; of@x.example\r\n"
	    "Final-Recipient: rfc822; f@x.example\r\n");
	has(0, "Content-Type: message/rfc822\r\n");
	has(0, "Hello");
	assert_int_equal(h.q->messages, 0);
}

/* Three things become of three recipients, and one message tells of them. */
static void
test_together(void **state)
{
	struct job	*j;

	(void)state;
	conf->warn_after_ms = 30 * MIN;
	by_action[0] = -1;
	POST(1, "a@b.example", RET_NONE, { "c@x.example", "relay",
	    .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE },
	    { "d@x.example", "relay", .group = 1 },
	    { "e@x.example", "relay", .group = 2, .notify = NOTIFY_DELAY });
	settle();
	assert_int_equal(nkept, 1);
	help_advance(60 * MIN);
	j = kept[0];
	/* In any order: adopted jobs have theirs as they came. */
	help_result(&h, j, &h, 1, 2, D_TEMP, "450 4.2.0 later");
	help_result(&h, j, &h, 1, 0, D_OK, "250 2.0.0 Ok");
	help_result(&h, j, &h, 1, 1, D_PERM, "550 5.1.1 no");
	job_ended(h.q, j, D_DEST_OK);
	settle();
	assert_int_equal(ntold, 1);
	has(0, "Subject: Your message could not be delivered\r\n");
	has(0, "c@x.example\r\nAction: relayed\r\n");
	has(0, "d@x.example\r\nAction: failed\r\n");
	has(0, "e@x.example\r\nAction: delayed\r\n");
	/* Of the delay once only. */
	by_action[0] = D_TEMP;
	help_advance(60 * MIN);
	settle();
	help_advance(120 * MIN);
	settle();
	assert_int_equal(ntold, 1);
	/* It expires, of which he did not want to hear. */
	help_advance(6 * DAY);
	settle();
	assert_int_equal(ntold, 1);
	assert_int_equal(h.q->messages, 0);
}

/* RFC 8689, 5: a notification of what needs TLS needs it as well, and brings
 * back the header alone. */
static void
test_requiretls(void **state)
{
	(void)state;
	by_action[0] = D_PERM;
	posted = MSG_REQUIRETLS;
	POST(1, "a@b.example", RET_FULL, { "c@x.example", "relay" });
	settle();
	assert_int_equal(ntold, 1);
	assert_int_equal(flags_seen, MSG_REQUIRETLS);
	assert_int_equal(told[0].flags, MSG_BOUNCE | MSG_REQUIRETLS);
	has(0, "Subject: x\r\n");
	assert_int_equal(count(0, "Hello"), 0);
	/* That the header says otherwise matters where MAIL says nothing. */
	posted = MSG_REQUIRETLS | MSG_TLS_OPTIONAL;
	by_action[0] = D_OK;
	POST(2, "a@b.example", RET_FULL, { "c@x.example", "relay",
	    .notify = NOTIFY_SUCCESS });
	settle();
	assert_int_equal(ntold, 2);
	assert_int_equal(flags_seen, MSG_REQUIRETLS);
	assert_int_equal(told[1].flags, MSG_BOUNCE | MSG_REQUIRETLS);
	posted = MSG_TLS_OPTIONAL;
	by_action[0] = D_PERM;
	POST(3, "a@b.example", RET_FULL, { "c@x.example", "relay" });
	settle();
	assert_int_equal(ntold, 3);
	assert_int_equal(flags_seen, MSG_TLS_OPTIONAL);
	assert_int_equal(told[2].flags, MSG_BOUNCE);
	assert_int_equal(count(2, "Hello"), 1);
}

/* The postmaster is told no more. */
static void
test_requiretls_again(void **state)
{
	(void)state;
	conf->postmaster = (char *)(uintptr_t)"pm@b.example";
	conf->double_bounces = true;
	by_action[0] = D_PERM;
	posted = MSG_REQUIRETLS;
	POST(1, "", RET_FULL, { "c@x.example", "relay" });
	settle();
	assert_int_equal(ntold, 1);
	assert_string_equal(told[0].to, "pm@b.example");
	assert_int_equal(told[0].flags, MSG_BOUNCE | MSG_REQUIRETLS);
	assert_int_equal(count(0, "Hello"), 0);
}

/* A long message is in a file; its header comes from there. */
static void
test_long(void **state)
{
	static char	 text[200000];
	struct rec_msg	 m = { .from = span_str("a@b.example"),
			    .ret = RET_FULL };
	struct rec_rcpt	 r = { .to = span_str("c@x.example"),
			    .action = span_str("relay") };
	struct txn	*t = txn_begin(h.q, &h, 1, 1, &m);

	(void)state;
	by_action[0] = D_PERM;
	memset(text, 'x', sizeof(text));
	for (size_t i = 70; i < sizeof(text); i += 72)
		memcpy(text + i, "\r\n", 2);
	memcpy(text, "Subject: long\r\n\r\nHello", 22);
	txn_rcpt(t, &r);
	for (size_t i = 0; i < sizeof(text); i += 20000)
		txn_data(t, span(text + i, 20000));
	txn_commit(t, span_str(""), span(NULL, 0), sizeof(text));
	settle();
	assert_int_equal(ntold, 1);
	has(0, "Subject: long\r\n\r\n--");
	has(0, "can't be returned");
	assert_int_equal(count(0, "Hello"), 0);
}

/* ---- copies ---- */

#define COPIES(id, n) POST(id, "a@b.example", RET_NONE,			\
    { "c@x.example", "relay", .notify = n },				\
    { "c@x.example", "list", .notify = n })

static void
test_copies(void **state)
{
	static const struct {
		int	 relay, list;
		uint8_t	 notify;
		size_t	 told;
	} rows[] = {
		{ D_PERM, D_PERM, 0, 1 }, { D_PERM, D_OK, 0, 0 },
		{ D_OK, D_PERM, 0, 0 }, { D_OK, D_OK, 0, 0 },
		{ D_PERM, D_PERM, NOTIFY_SUCCESS, 0 },
		{ D_OK, D_OK, NOTIFY_SUCCESS, 1 },
		{ D_PERM, D_OK, NOTIFY_SUCCESS, 1 },
	};
	size_t	 before;

	(void)state;
	for (uint64_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* One after the other. */
		before = ntold;
		by_action[0] = rows[i].relay;
		by_action[1] = -1;
		post(10 + i, "a@b.example", RET_NONE, "S: x\r\n\r\n",
		    (struct row[]){ { "c@x.example", "relay",
		    .notify = rows[i].notify }, { "c@x.example", "list",
		    .notify = rows[i].notify } }, 2);
		settle();
		end(kept[(nkept - 1) % 4], rows[i].list);
		settle();
		assert_int_equal(ntold - before, rows[i].told);
		/* Both in one batch, whose changes are not in the index yet. */
		before = ntold;
		by_action[0] = -1;
		post(100 + i, "a@b.example", RET_NONE, "S: x\r\n\r\n",
		    (struct row[]){ { "c@x.example", "relay",
		    .notify = rows[i].notify }, { "c@x.example", "list",
		    .notify = rows[i].notify } }, 2);
		settle();
		end(kept[(nkept - 1) % 4], by_action[0] = rows[i].list);
		end(kept[(nkept - 2) % 4], rows[i].relay);
		settle();
		assert_int_equal(ntold - before, rows[i].told);
		assert_int_equal(h.q->messages, 0);
	}
}

/* One has failed, the other waits until its time is over. */
static void
test_copy_waits(void **state)
{
	(void)state;
	conf->warn_after_ms = 30 * MIN;
	by_action[0] = D_PERM;
	by_action[1] = D_TEMP;
	COPIES(1, 0);
	settle();
	assert_int_equal(ntold, 0);
	help_advance(60 * MIN);
	settle();
	assert_int_equal(ntold, 1);
	has(0, "Action: delayed\r\n");
	help_advance(6 * DAY);
	settle();
	assert_int_equal(ntold, 2);
	has(1, "Action: failed\r\nStatus: 5.4.7\r\n");
	assert_int_equal(h.q->messages, 0);
	/* Both wait: that is said of one; of none where one has arrived. */
	by_action[0] = D_TEMP;
	COPIES(2, 0);
	settle();
	help_advance(60 * MIN);
	settle();
	assert_int_equal(ntold, 3);
	by_action[0] = D_OK;
	COPIES(3, 0);
	settle();
	help_advance(120 * MIN);
	settle();
	assert_int_equal(ntold, 3);
}

static void
test_archive(void **state)
{
	(void)state;
	conf->warn_after_ms = MIN;
	by_action[1] = D_PERM;
	POST(1, "a@b.example", RET_NONE, { "c@x.example", "relay" },
	    { "archive@x.example", "list", .flags = RCPT_F_ARCHIVE,
	    .group = 1, .notify = NOTIFY_FAILURE | NOTIFY_SUCCESS });
	settle();
	assert_int_equal(ntold, 0);
	/* That it has arrived there does not help the recipient. */
	by_action[0] = D_PERM;
	by_action[1] = D_OK;
	POST(2, "a@b.example", RET_NONE,
	    { "c@x.example", "list", .flags = RCPT_F_ARCHIVE },
	    { "c@x.example", "relay" });
	settle();
	assert_int_equal(ntold, 1);
	by_action[0] = D_OK;
	by_action[1] = D_TEMP;
	POST(3, "a@b.example", RET_NONE, { "c@x.example", "relay" },
	    { "c@x.example", "list", .flags = RCPT_F_ARCHIVE, .group = 1 });
	settle();
	help_advance(6 * DAY);
	settle();
	assert_int_equal(ntold, 1);
	assert_int_equal(h.q->messages, 0);
}

/* Whom an actual server has, queued has not to deliver to; and that he has it
 * helps no other one. */
static void
test_live(void **state)
{
	size_t	 had = nkept;

	(void)state;
	by_action[0] = -1;		/* a delivery to him would stay */
	by_action[1] = D_OK;
	POST(1, "a@b.example", RET_NONE,
	    { "c@x.example", "relay", .flags = RCPT_F_LIVE },
	    { "vault@x.example", "list", .flags = RCPT_F_ARCHIVE,
	    .group = 1 });
	settle();
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(ntold, 0);
	by_action[1] = D_PERM;
	POST(2, "a@b.example", RET_NONE,
	    { "c@x.example", "relay", .flags = RCPT_F_LIVE },
	    { "d@x.example", "list", .group = 1 });
	settle();
	assert_int_equal(ntold, 1);
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(nkept, had);
}

/* ---- aliases ---- */

static void
test_expanded(void **state)
{
	(void)state;
	POST(1, "a@b.example", RET_NONE,
	    { "c@x.example", "relay", "all@b.example", "rfc822;o@b.example",
	    .notify = NOTIFY_SUCCESS, .flags = RCPT_F_EXPANDED },
	    { "d@x.example", "relay", "all@b.example", "rfc822;o@b.example",
	    .group = 1, .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE,
	    .flags = RCPT_F_EXPANDED },
	    { "e@x.example", "relay", .group = 2, .notify = NOTIFY_SUCCESS });
	settle();
	assert_int_equal(ntold, 2);
	has(0, "Original-Recipient: rfc822; o@b.example\r\n"
	    "Final-Recipient: rfc822; all@b.example\r\n"
	    "Action: expanded\r\n");
	has(0, "Subject: x\r\n\r\n--");
	assert_int_equal(count(0, "Final-Recipient"), 1);
	assert_int_equal(notify_seen[0], NOTIFY_NEVER);
	assert_int_equal(notify_seen[1], NOTIFY_FAILURE);
	assert_int_equal(notify_seen[2], NOTIFY_SUCCESS);
	has(1, "Final-Recipient: rfc822; e@x.example\r\nAction: relayed\r\n");
	/* An alias of one address is told of as that (RFC 3461, 5.2.7.2),
	 * though it has two copies. */
	POST(2, "a@b.example", RET_NONE,
	    { "c@x.example", "relay", "one@b.example",
	    .notify = NOTIFY_SUCCESS, .flags = RCPT_F_EXPANDED },
	    { "c@x.example", "list", "one@b.example",
	    .notify = NOTIFY_SUCCESS, .flags = RCPT_F_EXPANDED });
	settle();
	assert_int_equal(ntold, 3);
	has(2, "Original-Recipient: rfc822; one@b.example\r\n"
	    "Final-Recipient: rfc822; c@x.example\r\nAction: relayed\r\n");
	/* Nobody asked, or there is nobody. */
	POST(3, "a@b.example", RET_NONE,
	    { "c@x.example", "relay", "all@b.example", .flags = RCPT_F_EXPANDED
	    }, { "d@x.example", "relay", "all@b.example", .group = 1,
	    .flags = RCPT_F_EXPANDED });
	POST(4, "", RET_NONE,
	    { "c@x.example", "relay", "all@b.example",
	    .notify = NOTIFY_SUCCESS, .flags = RCPT_F_EXPANDED },
	    { "d@x.example", "relay", "all@b.example", .group = 1,
	    .notify = NOTIFY_SUCCESS, .flags = RCPT_F_EXPANDED });
	settle();
	assert_int_equal(ntold, 3);
	/* A message that is not taken is none. */
	POST(5, "a@b.example", RET_NONE,
	    { "c@x.example", "relay", "all@b.example",
	    .notify = NOTIFY_SUCCESS, .flags = RCPT_F_EXPANDED },
	    { "d@x.example", "relay", "all@b.example", .group = 1,
	    .notify = NOTIFY_SUCCESS, .flags = RCPT_F_EXPANDED });
	h.q->closed = true;
	queue_flush(h.q);
	h.q->closed = false;
	settle();
	assert_int_equal(ntold, 3);
	assert_int_equal(h.q->messages, 0);
}

/* ---- without a sender ---- */

static void
test_postmaster(void **state)
{
	(void)state;
	by_action[0] = D_PERM;
	POST(1, "", RET_NONE, { "c@x.example", "relay" });
	settle();
	assert_int_equal(ntold, 0);
	conf->postmaster = (char *)(uintptr_t)"pm@b.example";
	POST(2, "", RET_NONE, { "c@x.example", "relay" });
	settle();
	assert_int_equal(ntold, 0);
	conf->double_bounces = true;
	POST(3, "", RET_NONE, { "c@x.example", "relay",
	    .notify = NOTIFY_NEVER });
	settle();
	assert_int_equal(ntold, 1);
	assert_string_equal(told[0].to, "pm@b.example");
	has(0, "Subject: A message could neither be delivered nor returned");
	/* A bounce that fails goes to him, and what fails then to nobody. */
	notices_fail = true;
	POST(5, "a@b.example", RET_NONE, { "c@x.example", "relay" });
	settle();
	assert_int_equal(ntold, 3);
	assert_string_equal(told[1].to, "a@b.example");
	assert_string_equal(told[2].to, "pm@b.example");
	has(2, "Final-Recipient: rfc822; a@b.example\r\n");
	has(2, "Content-Type: message/rfc822\r\n");
	has(2, "Final-Recipient: rfc822; c@x.example\r\n");
	assert_int_equal(h.q->messages, 0);
	/* Success and delay are no matter of his. */
	by_action[0] = D_OK;
	POST(6, "", RET_NONE, { "c@x.example", "relay",
	    .notify = NOTIFY_SUCCESS });
	settle();
	assert_int_equal(ntold, 3);
}

/* ---- records ---- */

/* More than one notification has room for: each recipient is in one, and with
 * the index made anew from their records nobody is told twice. */
static void
test_many(void **state)
{
	static char	 to[900 * 24];
	size_t		 n = 0, all = 0;
	char		 line[64];

	(void)state;
	for (int i = 0; i < 900; i++)
		n += (size_t)snprintf(to + n, sizeof(to) - n,
		    "user%03d@many.example ", i);
	by_action[0] = D_PERM;
	help_send(&h, 1, "a@example.org", to, 3000);
	queue_flush(h.q);
	queue_run(h.q);
	queue_flush(h.q);
	help_close(&h);
	assert_int_equal(system("rm -f log.* *.db"), 0);
	help_open(&h, conf);
	settle();
	assert_in_range(ntold, 5, 20);
	for (size_t i = 0; i < ntold; i++)
		all += count(i, "Final-Recipient: ");
	assert_int_equal(all, 900);
	for (int i = 0; i < 900; i += 90) {
		snprintf(line, sizeof(line), "rfc822; user%03d@", i);
		all = 0;
		for (size_t k = 0; k < ntold; k++)
			all += count(k, line);
		assert_int_equal(all, 1);
	}
	assert_int_equal(h.q->messages, 0);
}

static struct conf *
conf_make(void)
{
	static struct conf_action drop = { .name = (char *)(uintptr_t)"drop",
			    .type = ACT_DISCARD };
	struct conf	*c = help_conf();

	c->actions = reallocarray(c->actions, 3, sizeof(*c->actions));
	c->actions[2] = &drop;
	c->nactions = 3;
	return c;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_success, enter, leave),
		cmocka_unit_test_setup_teardown(test_failure, enter, leave),
		cmocka_unit_test_setup_teardown(test_together, enter, leave),
		cmocka_unit_test_setup_teardown(test_requiretls, enter, leave),
		cmocka_unit_test_setup_teardown(test_requiretls_again, enter,
		    leave),
		cmocka_unit_test_setup_teardown(test_long, enter, leave),
		cmocka_unit_test_setup_teardown(test_copies, enter, leave),
		cmocka_unit_test_setup_teardown(test_copy_waits, enter, leave),
		cmocka_unit_test_setup_teardown(test_archive, enter, leave),
		cmocka_unit_test_setup_teardown(test_live, enter, leave),
		cmocka_unit_test_setup_teardown(test_expanded, enter, leave),
		cmocka_unit_test_setup_teardown(test_postmaster, enter, leave),
		cmocka_unit_test_setup_teardown(test_many, enter, leave),
	};

	conf = conf_make();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
