/*
 * Does an actual server take mail for anybody, because it is the gateway that
 * asks? A recipient that nobody has is put to each server of an action by the
 * connections of verify.h: MAIL FROM:<>, RCPT TO, RSET, never DATA.
 */
#ifndef PROXYD_RELAYTEST_H
#define PROXYD_RELAYTEST_H

#include "common/ipc/chan.h"
#include "common/lookup/find.h"
#include "common/proc/start.h"

/* RFC 6761, 6.4: no such domain will ever be. */
#define RELAYTEST_RCPT	"postern-relay-test@relay-test.invalid"
#define RELAYTEST_MAX	200	/* actions under test, of all smtpds */

void	 relaytest_init(struct proc *, const struct conf *, struct ask *);
/* p_relay's handler. */
chan_handler relaytest_ask;
/* The channel is gone: what it asked is of no interest. */
void	 relaytest_gone(const struct chan *);

#endif
