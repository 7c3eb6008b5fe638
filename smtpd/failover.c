/*
 * See failover.h.
 */
#include "smtpd/failover.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/smtp/reply.h"
#include "smtpd/auth.h"
#include "smtpd/cmd.h"
#include "smtpd/known.h"
#include "smtpd/proxy.h"
#include "smtpd/tee.h"

/* ---- by hand ------------------------------------------------------------------ */

#define FORCED_MAX	64

static const struct conf	*conf;
static const struct conf_action	*forced[FORCED_MAX];

void
failover_init(const struct conf *c)
{
	conf = c;
	memset(forced, 0, sizeof(forced));
}

bool
failover_forced(const struct conf_action *a)
{
	for (size_t i = 0; i < FORCED_MAX; i++)
		if (forced[i] == a)
			return a->on_failure != NULL;
	return false;
}

void
failover_force(struct span name, bool on)
{
	const struct conf_action *a = conf_action_find(conf, name);

	for (size_t i = 0; i < FORCED_MAX; i++)
		if (forced[i] == a)
			forced[i] = NULL;
	for (size_t i = 0; on && a != NULL && i < FORCED_MAX; i++)
		if (forced[i] == NULL) {
			forced[i] = a;
			break;
		}
}

/* ---- recipients --------------------------------------------------------------- */

/* What the queue gets of it: also the copy that the listener has of all. False:
 * no memory. */
static bool
into_queue(struct txn *t, struct rcpt *r, const struct conf_action *a,
    bool conflict)
{
	const struct conf_action *also = t->s->listen->copy;
	struct copy	*v = arena_alloc(t->arena, 2 * sizeof(*v));

	if (v == NULL)
		return false;
	*v = (struct copy){ .to = r->to, .proven = a, .conflict = conflict,
	    .action = a->on_failure != NULL ? a->on_failure : a };
	if (also != NULL)
		v[1] = (struct copy){ .to = r->to, .proven = a, .group = 1,
		    .action = also, .quiet = true };
	txn_rcpt_copies(t, r, v, also != NULL ? 2 : 1);
	r->action = v->action;
	r->queued = true;
	return true;
}

void
failover_rcpt(struct txn *t, struct rcpt *r, struct cmd *c,
    const struct conf_action *a, bool conflict)
{
	if (!into_queue(t, r, a, conflict)) {
		txn_rcpt_state(t, r, RCPT_REFUSED);
		session_reply(c, 451, "4.3.0 No memory");
		return;
	}
	txn_rcpt_state(t, r, RCPT_REFUSED);
	known_rcpt(t, r, c);
}

/* ---- a transaction ------------------------------------------------------------ */

/* Is all of the content still here that the server has been sent? */
static bool
is_whole(const struct txn *t)
{
	return !t->committed && !t->sent && !t->blocked &&
	    t->content.code == 0 && t->tee.state != TEE_COMMIT;
}

/* Its fields went before content that streams; the queue gets them apart. */
static void
take_back_prefix(struct content *c)
{
	if (c->state == CONTENT_FLOW || c->state == CONTENT_PAUSE)
		buf_drain(&c->out, buf_len(&c->prefix));
}

/* Those whom the server has taken are the queue's now; who is still asked for
 * is answered for by answer_one(). */
static bool
take_over(struct txn *t)
{
	const char	*text;
	uint16_t	 code;

	if (!is_whole(t) || !queue_takes(&code, &text))
		return false;
	tee_abort(t);
	for (size_t i = 0; i < t->nrcpts; i++) {
		struct rcpt	*r = &t->rcpts[i];

		if (r->state == RCPT_TAKEN && !r->queued && r->way == 0 &&
		    !into_queue(t, r, t->action, false))
			return false;
	}
	take_back_prefix(&t->content);
	t->way = &handoff_queue;
	t->fallen = t->action;
	t->at_server = false;
	t->mail_code = 0;
	t->mail_text = NULL;
	return true;
}

/* ---- what the server has not answered ------------------------------------------ */

static void
plain(struct cmd *c)
{
	if (c->verb == VERB_VRFY)
		session_reply(c, 252, "2.5.0 Not verified; send a message "
		    "and see");
	else if (c->verb == VERB_EXPN)
		session_reply(c, 502, "5.5.1 Lists are not expanded");
	else if (c->verb == VERB_HELP)
		session_reply(c, 214, "2.0.0 RFC 5321");
	else
		session_reply(c, 250, "2.0.0 Ok");
}

static void
hello(struct session *s, struct cmd *c)
{
	if (c == NULL)
		proxy_go_on(s);
	else if (c->verb == VERB_EHLO)
		cmd_ehlo_announce(c, NULL);
	else
		cmd_helo_announce(c);
}

static void
open_waits(struct session *s, struct txn *t, struct cmd *c,
    const struct conf_action *a)
{
	if (c != NULL && t != NULL && t->nrcpts > 0) {
		session_unhold(c);
		failover_rcpt(t, &t->rcpts[t->nrcpts - 1], c, a, false);
	} else if (c == NULL && s->renew.cmd != NULL)
		proxy_go_on(s);
	else if (c == NULL)
		session_begin(s);
}

static void
answer_one(struct link *l, const struct link_wait *w)
{
	struct session	*s = l->s;
	struct txn	*t = s->txn;
	bool		 same = t != NULL && t->id == w->txn;

	switch (w->what) {
	case ASK_OPEN:
		open_waits(s, t, w->cmd, l->action);
		break;
	case ASK_EHLO:
		hello(s, w->cmd);
		break;
	case ASK_MAIL:
		if (w->cmd != NULL)
			session_reply(w->cmd, 250, "2.1.0 Ok");
		break;
	case ASK_RCPT:
		if (same)
			failover_rcpt(t, &t->rcpts[w->rcpt], w->cmd, l->action,
			    false);
		else
			session_answer(w->cmd, 451, span_str(NO_SERVER));
		break;
	case ASK_DATA:
		if (same && t->verifying == 0)
			content_verified(t);
		break;
	case ASK_END:
		break;			/* is_whole() */
	case ASK_AUTH:
		auth_clear(s);
		session_phase(s, PH_READY);
		session_reply(w->cmd, 454, "4.7.0 Nobody can log in now");
		break;
	case ASK_QUIT:
		session_reply(w->cmd, 221, "2.0.0 Bye");
		session_end(s, "QUIT");
		break;
	case ASK_PLAIN:
		if (w->cmd != NULL)
			plain(w->cmd);
		break;
	}
}

void
failover_said(struct session *s, const struct conf_action *a, const char *why)
{
	session_stats()->failovers++;
	log_warnx("session=%s%s%s event=failover action=%s to=%s why=%s",
	    s->id, s->txn != NULL ? " id=" : "",
	    s->txn != NULL ? s->txn->ids : "", log_quote(span_str(a->name)),
	    log_quote(span_str(a->on_failure->name)),
	    log_quote(span_str(why)));
}

bool
failover_way(struct txn *t, uint8_t way, const struct conf_action *a,
    const char *why)
{
	const char	*text;
	uint16_t	 code;

	if (a->on_failure == NULL || !queue_takes(&code, &text))
		return false;
	for (size_t i = 0; i < t->nrcpts; i++) {
		struct rcpt	*r = &t->rcpts[i];

		if (r->way != way || r->state != RCPT_TAKEN || r->queued)
			continue;
		if (!into_queue(t, r, a, false))
			return false;
		r->way = 0;
	}
	failover_said(t->s, a, why);
	return true;
}

bool
failover_reply(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text)
{
	struct buf	 flat;
	char		 why[400];

	if (l->action->on_failure == NULL)
		return false;
	buf_init(&flat, sizeof(why) - 1);
	smtp_reply_flat(&flat, code, text);
	span_cstr(buf_content(&flat), why, sizeof(why));
	buf_clear(&flat);
	return failover(l, w, why);
}

bool
failover(struct link *l, const struct link_wait *first, const char *why)
{
	struct session		*s = l->s;
	struct txn		*t = s->txn;
	const struct link_wait	*w;
	bool			 live = t != NULL &&
				    t->way == &handoff_proxy;

	if (l->action->on_failure == NULL || s->phase == PH_CLOSING ||
	    (t != NULL && t->committed) || (!session_proxied(s) && !live))
		return false;
	if (live && !take_over(t) && (!session_proxied(s) ||
	    t->content.state == CONTENT_NONE ||
	    t->content.state == CONTENT_BEGIN))
		return false;
	s->link = NULL;
	/* A session whose content is lost goes on without it. */
	if (live && t->way == &handoff_proxy)
		content_spoil(t, 451, NO_SERVER);
	s->fallen = session_proxied(s);
	failover_said(s, l->action, why);
	if (first != NULL)
		answer_one(l, first);
	STAILQ_FOREACH(w, &l->waits, entry) {
		if (s->phase == PH_CLOSING)
			break;
		answer_one(l, w);
	}
	session_go(s);
	return true;
}

bool
failover_session(struct session *s, const char *why)
{
	if (s->listen->proxy->on_failure == NULL)
		return false;
	s->link = NULL;
	s->fallen = true;
	failover_said(s, s->listen->proxy, why);
	return true;
}
