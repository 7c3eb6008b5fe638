/*
 * See via.h.
 */
#include "smtpd/via.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "smtpd/auth.h"
#include "smtpd/cmd.h"
#include "smtpd/link.h"

/* What is known of an action's server. */
struct via {
	LIST_ENTRY(via)	 entry;
	const struct conf_action *action;
	char		 mechs[512];
	bool		 asked;		/* at all, */
	struct mono	 when;		/* then, */
	int64_t		 keep_ms;	/* and good for so long */
};
static LIST_HEAD(, via)	 vias = LIST_HEAD_INITIALIZER(vias);

static const struct link_ops	 ehlo_ops, auth_ops;

/* One for each action that is named; they stay. */
static struct via *
via_of(const struct conf_action *a)
{
	struct via	*v;

	LIST_FOREACH(v, &vias, entry)
		if (v->action == a)
			return v;
	if ((v = calloc(1, sizeof(*v))) == NULL)
		fatal("via");
	v->action = a;
	LIST_INSERT_HEAD(&vias, v, entry);
	return v;
}

const char *
via_mechs(const struct conf_action *a, bool *ask)
{
	struct via	*v = via_of(a);
	int64_t		 now = clock_mono().ms;

	/* While nothing is known each client asks; later one does, and the
	 * others have what was known. */
	*ask = !v->asked || now - v->when.ms >= v->keep_ms ||
	    (v->mechs[0] == '\0' && v->keep_ms == VIA_RETRY_MS);
	if (*ask && v->asked && v->mechs[0] != '\0')
		v->when.ms = now;
	return v->mechs;
}

static void
learned(const struct link *l)
{
	struct via	*v = via_of(l->action);
	char		 now[512];

	auth_list(l->s->listen, l->caps.auth, now);
	if (v->asked && strcmp(now, v->mechs) != 0)
		log_info("session=%s event=server server=%s result=changed "
		    "auth=%s", l->s->id, log_quote(span_str(l->server)),
		    log_quote(span_str(now)));
	strlcpy(v->mechs, now, sizeof(v->mechs));
	v->asked = true;
	v->when = clock_mono();
	v->keep_ms = VIA_KEEP_MS;
}

/* What was known stays: who must authenticate is better told that it can't be
 * done now than that it can't be done. */
static void
not_learned(const struct link *l)
{
	struct via	*v = via_of(l->action);

	v->asked = true;
	v->when = clock_mono();
	v->keep_ms = VIA_RETRY_MS;
}

static bool
open_link(const struct link_ops *ops, struct cmd *c)
{
	struct session	*s = c->s;

	link_close(s->auth_link);
	s->auth_link = link_open(ops, NULL, s, s->listen->auth_via,
	    span_str(s->listen->hostname), c);
	return s->auth_link != NULL;
}

/* ---- for EHLO -------------------------------------------------------------- */

bool
via_ask(struct cmd *c)
{
	session_hold(c);
	return open_link(&ehlo_ops, c);
}

/* There are no other replies on this link. */
static void
ehlo_reply(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct session	*s = l->s;

	(void)own;
	if (code == 220)
		learned(l);
	else {
		log_info("session=%s event=server server=%s result=failed "
		    "reply=%s", s->id, log_quote(span_str(l->server)),
		    log_reply(code, text));
		not_learned(l);
	}
	s->auth_link = NULL;
	link_close(l);
	cmd_ehlo_announce(w->cmd, NULL);
}

static void
no_credit(struct link *l)
{
	(void)l;
}

static void
ehlo_closed(struct link *l, const char *why)
{
	const struct link_wait	*w = STAILQ_FIRST(&l->waits);

	(void)why;
	l->s->auth_link = NULL;
	not_learned(l);
	if (w != NULL)
		cmd_ehlo_announce(w->cmd, NULL);
}

static const struct link_ops ehlo_ops = {
	.reply = ehlo_reply,
	.credit = no_credit,
	.closed = ehlo_closed
};

/* ---- for AUTH -------------------------------------------------------------- */

bool
via_open(struct cmd *c)
{
	return open_link(&auth_ops, c);
}

static void
auth_reply(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct session	*s = l->s;

	(void)own;
	if (w->what != ASK_OPEN && code != 421) {
		auth_replied(s, w->cmd, code, text);
		return;
	}
	if (w->what == ASK_OPEN && code == 220) {
		learned(l);
		auth_server(s, w->cmd);
		return;
	}
	log_info("session=%s event=server server=%s result=failed reply=%s",
	    s->id, log_quote(span_str(l->server)), log_reply(code, text));
	auth_no_server(s, w->cmd);
}

static void
auth_closed(struct link *l, const char *why)
{
	const struct link_wait	*w = STAILQ_FIRST(&l->waits);
	struct session		*s = l->s;

	s->auth_link = NULL;
	log_info("session=%s event=server server=%s result=closed why=%s",
	    s->id, log_quote(span_str(l->server)),
	    log_quote(span_str(why)));
	auth_no_server(s, w != NULL ? w->cmd : NULL);
}

static const struct link_ops auth_ops = {
	.reply = auth_reply,
	.credit = no_credit,
	.closed = auth_closed
};
