/*
 * Outstanding questions by their number. See sender.h.
 */
#include "common/lookup/sender.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/wait.h"

#define WHAT_MAX	1000	/* as in msg.def */

struct sender {
	struct proc	*p;
	enum ipc_role	 role;
	struct chan	*chan;		/* NULL: no keyd at the moment */
	struct wait	*wait;
};
struct question {
	struct sender	*s;
	uint32_t	 tid;
	struct event	*timer;
	void		(*done)(void *, enum sender_answer, struct span,
			    struct span);
	void		*arg;
	char		*what;
};

struct sender *
sender_new(struct proc *p, enum ipc_role role)
{
	struct sender	*s = calloc(1, sizeof(*s));

	if (s == NULL || (s->wait = wait_new(SENDER_MAX)) == NULL)
		fatal("sender");
	s->p = p;
	s->role = role;
	return s;
}

static void
question_send(struct question *q)
{
	struct sender	*s = q->s;

	if (s->chan == NULL)
		return;
	if (s->role == IPC_DELIVERD)
		CHAN_SEND(s->chan, k_srs, .tid = q->tid,
		    .from = span_str(q->what));
	else
		CHAN_SEND(s->chan, k_srs_back, .tid = q->tid,
		    .local = span_str(q->what));
}

static void
question_free(struct question *q)
{
	event_free(q->timer);
	free(q->what);
	free(q);
}

static void
finish(struct sender *s, uint32_t tid, enum sender_answer answer,
    struct span address, struct span why)
{
	struct question	*q = wait_take(s->wait, tid);

	if (q == NULL)
		return;
	q->done(q->arg, answer, address, why);
	question_free(q);
}

static void
too_old(evutil_socket_t fd, short what, void *arg)
{
	struct question	*q = arg;

	(void)fd;
	(void)what;
	finish(q->s, q->tid, SENDER_LATER, span(NULL, 0),
	    span_str("no answer from keyd"));
}

void
sender_made(struct sender *s, const struct ipc_k_srs_made *m)
{
	finish(s, m->tid, m->ok ? SENDER_OK : SENDER_NO, m->address,
	    span_str(m->ok ? "" : "not an address that can be rewritten"));
}

void
sender_answered(struct sender *s, const struct ipc_k_srs_sender *m)
{
	finish(s, m->tid, m->ok ? SENDER_OK : SENDER_NO, m->address, m->why);
}

static void
again(uint32_t tid, void *owner, void *arg)
{
	(void)tid;
	(void)arg;
	question_send(owner);
}

void
sender_join(struct sender *s, struct chan *c)
{
	s->chan = c;
	if (c != NULL)
		wait_each(s->wait, again, NULL);
}

uint32_t
sender_ask(struct sender *s, struct span what,
    void (*done)(void *, enum sender_answer, struct span, struct span),
    void *arg)
{
	const struct timeval	 tv = { SENDER_TIMEOUT_MS / 1000, 0 };
	struct question		*q;

	if (what.len > WHAT_MAX || (q = calloc(1, sizeof(*q))) == NULL)
		return 0;
	q->s = s;
	q->done = done;
	q->arg = arg;
	if ((q->what = span_dup(what)) == NULL ||
	    (q->tid = wait_add(s->wait, q)) == 0) {
		free(q->what);
		free(q);
		return 0;
	}
	if ((q->timer = evtimer_new(proc_base(s->p), too_old, q)) == NULL ||
	    evtimer_add(q->timer, &tv) == -1)
		fatalx("evtimer_new");
	question_send(q);
	return q->tid;
}

void
sender_cancel(struct sender *s, uint32_t number)
{
	struct question	*q;

	if (number != 0 && (q = wait_take(s->wait, number)) != NULL)
		question_free(q);
}
