/*
 * queued's delivery agents over real channels in one event loop: jobs as they
 * arrive, results and their confirmation, an agent that dies, and a queued that
 * is started again while its deliverd goes on.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "common/ipc/chan.h"
#include "queued/diskio.h"
#include "queued/hosts.h"
#include "queued/job.h"
#include "queued/rpt.h"
#include "queued/side.h"
#include "regress/lib/queuehelp.h"

#define JOBS	64

static const char	*path;
static struct conf	*conf;
static struct event_base *base;
static struct queue	*q;
/* There is no end of them in queued; so here they are kept. */
static struct agents	*agents, *lives[64];
static size_t		 nlives;
static bool		 flush, run;
static unsigned		 accepted;

/* A deliverd of a few lines. */
struct fake {
	struct chan	*chan;
	struct fake_job {
		uint32_t	 tid;
		uint64_t	 id, size;
		uint32_t	 n[4], attempt[4];
		size_t		 nrcpts;
		struct buf	 content;
		int		 fd;
		bool		 go;
	} jobs[JOBS];
	size_t		 njobs;
	unsigned	 recorded;
	bool		 silent;	/* says no d_synced */
	/* At d_sync: at work, and not confirmed; of an earlier queued. */
	struct old { uint64_t id; uint32_t n; bool running; } old[4];
	size_t		 nold;
	bool		 closed;
	unsigned	 states;	/* d_server_state, and the last one */
	uint32_t	 failures;
	uint64_t	 probe_ms;
	unsigned	 policies;	/* d_policy_is, and the last one */
	char		 policy[200];
};
static struct fake	 one, two;

static void
on_job(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_job *m = msg;
	struct fake	*f = chan_arg(c);
	struct fake_job	*j = &f->jobs[f->njobs++];

	assert_true(f->njobs <= JOBS);
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

static uint32_t	 attempt = 1;	/* that results are of */

static void
result(struct fake *f, uint32_t tid, uint64_t id, uint32_t n, uint8_t st)
{
	CHAN_SEND(f->chan, d_result, .tid = tid, .id = id, .n = n,
	    .attempt = attempt, .status = st, .reply = span_str("250 2.0.0 Ok"),
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
			result(f, 4711, f->old[i].id, f->old[i].n, D_OK);
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
	(void)text;
	accepted += st == Q_OK;
}

static void
op_answered(struct queue *x)
{
	(void)x;
	agents_flush(agents);
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
	return agents_can_hand(agents, d);
}

static void
op_hand(struct queue *x, struct job *j)
{
	(void)x;
	agents_hand(agents, j);
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

static void
turn(void)
{
	for (int i = 0; i < 50; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (flush) {
			flush = false;
			queue_flush(q);
		}
		if (run) {
			run = false;
			queue_run(q);
		}
	}
}

static void
start(void)
{
	agents = lives[nlives++] = agents_new(base, NULL);
	q = queue_open(&help_params, conf, &ops, NULL);
	agents_queue(agents, q);
	run = flush = true;
}

static void
connect_fake(struct fake *f, uint16_t worker)
{
	int	 fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	f->chan = chan_new(base, fds[0], IPC_DELIVERD, IPC_QUEUED, rows,
	    on_closed, f);
	f->closed = false;
	agents_add(agents, worker, fds[1]);
}

static void
fake_gone(struct fake *f)
{
	chan_free(f->chan);
	f->chan = NULL;
}

static void
fake_forget(struct fake *f)
{
	for (size_t i = 0; i < f->njobs; i++) {
		buf_clear(&f->jobs[i].content);
		if (f->jobs[i].fd != -1)
			close(f->jobs[i].fd);
	}
	f->njobs = 0;
}

static void
send_one(uint64_t id, const char *to, size_t len)
{
	struct help	 h = { .q = q };

	help_send(&h, id, "a@example.org", to, len);
	/* The helper's owner is no channel of this test. */
	queue_forget_owner(q, &h);
	queue_flush(q);
}

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	memset(&one, 0, sizeof(one));
	memset(&two, 0, sizeof(two));
	start();
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	fake_forget(&one);
	fake_forget(&two);
	fake_gone(&one);
	fake_gone(&two);
	turn();
	queue_close(q);
	agents_queue(agents, NULL);
	help_dir_remove(path);
	return 0;
}

static void
done(struct fake *f, struct fake_job *j, uint8_t st, uint8_t dest)
{
	for (size_t i = 0; i < j->nrcpts; i++)
		result(f, j->tid, j->id, j->n[i], st);
	CHAN_SEND(f->chan, d_done, .tid = j->tid, .id = j->id, .dest = dest);
}

static void
test_deliver(void **state)
{
	struct fake_job	*j = &one.jobs[0];
	struct span	 s;

	(void)state;
	one.silent = true;
	send_one(1, "b@x.example c@x.example", 64000);
	connect_fake(&one, 0);
	turn();
	assert_int_equal(one.njobs, 0);	/* it has not told what it has */
	CHAN_SEND(one.chan, d_synced, .tid = 0);
	turn();
	assert_true(one.njobs == 1 && j->go && j->id == 1 && j->nrcpts == 2 &&
	    j->n[1] == 1 && j->attempt[1] == 1 && j->fd == -1);
	s = buf_content(&j->content);
	assert_true(s.len == j->size);
	span_skip(&s, strlen("Received: by test\r\n"));
	assert_true(s.len == 64000 && help_content_ok(1, s));
	assert_int_equal(q->nrunning, 1);
	done(&one, j, D_OK, D_DEST_OK);
	turn();
	assert_int_equal(one.recorded, 2);
	assert_true(q->messages == 0 && q->nrunning == 0);
	/* Said once more, it is confirmed once more. */
	result(&one, j->tid, 1, 0, D_OK);
	turn();
	assert_int_equal(one.recorded, 3);
}

static void
test_long(void **state)
{
	static uint8_t	 bytes[200000];
	struct fake_job	*j = &one.jobs[0];

	(void)state;
	send_one(1, "b@x.example", sizeof(bytes));
	connect_fake(&one, 0);
	turn();
	assert_true(one.njobs == 1 && j->fd != -1);
	assert_int_equal(pread(j->fd, bytes, sizeof(bytes), 0),
	    sizeof(bytes));
	assert_true(help_content_ok(1, span(bytes, sizeof(bytes))));
	done(&one, j, D_OK, D_DEST_OK);
	turn();
	assert_int_equal(q->messages, 0);
}

/* d_done without a result for all: what has none is tried again later. */
static void
test_done_too_soon(void **state)
{
	struct store_rcpt rc;

	(void)state;
	send_one(1, "b@x.example c@x.example", 10);
	connect_fake(&one, 0);
	turn();
	result(&one, one.jobs[0].tid, 1, 1, D_OK);
	CHAN_SEND(one.chan, d_done, .tid = one.jobs[0].tid, .id = 1,
	    .dest = D_DEST_OK);
	turn();
	assert_int_equal(one.recorded, 1);
	assert_true(store_rcpt_get(q->store, 1, 0, &rc) && rc.attempt == 1 &&
	    rc.state == RCPT_WAITING);
	assert_true(store_rcpt_get(q->store, 1, 1, &rc) &&
	    rc.state == RCPT_DONE);
	assert_int_equal(q->nrunning, 0);
}

/* It dies with jobs: the next one gets them; the third time they wait. */
static void
test_agent_dies(void **state)
{
	struct store_rcpt rc;

	(void)state;
	send_one(1, "b@x.example", 10);
	for (int i = 0; i < CRASHES_MAX; i++) {
		connect_fake(&one, 0);
		turn();
		assert_int_equal(one.njobs, 1);
		assert_int_equal(q->nrunning, 1);
		fake_forget(&one);
		fake_gone(&one);
		turn();
		assert_int_equal(agents_count(agents), 0);
		assert_int_equal(q->nrunning, 0);
	}
	connect_fake(&one, 0);
	turn();
	assert_int_equal(one.njobs, 0);
	assert_true(store_rcpt_get(q->store, 1, 0, &rc) && rc.attempt == 1);
}

/* A destination stays with one agent; a new one of the same number replaces
 * the old, which ends what it has. */
static void
test_two_agents(void **state)
{
	size_t	 n;

	(void)state;
	connect_fake(&one, 0);
	connect_fake(&two, 1);
	turn();
	for (uint64_t id = 1; id <= 10; id++) {
		send_one(id, "b@x.example", 10);
		send_one(100 + id, id % 2 ? "b@y.example" : "b@z.example", 10);
	}
	turn();
	assert_int_equal(one.njobs + two.njobs, 20);
	n = 0;
	for (size_t i = 0; i < one.njobs; i++)
		n += one.jobs[i].id <= 10;
	assert_true(n == 0 || n == 10);
	for (size_t i = 0; i < one.njobs; i++)
		done(&one, &one.jobs[i], D_OK, D_DEST_OK);
	turn();
	for (size_t i = 0; i < two.njobs; i++)
		done(&two, &two.jobs[i], D_OK, D_DEST_OK);
	turn();
	assert_true(q->messages == 0 && q->nrunning == 0);
}

/* queued goes and comes back; deliverd has one at work, one not confirmed. */
static void
test_restart(void **state)
{
	(void)state;
	send_one(1, "b@x.example c@x.example", 10);
	send_one(2, "b@x.example", 10);
	connect_fake(&one, 0);
	turn();
	assert_int_equal(one.njobs, 2);
	fake_forget(&one);
	/* As after a kill: nothing of it is told. */
	queue_close(q);
	agents_queue(agents, NULL);
	fake_gone(&one);
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	start();
	send_one(3, "b@y.example", 10);
	one.old[0] = (struct old){ 1, 0, true };
	one.old[1] = (struct old){ 1, 1, false };
	one.old[2] = (struct old){ 2, 0, true };
	one.nold = 3;
	connect_fake(&one, 0);
	turn();
	assert_true(one.njobs == 1 && one.jobs[0].id == 3);
	assert_int_equal(one.recorded, 1);
	assert_int_equal(q->nrunning, 3);
	/* Its results carry the numbers of an earlier queued; one of these may
	 * be that of another job now. */
	result(&one, one.jobs[0].tid, 1, 0, D_OK);
	turn();
	assert_int_equal(one.recorded, 2);
	assert_int_equal(q->messages, 2);
	assert_int_equal(q->nrunning, 2);
	done(&one, &one.jobs[0], D_OK, D_DEST_OK);
	turn();
	assert_int_equal(q->messages, 1);
	/* It dies with the last one: now that is handed out again. */
	fake_forget(&one);
	fake_gone(&one);
	one.nold = 0;
	turn();
	connect_fake(&two, 0);
	turn();
	assert_true(two.njobs == 1 && two.jobs[0].id == 2);
	done(&two, &two.jobs[0], D_OK, D_DEST_OK);
	turn();
	assert_true(q->messages == 0 && q->nrunning == 0);
}

static void
tell(struct fake *f, uint8_t last, uint32_t failures, uint32_t conns)
{
	struct addr	 a = { .family = 4, .port = 25,
			    .ip = { 192, 0, 2, last } };

	CHAN_SEND(f->chan, d_server, .addr = a, .name = span_str("mx.example"),
	    .label = span_str("pool"), .failures = failures,
	    .since_ms = 1000, .probe_ms = failures > 0 ? 20000 : 0,
	    .why = span_str("451 4.4.1 refused"), .conns = conns,
	    .delivered = 2, .failed = 1);
}

/* What one deliverd finds out about a server the others hear, also one that
 * comes later; not what they know, and not of those that are up. */
static void
test_servers(void **state)
{
	struct addr	 a = { .family = 4, .port = 25,
			    .ip = { 192, 0, 2, 1 } };
	struct ipc_d_server_state st;

	(void)state;
	hosts_forget();
	connect_fake(&one, 0);
	turn();
	tell(&one, 1, 3, 4);
	tell(&one, 2, 0, 1);
	turn();
	assert_int_equal(one.states, 0);
	connect_fake(&two, 1);
	turn();
	assert_true(two.states == 1 && two.failures == 3 &&
	    two.probe_ms > 18000 && two.probe_ms <= 20000);
	/* The probe of one succeeds. */
	tell(&one, 1, 0, 4);
	turn();
	assert_true(two.states == 2 && two.failures == 0);
	tell(&one, 1, 0, 5);
	turn();
	assert_int_equal(two.states, 2);
	tell(&two, 1, 1, 0);
	turn();
	assert_true(one.states == 1 && one.failures == 1);
	assert_int_equal(hosts_count(), 2);
	/* queued's own view outlives who told of it. */
	fake_gone(&one);
	turn();
	assert_true(hosts_state(&a, &st) && st.failures == 1);
	hosts_forget();
	assert_false(hosts_state(&a, &st));
}

/* More servers than there is room for: those that are down stay. */
static void
test_servers_many(void **state)
{
	struct ipc_d_server m = { .addr = { .family = 6, .port = 25 } };
	struct ipc_d_server_state st;

	(void)state;
	hosts_forget();
	for (unsigned i = 0; i < 2 * HOSTS_KNOWN_MAX; i++) {
		m.addr.ip[14] = (uint8_t)(i >> 8);
		m.addr.ip[15] = (uint8_t)i;
		m.failures = i < 10;
		hosts_report(0, &m);
	}
	assert_int_equal(hosts_count(), HOSTS_KNOWN_MAX);
	for (unsigned i = 0; i < 10; i++) {
		m.addr.ip[14] = 0;
		m.addr.ip[15] = (uint8_t)i;
		assert_true(hosts_state(&m.addr, &st) && st.failures == 1);
	}
	/* Numbers that make no sense do no harm. */
	m.since_ms = m.probe_ms = UINT64_MAX;
	m.conns = UINT32_MAX;
	m.failures = 7;
	hosts_report(1, &m);
	assert_true(hosts_state(&m.addr, &st) && st.failures == 7);
	hosts_gone(1);
	assert_false(hosts_report(HOSTS_AGENTS, &m));
	hosts_forget();
}

/* A server of a destination that is down answers again: it is tried at once. */
static void
test_back_up(void **state)
{
	(void)state;
	connect_fake(&one, 0);
	turn();
	send_one(1, "b@x.example", 10);
	send_one(2, "b@x.example", 10);
	turn();
	assert_int_equal(one.njobs, 2);
	done(&one, &one.jobs[0], D_TEMP, D_DEST_DOWN);
	done(&one, &one.jobs[1], D_TEMP, D_DEST_DOWN);
	send_one(3, "b@x.example", 10);
	turn();
	assert_int_equal(one.njobs, 2);
	CHAN_SEND(one.chan, d_back_up, .action = span_str("relay"),
	    .domain = span_str("other.example"));
	turn();
	assert_int_equal(one.njobs, 2);
	CHAN_SEND(one.chan, d_back_up, .action = span_str("relay"),
	    .domain = span_str("x.example"));
	turn();
	assert_true(one.njobs == 3 && one.jobs[2].id == 3);
	usleep(5000);		/* so that they were tried before that */
	done(&one, &one.jobs[2], D_OK, D_DEST_OK);
	turn();
	/* It is: those that were deferred come at once. */
	assert_int_equal(one.njobs, 5);
	attempt = 2;
	done(&one, &one.jobs[3], D_OK, D_DEST_OK);
	done(&one, &one.jobs[4], D_OK, D_DEST_OK);
	turn();
	attempt = 1;
	assert_int_equal(q->messages, 0);
}

/* What one deliverd has fetched the other one is told. */
static void
test_policies(void **state)
{
	static const char	text[] = "version: STSv1\nmode: testing\n"
				    "max_age: 60\nmx: a.test\n";

	(void)state;
	connect_fake(&one, 1);
	connect_fake(&two, 2);
	CHAN_SEND(two.chan, d_policy_ask, .domain = span_str("x.example"));
	turn();
	assert_int_equal(two.policies, 1);
	assert_string_equal(two.policy, "");
	CHAN_SEND(one.chan, d_policy, .domain = span_str("x.example"),
	    .id = span_str("1"), .expires_ms = (uint64_t)clock_wall().ms +
	    60000, .text = span_str(text));
	turn();
	CHAN_SEND(two.chan, d_policy_ask, .domain = span_str("x.example"));
	turn();
	assert_int_equal(two.policies, 2);
	assert_string_equal(two.policy, text);
	assert_int_equal(one.policies, 0);
}

/* Of what came of TLS: sums, as long as it makes sense. */
static void
test_tls(void **state)
{
	(void)state;
	conf->report_from = (char *)(uintptr_t)"tls@gw.example.org";
	connect_fake(&one, 1);
	connect_fake(&two, 2);
	CHAN_SEND(one.chan, d_tls, .domain = span_str("x.example"),
	    .rua = span_str("mailto:r@x.example"), .policy_domain =
	    span_str("x.example"), .result = RPT_OK);
	turn();
	conf->report_from = NULL;
	assert_int_equal(side_count(store_rpt(q->store)), 3);
	assert_int_equal(agents_count(agents), 2);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(test_deliver), T(test_long), T(test_done_too_soon),
		T(test_agent_dies), T(test_two_agents), T(test_restart),
		T(test_servers), T(test_servers_many), T(test_back_up),
		T(test_policies), T(test_tls),
	};

	conf = help_conf();
	id_init(1, 0);
	if ((base = event_base_new()) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
