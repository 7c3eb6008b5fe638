/*
 * Archives of a message: which of the configuration's see it, and their
 * recipients among those that queued gets. What they see of the envelope is
 * made there, where all of it is known.
 */
#ifndef SMTPD_ARCHIVE_H
#define SMTPD_ARCHIVE_H

#include "common/ipc/chan.h"
#include "common/ipc/chan.h"
#include "smtpd/txn.h"

/* Does one of them see the message, or would if who is asked for is taken?
 * must: one that says so by `on-failure`. */
bool	 archive_wanted(const struct txn *, bool *must);
/* Content is to come: false if an archive that must see it can't. */
bool	 archive_possible(const struct txn *);
/* Sends the archives' recipients behind those of the message; n is the number
 * of the next one. */
void	 archive_send(const struct txn *,
	    void (*put)(void *, struct ipc_q_rcpt), void *arg, uint32_t n);

#endif
