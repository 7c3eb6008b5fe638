/*
 * One AUTH exchange of a client (RFC 4954), whose password an actual server
 * judges, that of a proxied listener or the one that `auth via` names; or keyd,
 * which has users of our own (own.h). What goes over to a server is opaque, but
 * for the name that the client says; the password is looked at by nobody and
 * kept by nobody. Guessing is slowed down here, before it reaches the judge: a
 * failure's reply is held, and at the limits nobody is asked.
 */
#ifndef SMTPD_AUTH_H
#define SMTPD_AUTH_H

#include "smtpd/session.h"

#define AUTH_HOLD_MS	1000	/* a failure's reply; twice that the next … */
#define AUTH_HOLD_MAX_MS 10000	/* … and never more */

struct auth;

/* May MAIL and the like not come yet? RFC 4954, 6: 530. */
bool	 auth_needed(const struct session *);
/* The mechanisms of a server that clients of the listener may see, one space
 * between; to is as large as in struct smtp_caps. */
void	 auth_list(const struct conf_listen *, const char *mechs, char to[512]);
/* Begins; the session has been found able to. initial: NULL, or base64. */
void	 auth_begin(struct cmd *, struct span mech, const struct span *initial);
/* What the client says within it, and a line that is none: the exchange ends at
 * the server too, and this (static) is the reply; code 0: the server's own. */
void	 auth_line(struct cmd *, struct span line);
void	 auth_bad_line(struct cmd *, uint16_t code, const char *text);
/* The server's reply to the last line, or to its failing to come. */
void	 auth_replied(struct session *, struct cmd *, uint16_t code,
	    struct span text);
/* The same by keyd: 235, or why not; why is for the log, empty if text says it
 * all. Of the refusals 535 is one of the password. */
void	 auth_judged(struct session *, struct cmd *, uint16_t code,
	    const char *text, struct span why);
/* Who the client is, by the judge's word: before 235. False: it is nobody, who
 * has not said a name either. */
bool	 auth_name(struct session *, const char *user);
/* The server of `auth via`: it is there; it is gone. For via.c. */
void	 auth_server(struct session *, struct cmd *);
void	 auth_no_server(struct session *, struct cmd *);
/* The session ends. */
void	 auth_clear(struct session *);

#endif
