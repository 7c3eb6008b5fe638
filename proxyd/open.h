/*
 * How a link gets its server: its action's servers are found and tried in their
 * order until one greets (and, at rule level, knows EHLO).
 */
#ifndef PROXYD_OPEN_H
#define PROXYD_OPEN_H

#include "proxyd/link.h"

void	 open_init(struct proc *, const struct conf *, struct ask *);
/* A link that has just been made looks for a server. May free it. */
void	 open_start(struct link *);
/* Connects to the next address, or fails; a failure at once goes on to the one
 * after. */
void	 open_next(struct link *, uint16_t code, const char *why);
/* This address is of no use; another one may be. */
void	 open_unusable(struct link *, uint16_t code, const char *why);
/* There is a server: smtpd hears what it greets with (at rule level, that it is
 * ready). */
void	 open_up(struct link *, struct span greeting);
/* The server has greeted, and is as secret as it shall be: what comes next. */
void	 open_welcome(struct link *, struct span greeting);
/* Not 220, or no EHLO: the next server, or the last one's own words. */
void	 open_no_welcome(struct link *, const struct smtp_client_event *);
/* One that idle.h kept has been taken: it is up, or says EHLO. */
void	 open_kept(struct link *);
/* It has answered: it is as good as a new one. */
void	 open_proved(struct link *);
/* It was dead: a new connection, and what it was asked is asked there. */
void	 open_again(struct link *, const char *why);
/* A reply of a server that is not up yet. */
void	 open_reply(struct link *, const struct smtp_client_event *);

#endif
