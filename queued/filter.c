/*
 * Filters of posternctl's requests. See filter.h.
 */
#include "queued/filter.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/rand.h"

static bool
word(const char *arg, const char *key, char *dst, size_t size, bool *long_one)
{
	size_t	 n = strlen(key);

	if (strncmp(arg, key, n) != 0)
		return false;
	if (strlcpy(dst, arg + n, size) >= size || arg[n] == '\0')
		*long_one = true;
	return true;
}

const char *
filter_parse(struct filter *f, int argc, char **argv)
{
	bool	 bad = false;
	char	 age[32];

	memset(f, 0, sizeof(*f));
	for (int i = 0; i < argc; i++) {
		const char *a = argv[i];

		if (word(a, "sender=", f->sender, sizeof(f->sender), &bad) ||
		    word(a, "client=", f->client, sizeof(f->client), &bad) ||
		    word(a, "state=", f->state, sizeof(f->state), &bad) ||
		    strcmp(a, "all") == 0)
			;
		else if (word(a, "rcpt=", f->rcpt, sizeof(f->rcpt), &bad) ||
		    word(a, "domain=", f->domain, sizeof(f->domain), &bad) ||
		    word(a, "action=", f->action, sizeof(f->action), &bad) ||
		    word(a, "reason~", f->reason, sizeof(f->reason), &bad))
			f->any_rcpt = true;
		else if (word(a, "older=", age, sizeof(age), &bad)) {
			if (!clock_parse_duration(age, &f->older_ms))
				return "older= wants a duration as 4h";
		} else if (!id_parse(span_str(a), &f->id))
			return "a filter is an id, all, or sender= rcpt= "
			    "domain= action= client= older= state= reason~";
	}
	if (f->state[0] != '\0' && strcmp(f->state, "held") != 0 &&
	    strcmp(f->state, "waiting") != 0 &&
	    strcmp(f->state, "kept") != 0 &&
	    strcmp(f->state, "prepared") != 0)
		return "state= is waiting, held, kept or prepared";
	return bad ? "a filter's value is empty or too long" : NULL;
}

bool
filter_msg(const struct filter *f, const struct queue *q, uint64_t id,
    const struct store_msg *m)
{
	char	 addr[ADDR_STRLEN];

	if (f->id != 0 && f->id != id)
		return false;
	if (f->sender[0] != '\0' && !span_caseis(m->from,
	    strcmp(f->sender, "<>") == 0 ? "" : f->sender))
		return false;
	if (f->client[0] != '\0' &&
	    strcmp(addr_str(&m->client, addr), f->client) != 0)
		return false;
	if (f->older_ms != 0 &&
	    queue_now(q) - m->accepted_ms < f->older_ms)
		return false;
	if (strcmp(f->state, "kept") == 0)
		return m->flags & MSG_KEPT;
	if (strcmp(f->state, "prepared") == 0)
		return m->flags & MSG_PREPARED;
	/* What is over, or not ours yet, is meant only by those who say so, or
	 * name it. */
	if (m->flags & (MSG_KEPT | MSG_PREPARED))
		return f->state[0] == '\0' && f->id != 0;
	if (strcmp(f->state, "held") == 0)
		return m->held;
	if (strcmp(f->state, "waiting") == 0)
		return !m->held;
	return true;
}

static bool
contains(struct span s, const char *part)
{
	struct span	 p = span_str(part);

	for (size_t i = 0; i + p.len <= s.len; i++)
		if (span_caseeq(span_sub(s, i, p.len), p))
			return true;
	return false;
}

bool
filter_rcpt(const struct filter *f, const struct store_rcpt *r)
{
	size_t		 at = span_rfind(r->to, '@');

	return (f->rcpt[0] == '\0' || span_caseis(r->to, f->rcpt)) &&
	    (f->domain[0] == '\0' ||
	    span_caseis(span_sub(r->to, at + 1, r->to.len), f->domain)) &&
	    (f->action[0] == '\0' || span_is(r->action, f->action)) &&
	    (f->reason[0] == '\0' || contains(r->reason, f->reason));
}
