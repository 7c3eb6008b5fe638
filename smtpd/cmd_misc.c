/*
 * RSET, NOOP, QUIT, VRFY, EXPN, HELP (RFC 5321, 4.1.1.5 to 4.1.1.10).
 */
#include "common/base/log.h"
#include "smtpd/cmd.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"
#include "smtpd/txn.h"

/* Commands that get a client no further, and cost us. */
static bool
vain(struct cmd *c)
{
	struct session	*s = c->s;

	if (++s->vain <= SESSION_VAIN_MAX)
		return false;
	log_info("session=%s event=error what=\"too many commands without a "
	    "message\"", s->id);
	session_fail(s, 421, span_str("4.7.0 Too many commands without a "
	    "message"), "too many commands without a message");
	return true;
}

void
cmd_rset(struct cmd *c, struct span arg)
{
	struct session	*s = c->s;
	bool		 content = s->phase == PH_BDAT;

	if (arg.len > 0) {
		session_reply(c, 501, "5.5.4 RSET has no argument");
		return;
	}
	if (vain(c))
		return;
	/* The server is told by this very command, but for content, which has
	 * its own end; and a server that was cut needs none. */
	if (session_proxied(s) && s->link != NULL && !content) {
		if (s->txn != NULL)
			s->txn->way = NULL;
		txn_end(s);
		link_rset(s->link, c);
		return;
	}
	txn_end(s);
	session_reply(c, 250, "2.0.0 Ok");
}

void
cmd_noop(struct cmd *c, struct span arg)
{
	struct session	*s = c->s;

	(void)arg;
	if (vain(c))
		return;
	/* Keeps the server's session alive as well. */
	if (session_proxied(s) && s->link != NULL && s->phase != PH_BDAT)
		link_noop(s->link, c);
	else
		session_reply(c, 250, "2.0.0 Ok");
}

void
cmd_quit(struct cmd *c, struct span arg)
{
	struct session	*s = c->s;

	(void)arg;
	if (session_proxied(s) && s->link != NULL && s->phase != PH_BDAT) {
		session_hold(c);
		link_quit(s->link, c);
		return;
	}
	/* Behind the replies that are still to come (RFC 2920, 3.2). */
	session_last(s, "QUIT");
	session_reply(c, 221, "2.0.0 Bye");
}

static bool
clean(struct span arg)
{
	for (size_t i = 0; i < arg.len; i++)
		if (arg.p[i] < ' ' || arg.p[i] >= 127)
			return false;
	return arg.len <= 1000;
}

/* The actual server's to answer, if it says that it does. True: it was asked,
 * or refused. */
static bool
through(struct cmd *c, struct span arg, enum smtp_cap cap)
{
	struct session	*s = c->s;

	if (vain(c))
		return true;
	if (!clean(arg)) {
		session_reply(c, 501, "5.5.4 Only printable ASCII");
		return true;
	}
	if (!session_proxied(s) || (s->caps & cap) == 0)
		return false;
	if (s->link == NULL)
		proxy_renew(c, arg);
	else
		link_ask(s->link, c, c->verb, arg);
	return true;
}

void
cmd_vrfy(struct cmd *c, struct span arg)
{
	if (arg.len == 0)
		session_reply(c, 501, "5.5.4 VRFY needs an argument");
	else if (!through(c, arg, CAP_VRFY))
		session_reply(c, 252, "2.5.0 Not verified; send a message "
		    "and see");
}

void
cmd_expn(struct cmd *c, struct span arg)
{
	if (arg.len == 0)
		session_reply(c, 501, "5.5.4 EXPN needs an argument");
	else if (!through(c, arg, CAP_EXPN))
		session_reply(c, 502, "5.5.1 Lists are not expanded");
}

void
cmd_help(struct cmd *c, struct span arg)
{
	if (!through(c, arg, CAP_HELP))
		session_reply(c, 214, "2.0.0 EHLO HELO MAIL RCPT DATA BDAT "
		    "RSET NOOP QUIT VRFY EXPN HELP\n2.0.0 RFC 5321 has them; "
		    "postmaster@%s helps", c->s->listen->hostname);
}
