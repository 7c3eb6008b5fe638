/*
 * The envelope and the header of a message from the options, the caller's
 * account and the header it came with.
 */
#ifndef POSTERNCTL_LETTER_H
#define POSTERNCTL_LETTER_H

#include "posternctl/intake.h"
#include "posternctl/sendmail.h"
#include "posternctl/submit.h"

#define LETTER_RCPTS_MAX	10000

struct letter {
	const char	*domain;	/* for addresses without one */
	struct intake	 in;
	struct buf	 head;		/* the header as it is sent */
	struct buf	 from;		/* as in MAIL FROM:<> */
	struct buf	 envid;		/* xtext */
	struct submission s;
	bool		 utf8;		/* an address needs SMTPUTF8 */
	char		 why[512];	/* set with a status other than 0 */
};
void	 letter_begin(struct letter *, const struct sendmail *,
	    const char *domain);
void	 letter_clear(struct letter *);
/* The envelope sender: -f, or user@domain. Gives a status of sysexits(3), as
 * all here. */
int	 letter_from(struct letter *, const char *from, const char *user);
/*
 * Adds recipients from a word of the command line, which may be a list with
 * names; one that is malformed becomes a refused recipient, one that is there
 * already is passed over.
 */
int	 letter_to(struct letter *, const char *word);
/* Reads the message from a descriptor. */
int	 letter_read(struct letter *, int fd);
/* -t: adds the recipients that the header names. */
int	 letter_extract(struct letter *);
/* Completes the header, with name (NULL or empty: none) in a From that is
 * missing, and what MAIL is to say. */
int	 letter_seal(struct letter *, const struct sendmail *,
	    const char *name);

#endif
