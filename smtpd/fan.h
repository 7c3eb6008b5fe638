/*
 * Several live servers, and the queue, in one transaction (`on-conflict
 * fan-out`). Each recipient is answered by his own server; the content goes to
 * all at the pace of the slowest, and to queued, which has it durable
 * (prepare.h) before the first server gets the dot. If that one refuses nothing
 * was delivered anywhere; once it has taken the message it is ours to finish.
 */
#ifndef SMTPD_FAN_H
#define SMTPD_FAN_H

#include "smtpd/handoff.h"
#include "smtpd/link.h"

#define FAN_WAYS	15	/* live ones; the first is the transaction's */

struct fan;
/* A recipient whose way is not the transaction's. The command is answered, now
 * or later. */
void	 fan_rcpt(struct txn *, struct rcpt *, struct cmd *,
	    const struct conf_action *);
/* The transaction has more than one way from here on. False: no memory. */
bool	 fan_start(struct txn *);
/* Is the action that of a way which it has beside its own? */
bool	 fan_has(const struct txn *, const struct conf_action *);
/* A recipient was decided: content may wait for it. */
void	 fan_decided(struct txn *);
/* The transaction is over; its links are closed. */
void	 fan_end(struct txn *);
/* How often servers have refused content; for tests. */
void	 fan_forget(void);

#endif
