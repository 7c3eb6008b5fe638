/*
 * See fan.h.
 */
#include "smtpd/fan.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/codec.h"
#include "smtpd/archive.h"
#include "smtpd/failover.h"
#include "smtpd/fan_i.h"
#include "smtpd/learn.h"
#include "smtpd/proxy.h"

static const struct link_ops	 rcpt_ops;

/* Content waits for the last recipient; not from within his answer. */
static void
go(evutil_socket_t fd, short what, void *arg)
{
	struct txn	*t = arg;

	(void)fd;
	(void)what;
	if (t->content.state == CONTENT_BEGIN && t->asked == 0 &&
	    t->fan->waits) {
		t->fan->waits = false;
		fan_content(t);
	}
}

bool
fan_start(struct txn *t)
{
	if (t->fan != NULL)
		return true;
	if ((t->fan = calloc(1, sizeof(*t->fan))) == NULL)
		return false;
	t->fan->go = event_new(session_base(), -1, 0, go, t);
	if (t->fan->go == NULL)
		fatalx("event_new");
	t->fan->n = 1;
	return true;
}

void
fan_decided(struct txn *t)
{
	if (t->fan != NULL && t->fan->waits && t->asked == 0)
		event_active(t->fan->go, EV_TIMEOUT, 0);
}

static struct fan_way *
find(const struct txn *t, const struct conf_action *a)
{
	if (t->fan == NULL)
		return NULL;
	for (unsigned i = 1; i < t->fan->n; i++)
		if (t->fan->ways[i].action == a)
			return &t->fan->ways[i];
	return NULL;
}

bool
fan_has(const struct txn *t, const struct conf_action *a)
{
	return find(t, a) != NULL;
}

/* ---- recipients ---------------------------------------------- */

static struct fan_way *
way_of(struct txn *t, const struct rcpt *r)
{
	return &t->fan->ways[r->way];
}

static bool
has_taken(const struct txn *t, unsigned way)
{
	for (size_t i = 0; i < t->nrcpts; i++)
		if (t->rcpts[i].way == way && !t->rcpts[i].queued &&
		    t->rcpts[i].state == RCPT_TAKEN)
			return true;
	return false;
}

bool
fan_falls(struct txn *t, struct fan_way *w, const char *why)
{
	if (!failover_way(t, (uint8_t)(w - t->fan->ways), w->action, why))
		return false;
	w->link = NULL;
	w->at_server = false;
	w->mail_code = 0;
	w->fallen = true;
	return true;
}

static void
into_queue(struct txn *t, struct rcpt *r, struct cmd *c,
    const struct conf_action *a)
{
	r->way = 0;
	session_unhold(c);
	failover_rcpt(t, r, c, a, false);
}

/* The server is there: MAIL, if it has not had it, and the recipient. */
static void
ask(struct fan_way *w, struct txn *t, struct rcpt *r, struct cmd *c)
{
	uint16_t	 code = 0;
	const char	*why = proxy_lacking(w->link, t, r, &code);

	if (why != NULL) {
		proxy_refuse(t, r, c, code, span_str(why), NULL);
		return;
	}
	if (!w->at_server)
		link_mail(w->link, NULL, t);
	w->at_server = true;
	link_rcpt(w->link, c, t, txn_rcpt_number(t, r));
	session_unhold(c);
}

static void
open_way(void *arg)
{
	struct session	*s = arg;
	struct txn	*t = s->txn;
	struct cmd	*c = s->barrier;
	struct rcpt	*r;
	struct fan_way	*w;

	if (t == NULL || t->nrcpts == 0 || c == NULL || t->fan == NULL)
		return;
	r = &t->rcpts[t->nrcpts - 1];
	w = way_of(t, r);
	w->link = link_open(&rcpt_ops, w, s, w->action,
	    span_str(s->listen->hostname), c);
	if (w->link != NULL)
		return;
	if (fan_falls(t, w, "the proxy is restarting"))
		into_queue(t, r, c, w->action);
	else
		proxy_refuse(t, r, c, 451, span_str("4.3.2 The proxy is "
		    "restarting"), NULL);
}

void
fan_rcpt(struct txn *t, struct rcpt *r, struct cmd *c,
    const struct conf_action *a)
{
	struct fan_way	*w;

	if (!fan_start(t) || ((w = find(t, a)) == NULL &&
	    t->fan->n == FAN_WAYS)) {
		proxy_refuse(t, r, c, 452, span_str("4.5.3 Too many ways in "
		    "one transaction"), NULL);
		return;
	}
	if (w == NULL) {
		w = &t->fan->ways[t->fan->n++];
		w->action = a;
	}
	r->action = a;
	r->way = (uint8_t)(w - t->fan->ways);
	if (w->fallen) {
		into_queue(t, r, c, a);
		return;
	}
	if (w->mail_code != 0) {
		proxy_refuse(t, r, c, w->mail_code, span_str(w->mail_text),
		    w->link);
		return;
	}
	if (w->link == NULL && has_taken(t, r->way)) {
		proxy_refuse(t, r, c, 451, span_str(NO_SERVER), NULL);
		return;
	}
	txn_rcpt_state(t, r, RCPT_ASKED);
	session_hold(c);
	if (w->link != NULL)
		ask(w, t, r, c);
	else if (!proxy_name_first(t->s, a, open_way))
		open_way(t->s);
}

static void
opened(struct link *l, struct cmd *c, uint16_t code, struct span text)
{
	struct txn	*t = l->s->txn;
	struct rcpt	*r = &t->rcpts[t->nrcpts - 1];

	if (code == 220) {
		l->up = true;
		ask(l->arg, t, r, c);
	} else
		proxy_no_server(t, r, c, code, text, l);
}

static void
answered(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct fan_way	*way = l->arg;
	struct txn	*t = l->s->txn;
	struct rcpt	*r = &t->rcpts[w->rcpt];

	if (way->mail_code == 0 && !own)
		learn_rcpt(t, l->action, r->to, code, text, l->server);
	if (way->mail_code != 0) {
		code = way->mail_code;
		text = span_str(way->mail_text);
	} else if (code == 421)
		code = 451;
	if (code / 100 != 2) {
		proxy_refuse(t, r, w->cmd, code, text, l);
		return;
	}
	txn_rcpt_state(t, r, RCPT_TAKEN);
	proxy_answer(l, w->cmd, code, text);
}

/* The recipient of a command that the server has not answered. */
static struct rcpt *
rcpt_of(struct txn *t, const struct link_wait *w)
{
	return w->what == ASK_RCPT ? &t->rcpts[w->rcpt] :
	    &t->rcpts[t->nrcpts - 1];
}

/* The queue takes over; first: a command that was answered so, or NULL. What
 * else waits is answered. */
static bool
falls(struct link *l, const struct link_wait *first, const char *why)
{
	struct session		*s = l->s;
	struct txn		*t = s->txn;
	const struct link_wait	*w;

	if (s->phase == PH_CLOSING || !fan_falls(t, l->arg, why))
		return false;
	if (first != NULL && first->cmd != NULL)
		into_queue(t, rcpt_of(t, first), first->cmd, l->action);
	STAILQ_FOREACH(w, &l->waits, entry)
		if (w->cmd != NULL && s->txn == t && s->phase != PH_CLOSING)
			into_queue(t, rcpt_of(t, w), w->cmd, l->action);
	return true;
}

/* The same by what the server said: that it is not there, or not any more. */
static bool
says_so(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text)
{
	char	why[200];

	if (code != 421 && (w->what != ASK_OPEN || code / 100 != 4))
		return false;
	span_cstr(span_sub(text, 0, sizeof(why) - 1), why, sizeof(why));
	if (!falls(l, w, why))
		return false;
	link_close(l);
	return true;
}

/* Until content begins. The link does not outlive the transaction. */
static void
on_reply(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct fan_way	*way = l->arg;

	if (says_so(l, w, code, text))
		return;
	switch (w->what) {
	case ASK_OPEN:
		opened(l, w->cmd, code, text);
		break;
	case ASK_MAIL:
		if (code / 100 == 2)
			break;
		way->mail_code = code == 421 ? 451 : code;
		way->mail_text = arena_str(l->s->txn->arena, text);
		if (way->mail_text == NULL) {
			way->mail_code = 451;
			way->mail_text = "4.3.0 No memory";
		}
		break;
	case ASK_RCPT:
		answered(l, w, code, text, own);
		break;
	default:
		break;
	}
}

static void
on_credit(struct link *l)
{
	(void)l;
}

static void
on_closed(struct link *l, const char *why)
{
	struct fan_way		*way = l->arg;
	struct session		*s = l->s;
	struct txn		*t = s->txn;
	const struct link_wait	*w;

	if (t != NULL && (l->up || !STAILQ_EMPTY(&l->waits)) &&
	    falls(l, NULL, why))
		return;
	way->link = NULL;
	way->at_server = false;
	STAILQ_FOREACH(w, &l->waits, entry)
		if (t != NULL && w->cmd != NULL && s->txn == t &&
		    s->phase != PH_CLOSING)
			proxy_refuse(t, rcpt_of(t, w), w->cmd, 451,
			    span_str(NO_SERVER), NULL);
}

static const struct link_ops rcpt_ops = { on_reply, on_credit, on_closed };

/* ---- the end ---------------------------------------------- */

void
fan_end(struct txn *t)
{
	struct session		*s = t->s;
	struct fan		*f = t->fan;
	const struct link_wait	*w;
	struct link		*l;

	if (f == NULL)
		return;
	t->fan = NULL;
	if (f->prep != NULL)
		prepare_void(f->prep);
	for (unsigned i = 1; i < f->n; i++) {
		if ((l = f->ways[i].link) == NULL)
			continue;
		STAILQ_FOREACH(w, &l->waits, entry)
			if (w->cmd != NULL && s->phase != PH_CLOSING)
				session_answer(w->cmd, 451,
				    span_str(NO_SERVER));
		link_close(l);
	}
	if (f->ways[0].link != NULL) {
		f->ways[0].link->ops = &proxy_link_ops;
		f->ways[0].link->arg = NULL;
	}
	event_free(f->go);
	free(f);
}
