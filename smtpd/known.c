/*
 * See known.h.
 */
#include "smtpd/known.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/conf/known.h"
#include "smtpd/handoff.h"
#include "smtpd/verify.h"

struct known_wait {
	LIST_ENTRY(known_wait) entry;
	struct session	*s;
	struct cmd	*cmd;
	uint64_t	 txn;		/* which may be gone */
	size_t		 rcpt;		/* its number there */
	struct verify	*verify;	/* NULL: not yet */
};

/* The recipient is one that is taken, or he is refused. */
static void
answered(struct session *s, struct txn *t, struct rcpt *r, struct cmd *c,
    const struct verify_verdict *v)
{
	txn_rcpt_state(t, r, RCPT_REFUSED);
	if (v->kind == VERIFY_KNOWN) {
		t->way->rcpt(t, r, c);
		return;
	}
	log_info("session=%s id=%s event=rcpt to=<%s> action=%s server=%s "
	    "reply=\"%u %s\" why=%s", s->id, t->ids, log_quote(r->to),
	    log_quote(span_str(r->action->name)),
	    log_quote(span_str(v->server)), (unsigned)v->code, v->text,
	    log_quote_reply(span_str(v->reply)));
	session_reply(c, v->code, "%s", v->text);
}

static void
done(void *arg, const struct verify_verdict *v)
{
	struct known_wait	*w = arg;
	struct session		*s = w->s;
	struct txn		*t = s->txn;
	struct cmd		*c = w->cmd;
	uint64_t		 id = w->txn;
	size_t			 n = w->rcpt;

	LIST_REMOVE(w, entry);
	free(w);
	if (t == NULL || t->id != id) {
		/* RSET came behind it. */
		if (v->kind == VERIFY_KNOWN)
			session_reply(c, 250, "2.1.5 Ok");
		else
			session_reply(c, v->code, "%s", v->text);
		return;
	}
	t->verifying--;
	answered(s, t, &t->rcpts[n], c, v);
	if (s->txn == t && t->verifying == 0)
		content_verified(t);
}

bool
known_rcpt(struct txn *t, struct rcpt *r, struct cmd *c)
{
	struct session		*s = t->s;
	struct known_wait	*w;
	struct verify		*v;
	char			 target[CONF_TARGET_MAX];

	if (session_proxied(s) || !conf_verifies(r->action))
		return false;
	/* The rules have seen that there is one. */
	if (!conf_target(session_conf(), r->action, r->to, t->from,
	    span(NULL, 0), target))
		return false;
	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("known");
	w->s = s;
	w->cmd = c;
	w->txn = t->id;
	w->rcpt = txn_rcpt_number(t, r);
	LIST_INSERT_HEAD(&s->known, w, entry);
	txn_rcpt_state(t, r, RCPT_ASKED);
	t->verifying++;
	if ((v = verify_start(r->action, r->to, span_str(target), done,
	    w)) != NULL)
		w->verify = v;
	return true;
}

void
known_gone(struct session *s)
{
	struct known_wait	*w;

	while ((w = LIST_FIRST(&s->known)) != NULL) {
		verify_cancel(w->verify);
		LIST_REMOVE(w, entry);
		free(w);
	}
}
