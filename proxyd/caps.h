/*
 * What the server announced, told to smtpd.
 */
#ifndef PROXYD_CAPS_H
#define PROXYD_CAPS_H

#include "proxyd/link.h"

void	 caps_send(struct link *);

#endif
