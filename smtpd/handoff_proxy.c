/*
 * The way to the actual server, live. On a proxied listener the client's whole
 * session is the server's, and every reply is passed on as it was. By a rule it
 * is one transaction: the session is opened at the first RCPT, MAIL goes before
 * it, and what the server says to RCPT and content is passed on.
 */
#include "common/base/log.h"
#include "common/smtp/plain.h"
#include "smtpd/auth.h"
#include "smtpd/cmd.h"
#include "smtpd/failover.h"
#include "smtpd/learn.h"
#include "smtpd/proxy.h"
#include "smtpd/tee.h"
#include "smtpd/window.h"

/* The session's transaction, if it is the one that the reply is for. */
static struct txn *
txn_of(const struct link *l, const struct link_wait *w)
{
	struct txn	*t = l->s->txn;

	return t != NULL && t->id == w->txn ? t : NULL;
}

struct span
proxy_said(const struct link *l, uint16_t code, struct span text,
    struct buf *b)
{
	/* A challenge of AUTH is no words. */
	if (!l->action->replies_plain || code == 334)
		return text;
	smtp_plain(b, code, text);
	return buf_content(b);
}

void
proxy_answer(const struct link *l, struct cmd *c, uint16_t code,
    struct span text)
{
	struct buf	b;

	buf_init(&b, SMTP_PLAIN_MAX);
	session_answer(c, code, proxy_said(l, code, text, &b));
	buf_clear(&b);
}

bool
proxy_name_first(struct session *s, const struct conf_action *a,
    void (*done)(void *))
{
	return a->identity == IDENTITY_XCLIENT && s->client.family != 0 &&
	    peer_wait(&s->peer, done, s);
}

/* ---- replies ------------------------------------------------------------- */

static void
opened(struct link *l, struct cmd *c, uint16_t code, struct span text)
{
	if (session_proxied(l->s)) {
		l->up = code == 220;
		proxy_greeted(l->s, code, text);
	} else
		proxy_rule_opened(l, c, code, text);
}

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
		proxy_answer(l, w->cmd, code, text);
}

static void
rcpt_replied(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct txn	*t = txn_of(l, w);
	struct rcpt	*r = t == NULL ? NULL : &t->rcpts[w->rcpt];

	if (r != NULL && t->mail_code == 0 && !own)
		learn_rcpt(t, l->action, r->to, code, text, l->server);
	if (code == 421 && !session_proxied(l->s))
		code = 451;
	if (r == NULL) {
		proxy_answer(l, w->cmd, code, text);
		return;
	}
	if (t->mail_code != 0) {
		code = t->mail_code;
		text = span_str(t->mail_text != NULL ? t->mail_text :
		    NO_SERVER);
	}
	if (code / 100 != 2) {
		proxy_refuse(t, r, w->cmd, code, text, l);
		return;
	}
	txn_rcpt_state(t, r, RCPT_TAKEN);
	log_debug("session=%s id=%s event=rcpt to=<%s> server=%s", t->s->id,
	    t->ids, log_quote(r->to), log_quote(span_str(l->server)));
	proxy_answer(l, w->cmd, code, text);
}

/* The server has answered DATA, or the end of it. */
static void
data_replied(struct link *l, struct txn *t, uint16_t code, struct span text)
{
	struct buf	b;

	buf_init(&b, SMTP_PLAIN_MAX);
	content_refuse_as(t, code, text, proxy_said(l, code, text, &b));
	buf_clear(&b);
}

static void
end_replied(struct link *l, struct txn *t, uint16_t code, struct span text)
{
	struct span	said;
	struct buf	b;

	if (code / 100 == 2)
		window_taken(t);
	buf_init(&b, SMTP_PLAIN_MAX);
	said = proxy_said(l, code, text, &b);
	if (!tee_done(t, code, text, said))
		content_done_as(t, code, text, said);
	buf_clear(&b);
}

/* The server ends its session, and so the client's (RFC 5321, 4.2.3). */
static void
said_421(struct link *l, struct span text, bool own)
{
	struct session	*s = l->s;
	struct buf	 b;

	if (own && !l->action->replies_plain) {
		session_fail(s, 421, text, "the server is gone");
		return;
	}
	buf_init(&b, SMTP_PLAIN_MAX);
	session_cut(s, 421, proxy_said(l, 421, text, &b), text,
	    "closed by the server");
	buf_clear(&b);
}

static void
proxy_reply(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct session	*s = l->s;
	struct txn	*t;

	if (code == 421 && own && w->what == ASK_END &&
	    (t = txn_of(l, w)) != NULL) {
		s->link = NULL;
		proxy_in_doubt(l, t);
		link_close(l);
		return;
	}
	/* Not there, or not any more: by the action the queue takes over. */
	if ((code == 421 || (w->what == ASK_OPEN && code / 100 == 4)) &&
	    failover_reply(l, w, code, text)) {
		link_close(l);
		return;
	}
	if (code == 421 && session_proxied(s) && w->what != ASK_OPEN) {
		said_421(l, text, own);
		if (s->txn != NULL && s->txn->committed)
			content_done(s->txn, code, text);
		return;
	}
	switch (w->what) {
	case ASK_OPEN:
		opened(l, w->cmd, code, text);
		break;
	case ASK_EHLO:
		if (w->cmd == NULL) {
			proxy_renewed(s, code, text);
			break;
		}
		if (code / 100 == 2 && (l->caps.bits & CAP_ESMTP) != 0) {
			cmd_ehlo_announce(w->cmd, &l->caps);
			break;
		}
		if (code / 100 == 2)
			cmd_helo_announce(w->cmd);
		else
			proxy_answer(l, w->cmd, code, text);
		break;
	case ASK_MAIL:
		mail_replied(l, w, code, text);
		break;
	case ASK_RCPT:
		rcpt_replied(l, w, code, text, own);
		break;
	case ASK_DATA:
		if ((t = txn_of(l, w)) == NULL)
			break;
		if (code == 354) {
			tee_ready(t);
			content_ready(t);
		} else if (tee_alone(t))
			proxy_alone(t);
		else
			data_replied(l, t, code == 421 ? 451 : code, text);
		break;
	case ASK_END:
		if ((t = txn_of(l, w)) != NULL)
			end_replied(l, t, code == 421 ? 451 : code, text);
		break;
	case ASK_AUTH:
		auth_replied(s, w->cmd, code, text);
		break;
	case ASK_QUIT:
		proxy_answer(l, w->cmd, code, text);
		session_end(s, "QUIT");
		break;
	case ASK_PLAIN:
		if (w->cmd != NULL)
			proxy_answer(l, w->cmd, code, text);
		break;
	}
}

static void
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
static void
proxy_closed(struct link *l, const char *why)
{
	struct session		*s = l->s;
	struct txn		*t = s->txn;
	const struct link_wait	*w;
	struct span		 text = span_str(NO_SERVER);

	s->link = NULL;
	/* Its last word was said; queued's is waited for. */
	if (t != NULL && t->tee.state == TEE_COMMIT)
		return;
	w = STAILQ_FIRST(&l->waits);
	if (w != NULL && w->what == ASK_END && txn_of(l, w) != NULL) {
		proxy_in_doubt(l, t);
		return;
	}
	if (s->phase == PH_CLOSING) {
		if (t != NULL && t->committed)
			content_done(t, 451, text);
		return;
	}
	if (failover(l, NULL, why))
		return;
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
			proxy_refuse(t, &t->rcpts[w->rcpt], w->cmd,
			    t->mail_code, span_str(t->mail_text), l);
		else if (w->what == ASK_RCPT)
			proxy_refuse(t, &t->rcpts[w->rcpt], w->cmd, 451, text,
			    NULL);
		else if (w->what == ASK_DATA)
			content_refuse(t, 451, text);
	}
	if ((t = s->txn) == NULL || t->way != &handoff_proxy)
		return;
	t->at_server = false;
	if (content_flows(t) || t->content.state == CONTENT_PAUSE)
		content_spoil(t, 451, NO_SERVER);
}

const struct link_ops proxy_link_ops = {
	.reply = proxy_reply,
	.credit = proxy_credit,
	.closed = proxy_closed
};

const struct handoff handoff_proxy = {
	.name = "proxy",
	.streams = true,
	.rcpt = proxy_rcpt,
	.begin = proxy_content,
	.write = proxy_write,
	.end = proxy_end,
	.abort = proxy_abort
};
