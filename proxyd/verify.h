/*
 * Recipient verification: whether a server knows a recipient is asked with MAIL
 * FROM:<>, RCPT TO and RSET, for many questions over a few connections that are
 * kept for the next ones. A destination is an action and its target; what
 * became of the last connection to it is remembered for seconds.
 *
 * A connection:
 *	CONNECT ─▶ GREETING ─▶ HELLO ─▶ IDLE ─▶ BATCH ─▶ RESET ─▶ IDLE
 *	   ▲  next server │       │        └─ too many refusals, or too long: QUIT
 *	   └──────────────┴───────┘
 */
#ifndef PROXYD_VERIFY_H
#define PROXYD_VERIFY_H

#include "common/ipc/chan.h"
#include "common/lookup/find.h"
#include "common/proc/start.h"

#define VERIFY_BATCH	5		/* recipients of one transaction */
/* After so many refusals a connection is given up: servers slow down, or hang
 * up on, who asks for many that are not there (Postfix: 10, 20). */
#define VERIFY_REFUSALS	5
#define VERIFY_CONNS	4		/* to one destination */
#define VERIFY_CONNS_ALL 64		/* boot.c plans descriptors for them */
#define VERIFY_WAITING	500		/* questions of one destination */
#define VERIFY_QUESTIONS 2000		/* of all */
#define VERIFY_DESTS	500		/* remembered */
#define VERIFY_CONNECT_MS 5000		/* for one address */
#define VERIFY_HELLO_MS	10000		/* for its greeting and reply to EHLO */
#define VERIFY_OPEN_MS	15000		/* no other one is begun then */
#define VERIFY_REPLY_MS	15000
#define VERIFY_WAIT_MS	30000		/* for a question in all */
#define VERIFY_IDLE_MS	30000		/* a connection is kept so long */
#define VERIFY_UP_MS	10000		/* it was there: so it is */
#define VERIFY_DOWN_MS	5000		/* it was not: neither is it */

void	 verify_init(struct proc *, const struct conf *, struct ask *);
/* p_verify's handler. */
void	 verify_ask(struct chan *, const void *msg, int fd);
/* The channel is gone: what it asked is of no interest. */
void	 verify_gone(const struct chan *);
size_t	 verify_conns(void);
size_t	 verify_questions(void);

#endif
