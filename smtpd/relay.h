/*
 * No open relay by trust: an actual server that trusts the gateway's address
 * takes any recipient from it. Each action of a proxied listener is tested
 * (proxyd/relaytest.h), and while a server of it says 250 to a recipient that
 * nobody has, this side refuses what the server would not have taken from the
 * client itself. `open` on the action switches it off.
 */
#ifndef SMTPD_RELAY_H
#define SMTPD_RELAY_H

#include "common/ipc/ctl.h"
#include "common/proc/start.h"
#include "smtpd/session.h"

#define RELAY_AGAIN_MS	3600000	/* a result is asked for anew */
#define RELAY_RETRY_MS	60000	/* none was had */

void	 relay_init(struct proc *, const struct conf *);
/* A proxyd is there: what has not been tested is. */
void	 relay_proxy(void);
/* A channel to one is gone, and its answers with it. */
void	 relay_proxy_gone(void);
/* p_relayed's handler. */
chan_handler relay_told;
/* Is this session's recipient to be refused: neither logged in nor `from local`,
 * and no `recipients` of the listener has said who may be? */
bool	 relay_denied(const struct session *);
/* Control: a row for each action, and server, as of the last test; begins the
 * tests anew. */
void	 relay_rows(struct ctl *);
void	 relay_start(void);

#endif
