/*
 * Jobs to deliverd and their results. A result is keyed (message, recipient,
 * attempt) and confirmed only when its record is durable; what a deliverd had
 * from an earlier life of queued is collected before anything is handed out.
 * How a job is sent is job_send.c's.
 */
#include "queued/job_i.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/dest.h"
#include "queued/hosts.h"
#include "queued/policies.h"
#include "queued/rpt.h"

#define SETTLE_MS	5000	/* for what agents have, not longer */

static void
settle(struct agents *as)
{
	if (as->settled)
		return;
	as->settled = true;
	log_debug("event=agents result=settled");
	if (as->q != NULL)
		as->q->ops->want_run(as->q);
}

static void
settle_late(int fd, short ev, void *arg)
{
	(void)fd;
	(void)ev;
	settle(arg);
}

struct agents *
agents_new(struct event_base *base, struct proc *proc)
{
	struct agents	*as = calloc(1, sizeof(*as));
	struct timeval	 tv = { SETTLE_MS / 1000, 0 };

	if (as == NULL || (as->jobs = map_new(1 << 20)) == NULL ||
	    (as->settle = evtimer_new(base, settle_late, as)) == NULL)
		fatal("agents");
	as->base = base;
	as->proc = proc;
	as->tid = rand_below(1U << 30) + 1;
	evtimer_add(as->settle, &tv);
	return as;
}

void
agents_queue(struct agents *as, struct queue *q)
{
	as->q = q;
}

unsigned
agents_count(const struct agents *as)
{
	unsigned	 n = 0;

	for (size_t i = 0; i < AGENTS_MAX; i++)
		n += as->v[i] != NULL && !as->v[i]->old;
	return n;
}

/* All agents that are there have told what they run. */
static void
settle_check(struct agents *as)
{
	bool	 any = false;

	for (size_t i = 0; i < AGENTS_MAX; i++)
		if (as->v[i] != NULL && !as->v[i]->old) {
			any = true;
			if (!as->v[i]->synced)
				return;
		}
	if (any)
		settle(as);
}

/* ---- results in ---- */

static void
agent_ran(struct agent *a)
{
	if (a->running > 0)
		a->running--;
}

static struct job *
job_of(struct agent *a, uint32_t tid, uint64_t id)
{
	struct job	*j = map_get_u64(a->agents->jobs, tid);

	return j != NULL && j->agent == a && j->id == id ? j : NULL;
}

/* The job of an earlier life that this recipient is in, or NULL. */
static struct job *
job_adopted(struct queue *q, uint64_t id, uint32_t n)
{
	struct store_rcpt rc;
	struct job	*j;

	if (q->down || !store_rcpt_get(q->store, id, n, &rc))
		return NULL;
	j = job_find(q, id, rc.dest);
	return j != NULL && j->adopted && j->running ? j : NULL;
}

static void
d_result(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_result *m = msg;
	struct agent	*a = chan_arg(c);
	struct agents	*as = a->agents;
	struct job	*j;

	(void)fd;
	if (a->agents->q == NULL || m->status > D_PERM) {
		chan_reject(c, "status of a result");
		return;
	}
	if ((j = job_of(a, m->tid, m->id)) == NULL)
		j = job_adopted(as->q, m->id, m->n);
	result_add(as->q, j, a, m->tid, &(struct result){ .id = m->id,
	    .n = m->n, .attempt = m->attempt, .status = m->status,
	    .remote = m->remote, .dsn = m->dsn, .reply = m->reply,
	    .server = m->server, .tls = m->tls });
	/* Nobody says d_done for one of an earlier life: it ended with its
	 * last result. */
	if (j != NULL && j->adopted && j->ended &&
	    map_get_u64(as->jobs, j->tid) == j) {
		map_del_u64(as->jobs, j->tid);
		agent_ran(j->agent);
	}
}

static void
d_done(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_done *m = msg;
	struct agent	*a = chan_arg(c);
	struct job	*j = job_of(a, m->tid, m->id);

	(void)fd;
	if (m->dest > D_DEST_SLOW) {
		chan_reject(c, "state of a destination");
		return;
	}
	if (j == NULL)
		return;
	map_del_u64(a->agents->jobs, m->tid);
	agent_ran(a);
	j->reply_ms = m->ms;
	result_all(a->agents->q, j, D_TEMP, "4.3.0 no result");
	job_ended(a->agents->q, j, m->dest);
}

/* Not begun, so it is no attempt. */
static void
d_back(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_back *m = msg;
	struct agent	*a = chan_arg(c);
	struct job	*j = job_of(a, m->tid, m->id);

	(void)fd;
	a->leaving = true;
	if (j == NULL)
		return;
	map_del_u64(a->agents->jobs, m->tid);
	if (a->running > 0)
		a->running--;
	job_again(a->agents->q, j, false);
}

/*
 * A recipient that this deliverd has at work since an earlier life of queued:
 * it is not given out again until there is a result or the agent is gone. The
 * number that the job had then means nothing now; it gets one of ours.
 */
static void
d_running(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_running *m = msg;
	struct agent	*a = chan_arg(c);
	struct agents	*as = a->agents;
	struct job	*j;

	(void)fd;
	if (as->q == NULL || as->q->down)
		return;
	j = job_adopt(as->q, m->id, m->n, m->attempt);
	if (j == NULL || !j->adopted || !j->running || j->agent != NULL)
		return;
	if (job_number(as, a, j))
		a->running++;
	else
		job_again(as->q, j, false);
}

static void
d_synced(struct chan *c, const void *msg, int fd)
{
	struct agent	*a = chan_arg(c);

	(void)msg;
	(void)fd;
	a->synced = true;
	settle_check(a->agents);
	if (a->agents->q != NULL)
		a->agents->q->ops->want_run(a->agents->q);
}

/* ---- servers ---- */

static unsigned
slot_of(const struct agent *a)
{
	unsigned	 i = 0;

	while (i < AGENTS_MAX && a->agents->v[i] != a)
		i++;
	return i;
}

/* What one deliverd has found out about a server the others are told. */
static void
d_server(struct chan *c, const void *msg, int fd)
{
	(void)fd;
	hosts_heard(slot_of(chan_arg(c)), msg);
}

static void
d_login(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	hosts_login(msg);
}

static void
d_back_up(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_back_up *m = msg;
	struct agent	*a = chan_arg(c);

	(void)fd;
	if (a->agents->q != NULL && !a->agents->q->down)
		due_back_up(a->agents->q, dest_key(m->action, m->domain));
}

/* ---- what domains ask of TLS ---- */

static void
d_policy_ask(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_policy_ask *m = msg;
	struct agent	*a = chan_arg(c);
	struct policy	 p;

	(void)fd;
	if (!policies_get(a->agents->q, m->domain, &p))
		p = (struct policy){ .domain = m->domain };
	CHAN_SEND(c, d_policy_is, .domain = m->domain, .id = p.id,
	    .expires_ms = (uint64_t)p.expires_ms, .text = p.text);
}

static void
d_policy(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_policy *m = msg;
	struct agent	*a = chan_arg(c);

	(void)fd;
	policies_put(a->agents->q, m);
}

static void
d_tls(struct chan *c, const void *msg, int fd)
{
	struct agent	*a = chan_arg(c);

	(void)fd;
	if (!rpt_add(a->agents->q, msg))
		chan_reject(c, "what came of TLS");
}

static void
d_posted(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_posted *m = msg;
	struct agent	*a = chan_arg(c);

	(void)fd;
	rpt_posted(a->agents->q, m->key, m->why);
}

static const struct chan_row table[] = {
	{ IPC_T_d_result, d_result },
	{ IPC_T_d_done, d_done },
	{ IPC_T_d_back, d_back },
	{ IPC_T_d_running, d_running },
	{ IPC_T_d_synced, d_synced },
	{ IPC_T_d_server, d_server },
	{ IPC_T_d_login, d_login },
	{ IPC_T_d_back_up, d_back_up },
	{ IPC_T_d_policy_ask, d_policy_ask },
	{ IPC_T_d_policy, d_policy },
	{ IPC_T_d_tls, d_tls },
	{ IPC_T_d_posted, d_posted },
	{ 0, NULL }
};

/* ---- channels ---- */

struct orphans {
	struct agent	*agent;
	struct job	**v;
	size_t		 n, cap;
};

static bool
orphan(struct span key, void *v, void *arg)
{
	struct orphans	*o = arg;
	struct job	*j = v;

	(void)key;
	if (j->agent == o->agent && o->n < o->cap)
		o->v[o->n++] = j;
	return true;
}

/* Jobs of an agent that is gone count as cut connections: again. */
static void
orphans_again(struct agents *as, struct agent *a)
{
	struct orphans	 o = { .agent = a, .cap = map_count(as->jobs) };

	if (o.cap == 0)
		return;
	if ((o.v = reallocarray(NULL, o.cap, sizeof(*o.v))) == NULL)
		fatal("agents");
	map_each(as->jobs, orphan, &o);
	for (size_t i = 0; i < o.n; i++) {
		map_del_u64(as->jobs, o.v[i]->tid);
		job_again(as->q, o.v[i], true);
	}
	free(o.v);
}

static void
closed(struct chan *c, const char *why)
{
	struct agent	*a = chan_arg(c);
	struct agents	*as = a->agents;

	if (why != NULL)
		proc_report(as->proc, IPC_DELIVERD, a->worker, why);
	hosts_gone(slot_of(a));
	for (size_t i = 0; i < AGENTS_MAX; i++)
		if (as->v[i] == a)
			as->v[i] = NULL;
	if (as->q != NULL) {
		queue_forget_owner(as->q, a);
		orphans_again(as, a);
	}
	chan_free(c);
	free(a);
	settle_check(as);
}

static void
drained(struct chan *c)
{
	struct agent	*a = chan_arg(c);

	if (a->agents->q != NULL)
		a->agents->q->ops->want_run(a->agents->q);
}

void
agents_add(struct agents *as, uint16_t worker, int fd)
{
	struct agent	*a = calloc(1, sizeof(*a));
	size_t		 i, at = AGENTS_MAX;

	for (i = 0; i < AGENTS_MAX; i++) {
		if (as->v[i] != NULL && as->v[i]->worker == worker)
			as->v[i]->old = true;
		if (as->v[i] == NULL && at == AGENTS_MAX)
			at = i;
	}
	if (a == NULL)
		fatal("agents");
	if (at == AGENTS_MAX)
		fatalx("too many delivery agents");
	*a = (struct agent){ .agents = as, .worker = worker };
	a->chan = chan_new(as->base, fd, IPC_QUEUED, IPC_DELIVERD, table,
	    closed, a);
	if (a->chan == NULL)
		fatal("agents");
	chan_on_drained(a->chan, drained);
	as->v[at] = a;
	CHAN_SEND(a->chan, d_sync, .tid = 0);
	hosts_join((unsigned)at, a->chan);
}

void
agents_recorded(void *agent, uint32_t tid, uint64_t id, uint32_t n,
    uint32_t attempt)
{
	struct agent	*a = agent;

	CHAN_SEND(a->chan, d_recorded, .tid = tid, .id = id, .n = n,
	    .attempt = attempt);
	a->dirty = true;
}

bool
agents_post(struct agents *as, struct span key, struct span url,
    struct span body)
{
	for (size_t i = 0; i < AGENTS_MAX; i++) {
		struct agent	*a = as->v[i];

		if (a == NULL || a->old || a->leaving || !a->synced)
			continue;
		CHAN_SEND(a->chan, d_post, .key = key, .url = url,
		    .body = body);
		return true;
	}
	return false;
}

void
agents_flush(struct agents *as)
{
	for (size_t i = 0; i < AGENTS_MAX; i++)
		if (as->v[i] != NULL && as->v[i]->dirty) {
			as->v[i]->dirty = false;
			chan_flush(as->v[i]->chan);
		}
}
