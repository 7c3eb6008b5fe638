/*
 * See paused.h.
 */
#include "common/lookup/paused.h"

#include <stdio.h>

static bool
has(const struct map *m, const char *name)
{
	return map_get(m, span_str(name)) != NULL;
}

bool
paused_has(const struct map *m, const char *action, const char *name,
    const struct addr *a)
{
	char	 at[300], ip[ADDR_STRLEN];

	if (map_count(m) == 0)
		return false;
	if (has(m, action))
		return true;
	if (name == NULL || a == NULL)
		return false;
	snprintf(at, sizeof(at), "%s:%u", name, a->port);
	return has(m, name) || has(m, at) || has(m, addr_str(a, ip)) ||
	    has(m, addr_str_port(a, ip));
}
