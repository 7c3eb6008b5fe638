/*
 * See prepare.h.
 */
#include "smtpd/prepare.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "smtpd/quser.h"

#define CREDIT_FIRST	(128 << 10)
#define PIECE_MAX	32000	/* of a q_data */
#define WAYS		16

enum state { PREP_OPEN, PREP_COMMITTED, PREP_DURABLE, PREP_FINISHED };
struct word {			/* what came of a way */
	bool		 said;
	enum q_settled	 outcome;
	char		*reply, *server;
};
struct prepare {
	struct quser	 u;
	const struct prepare_ops *ops;	/* NULL: nobody waits, it is void */
	void		*arg;
	enum state	 state;
	bool		 known;		/* its digest went along */
	bool		 lost;		/* queued was, before the commit */
	uint64_t	 credit;
	struct word	 words[WAYS];
	uint8_t		 order[WAYS];	/* in which they were said */
	unsigned	 nwords;
};

static void
prepare_free(struct prepare *p)
{
	quser_forget(&p->u);
	for (int i = 0; i < WAYS; i++) {
		free(p->words[i].reply);
		free(p->words[i].server);
	}
	free(p);
}

/* Its fate is known, or nobody can know it. */
static void
durable(struct prepare *p, enum q_status st, uint64_t id)
{
	if (st == Q_OK && id == p->u.id) {
		p->state = PREP_DURABLE;
		if (p->ops == NULL)
			prepare_void(p);
		else
			p->ops->prepared(p, st, id, p->arg);
		return;
	}
	if (p->ops != NULL)
		p->ops->prepared(p, st, id, p->arg);
	prepare_free(p);
}

static void
over(struct prepare *p, enum q_status st)
{
	if (p->ops != NULL)
		p->ops->finished(p, st, p->arg);
	prepare_free(p);
}

static void
send_word(struct prepare *p, uint8_t way)
{
	const struct word	*w = &p->words[way];

	if (quser_chan() != NULL && p->u.tid != 0)
		CHAN_SEND(quser_chan(), q_settle, .tid = p->u.tid,
		    .id = p->u.id, .way = way, .outcome = (uint8_t)w->outcome,
		    .reply = span_str(w->reply),
		    .server = span_str(w->server));
}

static void
send_finish(struct prepare *p, bool keep)
{
	if (quser_chan() != NULL && p->u.tid != 0)
		CHAN_SEND(quser_chan(), q_finish, .tid = p->u.tid,
		    .id = p->u.id, .keep = keep);
}

/* ---- queued's answers ------------------------------------------------------ */

static void
on_credit(struct quser *u, uint32_t bytes)
{
	struct prepare	*p = u->arg;

	if (p->state != PREP_OPEN)
		return;
	p->credit += bytes;
	if (p->credit > CREDIT_FIRST)
		p->credit = CREDIT_FIRST;
	if (p->ops != NULL && p->ops->credit != NULL)
		p->ops->credit(p, p->arg);
}

static void
on_result(struct quser *u, const struct ipc_q_result *m)
{
	struct prepare	*p = u->arg;

	if (p->state > PREP_COMMITTED || (m->id != u->id &&
	    (m->status != Q_OK || !p->known || p->state != PREP_COMMITTED)))
		return;
	if (p->state == PREP_OPEN)	/* told at the commit */
		p->lost = true;
	else
		durable(p, (enum q_status)m->status, m->id);
}

/* The number is gone with the question; the next words have a new one. */
static void
on_have(struct quser *u, bool have)
{
	struct prepare	*p = u->arg;
	char		 id[ID_STRLEN];

	log_info("id=%s event=doubt result=%s", id_str(u->id, id),
	    have ? "have" : "have not");
	durable(p, have && quser_add(u) ? Q_OK : Q_FAILED, u->id);
}

static void
on_finished(struct quser *u, enum q_status st)
{
	struct prepare	*p = u->arg;

	if (p->state == PREP_FINISHED)
		over(p, st);
}

static void
on_lost(struct quser *u)
{
	struct prepare	*p = u->arg;

	if (p->state == PREP_OPEN) {
		p->lost = true;
		quser_forget(u);
	} else
		quser_doubt(u);
}

static void
on_back(struct quser *u)
{
	struct prepare	*p = u->arg;

	if (p->state == PREP_COMMITTED) {
		CHAN_SEND(quser_chan(), q_ask, .tid = u->tid, .id = u->id);
		return;
	}
	for (unsigned i = 0; i < p->nwords; i++)
		send_word(p, p->order[i]);
	if (p->state == PREP_FINISHED) {
		send_finish(p, true);
		return;
	}
	event_free(u->doubt);		/* it goes on */
	u->doubt = NULL;
}

/* No queued for so long. What is durable there it will decide; nothing has
 * been sent to a server before it was known to be. */
static void
on_over(struct quser *u)
{
	struct prepare	*p = u->arg;
	char		 id[ID_STRLEN];

	if (p->state == PREP_COMMITTED) {
		log_warnx("id=%s event=doubt result=unknown",
		    id_str(u->id, id));
		durable(p, Q_FAILED, u->id);
	} else if (p->state == PREP_FINISHED)
		over(p, Q_FAILED);
}

static const struct quser_ops	 user_ops = { .credit = on_credit,
    .result = on_result, .have = on_have, .finished = on_finished,
    .lost = on_lost, .back = on_back, .over = on_over };

/* ---- what the owner says --------------------------------------------------- */

struct prepare *
prepare_begin(struct ipc_q_env env, const struct prepare_ops *ops, void *arg)
{
	struct prepare	*p;
	const char	*why;

	if (!quser_open(&why) || (p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->ops = ops;
	p->arg = arg;
	p->credit = CREDIT_FIRST;
	p->u.ops = &user_ops;
	p->u.arg = p;
	p->u.id = env.id;
	if (!quser_add(&p->u)) {
		free(p);
		return NULL;
	}
	env.tid = p->u.tid;
	env.prepared = true;
	chan_send(quser_chan(), IPC_T_q_env, &env, -1);
	return p;
}

void
prepare_rcpt(struct prepare *p, struct ipc_q_rcpt r)
{
	r.tid = p->u.tid;
	if (!p->lost)
		chan_send(quser_chan(), IPC_T_q_rcpt, &r, -1);
}

uint64_t
prepare_room(const struct prepare *p)
{
	return p->lost ? UINT64_MAX : p->credit;
}

size_t
prepare_data(struct prepare *p, struct span s)
{
	size_t		 sent = 0;
	struct span	 in;

	if (p->lost)			/* told at the commit */
		return s.len;
	while (p->credit > 0 && sent < s.len) {
		in = span_sub(s, sent, s.len);
		if (in.len > PIECE_MAX)
			in.len = PIECE_MAX;
		if (in.len > p->credit)
			in.len = (size_t)p->credit;
		CHAN_SEND(quser_chan(), q_data, .tid = p->u.tid, .bytes = in);
		p->credit -= in.len;
		sent += in.len;
	}
	return sent;
}

void
prepare_commit(struct prepare *p, struct ipc_q_commit c)
{
	p->state = PREP_COMMITTED;
	if (p->lost) {
		durable(p, Q_FAILED, p->u.id);
		return;
	}
	c.tid = p->u.tid;
	p->known = c.digest.len > 0;
	chan_send(quser_chan(), IPC_T_q_commit, &c, -1);
}

void
prepare_settle(struct prepare *p, uint8_t way, enum q_settled outcome,
    struct span reply, struct span server)
{
	struct word	*w = &p->words[way];

	if (w->said)
		return;
	*w = (struct word){ true, outcome, span_dup(span_sub(reply, 0, 1000)),
	    span_dup(span_sub(server, 0, 300)) };
	if (w->reply == NULL || w->server == NULL)
		fatal("prepare");
	p->order[p->nwords++] = way;
	send_word(p, way);
}

void
prepare_finish(struct prepare *p)
{
	p->state = PREP_FINISHED;
	if (p->u.tid == 0)		/* queued was away for too long */
		over(p, Q_FAILED);
	else
		send_finish(p, true);	/* or when it is back: on_back() */
}

void
prepare_void(struct prepare *p)
{
	if (p->state == PREP_COMMITTED) {
		p->ops = NULL;		/* when it is known to be there */
		return;
	}
	if (p->state == PREP_OPEN && !p->lost && quser_chan() != NULL)
		CHAN_SEND(quser_chan(), q_abort, .tid = p->u.tid);
	if (p->state == PREP_DURABLE)
		send_finish(p, false);
	prepare_free(p);
}
