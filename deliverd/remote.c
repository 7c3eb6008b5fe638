/*
 * A transaction step by step: what is pushed into the client machine, and what
 * each reply means for the recipients. Replies decide by their first digit
 * alone (RFC 5321, 4.2.1); a connection that breaks is always temporary.
 */
#include "deliverd/remote.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/utf8.h"
#include "deliverd/pool.h"

static struct event_base	*base;
/* The connection whose replies are read; NULL once it has been freed. */
static struct conn		*alive;

static void	 transaction(struct conn *);
static void	 lost(struct conn *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));

void
remote_init(struct event_base *b)
{
	base = b;
}

const char *
remote_phase_name(const struct conn *c)
{
	static const char *const	names[] = { "connect", "greeting",
	    "ehlo", "idle", "busy", "quit" };

	return names[c->phase];
}

static void
set_phase(struct conn *c, enum conn_phase phase)
{
	c->phase = phase;
	c->since = clock_mono();
}

void
remote_free(struct conn *c)
{
	if (alive == c)
		alive = NULL;
	stream_free(c->s);
	smtp_client_free(c->c);
	free(c);
}

static bool
has(const struct conn *c, enum smtp_cap cap)
{
	return (smtp_client_caps(c->c)->bits & cap) != 0;
}

/* How long the next thing that has to happen may take. */
static void
set_timer(struct conn *c)
{
	if (c->phase == CONN_QUIT)
		stream_timeout(c->s, REMOTE_QUIT_MS);
	else if (c->phase == CONN_BUSY && c->content == CONTENT_SENDING)
		stream_timeout(c->s, REMOTE_DATA_MS);
	else if (smtp_client_pending(c->c) > 0)
		stream_timeout(c->s,
		    smtp_step_timeout_ms(smtp_client_waits_for(c->c)));
	else
		stream_timeout(c->s, REMOTE_IDLE_MS);
}

/* ---- the transaction --------------------------------------------------- */

static enum d_status
status_of(unsigned code)
{
	return code / 100 == 2 ? D_OK : code / 100 == 5 ? D_PERM : D_TEMP;
}

/* A server's reply as one line "CODE TEXT"; lives until the next call. */
static struct span
flat(uint16_t code, struct span text)
{
	static struct buf	b;

	if (b.max == 0)
		buf_init(&b, 64 << 10);
	buf_reset(&b);
	smtp_reply_flat(&b, code, text);
	return buf_content(&b);
}

/* The same result for all of the transaction that have none yet. */
static void
settle(struct conn *c, enum d_status status, struct span reply, bool remote)
{
	for (size_t i = c->first; i < c->end; i++)
		job_result(c->job, &c->job->rcpts[i], status, reply, remote,
		    c->server);
}

static void
settle_reply(struct conn *c, const struct smtp_client_event *ev)
{
	settle(c, status_of(ev->code), flat(ev->code, ev->text), true);
}

/* The transaction is over: the rest of the recipients, or the next job. */
static void
transaction_end(struct conn *c)
{
	struct job	*j = c->job;

	c->content = CONTENT_NONE;
	if (c->end < j->nrcpts) {
		c->first = c->end;
		transaction(c);
		return;
	}
	c->job = NULL;
	c->jobs++;
	set_phase(c, CONN_IDLE);
	job_done(j);
	pool_ready(c);
}

/* A reason of ours why this server can't get the job at all. */
static bool
unfit(struct conn *c)
{
	const struct smtp_caps	*caps = smtp_client_caps(c->c);
	struct job		*j = c->job;
	bool			 utf8 = !utf8_is_ascii(j->from);

	/* RFC 1870, 6.1. */
	if ((caps->bits & CAP_SIZE) != 0 && caps->size != 0 &&
	    j->params.size > caps->size) {
		job_fail(j, D_PERM, "552 5.3.4 The message is larger than the "
		    "server takes", c->server);
		return true;
	}
	if (!j->params.utf8 || (caps->bits & CAP_SMTPUTF8) != 0)
		return false;
	for (size_t i = 0; i < j->nrcpts; i++)
		utf8 = utf8 || !utf8_is_ascii(j->rcpts[i].to);
	/* RFC 6531, 3.5: not in plain form; ASCII all over needs nothing. */
	if (!utf8 && !send_header_is_8bit(j)) {
		j->params.utf8 = false;
		return false;
	}
	job_fail(j, D_PERM, "550 5.6.7 The server does not offer SMTPUTF8, "
	    "which this message needs", c->server);
	return true;
}

/* Writes content until the buffer is full to the mark or all is in it. */
static void
fill(struct conn *c)
{
	switch (send_fill(&c->send, stream_out(c->s), REMOTE_OUT_MARK)) {
	case SEND_MORE:
		break;
	case SEND_DONE:
		c->content = CONTENT_SENT;
		if (c->send.stuff && !smtp_client_dot(c->c)) {
			remote_cut(c, "451 4.3.0 No memory");
			return;
		}
		break;
	case SEND_FAILED:
		/* No dot: what the server has is no message. */
		remote_cut(c, "451 4.3.0 The message could not be read");
		return;
	}
	stream_kick(c->s);
	set_timer(c);
}

/* BDAT and all that fits of the content (RFC 3030, 2). */
static void
begin_bdat(struct conn *c)
{
	if (!smtp_client_bdat(c->c, c->job->params.size, true)) {
		remote_cut(c, "451 4.3.0 No memory");
		return;
	}
	send_begin(&c->send, c->job, false);
	c->content = CONTENT_SENDING;
	fill(c);
}

static void
begin_content(struct conn *c)
{
	if (has(c, CAP_CHUNKING))
		begin_bdat(c);
	else if (!smtp_client_data(c->c))
		remote_cut(c, "451 4.3.0 No memory");
	else
		c->content = CONTENT_ASKED;
}

static bool
push_rcpts(struct conn *c)
{
	struct rcpt	*r;

	for (size_t i = c->first; i < c->end; i++) {
		r = &c->job->rcpts[i];
		if (!smtp_client_rcpt(c->c, r->to, &r->params, (uint32_t)i))
			return false;
		c->asked++;
	}
	return true;
}

/*
 * With PIPELINING the whole envelope goes in one write, and DATA with it (RFC
 * 2920, 3.1), or, with CHUNKING, a short message itself.
 */
static void
transaction(struct conn *c)
{
	struct job	*j = c->job;
	bool		 ok = true;

	c->end = c->first + REMOTE_RCPTS_MAX < j->nrcpts ?
	    c->first + REMOTE_RCPTS_MAX : j->nrcpts;
	for (size_t i = c->first; i < c->end; i++)
		j->rcpts[i].state = RCPT_ASKED;
	c->asked = c->taken = 0;
	c->answered = c->mail_ok = false;
	c->content = CONTENT_NONE;
	if (c->rset)
		ok = smtp_client_simple(c->c, STEP_RSET);
	c->rset = false;
	ok = ok && smtp_client_mail(c->c, j->from, &j->params);
	if (has(c, CAP_PIPELINING))
		ok = ok && push_rcpts(c);
	if (!ok) {
		remote_cut(c, "451 4.3.0 The envelope could not be written");
		return;
	}
	stream_kick(c->s);
	set_timer(c);
	if (!has(c, CAP_PIPELINING))
		return;
	if (!has(c, CAP_CHUNKING) || j->params.size <= REMOTE_EARLY_MAX)
		begin_content(c);
}

void
remote_begin(struct conn *c, struct job *j)
{
	set_phase(c, CONN_BUSY);
	c->job = j;
	j->dsn = has(c, CAP_DSN);
	/* One that comes back (pool_retry) may have results already; they are
	 * those of whole transactions, from the first recipient on. */
	c->first = 0;
	while (c->first < j->nrcpts && j->rcpts[c->first].state == RCPT_DONE)
		c->first++;
	log_debug("id=%s event=try server=%s rcpts=%zu", j->ids,
	    log_quote(span_str(c->server)), j->nrcpts);
	if (j->params.body == BODY_8BITMIME && !has(c, CAP_8BITMIME))
		log_info("id=%s event=8bit server=%s what=\"the server does "
		    "not offer 8BITMIME, sent as it is\"", j->ids,
		    log_quote(span_str(c->server)));
	if (unfit(c)) {
		c->end = j->nrcpts;
		transaction_end(c);
		return;
	}
	transaction(c);
}

/* ---- replies ----------------------------------------------------------- */

static void
reply_mail(struct conn *c, const struct smtp_client_event *ev)
{
	c->mail_ok = ev->code / 100 == 2;
	if (!c->mail_ok) {
		if (ev->code / 100 == 4)
			c->job->dest = D_DEST_SLOW;
		settle(c, ev->code / 100 == 5 ? D_PERM : D_TEMP,
		    flat(ev->code, ev->text), true);
	}
	if (has(c, CAP_PIPELINING))
		return;
	if (!c->mail_ok)
		transaction_end(c);
	else if (!push_rcpts(c))
		remote_cut(c, "451 4.3.0 The envelope could not be written");
}

/* All RCPTs have their reply and content was not asked for with them. */
static void
rcpts_answered(struct conn *c)
{
	if (c->taken > 0) {
		begin_content(c);
		return;
	}
	c->rset = c->mail_ok;
	transaction_end(c);
}

static void
reply_rcpt(struct conn *c, const struct smtp_client_event *ev)
{
	struct rcpt	*r = &c->job->rcpts[ev->tag];

	if (r->state == RCPT_ASKED && ev->code / 100 == 2) {
		r->state = RCPT_TAKEN;
		c->taken++;
	} else if (r->state == RCPT_ASKED)
		/* RFC 5321, 4.5.3.1.10: 552 here means "too many". */
		job_result(c->job, r, ev->code / 100 == 5 && ev->code != 552 ?
		    D_PERM : D_TEMP, flat(ev->code, ev->text), true, c->server);
	if (--c->asked == 0 && c->content == CONTENT_NONE)
		rcpts_answered(c);
}

static void
reply_data(struct conn *c, const struct smtp_client_event *ev)
{
	if (ev->code != 354) {
		settle(c, ev->code / 100 == 5 ? D_PERM : D_TEMP,
		    flat(ev->code, ev->text), true);
		c->rset = c->mail_ok;
		transaction_end(c);
		return;
	}
	if (c->taken > 0) {
		send_begin(&c->send, c->job, true);
		c->content = CONTENT_SENDING;
		fill(c);
		return;
	}
	/* RFC 2920, 3.1: no recipient and yet 354: an empty message, whose
	 * reply does not matter. */
	c->content = CONTENT_SENT;
	if (!buf_str(stream_out(c->s), ".\r\n") || !smtp_client_dot(c->c))
		remote_cut(c, "451 4.3.0 No memory");
	else
		stream_kick(c->s);
}

static void
reply_content(struct conn *c, const struct smtp_client_event *ev)
{
	if (c->content == CONTENT_SENDING) {
		/* RFC 3030 has no reply before the last byte; the rest of the
		 * chunk would be taken for commands by whoever gave up. */
		settle(c, ev->code / 100 == 5 ? D_PERM : D_TEMP,
		    flat(ev->code, ev->text), true);
		remote_cut(c, "451 4.5.0 The server answered before the end of "
		    "the message");
		return;
	}
	settle_reply(c, ev);
	c->rset = ev->step == STEP_BDAT && ev->code / 100 != 2;
	transaction_end(c);
}

/* 421, or no welcome: the server is of no use (RFC 5321, 3.8). */
static void
refused(struct conn *c, const struct smtp_client_event *ev)
{
	char		 why[1024];
	struct span	 s = flat(ev->code, ev->text);

	if (c->phase == CONN_BUSY && (c->answered || c->jobs == 0 ||
	    c->job->retried)) {
		c->job->dest = D_DEST_SLOW;
		settle(c, D_TEMP, s, true);
	}
	snprintf(why, sizeof(why), "%.*s", (int)s.len, (const char *)s.p);
	lost(c, "%s", why);
}

static void
reply_busy(struct conn *c, const struct smtp_client_event *ev)
{
	if (ev->code == 421) {
		refused(c, ev);
		return;
	}
	if (ev->step != STEP_RSET)
		c->answered = true;
	switch (ev->step) {
	case STEP_MAIL:
		reply_mail(c, ev);
		break;
	case STEP_RCPT:
		reply_rcpt(c, ev);
		break;
	case STEP_DATA:
		reply_data(c, ev);
		break;
	case STEP_DOT:
	case STEP_BDAT:
		reply_content(c, ev);
		break;
	default:
		break;
	}
}

static void
reply_hello(struct conn *c, const struct smtp_client_event *ev)
{
	if (ev->code / 100 == 2) {
		set_phase(c, CONN_IDLE);
		log_debug("event=connect server=%s result=ready",
		    log_quote(span_str(c->server)));
		pool_ready(c);
	} else if (ev->step == STEP_EHLO && ev->code / 100 == 5 &&
	    smtp_client_ehlo(c->c, c->helo, false))
		stream_kick(c->s);
	else
		refused(c, ev);
}

static void
reply(struct conn *c, const struct smtp_client_event *ev)
{
	switch (c->phase) {
	case CONN_GREETING:
		if (ev->code != 220 || !smtp_client_ehlo(c->c, c->helo, true)) {
			refused(c, ev);
			break;
		}
		set_phase(c, CONN_EHLO);
		stream_kick(c->s);
		break;
	case CONN_EHLO:
		reply_hello(c, ev);
		break;
	case CONN_BUSY:
		reply_busy(c, ev);
		break;
	default:
		lost(c, "%s", "");
		break;
	}
}

/* ---- the connection's end ---------------------------------------------- */

void
remote_quit(struct conn *c)
{
	set_phase(c, CONN_QUIT);
	if (smtp_client_simple(c->c, STEP_QUIT))
		stream_kick(c->s);
	set_timer(c);
}

void
remote_cut(struct conn *c, const char *why)
{
	struct job	*j = c->job;

	if (j != NULL) {
		c->job = NULL;
		job_fail(j, D_TEMP, why, c->server);
		job_done(j);
	}
	pool_lost(c);
}

/* The connection is of no use any more; why is a whole reply. */
static void
lost(struct conn *c, const char *fmt, ...)
{
	char		 why[1024];
	va_list		 ap;
	struct job	*j = c->job;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (c->phase == CONN_CONNECT || c->phase == CONN_GREETING ||
	    c->phase == CONN_EHLO) {
		pool_unreachable(c, why);
		return;
	}
	/* A kept connection may have been closed by the server while MAIL was
	 * on its way: no attempt at all, so once more on another one. */
	if (j != NULL && !c->answered && c->jobs > 0 && !j->retried) {
		j->retried = true;
		c->job = NULL;
		pool_retry(c, j);
		return;
	}
	if (j != NULL)
		j->dest = D_DEST_SLOW;
	remote_cut(c, why);
}

/* What was under way, for "lost while ...". */
static void
lost_at(struct conn *c, const char *what)
{
	enum smtp_step	step = smtp_client_waits_for(c->c);

	if (c->phase == CONN_IDLE || c->phase == CONN_QUIT)
		lost(c, "%s", "");
	else if (c->phase == CONN_CONNECT)
		lost(c, "451 4.4.1 %s: %s", c->server, what);
	else if (c->content == CONTENT_SENDING)
		lost(c, "451 4.4.2 %s: %s while sending the message",
		    c->server, what);
	else if (c->content == CONTENT_SENT && (step == STEP_DOT ||
	    step == STEP_BDAT))
		lost(c, "451 4.4.2 %s: %s after end of data", c->server, what);
	else
		lost(c, "451 4.4.2 %s: %s while waiting for the reply to %s",
		    c->server, what, smtp_step_name(step));
}

/* ---- the stream -------------------------------------------------------- */

static void
on_connected(struct stream *s, void *arg)
{
	struct conn	*c = arg;

	(void)s;
	set_phase(c, CONN_GREETING);
	set_timer(c);
}

/*
 * A reply in the middle of the content answers nothing, but it is the reason
 * why the server is about to hang up: told as it was said, and temporary
 * whatever it begins with, since the message was not judged as a whole.
 */
static bool
gave_up(struct conn *c)
{
	struct span		 in = stream_in(c->s);
	struct smtp_reply	 r;
	const char		*why;
	char			 text[1024];
	bool			 is;

	smtp_reply_init(&r);
	is = smtp_reply_feed(&r, &in, false, &why) == PARSE_OK &&
	    r.code >= 400;
	if (is) {
		in = flat(r.code, buf_content(&r.text));
		settle(c, D_TEMP, in, true);
		span_cstr(span_sub(in, 0, sizeof(text) - 1), text,
		    sizeof(text));
		lost(c, "%s", text);
	}
	smtp_reply_clear(&r);
	return is;
}

static void
on_readable(struct stream *s, void *arg)
{
	struct conn			*c = arg;
	struct smtp_client_event	 ev;
	struct span			 in, before;
	const char			*why = "";
	enum parse			 res;
	bool				 whole = false;

	alive = c;
	for (;;) {
		before = in = stream_in(s);
		res = smtp_client_feed(c->c, &in, &ev, &why);
		stream_eat(s, before.len - in.len);
		if (res != PARSE_OK)
			break;
		reply(c, &ev);
		if (alive != c)
			return;
		whole = true;
	}
	if (res == PARSE_BAD && c->phase == CONN_BUSY &&
	    smtp_client_pending(c->c) == 0 && gave_up(c))
		return;
	if (res == PARSE_BAD && c->phase != CONN_IDLE &&
	    c->phase != CONN_QUIT) {
		log_info("event=protocol server=%s why=%s",
		    log_quote(span_str(c->server)), log_quote(span_str(why)));
		lost(c, "451 4.5.0 %s: not SMTP: %s", c->server, why);
		return;
	}
	if (res == PARSE_BAD) {
		lost(c, "%s", "");
		return;
	}
	stream_kick(s);
	/* Half a reply gives no more time: one that comes byte by byte would
	 * hold the connection for ever. */
	if (whole)
		set_timer(c);
	if (c->phase == CONN_IDLE)
		stream_trim(s);
}

static void
on_drained(struct stream *s, void *arg)
{
	struct conn	*c = arg;

	(void)s;
	smtp_client_flush(c->c);
	if (c->phase == CONN_BUSY && c->content == CONTENT_SENDING)
		fill(c);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	struct conn	*c = arg;

	(void)s;
	lost_at(c, error != 0 ? strerror(error) : "connection lost");
}

static void
on_timeout(struct stream *s, void *arg)
{
	struct conn	*c = arg;

	(void)s;
	if (c->phase == CONN_IDLE)
		remote_quit(c);
	else
		lost_at(c, "timed out");
}

static const struct stream_ops ops = {
	.readable = on_readable,
	.drained = on_drained,
	.closed = on_closed,
	.timeout = on_timeout,
	.connected = on_connected
};

struct conn *
remote_connect(struct dest *d, const struct addr *addr, const char *name,
    const struct addr *source, const char *helo)
{
	char		 ip[ADDR_STRLEN];
	struct conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->s = stream_connect(base, addr, source->family != 0 ? source : NULL,
	    REMOTE_IN_MAX, REMOTE_OUT_MAX, &ops, c);
	if (c->s == NULL ||
	    (c->c = smtp_client_new(stream_out(c->s))) == NULL) {
		stream_free(c->s);
		free(c);
		return NULL;
	}
	c->dest = d;
	c->addr = *addr;
	c->helo = span_str(helo);
	snprintf(c->server, sizeof(c->server), "%s[%s]:%u", name,
	    addr_str(addr, ip), addr->port);
	set_phase(c, CONN_CONNECT);
	stream_timeout(c->s, REMOTE_CONNECT_MS);
	log_debug("event=connect server=%s result=begun",
	    log_quote(span_str(c->server)));
	return c;
}
