/*
 * `auth via`: clients of a regular listener authenticate at an actual server,
 * over a link of their own that lives for one exchange. What mechanisms it has
 * is learned with each link, and remembered for all sessions of this worker, so
 * that EHLO need not wait for a server each time.
 */
#ifndef SMTPD_VIA_H
#define SMTPD_VIA_H

#include "smtpd/session.h"

#define VIA_KEEP_MS	300000	/* mechanisms are asked for again … */
#define VIA_RETRY_MS	30000	/* … and so long after the server was away */

/* The mechanisms to announce, one space between; "" if none is known. Sets *ask
 * if they should be asked for: then via_ask(), or go on without. */
const char *via_mechs(const struct conf_action *, bool *ask);
/* EHLO, this command, waits for them; cmd_ehlo_announce() follows. False: there
 * is no proxyd. */
bool	 via_ask(struct cmd *);
/* A link for AUTH, this command; auth_server() or auth_no_server() follows, and
 * auth_replied(). False: there is no proxyd. */
bool	 via_open(struct cmd *);

#endif
