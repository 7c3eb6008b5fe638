/*
 * Success that an actual server without DSN tells nobody of (RFC 3461, 5.2.2:
 * who passes a recipient with NOTIFY=SUCCESS on to one has to tell the sender
 * himself). The message of such a recipient is prepared in queued (fan.h), which
 * tells the sender once the server has taken it. The rest needs nothing: without
 * NOTIFY a server tells of failures, what it refuses is told by its reply, and to
 * leave ENVID, RET and ORCPT away, or NEVER unheard, is what the RFC allows.
 */
#ifndef SMTPD_NOTIFY_H
#define SMTPD_NOTIFY_H

#include "smtpd/link.h"
#include "smtpd/txn.h"

/* May DSN be announced where the server lacks it: is queued there, and does any
 * rule give mail a way? */
bool	 notify_offered(void);
/* Why this recipient can't be told of at the link's server; NULL: he can be, or
 * need not. The text is static. */
const char *notify_refused(const struct link *, const struct txn *,
	    const struct rcpt *, uint16_t *code);
/* Is success to be told by us to somebody whom the transaction's own server has
 * taken, or may still take? */
bool	 notify_owed(const struct txn *);

#endif
