/*
 * "sessions": who is connected; "stats": counts.
 */
#include "smtpd/ctl.h"

#include "smtpd/handoff.h"
#include "smtpd/link.h"

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
	ctl_row_end(ctl);
	ctl_end(ctl, 0, NULL);
}

const struct ctl_verb ctl_verbs[] = {
	{ "sessions", CTL_READ, run_sessions },
	{ "stats", CTL_READ, run_stats },
	{ NULL, 0, NULL }
};
