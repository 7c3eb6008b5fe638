/*
 * For tests of messages of several ways (prepared.h): a queue, what is
 * delivered and told of them, its crash and its check. For cmocka.
 */
#ifndef REGRESS_PREPAREDHELP_H
#define REGRESS_PREPAREDHELP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/base/rand.h"
#include "queued/audit.h"
#include "queued/prepared.h"
#include "regress/lib/queuehelp.h"

#define MIN	INT64_C(60000)
#define THREE	"a@one.example b@two.example c@three.example"

static struct conf	*conf;
static const char	*path;
static struct help	 h;

/* What was delivered, "b@two.example;", and told. */
static char		 sent[4096], dsn[65536];
static uint64_t		 end_id;
static enum q_status	 end_status;
static bool		 end_told;
static unsigned		 ends;

static inline void
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

static inline void
finished(struct help *x, uint64_t id, enum q_status st, bool told)
{
	(void)x;
	ends++;
	end_id = id;
	end_status = st;
	end_told = told;
}

static inline void
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

static inline int
setup(void **state)
{
	(void)state;
	path = help_dir();
	help_clock();
	life_begin();
	return 0;
}

static inline int
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
static inline void
crash(bool index)
{
	store_close(h.q->store);	/* without a checkpoint */
	h.q->store = NULL;
	queue_forget(h.q);
	if (!index)
		assert_int_equal(system("rm -f log.* *.db"), 0);
	life_begin();
}

static inline void
problem(struct audit *v, const char *what, uint64_t id, uint64_t segment,
    uint64_t offset)
{
	(void)v;
	fail_msg("audit: %s: message %llu at %llx:%llu", what,
	    (unsigned long long)id, (unsigned long long)segment,
	    (unsigned long long)offset);
}

static inline void
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
static inline void
deliver(void)
{
	for (int i = 0; i < 4; i++) {
		queue_flush(h.q);
		queue_run(h.q);
	}
	queue_flush(h.q);
}

static inline void
house(void)
{
	while (queue_housekeep(h.q))
		;
	queue_flush(h.q);
}

static inline struct store_rcpt
rcpt(uint64_t id, uint32_t n)
{
	struct store_rcpt r;

	assert_true(store_rcpt_get(h.q->store, id, n, &r));
	return r;
}

static inline void
prepare(uint64_t id)
{
	help_prepare(&h, id, "s@from.example", THREE, 500, 3);
	queue_flush(h.q);
	assert_int_equal(h.results[h.nresults - 1].id, id);
	assert_int_equal(h.results[h.nresults - 1].status, Q_OK);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
