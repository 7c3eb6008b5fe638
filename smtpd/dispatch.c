/*
 * The table of verbs and phases. See dispatch.h.
 */
#include "smtpd/dispatch.h"

#include "common/base/log.h"
#include "smtpd/auth.h"
#include "smtpd/cmd.h"
#include "smtpd/tls.h"

#define NO_AUTH	"5.7.0 Authentication is required"
#define NO_TLS	"5.7.0 Must issue a STARTTLS command first"

/* GO, or why a verb can't come in a phase. */
enum turn { GO, HELLO, MAILF, RCPTF, NESTED, INTXN, CHUNK };

static const struct {
	uint16_t	 code;
	const char	*text;
} turns[] = {
	[HELLO] = { 503, "5.5.1 EHLO or HELO first" },
	[MAILF] = { 503, "5.5.1 MAIL first" },
	[RCPTF] = { 554, "5.5.1 No valid recipients" },
	[NESTED] = { 503, "5.5.1 The sender is already given" },
	[INTXN] = { 503, "5.5.1 Not during a mail transaction" },
	[CHUNK] = { 503, "5.5.1 Only BDAT, RSET, NOOP or QUIT between chunks" }
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
	/* Whose turn it is hangs on more than the phase. */
	[VERB_STARTTLS] = { cmd_starttls, GO, GO, GO, GO, GO },
	[VERB_XCLIENT] = { cmd_xclient, GO, GO, GO, GO, GO }
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

static void
log_error(const struct session *s, const char *what, struct span line)
{
	log_info("session=%s event=error what=\"%s\" line=%s", s->id, what,
	    log_quote(line));
}

/* A line that is none; within AUTH it ends the exchange, at the server too. */
static void
bad_line(struct session *s, const char *what, const char *text,
    const char *auth_text)
{
	log_error(s, what, span(NULL, 0));
	if (s->phase == PH_AUTH)
		auth_bad_line(session_cmd(s, VERB_AUTH), 500, auth_text);
	else
		session_reply(session_cmd(s, VERB_NONE), 500, "%s", text);
}

void
dispatch_long(struct session *s)
{
	/* RFC 4954, 6 */
	bad_line(s, "line too long", "5.5.2 The line is too long",
	    "5.5.6 The line is too long");
}

/* Nothing but CR LF ends a line (RFC 5321, 2.3.8). */
void
dispatch_bare(struct session *s)
{
	static const char	text[] =
	    "5.5.2 A bare CR or LF or a NUL; lines end with CR LF";

	bad_line(s, "bare CR, LF or NUL", text, text);
	if (++s->bare >= SESSION_BARE_MAX)
		session_fail(s, 421, span_str("4.7.0 Too many lines with a "
		    "bare CR or LF"), "bare CR or LF");
}

/* RFC 4954, 6: what may come before AUTH where it has to. */
static bool
needs_auth(enum smtp_verb v)
{
	switch (v) {
	case VERB_EHLO:
	case VERB_HELO:
	case VERB_AUTH:
	case VERB_NOOP:
	case VERB_RSET:
	case VERB_QUIT:
	case VERB_HELP:
	case VERB_STARTTLS:
	case VERB_XCLIENT:
		return false;
	default:
		return true;
	}
}

/* Does TLS or AUTH have to come before this one? The reply, or NULL. RFC 3207,
 * 4: what has to go without TLS, and what does no harm. */
static const char *
comes_too_early(const struct session *s, enum smtp_verb v)
{
	if (tls_needed(s) && (needs_auth(v) || v == VERB_AUTH))
		return NO_TLS;
	return auth_needed(s) && needs_auth(v) ? NO_AUTH : NULL;
}

void
dispatch_layer(struct session *s)
{
	log_error(s, "no SMTP behind AUTH: a security layer?", span(NULL, 0));
	session_fail(s, 421, span_str("4.7.0 No security layer can go through "
	    "here"), "a security layer");
}

void
dispatch(struct session *s, struct span line)
{
	struct smtp_command	 parsed;
	const struct row	*r;
	enum turn		 turn;
	const char		*early;
	struct cmd		*c;

	s->commands++;
	session_stats()->commands++;
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
	if (parsed.verb == VERB_NONE && s->layer) {
		dispatch_layer(s);
		return;
	}
	s->layer = false;
	if (parsed.verb == VERB_NONE) {
		/* Some go on with the password whatever AUTH was answered. */
		log_error(s, "unknown command", s->auth_said ? span(NULL, 0) :
		    parsed.word);
		session_reply(c, 500, "5.5.2 Unknown command");
	} else if ((early = comes_too_early(s, parsed.verb)) != NULL) {
		log_error(s, tls_needed(s) ? "not over TLS" :
		    "not authenticated", parsed.word);
		if (parsed.verb == VERB_BDAT)
			cmd_bdat_refuse(c, parsed.arg, 530, early);
		else
			session_reply(c, 530, "%s", early);
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

void
dispatch_again(struct cmd *c, struct span arg)
{
	rows[c->verb].run(c, arg);
}
