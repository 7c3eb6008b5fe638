/*
 * What smtpd gets of a set: its certificates and OCSP responses, never a key.
 */
#ifndef KEYD_PUSH_H
#define KEYD_PUSH_H

#include "common/ipc/chan.h"
#include "keyd/set.h"

/* To one smtpd. */
void	 push_set(struct chan *, const struct set *);

#endif
