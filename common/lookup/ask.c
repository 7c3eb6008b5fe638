/*
 * Outstanding questions to lookupd by their number, each with the records that
 * have come so far.
 */
#include "common/lookup/ask.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/wait.h"

struct ask {
	struct proc	*p;
	enum ipc_role	 role;
	struct chan	*chan;		/* NULL: no lookupd at the moment */
	uint16_t	 worker;
	struct wait	*wait;
};
struct question {
	struct ask	*ask;
	uint32_t	 tid;
	enum dns_type	 type;
	struct event	*timer;
	void		(*done)(void *, const struct ask_answer *);
	void		*arg;
	struct ask_rr	*rr;
	uint8_t		*texts[ASK_RRS_MAX];	/* of the n records, or NULL */
	size_t		 n, cap;
	char		 name[DNS_NAME_MAX + 1];
};

static chan_handler on_rr, on_end;
static const struct chan_row rows[] = {
	{ IPC_T_lookup_rr, on_rr },
	{ IPC_T_lookup_end, on_end },
	{ 0, NULL }
};

struct ask *
ask_new(struct proc *p, enum ipc_role role)
{
	struct ask	*a;

	if ((a = calloc(1, sizeof(*a))) == NULL ||
	    (a->wait = wait_new(ASK_MAX)) == NULL)
		fatal("ask");
	a->p = p;
	a->role = role;
	return a;
}

static void
forget_records(struct question *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->texts[i]);
	q->n = 0;
}

static void
question_free(struct question *q)
{
	event_free(q->timer);
	forget_records(q);
	free(q->rr);
	free(q);
}

static void
question_send(struct question *q)
{
	if (q->ask->chan != NULL)
		CHAN_SEND(q->ask->chan, lookup, .tid = q->tid,
		    .type = (uint8_t)q->type, .name = span_str(q->name));
}

/* After a new lookupd has come: what the old one had not answered. */
static void
again(uint32_t tid, void *owner, void *arg)
{
	struct question	*q = owner;

	(void)tid;
	(void)arg;
	forget_records(q);
	question_send(q);
}

static void
lost(struct chan *c, const char *why)
{
	struct ask	*a = chan_arg(c);

	if (why != NULL)
		proc_report(a->p, IPC_LOOKUPD, a->worker, why);
	if (a->chan == c)
		a->chan = NULL;
	chan_free(c);
}

void
ask_peer(struct ask *a, uint16_t worker, int fd)
{
	chan_free(a->chan);
	a->worker = worker;
	a->chan = chan_new(proc_base(a->p), fd, a->role, IPC_LOOKUPD,
	    rows, lost, a);
	if (a->chan == NULL)
		fatal("chan_new");
	wait_each(a->wait, again, NULL);
}

static void
finish(struct question *q, const struct ask_answer *ans)
{
	wait_take(q->ask->wait, q->tid);
	q->done(q->arg, ans);
	question_free(q);
}

static void
too_old(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg, &(struct ask_answer){ .status = DNS_TEMPFAIL });
}

uint32_t
ask_send(struct ask *a, enum dns_type type, const char *name,
    void (*done)(void *, const struct ask_answer *), void *arg)
{
	const struct timeval	 tv = { ASK_TIMEOUT_MS / 1000, 0 };
	struct question		*q;

	if (!dns_name_ok(span_str(name)) ||
	    (q = calloc(1, sizeof(*q))) == NULL)
		return 0;
	if ((q->tid = wait_add(a->wait, q)) == 0) {
		free(q);
		return 0;
	}
	q->ask = a;
	q->type = type;
	q->done = done;
	q->arg = arg;
	strlcpy(q->name, name, sizeof(q->name));
	if ((q->timer = evtimer_new(proc_base(a->p), too_old, q)) == NULL ||
	    evtimer_add(q->timer, &tv) == -1)
		fatalx("evtimer_new");
	question_send(q);
	return q->tid;
}

void
ask_cancel(struct ask *a, uint32_t tid)
{
	struct question	*q;

	if (tid != 0 && (q = wait_take(a->wait, tid)) != NULL)
		question_free(q);
}

static void
on_rr(struct chan *c, const void *msg, int fd)
{
	const struct ipc_lookup_rr	*m = msg;
	struct ask			*a = chan_arg(c);
	struct question			*q = wait_get(a->wait, m->tid);
	struct ask_rr			*rr;

	(void)fd;
	if (q == NULL || m->type != q->type || q->n == ASK_RRS_MAX)
		return;
	if (q->n == q->cap) {
		size_t	cap = q->cap == 0 ? 4 : q->cap * 2;

		if ((rr = reallocarray(q->rr, cap, sizeof(*rr))) == NULL)
			return;
		q->rr = rr;
		q->cap = cap;
	}
	rr = &q->rr[q->n];
	*rr = (struct ask_rr){ .pref = m->pref, .addr = m->addr };
	if (!span_cstr(m->name, rr->name, sizeof(rr->name)))
		return;
	q->texts[q->n] = NULL;
	if (m->text.len > 0) {
		if ((q->texts[q->n] = malloc(m->text.len)) == NULL)
			return;
		memcpy(q->texts[q->n], m->text.p, m->text.len);
		rr->text = span(q->texts[q->n], m->text.len);
	}
	q->n++;
}

static void
on_end(struct chan *c, const void *msg, int fd)
{
	const struct ipc_lookup_end	*m = msg;
	struct ask			*a = chan_arg(c);
	struct question			*q = wait_get(a->wait, m->tid);
	struct ask_answer		 ans;

	(void)fd;
	if (m->status > DNS_TEMPFAIL) {
		chan_reject(c, "lookup_end: no such status");
		return;
	}
	if (q == NULL)
		return;
	ans = (struct ask_answer){ .status = (enum dns_status)m->status,
	    .ttl = m->ttl, .ad = m->ad, .n = q->n, .rr = q->rr };
	if (!span_cstr(m->canon, ans.canon, sizeof(ans.canon)))
		ans.canon[0] = '\0';
	finish(q, &ans);
}
