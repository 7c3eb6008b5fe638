/*
 * "sessions": the server side of live sessions; "stats": counts and the health
 * of the configured servers.
 */
#include "proxyd/ctl.h"

#include "proxyd/idle.h"
#include "proxyd/link.h"
#include "proxyd/place.h"
#include "proxyd/servers.h"
#include "proxyd/verify.h"

static const struct conf	*conf;

void
ctl_init(const struct conf *c)
{
	conf = c;
}

static const char *
phase_name(const struct link *l)
{
	static const char *const	names[] = { "find", "place", "connect",
	    "greeting", "starttls", "tls", "hello", "leaving", "xclient",
	    "up" };

	return l->flow.mode != FLOW_NONE ? "data" : names[l->phase];
}

static void
link_row(const struct link *l, void *arg)
{
	struct ctl	*ctl = arg;
	char		 client[ADDR_STRLEN], tls[TLS_TEXT_MAX];

	ctl_row(ctl, "session");
	ctl_str(ctl, "session", l->session);
	ctl_str(ctl, "client", addr_str(&l->who.client, client));
	ctl_str(ctl, "action", l->action->name);
	ctl_str(ctl, "server", l->server != NULL ? l->server : "");
	ctl_str(ctl, "phase", phase_name(l));
	ctl_num(ctl, "since_s", (clock_mono().ms - l->since.ms) / 1000);
	tls_facts_text(&l->secured, tls);
	ctl_str(ctl, "tls", tls);
	ctl_row_end(ctl);
}

static void
run_sessions(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	link_each(link_row, ctl);
	ctl_end(ctl, 0, NULL);
}

static void
run_stats(struct ctl *ctl, int argc, char **argv)
{
	const struct conf_action	*a;

	(void)argc;
	(void)argv;
	ctl_row(ctl, "stats");
	ctl_num(ctl, "sessions", (int64_t)link_count());
	ctl_num(ctl, "opened", (int64_t)link_count_opened());
	ctl_num(ctl, "waiting", (int64_t)place_waiting());
	ctl_num(ctl, "idle", (int64_t)idle_count(NULL));
	ctl_num(ctl, "verify_connections", (int64_t)verify_conns());
	ctl_num(ctl, "verify_questions", (int64_t)verify_questions());
	ctl_row_end(ctl);
	for (size_t i = 0; i < conf->nactions; i++) {
		a = conf->actions[i];
		if (a->type != ACT_PROXY)
			continue;
		for (size_t k = 0; k < a->ndests; k++) {
			ctl_row(ctl, "server");
			ctl_str(ctl, "action", a->name);
			ctl_num(ctl, "sessions", place_count(a));
			ctl_num(ctl, "idle", (int64_t)idle_count(a));
			ctl_str(ctl, "server", a->dests[k].host);
			ctl_num(ctl, "port", a->dests[k].port);
			if (a->dests[k].addr.family != 0) {
				struct addr	at = a->dests[k].addr;

				at.port = a->dests[k].port;
				ctl_str(ctl, "state",
				    servers_is_down(&at) ? "down" : "up");
			}
			ctl_row_end(ctl);
		}
	}
	ctl_end(ctl, 0, NULL);
}

const struct ctl_verb ctl_verbs[] = {
	{ "sessions", CTL_READ, run_sessions },
	{ "stats", CTL_READ, run_stats },
	{ NULL, 0, NULL }
};
