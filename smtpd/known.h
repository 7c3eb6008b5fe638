/*
 * A recipient's RCPT waits until he, or those that he stands for, have been
 * verified (verify.h), each with each action that gets a copy. Others of the
 * session go on meanwhile, replies keep their order, and content waits for all
 * of them.
 */
#ifndef SMTPD_KNOWN_H
#define SMTPD_KNOWN_H

#include "smtpd/txn.h"

/* True: the recipient's action verifies, and the command is answered, now or
 * later. False: nothing is to be verified. */
bool	 known_rcpt(struct txn *, struct rcpt *, struct cmd *);
/* The session is over: nobody is told any more. */
void	 known_gone(struct session *);

#endif
