/*
 * `tls policy`: what is asked of TLS for the mail of a domain, whatever the
 * actions say and whatever the domain publishes; for a while, if so it says.
 */
#ifndef CONF_POLICY_H
#define CONF_POLICY_H

#include "common/conf/conf.h"

/*
 * An entry's value, "MODE" or "MODE until YYYY-MM-DD": to the end of that day
 * in UTC, given as unix time in milliseconds; INT64_MAX: no end. PARSE_BAD with
 * *why.
 */
enum parse policy_parse(struct span value, enum conf_tls_mode *,
	    int64_t *until_ms, const char **why);
/* The mode that holds now for the domain (A-labels); false: none does. */
bool	 policy_of(const struct conf *, struct span domain, int64_t now_ms,
	    enum conf_tls_mode *);

#endif
