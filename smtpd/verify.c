/*
 * See verify.h.
 */
#include "smtpd/verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/known.h"
#include "common/ipc/wait.h"
#include "smtpd/link.h"

#define SAID_MAX	300	/* bytes of a server's reply or name */

struct verify {			/* one who waits for the answer */
	LIST_ENTRY(verify) entry;
	struct question	*q;
	size_t		 next;	/* of the action's sources */
	struct event	*timer;
	verify_done	*done;
	void		*arg;
};

struct question {
	struct buf	 key;
	bool		 shared;	/* others may join: it is in `asked` */
	const struct conf_action *action;
	char		*to;		/* "": only whether the server is there */
	char		*target;
	uint32_t	 qtid, ptid;	/* 0: not asked there */
	struct chan	*proxy;
	bool		 memory;	/* no server is asked */
	bool		 stranger;	/* he is asked for as one would be */
	bool		 must_tell;	/* queued waits for the answer */
	/* What is known of him. */
	uint8_t		 state;		/* enum v_state */
	bool		 good;		/* within known-good */
	char		 reply[SAID_MAX + 1], server[SAID_MAX + 1];
	LIST_HEAD(, verify) waiting;
};

static struct proc		*proc;
static const struct conf	*conf;
static struct chan		*queued;	/* NULL: away */
static struct map		*asked;		/* by action and address */
static struct wait		*at_queued, *at_proxyd;
static size_t			 nquestions;

void
verify_init(struct proc *p, const struct conf *c)
{
	proc = p;
	conf = c;
	if ((asked = map_new(VERIFY_QUESTIONS)) == NULL ||
	    (at_queued = wait_new(VERIFY_QUESTIONS)) == NULL ||
	    (at_proxyd = wait_new(VERIFY_QUESTIONS)) == NULL)
		fatal("verify");
}

size_t
verify_count(void)
{
	return nquestions;
}

/* ---- verdicts ----------------------------------------------------------- */

static void
unknown(const struct conf_action *a, const char *said, const char *server,
    verify_done *done, void *arg)
{
	char	text[400];

	snprintf(text, sizeof(text), "%s unknown user%s%s",
	    a->unknown_code == 450 ? "4.1.1" : "5.1.1",
	    said[0] != '\0' ? "; his server said: " : "", said);
	done(arg, &(struct verify_verdict){ VERIFY_UNKNOWN, a->unknown_code,
	    text, server, said });
}

static void
later(const char *text, const char *said, const char *server,
    verify_done *done, void *arg)
{
	done(arg, &(struct verify_verdict){ VERIFY_LATER, 450, text, server,
	    said });
}

static void
known(const char *server, verify_done *done, void *arg)
{
	done(arg, &(struct verify_verdict){ VERIFY_KNOWN, 0, "", server, "" });
}

static void
waiter_free(struct verify *w)
{
	LIST_REMOVE(w, entry);
	event_free(w->timer);
	free(w);
}

/* For backup-mx: while the primary server does its work, or nobody knows, mail
 * is not for us. */
static const char *
not_for_us(uint8_t state)
{
	return state == V_GOOD || state == V_BAD || state == V_LATER ?
	    "4.3.2 The primary mail server is up; deliver there" :
	    "4.4.1 The recipient could not be verified now";
}

/*
 * What one hears who waits: state is the server's answer, or why there is none.
 * Behind a no the sources that come after the server still count.
 */
static void
decide(const struct question *q, size_t next, uint8_t state, verify_done *done,
    void *arg)
{
	const struct conf_action *a = q->action;
	enum known_says		 says;

	if (a->backup_mx && state != V_DOWN) {
		later(not_for_us(state), q->reply, q->server, done, arg);
		return;
	}
	/* backup-mx, and it is down: what was known before counts. */
	if (a->backup_mx && (q->state == V_GOOD || q->to[0] == '\0'))
		state = V_GOOD;
	if (state == V_GOOD || (state != V_BAD && q->good)) {
		known(q->server, done, arg);
		return;
	}
	says = conf_known(conf, a, span_str(q->to), &next);
	if (says == KNOWN_SAYS_YES)
		known("", done, arg);
	else if (says == KNOWN_SAYS_NO)
		unknown(a, "", "", done, arg);
	else if (state == V_BAD)
		unknown(a, q->reply, q->server, done, arg);
	else
		later("4.4.1 The recipient could not be verified now",
		    q->reply, q->server, done, arg);
}

/* Printable ASCII, on one line, as it may stand in a reply of ours. */
static void
keep(char dst[SAID_MAX + 1], struct span s)
{
	size_t	n = s.len < SAID_MAX ? s.len : SAID_MAX;

	for (size_t i = 0; i < n; i++)
		dst[i] = s.p[i] < ' ' || s.p[i] > '~' ? '?' : (char)s.p[i];
	dst[n] = '\0';
}

/* ---- questions ---------------------------------------------------------- */

static void
make_key(struct buf *b, const struct conf_action *a, struct span to,
    struct span target)
{
	buf_init(b, 4096);
	buf_str(b, a->name);
	buf_byte(b, 0);
	buf_span(b, target);
	buf_byte(b, 0);
	buf_span(b, to);
}

/* Nobody joins it any more: who comes now asks queued what it knows. */
static void
unshare(struct question *q)
{
	if (q->shared)
		map_del(asked, buf_content(&q->key));
	q->shared = false;
}

static void
question_free(struct question *q)
{
	unshare(q);
	if (q->qtid != 0)
		wait_take(at_queued, q->qtid);
	if (q->ptid != 0)
		wait_take(at_proxyd, q->ptid);
	buf_clear(&q->key);
	free(q->to);
	free(q->target);
	free(q);
	nquestions--;
}

static struct question *
question_new(const struct conf_action *a, struct span to, struct span target,
    bool share)
{
	struct question	*q = calloc(1, sizeof(*q));

	if (q == NULL || (q->to = to.len > 0 ? span_dup(to) :
	    strdup("")) == NULL || (q->target = target.len > 0 ?
	    span_dup(target) : strdup("")) == NULL)
		fatal("verify");
	q->action = a;
	LIST_INIT(&q->waiting);
	make_key(&q->key, a, to, target);
	q->shared = share && map_set(asked, buf_content(&q->key), q);
	nquestions++;
	return q;
}

/* All who wait get their verdict. They may ask anew in it. */
static void
answer(struct question *q, uint8_t state)
{
	struct verify	*w;
	verify_done	*done;
	size_t		 next;
	void		*arg;

	unshare(q);
	while ((w = LIST_FIRST(&q->waiting)) != NULL) {
		done = w->done;
		arg = w->arg;
		next = w->next;
		waiter_free(w);
		decide(q, next, state, done, arg);
	}
}

/* The server's answer, or none: to queued, and to those who wait. */
static void
over(struct question *q, uint8_t state, uint8_t any, struct span reply,
    struct span server)
{
	if (q->must_tell && queued != NULL)
		CHAN_SEND(queued, v_tell, .tid = q->qtid, .state = state,
		    .any = any, .reply = reply, .server = server);
	keep(q->reply, reply);
	keep(q->server, server);
	answer(q, state);
	question_free(q);
}

/* to: else only whether it is there. */
static void
ask_server(struct question *q, bool to, bool probe)
{
	struct chan	*c = link_proxy();
	struct span	 none = { NULL, 0 };

	if (q->memory || c == NULL || (q->ptid = wait_add(at_proxyd, q)) == 0) {
		over(q, V_BUSY, V_ANY_NOT_ASKED, none, none);
		return;
	}
	q->proxy = c;
	CHAN_SEND(c, p_verify, .tid = q->ptid,
	    .action = span_str(q->action->name),
	    .target = span_str(q->target),
	    .to = to ? span_str(q->to) : none, .probe = probe,
	    .stranger = q->stranger);
}

static void
ask(struct question *q)
{
	char	where[KNOWN_WHERE_MAX];

	if (q->to[0] == '\0' || queued == NULL ||
	    (q->qtid = wait_add(at_queued, q)) == 0) {
		ask_server(q, q->to[0] != '\0', false);
		return;
	}
	CHAN_SEND(queued, v_ask, .tid = q->qtid,
	    .where = span_str(conf_known_where(q->action, where)),
	    .target = span_str(q->target), .to = span_str(q->to),
	    .cache_ms = (uint64_t)q->action->known_cache_ms,
	    .good_ms = (uint64_t)q->action->known_good_ms);
}

/* ---- who waits ---------------------------------------------------------- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct verify	*w = arg;
	struct question	*q = w->q;
	verify_done	*done = w->done;
	void		*done_arg = w->arg;
	size_t		 next = w->next;

	(void)fd;
	(void)what;
	waiter_free(w);
	decide(q, next, V_BUSY, done, done_arg);
}

static struct verify *
wait_for(struct question *q, size_t next, verify_done *done, void *arg)
{
	const struct timeval	 tv = { VERIFY_WAIT_MS / 1000, 0 };
	struct verify		*w = calloc(1, sizeof(*w));

	if (w == NULL || (w->timer = evtimer_new(proc_base(proc), on_timer,
	    w)) == NULL || evtimer_add(w->timer, &tv) == -1)
		fatal("verify");
	w->q = q;
	w->next = next;
	w->done = done;
	w->arg = arg;
	LIST_INSERT_HEAD(&q->waiting, w, entry);
	return w;
}

/* Can anybody be asked? to: by queued it may still be known. */
static bool
nobody(bool to)
{
	return nquestions >= VERIFY_QUESTIONS ||
	    ((queued == NULL || !to) && link_proxy() == NULL);
}

struct verify *
verify_start(const struct conf_action *a, struct span to, struct span target,
    verify_done *done, void *arg)
{
	size_t			 next = 0;
	enum known_says		 says = conf_known(conf, a, to, &next);
	struct question		*q;
	struct verify		*w;
	struct buf		 key;

	if (says == KNOWN_SAYS_YES && !a->backup_mx) {
		known("", done, arg);
		return NULL;
	}
	if (says == KNOWN_SAYS_NO || says == KNOWN_SAYS_END) {
		unknown(a, "", "", done, arg);
		return NULL;
	}
	/* Of one whom a table knows it only matters where his mail goes. */
	if (says == KNOWN_SAYS_YES)
		to = span(NULL, 0);
	make_key(&key, a, to, target);
	q = map_get(asked, buf_content(&key));
	buf_clear(&key);
	if (q != NULL)
		return wait_for(q, next, done, arg);
	if (nobody(to.len > 0)) {
		later("4.3.2 Recipients can't be verified now", "", "", done,
		    arg);
		return NULL;
	}
	q = question_new(a, to, target, true);
	w = wait_for(q, next, done, arg);
	ask(q);
	return w;
}

struct verify *
verify_remembered(const struct conf_action *a, struct span to,
    struct span target, verify_done *done, void *arg)
{
	struct question	*q;
	struct verify	*w;
	struct buf	 key;

	make_key(&key, a, to, target);
	q = map_get(asked, buf_content(&key));
	buf_clear(&key);
	if (q != NULL)
		return wait_for(q, 0, done, arg);
	if (queued == NULL || nquestions >= VERIFY_QUESTIONS) {
		later("4.4.1 The recipient could not be verified now", "", "",
		    done, arg);
		return NULL;
	}
	q = question_new(a, to, target, true);
	q->memory = true;
	w = wait_for(q, 0, done, arg);
	ask(q);
	return w;
}

bool
verify_stranger(const struct conf_action *a, struct span to,
    struct span target, verify_done *done, void *arg)
{
	struct question	*q;

	if (nquestions >= VERIFY_QUESTIONS || link_proxy() == NULL)
		return false;
	q = question_new(a, to, target, false);
	q->stranger = true;
	wait_for(q, 0, done, arg);
	ask_server(q, true, false);
	return true;
}

void
verify_cancel(struct verify *w)
{
	if (w != NULL)
		waiter_free(w);
}

/* ---- what comes back ---------------------------------------------------- */

/* Somebody has to wait for the server's answer. */
static bool
undecided(const struct question *q, const struct ipc_v_answer *m)
{
	return q->action->backup_mx || (m->state == V_NONE && m->ask);
}

void
verify_known(struct chan *c, const void *msg, int fd)
{
	const struct ipc_v_answer	*m = msg;
	struct question			*q = wait_get(at_queued, m->tid);

	(void)fd;
	if (m->state > V_BUSY) {
		chan_reject(c, "v_answer: no such state");
		return;
	}
	/* Once, but for "ask yourself" to one who waited. */
	if (q == NULL || q->must_tell)
		return;
	if (q->memory) {
		/* Others who asked the same are not left waiting. */
		if (m->ask)
			CHAN_SEND(c, v_tell, .tid = q->qtid, .state = V_LATER,
			    .any = V_ANY_NOT_ASKED);
		answer(q, m->good ? V_GOOD : V_BUSY);
		question_free(q);
		return;
	}
	q->must_tell = m->ask;
	q->state = m->state;
	q->good = m->good;
	keep(q->reply, m->reply);
	keep(q->server, m->server);
	if (!undecided(q, m))
		answer(q, m->state);
	if (m->ask)
		ask_server(q, true, m->probe);
	else if (q->action->backup_mx)
		ask_server(q, false, false);
	else
		question_free(q);
}

void
verify_verified(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_verified	*m = msg;
	struct question			*q = wait_get(at_proxyd, m->tid);

	(void)fd;
	if (m->state > V_BUSY || m->any > V_ANY_YES) {
		chan_reject(c, "p_verified: no such state");
		return;
	}
	if (q != NULL && q->proxy == c)
		over(q, m->state, m->any, m->reply, m->server);
}

/* ---- queued and proxyd come and go -------------------------------------- */

static void
queued_lost(uint32_t tid, void *owner, void *arg)
{
	struct question	*q = owner;

	(void)arg;
	wait_take(at_queued, tid);
	q->qtid = 0;
	q->must_tell = false;
	if (q->ptid == 0)
		ask_server(q, true, false);
}

void
verify_queue(struct chan *c)
{
	queued = c;
	if (c == NULL)
		wait_each(at_queued, queued_lost, NULL);
}

static void
proxy_lost(uint32_t tid, void *owner, void *arg)
{
	struct question	*q = owner;
	struct span	 none = { NULL, 0 };

	(void)tid;
	if (q->proxy == arg)
		over(q, V_BUSY, V_ANY_NOT_ASKED, none, none);
}

void
verify_proxy_gone(const struct chan *c)
{
	union { const struct chan *c; void *p; } gone = { .c = c };

	wait_each(at_proxyd, proxy_lost, gone.p);
}
