/*
 * What other daemons may ask of keyd, each over a channel of its own: senders
 * rewritten by deliverd's question, and found again by smtpd's; what deliverd
 * has to say to log in at another server.
 */
#ifndef KEYD_PEER_H
#define KEYD_PEER_H

#include "common/proc/start.h"
#include "keyd/set.h"

/* Of proc_ops: a channel; fd is taken. */
void	 peer_add(struct proc *, enum ipc_role, uint16_t worker,
	    const char *title, int fd);
/* The secrets in force, borrowed until the next call; NULL: none. */
void	 peer_set(const struct set *);
/* Senders rewritten and found again, since this keyd began. */
uint64_t peer_count(void);
/* Logins at other servers that were begun. */
uint64_t peer_logins(void);

#endif
