/*
 * See open.h. Whatever comes of it ends in link.c: up, or told to smtpd.
 */
#include "proxyd/open.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "proxyd/caps.h"
#include "proxyd/idle.h"
#include "proxyd/place.h"
#include "proxyd/relay.h"
#include "proxyd/secure.h"
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

/* ---- one server after the other ----------------------------------------- */

static void	placed(void *, int);

/* Those that are not to get new sessions go. */
static size_t
unpaused(const struct conf_action *a, struct hosts_cand *c, size_t n)
{
	size_t	k = 0;

	for (size_t i = 0; i < n; i++)
		if (!place_is_paused(a, c[i].name, &c[i].addr))
			c[k++] = c[i];
	return k;
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
	l->ncands = unpaused(l->action, l->cands, list->n);
	if (l->ncands == 0) {
		link_fail(l, 421, "4.3.2 All servers of the action are paused");
		return;
	}
	l->nup = servers_order(l->action, l->cands, l->ncands);
	open_next(l, 421, "4.4.1 No server");
}

void
open_next(struct link *l, uint16_t code, const char *why)
{
	struct place_want	*w;
	size_t			 end;

	link_hang_up(l);
	if (l->next == l->ncands || (l->next > 0 &&
	    clock_mono().ms - l->since.ms > LINK_OPEN_MS)) {
		link_fail(l, code, why);
		return;
	}
	l->phase = LINK_PLACE;		/* since: the first one's */
	if (!l->fresh && idle_take(l, &l->cands[l->next].addr)) {
		l->next++;
		open_kept(l);
		return;
	}
	/* One that is down is no place while others are there. */
	end = l->next < l->nup ? l->nup : l->ncands;
	w = place_want(l->action, &l->cands[l->next], end - l->next, placed,
	    l);
	/* NULL: all has happened already, and the link may be gone. */
	if (w != NULL)
		l->want = w;
}

static void
connect_to(struct link *l, const struct hosts_cand *c)
{
	char			 text[1024], server[512], ip[ADDR_STRLEN];
	const struct addr	*source = l->action->source.family != 0 ?
				    &l->action->source : NULL;

	snprintf(server, sizeof(server), "%s[%s]:%u", c->name,
	    addr_str(&c->addr, ip), c->addr.port);
	free(l->server);
	if ((l->server = strdup(server)) == NULL)
		fatal("link");
	if ((l->srv = servers_ref(l->action, c)) != NULL)
		srv_conns(l->srv, 1);
	l->uses = l->errors = 0;
	secure_connect(l, c);
	l->phase = LINK_CONNECT;
	l->s = stream_connect(proc_base(proc), &c->addr, source, LINK_IN_MAX,
	    LINK_OUT_MAX, &link_stream_ops, l);
	if (l->s != NULL) {
		if ((l->c = smtp_client_new(stream_out(l->s))) == NULL)
			fatal("smtp_client_new");
		identity_connect(&l->who, l->action->identity,
		    stream_out(l->s));
		stream_timeout(l->s, LINK_CONNECT_MS);
		return;
	}
	snprintf(text, sizeof(text), "4.4.1 %s: %s", server, strerror(errno));
	open_unusable(l, 421, text);
}

/* A place at one of those that are left; it is the next one. */
static void
placed(void *arg, int which)
{
	struct link		*l = arg;
	struct hosts_cand	 c;

	l->want = NULL;
	if (which == -1) {
		link_fail(l, 421, "4.3.2 Too many sessions with the servers, "
		    "and none has ended in time");
		return;
	}
	c = l->cands[l->next + (size_t)which];
	memmove(&l->cands[l->next + 1], &l->cands[l->next],
	    (size_t)which * sizeof(c));
	l->cands[l->next++] = c;
	if (!l->fresh && idle_take(l, &c.addr)) {
		/* That one has a place. */
		place_give(l->action, &c.addr, false);
		open_kept(l);
		return;
	}
	l->at = c.addr;
	connect_to(l, &c);
}

static void
health(struct link *l, const char *why)
{
	if (l->srv != NULL)
		srv_failed(l->srv, l->srv->health.probing, why);
	else
		servers_failed(l->action, &l->cands[l->next - 1], why);
}

void
open_unusable(struct link *l, uint16_t code, const char *why)
{
	char	text[512];

	log_debug("session=%s event=connect server=%s result=failed why=%s",
	    l->session, log_quote(span_str(l->server)),
	    log_quote_reply(span_str(why)));
	snprintf(text, sizeof(text), "%u %s", code, why);
	health(l, text);
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

/* ---- sessions that were kept -------------------------------------------- */

void
open_kept(struct link *l)
{
	l->kept = true;
	l->uses++;
	if (l->helo == NULL) {
		open_up(l, span_str(l->greeting));
	} else if (!smtp_client_ehlo(l->c, span_str(l->helo), true)) {
		link_fail(l, 421, "4.3.0 EHLO could not be sent");
	} else {
		l->phase = LINK_HELLO;
		stream_kick(l->s);
		link_set_timer(l);
	}
}

static void
cands_free(struct link *l)
{
	free(l->cands);
	l->cands = NULL;
	l->ncands = l->nup = l->next = 0;
}

void
open_proved(struct link *l)
{
	l->kept = false;
	buf_clear(&l->again);
	if (l->phase == LINK_UP)
		cands_free(l);
}

void
open_again(struct link *l, const char *why)
{
	log_debug("session=%s event=idle server=%s result=dead why=%s",
	    l->session, log_quote(span_str(l->server)),
	    log_quote(span_str(why)));
	l->kept = false;
	l->fresh = true;
	flow_clear(&l->flow);
	flow_init(&l->flow);
	/* What it has not answered is asked anew, and answered then. */
	if (l->greeted)
		l->asked = buf_len(&l->again) > 0;
	l->since = clock_mono();
	l->next--;
	open_next(l, 421, why);
}

/* ---- greeting and, at rule level, EHLO --------------------------------- */

/* The server is there: nothing is needed of the others any more. But one that
 * was kept has yet to show that it still is. */
void
open_up(struct link *l, struct span greeting)
{
	if (!l->kept && l->srv != NULL)
		srv_works(l->srv);
	link_set_phase(l, LINK_UP);
	if (!l->kept)
		cands_free(l);
	CHAN_SEND(l->chan, p_server, .tid = l->tid,
	    .server = span_str(l->server));
	log_debug("session=%s event=server server=%s result=open", l->session,
	    log_quote(span_str(l->server)));
	if (l->helo != NULL) {
		caps_send(l);
		link_reply(l, 220, span_str("ready"), true);
	} else if (l->greeted) {
		relay_again(l);
	} else {
		l->greeted = true;
		link_reply(l, 220, greeting, false);
	}
}

/* RFC 3463, 3.4: 4.3.2 is what servers say to one session too many; some have
 * 4.7.0 for a client that has too many. */
static bool
is_full(const struct smtp_client_event *ev)
{
	struct span	 s = ev->text, t;

	if (ev->code != 421)
		return false;
	if (span_starts(s, span_str("4.3.2")))
		return true;
	for (; s.len > 0; span_skip(&s, 1)) {
		t = span_sub(s, 0, 8);
		if (span_caseis(t, "too many"))
			return true;
	}
	return false;
}

/* One that has no room is not down. */
void
open_no_welcome(struct link *l, const struct smtp_client_event *ev)
{
	struct buf	 flat;
	struct addr	 at = l->at;
	char		 why[512];
	bool		 full = is_full(ev);

	buf_init(&flat, 64 << 10);
	smtp_reply_flat(&flat, ev->code, ev->text);
	log_debug("session=%s event=connect server=%s result=refused reply=%s",
	    l->session, log_quote(span_str(l->server)),
	    log_quote_reply(buf_content(&flat)));
	if (full) {
		l->at.family = 0;
		full = place_give(l->action, &at, true);
	}
	if (!full)
		health(l, buf_cstr(&flat) != NULL ? buf_cstr(&flat) :
		    "421 refused");
	buf_clear(&flat);
	if (l->next == l->ncands && ev->code >= 400) {
		link_refused(l, ev->code, ev->text);
		return;
	}
	snprintf(why, sizeof(why), "4.4.1 %s answered %u", l->server, ev->code);
	open_next(l, 421, why);
}

void
open_welcome(struct link *l, struct span greeting)
{
	if (identity_greeted(l, greeting))
		return;
	if (l->helo == NULL) {
		open_up(l, greeting);
	} else if (!smtp_client_ehlo(l->c, identity_helo(l), true)) {
		link_fail(l, 421, "4.3.0 EHLO could not be sent");
	} else {
		l->phase = LINK_HELLO;
		stream_kick(l->s);
		link_set_timer(l);
	}
}

static void
reply_greeting(struct link *l, const struct smtp_client_event *ev)
{
	if (ev->code != 220) {
		open_no_welcome(l, ev);
		return;
	}
	if (idle_may_keep(l->action)) {
		free(l->greeting);
		l->greeting = span_dup(span_sub(ev->text, 0,
		    IDLE_GREETING_MAX));
	}
	if (!secure_greeted(l, ev))
		open_welcome(l, ev->text);
}

static void
reply_hello(struct link *l, const struct smtp_client_event *ev)
{
	if (secure_helloed(l, ev) || identity_helloed(l, ev))
		return;
	if (ev->code / 100 == 2)
		open_up(l, span(NULL, 0));
	else if (ev->step == STEP_EHLO && ev->code / 100 == 5 &&
	    smtp_client_ehlo(l->c, identity_helo(l), false))
		stream_kick(l->s);
	else
		open_no_welcome(l, ev);
}

void
open_reply(struct link *l, const struct smtp_client_event *ev)
{
	if (l->phase == LINK_LEAVING)
		return;			/* secure_left() follows */
	if (l->phase == LINK_GREETING)
		reply_greeting(l, ev);
	else if (l->phase == LINK_STARTTLS)
		secure_replied(l, ev);
	else if (l->phase == LINK_XCLIENT)
		identity_replied(l, ev);
	else
		reply_hello(l, ev);
}
