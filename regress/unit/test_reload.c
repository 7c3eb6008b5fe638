/*
 * A reload step by step, with stand-ins for what reads, binds and starts: all or
 * nothing whoever says no or dies, and when; SIGHUPs coalesce; two old
 * generations at most.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/tls/trust.h"
#include "postern/postern.h"

/* ---- stand-ins ------------------------------------------------------------------ */

static struct gateway	gw;
static struct conf	confs[16];
static bool		load_fails, bind_fails, secret_fails;
static int		loads, frees, closes, starts, ended, checks, killed;
static int		asked_check, asked_commit;
static uint32_t		asked_generation;
static int		ctl_status;
static char		ctl_text[200], notes[500];
static uint32_t		drained_generation[32], drained_grace[32];
static int		drains;

struct set *
set_load(struct gateway *g, uint32_t generation, struct buf *msgs)
{
	struct set	*s;

	assert_ptr_equal(g, &gw);
	loads++;
	if (load_fails) {
		buf_str(msgs, "x.conf:1:1: error: nonsense\n");
		return NULL;
	}
	buf_str(msgs, "x.conf:1:1: warning: not used\n");
	s = calloc(1, sizeof(*s));
	s->generation = generation;
	s->conf = &confs[generation % 16];
	s->conf_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return s;
}

void
set_free(struct set *s)
{
	if (s == NULL)
		return;
	frees++;
	close(s->conf_fd);
	free(s);
}

bool
bind_all(struct gateway *g, struct set *set, const struct set *from,
    struct buf *msgs)
{
	assert_ptr_equal(g, &gw);
	assert_ptr_equal(from, gw.set);
	assert_non_null(set);
	if (bind_fails)
		buf_str(msgs, "cannot listen\n");
	return !bind_fails;
}

void
bind_close(struct set *set, const struct set *keep)
{
	assert_non_null(set);
	assert_non_null(keep);
	closes++;
}

int
file_open(const char *path, bool secret, struct buf *msgs)
{
	(void)path;
	(void)secret;
	if (!secret_fails)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	buf_str(msgs, "key: others may read it\n");
	return -1;
}

size_t
children_in(const struct gateway *g, const struct set *set,
    enum child_state state)
{
	const struct child	*c;
	size_t			 n = 0;

	TAILQ_FOREACH(c, &g->children, next)
		n += c->set == set && c->state == state;
	return n;
}

static struct child *
add(enum ipc_role role, struct set *set, enum child_state state)
{
	static pid_t	 pid = 100000;
	struct child	*c = calloc(1, sizeof(*c));

	c->gw = &gw;
	c->role = role;
	c->set = set;
	c->state = state;
	c->pid = ++pid;
	c->chan = (struct chan *)c;	/* never looked into: see below */
	snprintf(c->title, sizeof(c->title), "%d", role);
	TAILQ_INSERT_TAIL(&gw.children, c, next);
	return c;
}

static void
drop(struct child *c)
{
	TAILQ_REMOVE(&gw.children, c, next);
	free(c);
}

void
set_start(struct gateway *g, struct set *set)
{
	(void)g;
	starts++;
	add(IPC_SMTPD, set, CHILD_STARTING);
	add(IPC_DELIVERD, set, CHILD_STARTING);
}

void
set_drain(struct gateway *g, struct set *set, uint32_t grace_ms)
{
	struct child	*c;

	drained_generation[drains] = set->generation;
	drained_grace[drains++] = grace_ms;
	TAILQ_FOREACH(c, &g->children, next)
		if (c->set == set)
			c->state = CHILD_DRAINING;
}

void
child_stop(struct child *c)
{
	if (c->state == CHILD_WAITING)
		drop(c);
	else
		c->state = CHILD_ENDING;
}

void
child_deadline(struct child *c, int64_t ms)
{
	(void)c;
	assert_int_equal(ms, 5000);	/* security.md, 11 */
}

void
gateway_check_end(struct gateway *g)
{
	(void)g;
	checks++;
}

void
notify(const char *fmt, ...)
{
	char	 text[200];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strlcat(notes, text, sizeof(notes));
	strlcat(notes, "|", sizeof(notes));
}

void	 __wrap_chan_send(struct chan *, uint16_t, const void *, int);
void	 __wrap_ctl_end(struct ctl *, int, const char *);
int	 __wrap_kill(pid_t, int);
int	 __wrap_event_del(struct event *);

void
__wrap_chan_send(struct chan *c, uint16_t type, const void *msg, int fd)
{
	const struct ipc_reload	*m = msg;

	assert_non_null(c);
	if (type == IPC_T_reload) {
		assert_true(fd >= 0);
		m->check ? asked_check++ : asked_commit++;
		asked_generation = m->generation;
	}
	if (fd != -1)
		close(fd);
}

void
__wrap_ctl_end(struct ctl *c, int status, const char *text)
{
	(void)c;
	ended++;
	ctl_status = status;
	snprintf(ctl_text, sizeof(ctl_text), "%s", text);
}

int
__wrap_kill(pid_t pid, int sig)
{
	assert_true(pid > 0);
	assert_int_equal(sig, SIGKILL);
	killed++;
	return 0;
}

int
__wrap_event_del(struct event *e)
{
	(void)e;
	return 0;
}

/* ---- a gateway ---------------------------------------------------------------------- */

#define CTL	((struct ctl *)&gw)
static struct child	*keyd, *queued, *lookupd;

static void
begin(void)
{
	struct child	*c;
	struct buf	 none;

	while ((c = TAILQ_FIRST(&gw.children)) != NULL)
		drop(c);
	memset(&gw, 0, sizeof(gw));
	TAILQ_INIT(&gw.children);
	TAILQ_INIT(&gw.old);
	load_fails = bind_fails = secret_fails = false;
	loads = frees = closes = starts = ended = checks = killed = drains = 0;
	asked_check = asked_commit = 0;
	ctl_status = -1;
	ctl_text[0] = notes[0] = '\0';
	for (int i = 0; i < 16; i++) {
		confs[i].queue_path = (char *)(uintptr_t)"/q";
		confs[i].control_path = (char *)(uintptr_t)"/c";
		confs[i].log_level = LOG_LV_WARN;
	}
	gw.generation = 1;
	gw.log_level = -1;
	buf_init(&none, 100);
	gw.set = set_load(&gw, 1, &none);
	buf_clear(&none);
	loads = 0;
	gw.ready = true;
	lookupd = add(IPC_LOOKUPD, NULL, CHILD_READY);
	queued = add(IPC_QUEUED, NULL, CHILD_READY);
	keyd = add(IPC_KEYD, NULL, CHILD_READY);
	add(IPC_SMTPD, gw.set, CHILD_READY);
}

static void
end(void)
{
	struct child	*c;
	struct set	*s;

	assert_null(gw.reload);
	assert_null(gw.next);
	while ((s = TAILQ_FIRST(&gw.old)) != NULL) {
		TAILQ_REMOVE(&gw.old, s, next);
		set_free(s);
	}
	set_free(gw.set);
	while ((c = TAILQ_FIRST(&gw.children)) != NULL)
		drop(c);
}

static void
answer(bool ok)
{
	struct child *const all[] = { lookupd, queued, keyd };

	for (size_t i = 0; i < 3; i++)
		if (all[i]->asked)
			reload_answer(all[i], ok, span_str(ok ? "" : "no"));
}

/* The workers of the next set get ready; false if there are none. */
static bool
workers_ready(void)
{
	struct child	*c, *tmp;
	bool		 any = false;

	TAILQ_FOREACH_SAFE(c, &gw.children, next, tmp)
		if (c->state == CHILD_STARTING && c->set != NULL) {
			c->state = CHILD_READY;
			any = true;
			reload_child_ready(&gw);
		}
	return any;
}

/* As child_died() does it. */
static void
dies(struct child *c)
{
	bool	 starting = c->state == CHILD_STARTING;

	c->pid = 0;
	c->chan = NULL;
	if (starting && gw.next != NULL && c->set == gw.next) {
		reload_child_died(c);
		return;
	}
	c->state = CHILD_WAITING;
	if (c->set == NULL)
		reload_provider_died(c);
}

static void
comes_back(struct child *c)
{
	static pid_t	 pid = 200000;

	c->pid = ++pid;
	c->chan = (struct chan *)c;
	c->state = CHILD_READY;
	/* As gateway_child_ready() does it. */
	if (gw.reload == NULL && gw.hup)
		reload_begin(&gw, NULL);
}

static void
unchanged(uint32_t generation)
{
	const struct child	*c;

	assert_null(gw.reload);
	assert_null(gw.next);
	assert_int_equal(gw.set->generation, generation);
	assert_int_equal(drains, 0);
	assert_true(TAILQ_EMPTY(&gw.old));
	TAILQ_FOREACH(c, &gw.children, next) {
		assert_false(c->asked);
		if (c->set != NULL)
			assert_ptr_equal(c->set, gw.set);
	}
	/* Ready again for systemd, and the failure in words. */
	assert_non_null(strstr(notes, "READY=1\nSTATUS=serving; the last"));
}

/* ---- tests ------------------------------------------------------------------------------ */

static void
good(void **state)
{
	(void)state;
	begin();
	gw.log_level = LOG_LV_DEBUG;		/* set at run time */
	reload_begin(&gw, CTL);
	assert_ptr_equal(strstr(notes, "RELOADING=1\nMONOTONIC_USEC="), notes);
	assert_int_equal(asked_check, 3);
	assert_int_equal(asked_generation, 2);
	assert_int_equal(asked_commit, 0);
	answer(true);
	assert_int_equal(asked_commit, 3);
	assert_int_equal(starts, 0);
	answer(true);
	assert_int_equal(starts, 1);
	assert_int_equal(gw.set->generation, 1);
	assert_int_equal(ended, 0);
	assert_true(workers_ready());
	assert_int_equal(gw.set->generation, 2);
	assert_int_equal(gw.generation, 2);
	assert_int_equal(ended, 1);
	assert_int_equal(ctl_status, 0);
	/* A warning is told and stops nothing. */
	assert_non_null(strstr(ctl_text, "warning: not used"));
	assert_int_equal(drains, 1);
	assert_int_equal(drained_generation[0], 1);
	assert_true(drained_grace[0] > 600000);
	assert_int_equal(closes, 1);
	assert_non_null(strstr(notes, "|READY=1\nSTATUS=serving|"));
	/* The level is the configuration's again, ours too. */
	assert_int_equal(gw.log_level, -1);
	assert_int_equal(log_get_level(), LOG_LV_WARN);
	end();
}

static void
refused_at_once(void **state)
{
	struct conf_pki	 pki = { .cert = (char *)(uintptr_t)"c",
			    .key = (char *)(uintptr_t)"k" };

	(void)state;
	for (int what = 0; what < 5; what++) {
		begin();
		load_fails = what == 0;
		bind_fails = what == 1;
		secret_fails = what == 2;
		confs[2].npkis = what == 2;
		confs[2].pkis = &pki;
		if (what == 3)
			confs[2].queue_path = (char *)(uintptr_t)"/other";
		if (what == 4)
			confs[2].control_path = (char *)(uintptr_t)"/other";
		reload_begin(&gw, CTL);
		assert_int_equal(ctl_status, EX_CONFIG);
		assert_true(strlen(ctl_text) > 5);
		assert_int_equal(asked_check + asked_commit, 0);
		unchanged(1);
		confs[2].npkis = 0;
		end();
	}
}

static void
provider_says_no(void **state)
{
	(void)state;
	/* At the check: all answers are waited for, nothing was given. */
	begin();
	reload_begin(&gw, CTL);
	reload_answer(keyd, false, span_str("no such key"));
	assert_int_equal(ended, 0);
	reload_answer(queued, true, span_str(""));
	assert_int_equal(ended, 0);
	reload_answer(lookupd, true, span_str(""));
	assert_int_equal(ctl_status, EX_CONFIG);
	assert_non_null(strstr(ctl_text, "no such key"));
	assert_int_equal(asked_commit, 0);
	unchanged(1);
	end();
	/* At the commit: they get back what is in force. */
	begin();
	reload_begin(&gw, CTL);
	answer(true);
	reload_answer(keyd, true, span_str(""));
	reload_answer(queued, false, span_str("disk"));
	reload_answer(lookupd, true, span_str(""));
	assert_int_equal(ended, 0);
	assert_int_equal(asked_commit, 6);
	assert_int_equal(asked_generation, 1);
	answer(true);
	assert_int_equal(ctl_status, EX_CONFIG);
	assert_int_equal(starts, 0);
	unchanged(1);
	end();
	/* And one that can't take it back is started anew. */
	begin();
	reload_begin(&gw, CTL);
	answer(true);
	answer(false);
	assert_int_equal(killed, 0);
	answer(false);
	assert_int_equal(killed, 3);
	unchanged(1);
	end();
}

static void
worker_dies(void **state)
{
	struct child	*c;

	(void)state;
	for (int ready_before = 0; ready_before < 2; ready_before++) {
		begin();
		reload_begin(&gw, CTL);
		answer(true);
		answer(true);
		c = TAILQ_LAST(&gw.children, children);
		if (ready_before) {
			TAILQ_PREV(c, children, next)->state = CHILD_READY;
			reload_child_ready(&gw);
		}
		dies(c);
		assert_int_equal(gw.set->generation, 1);
		assert_int_equal(asked_generation, 1);
		answer(true);
		assert_int_equal(ctl_status, EX_CONFIG);
		assert_non_null(strstr(ctl_text, "did not get ready"));
		unchanged(1);
		end();
	}
}

/* Each provider, at each step, before and after its answer: whatever comes after
 * it, nobody is left with another generation than the one in force. */
static void
provider_dies(void **state)
{
	(void)state;
	for (int stage = 0; stage < 3; stage++)
		for (int answered = 0; answered < 2; answered++) {
			begin();
			reload_begin(&gw, CTL);
			for (int i = 0; i < stage; i++)
				answer(true);
			if (stage < 2 && answered)
				reload_answer(keyd, true, span_str(""));
			dies(keyd);
			assert_int_equal(ended, 0);
			/* It is not waited for any more, the others are. */
			answer(true);
			if (stage < 2 && ended == 0)
				answer(true);
			if (stage == 2 && ended == 0)
				answer(true);
			assert_int_equal(ended, 1);
			assert_int_equal(ctl_status, EX_CONFIG);
			assert_non_null(strstr(ctl_text, "it died"));
			unchanged(1);
			/* The next one goes through once it is back. */
			reload_begin(&gw, CTL);
			assert_int_equal(ctl_status, EX_TEMPFAIL);
			comes_back(keyd);
			reload_begin(&gw, CTL);
			answer(true);
			answer(true);
			assert_true(workers_ready());
			assert_int_equal(ctl_status, 0);
			assert_int_equal(gw.set->generation, 2);
			end();
		}
}

static void
sighup(void **state)
{
	(void)state;
	/* Many while one is under way are one more. */
	begin();
	reload_begin(&gw, NULL);
	for (int i = 0; i < 5; i++)
		reload_begin(&gw, NULL);
	assert_int_equal(loads, 1);
	reload_begin(&gw, CTL);
	assert_int_equal(ctl_status, EX_TEMPFAIL);
	answer(true);
	answer(true);
	assert_true(workers_ready());
	assert_int_equal(gw.set->generation, 2);
	assert_int_equal(loads, 2);
	answer(true);
	answer(true);
	assert_true(workers_ready());
	assert_int_equal(gw.set->generation, 3);
	assert_int_equal(loads, 2);
	end();
	/* Before the gateway is ready, or a provider is: later. */
	begin();
	gw.ready = false;
	reload_begin(&gw, CTL);
	assert_int_equal(ctl_status, EX_TEMPFAIL);
	reload_begin(&gw, NULL);
	assert_int_equal(loads, 0);
	assert_null(gw.reload);
	gw.ready = true;
	dies(keyd);
	reload_begin(&gw, NULL);
	assert_int_equal(loads, 0);
	comes_back(keyd);
	assert_int_equal(loads, 1);
	answer(true);
	answer(true);
	assert_true(workers_ready());
	assert_int_equal(gw.set->generation, 2);
	end();
	/* Not at the end. */
	begin();
	gw.stopping = true;
	reload_begin(&gw, NULL);
	reload_begin(&gw, CTL);
	assert_int_equal(ctl_status, EX_TEMPFAIL);
	assert_int_equal(loads, 0);
	end();
}

/* The end comes while one is under way: nothing is started any more. */
static void
stopped(void **state)
{
	(void)state;
	begin();
	reload_begin(&gw, NULL);
	gw.stopping = true;
	answer(true);
	assert_int_equal(asked_commit + starts, 0);
	assert_non_null(gw.reload);
	/* A process that ends frees nothing; this one goes on. */
	gw.stopping = false;
	keyd->asked = queued->asked = lookupd->asked = true;
	answer(false);
	end();
}

static void
old_sets(void **state)
{
	(void)state;
	begin();
	for (uint32_t n = 2; n <= 6; n++) {
		reload_begin(&gw, NULL);
		answer(true);
		answer(true);
		assert_true(workers_ready());
		assert_int_equal(gw.set->generation, n);
	}
	/* 1 to 5 drained when they were replaced; when the third old one came,
	 * the oldest's sessions had to end. */
	int	 ended_now = 0;

	for (int i = 0; i < drains; i++)
		if (drained_grace[i] <= 2000) {
			/* But time enough to say it. */
			assert_true(drained_grace[i] >= 1000);
			ended_now++;
			assert_true(drained_generation[i] <= 3);
		}
	assert_true(ended_now >= 3);
	for (int i = 0; i < drains; i++)
		if (drained_generation[i] >= 4)
			assert_true(drained_grace[i] > 600000);
	end();
}

/* More files of CAs than can be handed over are told, not left out. */
static void
many_cas(void **state)
{
	static struct conf_action	 a[TRUST_FILES_MAX], *v[TRUST_FILES_MAX];
	static char			 paths[TRUST_FILES_MAX][16];
	struct conf			 c = { .actions = v };
	struct buf			 msgs;

	(void)state;
	for (size_t i = 0; i < TRUST_FILES_MAX; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/ca/%zu", i);
		a[i].tls.ca = paths[i];
		v[i] = &a[i];
	}
	buf_init(&msgs, 4096);
	/* One is the system's. */
	c.nactions = TRUST_FILES_MAX - 1;
	assert_true(trust_check(&c, &msgs));
	c.nactions = TRUST_FILES_MAX;
	assert_false(trust_check(&c, &msgs));
	assert_string_equal(buf_cstr(&msgs), "more than 64 files of CAs\n");
	buf_clear(&msgs);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(refused_at_once),
		cmocka_unit_test(provider_says_no),
		cmocka_unit_test(worker_dies),
		cmocka_unit_test(provider_dies),
		cmocka_unit_test(sighup),
		cmocka_unit_test(stopped),
		cmocka_unit_test(old_sets),
		cmocka_unit_test(many_cas)
	};

	log_init("test", LOG_FORM_TEXT, LOG_LV_WARN);
	TAILQ_INIT(&gw.children);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
