/*
 * Questions to lookupd: who asks gives a callback, which is called once with
 * the answer. Questions outlive a lookupd that dies: they are asked again of
 * the next one, and answered by "no answer" when they have become too old.
 */
#ifndef LOOKUP_ASK_H
#define LOOKUP_ASK_H

#include "common/dns/answer.h"
#include "common/proc/start.h"

#define ASK_MAX		4096	/* questions outstanding */
#define ASK_RRS_MAX	40	/* records kept of one answer */
#define ASK_TIMEOUT_MS	30000

struct ask;

struct ask_rr {
	uint16_t	 pref;			/* MX */
	struct addr	 addr;			/* A, AAAA */
	char		 name[DNS_NAME_MAX + 1];/* MX, PTR, CNAME */
	struct span	 text;			/* TXT, TLSA */
};
/* Borrowed until the callback returns. */
struct ask_answer {
	enum dns_status	 status;
	uint32_t	 ttl;
	bool		 ad;
	char		 canon[DNS_NAME_MAX + 1];/* where a chain of CNAMEs
						 * ended; "": no alias */
	size_t		 n;
	const struct ask_rr *rr;
};

/* role: our own. */
struct ask *ask_new(struct proc *, enum ipc_role role);
/* A channel to a lookupd (proc_ops.peer); the one before is dead. Takes fd. */
void	 ask_peer(struct ask *, uint16_t worker, int fd);
/* Number of the question, or 0: too many, or no name that may be asked. done is
 * never called from within. */
uint32_t ask_send(struct ask *, enum dns_type, const char *name,
	    void (*done)(void *arg, const struct ask_answer *), void *arg);
/* done is not called any more. 0 and numbers that are gone are passed over. */
void	 ask_cancel(struct ask *, uint32_t);

#endif
