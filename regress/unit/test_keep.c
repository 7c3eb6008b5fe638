/*
 * Mail that is kept after its last recipient is settled: readable, over a
 * restart, a rebuild and compaction; let go in time, in steps, and early when
 * the disk runs low; out of the schedule. And `queue size`, and rules that are
 * run again.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "queued/diskio.h"
#include "queued/audit.h"
#include "queued/walk.h"
#include "regress/lib/queuehelp.h"

#define DAY	(INT64_C(24) * 3600 * 1000)

static struct conf	*conf;
static const char	*path;
static struct help	 h;
static char		 actions[64];	/* of the jobs handed out */

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	(void)r;
	(void)m;
	strlcat(actions, j->dest->action, sizeof(actions));
	strlcat(actions, " ", sizeof(actions));
	help_end(x, j, strstr(j->rcpts[0].to, "fail") ? D_PERM : D_OK,
	    "250 2.0.0 Ok", D_DEST_OK);
}

static int
setup(void **state)
{
	(void)state;
	path = help_dir();
	memset(&h, 0, sizeof(h));
	actions[0] = '\0';
	conf->keep_ms = 7 * DAY;
	conf->queue_size = 0;
	help_clock();
	help_open(&h, conf);
	h.hand = hand;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (h.q != NULL)
		help_close(&h);
	help_dir_remove(path);
	return 0;
}

static void
deliver(void)
{
	h.can_hand = true;
	help_advance(1000);
	for (int i = 0; i < 20; i++) {
		queue_run(h.q);
		queue_flush(h.q);
	}
	h.can_hand = false;
}

static void
house(void)
{
	for (int i = 0; i < 10000 && queue_housekeep(h.q); i++)
		;
}

static void
problem(struct audit *v, const char *what, uint64_t id, uint64_t segment,
    uint64_t offset)
{
	(void)v;
	print_message("%s %llx %llx %llu\n", what, (unsigned long long)id,
	    (unsigned long long)segment, (unsigned long long)offset);
}

static void
check_sound(void)
{
	struct audit	 v = { .problem = problem };

	assert_true(audit_init(&v, h.q, false));
	while (audit_step(&v))
		;
	assert_int_equal(v.problems, 0);
	assert_int_equal(v.messages, h.q->messages + h.q->kept);
	audit_clear(&v);
}

static void
again(void)
{
	help_close(&h);
	help_open(&h, conf);
}

static bool
kept(uint64_t id)
{
	struct store_msg m;

	return store_msg_get(h.q->store, id, &m) && (m.flags & MSG_KEPT);
}

static void
check_content(uint64_t id, size_t len)
{
	struct rec	 r;
	int		 fd;

	assert_true(load_record(h.q, id, &r));
	if (len <= REC_CONTENT_MAX) {
		assert_int_equal(r.content.len, len);
		assert_true(help_content_ok(id, r.content));
	} else {
		assert_int_not_equal(fd = body_open(id, false), -1);
		assert_int_equal(dio_size(fd), len);
		dio_close(fd);
	}
}

static uint64_t
count(enum walk_what what, const char *word)
{
	char		 copy[100], *argv[1] = { copy };
	struct walk	*w = walk_new(h.q, what, 0);
	uint64_t	 n;

	strlcpy(copy, word, sizeof(copy));
	assert_null(filter_parse(&w->filter, 1, argv));
	w->from = w->filter.id;
	while (walk_step(w))
		;
	n = w->fits;
	walk_free(w);
	return n;
}

static void
test_kept(void **state)
{
	struct store_rcpt r;
	glob_t		 g;

	(void)state;
	help_send(&h, 1, "a@from.example", "b@to.example c@to.example", 500);
	help_send(&h, 2, "a@from.example", "b@to.example", 90000);
	help_send(&h, 3, "a@from.example", "fail@to.example", 300);
	help_send(&h, 4, "a@from.example", "later@to.example", 300);
	queue_flush(h.q);
	help_change(&h, 4, CHANGE_HOLD, true);
	queue_flush(h.q);
	deliver();
	assert_true(kept(1) && kept(2) && kept(3) && !kept(4));
	assert_int_equal(h.q->messages, 1);
	assert_int_equal(h.q->kept, 4);		/* the bounce too */
	help_advance(1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(h.q->kept, 4);
		check_content(1, 500);
		check_content(2, 90000);
		assert_true(store_rcpt_get(h.q->store, 3, 0, &r));
		assert_int_equal(r.state, RCPT_FAILED);
		assert_int_equal(count(WALK_COUNT, "state=kept"), 4);
		assert_int_equal(count(WALK_COUNT, "all"), 1);
		assert_int_equal(h.q->messages, 1);
		check_sound();
		if (i == 0)
			again();
		if (i != 1)
			continue;
		help_close(&h);			/* and without its index */
		assert_int_equal(glob("*.db", 0, NULL, &g), 0);
		assert_int_equal(glob("log.*", GLOB_APPEND, NULL, &g), 0);
		for (size_t k = 0; k < g.gl_pathc; k++)
			unlink(g.gl_pathv[k]);
		globfree(&g);
		help_open(&h, conf);
	}
	/* Nothing of it is ever tried again. */
	actions[0] = '\0';
	help_advance(6 * DAY);
	house();
	deliver();
	assert_string_equal(actions, "");
	assert_int_equal(h.q->kept, 4);
	help_advance(2 * DAY);
	house();
	assert_int_equal(h.q->kept, 0);
	assert_false(dio_exists("body.0000000000000002"));
	assert_int_equal(h.q->messages, 1);
	check_sound();
	again();
	assert_int_equal(h.q->kept, 0);
	assert_int_equal(h.q->messages, 1);
}

/* Changes let them be, but for a removal that means them. */
static void
test_changes(void **state)
{
	char	 id[ID_STRLEN];

	(void)state;
	for (unsigned i = 1; i <= 10; i++)
		help_send(&h, i, "a@from.example", "b@to.example", 50);
	queue_flush(h.q);
	deliver();
	assert_int_equal(h.q->kept, 10);
	assert_int_equal(count(WALK_HOLD, "all"), 0);
	assert_int_equal(count(WALK_REMOVE, "all"), 0);
	assert_int_equal(count(WALK_SCHEDULE, "state=kept"), 10);
	assert_int_equal(count(WALK_BOUNCE, "state=kept"), 10);
	assert_int_equal(h.q->kept, 10);
	assert_int_equal(h.q->messages, 0);
	assert_int_equal(count(WALK_REMOVE, id_str(3, id)), 1);
	assert_int_equal(h.q->kept, 9);
	assert_int_equal(count(WALK_REMOVE, "state=kept"), 9);
	assert_int_equal(h.q->kept, 0);
	check_sound();
}

/* Their segments are emptied like others', and they with them carried. */
static void
test_compact(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 5; i++)
		help_send(&h, i, "a@from.example", "b@to.example", 20000);
	queue_flush(h.q);
	deliver();
	conf->keep_ms = 0;
	for (unsigned i = 10; i < 400; i++) {
		help_send(&h, i, "a@from.example", "b@to.example", 20000);
		if (i % 5 == 0) {
			queue_flush(h.q);
			deliver();
			house();
		}
	}
	deliver();
	house();
	assert_int_equal(h.q->kept, 5);
	assert_true(segs_oldest(h.q->segs) > 5);
	assert_true(segs_count(h.q->segs) < 8);
	for (unsigned i = 1; i <= 5; i++) {
		assert_true(kept(i));
		check_content(i, 20000);
	}
	again();
	assert_int_equal(h.q->kept, 5);
	check_content(5, 20000);
	check_sound();
	help_advance(8 * DAY);
	house();
	assert_int_equal(h.q->kept, 0);
}

/* Off by configuration: what is kept has its time, nothing comes to it. */
static void
test_steps(void **state)
{
	unsigned	 steps = 0;

	(void)state;
	for (unsigned i = 1; i <= 300; i++)
		help_send(&h, i, "a@from.example", "b@to.example", 10);
	queue_flush(h.q);
	deliver();
	assert_int_equal(h.q->kept, 300);
	house();
	help_advance(8 * DAY);
	while (keep_step(h.q)) {
		steps++;
		assert_true(h.q->kept <= 300 - 64 * steps);
	}
	assert_true(steps >= 4);
	assert_int_equal(h.q->kept, 0);
}

/* A disk that is short of room: the oldest go first, mail is taken on. */
static void
test_early(void **state)
{
	uint64_t	 was = conf->reserve;

	(void)state;
	for (unsigned i = 1; i <= 200; i++)
		help_send(&h, i, "a@from.example", "b@to.example", 1000);
	queue_flush(h.q);
	deliver();
	assert_int_equal(h.q->kept, 200);
	house();
	assert_int_equal(h.q->kept, 200);
	/* As much is wanted as is free, but for a little. */
	conf->reserve = h.q->space_free - h.q->params.store.cache -
	    h.q->params.store.lg_max - (1 << 20);
	space_check(h.q, true);
	assert_true(space_short(h.q) > 0);
	house();
	assert_int_equal(h.q->kept, 0);
	assert_false(h.q->closed);
	conf->reserve = was;
}

/* Nothing is taken above `queue size`, and again with a sixteenth free. */
static void
test_size(void **state)
{
	(void)state;
	conf->queue_size = 160000;
	conf->keep_ms = 0;
	for (unsigned i = 1; i <= 20; i++) {
		help_send(&h, i, "a@from.example", i % 2 ? "b@to.example" :
		    "fail@to.example", 10000);
		queue_flush(h.q);
	}
	assert_int_equal(h.q->messages, 16);
	assert_int_equal(h.results[15].status, Q_OK);
	assert_int_equal(h.results[16].status, Q_FULL);
	assert_true(h.q->closed && !h.q->low);
	assert_int_equal(count(WALK_REMOVE, "all"), 16);
	h.nresults = 0;
	for (unsigned i = 30; i < 46; i++) {
		help_send(&h, i, "a@from.example", "b@to.example", 10000);
		queue_flush(h.q);
	}
	assert_int_equal(h.q->messages, 16);
	space_check(h.q, false);
	assert_true(h.q->closed);
	help_change(&h, 30, CHANGE_REMOVE, false);
	queue_flush(h.q);
	space_check(h.q, false);
	assert_true(h.q->closed);	/* 150,000: not a sixteenth less */
	help_change(&h, 31, CHANGE_REMOVE, false);
	queue_flush(h.q);
	space_check(h.q, false);
	assert_false(h.q->closed);
	again();
	assert_int_equal(h.q->content_bytes, 140000);
	conf->queue_size = 0;
}

/* ---- rules again ---- */

static unsigned	 rows, no_rules;

static void
route_row(struct walk *w, uint64_t id, const struct store_rcpt *r,
    const char *action, const char *why)
{
	(void)w;
	(void)id;
	(void)r;
	rows += action != NULL;
	no_rules += why != NULL;
}

static void
reroute(const char *word, bool dry, uint64_t changed, uint64_t same,
    uint64_t none)
{
	char		 copy[100], *argv[1] = { copy };
	struct walk	*w = walk_new(h.q, WALK_REROUTE, 0);

	strlcpy(copy, word, sizeof(copy));
	assert_null(filter_parse(&w->filter, 1, argv));
	w->route_row = route_row;
	w->dry = dry;
	rows = no_rules = 0;
	while (walk_step(w))
		;
	assert_int_equal(w->routed, changed);
	assert_int_equal(w->same, same);
	assert_int_equal(w->no_rule, none);
	assert_int_equal(rows, changed);
	assert_int_equal(no_rules, none);
	walk_free(w);
}

static void
test_reroute(void **state)
{
	struct store_rcpt r;
	struct conf_rule *rule = conf->rules[0];

	(void)state;
	help_send(&h, 1, "a@from.example", "b@one.example c@two.example", 500);
	help_send(&h, 2, "a@from.example", "d@one.example", 500);
	queue_flush(h.q);
	queue_run(h.q);		/* fresh jobs of the old action are ready */
	reroute("all", false, 0, 3, 0);
	rule->action = rule->actions[0] = conf->actions[1];
	reroute("all", true, 3, 0, 0);
	assert_true(store_rcpt_get(h.q->store, 1, 0, &r));
	assert_true(span_is(r.action, "relay"));
	reroute("domain=two.example", false, 1, 0, 0);
	assert_true(store_rcpt_get(h.q->store, 1, 1, &r));
	assert_true(span_is(r.action, "list"));
	assert_true(store_rcpt_get(h.q->store, 1, 0, &r));
	assert_true(span_is(r.action, "relay"));
	check_sound();
	again();
	assert_true(store_rcpt_get(h.q->store, 1, 1, &r));
	assert_true(span_is(r.action, "list"));
	rule->action = NULL;		/* it rejects */
	reroute("all", false, 0, 0, 3);
	rule->action = rule->actions[0] = conf->actions[1];
	reroute("all", false, 2, 1, 0);
	deliver();
	/* One destination now: two messages, a job each. */
	assert_string_equal(actions, "list list ");
	assert_int_equal(h.q->messages, 0);
	rule->action = rule->actions[0] = conf->actions[0];
}

/* What was accepted just now is delivered by the new action, once. */
static void
test_reroute_fresh(void **state)
{
	struct conf_rule *rule = conf->rules[0];

	(void)state;
	help_send(&h, 1, "a@from.example", "b@one.example c@two.example", 500);
	queue_flush(h.q);
	rule->action = rule->actions[0] = conf->actions[1];
	reroute("domain=one.example", false, 1, 0, 0);
	deliver();
	assert_true(strcmp(actions, "list relay ") == 0 ||
	    strcmp(actions, "relay list ") == 0);
	assert_int_equal(h.handed, 2);
	assert_int_equal(h.q->messages, 0);
	rule->action = rule->actions[0] = conf->actions[0];
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reroute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reroute_fresh, setup,
		    teardown),
	};

	conf = help_conf();
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
