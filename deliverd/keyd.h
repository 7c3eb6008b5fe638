/*
 * deliverd's channel to keyd, which two have questions for: senders to be
 * rewritten (srs.h) and logins (login.h).
 */
#ifndef DELIVERD_KEYD_H
#define DELIVERD_KEYD_H

#include "common/proc/start.h"

void	 keyd_init(struct proc *);
/* A channel to keyd; the one before is dead. fd is taken. After srs_init() and
 * login_init(). */
void	 keyd_peer(uint16_t worker, int fd);

#endif
