/*
 * XCLIENT: a gateway that is trusted says who its client is, and the session
 * begins anew as that client's. Once, and before the first transaction.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/conf/table.h"
#include "common/smtp/xclient.h"
#include "smtpd/cmd.h"
#include "smtpd/link.h"
#include "smtpd/source.h"

bool
cmd_xclient_offered(const struct session *s)
{
	struct span	ignored;

	return s->listen->xclient != NULL && !s->xclient && !s->nameless &&
	    s->mails == 0 && !s->authed && s->client.family != 0 &&
	    table_get_addr(s->listen->xclient, &s->client, &ignored);
}

/* The address counts from now on, for the limits first. False: it may not come
 * in, and the session has ended. */
static bool
enter(struct session *s, const struct addr *client)
{
	const char	*no = source_enter(client);
	char		 text[512], from[ADDR_STRLEN];

	if (no != NULL) {
		log_info("session=%s event=refused client=%s reply=\"421 %s\"",
		    s->id, addr_str(client, from), no);
		snprintf(text, sizeof(text), "%s %s", no, s->listen->hostname);
		session_fail(s, 421, span_str(text), "refused by XCLIENT");
		return false;
	}
	source_leave(&s->client);
	s->client = *client;
	return true;
}

static void
name(struct session *s, const struct xclient *x)
{
	struct addr	named = session_named(s);

	peer_clear(&s->peer);
	peer_begin(&s->peer, &named);
	if ((x->given & XC_NAME) != 0)
		peer_told(&s->peer, x->name);
	else if ((x->none & XC_NAME) != 0)
		peer_told(&s->peer, NULL);
	else if (!session_local(s))
		peer_look(&s->peer);
}

static void
log_it(const struct session *s, const struct xclient *x)
{
	char	from[ADDR_STRLEN], via[ADDR_STRLEN];

	log_info("session=%s event=xclient client=%s via=%s rdns=%s helo=%s "
	    "login=%s", s->id, s->nameless ? "unknown" :
	    addr_str_port(&s->client, from), addr_str(&s->via, via),
	    log_quote(span_str(x->name)), log_quote(span_str(x->helo)),
	    log_quote(span_str(x->login)));
}

/* As after a connect, but for the errors that were made before. */
static void
begin_anew(struct session *s, struct cmd *c)
{
	free(s->helo);
	s->helo = NULL;
	s->caps = 0;
	s->auth_said = false;
	link_close(s->link);
	s->link = NULL;
	s->greet = c;
	session_phase(s, PH_CONNECT);
	session_begin(s);
}

void
cmd_xclient(struct cmd *c, struct span arg)
{
	struct session	*s = c->s;
	struct xclient	 x;
	const char	*why = "";

	if (!cmd_xclient_offered(s)) {
		log_info("session=%s event=error what=\"XCLIENT not offered\" "
		    "arg=%s", s->id, log_quote(arg));
		session_reply(c, 502, "5.5.1 Not offered here");
		return;
	}
	if (s->ncmds > 1) {
		session_reply(c, 503, "5.5.1 XCLIENT comes alone");
		return;
	}
	if (xclient_parse(arg, &x, &why) != PARSE_OK) {
		log_info("session=%s event=error what=%s arg=%s", s->id,
		    log_quote(span_str(why)), log_quote(arg));
		session_reply(c, 501, "5.5.4 XCLIENT: %s", why);
		return;
	}
	if (s->via.family == 0)
		s->via = s->client;
	s->xclient = true;
	s->nameless = ((x.none | x.later) & XC_ADDR) != 0;
	if (x.client.family != 0 && !enter(s, &x.client))
		return;
	s->dest = x.dest;
	name(s, &x);
	log_it(s, &x);
	begin_anew(s, c);
}
