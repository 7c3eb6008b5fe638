/*
 * A connection from its first packet to its last: greeting, EHLO, and what its
 * loss means for the job on it. One that breaks is always temporary, and while
 * another server is there, no more than a reason to go on with that one.
 */
#include "deliverd/remote_i.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/io/tls.h"
#include "deliverd/login.h"
#include "deliverd/pool.h"
#include "deliverd/sender.h"

static struct event_base	*base;
/* The connection whose replies are read; NULL once it has been freed. */
static struct conn		*alive;

static void	 lost(struct conn *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
static void	 gone(struct conn *, const char *why, bool remote);

void
remote_init(struct event_base *b, const struct conf *conf)
{
	base = b;
	sender_init(conf);
	secure_init(conf);
}

const char *
remote_phase_name(const struct conn *c)
{
	static const char *const	names[] = { "connect", "greeting",
	    "ehlo", "starttls", "tls", "auth", "idle", "busy", "quit" };

	return names[c->phase];
}

void
remote_phase(struct conn *c, enum conn_phase phase)
{
	c->phase = phase;
	c->since = clock_mono();
}

void
remote_free(struct conn *c)
{
	if (alive == c)
		alive = NULL;
	login_free(c);
	stream_free(c->s);
	smtp_client_free(c->c);
	demand_free(c->demand);
	free(c);
}

bool
remote_has(const struct conn *c, enum smtp_cap cap)
{
	return (smtp_client_caps(c->c)->bits & cap) != 0;
}

void
remote_timer(struct conn *c)
{
	if (c->phase == CONN_QUIT)
		stream_timeout(c->s, REMOTE_QUIT_MS);
	else if (c->phase == CONN_TLS)
		stream_timeout(c->s, REMOTE_TLS_MS);
	else if (c->phase == CONN_BUSY && c->content == CONTENT_SENDING)
		stream_timeout(c->s, REMOTE_DATA_MS);
	else if (smtp_client_pending(c->c) > 0)
		stream_timeout(c->s,
		    smtp_step_timeout_ms(smtp_client_waits_for(c->c)));
	else
		stream_timeout(c->s, REMOTE_IDLE_MS);
}

struct span
remote_flat(uint16_t code, struct span text)
{
	static struct buf	b;

	if (b.max == 0)
		buf_init(&b, 64 << 10);
	buf_reset(&b);
	smtp_reply_flat(&b, code, text);
	return buf_content(&b);
}

void
remote_refused(struct conn *c, const struct smtp_client_event *ev)
{
	char		 why[1024];
	struct span	 s = remote_flat(ev->code, ev->text);

	span_cstr(span_sub(s, 0, sizeof(why) - 1), why, sizeof(why));
	gone(c, why, true);
}

void
remote_ready(struct conn *c)
{
	remote_phase(c, CONN_IDLE);
	log_debug("event=connect server=%s result=ready",
	    log_quote(span_str(c->server)));
	pool_ready(c);
}

static void
reply_hello(struct conn *c, const struct smtp_client_event *ev)
{
	if (ev->code / 100 == 2 && !secure_is(c) && secure_helloed(c))
		return;
	if (ev->code / 100 == 2 && !secure_keeps(c))
		return;
	if (ev->code / 100 == 2 && c->as != NULL) {
		remote_phase(c, CONN_AUTH);
		login_begin(c);
	} else if (ev->code / 100 == 2) {
		remote_ready(c);
	} else if (ev->step == STEP_EHLO && ev->code / 100 == 5 &&
	    smtp_client_ehlo(c->c, c->helo, false))
		stream_kick(c->s);
	else
		remote_refused(c, ev);
}

bool
remote_hello(struct conn *c)
{
	if (!smtp_client_ehlo(c->c, c->helo, true)) {
		lost(c, "451 4.3.0 EHLO could not be sent");
		return false;
	}
	remote_phase(c, CONN_EHLO);
	stream_kick(c->s);
	remote_timer(c);
	return true;
}

static void
reply(struct conn *c, const struct smtp_client_event *ev)
{
	switch (c->phase) {
	case CONN_GREETING:
		if (ev->code != 220)
			remote_refused(c, ev);
		else
			remote_hello(c);
		break;
	case CONN_STARTTLS:
		secure_replied(c, ev);
		break;
	case CONN_EHLO:
		reply_hello(c, ev);
		break;
	case CONN_AUTH:
		login_reply(c, ev);
		break;
	case CONN_BUSY:
		transaction_reply(c, ev);
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
	remote_phase(c, CONN_QUIT);
	if (smtp_client_simple(c->c, STEP_QUIT))
		stream_kick(c->s);
	remote_timer(c);
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

/* The connection is of no use any more; why is a whole reply, the server's own
 * if `remote`. */
static void
gone(struct conn *c, const char *why, bool remote)
{
	struct job	*j = c->job;

	if (c->phase < CONN_IDLE) {
		pool_unreachable(c, why);
		return;
	}
	/* A kept connection may have been closed by the server while MAIL was
	 * on its way: no attempt at all, so once more on another one. */
	if (j != NULL && !c->answered && c->jobs > 0 && !j->retried) {
		j->retried = true;
		pool_retry(c, j);
		return;
	}
	if (j != NULL && j->left > 0 && pool_elsewhere(c, j, why))
		return;
	if (j != NULL) {
		j->dest = D_DEST_SLOW;
		if (remote)
			transaction_settle(c, D_TEMP, span_str(why), true);
	}
	remote_cut(c, why);
}

static void
lost(struct conn *c, const char *fmt, ...)
{
	char		 why[1024];
	va_list		 ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	gone(c, why, false);
}

/* What was under way, for "lost while ...". */
static void
lost_at(struct conn *c, const char *what)
{
	enum smtp_step	step = smtp_client_waits_for(c->c);

	if (c->phase == CONN_IDLE || c->phase == CONN_QUIT)
		lost(c, "%s", "");
	else if (c->phase == CONN_STARTTLS || c->phase == CONN_TLS) {
		c->passing = stream_tls_why(c->s) == NULL;
		secure_failed(c, what);
	}
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
	if (c->tls.at_once) {
		secure_begin(c);
		return;
	}
	remote_phase(c, CONN_GREETING);
	remote_timer(c);
}

static void
on_secured(struct stream *s, void *arg)
{
	struct conn	*c = arg;

	(void)s;
	if (!secure_done(c))
		return;
	if (!c->tls.at_once) {
		remote_hello(c);
		return;
	}
	remote_phase(c, CONN_GREETING);
	remote_timer(c);
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
		in = remote_flat(r.code, buf_content(&r.text));
		transaction_settle(c, D_TEMP, in, true);
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
		remote_timer(c);
	if (c->phase == CONN_IDLE)
		stream_trim(s);
}

static void
on_drained(struct stream *s, void *arg)
{
	struct conn	*c = arg;

	(void)s;
	smtp_client_flush(c->c);
	if (c->phase == CONN_BUSY)
		transaction_drained(c);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	struct conn	*c = arg;
	const char	*why = stream_tls_why(s);

	lost_at(c, why != NULL ? why : error != 0 ? strerror(error) :
	    "connection lost");
}

static void
on_timeout(struct stream *s, void *arg)
{
	struct conn	*c = arg;

	(void)s;
	if (c->phase == CONN_IDLE)
		remote_quit(c);
	else if (c->phase == CONN_AUTH && smtp_client_pending(c->c) == 0)
		login_no_keyd(c);
	else
		lost_at(c, "timed out");
}

static const struct stream_ops ops = {
	.readable = on_readable,
	.drained = on_drained,
	.closed = on_closed,
	.timeout = on_timeout,
	.connected = on_connected,
	.secured = on_secured
};

struct conn *
remote_connect(struct dest *d, struct srv *srv, const struct hosts_cand *id,
    const struct addr *source, const struct hosts_tls *demand,
    const char *helo)
{
	char		 ip[ADDR_STRLEN];
	struct conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->s = stream_connect(base, &srv->addr, source->family != 0 ? source :
	    NULL, REMOTE_IN_MAX, REMOTE_OUT_MAX, &ops, c);
	if (c->s == NULL ||
	    (c->c = smtp_client_new(stream_out(c->s))) == NULL) {
		stream_free(c->s);
		free(c);
		return NULL;
	}
	c->dest = d;
	c->srv = srv;
	c->begun = clock_mono();
	c->helo = span_str(helo);
	c->demand = demand_dup(demand);
	c->tls = demand_tls(demand);
	strlcpy(c->host, id->name, sizeof(c->host));
	snprintf(c->server, sizeof(c->server), "%s[%s]:%u", id->name,
	    addr_str(&srv->addr, ip), srv->addr.port);
	remote_phase(c, CONN_CONNECT);
	stream_timeout(c->s, REMOTE_CONNECT_MS);
	log_debug("event=connect server=%s result=begun",
	    log_quote(span_str(c->server)));
	return c;
}

bool
remote_spent(const struct conn *c)
{
	uint32_t	max = smtp_client_caps(c->c)->mail_max;

	return max > 0 && c->mails >= max;
}
