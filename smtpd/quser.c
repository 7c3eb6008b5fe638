/*
 * The channel to queued, and who waits for what it says: numbers, answers, and
 * what becomes of those who wait when it goes and comes back. See quser.h.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/wait.h"
#include "smtpd/guess.h"
#include "smtpd/handoff.h"
#include "smtpd/learn.h"
#include "smtpd/quser.h"
#include "smtpd/source.h"
#include "smtpd/verify.h"
#include "smtpd/window.h"

#define USERS_MAX	65536	/* on their way; sessions are fewer */
#define DOUBT_S		60	/* then the client is left without a reply */

static struct proc	*proc;
static struct chan	*chan;		/* NULL: queued is away */
static struct wait	*users;
static bool		 is_open;
static char		*closed_why;

/* ---- who waits ------------------------------------------------------------- */

struct chan *
quser_chan(void)
{
	return chan;
}

bool
quser_open(const char **why)
{
	*why = closed_why;
	return is_open;
}

bool
quser_add(struct quser *u)
{
	return chan != NULL && (u->tid = wait_add(users, u)) != 0;
}

void
quser_forget(struct quser *u)
{
	if (u->tid != 0)
		wait_take(users, u->tid);
	u->tid = 0;
	if (u->doubt != NULL)
		event_free(u->doubt);
	u->doubt = NULL;
}

static void
doubt_too_long(evutil_socket_t fd, short what, void *arg)
{
	struct quser	*u = arg;

	(void)fd;
	(void)what;
	quser_forget(u);
	u->ops->over(u);
}

void
quser_doubt(struct quser *u)
{
	const struct timeval	 tv = { DOUBT_S, 0 };

	if (u->doubt != NULL)
		return;
	if ((u->doubt = evtimer_new(proc_base(proc), doubt_too_long,
	    u)) == NULL || evtimer_add(u->doubt, &tv) == -1)
		fatalx("evtimer_new");
}

/* ---- what comes over the channel ------------------------------------------- */

static void
on_credit(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_credit	*m = msg;
	struct quser			*u = wait_get(users, m->tid);

	(void)c;
	(void)fd;
	if (u != NULL)
		u->ops->credit(u, m->bytes);
}

static void
on_result(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_result	*m = msg;
	struct quser			*u = wait_get(users, m->tid);

	(void)fd;
	if (m->status > Q_REFUSED)
		chan_reject(c, "q_result: no such status");
	else if (u != NULL)
		u->ops->result(u, m);
}

static void
on_have(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_have	*m = msg;
	struct quser		*u = wait_get(users, m->tid);

	(void)c;
	(void)fd;
	if (u == NULL || u->id != m->id || u->doubt == NULL)
		return;
	quser_forget(u);
	u->ops->have(u, m->have);
}

static void
on_finished(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_finished	*m = msg;
	struct quser			*u = wait_get(users, m->tid);

	(void)fd;
	if (m->status > Q_REFUSED)
		chan_reject(c, "q_finished: no such status");
	else if (u != NULL && u->id == m->id && u->ops->finished != NULL)
		u->ops->finished(u, (enum q_status)m->status);
}

static void
on_state(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_state	*m = msg;

	(void)c;
	(void)fd;
	is_open = m->open;
	free(closed_why);
	closed_why = m->open ? NULL : span_dup(m->why);
}

static void
on_source_total(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	source_total(msg);
}

static void
on_guess_total(struct chan *c, const void *msg, int fd)
{
	(void)fd;
	if (!guess_total(msg))
		chan_reject(c, "q_guess_total: no hash");
}

static const struct chan_row rows[] = {
	{ IPC_T_q_credit, on_credit },
	{ IPC_T_q_result, on_result },
	{ IPC_T_q_have, on_have },
	{ IPC_T_q_finished, on_finished },
	{ IPC_T_q_state, on_state },
	{ IPC_T_q_source_total, on_source_total },
	{ IPC_T_q_guess_total, on_guess_total },
	{ IPC_T_v_answer, verify_known },
	{ IPC_T_q_again_is, window_known },
	{ 0, NULL }
};

/* ---- queued comes and goes ------------------------------------------------- */

static void
lost_one(uint32_t tid, void *owner, void *arg)
{
	struct quser	*u = owner;

	(void)tid;
	(void)arg;
	u->ops->lost(u);
}

static void
back_one(uint32_t tid, void *owner, void *arg)
{
	struct quser	*u = owner;

	(void)tid;
	(void)arg;
	if (u->doubt != NULL)
		u->ops->back(u);
}

static void
gone(void)
{
	chan_free(chan);
	chan = NULL;
	source_queue(NULL);
	guess_queue(NULL);
	learn_queue(NULL);
	verify_queue(NULL);
	window_queue(NULL);
	wait_each(users, lost_one, NULL);
}

static void
on_closed(struct chan *c, const char *why)
{
	if (why != NULL)
		proc_report(proc, IPC_QUEUED, 0, why);
	if (c == chan)
		gone();
	else
		chan_free(c);
}

void
queue_fate(uint64_t id)
{
	if (chan != NULL)
		CHAN_SEND(chan, q_fate, .tid = 0, .id = id);
}

void
queue_init(struct proc *p)
{
	proc = p;
	if ((users = wait_new(USERS_MAX)) == NULL)
		fatal("wait_new");
}

void
queue_peer(int fd)
{
	if (chan != NULL)
		gone();
	is_open = true;
	chan = chan_new(proc_base(proc), fd, IPC_SMTPD, IPC_QUEUED, rows,
	    on_closed, NULL);
	if (chan == NULL)
		fatal("chan_new");
	source_queue(chan);
	guess_queue(chan);
	learn_queue(chan);
	verify_queue(chan);
	window_queue(chan);
	wait_each(users, back_one, NULL);
}
