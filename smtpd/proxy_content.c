/*
 * A message on its way to the actual server.
 */
#include "smtpd/proxy.h"

void
proxy_content(struct txn *t)
{
	if (t->s->link == NULL)
		content_refuse(t, 451, span_str(NO_SERVER));
	else
		link_data(t->s->link, t->content.cmd, t);
}

void
proxy_write(struct txn *t, struct buf *b)
{
	if (t->s->link == NULL)
		content_spoil(t, 451, NO_SERVER);
	else
		link_write(t->s->link, b);
}

void
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
void
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
