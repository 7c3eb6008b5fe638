/*
 * The life of a link: servers are tried in their order until one greets, and
 * whatever ends it is told to smtpd in one place.
 */
#include "proxyd/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/rand.h"
#include "proxyd/caps.h"
#include "proxyd/relay.h"
#include "proxyd/relaytest.h"
#include "proxyd/servers.h"
#include "proxyd/verify.h"

#define REPLY_PIECE	8192	/* bytes of text in one p_reply */
#define TIDS_MAX	65535	/* links of one smtpd; proc_sessions is less */

struct smtpd {
	LIST_ENTRY(smtpd) entry;
	uint16_t	 worker;
	struct chan	*chan;
	struct map	*by_tid;
	LIST_HEAD(, link) links;
};

static struct proc		*proc;
static const struct conf	*conf;
static struct ask		*ask;
static LIST_HEAD(, smtpd)	 smtpds = LIST_HEAD_INITIALIZER(smtpds);
static size_t			 nlinks, nsmtpds, links_max;
static uint64_t			 nopened;
/* The link whose replies are read; NULL once it has been freed. */
static struct link		*alive;

static const struct stream_ops ops;

void
link_init(struct proc *p, const struct conf *c, struct ask *a)
{
	proc = p;
	conf = c;
	ask = a;
	links_max = proc_sessions(p) != 0 ? proc_sessions(p) :
	    c->limits.sessions;
	if (conf_mirrors(c))
		links_max *= 2;		/* smtpd has a bound for these alone */
	servers_init(c);
}

const struct conf *
link_conf(void)
{
	return conf;
}

size_t
link_count(void)
{
	return nlinks;
}

size_t
link_count_smtpds(void)
{
	return nsmtpds;
}

uint64_t
link_count_opened(void)
{
	return nopened;
}

void
link_each(void (*f)(const struct link *, void *), void *arg)
{
	const struct smtpd	*d;
	const struct link	*l;

	LIST_FOREACH(d, &smtpds, entry) {
		LIST_FOREACH(l, &d->links, entry)
			f(l, arg);
	}
}

void
link_end_all(const char *text)
{
	struct smtpd	*d;
	struct link	*l;

	LIST_FOREACH(d, &smtpds, entry) {
		while ((l = LIST_FIRST(&d->links)) != NULL)
			link_fail(l, 421, text);
		chan_flush(d->chan);
	}
}

/* ---- smtpd's channel --------------------------------------------------- */

/* Its clients are gone with it. */
static void
smtpd_free(struct smtpd *d)
{
	struct link	*l;

	while ((l = LIST_FIRST(&d->links)) != NULL)
		link_drop(l);
	verify_gone(d->chan);
	relaytest_gone(d->chan);
	LIST_REMOVE(d, entry);
	nsmtpds--;
	chan_free(d->chan);
	map_free(d->by_tid);
	free(d);
}

static void
smtpd_lost(struct chan *c, const char *why)
{
	struct smtpd	*d = chan_arg(c);

	if (why != NULL)
		proc_report(proc, IPC_SMTPD, d->worker, why);
	smtpd_free(d);
}

void
link_peer(uint16_t worker, int fd)
{
	struct smtpd	*d;

	LIST_FOREACH(d, &smtpds, entry) {
		if (d->worker == worker) {
			smtpd_free(d);
			break;
		}
	}
	if ((d = calloc(1, sizeof(*d))) == NULL ||
	    (d->by_tid = map_new(TIDS_MAX)) == NULL)
		fatal("smtpd");
	d->worker = worker;
	LIST_INIT(&d->links);
	d->chan = chan_new(proc_base(proc), fd, IPC_PROXYD, IPC_SMTPD,
	    relay_rows, smtpd_lost, d);
	if (d->chan == NULL)
		fatal("chan_new");
	chan_one_a_turn(d->chan);
	LIST_INSERT_HEAD(&smtpds, d, entry);
	nsmtpds++;
}

struct link *
link_get(struct chan *c, uint32_t tid)
{
	struct smtpd	*d = chan_arg(c);

	return map_get_u64(d->by_tid, tid);
}

/* ---- its end ----------------------------------------------------------- */

static void
hang_up(struct link *l)
{
	smtp_client_free(l->c);
	stream_free(l->s);
	l->c = NULL;
	l->s = NULL;
}

static void
link_free(struct link *l)
{
	if (alive == l)
		alive = NULL;
	find_cancel(l->find);
	hang_up(l);
	flow_clear(&l->flow);
	buf_clear(&l->late);
	servers_release(l->action);
	map_del_u64(l->smtpd->by_tid, l->tid);
	LIST_REMOVE(l, entry);
	nlinks--;
	free(l->cands);
	free(l->server);
	free(l->helo);
	identity_clear(&l->who);
	free(l);
}

void
link_reply(struct link *l, uint16_t code, struct span text, bool own)
{
	struct span	piece;

	if (l->asked > 0)
		l->asked--;
	do {
		piece = span_sub(text, 0, REPLY_PIECE);
		span_skip(&text, piece.len);
		CHAN_SEND(l->chan, p_reply, .tid = l->tid, .code = code,
		    .more = text.len > 0, .own = own, .text = piece);
	} while (text.len > 0);
}

void
link_closed(struct link *l, const char *why)
{
	CHAN_SEND(l->chan, p_closed, .tid = l->tid,
	    .server = span_str(l->server),
	    .why = span_sub(span_str(why), 0, 256));
	link_free(l);
}

void
link_fail(struct link *l, uint16_t code, const char *text)
{
	log_info("session=%s event=server server=%s result=failed why=%s",
	    l->session, log_quote(span_str(l->server)),
	    log_quote_reply(span_str(text)));
	if (l->asked > 0)
		link_reply(l, code, span_str(text), true);
	link_closed(l, text);
}

void
link_refused(struct link *l, uint16_t code, struct span text)
{
	struct buf	 flat;
	char		 why[256];

	log_info("session=%s event=server server=%s result=closed reply=%s",
	    l->session, log_quote(span_str(l->server)), log_reply(code, text));
	buf_init(&flat, 64 << 10);
	smtp_reply_flat(&flat, code, text);
	if (!span_cstr(span_sub(buf_content(&flat), 0, sizeof(why) - 1), why,
	    sizeof(why)))
		why[0] = '\0';
	buf_clear(&flat);
	if (l->asked > 0)
		link_reply(l, code, text, false);
	link_closed(l, why);
}

/*
 * RFC 5321, 4.1.1.10: QUIT where it can be said. Behind half a message it can
 * not, and a cut is what keeps it from being one (3.8).
 */
void
link_drop(struct link *l)
{
	if (l->phase == LINK_UP && !flow_open(&l->flow) &&
	    smtp_client_pending(l->c) == 0 &&
	    smtp_client_simple(l->c, STEP_QUIT)) {
		stream_finish(l->s, LINK_CLOSE_MS);
		l->s = NULL;
	}
	link_free(l);
}

/* ---- its beginning ----------------------------------------------------- */

void
link_set_phase(struct link *l, enum link_phase phase)
{
	l->phase = phase;
	l->since = clock_mono();
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
	link_next(l, 421, "4.4.1 No server");
}

/* Connects to the next address; a failure at once goes on to the one after. */
void
link_next(struct link *l, uint16_t code, const char *why)
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
		hang_up(l);
		c = &l->cands[l->next++];
		snprintf(server, sizeof(server), "%s[%s]:%u", c->name,
		    addr_str(&c->addr, ip), c->addr.port);
		free(l->server);
		l->server = strdup(server);
		l->phase = LINK_CONNECT;	/* since: the first one's */
		l->s = stream_connect(proc_base(proc), &c->addr, source,
		    LINK_IN_MAX, LINK_OUT_MAX, &ops, l);
		if (l->s != NULL) {
			if ((l->c = smtp_client_new(stream_out(l->s))) == NULL)
				fatal("smtp_client_new");
			identity_connect(&l->who, l->action->identity,
			    stream_out(l->s));
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

/* This address is of no use; another one may be. */
static void
unusable(struct link *l, uint16_t code, const char *why)
{
	log_debug("session=%s event=connect server=%s result=failed why=%s",
	    l->session, log_quote(span_str(l->server)),
	    log_quote_reply(span_str(why)));
	servers_failed(&l->cands[l->next - 1].addr);
	link_next(l, code, why);
}

static struct link *
link_new(struct chan *c, const struct ipc_p_open *m,
    const struct conf_action *action)
{
	struct smtpd	*d = chan_arg(c);
	struct link	*l;

	if ((l = calloc(1, sizeof(*l))) == NULL ||
	    !map_set_u64(d->by_tid, m->tid, l))
		fatal("link");
	l->smtpd = d;
	l->chan = c;
	l->tid = m->tid;
	l->action = action;
	span_cstr(m->session, l->session, sizeof(l->session));
	identity_init(&l->who, m);
	l->asked = 1;
	flow_init(&l->flow);
	buf_init(&l->late, LINK_LATE_MAX);
	if (m->helo.len > 0) {
		l->helo = action->helo != NULL ? strdup(action->helo) :
		    span_dup(m->helo);
		if (l->helo == NULL)
			fatal("link");
	}
	LIST_INSERT_HEAD(&d->links, l, entry);
	nlinks++;
	nopened++;
	return l;
}

void
link_open(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_open		*m = msg;
	const struct conf_action	*a;
	struct find			*f;
	struct link			*l;
	const char			*why = NULL;

	(void)fd;
	if (link_get(c, m->tid) != NULL) {
		chan_reject(c, "p_open: the link is open");
		return;
	}
	a = conf_action_find(conf, m->action);
	if (a == NULL || a->type != ACT_PROXY)
		why = "4.3.5 No such proxy action";
	else if (nlinks >= links_max || !servers_take(a))
		why = "4.3.2 Too many sessions";
	if (why != NULL) {
		CHAN_SEND(c, p_reply, .tid = m->tid, .code = 421, .own = true,
		    .text = span_str(why));
		CHAN_SEND(c, p_closed, .tid = m->tid, .why = span_str(why));
		return;
	}
	l = link_new(c, m, a);
	link_set_phase(l, LINK_FIND);
	/* The link may be gone when an answer came from within. */
	alive = l;
	f = find_start(ask, conf, a, "", found, l);
	if (f != NULL && alive == l)
		l->find = f;
}

/* ---- greeting and, at rule level, EHLO --------------------------------- */

void
link_set_timer(struct link *l)
{
	int64_t	ms = 0;

	if (l->phase == LINK_CONNECT)
		return;
	if (smtp_client_pending(l->c) > 0)
		ms = smtp_step_timeout_ms(smtp_client_waits_for(l->c));
	else if (stream_waiting(l->s) > 0)
		ms = LINK_DATA_MS;
	/* While another server is there, none may take for ever. */
	if (l->phase != LINK_UP && l->next < l->ncands &&
	    ms > LINK_GREETING_MS)
		ms = LINK_GREETING_MS;
	stream_timeout(l->s, ms);
}

/* Nothing is needed of the other servers any more. */
void
link_up(struct link *l, struct span greeting)
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
	if (l->helo == NULL) {
		link_reply(l, 220, greeting, false);
		return;
	}
	caps_send(l);
	link_reply(l, 220, span_str("ready"), true);
}

void
link_no_welcome(struct link *l, const struct smtp_client_event *ev)
{
	char	why[512];

	if (l->next == l->ncands && ev->code >= 400) {
		link_refused(l, ev->code, ev->text);
		return;
	}
	snprintf(why, sizeof(why), "4.4.1 %s answered %u", l->server, ev->code);
	unusable(l, 421, why);
}

static void
reply_greeting(struct link *l, const struct smtp_client_event *ev)
{
	if (ev->code != 220) {
		link_no_welcome(l, ev);
	} else if (identity_greeted(l, ev)) {
		return;
	} else if (l->helo == NULL) {
		link_up(l, ev->text);
	} else if (!smtp_client_ehlo(l->c, identity_helo(l), true)) {
		link_fail(l, 421, "4.3.0 EHLO could not be sent");
	} else {
		l->phase = LINK_HELLO;
		stream_kick(l->s);
	}
}

static void
reply_hello(struct link *l, const struct smtp_client_event *ev)
{
	if (identity_helloed(l, ev))
		return;
	if (ev->code / 100 == 2)
		link_up(l, span(NULL, 0));
	else if (ev->step == STEP_EHLO && ev->code / 100 == 5 &&
	    smtp_client_ehlo(l->c, identity_helo(l), false))
		stream_kick(l->s);
	else
		link_no_welcome(l, ev);
}

/* ---- the stream -------------------------------------------------------- */

static void
on_connected(struct stream *s, void *arg)
{
	struct link	*l = arg;

	(void)s;
	l->phase = LINK_GREETING;
	link_set_timer(l);
}

static void
one_reply(struct link *l, const struct smtp_client_event *ev)
{
	if (l->phase == LINK_GREETING)
		reply_greeting(l, ev);
	else if (l->phase == LINK_HELLO)
		reply_hello(l, ev);
	else if (l->phase == LINK_XCLIENT)
		identity_replied(l, ev);
	else
		relay_reply(l, ev);
}

/* A reply to nothing. 421 may be said at any time (RFC 5321, 3.8), and in the
 * middle of content any refusal tells why the server is about to hang up; then
 * its words are what the log shall have. */
static bool
leaving(struct link *l, struct span in)
{
	struct smtp_reply	 r;
	const char		*why;
	bool			 is;

	smtp_reply_init(&r);
	is = smtp_reply_feed(&r, &in, false, &why) == PARSE_OK &&
	    (r.code == 421 || (r.code >= 400 && flow_open(&l->flow)));
	if (is)
		link_refused(l, r.code, buf_content(&r.text));
	smtp_reply_clear(&r);
	return is;
}

static void
not_smtp(struct link *l, const char *why)
{
	char	text[256];

	if (l->phase == LINK_UP && smtp_client_pending(l->c) == 0 &&
	    leaving(l, stream_in(l->s)))
		return;
	snprintf(text, sizeof(text), "4.5.0 The server does not speak SMTP: "
	    "%s", why);
	if (l->phase == LINK_UP)
		link_fail(l, 421, text);
	else
		unusable(l, 421, text);
}

static void
on_readable(struct stream *s, void *arg)
{
	struct link			*l = arg;
	struct smtp_client_event	 ev;
	struct span			 in, before;
	const char			*why = "";
	enum parse			 res;
	bool				 whole = false;

	alive = l;
	for (;;) {
		before = in = stream_in(s);
		res = smtp_client_feed(l->c, &in, &ev, &why);
		stream_eat(s, before.len - in.len);
		if (res != PARSE_OK)
			break;
		one_reply(l, &ev);
		/* Gone, or on to another server. */
		if (alive != l || l->s != s)
			return;
		whole = true;
	}
	if (res == PARSE_BAD) {
		not_smtp(l, why);
		return;
	}
	stream_kick(s);
	/* Half a reply gives no more time. */
	if (whole)
		link_set_timer(l);
	if (smtp_client_pending(l->c) == 0)
		stream_trim(s);
}

static void
on_drained(struct stream *s, void *arg)
{
	struct link	*l = arg;

	(void)s;
	smtp_client_flush(l->c);
	flow_credit(l);
	link_set_timer(l);
}

static void
failed(struct link *l, const char *what)
{
	char	text[768];

	if (l->phase == LINK_UP && smtp_client_pending(l->c) > 0 &&
	    smtp_client_waits_for(l->c) == STEP_QUIT) {
		/* Some just hang up; the client shall have its answer. */
		link_reply(l, 221, span_str("2.0.0 Bye"), true);
		link_closed(l, "QUIT");
		return;
	}
	if (l->phase == LINK_UP) {
		snprintf(text, sizeof(text), "4.4.2 %s: %s", l->server, what);
		link_fail(l, 421, text);
		return;
	}
	snprintf(text, sizeof(text), "4.4.1 %s: %s", l->server, what);
	unusable(l, 421, text);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	(void)s;
	failed(arg, error != 0 ? strerror(error) : "connection lost");
}

static void
on_timeout(struct stream *s, void *arg)
{
	(void)s;
	failed(arg, "timed out");
}

static const struct stream_ops ops = {
	.readable = on_readable,
	.drained = on_drained,
	.closed = on_closed,
	.timeout = on_timeout,
	.connected = on_connected
};
