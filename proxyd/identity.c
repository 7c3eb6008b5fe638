/*
 * The client's identity towards the actual server. See identity.h.
 */
#include "proxyd/identity.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/smtp/proxyhdr.h"
#include "common/smtp/xclient.h"
#include "proxyd/open.h"

/* Servers whose lack of XCLIENT has been told. Told again after a restart. */
static struct map	*lacking;

static char *
copy(struct span s)
{
	char	*p = NULL;

	if (s.len > 0 && (p = span_dup(s)) == NULL)
		fatal("identity");
	return p;
}

void
identity_init(struct identity *who, const struct ipc_p_open *m)
{
	*who = (struct identity){ .client = m->client, .local = m->local,
	    .rdns = copy(m->rdns), .rdns_known = m->rdns_known,
	    .helo = copy(m->client_helo), .esmtp = m->client_esmtp };
}

void
identity_clear(struct identity *who)
{
	free(who->rdns);
	free(who->helo);
	free(who->greeting);
	*who = (struct identity){ 0 };
}

bool
identity_connect(struct identity *who, enum conf_identity how, struct buf *out)
{
	const struct addr	*src = NULL, *dst = NULL;

	if (who != NULL) {
		who->asked = who->told = false;
		free(who->greeting);
		who->greeting = NULL;
		src = &who->client;
		dst = &who->local;
	}
	if (how == IDENTITY_PROXY_V1)
		return proxyhdr_write_v1(out, src, dst);
	if (how == IDENTITY_PROXY_V2)
		return proxyhdr_write_v2(out, src, dst);
	return true;
}

/* ---- XCLIENT ------------------------------------------------------------- */

/* Once for each server. */
static void
not_told(const struct link *l, const char *why)
{
	uint8_t		 key[ADDR_KEY_LEN];
	struct span	 k = addr_key(stream_peer(l->s), key);

	if (lacking == NULL && (lacking = map_new(IDENTITY_TOLD_MAX)) == NULL)
		fatal("identity");
	if (map_get(lacking, k) != NULL || !map_set(lacking, k, lacking))
		return;
	log_warnx("session=%s event=identity server=%s result=failed why=%s",
	    l->session, log_quote(span_str(l->server)),
	    log_quote(span_str(why)));
}

struct span
identity_helo(const struct link *l)
{
	if (l->who.told && l->who.helo != NULL)
		return span_str(l->who.helo);
	return span_str(l->helo != NULL ? l->helo : l->action->helo != NULL ?
	    l->action->helo : link_conf()->hostname);
}

bool
identity_greeted(struct link *l, struct span greeting)
{
	struct identity	*who = &l->who;

	if (l->action->identity != IDENTITY_XCLIENT || who->client.family == 0)
		return false;
	who->greeting = copy(span_sub(greeting, 0, IDENTITY_GREETING_MAX));
	if (!smtp_client_ehlo(l->c, identity_helo(l), true))
		return false;
	who->asked = true;
	l->phase = LINK_HELLO;
	stream_kick(l->s);
	link_set_timer(l);
	return true;
}

static void
fill(struct xclient *x, const struct identity *who)
{
	*x = (struct xclient){ .given = XC_ADDR, .client = who->client,
	    .dest = who->local, .esmtp = who->esmtp };
	if (who->client.port != 0)
		x->given |= XC_PORT;
	if (who->local.family != 0)
		x->given |= XC_DESTADDR | XC_DESTPORT;
	if (who->rdns != NULL) {
		x->given |= XC_NAME;
		strlcpy(x->name, who->rdns, sizeof(x->name));
	} else if (who->rdns_known)
		x->none |= XC_NAME;
	else
		x->later |= XC_NAME;
	if (who->helo != NULL) {
		x->given |= XC_HELO | XC_PROTO;
		strlcpy(x->helo, who->helo, sizeof(x->helo));
	}
}

static bool
tell(struct link *l, uint32_t listed)
{
	struct xclient	x;
	struct buf	arg;
	bool		ok;

	fill(&x, &l->who);
	buf_init(&arg, XCLIENT_ARG_MAX);
	ok = xclient_write(&arg, &x, listed) &&
	    smtp_client_xclient(l->c, buf_content(&arg));
	buf_clear(&arg);
	return ok;
}

/* As if nothing had been asked for: at rule level the EHLO that was answered is
 * the one of the session. */
static void
go_on(struct link *l)
{
	char	*greeting = l->who.greeting;

	l->who.greeting = NULL;
	open_up(l, span_str(greeting));
	free(greeting);
}

bool
identity_helloed(struct link *l, const struct smtp_client_event *ev)
{
	const struct smtp_caps	*caps = smtp_client_caps(l->c);

	/* The last EHLO of the rule level is open.c's. */
	if (!l->who.asked || l->who.told)
		return false;
	if (ev->code / 100 == 2 && (caps->xclient & XC_ADDR) != 0 &&
	    tell(l, caps->xclient)) {
		l->phase = LINK_XCLIENT;
		stream_kick(l->s);
		return true;
	}
	if (ev->code / 100 == 2) {
		not_told(l, "the server does not offer XCLIENT to us");
		go_on(l);
		return true;
	}
	/* No EHLO, no XCLIENT; HELO of a proxied listener may come yet. */
	if (l->helo != NULL || ev->code / 100 != 5)
		return false;
	not_told(l, "the server refuses EHLO");
	go_on(l);
	return true;
}

/* The client's own EHLO, at rule level, for the session as it is now. */
static void
hello_again(struct link *l)
{
	if (!smtp_client_ehlo(l->c, identity_helo(l), true)) {
		link_fail(l, 421, "4.3.0 EHLO could not be sent");
		return;
	}
	l->phase = LINK_HELLO;
	stream_kick(l->s);
}

void
identity_replied(struct link *l, const struct smtp_client_event *ev)
{
	/* RFC 5321, 3.1: what stands for a greeting refuses the client, not
	 * the command. */
	if (ev->code == 554 || ev->code == 521 ||
	    (ev->code / 100 != 5 && ev->code != 220)) {
		open_no_welcome(l, ev);
		return;
	}
	if (ev->code / 100 == 5) {
		not_told(l, "the server refuses XCLIENT");
		go_on(l);
		return;
	}
	l->who.told = true;
	log_debug("session=%s event=identity server=%s result=ok", l->session,
	    log_quote(span_str(l->server)));
	if (l->helo != NULL)
		hello_again(l);
	else
		open_up(l, ev->text);
}
