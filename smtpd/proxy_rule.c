/*
 * By a rule it is one transaction: the session is opened at the first RCPT, MAIL
 * goes before it. Another action takes another server.
 */
#include "common/base/log.h"
#include "common/smtp/reply.h"
#include "smtpd/cmd.h"
#include "smtpd/failover.h"
#include "smtpd/notify.h"
#include "smtpd/proxy.h"

void
proxy_refuse(struct txn *t, struct rcpt *r, struct cmd *c, uint16_t code,
    struct span text, const struct link *l)
{
	const struct link	*at = l != NULL ? l : t->s->link;

	log_info("session=%s id=%s event=rcpt to=<%s> server=%s reply=%s",
	    t->s->id, t->ids, log_quote(r->to),
	    log_quote(span_str(at != NULL ? at->server : NULL)),
	    log_reply(code, text));
	txn_rcpt_state(t, r, RCPT_REFUSED);
	if (l != NULL)
		proxy_answer(l, c, code, text);
	else
		session_answer(c, code, text);
}

void
proxy_no_server(struct txn *t, struct rcpt *r, struct cmd *c, uint16_t code,
    struct span text, const struct link *l)
{
	struct buf	 flat;

	buf_init(&flat, 900);
	buf_str(&flat, "4.4.1 The server cannot be used now: ");
	smtp_reply_flat(&flat, code, text);
	proxy_refuse(t, r, c, 451, buf_content(&flat), l);
	buf_clear(&flat);
}

/* What the server can't do, of what MAIL asked for; NULL if nothing. */
static const char *
lacking(const struct link *l, const struct txn *t, uint16_t *code)
{
	if (t->mail.utf8 && (l->caps.bits & CAP_SMTPUTF8) == 0) {
		*code = 553;
		return "5.6.7 The server does not offer SMTPUTF8";
	}
	/* RFC 8689, 4.2.1. */
	if (t->mail.requiretls && (l->caps.bits & CAP_REQUIRETLS) == 0) {
		*code = 550;
		return "5.7.30 The server does not offer REQUIRETLS";
	}
	if (t->mail.body == BODY_8BITMIME &&
	    (l->caps.bits & CAP_8BITMIME) == 0) {
		*code = 554;
		return "5.6.3 The server does not offer 8BITMIME";
	}
	if (t->mail.size_set && l->caps.size > 0 &&
	    t->mail.size > l->caps.size) {
		*code = 552;
		return "5.3.4 The message is too large for the server";
	}
	return NULL;
}

const char *
proxy_lacking(const struct link *l, const struct txn *t,
    const struct rcpt *r, uint16_t *code)
{
	const char	*why = lacking(l, t, code);

	return why != NULL ? why : notify_refused(l, t, r, code);
}

/* The server is there: MAIL and the recipient that waited for it. */
static void
first(struct link *l, struct txn *t, struct rcpt *r, struct cmd *c)
{
	uint16_t	 code = 0;
	const char	*why = proxy_lacking(l, t, r, &code);

	if (why != NULL) {
		proxy_refuse(t, r, c, code, span_str(why), NULL);
		return;
	}
	t->at_server = true;
	link_mail(l, NULL, t);
	link_rcpt(l, c, t, txn_rcpt_number(t, r));
	session_unhold(c);
}

/* Another server is wanted. A client that pipelines may still wait for replies
 * of this one, to a transaction that it has reset. */
static void
leave(struct session *s)
{
	struct link		*l = s->link;
	const struct link_wait	*w;

	s->link = NULL;
	STAILQ_FOREACH(w, &l->waits, entry)
		if (w->cmd != NULL)
			session_answer(w->cmd, 451, span_str(NO_SERVER));
	link_close(l);
}

/* The recipient that waits is the last one; its command holds all others. */
static void
begin(void *arg)
{
	struct session	*s = arg;
	struct txn	*t = s->txn;
	struct cmd	*c = s->barrier;

	if (t == NULL || t->nrcpts == 0 || c == NULL)
		return;
	s->link = link_open(&proxy_link_ops, NULL, s, t->action,
	    span_str(s->listen->hostname), c);
	if (s->link == NULL && t->action->on_failure != NULL) {
		t->fallen = t->action;
		t->way = &handoff_queue;
		session_unhold(c);
		failover_rcpt(t, &t->rcpts[t->nrcpts - 1], c, t->action,
		    false);
	} else if (s->link == NULL)
		proxy_refuse(t, &t->rcpts[t->nrcpts - 1], c, 451,
		    span_str("4.3.2 The proxy is restarting"), NULL);
}

void
proxy_rcpt(struct txn *t, struct rcpt *r, struct cmd *c)
{
	struct session	*s = t->s;
	bool		 begun = t->asked + t->taken > 0;
	const char	*why;
	uint16_t	 code;

	if (t->mail_code != 0) {
		proxy_refuse(t, r, c, t->mail_code, span_str(t->mail_text),
		    s->link);
		return;
	}
	if (!session_proxied(s) && s->link != NULL &&
	    s->link->action != t->action) {
		leave(s);
		if (s->txn != t)
			return;		/* the session has ended in it */
	}
	if (s->link == NULL && (session_proxied(s) || begun)) {
		/* It went away with those before. */
		proxy_refuse(t, r, c, 451, span_str(NO_SERVER), NULL);
		return;
	}
	if ((session_proxied(s) || (t->at_server && s->link != NULL)) &&
	    (why = notify_refused(s->link, t, r, &code)) != NULL) {
		proxy_refuse(t, r, c, code, span_str(why), NULL);
		return;
	}
	txn_rcpt_state(t, r, RCPT_ASKED);
	if (session_proxied(s) || (t->at_server && s->link != NULL)) {
		link_rcpt(s->link, c, t, txn_rcpt_number(t, r));
		return;
	}
	session_hold(c);
	if (s->link != NULL) {
		first(s->link, t, r, c);
		return;
	}
	if (!proxy_name_first(s, t->action, begin))
		begin(s);
}

void
proxy_rule_opened(struct link *l, struct cmd *c, uint16_t code,
    struct span text)
{
	struct session	*s = l->s;
	struct txn	*t = s->txn;
	struct rcpt	*r;

	if (t == NULL || t->nrcpts == 0)
		return;
	r = &t->rcpts[t->nrcpts - 1];
	if (code == 220) {
		l->up = true;
		first(l, t, r, c);
	} else
		proxy_no_server(t, r, c, code, text, l);
}
