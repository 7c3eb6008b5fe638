/*
 * queued: the durable queue. This file is the process: timers, configuration,
 * what the queue asks for; front.c has the channels to smtpd. What a message
 * goes through is behind queue.h.
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
#include "queued/main.h"
#include "queued/offline.h"
#include "queued/policies.h"
#include "queued/proxies.h"
#include "queued/verify.h"
#include "queued/ctl_recipient.h"

#define HOUSE_MS	1000	/* small work when nothing else happens */
#define REOPEN_MS	10000	/* a queue that is down is tried again */

static const struct seccomp_group *const groups[] = { &seccomp_base,
    &seccomp_loop, &seccomp_fds_out, &seccomp_files_spool, NULL };
static const struct confine_profile profile = { groups, true };
static const struct timeval now = { 0, 0 };

/* ---- what the queue asks of its owner ---- */

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

static bool
op_post(struct queue *q, struct span key, struct span url, struct span body)
{
	return agents_post(((struct main *)q->arg)->agents, key, url, body);
}

static const struct queue_ops queue_ops = { .committed = front_committed,
    .recorded = agents_recorded, .answered = op_answered,
    .want_flush = op_want_flush, .want_run = op_want_run,
    .can_hand = op_can_hand, .hand = op_hand, .post = op_post,
    .finished = front_finished, .state = op_state };

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
	again |= policies_sweep(m->q);
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

static bool
on_reload(struct proc *p, struct span bundle, bool check, const char **why)
{
	struct main	*m = proc_arg(p);
	struct conf	*c = conf_accept(bundle, why), *old = m->conf;

	if (c == NULL)
		return false;
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
	const char	*why;

	if (offline_wanted(argc, argv))
		return offline_main(argc, argv);
	m.proc = proc_start(IPC_QUEUED, argc, argv);
	base = proc_base(m.proc);
	proc_confine(m.proc, &profile);
	if ((m.conf = conf_accept(proc_conf(m.proc), &why)) == NULL)
		fatalx("%s", why);
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
