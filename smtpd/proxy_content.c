/*
 * A message on its way to the actual server.
 */
#include <stdio.h>

#include "common/base/log.h"
#include "smtpd/proxy.h"
#include "smtpd/tee.h"
#include "smtpd/window.h"

/* The server has refused all of its recipients: the others' way is the queue. */
void
proxy_alone(struct txn *t)
{
	proxy_abort(t);
	t->way = &handoff_queue;
	t->way->begin(t);
}

void
proxy_content(struct txn *t)
{
	if (tee_alone(t))
		proxy_alone(t);
	else if (t->s->link == NULL)
		content_refuse(t, 451, span_str(NO_SERVER));
	else if (tee_begin(t))
		link_data(t->s->link, t->content.cmd, t);
}

void
proxy_write(struct txn *t, struct buf *b)
{
	if (t->s->link == NULL)
		content_spoil(t, 451, NO_SERVER);
	else if (t->tee.state == TEE_OPEN)
		tee_write(t, t->s->link, b);
	else
		link_write(t->s->link, b);
	t->sent = true;
}

/* The dot: from here on the server decides. */
static void
dot(struct txn *t, struct buf *b)
{
	if (t->s->link == NULL)
		content_done(t, 451, span_str(NO_SERVER));
	else {
		link_end(t->s->link, b, t);
		/* Its end is held until the server has said 2xx. */
		if (t->tee.state != TEE_OPEN)
			buf_clear(b);
	}
}

/*
 * Content that is refused on its way, or broken off by the client, must not stay
 * at the server: a server that gets chunks is told RSET, one that gets DATA is
 * cut before the dot. On a proxied listener the client's session goes on with
 * another one behind it (proxy_listen.c).
 */
static void
block(struct txn *t)
{
	struct session	*s = t->s;
	bool		 cut = !link_abort(s->link);

	t->blocked = true;
	log_info("session=%s id=%s event=block server=%s by=%s", s->id, t->ids,
	    log_quote(span_str(s->link->server)), cut ? "cut" : "reset");
	if (!cut)
		return;
	link_close(s->link);
	s->link = NULL;
}

void
proxy_end(struct txn *t, struct buf *b)
{
	if (!window_ask(t))
		dot(t, b);
}

void
proxy_again(struct txn *t, uint64_t first)
{
	struct session	*s = t->s;
	char		 text[80], ids[ID_STRLEN];

	if (s->phase != PH_CLOSING && first == 0) {
		dot(t, &t->content.out);
		return;
	}
	if (s->link != NULL)
		block(t);
	if (first == 0) {
		/* Gone before the dot: its message is none. */
		content_done(t, 451, span_str("4.4.2 The client is gone"));
		return;
	}
	log_info("session=%s id=%s event=again first=%s", s->id, t->ids,
	    id_str(first, ids));
	snprintf(text, sizeof(text), "2.0.0 %s has been taken before", ids);
	s->told = first;
	s->told_live = false;
	content_done(t, 250, span_str(text));
}

/* Neither yes nor no would be true. The client's session goes on. */
void
proxy_in_doubt(struct link *l, struct txn *t)
{
	window_server(t, l->server);
	content_done(t, 451, span_str("4.4.2 The server is gone; it is not "
	    "known whether it has taken the message"));
}

void
proxy_abort(struct txn *t)
{
	struct session	*s = t->s;
	bool		 at_server = t->at_server;

	tee_abort(t);
	t->at_server = false;
	t->mail_code = 0;
	t->mail_text = NULL;
	if (s->link == NULL || s->phase == PH_CLOSING)
		return;
	if (t->content.state == CONTENT_FLOW ||
	    t->content.state == CONTENT_PAUSE) {
		if (!t->blocked)
			block(t);
	} else if (session_proxied(s) || at_server)
		link_rset(s->link, NULL);
}
