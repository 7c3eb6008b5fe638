/*
 * One handler a message of smtpd. A message for a link that has gone is dropped
 * quietly: p_closed was on its way. One that comes before the server is there,
 * or in the middle of content, is smtpd's fault and ends the link.
 */
#include "proxyd/relay.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/base/utf8.h"
#include "common/smtp/command.h"
#include "proxyd/caps.h"
#include "proxyd/idle.h"
#include "proxyd/open.h"
#include "proxyd/relaytest.h"
#include "proxyd/secure.h"
#include "proxyd/verify.h"

#define STEPS_ROOM	(SMTP_CLIENT_STEPS_MAX - 2)	/* QUIT, RSET */

/*
 * A session that was kept may turn out dead at its first use: what it is asked
 * is remembered until it has answered, and what comes while a new one is opened
 * waits for that. Passwords are not. False: nothing is to be sent now.
 */
static bool
again(struct link *l, uint16_t type, const void *msg)
{
	bool	 opens = l->greeted && l->phase != LINK_UP;

	if (!l->kept && !opens)
		return true;
	if (l->kept && type == IPC_T_p_auth) {
		open_proved(l);
		return true;
	}
	if (!ipc_encode(&l->again, type, msg)) {
		link_fail(l, 421, "4.3.0 Too many commands");
		return false;
	}
	if (opens)
		l->asked = 1;
	return !opens;
}

/*
 * The link if a command may be passed on now; it is counted as asked. What
 * comes behind content waits for the reply to it: a refused BDAT needs a RSET
 * of ours before the next transaction, and the last chunk may still wait for
 * the one before it (RFC 3030, 2).
 */
static struct link *
command(struct chan *c, uint32_t tid, uint16_t type, const void *msg)
{
	struct link	*l = link_get(c, tid);

	if (l == NULL)
		return NULL;
	if (l->flow.ended) {
		l->late.secret = true;	/* AUTH may be among them */
		if (!ipc_encode(&l->late, type, msg))
			link_fail(l, 421, "4.3.0 Too many commands");
		return NULL;
	}
	if (!again(l, type, msg))
		return NULL;
	l->asked++;
	if (l->phase != LINK_UP || l->flow.mode != FLOW_NONE ||
	    smtp_client_pending(l->c) >= STEPS_ROOM) {
		link_fail(l, 421, "4.3.0 Not now");
		return NULL;
	}
	return l;
}

static void
sent(struct link *l, bool ok)
{
	if (!ok) {
		link_fail(l, 421, "4.3.0 The command could not be passed on");
		return;
	}
	stream_kick(l->s);
	link_set_timer(l);
}

static void
on_ehlo(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_ehlo	*m = msg;
	struct link		*l = command(c, m->tid, IPC_T_p_ehlo, m);

	(void)fd;
	if (l != NULL)
		sent(l, smtp_client_ehlo(l->c, m->name, m->ehlo));
}

static void
on_mail(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_mail	*m = msg;
	struct link		*l;
	struct smtp_mail_params	 p = {
		.size_set = m->size != 0,
		.size = m->size,
		.body = (enum smtp_body)m->body,
		.utf8 = m->utf8,
		.ret = (enum smtp_ret)m->ret,
		.envid = m->envid,
		.auth = m->auth,
		.requiretls = m->requiretls
	};

	(void)fd;
	if (m->body > BODY_8BITMIME || m->ret > RET_HDRS) {
		chan_reject(c, "p_mail: no such value");
		return;
	}
	if ((l = command(c, m->tid, IPC_T_p_mail, m)) == NULL)
		return;
	/* RFC 6531, 3.5; RFC 8689, 4.2.1: smtpd sees to both; this is for one
	 * that does not. */
	if (!utf8_is_ascii(m->from) && (!m->utf8 ||
	    (smtp_client_caps(l->c)->bits & CAP_SMTPUTF8) == 0)) {
		link_fail(l, 421, "4.6.7 The server does not offer SMTPUTF8");
		return;
	}
	if (m->requiretls && (caps_of(l) & CAP_REQUIRETLS) == 0) {
		link_fail(l, 421, "4.7.30 The server does not offer REQUIRETLS");
		return;
	}
	sent(l, smtp_client_mail(l->c, m->from, &p));
}

static void
on_rcpt(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_rcpt	*m = msg;
	struct link		*l = command(c, m->tid, IPC_T_p_rcpt, m);
	struct smtp_rcpt_params	 p = { .notify = m->notify,
				    .orcpt = m->orcpt };

	(void)fd;
	if (l != NULL)
		sent(l, smtp_client_rcpt(l->c, m->to, &p, 0));
}

static void
on_data(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_data	*m = msg;
	struct link		*l = command(c, m->tid, IPC_T_p_data, m);

	(void)fd;
	if (l == NULL)
		return;
	if (!flow_begin(l))
		link_fail(l, 421, "4.3.0 Not now");
}

static void
on_chunk(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_chunk	*m = msg;
	struct link			*l = link_get(c, m->tid);

	(void)fd;
	if (l != NULL && !flow_chunk(l, m->bytes)) {
		chan_reject(c, "p_chunk: not now, or beyond the credit");
		return;
	}
	/* Or a server that reads no more would be waited for for ever. */
	if ((l = link_get(c, m->tid)) != NULL)
		link_set_timer(l);
}

static void
on_end(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_end	*m = msg;
	struct link		*l = link_get(c, m->tid);

	(void)fd;
	if (l == NULL)
		return;
	l->asked++;
	if (!flow_end(l, m->bytes)) {
		chan_reject(c, "p_end: no content is open");
		return;
	}
	if ((l = link_get(c, m->tid)) != NULL)
		link_set_timer(l);
}

static void
on_abort(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_abort	*m = msg;
	struct link			*l = link_get(c, m->tid);

	(void)fd;
	if (l == NULL)
		return;
	if (!flow_abort(l)) {
		chan_reject(c, "p_abort: no chunks are open");
		return;
	}
	if ((l = link_get(c, m->tid)) != NULL)
		link_set_timer(l);
}

static void
on_rset(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_rset	*m = msg;
	struct link		*l = command(c, m->tid, IPC_T_p_rset, m);

	(void)fd;
	if (l != NULL)
		sent(l, smtp_client_simple(l->c, STEP_RSET));
}

static void
on_noop(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_noop	*m = msg;
	struct link		*l = command(c, m->tid, IPC_T_p_noop, m);

	(void)fd;
	if (l != NULL)
		sent(l, smtp_client_simple(l->c, STEP_NOOP));
}

static void
on_ask(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_ask	*m = msg;
	struct link		*l;

	(void)fd;
	if (m->verb != VERB_VRFY && m->verb != VERB_EXPN &&
	    m->verb != VERB_HELP) {
		chan_reject(c, "p_ask: not such a verb");
		return;
	}
	if ((l = command(c, m->tid, IPC_T_p_ask, m)) != NULL)
		sent(l, smtp_client_ask(l->c,
		    smtp_verb_name((enum smtp_verb)m->verb), m->arg));
}

static void
on_auth(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_auth	*m = msg;
	struct link		*l = command(c, m->tid, IPC_T_p_auth, m);
	struct span		 initial = m->initial;

	(void)fd;
	if (span_is(initial, "="))
		initial.len = 0;
	if (l == NULL)
		return;
	l->authed = true;
	sent(l, smtp_client_auth(l->c, m->mech, m->has_initial, initial));
}

static void
on_auth_line(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_auth_line	*m = msg;
	struct link			*l = command(c, m->tid,
					    IPC_T_p_auth_line, m);

	(void)fd;
	if (l != NULL)
		sent(l, smtp_client_auth_line(l->c, m->line));
}

static void
on_quit(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_quit	*m = msg;
	struct link		*l = link_get(c, m->tid);

	(void)fd;
	/* No server yet: nobody there to say it to. */
	if (l != NULL && l->phase != LINK_UP) {
		l->asked = 1;
		link_reply(l, 221, span_str("2.0.0 Bye"), true);
		link_closed(l, "QUIT");
	} else if ((l = command(c, m->tid, IPC_T_p_quit, m)) == NULL) {
		return;
	} else if (idle_keep(l)) {
		link_reply(l, 221, span_str("2.0.0 Bye"), true);
		link_closed(l, "QUIT");
	} else
		sent(l, smtp_client_simple(l->c, STEP_QUIT));
}

static void
on_close(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_close	*m = msg;
	struct link			*l = link_get(c, m->tid);

	(void)fd;
	if (l != NULL)
		link_drop(l);
}

const struct chan_row relay_rows[] = {
	{ IPC_T_p_open, link_open },
	{ IPC_T_p_ehlo, on_ehlo },
	{ IPC_T_p_mail, on_mail },
	{ IPC_T_p_rcpt, on_rcpt },
	{ IPC_T_p_data, on_data },
	{ IPC_T_p_chunk, on_chunk },
	{ IPC_T_p_end, on_end },
	{ IPC_T_p_abort, on_abort },
	{ IPC_T_p_rset, on_rset },
	{ IPC_T_p_noop, on_noop },
	{ IPC_T_p_ask, on_ask },
	{ IPC_T_p_auth, on_auth, .secret = true },
	{ IPC_T_p_auth_line, on_auth_line, .secret = true },
	{ IPC_T_p_quit, on_quit },
	{ IPC_T_p_close, on_close },
	{ IPC_T_p_verify, verify_ask },
	{ IPC_T_p_relay, relaytest_ask },
	{ 0, NULL }
};

/* ---- replies ----------------------------------------------------------- */

/* The keywords went as p_caps; smtpd needs the first line alone. */
static void
reply_ehlo(struct link *l, const struct smtp_client_event *ev)
{
	struct span	text = ev->text;

	if (ev->code == 250) {
		caps_send_all(l, text);
		text = span_sub(text, 0, span_find(text, '\n'));
	}
	l->flow.taken = 0;
	link_reply(l, ev->code, text, false);
}

/* Messages that waited; each may end the link. */
static void
replay(struct chan *c, struct buf *waited)
{
	struct span		 in = buf_content(waited);
	union ipc_any		 m;
	uint16_t		 type;
	const char		*why;
	const struct chan_row	*r;

	while (in.len > 0 && ipc_decode(&in, &type, &m, &why) == PARSE_OK) {
		for (r = relay_rows; r->type != type; r++)
			;
		r->handler(c, &m, -1);
	}
	buf_clear(waited);
}

/* The reply to content was given: what came behind it. */
static void
go_on_late(struct chan *c, uint32_t tid)
{
	struct link	*l = link_get(c, tid);
	struct buf	 late;

	if (l == NULL)
		return;
	if (l->flow.mode == FLOW_NONE)
		l->mail_open = false;
	if (l->flow.ended || buf_len(&l->late) == 0)
		return;
	late = l->late;
	buf_init(&l->late, LINK_LATE_MAX);
	replay(c, &late);
}

void
relay_again(struct link *l)
{
	struct buf	 waited = l->again;

	buf_init(&l->again, LINK_LATE_MAX);
	l->asked = 0;
	replay(l->chan, &waited);
}

/* 3yz is no answer but to DATA and AUTH (RFC 5321, 4.3.2; RFC 4954, 4); a
 * client that got it elsewhere would send what nobody waits for. */
static bool
answers(const struct smtp_client_event *ev)
{
	switch (ev->step) {
	case STEP_DATA:
		return ev->code == 354 || ev->code >= 400;
	case STEP_AUTH:
	case STEP_AUTH_LINE:
		return ev->code == 334 || ev->code == 235 || ev->code >= 400;
	default:
		return ev->code / 100 != 3;
	}
}

/* The client could only take it for a word of ours about its own session. */
static void
wants_tls(struct link *l, const struct smtp_client_event *ev)
{
	log_warnx("session=%s event=tls server=%s result=wanted mode=%s "
	    "reply=%s", l->session, log_quote(span_str(l->server)),
	    tls_mode_name(&l->tls), log_reply(ev->code, ev->text));
	l->mail_open = false;
	l->flow.taken = 0;
	link_reply(l, 451, span_str("4.7.0 The server behind this gateway "
	    "takes nothing without TLS, which this gateway does not use "
	    "there"), true);
}

void
relay_reply(struct link *l, const struct smtp_client_event *ev)
{
	struct chan	*c = l->chan;
	uint32_t	 tid = l->tid;
	char		 why[128];

	if (ev->code == 421) {
		link_refused(l, ev->code, ev->text);
		return;
	}
	if (!answers(ev)) {
		snprintf(why, sizeof(why), "4.5.0 The server's answer to %s "
		    "makes no sense: %u", smtp_step_name(ev->step), ev->code);
		link_fail(l, 421, why);
		return;
	}
	l->errors += ev->code >= 400;
	switch (ev->step) {
	case STEP_EHLO:
	case STEP_HELO:
		l->mail_open = l->mail_open && ev->code != 250;
		reply_ehlo(l, ev);
		break;
	case STEP_RCPT:
		if (ev->code / 100 == 2)
			l->flow.taken++;
		link_reply(l, ev->code, ev->text, false);
		break;
	case STEP_RSET:
		if (l->flow.resets > 0) {
			l->flow.resets--;
			break;
		}
		/* FALLTHROUGH */
	case STEP_MAIL:
		if (tls_client_wanted(&l->secured, ev->code, ev->text)) {
			wants_tls(l, ev);
			break;
		}
		l->mail_open = ev->step == STEP_MAIL && ev->code / 100 == 2;
		l->flow.taken = 0;
		link_reply(l, ev->code, ev->text, false);
		break;
	case STEP_DATA:
	case STEP_DOT:
	case STEP_BDAT:
		flow_reply(l, ev);
		go_on_late(c, tid);
		return;
	case STEP_QUIT:
		link_reply(l, ev->code, ev->text, false);
		link_closed(l, "QUIT");
		return;
	default:
		link_reply(l, ev->code, ev->text, false);
		break;
	}
	flow_go_on(l);
}
