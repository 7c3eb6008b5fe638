/*
 * queued: the durable queue. This file is its edge: channels to smtpd and their
 * transactions, timers, configuration. What a message goes through is behind
 * queue.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/proc/confine.h"
#include "common/proc/start.h"
#include "queued/again.h"
#include "queued/ctl.h"
#include "queued/guesses.h"
#include "queued/job.h"
#include "queued/offline.h"
#include "queued/prepared.h"
#include "queued/proxies.h"
#include "queued/sources.h"
#include "queued/verify.h"
#include "queued/ctl_recipient.h"

#define HOUSE_MS	1000	/* small work when nothing else happens */
#define REOPEN_MS	10000	/* a queue that is down is tried again */

/* A channel to one smtpd and its open transactions. */
struct front {
	struct main	*m;
	struct chan	*chan;
	uint16_t	 worker;
	unsigned	 slot;
	struct map	*txns;		/* tid -> struct txn */
	bool		 dirty;		/* answers wait to be sent */
};

struct main {
	struct proc	*proc;
	struct conf	*conf;
	struct queue	*q;
	struct agents	*agents;
	struct sources	*sources;
	struct guesses	*guesses;
	struct again	*again;
	struct verify	*verify;
	struct proxies	*proxies;
	struct front	*fronts[SOURCES_PEERS];
	struct event	*flush, *flush_late, *run, *house;
	bool		 late_set;
	int64_t		 reopen_ms;
};

static const struct seccomp_group *const groups[] = { &seccomp_base,
    &seccomp_loop, &seccomp_fds_out, &seccomp_files_spool, NULL };
static const struct confine_profile profile = { groups, true };
static const struct timeval now = { 0, 0 };

/* ---- transactions from smtpd ---- */

static void
result(struct front *f, uint32_t tid, uint64_t id, enum q_status st,
    const char *text)
{
	CHAN_SEND(f->chan, q_result, .tid = tid, .id = id, .status = st,
	    .text = span_str(text));
	f->dirty = true;
}

static void
q_env(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_env *e = msg;
	struct front	*f = chan_arg(c);
	struct queue	*q = f->m->q;
	struct rec_msg	 m = { .body = e->body, .ret = e->ret,
			    .flags = (e->utf8 ? MSG_UTF8 : 0) |
			    (e->prepared ? MSG_PREPARED : 0),
			    .received_ms = e->received_ms,
			    .client = e->client, .from = e->from,
			    .envid = e->envid, .rdns = e->rdns,
			    .helo = e->helo, .auth = e->auth, .tag = e->tag };
	struct txn	*t;

	(void)fd;
	if (map_get_u64(f->txns, e->tid) != NULL) {
		chan_reject(c, "number of a transaction used twice");
		return;
	}
	if ((t = txn_begin(q, f, e->tid, e->id, &m)) == NULL) {
		result(f, e->tid, e->id, Q_REFUSED, "the id is known");
		return;
	}
	if (!map_set_u64(f->txns, e->tid, t)) {
		txn_abort(t);
		chan_reject(c, "more transactions than sessions");
	}
}

static void
q_rcpt(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_rcpt *m = msg;
	struct front	*f = chan_arg(c);
	struct txn	*t = map_get_u64(f->txns, m->tid);
	struct rec_rcpt	 r = { .to = m->to, .action = m->action,
			    .notify = m->notify, .orcpt = m->orcpt,
			    .orig = m->orig, .group = m->group,
			    .flags = m->flags, .way = m->way };

	(void)fd;
	/* One too many is told by the commit's result: a limit may have come
	 * down by a reload while smtpd holds the one before. */
	if (t != NULL)			/* or it was refused, aborted */
		(void)txn_rcpt(t, &r);
}

static void
q_data(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_data *m = msg;
	struct front	*f = chan_arg(c);
	struct txn	*t = map_get_u64(f->txns, m->tid);

	(void)fd;
	if (t != NULL)
		(void)txn_data(t, m->bytes);
	/* What came is in its place: as much may follow. */
	CHAN_SEND(c, q_credit, .tid = m->tid,
	    .bytes = (uint32_t)m->bytes.len);
}

/* Its 250 was lost, and the client has sent it once more: it is there. */
static bool
came_again(struct front *f, struct txn *t, const struct ipc_q_commit *m)
{
	uint64_t	 id = txn_id(t), first;
	char		 ids[ID_STRLEN], firsts[ID_STRLEN];

	first = again_known(f->m->again, m->digest, clock_mono().ms);
	if (first == 0)
		return false;
	txn_abort(t);
	f->m->q->stats.again++;
	log_info("id=%s event=again first=%s", id_str(id, ids),
	    id_str(first, firsts));
	result(f, m->tid, first, Q_OK, "it has come before");
	return true;
}

static void
q_commit(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_commit *m = msg;
	struct front	*f = chan_arg(c);
	struct txn	*t = map_del_u64(f->txns, m->tid);

	(void)fd;
	if (t == NULL || came_again(f, t, m))
		return;
	again_commit(f->m->again, m->digest, txn_id(t), clock_mono().ms);
	txn_commit(t, m->prefix, m->bytes, m->size);
}

static void
q_fate(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_fate	*m = msg;
	struct front		*f = chan_arg(c);

	(void)fd;
	again_lost(f->m->again, m->id);
}

/* Of the live way: its server has it, and was told nothing else. */
static void
q_lost(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_lost	*m = msg;
	struct front		*f = chan_arg(c);

	(void)fd;
	again_commit(f->m->again, m->digest, m->id, clock_mono().ms);
	again_committed(f->m->again, m->id, true);
	again_lost(f->m->again, m->id);
}

static void
q_again(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_again	*m = msg;
	struct front			*f = chan_arg(c);
	uint64_t			 first;

	(void)fd;
	first = again_known(f->m->again, m->digest, clock_mono().ms);
	if (first != 0)
		f->m->q->stats.again++;
	CHAN_SEND(c, q_again_is, .tid = m->tid, .id = first);
}

static void
q_abort(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_abort *m = msg;
	struct front	*f = chan_arg(c);
	struct txn	*t = map_del_u64(f->txns, m->tid);

	(void)fd;
	if (t != NULL)
		txn_abort(t);
}

static void
q_settle(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_settle *m = msg;
	struct front	*f = chan_arg(c);
	struct rec_settled s = { m->way, m->outcome, m->reply, m->server };

	(void)fd;
	if (!f->m->q->down && !prepared_settle(f->m->q, f, m->id, &s))
		chan_reject(c, "q_settle: no such way or outcome");
}

static void
q_finish(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_finish *m = msg;
	struct front	*f = chan_arg(c);

	(void)fd;
	if (f->m->q->down)
		return;			/* not known yet: no answer */
	prepared_finish(f->m->q, f, m->tid, m->id, m->keep);
}

static void
q_ask(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_ask *m = msg;
	struct front	*f = chan_arg(c);

	(void)fd;
	if (f->m->q->down)
		return;			/* not known yet: no answer */
	CHAN_SEND(c, q_have, .tid = m->tid, .id = m->id,
	    .have = queue_has(f->m->q, m->id));
}

static void
tell_source(unsigned slot, const struct addr *a,
    const struct source_state *sum, void *arg)
{
	struct main	*m = arg;

	if (m->fronts[slot] != NULL)
		CHAN_SEND(m->fronts[slot]->chan, q_source_total, .source = *a,
		    .sessions = sum->sessions,
		    .came_window = sum->came.window, .came = sum->came.n,
		    .failed_window = sum->failed.window,
		    .failed = sum->failed.n);
}

static void
q_source(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_source *m = msg;
	struct front	*f = chan_arg(c);
	struct source_state st = { m->sessions, { m->came_window, m->came },
			    { m->failed_window, m->failed } };

	(void)fd;
	sources_report(f->m->sources, f->slot, &m->source, &st, tell_source,
	    f->m);
}

static void
q_guess(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_guess *m = msg;
	struct main	*all = ((struct front *)chan_arg(c))->m;
	uint64_t	 window = m->window;
	uint32_t	 sum;

	(void)fd;
	if (m->name.len != IPC_GUESS_KEY) {
		chan_reject(c, "q_guess: no hash");
		return;
	}
	sum = guesses_add(all->guesses, m->name, &window, m->failed);
	for (size_t i = 0; sum > 0 && i < SOURCES_PEERS; i++)
		if (all->fronts[i] != NULL)
			CHAN_SEND(all->fronts[i]->chan, q_guess_total,
			    .name = m->name, .window = window, .failed = sum);
}

static void
v_ask(struct chan *c, const void *msg, int fd)
{
	struct main	*m = ((struct front *)chan_arg(c))->m;

	(void)fd;
	verify_ask(m->verify, m->q, c, msg);
}

static void
v_tell(struct chan *c, const void *msg, int fd)
{
	struct main	*m = ((struct front *)chan_arg(c))->m;

	(void)fd;
	verify_tell(m->verify, m->q, c, msg);
}

static void
v_learn(struct chan *c, const void *msg, int fd)
{
	(void)fd;
	verify_learn(((struct front *)chan_arg(c))->m->q, msg);
}

static const struct chan_row front_table[] = {
	{ IPC_T_q_env, q_env },
	{ IPC_T_q_rcpt, q_rcpt },
	{ IPC_T_q_data, q_data },
	{ IPC_T_q_commit, q_commit },
	{ IPC_T_q_abort, q_abort },
	{ IPC_T_q_fate, q_fate },
	{ IPC_T_q_lost, q_lost },
	{ IPC_T_q_again, q_again },
	{ IPC_T_q_ask, q_ask },
	{ IPC_T_q_settle, q_settle },
	{ IPC_T_q_finish, q_finish },
	{ IPC_T_q_source, q_source },
	{ IPC_T_q_guess, q_guess },
	{ IPC_T_v_ask, v_ask },
	{ IPC_T_v_tell, v_tell },
	{ IPC_T_v_learn, v_learn },
	{ 0, NULL }
};

static bool
abort_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	txn_abort(v);
	return true;
}

static void
front_closed(struct chan *c, const char *why)
{
	struct front	*f = chan_arg(c);
	struct main	*m = f->m;

	if (why != NULL)
		proc_report(m->proc, IPC_SMTPD, f->worker, why);
	m->fronts[f->slot] = NULL;
	queue_forget_owner(m->q, f);
	verify_gone(m->verify, m->q, c);
	map_each(f->txns, abort_one, NULL);
	map_free(f->txns);
	sources_gone(m->sources, f->slot, tell_source, m);
	chan_free(c);
	free(f);
}

static void
front_add(struct main *m, uint16_t worker, int fd)
{
	struct front	*f = calloc(1, sizeof(*f));
	unsigned	 slot = 0;

	while (slot < SOURCES_PEERS && m->fronts[slot] != NULL)
		slot++;
	if (f == NULL || slot == SOURCES_PEERS)
		fatalx("too many smtpd");
	*f = (struct front){ .m = m, .worker = worker, .slot = slot };
	/* One transaction a session, and some that end as others begin. */
	f->txns = map_new((size_t)m->conf->limits.sessions * 2 + 64);
	f->chan = chan_new(proc_base(m->proc), fd, IPC_QUEUED, IPC_SMTPD,
	    front_table, front_closed, f);
	if (f->txns == NULL || f->chan == NULL)
		fatal("smtpd");
	m->fronts[slot] = f;
	CHAN_SEND(f->chan, q_state, .open = !m->q->closed,
	    .why = span_str(m->q->closed_why));
}

/* ---- what the queue asks of its owner ---- */

static void
op_committed(void *owner, uint32_t tid, uint64_t id, enum q_status st,
    const char *text)
{
	struct front	*f = owner;

	if (f == NULL)
		return;
	again_committed(f->m->again, id, st == Q_OK);
	result(f, tid, id, st, text);
}

/* Without an owner nobody has told its client, who may send it again. */
static void
op_finished(struct queue *q, void *owner, uint32_t tid, uint64_t id,
    enum q_status st)
{
	struct main	*m = q->arg;
	struct front	*f = owner;

	if (f == NULL && st == Q_OK)
		again_lost(m->again, id);
	else if (f == NULL)
		again_committed(m->again, id, false);
	else {
		CHAN_SEND(f->chan, q_finished, .tid = tid, .id = id,
		    .status = st);
		f->dirty = true;
	}
}

static void
op_answered(struct queue *q)
{
	struct main	*m = q->arg;

	for (unsigned i = 0; i < SOURCES_PEERS; i++)
		if (m->fronts[i] != NULL && m->fronts[i]->dirty) {
			m->fronts[i]->dirty = false;
			chan_flush(m->fronts[i]->chan);
		}
	agents_flush(m->agents);
}

static void
op_want_flush(struct queue *q, bool soon)
{
	struct main	*m = q->arg;
	struct timeval	 late = { 0, CHANGE_DELAY_MS * 1000 };

	/* A timer that has run out comes after what this pass of the loop
	 * found readable: so all that lies in the sockets is in the batch. */
	if (soon)
		evtimer_add(m->flush, &now);
	else if (!m->late_set) {
		m->late_set = true;
		evtimer_add(m->flush_late, &late);
	}
}

static void
op_want_run(struct queue *q)
{
	struct main	*m = q->arg;

	evtimer_add(m->run, &now);
}

static bool
op_can_hand(struct queue *q, const struct dest *d)
{
	return agents_can_hand(((struct main *)q->arg)->agents, d);
}

static void
op_hand(struct queue *q, struct job *j)
{
	agents_hand(((struct main *)q->arg)->agents, j);
}

static void
op_state(struct queue *q, bool is_open, const char *why)
{
	struct main	*m = q->arg;

	for (unsigned i = 0; i < SOURCES_PEERS; i++)
		if (m->fronts[i] != NULL)
			CHAN_SEND(m->fronts[i]->chan, q_state, .open = is_open,
			    .why = span_str(why));
}

static const struct queue_ops queue_ops = { .committed = op_committed,
    .recorded = agents_recorded, .answered = op_answered,
    .want_flush = op_want_flush, .want_run = op_want_run,
    .can_hand = op_can_hand, .hand = op_hand, .finished = op_finished,
    .state = op_state };

/* ---- timers ---- */

static void
on_flush(int fd, short ev, void *arg)
{
	struct main	*m = arg;

	(void)fd;
	(void)ev;
	m->late_set = false;
	evtimer_del(m->flush_late);
	queue_flush(m->q);
}

static void
on_run(int fd, short ev, void *arg)
{
	struct main	*m = arg;
	int64_t		 wait;
	struct timeval	 tv;

	(void)fd;
	(void)ev;
	if (m->agents == NULL)
		return;
	wait = queue_run(m->q);
	tv = (struct timeval){ wait / 1000, wait % 1000 * 1000 };
	evtimer_add(m->run, &tv);
}

static void
queue_again(struct main *m)
{
	struct queue_params params;

	queue_params_for_disk(&params);
	m->q = queue_open(&params, m->conf, &queue_ops, m);
	agents_queue(m->agents, m->q);
}

static void
on_house(int fd, short ev, void *arg)
{
	struct main	*m = arg;
	struct timeval	 tv = { HOUSE_MS / 1000, 0 };
	int64_t		 t = clock_mono().ms;
	bool		 again;

	(void)fd;
	(void)ev;
	if (m->q->down && t - m->reopen_ms >= REOPEN_MS) {
		/* Nobody holds anything of a queue that is down but open
		 * transactions, which fail. */
		m->reopen_ms = t;
		for (unsigned i = 0; i < SOURCES_PEERS; i++)
			if (m->fronts[i] != NULL &&
			    map_count(m->fronts[i]->txns) > 0)
				goto later;
		queue_forget(m->q);
		queue_again(m);
		if (!m->q->down)
			op_state(m->q, !m->q->closed, m->q->closed_why);
		proxies_pauses(m->proxies);
	}
	again = queue_housekeep(m->q);
	if (verify_house(m->verify, m->q) || again)
		tv = (struct timeval){ 0, 2000 };
later:
	evtimer_add(m->house, &tv);
}

/* ---- the process ---- */

static void
on_peer(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *title, int fd)
{
	struct main	*m = proc_arg(p);

	log_debug("event=peer title=%s", log_quote(span_str(title)));
	if (role == IPC_SMTPD)
		front_add(m, worker, fd);
	else if (role == IPC_DELIVERD)
		agents_add(m->agents, worker, fd);
	else if (role == IPC_PROXYD)
		proxies_add(m->proxies, worker, fd);
	else
		close(fd);
}

static struct conf *
conf_of(struct span bundle)
{
	struct buf	 msgs;
	struct conf	*c;

	buf_init(&msgs, 64 << 10);
	c = conf_parse(bundle, &msgs);
	buf_clear(&msgs);
	return c;
}

static bool
on_reload(struct proc *p, struct span bundle, bool check, const char **why)
{
	struct main	*m = proc_arg(p);
	struct conf	*c = conf_of(bundle), *old = m->conf;

	if (c == NULL) {
		*why = "the configuration does not parse";
		return false;
	}
	if (check) {
		conf_free(c);
		return true;
	}
	m->conf = c;
	queue_conf(m->q, c);
	conf_free(old);
	return true;
}

static void
on_stop(struct proc *p)
{
	struct main	*m = proc_arg(p);

	queue_flush(m->q);
	op_answered(m->q);
	queue_close(m->q);
}

static uint64_t
on_floor(struct proc *p)
{
	struct main	*m = proc_arg(p);

	return m->q->newest_id == 0 ? 0 :
	    (uint64_t)id_wall_ms(m->q->newest_id) + 1;
}

int
main(int argc, char **argv)
{
	static struct proc_ops ops = { .peer = on_peer, .reload = on_reload,
	    .stop = on_stop, .id_floor_ms = on_floor };
	static struct main m;
	struct event_base *base;

	if (offline_wanted(argc, argv))
		return offline_main(argc, argv);
	m.proc = proc_start(IPC_QUEUED, argc, argv);
	base = proc_base(m.proc);
	proc_confine(m.proc, &profile);
	if ((m.conf = conf_of(proc_conf(m.proc))) == NULL)
		fatalx("the configuration does not parse");
	m.flush = evtimer_new(base, on_flush, &m);
	m.flush_late = evtimer_new(base, on_flush, &m);
	m.run = evtimer_new(base, on_run, &m);
	m.house = evtimer_new(base, on_house, &m);
	if (m.flush == NULL || m.flush_late == NULL || m.run == NULL ||
	    m.house == NULL)
		fatal("timers");
	m.sources = sources_new();
	m.guesses = guesses_new();
	if ((m.again = again_new()) == NULL)
		fatal("again");
	m.verify = verify_new();
	m.agents = agents_new(base, m.proc);
	m.proxies = proxies_new(base, m.proc, &m.q);
	queue_again(&m);
	evtimer_add(m.house, &now);
	ops.verbs = verbs_init(&m.q, m.proxies);
	verify_ctl_init(&m.q, m.verify);
	return proc_run(m.proc, &ops, &m);
}
