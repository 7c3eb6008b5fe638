/*
 * What becomes of a message that the gateway did not take: a letter to its
 * sender, or a place in dead.letter.
 */
#ifndef POSTERNCTL_UNDELIVERED_H
#define POSTERNCTL_UNDELIVERED_H

#include "posternctl/submit.h"

struct undelivered {
	struct span	 head;		/* as it came in, canonical */
	const struct spill *body;
	struct span	 from;		/* envelope; empty: the null sender */
	const char	*domain;	/* this machine's */
	const struct submission *s;	/* what was tried */
};
/*
 * Appends the message to dead.letter in the caller's home, in the manner of
 * mbox, for its owner alone; through no link, into nobody else's folder. path
 * gets its name. False: *why says what is wrong.
 */
bool	 dead_letter(const struct undelivered *, char *path, size_t size,
	    const char **why);
/* Mails the refusals and the message to its sender. False: it was not taken. */
bool	 undelivered_mail(const struct undelivered *);

#endif
