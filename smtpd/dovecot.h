/*
 * AUTH by users whom Dovecot's auth socket knows (`table … dovecot`): a
 * connection for each table and worker, on which the exchanges of all sessions
 * go over as they are (common/sasl/dovecot.h). The parent connects it. Part of
 * auth.h, which slows guessing down.
 */
#ifndef SMTPD_DOVECOT_H
#define SMTPD_DOVECOT_H

#include "common/proc/start.h"
#include "smtpd/session.h"

#define DOVECOT_RETRY_MS	1000	/* to connect again */
#define DOVECOT_REPLY_MS	60000	/* that an answer may take */
#define DOVECOT_ASKED_MAX	4096	/* exchanges at a time, of a worker */

/* All tables' servers are asked for as soon as the loop runs; a worker that
 * takes no passwords gets no answer. */
void	 dovecot_init(struct proc *, const struct conf *);
/* The parent's answer; fd is taken. */
void	 dovecot_socket(struct span table, int fd, struct span why);
/* Is this the way of the listener? */
bool	 dovecot_judges(const struct conf_listen *);
/* Mechanisms for clients of this listener, one space between; "": none is known. */
void	 dovecot_mechs(const struct conf_listen *, char to[512]);
/* auth.c has found the session able to; auth_judged() or a challenge follows. */
void	 dovecot_begin(struct cmd *, const char *mech,
	    const struct span *initial);
void	 dovecot_line(struct cmd *, struct span line);
/* The exchange ends, or the session. */
void	 dovecot_clear(struct session *);

#endif
