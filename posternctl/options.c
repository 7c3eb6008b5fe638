/*
 * The options of sendmail(8) as programs give them: grouped, attached or apart.
 * What only changes how another sendmail works inside is read and passed over;
 * what would change what becomes of the message and is not done here is an
 * error, so that nobody takes it for done.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/sendmail.h"

#include "common/base/clock.h"

/* "+": the first word that is no option begins the recipients. */
#define OPTIONS	"+:7A:B:b:C:d::e:F:f:Gh:IiL:mN:nO:o:p:q::R:r:s:tUV:vX:"

static int
option_b(struct sendmail *s, const char *arg, const char **why)
{
	if (arg[0] == '\0' || arg[1] != '\0')
		arg = "?";
	switch (arg[0]) {
	case 'm':
		s->job = JOB_SEND;
		return 0;
	case 's':
		s->job = JOB_SMTP;
		return 0;
	case 'p':
		s->job = JOB_LIST;
		return 0;
	case 'i':
		s->job = JOB_ALIASES;
		return 0;
	case 'd':
	case 'D':
		*why = "the server is postern(8), started by the system";
		return EX_UNAVAILABLE;
	case 'v':
		*why = "addresses are not verified without sending";
		return EX_UNAVAILABLE;
	case 't':
		*why = "there is no address test mode";
		return EX_UNAVAILABLE;
	default:
		*why = "no such mode";
		return EX_USAGE;
	}
}

static int
option_e(struct sendmail *s, const char *arg, const char **why)
{
	switch (arg[0]) {
	case 'p':
		s->tell = TELL_PRINT;
		break;
	case 'm':
	case 'w':
		s->tell = TELL_MAIL;
		break;
	case 'e':
		s->tell = TELL_BERKNET;
		break;
	case 'q':
		s->tell = TELL_QUIET;
		break;
	default:
		*why = "errors go by p, m, w, e or q";
		return EX_USAGE;
	}
	return 0;
}

/* -O Name=value; those of our own meaning, the others are passed over. */
static int
option_long(struct sendmail *s, const char *arg, const char **why)
{
	const char	*value = strchr(arg, '=');
	struct span	 name = span(arg, value != NULL ?
	    (size_t)(value - arg) : strlen(arg));

	value = value != NULL ? value + 1 : "";
	if (span_caseis(name, "IgnoreDots")) {
		s->dots = strchr("fFnN0", value[0]) != NULL && value[0] != '\0';
	} else if (span_caseis(name, "ErrorMode")) {
		return option_e(s, value, why);
	} else if (span_caseis(name, "Timeout.connect") &&
	    !clock_parse_duration(value, &s->retry_ms)) {
		*why = "Timeout.connect is a time, as 60s";
		return EX_USAGE;
	}
	return 0;
}

/* -o and a letter, with a value attached. */
static int
option_o(struct sendmail *s, const char *arg, const char **why)
{
	switch (arg[0]) {
	case 'i':
		s->dots = false;
		return 0;
	case 'e':
		return option_e(s, arg + 1, why);
	case 'v':
		s->verbose = true;
		return 0;
	default:
		return 0;
	}
}

static int
option_notify(struct sendmail *s, const char *arg, const char **why)
{
	static const struct { const char *word; uint8_t bit; } words[] = {
		{ "never", NOTIFY_NEVER }, { "success", NOTIFY_SUCCESS },
		{ "failure", NOTIFY_FAILURE }, { "delay", NOTIFY_DELAY }
	};
	struct span	 in = span_str(arg), w;
	size_t		 i;

	s->notify = 0;
	while (span_word(&in, ",", &w)) {
		for (i = 0; i < 4 && !span_caseis(span_trim(w), words[i].word);
		    i++)
			;
		if (i == 4) {
			s->notify = 0;
			break;
		}
		s->notify |= words[i].bit;
	}
	if (s->notify == 0 || ((s->notify & NOTIFY_NEVER) != 0 &&
	    s->notify != NOTIFY_NEVER)) {
		*why = "never, or some of success, failure and delay";
		return EX_USAGE;
	}
	return 0;
}

static int
option_ret(struct sendmail *s, const char *arg, const char **why)
{
	if (span_caseis(span_str(arg), "full"))
		s->ret = RET_FULL;
	else if (span_caseis(span_str(arg), "hdrs"))
		s->ret = RET_HDRS;
	else {
		*why = "what a notification returns is full or hdrs";
		return EX_USAGE;
	}
	return 0;
}

/* 8BITMIME is what is sent by itself when it is needed. */
static int
option_body(const char *arg, const char **why)
{
	if (span_caseis(span_str(arg), "7bit") ||
	    span_caseis(span_str(arg), "8bitmime"))
		return 0;
	*why = "the body is 7BIT or 8BITMIME";
	return EX_USAGE;
}

static void
option_q(struct sendmail *s, const char *arg)
{
	s->job = JOB_RUN;
	s->every = arg != NULL && arg[0] >= '0' && arg[0] <= '9';
}

static int
option(struct sendmail *s, int ch, const char *arg, const char **why)
{
	switch (ch) {
	case 'B':
		return option_body(arg, why);
	case 'C':
		s->conf = arg;
		return 0;
	case 'b':
		return option_b(s, arg, why);
	case 'e':
		return option_e(s, arg, why);
	case 'F':
		s->name = arg;
		return 0;
	case 'f':
	case 'r':
		s->from = arg;
		return 0;
	case 'I':
		s->job = JOB_ALIASES;
		return 0;
	case 'i':
		s->dots = false;
		return 0;
	case 'N':
		return option_notify(s, arg, why);
	case 'O':
		return option_long(s, arg, why);
	case 'o':
		return option_o(s, arg, why);
	case 'q':
		option_q(s, arg);
		return 0;
	case 'R':
		return option_ret(s, arg, why);
	case 's':
		s->place = (struct link_place){ .dir = arg };
		return 0;
	case 't':
		s->extract = true;
		return 0;
	case 'V':
		s->envid = arg;
		return 0;
	case 'v':
		s->verbose = true;
		return 0;
	case ':':
		*why = "it needs an argument";
		return EX_USAGE;
	case '?':
		*why = "no such option";
		return EX_USAGE;
	default:	/* 7 A d G h L m n p U X */
		return 0;
	}
}

int
sendmail_options(struct sendmail *s, const char *name, int argc, char **argv,
    const char **why, char *opt)
{
	int	ch, st;

	*s = (struct sendmail){ .dots = true, .conf = CONFFILE,
	    .retry_ms = RETRY_MS };
	if (strcmp(name, "mailq") == 0)
		s->job = JOB_LIST;
	else if (strcmp(name, "newaliases") == 0)
		s->job = JOB_ALIASES;
	opterr = 0;
	optind = 0;	/* a test reads many */
	while ((ch = getopt(argc, argv, OPTIONS)) != -1) {
		*opt = (char)(ch == '?' || ch == ':' ? optopt : ch);
		if ((st = option(s, ch, optarg, why)) != 0)
			return st;
	}
	s->argc = argc - optind;
	s->argv = argv + optind;
	return 0;
}
