/*
 * AUTH (RFC 4954): whether it may come, and its argument. What follows is
 * auth.h's.
 */
#include "common/base/log.h"
#include "common/sasl/sasl.h"
#include "smtpd/auth.h"
#include "smtpd/cmd.h"
#include "smtpd/handoff.h"
#include "smtpd/source.h"

/* Was the client told of this one? */
static bool
is_offered(const struct session *s, struct span mech)
{
	struct span	 told = span_str(s->auth_told), word;

	while (span_word(&told, " ", &word))
		if (span_caseeq(word, mech))
			return true;
	return false;
}

/* Too many failures of this source: it has no more tries. */
static bool
is_shut_out(struct cmd *c)
{
	struct session	*s = c->s;
	char		 ip[ADDR_STRLEN];

	if (source_may_try(&s->client))
		return false;
	log_info("session=%s event=auth result=failed client=%s "
	    "why=\"too many failed logins\"", s->id,
	    addr_str(&s->client, ip));
	session_answer(c, 421, span_str("4.7.0 Too many failed logins from "
	    "your address"));
	session_end(s, "too many failed logins");
	return true;
}

void
cmd_auth(struct cmd *c, struct span arg)
{
	struct session	*s = c->s;
	struct span	 mech = span(NULL, 0), whole = arg;

	if (s->fallen) {
		session_reply(c, 454, "4.7.0 Nobody can log in now");
		return;
	}
	if ((session_proxied(s) || s->listen->auth_via != NULL ||
	    s->listen->auth_users != NULL) && !session_secure(s)) {
		/* Whatever follows on this line was said in clear already. */
		session_reply(c, 538, "5.7.11 Encryption is required for AUTH");
		return;
	}
	if ((s->caps & CAP_AUTH) == 0) {
		session_reply(c, 502, "5.5.1 Not offered here");
		return;
	}
	if (s->authed) {
		session_reply(c, 503, "5.5.1 Already authenticated");
		return;
	}
	if (is_shut_out(c))
		return;
	span_word(&arg, " ", &mech);
	arg = span_trim(arg);
	if (!sasl_mech(mech))
		session_reply(c, 501,
		    "5.5.4 AUTH mechanism [initial-response]");
	else if (!is_offered(s, mech))
		session_reply(c, 504, "5.5.4 No such mechanism is offered");
	else if (!sasl_base64(arg))
		session_reply(c, 501, "5.5.2 This is no base64");
	else if (session_proxied(s) && s->link == NULL)
		proxy_renew(c, whole);
	else
		auth_begin(c, mech, arg.len > 0 ? &arg : NULL);
}

void
cmd_auth_line(struct cmd *c, struct span line)
{
	struct session	*s = c->s;

	if (s->fallen) {
		/* The server has gone in the middle of it (failover.h). */
		auth_clear(s);
		session_phase(s, PH_READY);
		session_reply(c, 454, "4.7.0 Nobody can log in now");
		return;
	}
	auth_line(c, line);
}
