/*
 * Channels to smtpd: its transactions, and what else it tells and asks of the
 * queue.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/again.h"
#include "queued/guesses.h"
#include "queued/main.h"
#include "queued/prepared.h"
#include "queued/verify.h"

/* ---- transactions ---- */

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
			    (e->requiretls ? MSG_REQUIRETLS : 0) |
			    (e->prepared ? MSG_PREPARED : 0),
			    .received_ms = e->received_ms,
			    .client = e->client, .from = e->from,
			    .envid = e->envid, .rdns = e->rdns,
			    .helo = e->helo, .auth = e->auth, .tag = e->tag,
			    .mail_auth = e->mail_auth };
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
	if (m->tls_optional)
		txn_tls_optional(t);
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

void
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

/* ---- what the queue says of them ---- */

void
front_committed(void *owner, uint32_t tid, uint64_t id, enum q_status st,
    const char *text)
{
	struct front	*f = owner;

	if (f == NULL)
		return;
	again_committed(f->m->again, id, st == Q_OK);
	result(f, tid, id, st, text);
}

/* Without an owner nobody has told its client, who may send it again. */
void
front_finished(struct queue *q, void *owner, uint32_t tid, uint64_t id,
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
