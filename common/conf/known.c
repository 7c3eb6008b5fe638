/*
 * See known.h.
 */
#include "common/conf/known.h"

#include "common/conf/table.h"

bool
conf_asks_server(const struct conf_action *a)
{
	if (a->backup_mx)
		return true;
	for (size_t i = 0; i < a->nknown; i++)
		if (a->known[i].kind == KNOWN_SERVER)
			return true;
	return false;
}

bool
conf_verifies(const struct conf_action *a)
{
	return a->type == ACT_RELAY && (a->nknown > 0 || a->backup_mx);
}

char *
conf_known_where(const struct conf_action *a, char dst[KNOWN_WHERE_MAX])
{
	bool	pool = a->pool != NULL && a->pool->name != NULL;

	snprintf(dst, KNOWN_WHERE_MAX, "%s %s", pool ? "pool" : "action",
	    pool ? a->pool->name : a->name);
	return dst;
}

static bool
listed(const struct conf_action *a)
{
	for (size_t i = 0; i < a->nknown; i++)
		if (a->known[i].kind == KNOWN_SERVER)
			return true;
	return false;
}

enum known_says
conf_known(const struct conf *c, const struct conf_action *a, struct span to,
    size_t *next)
{
	struct span	 domain = span_sub(to, span_rfind(to, '@') + 1, to.len);
	const struct conf_known_source *s;

	while (*next < a->nknown) {
		s = &a->known[(*next)++];
		if (s->kind == KNOWN_SERVER)
			return KNOWN_SAYS_ASK;
		if (table_get_mail(s->table, to, c->subaddress, false, NULL))
			return KNOWN_SAYS_YES;
		if (s->kind == KNOWN_DIRECTORY &&
		    table_has_domain(s->table, domain))
			return KNOWN_SAYS_NO;
	}
	/* backup-mx: its server stands behind what is written. */
	if (a->backup_mx && !listed(a) && *next == a->nknown) {
		(*next)++;
		return KNOWN_SAYS_ASK;
	}
	return KNOWN_SAYS_END;
}
