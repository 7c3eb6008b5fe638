/*
 * The sessions of this worker, their beginnings and ends, the queue of commands
 * and the replies to them. See session.h.
 */
#include "smtpd/session.h"
#include "smtpd/srs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/smtp/reply.h"
#include "smtpd/auth.h"
#include "smtpd/cmd.h"
#include "smtpd/handoff.h"
#include "smtpd/known.h"
#include "smtpd/link.h"
#include "smtpd/listener.h"
#include "smtpd/reader.h"
#include "smtpd/tls.h"
#include "smtpd/window.h"

/* ---- what the sessions of this worker share -------------------------------- */

static struct event_base	*base;
static const struct conf	*conf;
static LIST_HEAD(all_sessions, session) sessions =
    LIST_HEAD_INITIALIZER(sessions);
static STAILQ_HEAD(soon_sessions, session) soon =
    STAILQ_HEAD_INITIALIZER(soon);
static struct event		*soon_event;
static size_t			 nsessions;
static struct session_stats	 stats;

static void	run_soon(evutil_socket_t, short, void *);

void
session_init(struct event_base *b, const struct conf *c)
{
	base = b;
	conf = c;
	window_init(b);
	if ((soon_event = event_new(b, -1, 0, run_soon, NULL)) == NULL)
		fatalx("event_new");
}

const struct conf *
session_conf(void)
{
	return conf;
}

struct event_base *
session_base(void)
{
	return base;
}

struct session_stats *
session_stats(void)
{
	return &stats;
}

size_t
session_count(void)
{
	return nsessions;
}

void
session_each(void (*f)(struct session *, void *), void *arg)
{
	struct session	*s, *next;

	LIST_FOREACH_SAFE(s, &sessions, entry, next)
		if (!s->dead)
			f(s, arg);
}

bool
session_proxied(const struct session *s)
{
	return s->listen->proxy != NULL && !s->listen->proxy_at_rcpt &&
	    !s->fallen;
}

struct addr
session_named(const struct session *s)
{
	static const struct addr	nobody;

	if (s->nameless)
		return nobody;
	return s->client;
}

bool
session_local(const struct session *s)
{
	return !s->nameless && (s->client.family == 0 ||
	    addr_is_loopback(&s->client));
}

bool
session_secure(const struct session *s)
{
	return s->tls != NULL || s->listen->auth_plaintext;
}

const char *
session_phase_name(enum phase ph)
{
	static const char *const names[PH_MAX] = { "connect", "tls", "greeted",
	    "ready", "auth", "mail", "rcpt", "data", "bdat", "closing" };

	return ph < PH_MAX ? names[ph] : "?";
}

void
session_phase(struct session *s, enum phase to)
{
	/* From each, where it may go. */
	static const unsigned	 moves[PH_MAX] = {
		[PH_CONNECT] = 1 << PH_GREETED | 1 << PH_TLS,
		[PH_TLS] = 1 << PH_CONNECT | 1 << PH_GREETED,
		[PH_GREETED] = 1 << PH_READY | 1 << PH_CONNECT,
		[PH_READY] = 1 << PH_AUTH | 1 << PH_MAIL | 1 << PH_CONNECT |
		    1 << PH_TLS,
		[PH_AUTH] = 1 << PH_READY,
		[PH_MAIL] = 1 << PH_RCPT | 1 << PH_READY,
		[PH_RCPT] = 1 << PH_DATA | 1 << PH_BDAT | 1 << PH_MAIL |
		    1 << PH_READY,
		[PH_DATA] = 1 << PH_READY,
		[PH_BDAT] = 1 << PH_READY
	};

	if (s->phase == to)
		return;
	if (to != PH_CLOSING && (moves[s->phase] & 1U << to) == 0)
		fatalx("session: from %s to %s", session_phase_name(s->phase),
		    session_phase_name(to));
	log_debug("session=%s event=phase from=%s to=%s", s->id,
	    session_phase_name(s->phase), session_phase_name(to));
	s->phase = to;
}

/* ---- beginning and end ----------------------------------------------------- */

void
session_greet(struct session *s, uint16_t code, struct span text)
{
	struct cmd	*c = s->greet;

	if (s->stream == NULL || s->phase != PH_CONNECT)
		return;
	if (code != 220) {
		session_fail(s, code, text, "refused at connect");
		return;
	}
	session_phase(s, PH_GREETED);
	if (c != NULL) {
		s->greet = NULL;
		session_answer(c, code, text);
		return;
	}
	smtp_reply_write(stream_out(s->stream), code, text);
	stream_kick(s->stream);
	session_go(s);
}

void
session_begin(struct session *s)
{
	char	text[512];

	if (session_proxied(s)) {
		proxy_begin(s);
		return;
	}
	snprintf(text, sizeof(text), "%s ESMTP postern", s->listen->hostname);
	session_greet(s, 220, span_str(text));
}

void
session_first(struct session *s)
{
	if (s->listen->greet_delay_ms > 0)
		reader_timer(s, TIMER_GREET, s->listen->greet_delay_ms);
	else
		session_begin(s);
}

static void
log_connect(const struct session *s)
{
	const struct conf_listen	*l = s->listen;
	char				 at[ADDR_STRLEN], from[ADDR_STRLEN],
					 via[ADDR_STRLEN];

	log_info("session=%s event=connect client=%s listener=%s%s%s", s->id,
	    s->nameless ? "unknown" : addr_str_port(&s->client, from),
	    l->kind == LISTEN_UNIX ? l->path : addr_str_port(&s->local, at),
	    s->via.family != 0 ? " via=" : "",
	    s->via.family != 0 ? addr_str(&s->via, via) : "");
}

void
session_new(const struct conf_listen *l, const struct origin *from, int fd)
{
	struct session	*s = calloc(1, sizeof(*s));
	struct addr	 named;

	if (s == NULL || (s->stream = stream_new(base, fd, SESSION_IN_MAX,
	    SESSION_OUT_MAX, &reader_ops, s)) == NULL)
		fatal("session");
	s->listen = l;
	s->local = from->local;
	s->client = from->client;
	s->via = from->via;
	s->dest = from->dest;
	s->nameless = from->nameless;
	id_str(id_new(), s->id);
	STAILQ_INIT(&s->cmds);
	s->since = s->last = clock_mono();
	LIST_INSERT_HEAD(&sessions, s, entry);
	nsessions++;
	stats.connections++;
	/* The balancer's own name is nobody's. */
	named = session_named(s);
	peer_begin(&s->peer, &named);
	if (!session_local(s))
		peer_look(&s->peer);
	log_connect(s);
	if (tls_at_once(s))
		tls_begin(s);
	else
		session_first(s);
	session_go(s);
}

static void
cmd_free(struct session *s, struct cmd *c)
{
	STAILQ_REMOVE_HEAD(&s->cmds, entry);
	s->ncmds--;
	free(c->text);
	free(c);
}

static void
session_free(struct session *s)
{
	while (!STAILQ_EMPTY(&s->cmds))
		cmd_free(s, STAILQ_FIRST(&s->cmds));
	peer_clear(&s->peer);
	LIST_REMOVE(s, entry);
	nsessions--;
	listener_session_gone(s);
	free(s->swallow.text);
	if (s->renew.arg != NULL)
		freezero(s->renew.arg, strlen(s->renew.arg));
	free(s->auth_told);
	free(s->told_digest);
	free(s->cert);
	free(s->helo);
	free(s->user);
	free(s);
}

void
session_unheard(struct session *s)
{
	if (s->told != 0 && s->lost && s->told_live)
		window_client(s);
	else if (s->told != 0 && s->lost)
		queue_fate(s->told);
	s->told = 0;
}

void
session_end(struct session *s, const char *why)
{
	char	delay[24], tls[TLS_LOG_MAX];

	if (s->phase == PH_CLOSING)
		return;
	session_phase(s, PH_CLOSING);
	s->why = why;
	session_unheard(s);
	if (s->stream != NULL)
		stream_finish(s->stream, SESSION_LINGER_MS);
	s->stream = NULL;
	s->barrier = NULL;
	snprintf(delay, sizeof(delay), "%.3f",
	    (double)(clock_mono().ms - s->since.ms) / 1000);
	log_info("session=%s event=disconnect why=%s commands=%u messages=%u "
	    "delay=%s%s", s->id, log_quote(span_str(why)), s->commands,
	    s->messages, delay, tls_log(s, tls));
	/* A commit on its way has its end, and its line in the log. */
	if (s->txn != NULL && s->txn->committed)
		return;
	session_release(s);
}

void
session_release(struct session *s)
{
	txn_end(s);
	known_gone(s);
	auth_clear(s);
	srs_cancel(s->question);
	s->question = 0;
	link_close(s->link);
	s->link = NULL;
	peer_clear(&s->peer);
	s->dead = true;
	session_go(s);
}

void
session_cut(struct session *s, uint16_t code, struct span text,
    struct span logged, const char *why)
{
	if (s->stream != NULL) {
		smtp_reply_write(stream_out(s->stream), code, text);
		stream_kick(s->stream);
		log_info("session=%s event=error reply=%s", s->id,
		    log_reply(code, logged));
	}
	session_end(s, why);
}

/* A refusal of ours where others refuse too: "5.5.1 gw.example.org: why". */
static struct span
named(const struct session *s, uint16_t code, struct span text, struct buf *b)
{
	struct span	enh;

	if (!session_proxied(s) || code < 400 ||
	    !smtp_enhanced(code, text, &enh))
		return text;
	span_skip(&text, enh.len);
	buf_span(b, enh);
	buf_fmt(b, " %s:", s->listen->hostname);
	return buf_span(b, text) ? buf_content(b) : text;
}

void
session_fail(struct session *s, uint16_t code, struct span text,
    const char *why)
{
	struct buf	b;

	buf_init(&b, 2000);
	text = named(s, code, text, &b);
	session_cut(s, code, text, text, why);
	buf_clear(&b);
}

bool
session_idle(const struct session *s)
{
	return s->txn == NULL && s->ncmds == 0 && s->phase != PH_CONNECT &&
	    s->phase != PH_TLS && s->phase != PH_AUTH;
}

/* ---- commands and replies -------------------------------------------------- */

struct cmd *
session_cmd(struct session *s, enum smtp_verb verb)
{
	struct cmd	*c = calloc(1, sizeof(*c));

	if (c == NULL)
		fatal("cmd");
	c->s = s;
	c->verb = verb;
	s->told = 0;
	STAILQ_INSERT_TAIL(&s->cmds, c, entry);
	s->ncmds++;
	return c;
}

void
session_hold(struct cmd *c)
{
	c->s->barrier = c;
}

void
session_unhold(struct cmd *c)
{
	if (c->s->barrier == c)
		c->s->barrier = NULL;
	session_go(c->s);
}

static void
put(struct session *s, uint16_t code, struct span text)
{
	if (s->stream == NULL)
		return;
	if (!smtp_reply_write(stream_out(s->stream), code, text)) {
		session_end(s, "replies are not read");
		return;
	}
	stream_kick(s->stream);
}

void
session_answer(struct cmd *c, uint16_t code, struct span text)
{
	struct session	*s = c->s;

	if (s->barrier == c)
		s->barrier = NULL;
	/* The next one has a time of its own. */
	if (s->timer == TIMER_WAIT)
		s->timer = TIMER_NONE;
	c->code = code;
	if (c != STAILQ_FIRST(&s->cmds)) {
		if ((c->text = span_dup(text)) == NULL)
			fatal("reply");
		return;
	}
	put(s, code, text);
	cmd_free(s, c);
	while ((c = STAILQ_FIRST(&s->cmds)) != NULL && c->code != 0) {
		put(s, c->code, span_str(c->text));
		cmd_free(s, c);
	}
	if (s->bye != NULL && STAILQ_EMPTY(&s->cmds))
		session_end(s, s->bye);
	session_go(s);
}

void
session_last(struct session *s, const char *why)
{
	s->bye = why;
}

void
session_reply(struct cmd *c, uint16_t code, const char *fmt, ...)
{
	struct session	*s = c->s;
	char		 text[1024];
	struct buf	 b;
	va_list		 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (code >= 500 && ++s->errors >= conf->limits.errors) {
		session_fail(s, 421, span_str("4.7.0 Too many errors"),
		    "too many errors");
		return;
	}
	buf_init(&b, 2000);
	session_answer(c, code, named(s, code, span_str(text), &b));
	buf_clear(&b);
}

/* ---- the end of a pass ----------------------------------------------------- */

static void
run_soon(evutil_socket_t fd, short what, void *arg)
{
	struct session	*s;

	(void)fd;
	(void)what;
	(void)arg;
	while ((s = STAILQ_FIRST(&soon)) != NULL) {
		STAILQ_REMOVE_HEAD(&soon, soon);
		s->soon_set = false;
		if (s->dead)
			session_free(s);
		else if (s->stream != NULL)
			reader_run(s);
	}
}

void
session_go(struct session *s)
{
	if (s->soon_set || (s->running && !s->dead))
		return;
	if (STAILQ_EMPTY(&soon))
		event_active(soon_event, EV_TIMEOUT, 0);
	STAILQ_INSERT_TAIL(&soon, s, soon);
	s->soon_set = true;
}
