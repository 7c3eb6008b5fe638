/*
 * See auth.h.
 */
#include "smtpd/auth.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/conf/table.h"
#include "common/sasl/sasl.h"
#include "common/smtp/plain.h"
#include "smtpd/dovecot.h"
#include "smtpd/guess.h"
#include "smtpd/own.h"
#include "smtpd/proxy.h"
#include "smtpd/source.h"
#include "smtpd/via.h"

#define NO_LOGIN	"4.7.0 Temporary authentication failure"
#define TOO_MANY	"4.7.0 Too many failed logins by this name; try later"

struct auth {
	char		 mech[SASL_MECH_MAX + 1];
	char		*user;		/* as the client says; NULL: unknown */
	bool		 said;		/* its first response has gone over */
	bool		 cancelled;	/* "*" has gone over */
	bool		 over;		/* too many failures by this name */
	uint16_t	 code;		/* our reply in place of the server's to
					 * that; 0: none */
	const char	*text;
	struct span	 why;		/* keyd's; valid while it is judged */
	/* Until the server of `auth via` is there. */
	bool		 has_initial;
	char		*initial;
	/* A reply that is held. */
	struct event	*timer;
	struct cmd	*cmd;
	uint16_t	 held_code;
	char		*held_text;
};

static void
secret_free(char *s)
{
	if (s != NULL)
		freezero(s, strlen(s));
}

void
auth_clear(struct session *s)
{
	struct auth	*a = s->auth;

	link_close(s->auth_link);
	s->auth_link = NULL;
	own_clear(s);
	dovecot_clear(s);
	if (a == NULL)
		return;
	if (s->stream != NULL)
		stream_secret(s->stream, false);
	s->auth = NULL;
	if (a->timer != NULL)
		event_free(a->timer);
	secret_free(a->initial);
	free(a->held_text);
	free(a->user);
	free(a);
}

bool
auth_needed(const struct session *s)
{
	return s->listen->auth && !s->listen->auth_optional && !s->authed;
}

static bool
is_shown(const struct conf_listen *l, struct span mech)
{
	enum sasl_class	class = sasl_class(mech);

	/* What only asks whether a password is right ends with the answer; a
	 * mechanism that does not say whose it is would be of no use. */
	if (l->proxy == NULL)
		return class != SASL_NEVER && sasl_says_who(mech);
	switch (class) {
	case SASL_PASSES:
		return true;
	case SASL_ASKED:
		return l->announce != NULL &&
		    table_get(l->announce, mech, NULL);
	case SASL_NEVER:
		break;
	}
	return false;
}

void
auth_list(const struct conf_listen *l, const char *mechs, char to[512])
{
	struct span	in = span_str(mechs), mech;
	size_t		len = 0;

	while (span_word(&in, " ", &mech)) {
		if (!is_shown(l, mech) || len + mech.len + 2 > 512)
			continue;
		if (len > 0)
			to[len++] = ' ';
		memcpy(to + len, mech.p, mech.len);
		len += mech.len;
	}
	to[len] = '\0';
}

/* ---- the result ------------------------------------------------------------ */

/* Is this refusal one of the password? Others are of the way it was said. A
 * failure that was told by a challenge is known to the client. */
static bool
is_guess(const struct auth *a, uint16_t code)
{
	if (a->cancelled)
		return a->said && a->code == 0 &&
		    sasl_fails_by_challenge(span_str(a->mech));
	switch (code) {
	case 500: case 501: case 502: case 503: case 504:
	case 534: case 538:
		return false;
	default:
		return code / 100 == 5;
	}
}

static int64_t
hold_ms(unsigned failures)
{
	int64_t	ms = AUTH_HOLD_MS;

	while (failures-- > 1 && ms < AUTH_HOLD_MAX_MS)
		ms *= 2;
	return ms < AUTH_HOLD_MAX_MS ? ms : AUTH_HOLD_MAX_MS;
}

/* One more, of the session, its source and its name: the most of them. */
static unsigned
count_failure(struct session *s, const char *user)
{
	unsigned	most = ++s->auth_failures, n;

	if ((n = source_failed(&s->client)) > most)
		most = n;
	if (user != NULL && (n = guess_failed(user)) > most)
		most = n;
	return most;
}

static void
log_result(const struct session *s, const char *what, uint16_t code,
    struct span text)
{
	const struct auth	*a = s->auth;
	char			 ip[ADDR_STRLEN];

	log_info("session=%s event=auth result=%s mech=%s user=%s client=%s "
	    "reply=%s%s%s", s->id, what, a->mech, log_quote(span_str(a->user)),
	    addr_str(&s->client, ip), log_reply(code, text),
	    a->why.len > 0 ? " why=" : "",
	    a->why.len > 0 ? log_quote(a->why) : "");
}

static void
on_held(evutil_socket_t fd, short what, void *arg)
{
	struct session	*s = arg;
	struct auth	*a = s->auth;
	struct cmd	*c = a->cmd;
	char		*text = a->held_text;
	uint16_t	 code = a->held_code;

	(void)fd;
	(void)what;
	a->held_text = NULL;
	auth_clear(s);
	session_phase(s, PH_READY);
	session_answer(c, code, span_str(text));
	free(text);
}

/* The client waits, and nothing of it is read meanwhile. */
static void
hold(struct session *s, struct cmd *c, uint16_t code, struct span text,
    int64_t ms)
{
	struct auth	*a = s->auth;
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	a->cmd = c;
	a->held_code = code;
	a->held_text = span_dup(text);
	a->timer = evtimer_new(session_base(), on_held, s);
	if (a->held_text == NULL || a->timer == NULL)
		fatal("auth");
	/* The server's part is over. */
	link_close(s->auth_link);
	s->auth_link = NULL;
	evtimer_add(a->timer, &tv);
}

/* words: what the client gets of it. */
static void
failed(struct session *s, struct cmd *c, uint16_t code, struct span text,
    struct span words, bool guess)
{
	struct auth	*a = s->auth;
	unsigned	 n;

	log_result(s, "failed", code, text);
	if (guess || a->over) {
		n = guess ? count_failure(s, a->user) : s->auth_failures + 1;
		hold(s, c, code, words, hold_ms(n));
		return;
	}
	auth_clear(s);
	session_phase(s, PH_READY);
	session_answer(c, code, words);
}

static void
succeeded(struct session *s, struct cmd *c, uint16_t code, struct span text,
    struct span words)
{
	struct auth	*a = s->auth;

	log_result(s, "ok", code, text);
	s->authed = true;
	s->layer = !sasl_says_who(span_str(a->mech));
	free(s->user);
	s->user = a->user;
	a->user = NULL;
	auth_clear(s);
	session_phase(s, PH_READY);
	session_answer(c, code, words);
}

/* RFC 4954, 4: 334, 235 or a refusal; behind a cancellation a refusal. */
static bool
makes_sense(const struct auth *a, uint16_t code)
{
	return code / 100 == 4 || code / 100 == 5 ||
	    (!a->cancelled && (code == 334 || code == 235));
}

void
auth_replied(struct session *s, struct cmd *c, uint16_t code, struct span text)
{
	struct auth	*a = s->auth;
	struct span	 words;
	struct buf	 b;
	bool		 guess;

	if (a == NULL)
		return;
	if (!makes_sense(a, code)) {
		log_result(s, "failed", code, text);
		if (!session_proxied(s)) {
			auth_clear(s);
			session_phase(s, PH_READY);
			session_reply(c, 454, NO_LOGIN);
			return;
		}
		/* Nobody knows what it takes the next line for. */
		session_fail(s, 421, span_str("4.7.0 The server's answer to "
		    "AUTH makes no sense"), "the server is no use");
		return;
	}
	if (code == 334) {
		session_answer(c, code, text);
		return;
	}
	buf_init(&b, SMTP_PLAIN_MAX);
	words = proxy_said(session_proxied(s) ? s->link : s->auth_link, code, text,
	    &b);
	guess = is_guess(a, code);
	if (a->code != 0) {
		code = a->code;
		text = words = span_str(a->text);
	}
	if (code == 235)
		succeeded(s, c, code, text, words);
	else
		failed(s, c, code, text, words, guess);
	buf_clear(&b);
}

void
auth_judged(struct session *s, struct cmd *c, uint16_t code, const char *text,
    struct span why)
{
	struct auth	*a = s->auth;
	struct span	 t = span_str(text);

	own_clear(s);
	dovecot_clear(s);
	a->why = why;
	if (code == 235)
		succeeded(s, c, code, t, t);
	else
		failed(s, c, code, t, t, code == 535);
}

bool
auth_name(struct session *s, const char *user)
{
	struct auth	*a = s->auth;

	if (user[0] != '\0') {
		free(a->user);
		if ((a->user = strdup(user)) == NULL)
			fatal("auth");
	}
	return a->user != NULL;
}

/* ---- what the client says -------------------------------------------------- */

/* The first response has the name. False: no more guesses by it. */
static bool
may_try(struct auth *a, struct span line)
{
	char	name[SASL_NAME_MAX + 1];

	if (a->said)
		return true;
	a->said = true;
	if (!sasl_name(span_str(a->mech), line, name))
		return true;
	if ((a->user = strdup(name)) == NULL)
		fatal("auth");
	a->over = !guess_may_try(name);
	return !a->over;
}

static void
no_server(struct session *s, struct cmd *c)
{
	failed(s, c, 454, span_str(NO_LOGIN), span_str(NO_LOGIN), false);
}

void
auth_begin(struct cmd *c, struct span mech, const struct span *initial)
{
	struct session	*s = c->s;
	struct auth	*a = calloc(1, sizeof(*a));

	if (a == NULL)
		fatal("auth");
	s->auth = a;
	span_cstr(mech, a->mech, sizeof(a->mech));
	session_hold(c);
	session_phase(s, PH_AUTH);
	if (initial != NULL && !may_try(a, *initial)) {
		failed(s, c, 454, span_str(TOO_MANY), span_str(TOO_MANY),
		    false);
		return;
	}
	if (session_proxied(s)) {
		link_auth(s->link, c, mech, initial != NULL, initial != NULL ?
		    *initial : span(NULL, 0));
		return;
	}
	if (dovecot_judges(s->listen)) {
		dovecot_begin(c, a->mech, initial);
		return;
	}
	if (s->listen->auth_users != NULL) {
		own_begin(c, a->mech, a->user, initial);
		return;
	}
	a->has_initial = initial != NULL;
	if (initial != NULL && (a->initial = span_dup(*initial)) == NULL)
		fatal("auth");
	if (!via_open(c))
		no_server(s, c);
}

void
auth_server(struct session *s, struct cmd *c)
{
	struct auth	*a = s->auth;

	link_auth(s->auth_link, c, span_str(a->mech), a->has_initial,
	    span_str(a->initial));
	secret_free(a->initial);
	a->initial = NULL;
}

void
auth_no_server(struct session *s, struct cmd *c)
{
	if (c != NULL)
		no_server(s, c);
}

/* On to the server, wherever it is. */
static void
pass(struct cmd *c, struct span line)
{
	struct session	*s = c->s;
	struct link	*l = session_proxied(s) ? s->link : s->auth_link;

	if (s->own != NULL)
		own_line(c, s->auth->user, line);
	else if (s->dove != NULL)
		dovecot_line(c, line);
	else if (l == NULL)
		no_server(s, c);
	else
		link_auth_line(l, c, line);
}

void
auth_bad_line(struct cmd *c, uint16_t code, const char *text)
{
	struct auth	*a = c->s->auth;

	session_hold(c);
	a->cancelled = true;
	a->code = code;
	a->text = text;
	/* A failure that was told by a challenge ends so, and is one. */
	if (c->s->dove != NULL && code == 0 && a->said &&
	    sasl_fails_by_challenge(span_str(a->mech)))
		auth_judged(c->s, c, 535, "5.7.8 Authentication credentials "
		    "invalid", span(NULL, 0));
	else if (c->s->own != NULL || c->s->dove != NULL)
		auth_judged(c->s, c, code != 0 ? code : 501, code != 0 ? text :
		    "5.7.0 Authentication cancelled", span(NULL, 0));
	else
		pass(c, span_str("*"));
}

void
auth_line(struct cmd *c, struct span line)
{
	struct auth	*a = c->s->auth;

	session_hold(c);
	if (span_is(line, "*")) {
		auth_bad_line(c, 0, NULL);
	} else if (!sasl_base64(line)) {
		auth_bad_line(c, 501, "5.5.2 This is no base64");
	} else if (!may_try(a, line)) {
		auth_bad_line(c, 454, TOO_MANY);
	} else
		pass(c, line);
}
