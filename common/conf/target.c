/*
 * Where an action's mail goes, by name: what tells two destinations apart in
 * the queue. See conf.h.
 */
#include "common/base/utf8.h"
#include "common/conf/table.h"

/* A domain in A-labels; an address literal, or nothing, as it is in lower case.
 * False: too long. */
static bool
domain(struct span to, char dst[CONF_TARGET_MAX])
{
	size_t		 at = span_rfind(to, '@');
	struct span	 d = span_sub(to, at + 1, to.len);

	if (utf8_domain_to_ascii(d, dst, CONF_TARGET_MAX))
		return true;
	if (!span_cstr(d, dst, CONF_TARGET_MAX))
		return false;
	for (char *p = dst; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	return true;
}

static bool
by_table(const struct conf *c, const struct conf_action *a, struct span to,
    struct span from, struct span auth_user, struct span *value)
{
	size_t	 at;

	switch (a->by) {
	case BY_RCPT_DOMAIN:
		at = span_rfind(to, '@');
		return table_get_domain(a->to_table, span_sub(to, at + 1,
		    to.len), value);
	case BY_RCPT_TO:
		return table_get_mail(a->to_table, to, c->subaddress, false,
		    value);
	case BY_MAIL_FROM:
		return from.len == 0 ? table_get(a->to_table, span_str("<>"),
		    value) : table_get_mail(a->to_table, from, c->subaddress,
		    false, value);
	case BY_AUTH_USER:
		return auth_user.len > 0 && table_get_mail(a->to_table,
		    auth_user, "", true, value);
	case BY_NONE:
		break;
	}
	return false;
}

bool
conf_target(const struct conf *c, const struct conf_action *a,
    struct span to, struct span from, struct span auth_user,
    char dst[CONF_TARGET_MAX])
{
	struct span	 value;

	dst[0] = '\0';
	if (a->by != BY_NONE)
		return by_table(c, a, to, from, auth_user, &value) &&
		    value.len > 0 && span_cstr(value, dst, CONF_TARGET_MAX);
	return a->ndests > 0 || domain(to, dst);
}
