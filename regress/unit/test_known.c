/*
 * What queued remembers of recipients: rows that survive, times by a clock that
 * stands still, what goes first when there are too many, what deliveries show.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include <db.h>

#include "common/base/clock.h"
#include "queued/diskio.h"
#include "queued/known.h"
#include "queued/side.h"
#include "regress/lib/queuehelp.h"

#define MIN	INT64_C(60000)
#define HOUR	(60 * MIN)
#define DAY	(24 * HOUR)

static const char	*path;
static struct conf	*conf;
static struct help	 h;
static const struct known_params params = { 4 * HOUR, 30 * DAY };

static int
enter(void **state)
{
	static struct conf_known_source	server = { .kind = KNOWN_SERVER };

	(void)state;
	path = help_dir();
	help_clock();
	memset(&h, 0, sizeof(h));
	h.can_hand = true;
	if (conf == NULL)
		conf = help_conf();
	conf->actions[0]->known = &server;
	conf->actions[0]->nknown = 1;
	conf->actions[0]->known_cache_ms = params.cache_ms;
	conf->actions[0]->known_good_ms = params.good_ms;
	known_limit(KNOWN_MAX);
	help_open(&h, conf);
	assert_false(h.q->down);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	if (h.q != NULL)
		help_close(&h);
	help_dir_remove(path);
	return 0;
}

static struct verify_key
key_at(const char *to, const char *target)
{
	static char		 domains[4][256];
	static unsigned		 n;
	struct verify_key	 k;

	assert_true(known_key(span_str(to), span_str("action relay"),
	    span_str(target), domains[n++ % 4], &k));
	return k;
}

static struct verify_key
key(const char *to)
{
	return key_at(to, "x.example");
}

static struct known
look(const char *to)
{
	struct verify_key	 k = key(to);
	struct known		 out;

	known_look(h.q, &k, &params, &out);
	return out;
}

static void
tell(const char *to, enum v_state st, enum v_any any, const char *reply)
{
	struct verify_key	 k = key(to);

	known_tell(h.q, &k, &params, st, any, span_str(reply),
	    span_str("sink[192.0.2.1]:25"));
}

static void
again(void)
{
	help_close(&h);
	help_open(&h, conf);
	assert_false(h.q->down);
}

static uint64_t
count(void)
{
	return side_count(store_verify(h.q->store));
}

#define is(to, st, again_, good_) do {					\
	struct known	k_ = look(to);					\
									\
	assert_int_equal(k_.state, (st));				\
	assert_int_equal(k_.refresh, (again_));				\
	assert_int_equal(k_.good, (good_));				\
} while (0)

static void
keys(void **state)
{
	char			 domain[256], longer[400];
	struct span		 none = { NULL, 0 };
	struct verify_key	 k;

	(void)state;
	assert_true(known_key(span_str("A.b@X.Example"), none, none, domain,
	    &k));
	assert_true(span_is(k.local, "A.b"));
	assert_true(span_is(k.domain, "x.example"));
	assert_true(known_key(span_str("\"a@b\"@x"), none, none, domain, &k));
	assert_true(span_is(k.local, "\"a@b\""));
	assert_true(known_key(span_str("postmaster"), none, none, domain, &k));
	assert_int_equal(k.domain.len, 0);
	assert_false(known_key(span_str("@x"), none, none, domain, &k));
	memset(longer, 'a', sizeof(longer) - 1);
	longer[1] = '@';
	longer[sizeof(longer) - 1] = '\0';
	assert_false(known_key(span_str(longer), none, none, domain, &k));
	/* One that is too long for a row is not kept, and harms nobody. */
	tell("u@x.example", V_GOOD, V_ANY_NOT_ASKED, "250 ok");
	k = key("u@x.example");
	k.target = span_str(longer);
	k.where = span_str(longer);
	k.local = span_str(longer);
	known_tell(h.q, &k, &params, V_GOOD, V_ANY_NOT_ASKED, none, none);
	assert_int_equal(count(), 1);
}

static void
good(void **state)
{
	struct known	k;

	(void)state;
	is("u@x.example", V_NONE, false, false);
	tell("u@x.example", V_GOOD, V_ANY_NO, "250 ok");
	is("u@x.example", V_GOOD, false, true);
	/* The domain has no case, the local part has. */
	is("u@X.EXAMPLE", V_GOOD, false, true);
	is("U@x.example", V_NONE, false, false);
	k = look("u@x.example");
	assert_string_equal(k.reply, "250 ok");
	assert_string_equal(k.server, "sink[192.0.2.1]:25");
	assert_int_equal(k.any, V_ANY_NO);
	/* From three quarters on it is asked for anew. */
	help_advance(3 * HOUR);
	is("u@x.example", V_GOOD, false, true);
	help_advance(1);
	is("u@x.example", V_GOOD, true, true);
	help_advance(HOUR - 2);
	is("u@x.example", V_GOOD, true, true);
	help_advance(1);
	is("u@x.example", V_NONE, false, true);
	/* known-good, for the time that the server is down. */
	tell("u@x.example", V_DOWN, V_ANY_NOT_ASKED, "");
	tell("u@x.example", V_LATER, V_ANY_NOT_ASKED, "451 x");
	is("u@x.example", V_NONE, false, true);
	help_advance(30 * DAY - 4 * HOUR - 1);
	is("u@x.example", V_NONE, false, true);
	help_advance(1);
	is("u@x.example", V_NONE, false, false);
}

static void
bad(void **state)
{
	(void)state;
	tell("u@x.example", V_GOOD, V_ANY_NO, "250 ok");
	tell("u@x.example", V_BAD, V_ANY_NOT_ASKED, "550 5.1.1 no");
	/* Once it was good; not any more. Each use asks anew. */
	is("u@x.example", V_BAD, true, false);
	assert_string_equal(look("u@x.example").reply, "550 5.1.1 no");
	help_advance(KNOWN_BAD_MS - 1);
	is("u@x.example", V_BAD, true, false);
	help_advance(1);
	is("u@x.example", V_NONE, false, false);
	/* A clock that was set back. */
	tell("u@x.example", V_GOOD, V_ANY_NOT_ASKED, "250 ok");
	help_advance(-DAY);
	assert_int_equal(look("u@x.example").state, V_NONE);
	help_advance(DAY);
}

/* A server whose yes means nothing. */
static void
any(void **state)
{
	struct verify_key	 k = key_at("u@x.example", "other");
	struct known		 out;

	(void)state;
	tell("u@x.example", V_GOOD, V_ANY_YES, "250 ok");
	is("u@x.example", V_GOOD, false, true);
	is("whoever@x.example", V_GOOD, false, true);
	/* No row is kept of whom it takes. */
	assert_int_equal(count(), 1);
	/* At another server nothing is known. */
	known_look(h.q, &k, &params, &out);
	assert_int_equal(out.state, V_NONE);
	assert_int_equal(out.any, V_ANY_NOT_ASKED);
	/* A no still is one. */
	tell("bad@x.example", V_BAD, V_ANY_NOT_ASKED, "550 no");
	is("bad@x.example", V_BAD, true, false);
	/* For a day; then it may have come to its senses. */
	help_advance(KNOWN_ANY_MS);
	is("u@x.example", V_NONE, false, false);
	assert_int_equal(look("u@x.example").any, V_ANY_NOT_ASKED);
	tell("u@x.example", V_GOOD, V_ANY_NO, "250 ok");
	is("whoever@x.example", V_NONE, false, false);
	assert_int_equal(look("whoever@x.example").any, V_ANY_NO);
}

static void
killed(void *arg)
{
	(void)arg;
	help_open(&h, conf);
	CHECK(!h.q->down);
	tell("w@x.example", V_BAD, V_ANY_NOT_ASKED, "550 no");
}

static void
restart(void **state)
{
	struct verify_row	 r;
	struct verify_key	 k = key("u@x.example");
	int64_t			 since = clock_wall().ms;

	(void)state;
	tell("u@x.example", V_GOOD, V_ANY_NO, "250 ok");
	help_advance(MIN);
	tell("u@x.example", V_GOOD, V_ANY_NO, "250 again");
	tell("v@x.example", V_BAD, V_ANY_NOT_ASKED, "550 no");
	again();
	assert_int_equal(count(), 3);
	is("u@x.example", V_GOOD, false, true);
	is("v@x.example", V_BAD, true, false);
	assert_true(store_verify_get(store_verify(h.q->store), &k, &r));
	assert_int_equal(r.since_ms, since);
	assert_int_equal(r.asked_ms, since + MIN);
	assert_int_equal(r.until_ms, since + MIN + 4 * HOUR);
	assert_int_equal(r.drop_ms, since + MIN + 30 * DAY);
	assert_false(r.by_delivery);
	assert_true(span_is(r.reply, "250 again"));
	/* As by kill -9, without an orderly end. */
	help_close(&h);
	assert_int_equal(help_child(killed, NULL), 0);
	help_open(&h, conf);
	assert_false(h.q->down);
	is("w@x.example", V_BAD, true, false);
	/* A rebuild begins anew, with the queue unharmed. */
	help_send(&h, 4711, "a@b.example", "u@x.example", 100);
	queue_flush(h.q);
	help_close(&h);
	store_set_aside();
	help_open(&h, conf);
	assert_false(h.q->down);
	assert_int_equal(h.q->messages, 1);
	assert_int_equal(count(), 0);
	is("u@x.example", V_NONE, false, false);
}

/* Rows that can't be read are none, and go with the next ones. */
static void
damaged(void **state)
{
	static const char	 name[] = "kx.example\0u\0action relay\0x.example";
	static const char *const rows[] = { "", "\1", "\2\1\1\1", ("\1\1\1\1"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\377\377") };
	DB			*db;
	DBT			 k, d;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tell("u@x.example", V_BAD, V_ANY_NOT_ASKED, "550 no");
		help_close(&h);
		memset(&k, 0, sizeof(k));
		memset(&d, 0, sizeof(d));
		k.data = (void *)(uintptr_t)name;
		k.size = sizeof(name) - 1;
		d.data = (void *)(uintptr_t)rows[i];
		d.size = (uint32_t)strlen(rows[i]);
		assert_int_equal(db_create(&db, NULL, 0), 0);
		assert_int_equal(db->open(db, NULL, "verify.db", NULL,
		    DB_BTREE, 0, 0), 0);
		assert_int_equal(db->put(db, NULL, &k, &d, 0), 0);
		assert_int_equal(db->close(db, 0), 0);
		help_open(&h, conf);
		assert_false(h.q->down);
		is("u@x.example", V_NONE, false, false);
		tell("u@x.example", V_BAD, V_ANY_NOT_ASKED, "550 no");
		is("u@x.example", V_BAD, true, false);
	}
	help_advance(KNOWN_BAD_MS + 1);
	while (known_sweep(h.q))
		continue;
	assert_int_equal(count(), 0);
}

/* Those go first whose time ends first; and what is over goes by itself. */
static void
bounds(void **state)
{
	char	to[40];

	(void)state;
	known_limit(20);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(to, sizeof(to), "good%u@x.example", i);
		tell(to, V_GOOD, V_ANY_NOT_ASKED, "250 ok");
	}
	for (unsigned i = 0; i < 200; i++) {
		help_advance(10);
		snprintf(to, sizeof(to), "bad%u@x.example", i);
		tell(to, V_BAD, V_ANY_NOT_ASKED, "550 no");
		assert_true(count() <= 20);
	}
	is("good0@x.example", V_GOOD, false, true);
	is("good9@x.example", V_GOOD, false, true);
	is("bad0@x.example", V_NONE, false, false);
	is("bad199@x.example", V_BAD, true, false);
	assert_false(known_sweep(h.q));
	assert_int_equal(count(), 20);
	help_advance(KNOWN_BAD_MS + 1);
	assert_false(known_sweep(h.q));
	assert_int_equal(count(), 10);
	help_advance(30 * DAY);
	assert_false(known_sweep(h.q));
	assert_int_equal(count(), 0);
	/* In small steps. */
	known_limit(KNOWN_MAX);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(to, sizeof(to), "bad%u@x.example", i);
		tell(to, V_BAD, V_ANY_NOT_ASKED, "550 no");
	}
	help_advance(KNOWN_BAD_MS + 1);
	assert_true(known_sweep(h.q));
	assert_true(count() > 100);
	while (known_sweep(h.q))
		continue;
	assert_int_equal(count(), 0);
}

struct seen {
	char	 all[1000];
	unsigned left;
};

static bool
see(const struct verify_key *k, const struct verify_row *r, void *arg)
{
	struct seen	*s = arg;
	size_t		 n = strlen(s->all);

	snprintf(s->all + n, sizeof(s->all) - n, "%.*s/%.*s=%u ",
	    (int)k->local.len, (const char *)k->local.p, (int)k->target.len,
	    (const char *)k->target.p, (unsigned)r->state);
	return s->left == 0 || --s->left > 0;
}

static void
walks(void **state)
{
	struct side	*v = store_verify(h.q->store);
	struct verify_key	 k, after;
	struct span		 u = span_str("u");
	struct seen		 s = { "", 0 };

	(void)state;
	tell("u@x.example", V_GOOD, V_ANY_NO, "250 ok");
	tell("uu@x.example", V_BAD, V_ANY_NOT_ASKED, "550 no");
	tell("u@x.examples", V_BAD, V_ANY_NOT_ASKED, "550 no");
	k = key_at("u@x.example", "y");
	known_tell(h.q, &k, &params, V_BAD, V_ANY_NOT_ASKED, u, u);
	store_verify_each(v, span_str("x.example"), NULL, NULL, see, &s);
	assert_string_equal(s.all, "/x.example=0 u/x.example=1 u/y=2 "
	    "uu/x.example=2 ");
	s.all[0] = '\0';
	store_verify_each(v, span_str("x.example"), &u, NULL, see, &s);
	assert_string_equal(s.all, "u/x.example=1 u/y=2 ");
	s = (struct seen){ "", 1 };
	after = key("u@x.example");
	store_verify_each(v, span_str("x.example"), NULL, &after, see, &s);
	assert_string_equal(s.all, "u/y=2 ");
	assert_true(store_verify_del(v, &k));
	assert_false(store_verify_del(v, &k));
	is("u@x.example", V_GOOD, false, true);
	assert_int_equal(count(), 4);
}

/* ---- deliveries ---- */

static enum d_status	 status;
static const char	*said;

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	(void)r;
	(void)m;
	help_end(x, j, status, said, D_DEST_OK);
}

static void
deliver(const char *to, enum d_status st, const char *reply)
{
	static uint64_t	 id = 100;

	status = st;
	said = reply;
	help_send(&h, ++id, "a@b.example", to, 100);
	queue_flush(h.q);
	queue_run(h.q);
	queue_flush(h.q);
}

static void
deliveries(void **state)
{
	struct verify_row	 r;
	struct verify_key	 k = key("u@x.example");

	(void)state;
	h.hand = hand;
	deliver("u@x.example", D_OK, "250 2.0.0 Ok");
	is("u@x.example", V_GOOD, false, true);
	assert_true(store_verify_get(store_verify(h.q->store), &k, &r));
	assert_true(r.by_delivery);
	deliver("v@x.example", D_TEMP, "451 4.2.0 later");
	is("v@x.example", V_NONE, false, false);
	/* A no to the message is none to the recipient. */
	deliver("w@x.example", D_PERM, "550 5.7.1 spam");
	is("w@x.example", V_NONE, false, false);
	deliver("w@x.example", D_PERM, "554 no");
	is("w@x.example", V_NONE, false, false);
	deliver("w@x.example", D_PERM, "550 5.1.1 no such user");
	is("w@x.example", V_BAD, true, false);
	deliver("u@x.example", D_PERM, "550 5.2.1 disabled");
	is("u@x.example", V_BAD, true, false);
	deliver("u@x.example", D_OK, "250 Ok");
	is("u@x.example", V_GOOD, false, true);
	/* Who gets much mail is written down now and then. */
	help_advance(MIN);
	deliver("u@x.example", D_OK, "250 Ok");
	assert_true(store_verify_get(store_verify(h.q->store), &k, &r));
	assert_int_equal(r.asked_ms, clock_wall().ms - MIN);
	help_advance(HOUR);
	deliver("u@x.example", D_OK, "250 Ok");
	assert_true(store_verify_get(store_verify(h.q->store), &k, &r));
	assert_int_equal(r.asked_ms, clock_wall().ms);
	/* Where nobody asks servers nothing is kept. */
	conf->actions[0]->nknown = 0;
	deliver("z@x.example", D_OK, "250 Ok");
	is("z@x.example", V_NONE, false, false);
}

/* ---- live sessions ---- */

static void
learn(const char *to, enum v_state st, const char *reply)
{
	struct verify_key	 k = key(to);

	known_learn(h.q, &k, &params, st, span_str(reply), span_str("s"));
}

static void
live(void **state)
{
	struct verify_row	 r;
	struct verify_key	 k = key("u@x.example");

	(void)state;
	learn("u@x.example", V_GOOD, "250 Ok");
	is("u@x.example", V_GOOD, false, true);
	/* Written down now and then. */
	help_advance(MIN);
	learn("u@x.example", V_GOOD, "250 Ok");
	assert_true(store_verify_get(store_verify(h.q->store), &k, &r));
	assert_int_equal(r.asked_ms, clock_wall().ms - MIN);
	help_advance(HOUR);
	learn("u@x.example", V_GOOD, "250 Ok");
	assert_true(store_verify_get(store_verify(h.q->store), &k, &r));
	assert_int_equal(r.asked_ms, clock_wall().ms);
	/* A no counts at once, and ends what was known. */
	learn("u@x.example", V_BAD, "550 5.1.1 gone");
	is("u@x.example", V_BAD, true, false);
	h.q->closed = true;
	learn("u@x.example", V_GOOD, "250 Ok");
	h.q->closed = false;
	is("u@x.example", V_BAD, true, false);
}

/* With a full disk, or without a queue, nothing is known and nothing kept. */
static void
closed(void **state)
{
	(void)state;
	tell("u@x.example", V_GOOD, V_ANY_NO, "250 ok");
	h.q->closed = true;
	is("u@x.example", V_NONE, false, false);
	tell("v@x.example", V_BAD, V_ANY_NO, "550 no");
	assert_false(known_sweep(h.q));
	h.q->closed = false;
	is("u@x.example", V_GOOD, false, true);
	is("v@x.example", V_NONE, false, false);
}

#define CASE(f)	cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(keys),
		CASE(good),
		CASE(bad),
		CASE(any),
		CASE(restart),
		CASE(damaged),
		CASE(bounds),
		CASE(walks),
		CASE(deliveries),
		CASE(live),
		CASE(closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
