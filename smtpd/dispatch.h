/*
 * Whose turn it is: one table, verb by phase, looked at before any command runs,
 * so that none of them asks whether it may (RFC 5321, 4.1.4). No hole: each pair
 * is the command or a reply.
 */
#ifndef SMTPD_DISPATCH_H
#define SMTPD_DISPATCH_H

#include "smtpd/session.h"

/* One line without its CR LF: a command, or what the client says within AUTH. */
void	 dispatch(struct session *, struct span line);
/* A command that waited for its server runs. */
void	 dispatch_again(struct cmd *, struct span arg);
/* Lines that are none: longer than allowed; with a bare CR, LF or NUL. */
void	 dispatch_long(struct session *);
void	 dispatch_bare(struct session *);

#endif
