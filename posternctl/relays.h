/*
 * Actual servers of proxied listeners that take mail for anybody from the
 * gateway, as its listeners have found out.
 */
#ifndef POSTERNCTL_RELAYS_H
#define POSTERNCTL_RELAYS_H

#include "posternctl/words.h"

/* Those known to be open, if any: a table. */
int	 relays_show(const struct call *);
/* Has each server tested now and shows all results. 65 (EX_DATAERR) if one is
 * open, 75 (EX_TEMPFAIL) if one is not known. */
int	 relays_test(const struct call *);

#endif
