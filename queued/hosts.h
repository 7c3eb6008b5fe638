/*
 * The servers that mail goes to, as the deliverds and proxyds tell of them: in
 * memory, for those that are new, and for people. Nothing of it outlives
 * queued; they tell a new one all they know.
 */
#ifndef QUEUED_HOSTS_H
#define QUEUED_HOSTS_H

#include "common/ipc/chan.h"

#define HOSTS_KNOWN_MAX	4096	/* the quietest one that is up makes room */
/* Who tells of them: the deliverds' numbers, and behind these the proxyds'. */
#define HOSTS_DELIVERDS	64
#define HOSTS_PROXYDS	64
#define HOSTS_AGENTS	(HOSTS_DELIVERDS + HOSTS_PROXYDS)

struct host {
	struct addr	 addr;
	char		 name[256], label[65], why[512], tls[300];
	char		 login[256], login_why[512];	/* why refused, or "" */
	uint32_t	 failures;
	int64_t		 since_ms, probe_ms, heard_ms;	/* monotonic */
	uint64_t	 delivered, failed;
	unsigned	 conns;			/* of all agents */
	uint16_t	 agent_conns[HOSTS_AGENTS];
};

/* Agent number `agent` is there: it is told of each server that is down, now
 * and when the others find out. */
void	 hosts_join(unsigned agent, struct chan *);
/* It is gone, with its connections. */
void	 hosts_gone(unsigned agent);
/* What it says; the others hear what is new. */
void	 hosts_heard(unsigned agent, const struct ipc_d_server *);
/* The same, noted only. True: it is new to the others. */
bool	 hosts_report(unsigned agent, const struct ipc_d_server *);
/* Whether it takes our login. */
void	 hosts_login(const struct ipc_d_login *);
/* What is to be told of one. The spans live until the next call of anything.
 * False: it is not known. */
bool	 hosts_state(const struct addr *, struct ipc_d_server_state *);
void	 hosts_each(void (*f)(const struct host *, void *), void *arg);
size_t	 hosts_count(void);
void	 hosts_forget(void);

#endif
