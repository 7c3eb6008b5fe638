/*
 * Questions of several smtpd at queued: the same one is put to the server once,
 * who waits hears what is told, and nobody waits for one who is gone.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/base/clock.h"
#include "queued/verify.h"
#include "regress/lib/queuehelp.h"

#define HOUR	INT64_C(3600000)
#define FRONTS	3
#define HEARD	(VERIFY_ASKED_MAX + 100)

static const char	*path;
static struct conf	*conf;
static struct help	 h;
static struct event_base *base;
static struct verify	*v;
/* A smtpd, and queued's end of its channel. */
static struct front {
	struct chan	*smtpd, *queued;
	bool		 gone;
	size_t		 n;
	struct {
		uint32_t	 tid;
		uint8_t		 state;
		bool		 ask, probe, good;
		char		 reply[64];
	} heard[HEARD];
} f[FRONTS];

static void
on_answer(struct chan *c, const void *msg, int fd)
{
	const struct ipc_v_answer	*m = msg;
	struct front			*x = chan_arg(c);

	(void)fd;
	if (x->n == HEARD)
		abort();
	x->heard[x->n].tid = m->tid;
	x->heard[x->n].state = m->state;
	x->heard[x->n].ask = m->ask;
	x->heard[x->n].probe = m->probe;
	x->heard[x->n].good = m->good;
	span_cstr(m->reply, x->heard[x->n].reply, 64);
	x->n++;
}

static void
on_ask(struct chan *c, const void *msg, int fd)
{
	(void)fd;
	verify_ask(v, h.q, c, msg);
}

static void
on_tell(struct chan *c, const void *msg, int fd)
{
	(void)fd;
	verify_tell(v, h.q, c, msg);
}

static const struct chan_row smtpd_rows[] = {
	{ IPC_T_v_answer, on_answer },
	{ 0, NULL }
};
static const struct chan_row queued_rows[] = {
	{ IPC_T_v_ask, on_ask },
	{ IPC_T_v_tell, on_tell },
	{ 0, NULL }
};

static void
lost(struct chan *c, const char *why)
{
	struct front	*x = chan_arg(c);

	(void)why;
	x->gone = true;
}

static void
run(void)
{
	for (unsigned i = 0; i < 30; i++)
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

static int
enter(void **state)
{
	int	sv[2];

	(void)state;
	path = help_dir();
	help_clock();
	memset(&h, 0, sizeof(h));
	if (conf == NULL)
		conf = help_conf();
	help_open(&h, conf);
	base = event_base_new();
	v = verify_new();
	for (unsigned i = 0; i < FRONTS; i++) {
		memset(&f[i], 0, sizeof(f[i]));
		assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET |
		    SOCK_NONBLOCK, 0, sv), 0);
		f[i].smtpd = chan_new(base, sv[0], IPC_SMTPD, IPC_QUEUED,
		    smtpd_rows, lost, &f[i]);
		f[i].queued = chan_new(base, sv[1], IPC_QUEUED, IPC_SMTPD,
		    queued_rows, lost, &f[i]);
	}
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FRONTS; i++) {
		chan_free(f[i].smtpd);
		chan_free(f[i].queued);
	}
	verify_free(v);
	event_base_free(base);
	help_close(&h);
	help_dir_remove(path);
	return 0;
}

static void
ask(unsigned i, uint32_t tid, const char *to)
{
	CHAN_SEND(f[i].smtpd, v_ask, .tid = tid,
	    .where = span_str("action relay"), .target = span_str("x.example"),
	    .to = span_str(to), .cache_ms = 4 * HOUR, .good_ms = 720 * HOUR);
	run();
}

static void
tell(unsigned i, uint32_t tid, uint8_t state, uint8_t any, const char *reply)
{
	CHAN_SEND(f[i].smtpd, v_tell, .tid = tid, .state = state, .any = any,
	    .reply = span_str(reply), .server = span_str("s"));
	run();
}

/* The next answer at front i. */
#define hears(i, t, st, ask_) do {					\
	size_t	k_ = seen[i]++;						\
									\
	assert_true(k_ < f[i].n);					\
	assert_int_equal(f[i].heard[k_].tid, (t));			\
	assert_int_equal(f[i].heard[k_].state, (st));			\
	assert_int_equal(f[i].heard[k_].ask, (ask_));			\
} while (0)
#define hears_no_more() do {						\
	for (unsigned i_ = 0; i_ < FRONTS; i_++)			\
		assert_int_equal(f[i_].n, seen[i_]);			\
} while (0)

static void
joined(void **state)
{
	size_t	seen[FRONTS] = { 0 };

	(void)state;
	ask(0, 1, "u@x.example");
	hears(0, 1, V_NONE, true);
	assert_true(f[0].heard[0].probe);
	ask(1, 1, "u@x.example");
	ask(1, 2, "u@x.example");
	ask(2, 7, "U@x.example");
	hears(2, 7, V_NONE, true);
	hears_no_more();
	assert_int_equal(verify_count(v), 2);
	tell(0, 1, V_GOOD, V_ANY_NO, "250 ok");
	hears(1, 1, V_GOOD, false);
	hears(1, 2, V_GOOD, false);
	assert_string_equal(f[1].heard[0].reply, "250 ok");
	assert_true(f[1].heard[0].good);
	hears_no_more();
	/* Known now, without a question; of another one it is asked whether
	 * he is there, and no more of the server. */
	ask(0, 2, "u@x.example");
	hears(0, 2, V_GOOD, false);
	ask(0, 3, "v@x.example");
	hears(0, 3, V_NONE, true);
	assert_false(f[0].heard[2].probe);
	/* Told twice, or by somebody else: nothing comes of it. */
	tell(0, 1, V_BAD, V_ANY_NO, "550 no");
	tell(1, 3, V_BAD, V_ANY_NO, "550 no");
	ask(0, 4, "u@x.example");
	hears(0, 4, V_GOOD, false);
	hears_no_more();
}

static void
anew(void **state)
{
	size_t	seen[FRONTS] = { 0 };

	(void)state;
	ask(0, 1, "u@x.example");
	tell(0, 1, V_BAD, V_ANY_NOT_ASKED, "550 no");
	hears(0, 1, V_NONE, true);
	/* A no that is used is asked for anew, by one. */
	ask(1, 1, "u@x.example");
	hears(1, 1, V_BAD, true);
	ask(2, 1, "u@x.example");
	hears(2, 1, V_BAD, false);
	tell(1, 1, V_GOOD, V_ANY_NO, "250 ok");
	ask(2, 2, "u@x.example");
	hears(2, 2, V_GOOD, false);
	/* A yes behind three quarters of its time. */
	help_advance(3 * HOUR + 1);
	ask(2, 3, "u@x.example");
	hears(2, 3, V_GOOD, true);
	ask(0, 2, "u@x.example");
	hears(0, 2, V_GOOD, false);
	tell(2, 3, V_DOWN, V_ANY_NOT_ASKED, "");
	help_advance(HOUR);
	/* Now somebody has to wait, and may have it for known-good. */
	ask(0, 3, "u@x.example");
	hears(0, 3, V_NONE, true);
	assert_true(f[0].heard[2].good);
	ask(1, 2, "u@x.example");
	tell(0, 3, V_DOWN, V_ANY_NOT_ASKED, "refused");
	hears(1, 2, V_DOWN, false);
	assert_true(f[1].heard[1].good);
	hears_no_more();
}

/* The one who asks dies, in both ways. */
static void
gone(void **state)
{
	size_t	seen[FRONTS] = { 0 };

	(void)state;
	ask(0, 1, "u@x.example");
	hears(0, 1, V_NONE, true);
	ask(1, 1, "u@x.example");
	ask(2, 1, "u@x.example");
	ask(0, 2, "v@x.example");
	hears(0, 2, V_NONE, true);
	verify_gone(v, h.q, f[0].queued);
	run();
	hears(1, 1, V_NONE, true);
	hears_no_more();
	assert_int_equal(verify_count(v), 1);
	/* One who waits dies: nobody else notices. */
	verify_gone(v, h.q, f[2].queued);
	tell(1, 1, V_BAD, V_ANY_NOT_ASKED, "550 no");
	hears_no_more();
	assert_int_equal(verify_count(v), 0);
}

/* One who never tells: the others are not left waiting. */
static void
silent(void **state)
{
	size_t	seen[FRONTS] = { 0 };

	(void)state;
	ask(0, 1, "u@x.example");
	hears(0, 1, V_NONE, true);
	ask(1, 1, "u@x.example");
	help_advance(VERIFY_TELL_MS);
	verify_house(v, h.q);
	run();
	hears_no_more();
	help_advance(1);
	verify_house(v, h.q);
	run();
	hears(1, 1, V_LATER, false);
	hears_no_more();
	/* It may tell late, and be asked again. */
	tell(0, 1, V_GOOD, V_ANY_NO, "250 ok");
	ask(0, 1, "u@x.example");
	hears(0, 1, V_NONE, true);
}

static void
many(void **state)
{
	char	to[40];

	(void)state;
	for (uint32_t i = 1; i <= VERIFY_ASKED_MAX + 5; i++) {
		snprintf(to, sizeof(to), "u%u@x.example", i);
		ask(0, i, to);
	}
	assert_int_equal(verify_count(v), VERIFY_ASKED_MAX);
	assert_int_equal(f[0].heard[VERIFY_ASKED_MAX - 1].state, V_NONE);
	for (size_t i = VERIFY_ASKED_MAX; i < f[0].n; i++) {
		assert_int_equal(f[0].heard[i].state, V_BUSY);
		assert_false(f[0].heard[i].ask);
	}
	/* Who waits for one of them is counted, too. */
	for (uint32_t i = 0; i < VERIFY_WAIT_MAX + 1; i++)
		ask(1, 10 + i, "u1@x.example");
	assert_int_equal(f[1].n, 1);
	assert_int_equal(f[1].heard[0].state, V_BUSY);
}

/* What still holds is not asked for anew while there is so much to ask. */
static void
crowded(void **state)
{
	char	to[40];

	(void)state;
	ask(1, 1, "bad@x.example");
	tell(1, 1, V_BAD, V_ANY_NO, "550 no");
	for (uint32_t i = 1; i <= VERIFY_AGAIN_MAX; i++) {
		snprintf(to, sizeof(to), "u%u@x.example", i);
		ask(0, i, to);
	}
	ask(1, 2, "bad@x.example");
	assert_int_equal(f[1].heard[1].state, V_BAD);
	assert_false(f[1].heard[1].ask);
	tell(0, 1, V_BAD, V_ANY_NO, "550 no");
	ask(1, 3, "bad@x.example");
	assert_true(f[1].heard[2].ask);
}

static void
wrong(void **state)
{
	(void)state;
	tell(0, 1, V_BUSY + 1, V_ANY_NO, "");
	assert_true(f[0].gone);
	tell(1, 1, V_GOOD, V_ANY_YES + 1, "");
	assert_true(f[1].gone);
	/* A number twice. */
	ask(2, 1, "u@x.example");
	ask(2, 1, "v@x.example");
	assert_true(f[2].gone);
}

#define CASE(x)	cmocka_unit_test_setup_teardown(x, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(joined),
		CASE(anew),
		CASE(gone),
		CASE(silent),
		CASE(many),
		CASE(crowded),
		CASE(wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
