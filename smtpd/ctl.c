/*
 * "sessions": who is connected; "stats": counts; "relays": whether actual
 * servers take mail for anybody; "mirror": how a second server compares.
 */
#include "smtpd/ctl.h"

#include <string.h>

#include "smtpd/compare.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"
#include "smtpd/relay.h"

static void
session_row(struct session *s, void *arg)
{
	struct ctl	*ctl = arg;
	char		 at[ADDR_STRLEN];
	const char	*way = session_proxied(s) ? "proxy" : "queue";

	if (s->txn != NULL && s->txn->way != NULL)
		way = s->txn->way->name;
	ctl_row(ctl, "session");
	ctl_str(ctl, "session", s->id);
	ctl_str(ctl, "client", addr_str_port(&s->client, at));
	ctl_field(ctl, "rdns", peer_name(&s->peer));
	ctl_str(ctl, "listener", s->listen->kind == LISTEN_UNIX ?
	    s->listen->path : addr_str_port(&s->local, at));
	ctl_str(ctl, "phase", session_phase_name(s->phase));
	ctl_str(ctl, "way", way);
	ctl_num(ctl, "since_ms", clock_wall().ms -
	    (clock_mono().ms - s->since.ms));
	ctl_str(ctl, "helo", s->helo != NULL ? s->helo : "");
	ctl_str(ctl, "tls", s->tls != NULL ? s->tls : "");
	ctl_str(ctl, "cipher", s->cipher != NULL ? s->cipher : "");
	ctl_str(ctl, "auth", s->user != NULL ? s->user : "");
	ctl_str(ctl, "id", s->txn != NULL ? s->txn->ids : "");
	ctl_field(ctl, "from", s->txn != NULL ? s->txn->from :
	    span(NULL, 0));
	ctl_str(ctl, "server", s->link != NULL && s->link->server != NULL ?
	    s->link->server : "");
	ctl_num(ctl, "messages", s->messages);
	ctl_row_end(ctl);
}

static void
run_sessions(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	session_each(session_row, ctl);
	ctl_end(ctl, 0, NULL);
}

static void
run_stats(struct ctl *ctl, int argc, char **argv)
{
	const struct session_stats	*st = session_stats();

	(void)argc;
	(void)argv;
	ctl_row(ctl, "stats");
	ctl_num(ctl, "sessions", (int64_t)session_count());
	ctl_num(ctl, "connections", (int64_t)st->connections);
	ctl_num(ctl, "commands", (int64_t)st->commands);
	ctl_num(ctl, "accepted", (int64_t)st->accepted);
	ctl_num(ctl, "proxied", (int64_t)st->proxied);
	ctl_num(ctl, "refused", (int64_t)st->refused);
	ctl_num(ctl, "copies", (int64_t)st->copies);
	ctl_num(ctl, "copies_failed", (int64_t)st->copies_failed);
	ctl_num(ctl, "failovers", (int64_t)st->failovers);
	ctl_num(ctl, "tls", (int64_t)st->tls);
	ctl_num(ctl, "tls-failed", (int64_t)st->tls_failed);
	ctl_num(ctl, "tls-injected", (int64_t)st->tls_injected);
	ctl_num(ctl, "window-client", (int64_t)st->window_client);
	ctl_num(ctl, "window-server", (int64_t)st->window_server);
	ctl_row_end(ctl);
	ctl_end(ctl, 0, NULL);
}

/* ---- mirror ------------------------------------------------------------ */

struct mirror_call {
	struct ctl	*ctl;
	const char	*action;	/* NULL: all */
};

static bool
meant(const struct mirror_call *call, const struct conf_action *a)
{
	return call->action == NULL || strcmp(call->action, a->name) == 0;
}

/* A row for the sessions of the action, then one for each kind of command. */
static void
mirror_row(const struct compare_counts *c, void *arg)
{
	const struct mirror_call	*call = arg;
	struct ctl			*ctl = call->ctl;

	if (!meant(call, c->action))
		return;
	ctl_row(ctl, "mirror");
	ctl_str(ctl, "action", c->action->name);
	ctl_str(ctl, "mirror", c->action->mirror->name);
	ctl_num(ctl, "sessions", (int64_t)c->sessions);
	ctl_num(ctl, "skipped", (int64_t)c->skipped);
	ctl_num(ctl, "failed", (int64_t)c->failed);
	ctl_num(ctl, "gave_up", (int64_t)c->gave_up);
	ctl_row_end(ctl);
	for (int i = 0; i < CMP_MAX; i++) {
		if (c->what[i].same + c->what[i].differ == 0)
			continue;
		ctl_row(ctl, "compared");
		ctl_str(ctl, "action", c->action->name);
		ctl_str(ctl, "mirror", c->action->mirror->name);
		ctl_str(ctl, "what", compare_name((enum compare_what)i));
		ctl_num(ctl, "commands", (int64_t)(c->what[i].same +
		    c->what[i].differ));
		ctl_num(ctl, "same", (int64_t)c->what[i].same);
		ctl_num(ctl, "differ", (int64_t)c->what[i].differ);
		ctl_row_end(ctl);
	}
}

static void
difference_row(const struct difference *d, void *arg)
{
	const struct mirror_call	*call = arg;
	struct ctl			*ctl = call->ctl;

	if (!meant(call, d->action))
		return;
	ctl_row(ctl, "difference");
	ctl_num(ctl, "time_ms", d->time_ms);
	ctl_str(ctl, "action", d->action->name);
	ctl_str(ctl, "what", compare_name(d->what));
	ctl_str(ctl, "arg", d->arg);
	ctl_str(ctl, "session", d->session);
	ctl_str(ctl, "id", d->id);
	ctl_str(ctl, "server", d->server);
	ctl_str(ctl, "reply", d->reply);
	ctl_str(ctl, "mirror", d->mirror);
	ctl_str(ctl, "mirror_reply", d->mirror_reply);
	ctl_row_end(ctl);
}

static void
run_mirror(struct ctl *ctl, int argc, char **argv)
{
	struct mirror_call	 call = { ctl, argc > 0 ? argv[0] : NULL };

	compare_each_count(mirror_row, &call);
	compare_each_difference(difference_row, &call);
	ctl_end(ctl, 0, NULL);
}

/* "relays start" asks the servers anew; the rows are those so far. */
static void
run_relays(struct ctl *ctl, int argc, char **argv)
{
	if (argc == 1 && strcmp(argv[0], "start") == 0)
		relay_start();
	relay_rows(ctl);
	ctl_end(ctl, 0, NULL);
}

const struct ctl_verb ctl_verbs[] = {
	{ "mirror", CTL_READ, run_mirror },
	{ "relays", CTL_READ, run_relays },
	{ "sessions", CTL_READ, run_sessions },
	{ "stats", CTL_READ, run_stats },
	{ NULL, 0, NULL }
};
