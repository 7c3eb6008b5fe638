/*
 * The table of verbs and phases. See dispatch.h.
 */
#include "smtpd/dispatch.h"

#include "common/base/log.h"
#include "smtpd/cmd.h"

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
	/* Whose turn it is hangs on more than the phase. */
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
bad_line(struct session *s, const char *what, const char *text)
{
	log_error(s, what, span(NULL, 0));
	if (s->phase == PH_AUTH)
		cmd_auth_line(session_cmd(s, VERB_AUTH), span_str("*"));
	else
		session_reply(session_cmd(s, VERB_NONE), 500, "%s", text);
}

void
dispatch_long(struct session *s)
{
	bad_line(s, "line too long", "5.5.2 The line is too long");
}

/* Nothing but CR LF ends a line (RFC 5321, 2.3.8). */
void
dispatch_bare(struct session *s)
{
	bad_line(s, "bare CR, LF or NUL",
	    "5.5.2 A bare CR or LF or a NUL; lines end with CR LF");
	if (++s->bare >= SESSION_BARE_MAX)
		session_fail(s, 421, span_str("4.7.0 Too many lines with a "
		    "bare CR or LF"), "bare CR or LF");
}

void
dispatch(struct session *s, struct span line)
{
	struct smtp_command	 parsed;
	const struct row	*r;
	enum turn		 turn;
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
	if (parsed.verb == VERB_NONE) {
		/* Some go on with the password whatever AUTH was answered. */
		log_error(s, "unknown command", s->auth_said ? span(NULL, 0) :
		    parsed.word);
		session_reply(c, 500, "5.5.2 Unknown command");
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
