/*
 * See pki_ask.h.
 */
#include "smtpd/pki_ask.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/wait.h"

struct ask {
	uint32_t		 tid;
	struct provider_request	*request;
	struct event		*timer;
};

static struct proc		*proc;
static struct chan		*chan;
static struct wait		*waiting;
static struct pki_ask_counts	 counts;

void
pki_ask_init(struct proc *p)
{
	proc = p;
	if ((waiting = wait_new(PKI_ASK_MAX)) == NULL)
		fatal("signatures");
}

static void
ask_free(struct ask *a)
{
	event_free(a->timer);
	free(a);
}

/* Goes on with the handshake; an empty signature ends it. */
static void
finish(struct ask *a, struct span signature)
{
	struct provider_request	*r = a->request;

	counts.failed += signature.len == 0;
	ask_free(a);
	provider_answer(r, signature);
}

static void
too_old(evutil_socket_t fd, short what, void *arg)
{
	struct ask	*a = arg;

	(void)fd;
	(void)what;
	(void)wait_take(waiting, a->tid);
	log_warnx("event=signature why=\"no answer from keyd\"");
	finish(a, span(NULL, 0));
}

void
pki_ask_on_signed(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_signed	*m = msg;
	struct ask			*a = wait_take(waiting, m->tid);

	(void)c;
	(void)fd;
	if (a != NULL)
		finish(a, m->ok ? m->signature : span(NULL, 0));
}

static bool
on_sign(struct provider_request *r, const struct provider_key *key,
    const struct scheme *by, struct span statement)
{
	const struct timeval	 tv = { PKI_ASK_TIMEOUT_MS / 1000, 0 };
	struct ask		*a;

	counts.asked++;
	if (chan == NULL || (a = calloc(1, sizeof(*a))) == NULL) {
		counts.failed++;
		return false;
	}
	a->request = r;
	if ((a->timer = evtimer_new(proc_base(proc), too_old, a)) == NULL ||
	    evtimer_add(a->timer, &tv) == -1)
		fatalx("evtimer_new");
	if ((a->tid = wait_add(waiting, a)) == 0) {
		counts.failed++;
		ask_free(a);
		return false;
	}
	provider_set_arg(r, a);
	CHAN_SEND(chan, k_sign, .tid = a->tid, .pki = span_str(key->name),
	    .key = span(key->id, sizeof(key->id)), .scheme = by->code,
	    .statement = statement);
	return true;
}

static void
on_cancel(struct provider_request *r)
{
	struct ask	*a = provider_arg(r);

	(void)wait_take(waiting, a->tid);
	ask_free(a);
}

const struct provider_ops	pki_ask_ops = { on_sign, on_cancel };

static void
fail_one(uint32_t tid, void *owner, void *arg)
{
	(void)arg;
	(void)wait_take(waiting, tid);
	finish(owner, span(NULL, 0));
}

/* A new keyd knows nothing of what the one before was asked. */
void
pki_ask_join(struct chan *c)
{
	chan = c;
	wait_each(waiting, fail_one, NULL);
}

const struct pki_ask_counts *
pki_ask_counts(void)
{
	return &counts;
}
