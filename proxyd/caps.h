/*
 * What the server announced, told to smtpd.
 */
#ifndef PROXYD_CAPS_H
#define PROXYD_CAPS_H

#include "proxyd/link.h"

void	 caps_send(struct link *);
/* The same with keywords that we do not know, out of the reply to EHLO. */
void	 caps_send_all(struct link *, struct span ehlo);

#endif
