/*
 * Addresses by a map of addresses and domains. See conf.h.
 */
#include <stdio.h>

#include "common/conf/table.h"

bool
conf_masquerade(const struct conf *c, const struct conf_table *t,
    struct span address, char dst[CONF_MAIL_MAX])
{
	struct span	 to, local = span_sub(address, 0,
			    span_rfind(address, '@'));
	int		 n;

	if (address.len == 0 || !table_get_mail(t, address, c->subaddress,
	    false, &to) || to.len == 0)
		return false;
	if (to.p[0] != '@')
		local.len = 0;
	n = snprintf(dst, CONF_MAIL_MAX, "%.*s%.*s", (int)local.len,
	    (const char *)address.p, (int)to.len, (const char *)to.p);
	return n > 0 && n < CONF_MAIL_MAX;
}
