/*
 * sendmail, mailq and newaliases: what posternctl is under these names. The
 * parts: options, the message as it comes in (intake.h), envelope and header
 * (letter.h), handing it to the gateway (submit.h), and what becomes of one that
 * is not taken (undelivered.h).
 */
#ifndef POSTERNCTL_SENDMAIL_H
#define POSTERNCTL_SENDMAIL_H

#include <stdio.h>

#include "posternctl/link.h"

#include "common/smtp/param.h"

#define RETRY_MS	60000	/* how long a gateway that is away is tried */

/* What the program is to do. */
enum sendmail_job {
	JOB_SEND, JOB_SMTP, JOB_LIST, JOB_ALIASES, JOB_RUN
};
/* Who is told of a message that is refused (-oe, -e). */
enum sendmail_tell {
	TELL_PRINT,	/* p: standard error and the exit status */
	TELL_MAIL,	/* m, w: a message to the sender as well */
	TELL_BERKNET,	/* e: the same, and the exit status is 0 */
	TELL_QUIET	/* q: the exit status alone */
};
struct sendmail {
	enum sendmail_job	 job;
	enum sendmail_tell	 tell;
	bool			 extract;	/* -t */
	bool			 dots;		/* a line "." is the end */
	bool			 verbose;
	bool			 every;		/* -q with an interval */
	const char		*from;		/* -f, -r; NULL: the user */
	const char		*name;		/* -F; NULL: from passwd(5) */
	const char		*envid;		/* -V, plain text */
	uint8_t			 notify;	/* enum smtp_notify */
	enum smtp_ret		 ret;
	const char		*conf;		/* -C, if there is no -s */
	struct link_place	 place;		/* all NULL: as conf says */
	int64_t			 retry_ms;
	int			 argc;		/* recipients */
	char		       **argv;
};
/*
 * Reads the arguments of the program of that name ("sendmail", "mailq",
 * "newaliases"); argv[0] is passed over. What is borrowed lives as long as
 * argv. 0, or EX_USAGE or EX_UNAVAILABLE when *why (a static string) and *opt
 * (the option's letter) say what cannot be done.
 */
int	 sendmail_options(struct sendmail *, const char *name, int argc,
	    char **argv, const char **why, char *opt);

/* Is posternctl called by one of the names? Then what it is to exit with. */
bool	 sendmail_named(const char *name);
int	 sendmail_main(const char *name, int argc, char **argv);

/* The machine's name for addresses without a domain: /etc/mailname, else its
 * own full name. dst of size bytes. */
void	 sendmail_domain(char *dst, size_t size);

/* -bs: standard input and output are an SMTP session. */
int	 sendmail_smtp(const struct sendmail *);
/* -bp, mailq. */
int	 sendmail_list(const struct sendmail *);
/* -q: another try for all that waits, if the user may. */
int	 sendmail_run(const struct sendmail *);

#endif
