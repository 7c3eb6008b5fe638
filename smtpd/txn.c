/*
 * Transactions. See txn.h.
 */
#include "smtpd/txn.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "smtpd/fan.h"
#include "smtpd/tee.h"
#include "smtpd/window.h"

#define TXN_BYTES	(16 << 10)	/* sender, parameters, refusals */
#define RCPT_BYTES	2048		/* a path and its parameters */

struct txn *
txn_new(struct session *s)
{
	struct txn	*t = calloc(1, sizeof(*t));

	if (t == NULL || (t->arena = arena_new(TXN_BYTES + (size_t)RCPT_BYTES *
	    session_conf()->limits.recipients)) == NULL) {
		free(t);
		return NULL;
	}
	t->s = s;
	t->id = id_new();
	id_str(t->id, t->ids);
	t->since = clock_mono();
	t->received_ms = (uint64_t)clock_wall().ms;
	content_init(&t->content);
	return t;
}

void
txn_end(struct session *s)
{
	struct txn	*t = s->txn;

	if (t == NULL)
		return;
	s->txn = NULL;
	if (t->way != NULL && !t->committed)
		t->way->abort(t);
	fan_end(t);
	tee_end(t);
	window_cancel(t);
	quser_forget(&t->queue.u);
	content_clear(&t->content);
	arena_free(t->arena);
	free(t->rcpts);
	free(t);
	if (s->phase != PH_CLOSING)
		session_phase(s, PH_READY);
}

bool
txn_mail(struct txn *t, struct span from, const struct smtp_mail_params *p)
{
	t->from = arena_span(t->arena, from);
	t->mail = *p;
	t->mail.envid = arena_span(t->arena, p->envid);
	t->mail.auth = arena_span(t->arena, p->auth);
	return t->from.len == from.len && t->mail.envid.len == p->envid.len &&
	    t->mail.auth.len == p->auth.len;
}

struct rcpt *
txn_rcpt(struct txn *t, struct span to, const struct smtp_rcpt_params *p)
{
	struct rcpt	*r;
	size_t		 cap = t->cap == 0 ? 2 : t->cap * 2;

	if (t->nrcpts == t->cap) {
		if ((r = reallocarray(t->rcpts, cap, sizeof(*r))) == NULL)
			return NULL;
		t->rcpts = r;
		t->cap = cap;
	}
	r = &t->rcpts[t->nrcpts];
	*r = (struct rcpt){ .to = arena_span(t->arena, to), .params = *p,
	    .state = RCPT_REFUSED };
	r->params.orcpt = arena_span(t->arena, p->orcpt);
	if (r->to.len != to.len || r->params.orcpt.len != p->orcpt.len)
		return NULL;
	t->nrcpts++;
	return r;
}

size_t
txn_rcpt_number(const struct txn *t, const struct rcpt *r)
{
	return (size_t)(r - t->rcpts);
}

static void
count(struct txn *t, const struct rcpt *r, enum rcpt_state st, unsigned by)
{
	if (st != RCPT_REFUSED)
		t->ncopies += by * (unsigned)r->ncopies;
	if (st == RCPT_ASKED)
		t->asked += by;
	else if (st == RCPT_TAKEN)
		t->taken += by;
}

void
txn_rcpt_state(struct txn *t, struct rcpt *r, enum rcpt_state st)
{
	struct session	*s = t->s;

	count(t, r, r->state, -1U);
	count(t, r, st, 1);
	r->state = st;
	fan_decided(t);
	if (s->phase != PH_MAIL && s->phase != PH_RCPT)
		return;
	session_phase(s, t->asked + t->taken > 0 ? PH_RCPT : PH_MAIL);
}

void
txn_rcpt_copies(struct txn *t, struct rcpt *r, struct copy *v, size_t n)
{
	count(t, r, r->state, -1U);
	r->copies = v;
	r->ncopies = n;
	count(t, r, r->state, 1);
}

struct span
txn_first(const struct txn *t)
{
	for (size_t i = 0; i < t->nrcpts; i++)
		if (t->rcpts[i].state == RCPT_TAKEN)
			return t->rcpts[i].to;
	return span(NULL, 0);
}

const char *
txn_quote(struct span address)
{
	return address.len == 0 ? "" : log_quote(address);
}
