/*
 * Made once for each job and kept in its arena. See sender.h.
 */
#include "deliverd/sender.h"

#include "common/base/log.h"
#include "common/smtp/path.h"

static const struct conf	*conf;

void
sender_init(const struct conf *c)
{
	conf = c;
}

/* A table's value may be anything. */
static bool
is_path(const struct job *j, struct span s)
{
	struct smtp_path	 p;
	const char		*why;

	if (smtp_mailbox_parse(s, j->params.utf8, &p, &why) == PARSE_OK)
		return true;
	log_info("id=%s event=sender result=invalid from=<%s> why=%s", j->ids,
	    log_quote(s), log_quote(span_str(why)));
	return false;
}

struct span
sender_of(struct job *j)
{
	char		 made[CONF_PATH_MAX];
	struct span	 s;

	if (j->has_sender)
		return j->sender;
	j->has_sender = true;
	j->sender = j->from;
	s = conf_sender(conf, j->action, j->from, made);
	if (s.p == j->from.p || !is_path(j, s))
		return j->sender;
	s = arena_span(j->arena, s);
	if (s.p != NULL)
		j->sender = s;
	return j->sender;
}
