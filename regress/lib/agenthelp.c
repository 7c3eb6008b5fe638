/*
 * See agenthelp.h.
 */
#include "regress/lib/agenthelp.h"

#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <unistd.h>

#include "common/base/rand.h"
#include "queued/diskio.h"
#include "regress/lib/queuehelp.h"

struct fakes		 fakes;
static const char	*path;
/* There is no end of them in queued; so here they are kept. */
static struct agents	*lives[64];
static size_t		 nlives;
static bool		 flush, run;

static void
on_job(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_job *m = msg;
	struct fake	*f = chan_arg(c);
	struct fake_job	*j = &f->jobs[f->njobs++];

	assert_true(f->njobs <= FAKE_JOBS);
	*j = (struct fake_job){ .tid = m->tid, .id = m->id, .size = m->size,
	    .fd = fd };
	assert_true(span_is(m->action, "relay"));
	assert_true(span_eq(m->auth, m->from));
	assert_false(m->requiretls || m->tls_optional);
	buf_init(&j->content, 1 << 20);
	buf_span(&j->content, m->prefix);
}

static struct fake_job *
job_of(struct fake *f, uint32_t tid)
{
	for (size_t i = 0; i < f->njobs; i++)
		if (f->jobs[i].tid == tid)
			return &f->jobs[i];
	fail_msg("no such job");
	return NULL;
}

static void
on_rcpt(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_rcpt *m = msg;
	struct fake_job	*j = job_of(chan_arg(c), m->tid);

	(void)fd;
	j->n[j->nrcpts] = m->n;
	j->attempt[j->nrcpts++] = m->attempt;
}

static void
on_data(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_data *m = msg;

	(void)fd;
	buf_span(&job_of(chan_arg(c), m->tid)->content, m->bytes);
}

static void
on_go(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_go *m = msg;

	(void)fd;
	job_of(chan_arg(c), m->tid)->go = true;
}

static void
on_recorded(struct chan *c, const void *msg, int fd)
{
	struct fake	*f = chan_arg(c);

	(void)msg;
	(void)fd;
	f->recorded++;
}

void
fake_result(struct fake *f, uint32_t tid, uint64_t id, uint32_t n, uint8_t st)
{
	CHAN_SEND(f->chan, d_result, .tid = tid, .id = id, .n = n,
	    .attempt = fakes.attempt, .status = st, .reply = span_str("250 2.0.0 Ok"),
	    .server = span_str("mx[192.0.2.1]:25"), .remote = true);
}

static void
on_sync(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_sync *m = msg;
	struct fake	*f = chan_arg(c);

	(void)fd;
	for (size_t i = 0; i < f->nold; i++)
		if (f->old[i].running)
			CHAN_SEND(c, d_running, .tid = m->tid,
			    .id = f->old[i].id, .n = f->old[i].n,
			    .attempt = 1);
	for (size_t i = 0; i < f->nold; i++)
		if (!f->old[i].running)
			fake_result(f, 4711, f->old[i].id, f->old[i].n, D_OK);
	if (!f->silent)
		CHAN_SEND(c, d_synced, .tid = m->tid);
}

static void
on_state(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_server_state *m = msg;
	struct fake	*f = chan_arg(c);

	(void)fd;
	f->states++;
	f->failures = m->failures;
	f->probe_ms = m->probe_ms;
}

static void
on_policy(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_policy_is *m = msg;
	struct fake	*f = chan_arg(c);

	(void)fd;
	f->policies++;
	assert_true(span_is(m->domain, "x.example"));
	assert_true(span_cstr(m->text, f->policy, sizeof(f->policy)));
}

static const struct chan_row rows[] = {
	{ IPC_T_d_job, on_job }, { IPC_T_d_rcpt, on_rcpt },
	{ IPC_T_d_data, on_data }, { IPC_T_d_go, on_go },
	{ IPC_T_d_recorded, on_recorded }, { IPC_T_d_sync, on_sync },
	{ IPC_T_d_server_state, on_state },
	{ IPC_T_d_policy_is, on_policy },
	{ 0, NULL }
};

static void
on_closed(struct chan *c, const char *why)
{
	struct fake	*f = chan_arg(c);

	assert_null(why);
	f->closed = true;
}

/* ---- the daemon around it ---- */

static void
op_committed(void *owner, uint32_t tid, uint64_t id, enum q_status st,
    const char *text)
{
	(void)owner;
	(void)tid;
	(void)id;
	(void)st;
	(void)text;
}

static void
op_answered(struct queue *x)
{
	(void)x;
	agents_flush(fakes.agents);
}

static void
op_want_flush(struct queue *x, bool soon)
{
	(void)x;
	(void)soon;
	flush = true;
}

static void
op_want_run(struct queue *x)
{
	(void)x;
	run = true;
}

static bool
op_can_hand(struct queue *x, const struct dest *d)
{
	(void)x;
	return agents_can_hand(fakes.agents, d);
}

static void
op_hand(struct queue *x, struct job *j)
{
	(void)x;
	agents_hand(fakes.agents, j);
}

static void
op_state(struct queue *x, bool open, const char *why)
{
	(void)x;
	(void)open;
	(void)why;
}

static const struct queue_ops ops = { op_committed, agents_recorded,
    op_answered, op_want_flush, op_want_run, op_can_hand, op_hand, op_state };

void
fakes_turn(void)
{
	for (int i = 0; i < 50; i++) {
		event_base_loop(fakes.base, EVLOOP_NONBLOCK);
		if (flush) {
			flush = false;
			queue_flush(fakes.q);
		}
		if (run) {
			run = false;
			queue_run(fakes.q);
		}
	}
}

void
fakes_start(void)
{
	fakes.agents = lives[nlives++] = agents_new(fakes.base, NULL);
	fakes.q = queue_open(&help_params, fakes.conf, &ops, NULL);
	agents_queue(fakes.agents, fakes.q);
	run = flush = true;
}

void
fake_connect(struct fake *f, uint16_t worker)
{
	int	 fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	f->chan = chan_new(fakes.base, fds[0], IPC_DELIVERD, IPC_QUEUED, rows,
	    on_closed, f);
	f->closed = false;
	agents_add(fakes.agents, worker, fds[1]);
}

void
fake_gone(struct fake *f)
{
	chan_free(f->chan);
	f->chan = NULL;
}

void
fake_forget(struct fake *f)
{
	for (size_t i = 0; i < f->njobs; i++) {
		buf_clear(&f->jobs[i].content);
		if (f->jobs[i].fd != -1)
			close(f->jobs[i].fd);
	}
	f->njobs = 0;
}

void
fakes_send(uint64_t id, const char *to, size_t len)
{
	struct help	 h = { .q = fakes.q };

	help_send(&h, id, "a@example.org", to, len);
	/* The helper's owner is no channel of this test. */
	queue_forget_owner(fakes.q, &h);
	queue_flush(fakes.q);
}

int
fakes_enter(void **state)
{
	(void)state;
	path = help_dir();
	memset(&fakes.one, 0, sizeof(fakes.one));
	memset(&fakes.two, 0, sizeof(fakes.two));
	fakes_start();
	return 0;
}

int
fakes_leave(void **state)
{
	(void)state;
	fake_forget(&fakes.one);
	fake_forget(&fakes.two);
	fake_gone(&fakes.one);
	fake_gone(&fakes.two);
	fakes_turn();
	queue_close(fakes.q);
	agents_queue(fakes.agents, NULL);
	help_dir_remove(path);
	return 0;
}

void
fake_done(struct fake *f, struct fake_job *j, uint8_t st, uint8_t dest)
{
	for (size_t i = 0; i < j->nrcpts; i++)
		fake_result(f, j->tid, j->id, j->n[i], st);
	CHAN_SEND(f->chan, d_done, .tid = j->tid, .id = j->id, .dest = dest);
}

int
fakes_run(const char *name, const struct CMUnitTest *tests, size_t n)
{
	fakes.conf = help_conf();
	fakes.attempt = 1;
	id_init(1, 0);
	if ((fakes.base = event_base_new()) == NULL)
		return 1;
	return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}
