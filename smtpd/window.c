/*
 * See window.h.
 */
#include "smtpd/window.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/wait.h"
#include "smtpd/proxy.h"

#define QUESTIONS_MAX	65536	/* sessions are fewer */

static struct event_base	*base;
static struct chan		*chan;
static struct wait		*questions;	/* by tid: its transaction */

void
window_init(struct event_base *b)
{
	base = b;
	if ((questions = wait_new(QUESTIONS_MAX)) == NULL)
		fatal("wait_new");
}

/* ---- has it come before? ----------------------------------------------------- */

void
window_cancel(struct txn *t)
{
	struct txn_again	*g = &t->again;

	if (g->tid != 0)
		wait_take(questions, g->tid);
	if (g->timer != NULL)
		event_free(g->timer);
	g->tid = 0;
	g->timer = NULL;
}

static void
answered(struct txn *t, uint64_t first)
{
	window_cancel(t);
	proxy_again(t, first);
}

static void
too_long(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	answered(arg, 0);
}

bool
window_ask(struct txn *t)
{
	const struct timeval	 tv = { WINDOW_ASK_MS / 1000, 0 };
	struct txn_again	*g = &t->again;

	g->known = stage_digest(t, g->digest);
	if (!g->known || chan == NULL ||
	    (g->tid = wait_add(questions, t)) == 0)
		return false;
	if ((g->timer = evtimer_new(base, too_long, t)) == NULL ||
	    evtimer_add(g->timer, &tv) == -1)
		fatalx("evtimer_new");
	CHAN_SEND(chan, q_again, .tid = g->tid,
	    .digest = span(g->digest, sizeof(g->digest)));
	return true;
}

void
window_known(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_again_is	*m = msg;
	struct txn			*t = wait_get(questions, m->tid);

	(void)c;
	(void)fd;
	if (t != NULL)
		answered(t, m->id);
}

static void
nobody_knows(uint32_t tid, void *owner, void *arg)
{
	(void)tid;
	(void)arg;
	answered(owner, 0);
}

void
window_queue(struct chan *c)
{
	chan = c;
	if (c == NULL)
		wait_each(questions, nobody_knows, NULL);
}

/* ---- what is not known ------------------------------------------------------- */

void
window_taken(struct txn *t)
{
	struct session	*s = t->s;

	s->told = t->id;
	s->told_live = true;
	free(s->told_digest);
	s->told_digest = NULL;
	if (t->again.known && (s->told_digest = malloc(DIGEST_LEN)) != NULL)
		memcpy(s->told_digest, t->again.digest, DIGEST_LEN);
}

void
window_client(struct session *s)
{
	char	ids[ID_STRLEN];

	session_stats()->window_client++;
	log_info("session=%s id=%s event=window side=client why=\"nothing came "
	    "behind the 250\"", s->id, id_str(s->told, ids));
	if (s->told_digest != NULL && chan != NULL)
		CHAN_SEND(chan, q_lost, .id = s->told,
		    .digest = span(s->told_digest, DIGEST_LEN));
}

void
window_server(const struct txn *t, const char *server)
{
	session_stats()->window_server++;
	log_info("session=%s id=%s event=window side=server server=%s "
	    "why=\"gone behind the dot\"", t->s->id, t->ids,
	    log_quote(span_str(server)));
}
