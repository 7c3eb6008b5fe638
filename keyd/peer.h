/*
 * What other daemons may ask of keyd, each over a channel of its own: senders
 * rewritten by deliverd's question, and found again by smtpd's; what deliverd
 * has to say to log in at another server; and smtpd's signatures of TLS
 * handshakes.
 */
#ifndef KEYD_PEER_H
#define KEYD_PEER_H

#include "common/proc/start.h"
#include "keyd/set.h"

/* Of proc_ops: a channel; fd is taken. */
void	 peer_add(struct proc *, enum ipc_role, uint16_t worker,
	    const char *title, int fd);
/* The secrets in force, and those before them, whose keys sign until handshakes
 * that were begun with them are over. Borrowed until the next call; either may
 * be NULL. */
void	 peer_set(const struct set *, const struct set *before);

struct peer_counts {			/* since this keyd began */
	uint64_t	 senders;	/* rewritten and found again */
	uint64_t	 signatures;
	uint64_t	 logins;	/* at other servers, begun */
	uint64_t	 refusals;	/* of signatures */
};
const struct peer_counts *peer_counts(void);

#endif
