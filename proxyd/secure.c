/*
 * See secure.h.
 */
#include "proxyd/secure.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/io/tls.h"
#include "proxyd/open.h"

void
secure_connect(struct link *l, const struct hosts_cand *c)
{
	secure_clear(l);
	l->tls = conf_tls_of(l->action, l->action->pool,
	    (enum conf_scheme)c->scheme);
	strlcpy(l->host, c->name, sizeof(l->host));
}

static void
forget_welcome(struct link *l)
{
	l->hello_tls = false;
	free(l->welcome);
	l->welcome = NULL;
}

void
secure_clear(struct link *l)
{
	l->secured = (struct tls_facts){ .verified = false };
	forget_welcome(l);
}

static void
tell(struct link *l, const char *result, const char *why)
{
	log_info("session=%s event=tls server=%s result=%s mode=%s why=%s",
	    l->session, log_quote(span_str(l->server)), result,
	    tls_mode_name(&l->tls), log_quote(span_str(why)));
	if (l->srv != NULL)
		srv_tls(l->srv, "%s: %s, %s", tls_mode_name(&l->tls), result,
		    why);
}

/* Not as it is asked for: another server may be. This one is not down. */
static void
refuse(struct link *l, const char *code, const char *why)
{
	char	text[900];

	tell(l, "refused", why);
	if (l->srv != NULL)
		srv_works(l->srv);
	snprintf(text, sizeof(text), "%s %s: %s", code, l->server, why);
	open_next(l, 421, text);
}

static void
note_plain(struct link *l, const char *why)
{
	tell(l, "plain", why);
	tls_plain_note(&l->cands[l->next - 1].addr);
	if (l->srv != NULL)
		srv_works(l->srv);
}

/* The same server once more, without TLS. */
void
secure_left(struct link *l)
{
	l->next--;
	open_next(l, 421, "4.4.1 No server in time");
}

static void
plain(struct link *l, const char *why)
{
	note_plain(l, why);
	secure_left(l);
}

/* The same when this connection is over, for a server that counts them. */
static void
leave(struct link *l, const char *why)
{
	note_plain(l, why);
	forget_welcome(l);
	if (!smtp_client_simple(l->c, STEP_QUIT)) {
		secure_left(l);
		return;
	}
	l->phase = LINK_LEAVING;
	stream_kick(l->s);
	link_set_timer(l);
}

void
secure_failed(struct link *l, const char *what)
{
	char	why[600];

	snprintf(why, sizeof(why), "no TLS session: %s", what);
	switch (tls_client_failed(&l->tls, l->phase == LINK_TLS)) {
	case TLS_FAILED_PLAIN:
		plain(l, what);
		break;
	case TLS_FAILED_DOWN:
		tell(l, "refused", why);
		snprintf(why, sizeof(why), "4.7.5 %s: no TLS session: %s",
		    l->server, what);
		open_unusable(l, 421, why);
		break;
	case TLS_FAILED_REFUSED:
		refuse(l, "4.7.5", why);
		break;
	}
}

bool
secure_greeted(struct link *l, const struct smtp_client_event *ev)
{
	if (l->secured.protocol[0] != '\0')
		return false;
	/* What can't come of it need not be asked for. */
	if (tls_client_way(&l->tls, true, stream_peer(l->s)) ==
	    TLS_WAY_PLAIN) {
		if (l->tls.mode == TLS_OFF && l->srv != NULL)
			srv_tls(l->srv, "off: plain");
		return false;
	}
	free(l->welcome);
	if ((l->welcome = span_dup(span_sub(ev->text, 0,
	    IDENTITY_GREETING_MAX))) == NULL)
		fatal("link");
	if (!smtp_client_ehlo(l->c, identity_helo(l), true)) {
		link_fail(l, 421, "4.3.0 EHLO could not be sent");
		return true;
	}
	l->hello_tls = true;
	l->phase = LINK_HELLO;
	stream_kick(l->s);
	return true;
}

/* What comes behind the greeting, in the session as it is now. */
static void
go_on(struct link *l)
{
	char	*greeting = l->welcome;

	l->welcome = NULL;
	l->hello_tls = false;
	open_welcome(l, span_str(greeting));
	free(greeting);
}

/* At rule level the EHLO that was for TLS is the one of the session as well,
 * unless XCLIENT is to come between. */
static bool
is_session_hello(const struct link *l)
{
	return l->helo != NULL && l->action->identity != IDENTITY_XCLIENT;
}

bool
secure_helloed(struct link *l, const struct smtp_client_event *ev)
{
	bool	offered = ev->code / 100 == 2 &&
		    (smtp_client_caps(l->c)->bits & CAP_STARTTLS) != 0;

	if (!l->hello_tls)
		return false;
	if (ev->code / 100 != 2 && ev->code / 100 != 5) {
		open_no_welcome(l, ev);
		return true;
	}
	switch (tls_client_way(&l->tls, offered, stream_peer(l->s))) {
	case TLS_WAY_PLAIN:
		if (l->srv != NULL)
			srv_tls(l->srv, "%s: plain, %s",
			    tls_mode_name(&l->tls), TLS_NOT_OFFERED);
		if (is_session_hello(l)) {
			forget_welcome(l);
			return false;
		}
		/* The client's own EHLO is to be the session's first: some
		 * servers take no second one. */
		leave(l, TLS_NOT_OFFERED);
		break;
	case TLS_WAY_START:
		if (!smtp_client_starttls(l->c)) {
			secure_failed(l, "STARTTLS could not be sent");
			break;
		}
		l->phase = LINK_STARTTLS;
		stream_kick(l->s);
		break;
	case TLS_WAY_NONE:
		refuse(l, "4.7.4", TLS_NOT_OFFERED ", and mail may not go "
		    "there in plain");
		break;
	}
	return true;
}

void
secure_replied(struct link *l, const struct smtp_client_event *ev)
{
	char		why[512];
	struct buf	flat;

	if (ev->code == 220) {
		secure_begin(l);
		return;
	}
	buf_init(&flat, 64 << 10);
	smtp_reply_flat(&flat, ev->code, ev->text);
	snprintf(why, sizeof(why), "it refuses STARTTLS: %.400s",
	    buf_cstr(&flat) != NULL ? buf_cstr(&flat) : "");
	buf_clear(&flat);
	secure_failed(l, why);
}

void
secure_begin(struct link *l)
{
	SSL	*ssl = tls_client_new(&l->tls, l->host);

	if (ssl == NULL || !stream_tls(l->s, ssl, false)) {
		secure_failed(l, "no memory for TLS");
		return;
	}
	l->phase = LINK_TLS;
	link_set_timer(l);
}

void
secure_done(struct link *l)
{
	char	why[VERIFY_WHY_MAX], text[TLS_TEXT_MAX];

	if (!tls_client_check(stream_ssl(l->s), link_conf(), &l->tls, l->host,
	    &l->secured, why)) {
		refuse(l, "4.7.5", why);
		return;
	}
	tls_facts_text(&l->secured, text);
	log_info("session=%s event=tls server=%s result=ok mode=%s tls=%s",
	    l->session, log_quote(span_str(l->server)), tls_mode_name(&l->tls),
	    log_quote(span_str(text)));
	if (l->srv != NULL)
		srv_tls(l->srv, "%s: %s", tls_mode_name(&l->tls), text);
	if (!l->tls.at_once) {
		go_on(l);
		return;
	}
	l->phase = LINK_GREETING;
	link_set_timer(l);
}
