/*
 * See notify.h.
 */
#include "smtpd/notify.h"

#include "common/conf/match.h"
#include "smtpd/handoff.h"

bool
notify_offered(void)
{
	const struct conf	*c = session_conf();

	for (size_t i = 0; quser_chan() != NULL && i < c->nrules; i++)
		if (c->rules[i]->action != NULL)
			return true;
	return false;
}

static bool
owed(const struct link *l, const struct txn *t, const struct rcpt *r)
{
	return (r->params.notify & NOTIFY_SUCCESS) != 0 && t->from.len > 0 &&
	    (l->caps.bits & CAP_DSN) == 0;
}

/* Has a notification a way to the sender? By the same rules queued looks for
 * one (queued/readers.h). */
static bool
has_way(const struct txn *t)
{
	const struct conf	*c = session_conf();
	struct match_out	 out;
	struct match_in		 in = { .local = true, .rdns_known = true,
				    .helo = span_str(c->hostname),
				    .rcpt_to = t->from };

	conf_match(c, &in, &out);
	return out.kind == MATCH_ACTION;
}

const char *
notify_refused(const struct link *l, const struct txn *t,
    const struct rcpt *r, uint16_t *code)
{
	const char	*text;

	if (!owed(l, t, r))
		return NULL;
	if (!has_way(t)) {
		*code = 555;
		return "5.3.3 The server can't notify of success, and no rule "
		    "leads to the sender; send without NOTIFY=SUCCESS";
	}
	return queue_takes(code, &text) ? NULL : text;
}

bool
notify_owed(const struct txn *t)
{
	const struct rcpt	*r;

	if (t->way != &handoff_proxy || t->s->link == NULL)
		return false;
	for (size_t i = 0; i < t->nrcpts; i++) {
		r = &t->rcpts[i];
		if (r->state != RCPT_REFUSED && !r->queued &&
		    owed(t->s->link, t, r))
			return true;
	}
	return false;
}
