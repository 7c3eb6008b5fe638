/*
 * TLS with a server (RFC 3207, 8314): when it begins, and what its failure means
 * for the mail. Opportunistic: the mail goes in plain then, over a connection of
 * its own. Asked for: it does not go, and waits.
 */
#include "deliverd/remote_i.h"

#include <openssl/ssl.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/io/tls.h"
#include "deliverd/pool.h"
#include "deliverd/report.h"

static const struct conf	*conf;

void
secure_init(const struct conf *c)
{
	conf = c;
}

bool
secure_is(const struct conn *c)
{
	return c->secured.protocol[0] != '\0';
}

/* The server has it, but not as it is asked for. code is the reply's; mail with
 * REQUIRETLS, which does not wait for that to change, has another one (RFC 8689,
 * 4.2.1). */
static void
refuse(struct conn *c, const char *code, const char *why)
{
	bool	for_good = c->demand->requiretls && !c->passing;
	char	text[900];

	snprintf(text, sizeof(text), "%s %s: %s", for_good ? "550 5.7.10" :
	    code, c->server, why);
	log_info("event=tls server=%s result=refused mode=%s why=%s",
	    log_quote(span_str(c->server)), tls_mode_name(&c->tls),
	    log_quote(span_str(why)));
	srv_tls(c->srv, "%s: refused, %s", tls_mode_name(&c->tls), why);
	pool_insecure(c, text);
}

bool
secure_keeps(struct conn *c)
{
	static const char	why[] = "REQUIRETLS is not offered";
	char			text[900];

	if (!c->demand->requiretls || remote_has(c, CAP_REQUIRETLS))
		return true;
	log_info("event=tls server=%s result=refused mode=%s why=\"%s\"",
	    log_quote(span_str(c->server)), tls_mode_name(&c->tls), why);
	snprintf(text, sizeof(text), "550 5.7.30 %s: %s", c->server, why);
	if (smtp_client_simple(c->c, STEP_QUIT))
		stream_flush(c->s);
	pool_insecure(c, text);
	return false;
}

static void
plain(struct conn *c, const char *why)
{
	log_info("event=tls server=%s result=plain mode=%s why=%s",
	    log_quote(span_str(c->server)), tls_mode_name(&c->tls),
	    log_quote(span_str(why)));
	srv_tls(c->srv, "%s: plain, %s", tls_mode_name(&c->tls), why);
	tls_plain_note(&c->srv->addr);
	pool_plain(c);
}

/* No session came about. */
static void
failed(struct conn *c, const char *what)
{
	char	why[900];

	switch (tls_client_failed(&c->tls, c->phase == CONN_TLS)) {
	case TLS_FAILED_PLAIN:
		plain(c, what);
		break;
	case TLS_FAILED_DOWN:
		snprintf(why, sizeof(why), "451 4.7.5 %s: no TLS session: %s",
		    c->server, what);
		srv_tls(c->srv, "%s: refused, %s", tls_mode_name(&c->tls),
		    what);
		pool_unreachable(c, why);
		break;
	case TLS_FAILED_REFUSED:
		snprintf(why, sizeof(why), "no TLS session: %s", what);
		refuse(c, "451 4.7.5", why);
		break;
	}
}

bool
secure_helloed(struct conn *c)
{
	bool	offered = remote_has(c, CAP_STARTTLS);

	if (!offered && c->tls.mode != TLS_OFF)
		report_session(c, RPT_STARTTLS_NOT_SUPPORTED, TLS_NOT_OFFERED);
	switch (tls_client_way(&c->tls, offered, &c->srv->addr)) {
	case TLS_WAY_PLAIN:
		/* Else the reason of before is still the one. */
		if (c->tls.mode == TLS_OFF || !offered)
			srv_tls(c->srv, "%s: plain%s", tls_mode_name(&c->tls),
			    c->tls.mode == TLS_OFF ? "" :
			    ", " TLS_NOT_OFFERED);
		return false;
	case TLS_WAY_START:
		if (!smtp_client_starttls(c->c)) {
			secure_failed(c, "STARTTLS could not be sent");
			return true;
		}
		remote_phase(c, CONN_STARTTLS);
		stream_kick(c->s);
		remote_timer(c);
		return true;
	case TLS_WAY_NONE:
		break;
	}
	refuse(c, "451 4.7.4", TLS_NOT_OFFERED ", and mail may not go there in "
	    "plain");
	return true;
}

void
secure_replied(struct conn *c, const struct smtp_client_event *ev)
{
	char	why[512];

	if (ev->code == 220) {
		secure_begin(c);
		return;
	}
	c->passing = ev->code / 100 == 4;
	snprintf(why, sizeof(why), "it refuses STARTTLS: ");
	span_cstr(span_sub(remote_flat(ev->code, ev->text), 0, 400),
	    why + strlen(why), sizeof(why) - strlen(why));
	secure_failed(c, why);
}

void
secure_begin(struct conn *c)
{
	SSL	*ssl = tls_client_new(&c->tls, c->host);

	if (ssl != NULL && !demand_begin(c->demand, ssl, c->host)) {
		SSL_free(ssl);
		report_session(c, RPT_TLSA_INVALID, "");
		failed(c, "its TLSA records can't be used");
		return;
	}
	if (ssl == NULL || !stream_tls(c->s, ssl, false)) {
		failed(c, "no memory for TLS");
		return;
	}
	remote_phase(c, CONN_TLS);
	remote_timer(c);
}

void
secure_failed(struct conn *c, const char *what)
{
	report_session(c, c->phase == CONN_TLS ? RPT_VALIDATION :
	    RPT_STARTTLS_NOT_SUPPORTED, what);
	failed(c, what);
}

/* Of a session that is good enough for us: would it be for the domain, whose
 * policy is in testing (RFC 8461, 5)? */
static void
report_good(const struct conn *c)
{
	const struct conf_tls	 verify = { .mode = TLS_VERIFY };
	struct tls_facts	 facts;
	char			 why[VERIFY_WHY_MAX] = "";

	if (!report_tests(c))
		report_session(c, RPT_OK, why);
	else if (tls_client_check(stream_ssl(c->s), conf, &verify, c->host,
	    &facts, why))
		report_session(c, RPT_OK, why);
	else
		report_session(c, report_fault(facts.fault), why);
}

bool
secure_done(struct conn *c)
{
	char	why[VERIFY_WHY_MAX], text[TLS_TEXT_MAX];

	if (!tls_client_check(stream_ssl(c->s), conf, &c->tls, c->host,
	    &c->secured, why)) {
		report_session(c, report_fault(c->secured.fault), why);
		refuse(c, "451 4.7.5", why);
		return false;
	}
	report_good(c);
	tls_facts_text(&c->secured, text);
	log_debug("event=tls server=%s result=ok mode=%s tls=%s",
	    log_quote(span_str(c->server)), tls_mode_name(&c->tls),
	    log_quote(span_str(text)));
	srv_tls(c->srv, "%s: %s", tls_mode_name(&c->tls), text);
	return true;
}
