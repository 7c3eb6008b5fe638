/*
 * EHLO and HELO (RFC 5321, 4.1.1.1), and what is announced.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/conf/table.h"
#include "common/smtp/xclient.h"
#include "smtpd/auth.h"
#include "smtpd/cmd.h"
#include "smtpd/handoff.h"
#include "smtpd/dovecot.h"
#include "smtpd/link.h"
#include "smtpd/login.h"
#include "smtpd/notify.h"
#include "smtpd/tls.h"
#include "smtpd/txn.h"
#include "smtpd/via.h"

/* What we do for every client of the regular server. */
#define CAPS_OURS	(CAP_PIPELINING | CAP_SIZE | CAP_8BITMIME | CAP_DSN | \
			 CAP_SMTPUTF8 | CAP_CHUNKING | CAP_ENHANCED | \
			 CAP_REQUIRETLS)
/* What we do whatever the actual server can. */
#define CAPS_ALWAYS	(CAP_PIPELINING | CAP_SIZE | CAP_CHUNKING)
/* What it takes the actual server to do; STARTTLS is ours, XCLIENT nobody's. */
#define CAPS_THROUGH	(CAP_8BITMIME | CAP_DSN | CAP_SMTPUTF8 | CAP_ENHANCED | \
			 CAP_VRFY | CAP_EXPN | CAP_HELP | CAP_AUTH | \
			 CAP_REQUIRETLS)

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a == 0 ? b : a;
	return a < b ? a : b;
}

/* What both sides can do, postern and the actual server. */
static void
both(const struct session *s, const struct smtp_caps *server,
    struct smtp_caps *caps)
{
	bool	ask;

	*caps = (struct smtp_caps){ .bits = CAPS_OURS };
	caps->size = smaller(s->listen->max_message_size,
	    session_conf()->limits.message_size);
	if (server != NULL) {
		caps->bits = CAPS_ALWAYS | (server->bits & CAPS_THROUGH);
		/* What it does not tell of, we do. */
		if (notify_offered())
			caps->bits |= CAP_DSN;
		if ((server->bits & CAP_SIZE) != 0)
			caps->size = smaller(caps->size, server->size);
		auth_list(s->listen, server->auth, caps->auth);
	} else {
		if (s->listen->auth_via != NULL) {
			strlcpy(caps->auth, via_mechs(s->listen->auth_via,
			    &ask), sizeof(caps->auth));
			caps->bits |= CAP_AUTH;
		} else if (dovecot_judges(s->listen)) {
			dovecot_mechs(s->listen, caps->auth);
			caps->bits |= CAP_AUTH;
		} else if (s->listen->auth_users != NULL) {
			login_mechs(s->listen, s->binding_len > 0, caps->auth);
			caps->bits |= CAP_AUTH;
		}
		if (s->listen->on_conflict == CONFLICT_FAN_OUT)
			caps->bits |= CAP_PRDR;
		caps->mail_max = session_conf()->limits.messages;
		caps->rcpt_max = session_conf()->limits.recipients;
	}
	/* Passwords do not go in clear, unless the listener says so. */
	if (!session_secure(s) || caps->auth[0] == '\0')
		caps->bits &= ~(uint32_t)CAP_AUTH;
	/* RFC 8689, 2. */
	if (s->tls == NULL)
		caps->bits &= ~(uint32_t)CAP_REQUIRETLS;
	if (tls_offered(s))
		caps->bits |= CAP_STARTTLS;
}

static bool
has_mechanism(const char *list, struct span name)
{
	struct span	all = span_str(list), word;

	while (span_word(&all, " ", &word))
		if (span_caseeq(word, name))
			return true;
	return false;
}

bool
cmd_ehlo_as_told(const struct session *s, const struct smtp_caps *server)
{
	struct span	 told = span_str(s->auth_told), word;
	struct smtp_caps caps;

	both(s, server, &caps);
	/* HELO was told nothing; without the queue DSN fails recipient by
	 * recipient. */
	if ((s->caps & ~(caps.bits | CAP_DSN)) != 0 || (s->caps != 0 &&
	    caps.size != 0 && (s->size_max == 0 || caps.size < s->size_max)))
		return false;
	while (span_word(&told, " ", &word))
		if (!has_mechanism(caps.auth, word))
			return false;
	return true;
}

/* Keywords that are let through because somebody said so. */
static bool
others(struct buf *text, const struct session *s)
{
	struct span	left = span_str(s->link->others), line, key;
	bool		ok = true;

	while (s->listen->announce != NULL && ok &&
	    span_word(&left, "\n", &line)) {
		key = span_sub(line, 0, span_find(line, ' '));
		if (table_get(s->listen->announce, key, NULL))
			ok = buf_byte(text, '\n') && buf_span(text, line);
	}
	free(s->link->others);
	s->link->others = NULL;
	return ok;
}

void
cmd_ehlo_announce(struct cmd *c, const struct smtp_caps *server)
{
	struct session	*s = c->s;
	struct smtp_caps caps;
	struct buf	 text;

	both(s, server, &caps);
	s->caps = caps.bits;
	if (cmd_xclient_offered(s)) {
		caps.bits |= CAP_XCLIENT;
		/* A login there is none here. */
		caps.xclient = XC_ALL & ~(uint32_t)XC_LOGIN;
	}
	s->size_max = caps.size;
	free(s->auth_told);
	s->auth_told = NULL;
	if ((caps.bits & CAP_AUTH) != 0 &&
	    (s->auth_told = strdup(caps.auth)) == NULL)
		fatal("EHLO");
	buf_init(&text, 4096);
	if (!smtp_caps_text(&text, s->listen->hostname, &caps) ||
	    (server != NULL && !others(&text, s)))
		fatalx("EHLO does not fit");
	session_phase(s, PH_READY);
	session_answer(c, 250, buf_content(&text));
	buf_clear(&text);
}

void
cmd_helo_announce(struct cmd *c)
{
	struct session	*s = c->s;

	s->caps = 0;
	free(s->auth_told);
	s->auth_told = NULL;
	s->size_max = smaller(s->listen->max_message_size,
	    session_conf()->limits.message_size);
	session_phase(s, PH_READY);
	session_answer(c, 250, span_str(s->listen->hostname));
}

/* Has the server that judges this listener's passwords to be asked for its
 * mechanisms first? */
static bool
asks_via(const struct session *s)
{
	bool	ask = false;

	if (s->listen->auth_via != NULL && session_secure(s))
		via_mechs(s->listen->auth_via, &ask);
	return ask;
}

static void
hello(struct cmd *c, struct span arg, bool ehlo)
{
	struct session	*s = c->s;
	const char	*why = "";
	char		*name;

	if (smtp_helo_parse(arg, ehlo, &why) != PARSE_OK) {
		log_info("session=%s event=error what=%s helo=%s", s->id,
		    log_quote(span_str(why)), log_quote(arg));
		session_reply(c, 501, "5.5.4 %s: %s",
		    ehlo ? "EHLO" : "HELO", why);
		return;
	}
	if ((name = span_dup(arg)) == NULL)
		fatal("helo");
	/* 4.1.4: as if by RSET; at the server EHLO does it by itself, but for
	 * half a message. */
	if (s->txn != NULL && session_proxied(s) && s->phase != PH_BDAT)
		s->txn->way = NULL;
	txn_end(s);
	free(s->helo);
	s->helo = name;
	s->esmtp = ehlo;
	log_debug("session=%s event=hello helo=%s", s->id, log_quote(arg));
	if (session_proxied(s) && s->link == NULL) {
		proxy_renew(c, arg);
	} else if (session_proxied(s)) {
		session_hold(c);
		link_ehlo(s->link, c, ehlo, arg);
	} else if (ehlo) {
		if (!asks_via(s) || !via_ask(c))
			cmd_ehlo_announce(c, NULL);
	} else
		cmd_helo_announce(c);
}

void
cmd_ehlo(struct cmd *c, struct span arg)
{
	hello(c, arg, true);
}

void
cmd_helo(struct cmd *c, struct span arg)
{
	hello(c, arg, false);
}
