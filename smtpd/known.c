/*
 * See known.h.
 */
#include "smtpd/known.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/conf/known.h"
#include "smtpd/expand.h"
#include "smtpd/handoff.h"
#include "smtpd/verify.h"

#define REPLY_MAX	512	/* bytes of a reply kept */

/* One copy's question. */
struct known_one {
	struct known_wait *w;
	struct verify	*verify;	/* NULL: not asked, or answered */
	enum verify_kind kind;
};
struct known_wait {
	LIST_ENTRY(known_wait) entry;
	struct session	*s;
	struct cmd	*cmd;
	uint64_t	 txn;		/* which may be gone */
	size_t		 rcpt;		/* its number there */
	size_t		 open;		/* questions, and the asking itself */
	/* The reply if it is refused: that of the first "no", or "later". */
	uint16_t	 code;
	char		 text[REPLY_MAX];
	size_t		 n;
	struct known_one v[];		/* of each copy */
};

/* ---- one verdict of many ---------------------------------------------------- */

/* Is the recipient known to one of the rule's actions, or to all (`accept`)?
 * The copies from `from` up to `to` are one rule's. */
static enum verify_kind
of_rule(const struct known_wait *w, const struct rcpt *r, size_t from,
    size_t to)
{
	bool	 all = r->copies[from].all;
	unsigned seen[VERIFY_LATER + 1] = { 0 };

	for (size_t i = from; i < to; i++)
		seen[w->v[i].kind]++;
	if (all)
		return seen[VERIFY_UNKNOWN] > 0 ? VERIFY_UNKNOWN :
		    seen[VERIFY_LATER] > 0 ? VERIFY_LATER : VERIFY_KNOWN;
	return seen[VERIFY_KNOWN] > 0 ? VERIFY_KNOWN :
	    seen[VERIFY_LATER] > 0 ? VERIFY_LATER : VERIFY_UNKNOWN;
}

static size_t
group_end(const struct rcpt *r, size_t i)
{
	size_t	 from = i;

	while (i < r->ncopies && r->copies[i].group == r->copies[from].group)
		i++;
	return i;
}

/*
 * What all of a recipient's copies come to: known if one he stands for is, but
 * later if that is so of one, as that one must not be lost. Copies that nobody
 * would take are left out.
 */
static enum verify_kind
combine(const struct known_wait *w, struct rcpt *r)
{
	enum verify_kind got, sum = VERIFY_UNKNOWN;
	size_t		 to, n = 0, first;

	for (size_t from = 0; from < r->ncopies; from = to) {
		to = group_end(r, from);
		got = of_rule(w, r, from, to);
		if (got == VERIFY_LATER)
			sum = VERIFY_LATER;
		if (got == VERIFY_UNKNOWN)
			continue;
		if (sum == VERIFY_UNKNOWN)
			sum = got;
		first = n;
		for (size_t i = from; i < to; i++) {
			if (w->v[i].kind == VERIFY_UNKNOWN)
				continue;
			r->copies[n] = r->copies[i];
			r->copies[n++].group = (unsigned)first;
		}
	}
	if (sum == VERIFY_KNOWN) {
		r->ncopies = n;
		r->action = r->copies[0].action;
	}
	return sum;
}

/* ---- answers ----------------------------------------------------------------- */

/* The recipient is one that is taken, or he is refused. */
static void
answered(struct known_wait *w, struct txn *t, struct rcpt *r)
{
	struct expand		 x;
	enum verify_kind	 kind;

	txn_rcpt_state(t, r, RCPT_REFUSED);
	kind = combine(w, r);
	if (kind == VERIFY_UNKNOWN && expand_unknown(t, r->to, &x) &&
	    x.kind == EXPAND_COPIES) {
		r->copies = x.copies;
		r->ncopies = x.ncopies;
		r->action = x.action;
		kind = VERIFY_KNOWN;
	}
	if (kind == VERIFY_KNOWN)
		(r->queued ? &handoff_queue : t->way)->rcpt(t, r, w->cmd);
	else
		session_reply(w->cmd, w->code, "%s", w->text);
}

static void
close_one(struct known_wait *w)
{
	struct session	*s = w->s;
	struct txn	*t = s->txn;

	if (--w->open > 0)
		return;
	LIST_REMOVE(w, entry);
	if (t == NULL || t->id != w->txn) {
		/* RSET came behind it. */
		if (w->code == 0)
			session_reply(w->cmd, 250, "2.1.5 Ok");
		else
			session_reply(w->cmd, w->code, "%s", w->text);
		free(w);
		return;
	}
	t->verifying--;
	answered(w, t, &t->rcpts[w->rcpt]);
	free(w);
	if (s->txn == t && t->verifying == 0)
		content_verified(t);
}

static void
done(void *arg, const struct verify_verdict *v)
{
	struct known_one	*one = arg;
	struct known_wait	*w = one->w;
	struct session		*s = w->s;
	const struct txn	*t = s->txn;
	const struct copy	*copy;

	one->verify = NULL;
	one->kind = v->kind;
	if (v->kind != VERIFY_KNOWN && (w->code == 0 ||
	    (w->code / 100 == 5 && v->kind == VERIFY_LATER))) {
		w->code = v->code;
		strlcpy(w->text, v->text, sizeof(w->text));
	}
	if (v->kind != VERIFY_KNOWN && t != NULL && t->id == w->txn) {
		copy = &t->rcpts[w->rcpt].copies[one - w->v];
		if (copy->conflict) {
			w->code = 452;
			strlcpy(w->text, "4.5.3 This recipient goes another "
			    "way; send it in a transaction of its own",
			    sizeof(w->text));
		}
		log_info("session=%s id=%s event=rcpt to=<%s> action=%s "
		    "server=%s reply=%s why=%s", s->id, t->ids,
		    log_quote(copy->to),
		    log_quote(span_str(copy->action->name)),
		    log_quote(span_str(v->server)),
		    log_reply(v->code, span_str(v->text)),
		    log_quote_reply(span_str(v->reply)));
	}
	close_one(w);
}

/* ---- questions ---------------------------------------------------------------- */

static bool
verifies(const struct rcpt *r)
{
	for (size_t i = 0; i < r->ncopies; i++)
		if (r->copies[i].proven != NULL ||
		    conf_verifies(r->copies[i].action))
			return true;
	return false;
}

static void
ask(struct known_wait *w, const struct txn *t, const struct copy *copy,
    struct known_one *one)
{
	char		 target[CONF_TARGET_MAX];
	struct verify	*v;

	*one = (struct known_one){ .w = w, .kind = VERIFY_KNOWN };
	if (copy->proven != NULL) {
		conf_target(session_conf(), copy->proven, copy->to, t->from,
		    span(NULL, 0), target);
		w->open++;
		if ((v = verify_remembered(copy->proven, copy->to,
		    span_str(target), done, one)) != NULL)
			one->verify = v;
		return;
	}
	/* The rules have seen that there is a target. */
	if (!conf_verifies(copy->action) || !conf_target(session_conf(),
	    copy->action, copy->to, t->from, span(NULL, 0), target))
		return;
	w->open++;
	if ((v = verify_start(copy->action, copy->to, span_str(target), done,
	    one)) != NULL)
		one->verify = v;
}

bool
known_rcpt(struct txn *t, struct rcpt *r, struct cmd *c)
{
	struct session		*s = t->s;
	struct known_wait	*w;

	if (session_proxied(s) || !verifies(r))
		return false;
	if ((w = calloc(1, sizeof(*w) + r->ncopies * sizeof(w->v[0]))) == NULL)
		fatal("known");
	w->s = s;
	w->cmd = c;
	w->txn = t->id;
	w->rcpt = txn_rcpt_number(t, r);
	w->n = r->ncopies;
	w->open = 1;
	LIST_INSERT_HEAD(&s->known, w, entry);
	txn_rcpt_state(t, r, RCPT_ASKED);
	t->verifying++;
	for (size_t i = 0; i < w->n; i++)
		ask(w, t, &r->copies[i], &w->v[i]);
	close_one(w);
	return true;
}

void
known_gone(struct session *s)
{
	struct known_wait	*w;

	while ((w = LIST_FIRST(&s->known)) != NULL) {
		for (size_t i = 0; i < w->n; i++)
			verify_cancel(w->v[i].verify);
		LIST_REMOVE(w, entry);
		free(w);
	}
}
