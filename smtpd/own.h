/*
 * AUTH by users of our own (`auth <T>`): the exchange with the client here, the
 * passwords with keyd. Part of auth.h, which slows guessing down.
 */
#ifndef SMTPD_OWN_H
#define SMTPD_OWN_H

#include "smtpd/session.h"

/* auth.c has found the session able to, and user in what the client said first:
 * NULL, there was none. initial: NULL, or base64. */
void	 own_begin(struct cmd *, const char *mech, const char *user,
	    const struct span *initial);
/* What the client says within it, base64; user as above. */
void	 own_line(struct cmd *, const char *user, struct span line);
/* The exchange ends, or the session. */
void	 own_clear(struct session *);

#endif
