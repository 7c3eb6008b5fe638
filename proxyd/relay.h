/*
 * Typed commands of smtpd over to the server, its replies back, in order. What
 * the server says was parsed and goes on as code and text, never as bytes of a
 * protocol.
 */
#ifndef PROXYD_RELAY_H
#define PROXYD_RELAY_H

#include "proxyd/link.h"

extern const struct chan_row relay_rows[];

/* One reply of the server. May end the link. */
void	 relay_reply(struct link *, const struct smtp_client_event *);
/* Commands that waited for a new connection (open_again()) go to it now. May
 * end the link. */
void	 relay_again(struct link *);

#endif
