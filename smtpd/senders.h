/*
 * Whose addresses an authenticated client may send by (`senders`): the table
 * has for his name the addresses and domains that are his, commas between. Who
 * has no entry has his name, if that is an address.
 */
#ifndef SMTPD_SENDERS_H
#define SMTPD_SENDERS_H

#include "smtpd/session.h"

/* May it be this reverse-path, without <>? The empty one may always be. Who has
 * not authenticated is not asked. */
bool	 senders_may(const struct session *, struct span from);
/* The same of an addr-spec in a header, without comments and folds; what could
 * be no reverse-path is nobody's. */
bool	 senders_may_write(const struct session *, struct span addr);
/* Is he asked for the addresses in From and Sender, too? */
bool	 senders_strict(const struct session *);

#endif
