/*
 * See senders.h.
 */
#include "smtpd/senders.h"

#include "common/conf/table.h"

/* "anna@example.org", "@example.net" or "example.net" for all of a domain. */
static bool
is_it(struct span entry, struct span from)
{
	struct span	domain = span_sub(from, span_rfind(from, '@') + 1,
			    from.len);

	if (entry.len == 0)
		return false;
	if (entry.p[0] == '@')
		span_skip(&entry, 1);
	else if (span_find(entry, '@') < entry.len)
		return span_caseeq(entry, from);
	return domain.len > 0 && span_caseeq(entry, domain);
}

bool
senders_may(const struct session *s, struct span from)
{
	struct span	value, word;

	if (s->listen->senders == NULL || !s->authed || from.len == 0)
		return true;
	/* A mechanism that does not say who: nobody's addresses are his. */
	if (s->user == NULL)
		return false;
	if (!table_get(s->listen->senders, span_str(s->user), &value) ||
	    value.len == 0)
		return span_caseeq(span_str(s->user), from);
	while (span_word(&value, ", \t", &word))
		if (is_it(word, from))
			return true;
	return false;
}
