/*
 * AUTH (RFC 4954): on a proxied listener it goes to the actual server, opaque;
 * nothing of it is logged or kept. The regular server has no users yet.
 */
#include "common/base/log.h"
#include "smtpd/cmd.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"
#include "smtpd/source.h"

/* 4: the mechanism's name, as RFC 4422, 3.1 has it. */
static bool
mechanism(struct span m)
{
	for (size_t i = 0; i < m.len; i++) {
		uint8_t	ch = m.p[i];

		if (!((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
		    (ch >= '0' && ch <= '9') || ch == '-' || ch == '_'))
			return false;
	}
	return m.len > 0 && m.len <= 20;
}

/* 4 and 8: base64, or "=" alone for an empty initial response. */
static bool
base64(struct span b)
{
	for (size_t i = 0; i < b.len; i++) {
		uint8_t	ch = b.p[i];

		if (!((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
		    (ch >= '0' && ch <= '9') || ch == '+' || ch == '/' ||
		    ch == '='))
			return false;
	}
	return true;
}

void
cmd_auth(struct cmd *c, struct span arg)
{
	struct session	*s = c->s;
	struct span	 mech = span(NULL, 0), whole = arg;
	bool		 initial;

	if (s->fallen) {
		session_reply(c, 454, "4.7.0 Nobody can log in now");
		return;
	}
	if (session_proxied(s) && !s->listen->auth_plaintext) {
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
	if (!source_may_try(&s->client)) {
		session_answer(c, 421, span_str("4.7.0 Too many failed logins "
		    "from your address"));
		session_end(s, "too many failed logins");
		return;
	}
	initial = span_find(arg, ' ') < arg.len;
	span_word(&arg, " ", &mech);
	arg = span_trim(arg);
	if (!mechanism(mech) || !base64(arg)) {
		session_reply(c, 501,
		    "5.5.4 AUTH mechanism [initial-response]");
		return;
	}
	if (s->link == NULL) {
		proxy_renew(c, whole);
		return;
	}
	session_hold(c);
	session_phase(s, PH_AUTH);
	link_auth(s->link, c, mech, initial, arg);
}

void
cmd_auth_line(struct cmd *c, struct span line)
{
	struct session	*s = c->s;

	if (s->link == NULL) {
		/* The server has gone in the middle of it (failover.h). */
		session_phase(s, PH_READY);
		session_reply(c, 454, "4.7.0 Nobody can log in now");
		return;
	}
	/* 4: "*" cancels. What is no base64 cancels too; the server's reply to
	 * that is the client's. */
	session_hold(c);
	link_auth_line(s->link, c, base64(line) ? line : span_str("*"));
}
