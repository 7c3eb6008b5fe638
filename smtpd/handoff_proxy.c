/*
 * The way to the actual server, live. On a proxied listener the client's whole
 * session is the server's, and every reply is passed on as it was. By a rule it
 * is one transaction: the session is opened at the first RCPT, MAIL goes before
 * it, and what the server says to RCPT and content is passed on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/smtp/reply.h"
#include "smtpd/cmd.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"
#include "smtpd/source.h"

#define NO_SERVER	"4.4.1 The server cannot be reached now"

/* The session's transaction, if it is the one that the reply is for. */
static struct txn *
txn_of(const struct link *l, const struct link_wait *w)
{
	struct txn	*t = l->s->txn;

	return t != NULL && t->id == w->txn ? t : NULL;
}

/* ---- the server's session begins ------------------------------------------- */

/* XCLIENT tells the client's name, once and for all: it is waited for. */
static bool
name_first(struct session *s, const struct conf_action *a,
    void (*done)(void *))
{
	return a->identity == IDENTITY_XCLIENT && s->client.family != 0 &&
	    peer_wait(&s->peer, done, s);
}

static void
open_listener(void *arg)
{
	struct session	*s = arg;

	s->link = link_open(s, s->listen->proxy, span(NULL, 0), NULL);
	if (s->link == NULL)
		session_greet(s, 421, span_str("4.3.2 The proxy is "
		    "restarting"));
}

void
proxy_begin(struct session *s)
{
	if (!name_first(s, s->listen->proxy, open_listener))
		open_listener(s);
}

/* The greeting is the server's but for its name: ours is the one in our EHLO,
 * and inner names are nobody's business. */
static void
greeted(struct session *s, uint16_t code, struct span text)
{
	char		 line[600];
	struct span	 rest;

	if (code != 220) {
		/* What is no refusal is no greeting either. */
		session_greet(s, code / 100 < 4 ? 421 : code, text);
		return;
	}
	rest = span_sub(text, 0, span_find(text, '\n'));
	span_skip(&rest, span_find(rest, ' '));
	rest = span_sub(rest, 0, 200);
	snprintf(line, sizeof(line), "%s%.*s", s->listen->hostname,
	    (int)rest.len, (const char *)rest.p);
	session_greet(s, 220, span_str(line));
}

/* ---- by a rule: the first recipient ---------------------------------------- */

/* A recipient that waits gets this. */
static void
rcpt_refused(struct txn *t, struct rcpt *r, struct cmd *c, uint16_t code,
    struct span text, const char *server)
{
	log_info("session=%s id=%s event=rcpt to=<%s> server=%s reply=%s",
	    t->s->id, t->ids, log_quote(r->to), log_quote(span_str(server)),
	    log_reply(code, text));
	txn_rcpt_state(t, r, RCPT_REFUSED);
	session_answer(c, code, text);
}

/* What the server can't do, of what MAIL asked for; NULL if nothing. */
static const char *
lacking(const struct link *l, const struct txn *t, uint16_t *code)
{
	if (t->mail.utf8 && (l->caps.bits & CAP_SMTPUTF8) == 0) {
		*code = 553;
		return "5.6.7 The server does not offer SMTPUTF8";
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

/* The server is there: MAIL and the recipient that waited for it. */
static void
first(struct link *l, struct txn *t, struct rcpt *r, struct cmd *c)
{
	uint16_t	 code = 0;
	const char	*why = lacking(l, t, &code);

	if (why != NULL) {
		rcpt_refused(t, r, c, code, span_str(why), l->server);
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
open_rule(void *arg)
{
	struct session	*s = arg;
	struct txn	*t = s->txn;
	struct cmd	*c = s->barrier;

	if (t == NULL || t->nrcpts == 0 || c == NULL)
		return;
	s->link = link_open(s, t->action, span_str(s->listen->hostname), c);
	if (s->link == NULL)
		rcpt_refused(t, &t->rcpts[t->nrcpts - 1], c, 451,
		    span_str("4.3.2 The proxy is restarting"), NULL);
}

static void
proxy_rcpt(struct txn *t, struct rcpt *r, struct cmd *c)
{
	struct session	*s = t->s;
	bool		 begun = t->asked + t->taken > 0;

	if (t->mail_code != 0) {
		rcpt_refused(t, r, c, t->mail_code, span_str(t->mail_text),
		    s->link != NULL ? s->link->server : NULL);
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
		rcpt_refused(t, r, c, 451, span_str(NO_SERVER), NULL);
		return;
	}
	txn_rcpt_state(t, r, RCPT_ASKED);
	if (session_proxied(s) || t->at_server) {
		link_rcpt(s->link, c, t, txn_rcpt_number(t, r));
		return;
	}
	session_hold(c);
	if (s->link != NULL) {
		first(s->link, t, r, c);
		return;
	}
	if (!name_first(s, t->action, open_rule))
		open_rule(s);
}

/* The reply to p_open. The recipient that waits is the last one. */
static void
opened(struct link *l, struct cmd *c, uint16_t code, struct span text)
{
	struct session	*s = l->s;
	struct txn	*t = s->txn;
	struct buf	 flat;

	if (session_proxied(s)) {
		l->up = code == 220;
		greeted(s, code, text);
		return;
	}
	if (t == NULL || t->nrcpts == 0)
		return;
	if (code == 220) {
		l->up = true;
		first(l, t, &t->rcpts[t->nrcpts - 1], c);
		return;
	}
	/* Whatever is wrong with the server: the client keeps the message. */
	buf_init(&flat, 900);
	buf_str(&flat, "4.4.1 The server cannot be used now: ");
	smtp_reply_flat(&flat, code, text);
	rcpt_refused(t, &t->rcpts[t->nrcpts - 1], c, 451, buf_content(&flat),
	    l->server);
	buf_clear(&flat);
}

/* ---- replies --------------------------------------------------------------- */

static void
mail_replied(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text)
{
	struct txn	*t = txn_of(l, w);

	if (code / 100 != 2 && t != NULL && session_proxied(l->s)) {
		log_info("session=%s id=%s event=mail from=<%s> server=%s "
		    "reply=%s", l->s->id, t->ids, txn_quote(t->from),
		    log_quote(span_str(l->server)), log_reply(code, text));
		/* DATA on its way needs it until its own refusal comes. */
		if (t->content.state == CONTENT_NONE) {
			t->way = NULL;
			txn_end(l->s);
		}
	} else if (code / 100 != 2 && t != NULL) {
		/* By a rule it is the reply to each RCPT. 421 would end a
		 * session that is not the server's. */
		t->mail_code = code == 421 ? 451 : code;
		t->mail_text = arena_str(t->arena, text);
		if (t->mail_text == NULL)
			t->mail_code = 451;
	}
	if (w->cmd != NULL)
		session_answer(w->cmd, code, text);
}

static void
rcpt_replied(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text)
{
	struct txn	*t = txn_of(l, w);
	struct rcpt	*r = t == NULL ? NULL : &t->rcpts[w->rcpt];

	if (code == 421 && !session_proxied(l->s))
		code = 451;
	if (r == NULL) {
		session_answer(w->cmd, code, text);
		return;
	}
	if (t->mail_code != 0) {
		code = t->mail_code;
		text = span_str(t->mail_text != NULL ? t->mail_text :
		    NO_SERVER);
	}
	if (code / 100 != 2) {
		rcpt_refused(t, r, w->cmd, code, text, l->server);
		return;
	}
	txn_rcpt_state(t, r, RCPT_TAKEN);
	log_debug("session=%s id=%s event=rcpt to=<%s> server=%s", t->s->id,
	    t->ids, log_quote(r->to), log_quote(span_str(l->server)));
	session_answer(w->cmd, code, text);
}

static void
auth_replied(struct link *l, struct cmd *c, uint16_t code, struct span text)
{
	struct session	*s = l->s;

	if (code != 334) {
		session_phase(s, PH_READY);
		s->authed = code == 235;
		if (code / 100 == 5)
			source_failed(&s->client);
		log_info("session=%s event=auth result=%s reply=%s", s->id,
		    s->authed ? "ok" : "failed", log_reply(code, text));
	}
	session_answer(c, code, text);
}

void
proxy_reply(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct session	*s = l->s;
	struct txn	*t;

	/* The server ends its session, and so the client's (4.2.3). */
	if (code == 421 && session_proxied(s) && w->what != ASK_OPEN) {
		session_fail(s, code, text, own ? "the server is gone" :
		    "closed by the server");
		if (s->txn != NULL && s->txn->committed)
			content_done(s->txn, code, text);
		return;
	}
	switch (w->what) {
	case ASK_OPEN:
		opened(l, w->cmd, code, text);
		break;
	case ASK_EHLO:
		if (code / 100 == 2 && (l->caps.bits & CAP_ESMTP) != 0) {
			cmd_ehlo_announce(w->cmd, &l->caps);
			break;
		}
		if (code / 100 == 2)
			cmd_helo_announce(w->cmd);
		else
			session_answer(w->cmd, code, text);
		break;
	case ASK_MAIL:
		mail_replied(l, w, code, text);
		break;
	case ASK_RCPT:
		rcpt_replied(l, w, code, text);
		break;
	case ASK_DATA:
		if ((t = txn_of(l, w)) == NULL)
			break;
		if (code == 354)
			content_ready(t);
		else
			content_refuse(t, code == 421 ? 451 : code, text);
		break;
	case ASK_END:
		if ((t = txn_of(l, w)) != NULL)
			content_done(t, code == 421 ? 451 : code, text);
		break;
	case ASK_AUTH:
		auth_replied(l, w->cmd, code, text);
		break;
	case ASK_QUIT:
		session_answer(w->cmd, code, text);
		session_end(s, "QUIT");
		break;
	case ASK_PLAIN:
		if (w->cmd != NULL)
			session_answer(w->cmd, code, text);
		break;
	}
}

void
proxy_credit(struct link *l)
{
	struct txn	*t = l->s->txn;

	if (t != NULL && t->content.full)
		content_go(t);
}

/*
 * The server's session is over. What of the client's hung on it is refused for
 * now; nothing of that was accepted, so nothing is lost.
 */
void
proxy_closed(struct link *l, const char *why)
{
	struct session		*s = l->s;
	struct txn		*t = s->txn;
	const struct link_wait	*w;
	struct span		 text = span_str(NO_SERVER);

	if (s->phase == PH_CLOSING) {
		if (t != NULL && t->committed)
			content_done(t, 451, text);
		return;
	}
	if (session_proxied(s)) {
		log_info("session=%s event=server server=%s result=closed "
		    "why=%s", s->id, log_quote(span_str(l->server)),
		    log_quote(span_str(why)));
		session_fail(s, 421, span_str("4.4.2 The session to the "
		    "server has ended"), "the server is gone");
		if (s->txn != NULL && s->txn->committed)
			content_done(s->txn, 451, text);
		return;
	}
	STAILQ_FOREACH(w, &l->waits, entry) {
		t = txn_of(l, w);
		if (w->what == ASK_OPEN)
			opened(l, w->cmd, 421, text);
		else if (t == NULL && w->cmd != NULL)
			session_answer(w->cmd, 451, text);
		else if (t == NULL)
			continue;
		else if (w->what == ASK_RCPT && t->mail_text != NULL)
			rcpt_refused(t, &t->rcpts[w->rcpt], w->cmd,
			    t->mail_code, span_str(t->mail_text), l->server);
		else if (w->what == ASK_RCPT)
			rcpt_refused(t, &t->rcpts[w->rcpt], w->cmd, 451, text,
			    l->server);
		else if (w->what == ASK_DATA)
			content_refuse(t, 451, text);
		else if (w->what == ASK_END)
			content_done(t, 451, text);
	}
	if ((t = s->txn) == NULL || t->way != &handoff_proxy)
		return;
	t->at_server = false;
	if (content_flows(t) || t->content.state == CONTENT_PAUSE)
		content_spoil(t, 451, NO_SERVER);
}

/* ---- content --------------------------------------------------------------- */

static void
proxy_content(struct txn *t)
{
	if (t->s->link == NULL)
		content_refuse(t, 451, span_str(NO_SERVER));
	else
		link_data(t->s->link, t->content.cmd, t);
}

static void
proxy_write(struct txn *t, struct buf *b)
{
	if (t->s->link == NULL)
		content_spoil(t, 451, NO_SERVER);
	else
		link_write(t->s->link, b);
}

static void
proxy_end(struct txn *t, struct buf *b)
{
	if (t->s->link == NULL)
		content_done(t, 451, span_str(NO_SERVER));
	else {
		link_end(t->s->link, b, t);
		buf_clear(b);
	}
}

/* Half a message at the server has no other end than a cut; else the session
 * there goes on with the next transaction. */
static void
proxy_abort(struct txn *t)
{
	struct session	*s = t->s;
	bool		 at_server = t->at_server;

	t->at_server = false;
	t->mail_code = 0;
	t->mail_text = NULL;
	if (s->link == NULL || s->phase == PH_CLOSING)
		return;
	if (t->content.state == CONTENT_FLOW ||
	    t->content.state == CONTENT_PAUSE) {
		link_close(s->link);
		s->link = NULL;
	} else if (session_proxied(s) || at_server)
		link_rset(s->link, NULL);
}

const struct handoff handoff_proxy = {
	.name = "proxy",
	.streams = true,
	.rcpt = proxy_rcpt,
	.begin = proxy_content,
	.write = proxy_write,
	.end = proxy_end,
	.abort = proxy_abort
};
