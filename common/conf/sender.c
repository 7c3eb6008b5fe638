/*
 * The sender that leaves by an action. See conf.h.
 */
#include <stdio.h>

#include "common/conf/table.h"

struct span
conf_sender(const struct conf *c, const struct conf_action *a,
    struct span from, char dst[CONF_PATH_MAX])
{
	struct span	 to, local = span_sub(from, 0, span_rfind(from, '@'));
	int		 n;

	if (from.len == 0)
		return from;		/* RFC 5321, 4.5.5: nobody to answer */
	if (a->mail_from != NULL)
		to = span_str(a->mail_from);
	else if (a->mail_from_table == NULL || !table_get_mail(
	    a->mail_from_table, from, c->subaddress, false, &to))
		return from;
	if (to.len == 0)
		return from;		/* a list, no map */
	if (to.p[0] != '@')
		local = span(NULL, 0);
	n = snprintf(dst, CONF_PATH_MAX, "%.*s%.*s", (int)local.len,
	    local.len > 0 ? (const char *)local.p : "", (int)to.len,
	    (const char *)to.p);
	return n <= 0 || n >= CONF_PATH_MAX ? from : span(dst, (size_t)n);
}
