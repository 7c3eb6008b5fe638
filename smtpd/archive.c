/*
 * See archive.h.
 */
#include "smtpd/archive.h"

#include "common/base/log.h"
#include "common/ipc/codec.h"
#include "smtpd/route.h"

/* Do its conditions hold for one of the recipients, those included that a server
 * is still asked for? Where that hangs on a name that is not known yet, they do:
 * a copy too many is the lesser evil. */
static bool
sees(const struct conf_archive *a, const struct txn *t)
{
	struct match_in	in;
	bool		need;

	if (a->when == NULL)
		return true;
	for (size_t i = 0; i < t->nrcpts; i++) {
		if (t->rcpts[i].state == RCPT_REFUSED)
			continue;
		in = route_in(t, t->rcpts[i].to);
		if (conf_holds(session_conf(), a->when, &in, &need) || need)
			return true;
	}
	return false;
}

/* Has the archive's action a destination for this one? */
static bool
can(const struct conf_archive *a, const struct txn *t, struct span to)
{
	char	target[CONF_TARGET_MAX];

	return conf_target(session_conf(), a->action, to, t->from,
	    span(NULL, 0), target);
}

/*
 * Calls f for each of an archive's recipients: the address it has, or those
 * that the message goes to. False: one of them can't be.
 */
static bool
each(const struct conf_archive *a, const struct txn *t,
    void (*f)(const struct conf_archive *, const struct txn *, struct span,
    void *), void *arg)
{
	bool	good = true;

	if (a->as != NULL) {
		if (!can(a, t, span_str(a->as)))
			return false;
		f(a, t, span_str(a->as), arg);
		return true;
	}
	for (size_t i = 0; i < t->nrcpts; i++) {
		const struct rcpt	*r = &t->rcpts[i];

		if (r->state == RCPT_REFUSED)
			continue;
		if (r->action != NULL && r->action->type == ACT_PROXY &&
		    !r->queued) {
			if (can(a, t, r->to))
				f(a, t, r->to, arg);
			else
				good = false;
		}
		for (size_t k = 0; k < r->ncopies; k++)
			if (r->copies[k].group != k || r->copies[k].quiet)
				continue;	/* the same one */
			else if (can(a, t, r->copies[k].to))
				f(a, t, r->copies[k].to, arg);
			else
				good = false;
	}
	return good;
}

static void
nothing(const struct conf_archive *a, const struct txn *t, struct span to,
    void *arg)
{
	(void)a;
	(void)t;
	(void)to;
	(void)arg;
}

bool
archive_wanted(const struct txn *t, bool *must)
{
	const struct conf	*c = session_conf();
	bool			 wanted = false;

	for (size_t i = 0; i < c->narchives; i++)
		if (sees(c->archives[i], t)) {
			wanted = true;
			*must |= !c->archives[i]->ignore;
		}
	return wanted;
}

bool
archive_possible(const struct txn *t)
{
	const struct conf	*c = session_conf();
	const struct conf_archive *a;

	for (size_t i = 0; i < c->narchives; i++) {
		a = c->archives[i];
		if (!sees(a, t) || each(a, t, nothing, NULL))
			continue;
		log_info("session=%s id=%s event=archive action=%s "
		    "result=%s why=\"%s:%u\"", t->s->id, t->ids,
		    log_quote(span_str(a->action->name)),
		    a->ignore ? "ignored" : "tempfail", a->pos.file,
		    a->pos.line);
		if (!a->ignore)
			return false;
	}
	return true;
}

struct out {
	void		(*put)(void *, struct ipc_q_rcpt);
	void		*arg;
	uint32_t	 n;
};

static void
send_one(const struct conf_archive *a, const struct txn *t, struct span to,
    void *arg)
{
	struct out	*o = arg;

	(void)t;
	o->put(o->arg, (struct ipc_q_rcpt){ .to = to,
	    .action = span_str(a->action->name), .notify = NOTIFY_NEVER,
	    .group = o->n++, .flags = (uint8_t)(RCPT_F_ARCHIVE |
	    (a->journal ? RCPT_F_JOURNAL : 0)) });
}

void
archive_send(const struct txn *t, void (*put)(void *, struct ipc_q_rcpt),
    void *arg, uint32_t n)
{
	const struct conf	*c = session_conf();
	struct out		 o = { put, arg, n };

	for (size_t i = 0; i < c->narchives; i++)
		if (sees(c->archives[i], t))
			(void)each(c->archives[i], t, send_one, &o);
}
