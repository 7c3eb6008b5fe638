/*
 * This worker's channel to keyd, which several have questions for: senders that
 * were rewritten (srs.h), certificates and signatures (pki.h).
 */
#ifndef SMTPD_KEYD_H
#define SMTPD_KEYD_H

#include "common/proc/start.h"

void	 keyd_init(struct proc *);
/* A channel to keyd; the one before is dead. fd is taken. */
void	 keyd_peer(uint16_t worker, int fd);

#endif
