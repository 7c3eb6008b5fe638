/*
 * The servers that mail goes to, as the deliverds tell of them: in memory, for
 * those that are new, and for people. Nothing of it outlives queued; the
 * deliverds tell a new one all they know.
 */
#ifndef QUEUED_HOSTS_H
#define QUEUED_HOSTS_H

#include "common/ipc/codec.h"
#include "common/ipc/ctl.h"

#define HOSTS_KNOWN_MAX	4096	/* the quietest one that is up makes room */
#define HOSTS_AGENTS	64

/* What deliverd number `agent` says. True: the others are to hear of it. */
bool	 hosts_report(unsigned agent, const struct ipc_d_server *);
/* It is gone, with its connections. */
void	 hosts_gone(unsigned agent);
/* What a deliverd has to know: each one that is down. The message's spans live
 * until f returns. */
void	 hosts_down(void (*f)(const struct ipc_d_server_state *, void *),
	    void *arg);
/* The same of one. False: it is not known. */
bool	 hosts_state(const struct addr *, struct ipc_d_server_state *);
/* The verb "hosts". */
void	 hosts_list(struct ctl *, int argc, char **argv);
size_t	 hosts_count(void);
void	 hosts_forget(void);

#endif
