/*
 * The life of a link, between its beginning (open.h) and its end: whatever ends
 * it is told to smtpd in one place.
 */
#include "proxyd/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/io/tls.h"
#include "proxyd/idle.h"
#include "proxyd/open.h"
#include "proxyd/place.h"
#include "proxyd/relay.h"
#include "proxyd/relaytest.h"
#include "proxyd/secure.h"
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
static LIST_HEAD(, smtpd)	 smtpds = LIST_HEAD_INITIALIZER(smtpds);
static size_t			 nlinks, nsmtpds, links_max;
static uint64_t			 nopened;
struct link			*link_alive;

void
link_init(struct proc *p, const struct conf *c, struct ask *a)
{
	proc = p;
	conf = c;
	links_max = proc_sessions(p) != 0 ? proc_sessions(p) :
	    c->limits.sessions;
	if (conf_mirrors(c))
		links_max *= 2;		/* smtpd has a bound for these alone */
	servers_init();
	place_init(p, c);
	idle_init(c);
	open_init(p, c, a);
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

void
link_hang_up(struct link *l)
{
	smtp_client_free(l->c);
	stream_free(l->s);
	l->c = NULL;
	l->s = NULL;
	secure_clear(l);
	if (l->srv != NULL) {
		srv_conns(l->srv, -1);
		srv_unref(l->srv);
	}
	l->srv = NULL;
	if (l->at.family != 0)
		place_give(l->action, &l->at, false);
	l->at.family = 0;
}

static void
link_free(struct link *l)
{
	if (link_alive == l)
		link_alive = NULL;
	find_cancel(l->find);
	place_unwant(l->want);
	link_hang_up(l);
	flow_clear(&l->flow);
	buf_clear(&l->late);
	buf_clear(&l->again);
	free(l->greeting);
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
	buf_init(&l->again, LINK_LATE_MAX);
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
	const char			*why = NULL;

	(void)fd;
	if (link_get(c, m->tid) != NULL) {
		chan_reject(c, "p_open: the link is open");
		return;
	}
	a = conf_action_find(conf, m->action);
	if (a == NULL || a->type != ACT_PROXY)
		why = "4.3.5 No such proxy action";
	else if (nlinks >= links_max)
		why = "4.3.2 Too many sessions";
	if (why != NULL) {
		CHAN_SEND(c, p_reply, .tid = m->tid, .code = 421, .own = true,
		    .text = span_str(why));
		CHAN_SEND(c, p_closed, .tid = m->tid, .why = span_str(why));
		return;
	}
	open_start(link_new(c, m, a));
}

/* ---- the stream -------------------------------------------------------- */

void
link_set_timer(struct link *l)
{
	int64_t	ms = 0;

	if (l->s == NULL || l->phase == LINK_CONNECT)
		return;
	if (l->phase == LINK_LEAVING)
		ms = LINK_CLOSE_MS;
	else if (smtp_client_pending(l->c) > 0)
		ms = smtp_step_timeout_ms(smtp_client_waits_for(l->c));
	else if (l->phase == LINK_TLS)
		ms = LINK_TLS_MS;
	else if (stream_waiting(l->s) > 0)
		ms = LINK_DATA_MS;
	/* While another server is there, none may take for ever. */
	if (l->phase != LINK_UP && l->next < l->ncands &&
	    ms > LINK_GREETING_MS)
		ms = LINK_GREETING_MS;
	stream_timeout(l->s, ms);
}

static void
on_connected(struct stream *s, void *arg)
{
	struct link	*l = arg;

	(void)s;
	if (l->tls.at_once) {
		secure_begin(l);
		return;
	}
	l->phase = LINK_GREETING;
	link_set_timer(l);
}

static void
on_secured(struct stream *s, void *arg)
{
	(void)s;
	secure_done(arg);
}

static void
one_reply(struct link *l, const struct smtp_client_event *ev)
{
	if (l->kept && ev->code == 421) {
		open_again(l, "421");
		return;
	}
	if (l->kept)
		open_proved(l);
	if (l->phase == LINK_UP)
		relay_reply(l, ev);
	else
		open_reply(l, ev);
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

	if (l->kept) {
		open_again(l, why);
		return;
	}
	if (l->phase == LINK_UP && smtp_client_pending(l->c) == 0 &&
	    leaving(l, stream_in(l->s)))
		return;
	if (l->phase == LINK_LEAVING) {
		secure_left(l);
		return;
	}
	snprintf(text, sizeof(text), "4.5.0 The server does not speak SMTP: "
	    "%s", why);
	if (l->phase == LINK_UP)
		link_fail(l, 421, text);
	else
		open_unusable(l, 421, text);
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

	link_alive = l;
	for (;;) {
		before = in = stream_in(s);
		res = smtp_client_feed(l->c, &in, &ev, &why);
		stream_eat(s, before.len - in.len);
		if (res != PARSE_OK)
			break;
		one_reply(l, &ev);
		/* Gone, or on to another server. */
		if (link_alive != l || l->s != s)
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
	if (l->kept) {
		open_again(l, what);
		return;
	}
	if (l->phase == LINK_STARTTLS || l->phase == LINK_TLS) {
		secure_failed(l, what);
		return;
	}
	if (l->phase == LINK_LEAVING) {
		secure_left(l);
		return;
	}
	if (l->phase == LINK_UP) {
		snprintf(text, sizeof(text), "4.4.2 %s: %s", l->server, what);
		link_fail(l, 421, text);
		return;
	}
	snprintf(text, sizeof(text), "4.4.1 %s: %s", l->server, what);
	open_unusable(l, 421, text);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	const char	*why = stream_tls_why(s);

	failed(arg, why != NULL ? why : error != 0 ? strerror(error) :
	    "connection lost");
}

static void
on_timeout(struct stream *s, void *arg)
{
	(void)s;
	failed(arg, "timed out");
}

const struct stream_ops link_stream_ops = {
	.readable = on_readable,
	.drained = on_drained,
	.closed = on_closed,
	.timeout = on_timeout,
	.connected = on_connected,
	.secured = on_secured
};
