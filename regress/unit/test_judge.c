/*
 * keyd's passwd: the logins that smtpd asks about, with the processes that check
 * slow hashes beside it. What is right and wrong, the time that either takes,
 * what was right a moment ago, a changed file, too much at a time, an asker that
 * goes, a worker that dies.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "keyd/check.h"
#include "keyd/judge.h"
#include "keyd/lately.h"
#include "keyd/scrams.h"

#define ANSWERS_MAX	600

static struct event_base *base;
static struct chan	*smtpd;		/* our end */
static struct {
	uint32_t	 tid;
	uint8_t		 verdict;
	char		 why[101];
	char		 said[1025];
} answers[ANSWERS_MAX];
static size_t		 n;
static uint8_t		 can;		/* of the table told last */
static bool		 is_dead;
static struct tables	*tables;

struct event_base *
proc_base(const struct proc *p)
{
	(void)p;
	return base;
}

void
proc_report(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *why)
{
	(void)p;
	(void)role;
	(void)worker;
	fail_msg("%s", why);
}

static void
on_judged(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_judged	*m = msg;

	(void)c;
	(void)fd;
	assert_true(n < ANSWERS_MAX);
	answers[n].tid = m->tid;
	answers[n].verdict = m->verdict;
	span_cstr(m->why, answers[n].why, sizeof(answers[n].why));
	span_cstr(m->said, answers[n].said, sizeof(answers[n].said));
	n++;
}

static void
on_table(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	can = ((const struct ipc_k_table *)msg)->can;
}

static const struct chan_row rows[] = {
	{ IPC_T_k_judged, on_judged },
	{ IPC_T_k_table, on_table },
	{ 0, NULL }
};

static void
on_closed(struct chan *c, const char *why)
{
	(void)c;
	(void)why;
}

static void
connect_smtpd(void)
{
	int	sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    sv), 0);
	smtpd = chan_new(base, sv[0], IPC_SMTPD, IPC_PASSWD, rows, on_closed,
	    NULL);
	judge_peer(NULL, IPC_SMTPD, 1, "smtpd.1", sv[1]);
}

/* Until there are so many answers. */
static void
wait_for(size_t want)
{
	struct mono	end = { clock_mono().ms + 60000 };

	while (n < want && clock_mono().ms < end.ms)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(n, want);
}

static void
ask_how(uint32_t tid, enum k_how how, const char *user, struct span said,
    bool first, const char *challenge)
{
	chan_send_secret(smtpd, IPC_T_k_login, &(struct ipc_k_login){
	    .tid = tid, .table = span_str("people"), .how = (uint8_t)how,
	    .first = first, .user = span_str(user), .said = said,
	    .challenge = span_str(challenge) });
}

static void
ask(uint32_t tid, const char *user, const char *password)
{
	ask_how(tid, K_PASSWORD, user, span_str(password), true, "");
}

/* The verdict of one, and how many microseconds it took. */
static enum k_verdict
one(const char *user, const char *password, int64_t *us)
{
	struct timespec	a, b;

	n = 0;
	clock_gettime(CLOCK_MONOTONIC, &a);
	ask(7, user, password);
	wait_for(1);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(answers[0].tid, 7);
	if (us != NULL)
		*us = (b.tv_sec - a.tv_sec) * 1000000 +
		    (b.tv_nsec - a.tv_nsec) / 1000;
	return (enum k_verdict)answers[0].verdict;
}

/* A table of these lines; a password stands behind "name=". */
static void
table(const char *text)
{
	struct tables	*t = tables_new(), *old = tables;
	int		 fd = memfd_create("users", MFD_CLOEXEC);
	struct conf	 conf = { 0 };
	const char	*why;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	tables_add(t, "people", "/people", fd);
	assert_true(tables_finish(t, &conf, &why));
	judge_tables(t);
	tables = t;
	tables_free(old);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static char	hash_a[HASH_MAX + 1], hash_b[HASH_MAX + 1];

static void
people(const char *anna)
{
	char	text[2048];

	snprintf(text, sizeof(text), "anna:%s\nbert:%s\ncarl:!%s\n"
	    "dora:%s::::::nologin\n", anna, hash_b, hash_a, hash_a);
	table(text);
}

static void
test_verdicts(void **state)
{
	(void)state;
	people(hash_a);
	assert_int_equal(can, 0);
	assert_int_equal(one("anna", "geheim", NULL), K_YES);
	assert_int_equal(one("bert", "geheim", NULL), K_YES);
	assert_int_equal(one("anna", "falsch", NULL), K_NO);
	assert_string_equal(answers[0].why, "wrong password");
	assert_int_equal(one("anna", "", NULL), K_NO);
	assert_int_equal(one("nemo", "geheim", NULL), K_NO);
	assert_string_equal(answers[0].why, "no such user");
	assert_int_equal(one("nemo", "geheim", NULL), K_NO);
	assert_int_equal(one("carl", "geheim", NULL), K_NO);
	assert_string_equal(answers[0].why, "the user is locked");
	assert_int_equal(one("dora", "geheim", NULL), K_NO);
	assert_int_equal(one("", "geheim", NULL), K_NO);
	n = 0;
	chan_send_secret(smtpd, IPC_T_k_login, &(struct ipc_k_login){
	    .tid = 9, .table = span_str("others"), .first = true,
	    .user = span_str("anna"), .said = span_str("geheim") });
	wait_for(1);
	assert_int_equal(answers[0].verdict, K_LATER);
}

/* The least of several in turn, which other programs disturb least. */
static void
test_time(void **state)
{
	static const char *const	 who[] = { "anna", "nemo", "carl" };
	int64_t				 least[3] = { 0 }, us, again = 0;
	char				 password[32];

	(void)state;
	people(hash_a);
	for (int i = 0; i < 12; i++)
		for (int k = 0; k < 3; k++) {
			snprintf(password, sizeof(password), "x%d", i);
			assert_int_equal(one(who[k], password, &us), K_NO);
			if (i == 0 || us < least[k])
				least[k] = us;
		}
	print_message("wrong %lld us, nobody %lld us, locked %lld us\n",
	    (long long)least[0], (long long)least[1], (long long)least[2]);
	/* A hash takes 20 ms; without one it would be 0.1 ms. */
	assert_in_range(least[1] * 100 / least[0], 30, 300);
	assert_in_range(least[2] * 100 / least[0], 30, 300);
	/* The second time of a good one costs none. */
	assert_int_equal(one("anna", "geheim", NULL), K_YES);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(one("anna", "geheim", &us), K_YES);
		if (i == 0 || us < again)
			again = us;
	}
	assert_true(again < least[0] / 3);
}

static void
test_changed(void **state)
{
	int64_t		 us, slow;
	uint64_t	 lately;

	(void)state;
	people(hash_a);
	assert_int_equal(one("anna", "geheim", NULL), K_YES);
	lately = judge_stats()->lately;
	assert_int_equal(one("anna", "geheim", &us), K_YES);
	assert_true(judge_stats()->lately > lately);
	/* Another password on file: the old one is void at once. */
	people(hash_b);
	lately = judge_stats()->lately;
	assert_int_equal(one("anna", "geheim", &slow), K_YES);
	assert_int_equal(judge_stats()->lately, lately);
	table("anna:!\n");
	assert_int_equal(one("anna", "geheim", NULL), K_NO);
	table("anna:{PLAIN}other\n");
	assert_int_equal(can, K_CAN_CRAM_MD5);
	assert_int_equal(one("anna", "geheim", NULL), K_NO);
	assert_int_equal(one("anna", "other", NULL), K_YES);
	table("");
	assert_int_equal(can, 0);
	assert_int_equal(one("anna", "other", NULL), K_NO);
}

/* More than wait, and more than one may ask: told so, and all are answered. */
static void
test_overflow(void **state)
{
	size_t		 later = 0, no = 0;
	char		 password[32];

	(void)state;
	table("anna:{PLAIN}geheim\n");
	nanosleep(&(struct timespec){ 2, 100000000 }, NULL);
	n = 0;
	for (uint32_t i = 0; i < 500; i++) {
		snprintf(password, sizeof(password), "w%u", i);
		ask(i, "anna", password);
	}
	wait_for(500);
	for (size_t i = 0; i < n; i++) {
		later += answers[i].verdict == K_LATER;
		no += answers[i].verdict == K_NO;
	}
	assert_int_equal(later + no, 500);
	assert_true(no >= JUDGE_BURST && no <= JUDGE_BURST + JUDGE_RATE * 20);
	assert_int_equal(check_waiting(), 0);
}

static void
nothing(void *arg, enum hash_result r)
{
	(void)r;
	++*(size_t *)arg;
}

static void
test_queue_bound(void **state)
{
	size_t	done = 0, taken = 0;

	(void)state;
	while (check_ask(span_str("{PLAIN}x"), span_str("y"), nothing, &done))
		taken++;
	assert_int_equal(taken, CHECK_WAITING_MAX + check_workers());
	while (done < taken)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(check_waiting(), 0);
}

/* In the worker: an answer to something else. */
enum hash_result __real_hash_check(struct span, struct span,
    struct crypt_data *);
enum hash_result __wrap_hash_check(struct span, struct span,
    struct crypt_data *);
int __real_chan_send_now(int, uint16_t, const void *, int);
int __wrap_chan_send_now(int, uint16_t, const void *, int);
static bool	lies;

enum hash_result
__wrap_hash_check(struct span hash, struct span password,
    struct crypt_data *data)
{
	lies = span_is(password, "lie");
	return __real_hash_check(hash, password, data);
}

int
__wrap_chan_send_now(int to, uint16_t type, const void *msg, int fd)
{
	struct ipc_k_checked	k;

	if (!lies || type != IPC_T_k_checked)
		return __real_chan_send_now(to, type, msg, fd);
	k = *(const struct ipc_k_checked *)msg;
	k.tid++;
	return __real_chan_send_now(to, type, &k, fd);
}

/* The last: a worker is gone. */
static void
test_lie(void **state)
{
	size_t	done = 0;

	(void)state;
	assert_true(check_ask(span_str("{PLAIN}lie"), span_str("lie"), nothing,
	    &done));
	while (!is_dead && done == 0)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(done, 0);
	is_dead = false;
}

static void
test_gone(void **state)
{
	(void)state;
	people(hash_a);
	n = 0;
	for (uint32_t i = 0; i < 5; i++)
		ask(i, "anna", "falsch");
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
	chan_free(smtpd);
	connect_smtpd();
	/* What was in work goes on, and is nobody's. */
	assert_int_equal(one("bert", "geheim", NULL), K_YES);
}

#define PENCIL "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

/* The salt of the challenge to this name. */
static void
salt_of(uint32_t tid, const char *user, char salt[64])
{
	char	said[128];

	snprintf(said, sizeof(said), "n,,n=%s,r=abcdef", user);
	n = 0;
	ask_how(tid, K_SCRAM, user, span_str(said), true, "");
	wait_for(1);
	assert_int_equal(answers[0].verdict, K_MORE);
	assert_int_equal(sscanf(answers[0].said, "r=%*[^,],s=%63[^,],i=4096",
	    salt), 1);
}

static void
test_scram(void **state)
{
	char	a[64], b[64], c[64];

	(void)state;
	table("user:" PENCIL "\n");
	assert_int_equal(can, K_CAN_SCRAM);
	salt_of(1, "user", a);
	assert_string_equal(a, "W22ZaJ0SNY7soEsUEjb6gQ==");
	/* Nobody's looks the same, and is the same each time. */
	salt_of(2, "nemo", a);
	salt_of(3, "nemo", b);
	salt_of(4, "omen", c);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_int_equal(strlen(a), strlen("W22ZaJ0SNY7soEsUEjb6gQ=="));
	assert_int_equal(scrams_count(), 4);
	/* A last message without a first one, and a first one twice. */
	n = 0;
	ask_how(99, K_SCRAM, "user", span_str("c=biws,r=x,p=AAAA"), false, "");
	ask_how(1, K_SCRAM, "user", span_str("n,,n=user,r=abc"), true, "");
	ask_how(2, K_SCRAM, "nemo", span_str("garbage"), false, "");
	wait_for(3);
	assert_int_equal(answers[0].verdict, K_LATER);
	assert_int_equal(answers[1].verdict, K_MALFORMED);
	assert_int_equal(answers[2].verdict, K_MALFORMED);
	/* No more than so many. */
	for (uint32_t i = 0; i < JUDGE_SCRAMS_MAX + 20; i++)
		salt_of(1000 + i, "user", a);
	assert_int_equal(scrams_count(), JUDGE_SCRAMS_MAX);
	assert_int_equal(one("user", "pencil", NULL), K_YES);
	assert_int_equal(one("user", "Pencil", NULL), K_NO);
	chan_free(smtpd);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(scrams_count(), 0);
	connect_smtpd();
}

static void
test_lately(void **state)
{
	struct lately_key	k, other;
	struct mono		now = { 1000000 };
	char			pass[32];
	unsigned		known = 0;

	(void)state;
	assert_true(lately_init());
#define KEY(t, u, h, p, to) assert_true(lately_key(span_str(t), span_str(u), \
	    span_str(h), span_str(p), (to)))
	KEY("t", "anna", "h", "p", &k);
	assert_false(lately_has(&k, now));
	lately_add(&k, now);
	assert_true(lately_has(&k, now));
	/* Where one field ends matters. */
	KEY("t", "annah", "", "p", &other);
	assert_false(lately_has(&other, now));
	KEY("ta", "nna", "h", "p", &other);
	assert_false(lately_has(&other, now));
	KEY("t", "anna", "h2", "p", &other);
	assert_false(lately_has(&other, now));
	now.ms += LATELY_MS - 1;
	assert_true(lately_has(&k, now));
	now.ms += 1;
	assert_false(lately_has(&k, now));
	/* Bounded, and what is newest is known. */
	for (int i = 0; i < 20000; i++) {
		snprintf(pass, sizeof(pass), "%d", i);
		KEY("t", "anna", "h", pass, &k);
		lately_add(&k, (struct mono){ now.ms + i });
		assert_true(lately_has(&k, (struct mono){ now.ms + i }));
	}
	now.ms += 20000;
	for (int i = 0; i < 20000; i++) {
		snprintf(pass, sizeof(pass), "%d", i);
		KEY("t", "anna", "h", pass, &k);
		known += lately_has(&k, now);
	}
	assert_in_range(known, LATELY_SETS * LATELY_WAYS * 9 / 10,
	    LATELY_SETS * LATELY_WAYS);
	lately_wipe();
	assert_true(lately_init());
}

static void
confine(void *arg)
{
	(void)arg;
}

static void
dead(void *arg)
{
	(void)arg;
	is_dead = true;
}

static int
begin(void **state)
{
	struct buf	b;

	(void)state;
	log_init("test", LOG_FORM_TEXT, LOG_LV_WARN);
	buf_init(&b, HASH_MAX);
	assert_true(hash_make(MAKE_YESCRYPT, span_str("geheim"), &b));
	strlcpy(hash_a, buf_cstr(&b), sizeof(hash_a));
	buf_reset(&b);
	assert_true(hash_make(MAKE_YESCRYPT, span_str("geheim"), &b));
	strlcpy(hash_b, buf_cstr(&b), sizeof(hash_b));
	buf_clear(&b);
	assert_true(judge_init());
	assert_true(check_fork(2, confine, NULL));
	assert_int_equal(check_workers(), 2);
	if ((base = event_base_new()) == NULL)
		return -1;
	check_init(base, dead, NULL);
	connect_smtpd();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	chan_free(smtpd);
	judge_stop();
	tables_free(tables);
	event_base_free(base);
	return is_dead ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_queue_bound),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_lately),
		cmocka_unit_test(test_lie),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
