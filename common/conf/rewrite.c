/*
 * Addresses rewritten by a map of addresses and domains, and the sender that
 * leaves by an action. See conf.h.
 */
#include <stdio.h>

#include "common/conf/table.h"

/* `to` is an address, or "@domain" for the local part of `from`. */
static bool
put(struct span from, struct span to, char dst[CONF_PATH_MAX])
{
	size_t	 at = span_rfind(from, '@');
	int	 n;

	n = snprintf(dst, CONF_PATH_MAX, "%.*s%.*s", to.len > 0 &&
	    to.p[0] == '@' ? (int)at : 0, (const char *)from.p, (int)to.len,
	    (const char *)to.p);
	return to.len > 0 && n > 0 && n < CONF_PATH_MAX;
}

bool
conf_masquerade(const struct conf *c, const struct conf_table *t,
    struct span address, char dst[CONF_PATH_MAX])
{
	struct span	 to;

	return address.len > 0 && table_get_mail(t, address, c->subaddress,
	    false, &to) && put(address, to, dst);
}

struct span
conf_sender(const struct conf *c, const struct conf_action *a,
    struct span from, char dst[CONF_PATH_MAX])
{
	if (from.len == 0)
		return from;		/* RFC 5321, 4.5.5: nobody to answer */
	if (a->mail_from != NULL ? put(from, span_str(a->mail_from), dst) :
	    a->mail_from_table != NULL && conf_masquerade(c,
	    a->mail_from_table, from, dst))
		return span_str(dst);
	return from;
}
