/*
 * A proxied listener: the client's whole session is the actual server's, from
 * its greeting on; and another one's, where that had to be cut.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/smtp/plain.h"
#include "smtpd/cmd.h"
#include "smtpd/dispatch.h"
#include "smtpd/failover.h"
#include "smtpd/proxy.h"

static void	greeted_again(struct session *, uint16_t, struct span);

static void
begin(void *arg)
{
	struct session	*s = arg;

	if (failover_forced(s->listen->proxy) &&
	    failover_session(s, "by hand")) {
		session_begin(s);
		return;
	}
	s->link = link_open(&proxy_link_ops, NULL, s, s->listen->proxy,
	    span(NULL, 0), NULL);
	if (s->link != NULL)
		return;
	if (failover_session(s, "the proxy is restarting"))
		session_begin(s);
	else
		session_greet(s, 421, span_str("4.3.2 The proxy is "
		    "restarting"));
}

void
proxy_begin(struct session *s)
{
	if (!proxy_name_first(s, s->listen->proxy, begin))
		begin(s);
}

static void
refused(struct session *s, uint16_t code, struct span text)
{
	struct buf	b;

	/* What is no refusal is no greeting either. */
	code = code / 100 < 4 ? 421 : code;
	buf_init(&b, SMTP_PLAIN_MAX);
	if (s->stream != NULL && s->phase == PH_CONNECT)
		session_cut(s, code, proxy_said(s->link, code, text, &b), text,
		    "refused at connect");
	buf_clear(&b);
}

/* The greeting is the server's but for its name: ours is the one in our EHLO,
 * and inner names are nobody's business. */
void
proxy_greeted(struct session *s, uint16_t code, struct span text)
{
	char		 line[600];
	struct span	 rest;

	if (s->renew.cmd != NULL) {
		greeted_again(s, code, text);
		return;
	}
	if (code != 220) {
		refused(s, code, text);
		return;
	}
	if (s->listen->proxy->replies_plain)
		text = span_str("- ESMTP");
	rest = span_sub(text, 0, span_find(text, '\n'));
	span_skip(&rest, span_find(rest, ' '));
	rest = span_sub(rest, 0, 200);
	snprintf(line, sizeof(line), "%s%.*s", s->listen->hostname,
	    (int)rest.len, (const char *)rest.p);
	session_greet(s, 220, span_str(line));
}

/* ---- another server session for the same client ------------------------------ */

/* why: as the log shall have it. */
static void
not_again(struct session *s, const char *why)
{
	log_info("session=%s event=server server=%s result=failed why=%s",
	    s->id, log_quote(span_str(s->link != NULL ? s->link->server :
	    NULL)), why);
	session_fail(s, 421, span_str("4.3.2 The session to the server has "
	    "ended; connect again"), "no server session to go on with");
}

void
proxy_renew(struct cmd *c, struct span arg)
{
	struct session	*s = c->s;

	/* Nothing of the exchange was kept that could be said again. */
	if (s->authed) {
		not_again(s, "\"the client has logged in\"");
		return;
	}
	if ((s->renew.arg = span_dup(arg)) == NULL)
		fatal("renew");
	s->renew.cmd = c;
	session_hold(c);
	s->link = link_open(&proxy_link_ops, NULL, s, s->listen->proxy,
	    span(NULL, 0), NULL);
	if (s->link != NULL)
		return;
	if (failover_session(s, "the proxy is restarting"))
		proxy_go_on(s);
	else
		not_again(s, "\"the proxy is restarting\"");
}

void
proxy_go_on(struct session *s)
{
	struct cmd	*c = s->renew.cmd;
	char		*arg = s->renew.arg;

	s->renew.cmd = NULL;
	s->renew.arg = NULL;
	if (s->link != NULL)
		log_info("session=%s event=server server=%s result=again",
		    s->id, log_quote(span_str(s->link->server)));
	session_unhold(c);
	dispatch_again(c, span_str(arg));
	freezero(arg, strlen(arg));	/* it may be that of AUTH */
}

static void
greeted_again(struct session *s, uint16_t code, struct span text)
{
	enum smtp_verb	verb = s->renew.cmd->verb;

	if (code != 220)
		not_again(s, log_reply(code, text));
	else if (verb == VERB_EHLO || verb == VERB_HELO)
		proxy_go_on(s);
	else
		link_ehlo(s->link, NULL, s->caps != 0, span_str(s->helo));
}

void
proxy_renewed(struct session *s, uint16_t code, struct span text)
{
	if (code / 100 != 2)
		not_again(s, log_reply(code, text));
	else if (!cmd_ehlo_as_told(s, &s->link->caps))
		not_again(s, "\"it can do less than the client was told\"");
	else
		proxy_go_on(s);
}
