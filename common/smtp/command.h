/*
 * An SMTP command line: verb and argument (RFC 5321, 4.1.1). The verb table is
 * the only list of verbs.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "common/base/span.h"

enum smtp_verb {
	VERB_NONE,		/* none we know */
	VERB_EHLO, VERB_HELO, VERB_MAIL, VERB_RCPT, VERB_DATA, VERB_BDAT,
	VERB_RSET, VERB_NOOP, VERB_QUIT, VERB_VRFY, VERB_EXPN, VERB_HELP,
	VERB_AUTH, VERB_STARTTLS, VERB_XCLIENT,
	VERB_MAX
};

struct smtp_command {
	enum smtp_verb	 verb;
	struct span	 word;		/* the verb as it came */
	struct span	 arg;		/* behind one or more spaces, trimmed */
};

/* A line without CRLF. Always fills the struct; false for an empty verb. */
bool	 smtp_command_parse(struct span line, struct smtp_command *);
const char *smtp_verb_name(enum smtp_verb);	/* "MAIL" */
/* BDAT SP size [SP LAST] (RFC 3030, 2). */
enum parse smtp_bdat_parse(struct span arg, uint64_t *size, bool *last,
	    const char **why);
/* Domain or address literal of EHLO; HELO takes all but space and control. */
enum parse smtp_helo_parse(struct span arg, bool ehlo, const char **why);

#endif
