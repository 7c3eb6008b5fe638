/*
 * See open.h. Whatever comes of it ends in link.c: up, or told to smtpd.
 */
#include "proxyd/open.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "proxyd/caps.h"
#include "proxyd/servers.h"

static struct proc		*proc;
static const struct conf	*conf;
static struct ask		*ask;

void
open_init(struct proc *p, const struct conf *c, struct ask *a)
{
	proc = p;
	conf = c;
	ask = a;
}

static void
found(void *arg, const struct hosts_list *list)
{
	struct link	*l = arg;
	char		 why[256];

	l->find = NULL;
	if (list->n == 0) {
		/* Whatever DNS says: for the client it is not the end. */
		snprintf(why, sizeof(why), "4.4.3 No server of the action: "
		    "%s", list->text);
		link_fail(l, 421, why);
		return;
	}
	if ((l->cands = calloc(list->n, sizeof(*l->cands))) == NULL)
		fatal("candidates");
	memcpy(l->cands, list->cand, list->n * sizeof(*l->cands));
	l->ncands = list->n;
	servers_order(l->cands, l->ncands);
	open_next(l, 421, "4.4.1 No server");
}

void
open_next(struct link *l, uint16_t code, const char *why)
{
	char		 text[1024], server[512], ip[ADDR_STRLEN];
	struct hosts_cand *c;
	const struct addr *source = l->action->source.family != 0 ?
			    &l->action->source : NULL;

	strlcpy(text, why, sizeof(text));
	while (l->next < l->ncands) {
		if (l->s != NULL && clock_mono().ms - l->since.ms >
		    LINK_OPEN_MS)
			break;
		link_hang_up(l);
		c = &l->cands[l->next++];
		snprintf(server, sizeof(server), "%s[%s]:%u", c->name,
		    addr_str(&c->addr, ip), c->addr.port);
		free(l->server);
		l->server = strdup(server);
		l->phase = LINK_CONNECT;	/* since: the first one's */
		l->s = stream_connect(proc_base(proc), &c->addr, source,
		    LINK_IN_MAX, LINK_OUT_MAX, &link_stream_ops, l);
		if (l->s != NULL) {
			if ((l->c = smtp_client_new(stream_out(l->s))) == NULL)
				fatal("smtp_client_new");
			stream_timeout(l->s, LINK_CONNECT_MS);
			return;
		}
		servers_failed(&c->addr);
		snprintf(text, sizeof(text), "4.4.1 %s: %s", server,
		    strerror(errno));
		code = 421;
	}
	link_fail(l, code, text);
}

void
open_unusable(struct link *l, uint16_t code, const char *why)
{
	log_debug("session=%s event=connect server=%s result=failed why=%s",
	    l->session, log_quote(span_str(l->server)),
	    log_quote_reply(span_str(why)));
	servers_failed(&l->cands[l->next - 1].addr);
	open_next(l, code, why);
}

void
open_start(struct link *l)
{
	struct find	*f;

	link_set_phase(l, LINK_FIND);
	/* The link may be gone when an answer came from within. */
	link_alive = l;
	f = find_start(ask, conf, l->action, "", found, l);
	if (f != NULL && link_alive == l)
		l->find = f;
}

/* ---- greeting and, at rule level, EHLO --------------------------------- */

/* The server is there: nothing is needed of the others any more. */
static void
up(struct link *l)
{
	servers_works(&l->cands[l->next - 1].addr);
	link_set_phase(l, LINK_UP);
	free(l->cands);
	l->cands = NULL;
	l->ncands = l->next = 0;
	CHAN_SEND(l->chan, p_server, .tid = l->tid,
	    .server = span_str(l->server));
	log_debug("session=%s event=server server=%s result=open", l->session,
	    log_quote(span_str(l->server)));
}

/* Not 220, or no EHLO: the next server, or the last one's own words. */
static void
no_welcome(struct link *l, const struct smtp_client_event *ev)
{
	char	why[512];

	if (l->next == l->ncands && ev->code >= 400) {
		link_refused(l, ev->code, ev->text);
		return;
	}
	snprintf(why, sizeof(why), "4.4.1 %s answered %u", l->server, ev->code);
	open_unusable(l, 421, why);
}

static void
reply_greeting(struct link *l, const struct smtp_client_event *ev)
{
	if (ev->code != 220) {
		no_welcome(l, ev);
	} else if (l->helo == NULL) {
		up(l);
		link_reply(l, ev->code, ev->text, false);
	} else if (!smtp_client_ehlo(l->c, span_str(l->helo), true)) {
		link_fail(l, 421, "4.3.0 EHLO could not be sent");
	} else {
		l->phase = LINK_HELLO;
		stream_kick(l->s);
	}
}

static void
reply_hello(struct link *l, const struct smtp_client_event *ev)
{
	if (ev->code / 100 == 2) {
		up(l);
		caps_send(l);
		link_reply(l, 220, span_str("ready"), true);
	} else if (ev->step == STEP_EHLO && ev->code / 100 == 5 &&
	    smtp_client_ehlo(l->c, span_str(l->helo), false))
		stream_kick(l->s);
	else
		no_welcome(l, ev);
}

void
open_reply(struct link *l, const struct smtp_client_event *ev)
{
	if (l->phase == LINK_GREETING)
		reply_greeting(l, ev);
	else
		reply_hello(l, ev);
}
