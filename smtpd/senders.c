/*
 * See senders.h.
 */
#include "smtpd/senders.h"

#include "common/conf/table.h"
#include "common/smtp/path.h"

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

bool
senders_may_write(const struct session *s, struct span addr)
{
	struct smtp_path	 path;
	const char		*why;
	struct buf		 from;
	bool			 may;

	buf_init(&from, SMTP_PATH_MAX + 64);
	may = smtp_mailbox_parse(addr, true, &path, &why) == PARSE_OK &&
	    path.domain.len > 0 && smtp_path_write(&from, &path) &&
	    senders_may(s, buf_content(&from));
	buf_clear(&from);
	return may;
}

bool
senders_strict(const struct session *s)
{
	return s->listen->senders != NULL && s->listen->senders_strict &&
	    s->authed;
}
