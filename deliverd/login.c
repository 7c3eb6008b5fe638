/*
 * See login.h.
 */
#include "deliverd/login.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/enc.h"
#include "common/base/log.h"
#include "common/ipc/wait.h"
#include "common/sasl/client.h"
#include "deliverd/logins.h"
#include "deliverd/pool.h"
#include "deliverd/remote_i.h"

#define BASE64_MAX	12288

struct login {
	struct conn	*c;
	uint32_t	 tid;		/* of the question to keyd; 0: none */
	struct sasl_client sasl;
	struct buf	 question;	/* the server's last challenge */
	struct buf	 initial;	/* base64 that waits for the server's 334 */
	bool		 waits;		/* it does */
	const char	*why;		/* cancelled by us; static */
};

static struct wait	*asked;
static struct chan	*keyd;		/* NULL: away */

static void	refuse(struct conn *, const char *, ...)
		    __attribute__((format(printf, 2, 3)));

/* Ends the connection with a reply of ours; the server's own words come in it,
 * since to others they would be a verdict on the message. */
static void
refuse(struct conn *c, const char *fmt, ...)
{
	char		 why[1024];
	va_list		 ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	/* Nobody waits for the answer. */
	if (smtp_client_pending(c->c) == 0 &&
	    smtp_client_simple(c->c, STEP_QUIT))
		stream_flush(c->s);
	pool_refused(c, why);
}

static const char *
offered(const struct conn *c)
{
	const char	*auth = smtp_client_caps(c->c)->auth;

	return auth[0] != '\0' ? auth : "none";
}

static const char *
label(const struct conn *c)
{
	return logins_label(c->as);
}

void
login_free(struct conn *c)
{
	struct login	*l = c->login;

	if (l == NULL)
		return;
	c->login = NULL;
	if (l->tid != 0)
		wait_take(asked, l->tid);
	sasl_client_clear(&l->sasl);
	buf_clear(&l->question);
	buf_clear(&l->initial);
	free(l);
}

/* ---- keyd ------------------------------------------------------------------ */

static void
question_send(struct login *l)
{
	bool	first = l->sasl.challenges == 0;

	if (keyd != NULL)
		CHAN_SEND(keyd, k_auth, .tid = l->tid,
		    .label = span_str(label(l->c)), .mechs = span_str(first ?
		    smtp_client_caps(l->c->c)->auth :
		    sasl_mech_name(l->sasl.mech)),
		    .step = l->sasl.challenges,
		    .first = buf_content(&l->sasl.first),
		    .challenge = buf_content(&l->question));
}

static void
ask(struct login *l)
{
	if ((l->tid = wait_add(asked, l)) == 0) {
		refuse(l->c, "451 4.3.2 Too many logins at a time");
		return;
	}
	question_send(l);
	remote_timer(l->c);
}

static void
again(uint32_t tid, void *owner, void *arg)
{
	(void)tid;
	(void)arg;
	question_send(owner);
}

void
login_join(struct chan *c)
{
	keyd = c;
	if (c != NULL)
		wait_each(asked, again, NULL);
}

void
login_no_keyd(struct conn *c)
{
	refuse(c, "451 4.3.0 No login at %s as %s: keyd does not answer",
	    c->server, label(c));
}

/* ---- what is said ---------------------------------------------------------- */

static void
no_memory(struct conn *c)
{
	remote_cut(c, "451 4.3.0 No memory");
}

static void
say(struct login *l, struct span base64)
{
	struct conn	*c = l->c;

	if (!smtp_client_auth_line(c->c, base64)) {
		refuse(c, "451 4.3.0 No login at %s as %s: a response "
		    "could not be written", c->server, label(c));
		return;
	}
	stream_kick(c->s);
	remote_timer(c);
}

static void
cancel(struct login *l, const char *why)
{
	l->why = why;
	say(l, span_str("*"));
}

static void
say_auth(struct login *l, bool says, struct buf *base64)
{
	struct conn	*c = l->c;
	const char	*mech = sasl_mech_name(l->sasl.mech);
	bool		 now;

	now = says && buf_len(base64) + strlen(mech) + 6 <= LOGIN_LINE_MAX;
	l->waits = says && !now;
	if (l->waits && !buf_span(&l->initial, buf_content(base64))) {
		no_memory(c);
		return;
	}
	log_debug("event=login server=%s label=%s mech=%s result=begun",
	    log_quote(span_str(c->server)), log_quote(span_str(label(c))),
	    mech);
	if (!smtp_client_auth(c->c, span_str(mech), now,
	    now ? buf_content(base64) : span(NULL, 0))) {
		no_memory(c);
		return;
	}
	stream_kick(c->s);
	remote_timer(c);
}

/* keyd can't go on. */
static void
no_response(struct login *l, const struct ipc_k_auth_answer *m)
{
	struct conn	*c = l->c;

	if (m->status == K_AUTH_NO_LABEL)
		refuse(c, "451 4.3.5 No login at %s: there is no label \"%s\"",
		    c->server, label(c));
	else if (m->status == K_AUTH_NO_MECH)
		refuse(c, "451 4.7.4 No login at %s as %s: of the "
		    "mechanisms that it offers (%s) none fits", c->server,
		    label(c), offered(c));
	else if (l->sasl.challenges > 0) {
		/* keyd's words are of a challenge; they are in the log. */
		log_warnx("event=login server=%s label=%s mech=%s "
		    "result=cancelled why=%s", log_quote(span_str(c->server)),
		    log_quote(span_str(label(c))),
		    sasl_mech_name(l->sasl.mech), log_quote(m->why));
		cancel(l, "the server's challenge makes no sense");
	} else
		refuse(c, "451 4.3.0 No login at %s as %s: %.*s",
		    c->server, label(c), (int)m->why.len,
		    m->why.len > 0 ? (const char *)m->why.p : "");
}

static void
respond(struct login *l, const struct ipc_k_auth_answer *m)
{
	struct buf	b;
	bool		first = l->sasl.challenges == 0, ok;

	buf_init(&b, BASE64_MAX);
	b.secret = true;
	if (first)
		sasl_client_begin(&l->sasl, sasl_mech_named(m->mech));
	ok = l->sasl.mech != MECH_NONE && enc_base64(&b, m->response) &&
	    (first ? m->expect.len == 0 &&
	    (l->sasl.mech > MECH_SCRAM_SHA_1 ||
	    buf_span(&l->sasl.first, m->response)) :
	    buf_span(&l->sasl.expect, m->expect));
	if (!ok)
		no_memory(l->c);
	else if (first)
		say_auth(l, m->says, &b);
	else
		say(l, buf_content(&b));
	buf_clear(&b);
}

void
login_on_answer(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_k_auth_answer	*m = msg;
	struct login			*l = wait_take(asked, m->tid);

	(void)ch;
	(void)fd;
	if (l == NULL)
		return;
	l->tid = 0;
	if (m->status == K_AUTH_OK)
		respond(l, m);
	else
		no_response(l, m);
}

void
login_init(void)
{
	if ((asked = wait_new(LOGINS_ASKED_MAX)) == NULL)
		fatal("wait_new");
}

/* ---- the server ------------------------------------------------------------ */

void
login_begin(struct conn *c)
{
	struct login	*l;

	/* A secret goes only to a server whose certificate was verified. */
	if (!c->secured.verified && !c->plaintext) {
		refuse(c, "451 4.7.11 No login at %s as %s: the connection "
		    "has no verified TLS", c->server, label(c));
		return;
	}
	if (smtp_client_caps(c->c)->auth[0] == '\0') {
		refuse(c, "451 4.7.4 No login at %s as %s: it does not "
		    "offer AUTH", c->server, label(c));
		return;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL) {
		no_memory(c);
		return;
	}
	l->c = c;
	l->sasl.mech = MECH_NONE;
	buf_init(&l->question, BASE64_MAX);
	buf_init(&l->initial, BASE64_MAX);
	l->initial.secret = true;
	c->login = l;
	ask(l);
}

/* 334. What LOGIN asks in is for people: some servers do not encode it. */
static void
challenged(struct login *l, struct span text)
{
	struct span	 words;
	struct buf	 b;
	const char	*why;

	if (l->why != NULL) {
		refuse(l->c, "451 4.7.0 No login at %s as %s: %s",
		    l->c->server, label(l->c), l->why);
		return;
	}
	if (l->waits) {
		l->waits = false;
		say(l, buf_content(&l->initial));
		return;
	}
	buf_reset(&l->question);
	if (!dec_base64(&l->question, text)) {
		buf_reset(&l->question);
		if (l->sasl.mech != MECH_LOGIN) {
			cancel(l, "the server's challenge is no base64");
			return;
		}
	}
	switch (sasl_client_challenge(&l->sasl, buf_content(&l->question),
	    &words, &why)) {
	case SASL_ASK:
		ask(l);
		break;
	case SASL_SAY:
		buf_init(&b, 16);
		enc_base64(&b, words);
		say(l, buf_content(&b));
		buf_clear(&b);
		break;
	case SASL_STOP:
		cancel(l, why);
		break;
	}
}

static void
logged_in(struct login *l)
{
	struct conn	*c = l->c;

	if (!sasl_client_done(&l->sasl)) {
		refuse(c, "451 4.7.0 No login at %s as %s: the server does "
		    "not prove that it knows the password", c->server,
		    label(c));
		return;
	}
	log_debug("event=login server=%s label=%s mech=%s result=ok",
	    log_quote(span_str(c->server)), log_quote(span_str(label(c))),
	    sasl_mech_name(l->sasl.mech));
	login_free(c);
	remote_ready(c);
}

void
login_reply(struct conn *c, const struct smtp_client_event *ev)
{
	struct login	*l = c->login;
	struct span	 words;

	if (ev->code == 421) {
		remote_refused(c, ev);
	} else if (ev->code == 334) {
		challenged(l, ev->text);
	} else if (l->why != NULL) {
		refuse(c, "451 4.7.0 No login at %s as %s: %s", c->server,
		    label(c), l->why);
	} else if (ev->code == 235) {
		logged_in(l);
	} else {
		words = remote_flat(ev->code, ev->text);
		refuse(c, "451 4.7.%d No login at %s as %s by %s: %.*s",
		    ev->code / 100 == 5 ? 8 : 0, c->server, label(c),
		    sasl_mech_name(l->sasl.mech), (int)words.len,
		    (const char *)words.p);
	}
}
