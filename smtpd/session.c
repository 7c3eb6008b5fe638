/*
 * The table of verbs and phases, the queue of commands, replies, timers. See
 * session.h.
 */
#include "smtpd/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/smtp/reply.h"
#include "smtpd/cmd.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"
#include "smtpd/listener.h"

/* ---- whose turn it is ------------------------------------------------------ */

/* GO, or why a verb can't come in a phase. */
enum turn { GO, HELLO, MAILF, RCPTF, NESTED, INTXN, CHUNK, LACK };

static const struct {
	uint16_t	 code;
	const char	*text;
} turns[] = {
	[HELLO] = { 503, "5.5.1 EHLO or HELO first" },
	[MAILF] = { 503, "5.5.1 MAIL first" },
	[RCPTF] = { 554, "5.5.1 No valid recipients" },
	[NESTED] = { 503, "5.5.1 The sender is already given" },
	[INTXN] = { 503, "5.5.1 Not during a mail transaction" },
	[CHUNK] = { 503, "5.5.1 Only BDAT, RSET, NOOP or QUIT between chunks" },
	[LACK] = { 502, "5.5.1 Not offered here" }
};

struct row {
	cmd_fn		*run;
	/* In which phase what happens; commands are read in no other. */
	enum turn	 greeted, ready, mail, rcpt, bdat;
};
/* RFC 5321, 4.1.4; RFC 3030, 2; RFC 4954, 4. */
static const struct row rows[VERB_MAX] = {
	[VERB_EHLO] = { cmd_ehlo, GO, GO, GO, GO, GO },
	[VERB_HELO] = { cmd_helo, GO, GO, GO, GO, GO },
	[VERB_MAIL] = { cmd_mail, HELLO, GO, NESTED, NESTED, CHUNK },
	[VERB_RCPT] = { cmd_rcpt, HELLO, MAILF, GO, GO, CHUNK },
	[VERB_DATA] = { cmd_data, HELLO, MAILF, RCPTF, GO, CHUNK },
	[VERB_BDAT] = { cmd_bdat, HELLO, MAILF, RCPTF, GO, GO },
	[VERB_RSET] = { cmd_rset, GO, GO, GO, GO, GO },
	[VERB_NOOP] = { cmd_noop, GO, GO, GO, GO, GO },
	[VERB_QUIT] = { cmd_quit, GO, GO, GO, GO, GO },
	[VERB_VRFY] = { cmd_vrfy, GO, GO, GO, GO, CHUNK },
	[VERB_EXPN] = { cmd_expn, GO, GO, GO, GO, CHUNK },
	[VERB_HELP] = { cmd_help, GO, GO, GO, GO, CHUNK },
	[VERB_AUTH] = { cmd_auth, HELLO, GO, INTXN, INTXN, CHUNK },
	[VERB_STARTTLS] = { NULL, LACK, LACK, LACK, LACK, LACK },
	[VERB_XCLIENT] = { NULL, LACK, LACK, LACK, LACK, LACK }
};

static enum turn
turn_of(const struct row *r, enum phase ph)
{
	switch (ph) {
	case PH_GREETED:
		return r->greeted;
	case PH_READY:
		return r->ready;
	case PH_MAIL:
		return r->mail;
	case PH_RCPT:
		return r->rcpt;
	default:
		return r->bdat;
	}
}

/* ---- what the sessions of this worker share -------------------------------- */

static struct event_base	*base;
static const struct conf	*conf;
static LIST_HEAD(, session)	 sessions = LIST_HEAD_INITIALIZER(sessions);
static STAILQ_HEAD(, session)	 soon = STAILQ_HEAD_INITIALIZER(soon);
static struct event		*soon_event;
static size_t			 nsessions;
static struct session_stats	 stats;

static const struct stream_ops	 ops;

static void	run_soon(evutil_socket_t, short, void *);

void
session_init(struct event_base *b, const struct conf *c)
{
	base = b;
	conf = c;
	if ((soon_event = event_new(b, -1, 0, run_soon, NULL)) == NULL)
		fatalx("event_new");
}

const struct conf *
session_conf(void)
{
	return conf;
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
	return s->listen->proxy != NULL;
}

bool
session_local(const struct session *s)
{
	return s->client.family == 0 || addr_is_loopback(&s->client);
}

const char *
session_phase_name(enum phase ph)
{
	static const char *const names[PH_MAX] = { "connect", "greeted",
	    "ready", "auth", "mail", "rcpt", "data", "bdat", "closing" };

	return ph < PH_MAX ? names[ph] : "?";
}

void
session_phase(struct session *s, enum phase to)
{
	/* From each, where it may go. */
	static const unsigned	 moves[PH_MAX] = {
		[PH_CONNECT] = 1 << PH_GREETED,
		[PH_GREETED] = 1 << PH_READY,
		[PH_READY] = 1 << PH_AUTH | 1 << PH_MAIL,
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

static void
set_timer(struct session *s, enum session_timer t, int64_t ms)
{
	/* Each but the idle one counts from where it began. */
	if (s->timer == t && t != TIMER_IDLE)
		return;
	s->timer = t;
	s->window = 0;
	s->window_held = false;
	if (s->stream != NULL)
		stream_timeout(s->stream, ms);
}

void
session_greet(struct session *s, uint16_t code, struct span text)
{
	if (s->stream == NULL || s->phase != PH_CONNECT)
		return;
	if (code != 220) {
		session_fail(s, code, text, "refused at connect");
		return;
	}
	session_phase(s, PH_GREETED);
	smtp_reply_write(stream_out(s->stream), code, text);
	stream_kick(s->stream);
	session_go(s);
}

static void
greet(struct session *s)
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
session_new(const struct conf_listen *l, const struct addr *local,
    const struct addr *client, int fd)
{
	struct session	*s = calloc(1, sizeof(*s));
	char		 at[ADDR_STRLEN], from[ADDR_STRLEN];

	if (s == NULL || (s->stream = stream_new(base, fd, SESSION_IN_MAX,
	    SESSION_OUT_MAX, &ops, s)) == NULL)
		fatal("session");
	s->listen = l;
	s->local = *local;
	s->client = *client;
	id_str(id_new(), s->id);
	STAILQ_INIT(&s->cmds);
	s->since = s->last = clock_mono();
	LIST_INSERT_HEAD(&sessions, s, entry);
	nsessions++;
	stats.connections++;
	peer_begin(&s->peer, client);
	if (!session_local(s))
		peer_look(&s->peer);
	log_info("session=%s event=connect client=%s listener=%s", s->id,
	    addr_str_port(client, from), l->kind == LISTEN_UNIX ? l->path :
	    addr_str_port(local, at));
	if (l->greet_delay_ms > 0)
		set_timer(s, TIMER_GREET, l->greet_delay_ms);
	else
		greet(s);
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
	free(s->helo);
	free(s);
}

void
session_end(struct session *s, const char *why)
{
	char	delay[24];

	if (s->phase == PH_CLOSING)
		return;
	session_phase(s, PH_CLOSING);
	s->why = why;
	if (s->stream != NULL)
		stream_finish(s->stream, SESSION_LINGER_MS);
	s->stream = NULL;
	s->barrier = NULL;
	snprintf(delay, sizeof(delay), "%.3f",
	    (double)(clock_mono().ms - s->since.ms) / 1000);
	log_info("session=%s event=disconnect why=%s commands=%u messages=%u "
	    "delay=%s", s->id, log_quote(span_str(why)), s->commands,
	    s->messages, delay);
	/* A commit on its way has its end, and its line in the log. */
	if (s->txn != NULL && s->txn->committed)
		return;
	session_release(s);
}

void
session_release(struct session *s)
{
	txn_end(s);
	link_close(s->link);
	s->link = NULL;
	peer_clear(&s->peer);
	s->dead = true;
	session_go(s);
}

void
session_fail(struct session *s, uint16_t code, struct span text,
    const char *why)
{
	if (s->stream != NULL) {
		smtp_reply_write(stream_out(s->stream), code, text);
		stream_kick(s->stream);
		log_info("session=%s event=error reply=%s", s->id,
		    log_reply(code, text));
	}
	session_end(s, why);
}

bool
session_idle(const struct session *s)
{
	return s->txn == NULL && s->ncmds == 0 && s->phase != PH_CONNECT &&
	    s->phase != PH_AUTH;
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
	va_list		 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (code >= 500 && ++s->errors >= conf->limits.errors) {
		snprintf(text, sizeof(text), "4.7.0 %s Too many errors",
		    s->listen->hostname);
		session_fail(s, 421, span_str(text), "too many errors");
		return;
	}
	session_answer(c, code, span_str(text));
}

static void
swallowed(struct session *s)
{
	struct cmd	*c = s->swallow.cmd;
	char		*text = s->swallow.text;

	s->swallow.cmd = NULL;
	s->swallow.text = NULL;
	session_reply(c, s->swallow.code, "%s", text);
	free(text);
}

void
session_swallow(struct cmd *c, uint64_t n, uint16_t code, struct span text)
{
	struct session	*s = c->s;

	s->swallow.left = n;
	s->swallow.cmd = c;
	s->swallow.code = code;
	s->swallow.since = clock_mono();
	if ((s->swallow.text = span_dup(text)) == NULL)
		fatal("reply");
	if (s->barrier == c)
		s->barrier = NULL;
	if (n == 0)
		swallowed(s);
	else
		session_go(s);
}

/* ---- reading --------------------------------------------------------------- */

static bool
swallow(struct session *s)
{
	size_t	n = stream_in(s->stream).len;

	if (n > s->swallow.left)
		n = (size_t)s->swallow.left;
	stream_eat(s->stream, n);
	s->window += n;
	s->swallow.left -= n;
	if (s->swallow.left == 0)
		swallowed(s);
	return n > 0;
}

static size_t
line_max(const struct session *s, struct span in)
{
	static const struct span	mail = SPAN("MAIL "),
					rcpt = SPAN("RCPT "),
					auth = SPAN("AUTH ");

	if (s->phase == PH_AUTH || span_casestarts(in, auth))
		return SMTP_LINE_AUTH_MAX;
	if (span_casestarts(in, mail) || span_casestarts(in, rcpt))
		return SMTP_LINE_MAIL_MAX;
	return SMTP_LINE_MAX;
}

static void
log_error(const struct session *s, const char *what, struct span line)
{
	log_info("session=%s event=error what=\"%s\" line=%s", s->id, what,
	    log_quote(line));
}

/* A line that is none; within AUTH it ends the exchange, at the server too. */
static void
bad_line(struct session *s, const char *what, const char *text)
{
	log_error(s, what, span(NULL, 0));
	if (s->phase == PH_AUTH)
		cmd_auth_line(session_cmd(s, VERB_AUTH), span_str("*"));
	else
		session_reply(session_cmd(s, VERB_NONE), 500, "%s", text);
}

/* security.md, R10. */
static void
bare(struct session *s)
{
	bad_line(s, "bare CR, LF or NUL",
	    "5.5.2 A bare CR or LF or a NUL; lines end with CR LF");
	if (++s->bare >= SESSION_BARE_MAX)
		session_fail(s, 421, span_str("4.7.0 Too many lines with a "
		    "bare CR or LF"), "bare CR or LF");
}

static void
dispatch(struct session *s, struct span line)
{
	struct smtp_command	 parsed;
	const struct row	*r;
	enum turn		 turn;
	struct cmd		*c;

	s->commands++;
	stats.commands++;
	s->last = clock_mono();
	if (s->phase == PH_AUTH) {
		cmd_auth_line(session_cmd(s, VERB_AUTH), line);
		return;
	}
	smtp_command_parse(line, &parsed);
	c = session_cmd(s, parsed.verb);
	s->auth_said = s->auth_said || parsed.verb == VERB_AUTH;
	if (log_get_level() >= LOG_LV_DEBUG && !s->auth_said)
		log_debug("session=%s event=command line=%s", s->id,
		    log_quote(line));
	r = &rows[parsed.verb];
	if (parsed.verb == VERB_NONE) {
		/* Some go on with the password whatever AUTH was answered. */
		log_error(s, "unknown command", s->auth_said ? span(NULL, 0) :
		    parsed.word);
		session_reply(c, 500, "5.5.2 Unknown command");
	} else if (session_proxied(s) && s->link == NULL &&
	    parsed.verb != VERB_QUIT) {
		session_fail(s, 421, span_str("4.3.2 The session to the "
		    "server has ended; connect again"),
		    "used after its server was cut");
	} else if ((turn = turn_of(r, s->phase)) == GO) {
		r->run(c, parsed.arg);
	} else if (parsed.verb == VERB_BDAT) {
		cmd_bdat_refuse(c, parsed.arg, turns[turn].code,
		    turns[turn].text);
	} else {
		log_error(s, "command out of sequence", parsed.word);
		session_reply(c, turns[turn].code, "%s", turns[turn].text);
	}
}

/* One line of the input; false: none is whole. */
static bool
one_line(struct session *s)
{
	struct span	in = stream_in(s->stream), line;
	size_t		before = in.len;
	enum smtp_line	res;

	if (before == 0)
		return false;
	res = smtp_line_next(&s->line, &in, line_max(s, in), &line);
	stream_eat(s->stream, before - in.len);
	switch (res) {
	case SMTP_LINE_OK:
		dispatch(s, line);
		break;
	case SMTP_LINE_LONG:
		bad_line(s, "line too long", "5.5.2 The line is too long");
		break;
	case SMTP_LINE_BARE:
		bare(s);
		break;
	case SMTP_LINE_SKIP:
		return true;
	case SMTP_LINE_MORE:
		return false;
	}
	if (s->timer == TIMER_LINE)
		s->timer = TIMER_NONE;
	return true;
}

/* Must the client wait? */
static bool
blocked(const struct session *s)
{
	return s->phase == PH_CONNECT || s->barrier != NULL ||
	    s->bye != NULL ||
	    s->ncmds >= SESSION_CMDS_MAX ||
	    stream_waiting(s->stream) > SESSION_OUT_MARK;
}

static bool
must_wait(const struct session *s)
{
	return blocked(s) ||
	    (s->txn != NULL && content_flows(s->txn) &&
	    s->txn->content.full);
}

/* What the client may take its time for, now that all there was is read. */
static void
settle(struct session *s)
{
	bool	content = content_flows(s->txn), stop = must_wait(s);

	content = content || s->swallow.cmd != NULL;
	/* Most clients say nothing while they wait; the others are stopped
	 * when they do. */
	if (s->paused && !stop) {
		s->paused = false;
		stream_resume(s->stream);
	}
	if (s->phase == PH_CONNECT) {
		if (s->timer != TIMER_GREET)
			set_timer(s, TIMER_WAIT, SESSION_WAIT_MS);
	} else if (content) {
		set_timer(s, TIMER_CONTENT, SESSION_RATE_MS);
		s->window_held = s->window_held || stop;
	} else if (stop && stream_waiting(s->stream) <= SESSION_OUT_MARK) {
		set_timer(s, TIMER_WAIT, SESSION_WAIT_MS);
	} else if (!stop && (stream_in(s->stream).len > 0 ||
	    s->line.skipping || s->line.told)) {
		set_timer(s, TIMER_LINE, SESSION_LINE_MS);
	} else
		set_timer(s, TIMER_IDLE, SESSION_IDLE_MS);
	/* A client that has sent all it will, and got all its replies; within
	 * content there are none to come. */
	if (s->eof && !stop && (content || s->ncmds == 0))
		session_end(s, content ? "closed within the content" :
		    "closed by the client");
}

static bool
step(struct session *s)
{
	if (s->stream == NULL || blocked(s))
		return false;
	if (s->swallow.cmd != NULL)
		return swallow(s);
	if (content_flows(s->txn))
		return content_run(s->txn);
	return one_line(s);
}

/* Has a transaction, or a chunk that is refused, gone on for too long? */
static bool
too_long(const struct session *s)
{
	int64_t	since = clock_mono().ms - SESSION_TXN_MS;

	return (s->txn != NULL && !s->txn->committed &&
	    s->txn->since.ms < since) ||
	    (s->swallow.cmd != NULL && s->swallow.since.ms < since);
}

static void
run(struct session *s)
{
	if (s->running)
		return;
	s->running = true;
	while (step(s))
		continue;
	s->running = false;
	if (s->stream == NULL)
		return;
	if (too_long(s)) {
		session_fail(s, 421, span_str("4.4.2 The transaction takes too "
		    "long"), "transaction too long");
		return;
	}
	settle(s);
}

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
			run(s);
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

/* ---- the stream ------------------------------------------------------------ */

static void
on_readable(struct stream *st, void *arg)
{
	struct session	*s = arg;

	/* Who talks before the greeting is no mail client (RFC 5321, 4.3.1). */
	if (s->phase == PH_CONNECT && s->timer == TIMER_GREET) {
		session_fail(s, 554, span_str("5.5.1 You talk before the "
		    "greeting"), "early talker");
		return;
	}
	run(s);
	if (s->stream != NULL && !s->paused && must_wait(s) &&
	    stream_in(st).len > 0) {
		s->paused = true;
		stream_pause(s->stream);
	}
}

static void
on_drained(struct stream *st, void *arg)
{
	if (((struct session *)arg)->paused || stream_in(st).len > 0)
		run(arg);
}

static void
on_closed(struct stream *st, void *arg, int error)
{
	struct session	*s = arg;

	(void)st;
	if (error != 0) {
		session_end(s, "connection lost");
		return;
	}
	s->eof = true;
	/* The stream has dropped it; what is waited for still has its time. */
	s->timer = TIMER_NONE;
	/* Content is whole or it is nothing; replies still go out. */
	if (s->phase == PH_CONNECT)
		session_end(s, "closed by the client");
	else
		run(s);
}

static void
on_timeout(struct stream *st, void *arg)
{
	struct session	*s = arg;
	bool		 fine;

	(void)st;
	switch (s->timer) {
	case TIMER_GREET:
		s->timer = TIMER_NONE;
		greet(s);
		session_go(s);
		return;
	case TIMER_CONTENT:
		fine = s->window_held || s->window >= SESSION_RATE_BYTES;
		s->timer = TIMER_NONE;
		if (fine) {
			run(s);
			return;
		}
		break;
	default:
		break;
	}
	session_fail(s, 421, span_str(s->timer == TIMER_WAIT ?
	    "4.3.2 The gateway waited too long" :
	    "4.4.2 Timed out waiting for you"), "timed out");
}

static const struct stream_ops ops = {
	.readable = on_readable,
	.drained = on_drained,
	.closed = on_closed,
	.timeout = on_timeout
};
