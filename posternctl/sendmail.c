/*
 * sendmail: one message from standard input to the gateway; and the choice
 * among the other things that the name stands for. Nothing here has more rights
 * than the caller.
 */
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/letter.h"
#include "posternctl/places.h"
#include "posternctl/sendmail.h"
#include "posternctl/undelivered.h"

#include "common/smtp/path.h"

#define MAILNAME	"/etc/mailname"	/* Debian Policy, 11.6 */

/* ---- who and where ------------------------------------------------------- */

static bool
good_domain(const char *name)
{
	const char	*why;

	return name[0] != '\0' && name[0] != '[' &&
	    smtp_domain_parse(span_str(name), true, &why) == PARSE_OK;
}

static bool
mailname(char *dst, size_t size)
{
	FILE	*f = fopen(MAILNAME, "re");
	bool	 ok;

	if (f == NULL)
		return false;
	ok = fgets(dst, (int)size, f) != NULL;
	fclose(f);
	if (ok)
		dst[strcspn(dst, " \t\r\n")] = '\0';
	return ok && good_domain(dst);
}

void
sendmail_domain(char *dst, size_t size)
{
	const struct addrinfo	 hints = { .ai_flags = AI_CANONNAME };
	struct addrinfo		*res = NULL;

	if (mailname(dst, size))
		return;
	dst[0] = dst[size - 1] = '\0';
	if (gethostname(dst, size - 1) == 0 && strchr(dst, '.') == NULL &&
	    getaddrinfo(dst, NULL, &hints, &res) == 0 && res != NULL &&
	    res->ai_canonname != NULL && good_domain(res->ai_canonname))
		strlcpy(dst, res->ai_canonname, size);
	if (res != NULL)
		freeaddrinfo(res);
	if (!good_domain(dst))
		strlcpy(dst, "localhost", size);
}

/* The name in the user's GECOS: its first part, "&" is the login's name. */
static void
gecos_name(const struct passwd *pw, char *dst, size_t size)
{
	size_t	n = 0;

	dst[0] = '\0';
	for (const char *p = pw->pw_gecos; *p != '\0' && *p != ','; p++) {
		if (n + 2 + strlen(pw->pw_name) >= size)
			break;
		if (*p != '&') {
			dst[n++] = *p;
			dst[n] = '\0';
			continue;
		}
		strlcpy(dst + n, pw->pw_name, size - n);
		if (dst[n] >= 'a' && dst[n] <= 'z')
			dst[n] = (char)(dst[n] - 'a' + 'A');
		n += strlen(dst + n);
	}
}

/* ---- the end ------------------------------------------------------------- */

static void
say(const struct sendmail *o, const char *what, const char *more)
{
	if (o->tell != TELL_QUIET)
		fprintf(stderr, "sendmail: %s%s%s\n", what, more[0] != '\0' ?
		    ": " : "", more);
}

/* The status of the first refusal, and all of them said. */
static int
refusals(const struct sendmail *o, const struct submission *s)
{
	int	st = 0;

	for (size_t i = 0; i < s->nrcpts; i++) {
		const struct submit_rcpt *r = &s->rcpts[i];

		if (r->state != RCPT_REFUSED)
			continue;
		say(o, r->addr, r->reply != NULL ? r->reply : "refused");
		if (st == 0)
			st = submit_status(r);
	}
	return st;
}

static void
keep(const struct sendmail *o, const struct undelivered *u)
{
	char		 path[4096];
	const char	*why = "";

	if (dead_letter(u, path, sizeof(path), &why))
		say(o, "the message is in", path);
	else {
		say(o, path, why);
		say(o, "the message could not be kept", "");
	}
}

static int
finish(const struct sendmail *o, const struct letter *l)
{
	const struct submission	*s = &l->s;
	struct undelivered	 u = { .head = buf_content(&l->in.head),
	    .body = &l->in.body, .from = s->from,
	    .domain = l->domain, .s = s };
	bool			 mail = o->tell == TELL_MAIL ||
	    o->tell == TELL_BERKNET, saved = false;
	int			 st = refusals(o, s);

	if (submit_count(s, RCPT_WAITING) > 0) {
		say(o, "the mail gateway does not take the message now",
		    s->why);
		saved = true;
	}
	if (submit_count(s, RCPT_DOUBT) > 0) {
		say(o, "the gateway had the whole message, but its answer was "
		    "lost", s->why);
		say(o, "it may have been sent, and is not sent again", "");
		saved = true;
	}
	if (st != 0 && mail && !undelivered_mail(&u))
		saved = true;
	if (saved)
		keep(o, &u);
	if (submit_count(s, RCPT_WAITING) + submit_count(s, RCPT_DOUBT) > 0)
		st = EX_TEMPFAIL;
	return o->tell == TELL_BERKNET ? 0 : st;
}

/* ---- sending ------------------------------------------------------------- */

static int
prepare(const struct sendmail *o, struct letter *l)
{
	const struct passwd	*pw = getpwuid(getuid());
	char			 user[32], name[256] = "";
	int			 st;

	snprintf(user, sizeof(user), "%lu", (unsigned long)getuid());
	if (pw != NULL)
		gecos_name(pw, name, sizeof(name));
	/* A name from passwd(5) is its owner's, not that of another sender. */
	if (o->from != NULL)
		name[0] = '\0';
	if ((st = letter_from(l, o->from, pw != NULL ? pw->pw_name :
	    user)) != 0)
		return st;
	for (int i = 0; i < o->argc; i++)
		if ((st = letter_to(l, o->argv[i])) != 0)
			return st;
	if ((st = letter_read(l, STDIN_FILENO)) != 0)
		return st;
	if (o->extract && (st = letter_extract(l)) != 0)
		return st;
	return letter_seal(l, o, o->name != NULL ? o->name : name);
}

static int
send_one(const struct sendmail *o)
{
	struct letter	 l;
	char		 domain[256];
	int		 st;

	if (o->argc == 0 && !o->extract) {
		fprintf(stderr, "sendmail: no recipients: name them, or give "
		    "-t\n");
		return EX_USAGE;
	}
	sendmail_domain(domain, sizeof(domain));
	letter_begin(&l, o, domain);
	if ((st = prepare(o, &l)) != 0) {
		say(o, l.why, "");
	} else {
		submit(&l.s);
		st = finish(o, &l);
	}
	letter_clear(&l);
	return st;
}

bool
sendmail_named(const char *name)
{
	return strcmp(name, "sendmail") == 0 || strcmp(name, "mailq") == 0 ||
	    strcmp(name, "newaliases") == 0;
}

int
sendmail_main(const char *name, int argc, char **argv)
{
	struct sendmail	 o;
	struct conf_places places;
	const char	*why = "";
	char		 opt = '\0';
	int		 st;

	signal(SIGPIPE, SIG_IGN);
	if ((st = sendmail_options(&o, name, argc, argv, &why, &opt)) != 0) {
		fprintf(stderr, "%s: -%c: %s\n", name, opt, why);
		return st;
	}
	if (o.place.dir == NULL) {
		places_find(o.conf, &places);
		o.place = (struct link_place){ places.control,
		    places.submission };
	}
	switch (o.job) {
	case JOB_SEND:
		return send_one(&o);
	case JOB_SMTP:
		return sendmail_smtp(&o);
	case JOB_LIST:
		return sendmail_list(&o);
	case JOB_RUN:
		return sendmail_run(&o);
	case JOB_ALIASES:
		/* Tables are read when they change: nothing is to be made. */
		return 0;
	}
	return EX_SOFTWARE;
}
