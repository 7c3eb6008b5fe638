/*
 * Listening sockets: accept(2), limits on sessions, and nothing of SMTP but the
 * 421 for who may not come in.
 */
#ifndef SMTPD_LISTENER_H
#define SMTPD_LISTENER_H

#include "common/proc/start.h"
#include "smtpd/session.h"

#define LISTENER_BATCH	8	/* accepted in one pass of the loop */
#define LISTENER_REST_MS 100	/* at a limit of the system's */
#define LISTENER_FULL_MS 60000	/* between two lines that say so */

void	 listener_init(struct proc *, const struct conf *);
/* Takes fd. */
void	 listener_add(uint16_t index, const struct addr *, int fd);
void	 listener_pause(uint16_t index, bool on);
/* Certificates are there: a listener with `pki` accepts from now on. */
void	 listener_certified(void);
/* Closes all: nothing new is taken. */
void	 listener_close_all(void);
/* Who the client is has become known: a session begins, if it may. Takes fd. */
void	 listener_enter(const struct conf_listen *, const struct origin *,
	    int fd);
/* A session, or a connection that was to be one, has ended. */
void	 listener_session_gone(const struct session *);
void	 listener_room(void);

#endif
