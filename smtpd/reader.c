/*
 * Reading a client, and its time. See reader.h.
 */
#include "smtpd/reader.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/io/tls.h"
#include "smtpd/dispatch.h"
#include "smtpd/tls.h"
#include "smtpd/txn.h"

/* ---- time ------------------------------------------------------------------ */

void
reader_timer(struct session *s, enum session_timer t, int64_t ms)
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

/* ---- a chunk that is refused ----------------------------------------------- */

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
reader_swallow(struct cmd *c, uint64_t n, uint16_t code, struct span text)
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

/* ---- lines and content ----------------------------------------------------- */

/* What is read of it from here on is a secret. */
static bool
is_auth(struct session *s, struct span in)
{
	static const struct span	auth = SPAN("AUTH ");

	if (s->phase != PH_AUTH && !span_casestarts(in, auth))
		return false;
	stream_secret(s->stream, true);
	return true;
}

static size_t
line_max(struct session *s, struct span in)
{
	static const struct span	mail = SPAN("MAIL "),
					rcpt = SPAN("RCPT "),
					xclient = SPAN("XCLIENT ");

	if (is_auth(s, in))
		return SMTP_LINE_AUTH_MAX;
	if (span_casestarts(in, mail) || span_casestarts(in, rcpt) ||
	    span_casestarts(in, xclient))
		return SMTP_LINE_MAIL_MAX;
	return SMTP_LINE_MAX;
}

static bool
is_letter(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
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
	/* A layer's messages begin with their length; verbs with a letter. */
	if (s->layer && s->phase == PH_READY && !is_letter(in.p[0])) {
		dispatch_layer(s);
		return false;
	}
	res = smtp_line_next(&s->line, &in, line_max(s, in), &line);
	stream_eat(s->stream, before - in.len);
	switch (res) {
	case SMTP_LINE_OK:
		dispatch(s, line);
		break;
	case SMTP_LINE_LONG:
		dispatch_long(s);
		break;
	case SMTP_LINE_BARE:
		dispatch_bare(s);
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
	return s->phase == PH_CONNECT || s->phase == PH_TLS || s->barrier != NULL ||
	    s->bye != NULL || s->ncmds >= SESSION_CMDS_MAX ||
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
	if (s->phase == PH_TLS) {
		reader_timer(s, TIMER_TLS, TLS_WAIT_MS);
	} else if (s->phase == PH_CONNECT) {
		if (s->timer != TIMER_GREET)
			reader_timer(s, TIMER_WAIT, SESSION_WAIT_MS);
	} else if (content) {
		reader_timer(s, TIMER_CONTENT, SESSION_RATE_MS);
		s->window_held = s->window_held || stop;
	} else if (stop && stream_waiting(s->stream) <= SESSION_OUT_MARK) {
		reader_timer(s, TIMER_WAIT, SESSION_WAIT_MS);
	} else if (!stop && (stream_in(s->stream).len > 0 ||
	    s->line.skipping || s->line.told)) {
		reader_timer(s, TIMER_LINE, SESSION_LINE_MS);
	} else
		reader_timer(s, TIMER_IDLE, SESSION_IDLE_MS);
	/* A client that has sent all it will, and got all its replies; within
	 * content there are none to come. */
	if (s->eof && !stop && (content || s->ncmds == 0)) {
		s->lost = true;
		session_end(s, content ? "closed within the content" :
		    "closed by the client");
	}
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

void
reader_run(struct session *s)
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
	reader_run(s);
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
		reader_run(arg);
}

static void
on_closed(struct stream *st, void *arg, int error)
{
	struct session	*s = arg;

	if (s->phase == PH_TLS) {
		tls_failed(s, NULL);
		return;
	}
	if (stream_tls_why(st) != NULL)
		log_info("session=%s event=tls result=cut why=%s", s->id,
		    log_quote(span_str(stream_tls_why(st))));
	if (error != 0) {
		s->lost = true;
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
		reader_run(s);
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
		session_begin(s);
		session_go(s);
		return;
	case TIMER_CONTENT:
		fine = s->window_held || s->window >= SESSION_RATE_BYTES;
		s->timer = TIMER_NONE;
		if (fine) {
			reader_run(s);
			return;
		}
		break;
	case TIMER_TLS:
		tls_failed(s, "the handshake takes too long");
		return;
	default:
		break;
	}
	s->lost = s->timer == TIMER_IDLE;
	session_fail(s, 421, span_str(s->timer == TIMER_WAIT ?
	    "4.3.2 The gateway waited too long" :
	    "4.4.2 Timed out waiting for you"), "timed out");
}

static void
on_secured(struct stream *st, void *arg)
{
	(void)st;
	tls_done(arg);
}

const struct stream_ops reader_ops = {
	.readable = on_readable,
	.drained = on_drained,
	.closed = on_closed,
	.timeout = on_timeout,
	.secured = on_secured
};
