/*
 * "sessions": the connections to servers; "stats": counters and destinations.
 * Both are small enough to be answered at once: connections are bounded by
 * `limit deliveries`, and the destinations shown are those in use.
 */
#include "deliverd/ctl.h"

#include "deliverd/pool.h"

static void
conn_row(const struct conn *c, void *arg)
{
	struct ctl	*ctl = arg;
	char		 tls[TLS_TEXT_MAX];

	ctl_row(ctl, "session");
	ctl_str(ctl, "server", c->server);
	ctl_str(ctl, "action", pool_action(c->dest));
	ctl_str(ctl, "phase", remote_phase_name(c));
	ctl_num(ctl, "since_s", (clock_mono().ms - c->since.ms) / 1000);
	if (c->job != NULL)
		ctl_str(ctl, "id", c->job->ids);
	ctl_num(ctl, "jobs", c->jobs);
	tls_facts_text(&c->secured, tls);
	ctl_str(ctl, "tls", tls);
	ctl_row_end(ctl);
}

static void
run_sessions(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	pool_each_conn(conn_row, ctl);
	ctl_end(ctl, 0, NULL);
}

static void
dest_row(const struct dest_info *d, void *arg)
{
	struct ctl	*ctl = arg;

	ctl_row(ctl, "destination");
	ctl_str(ctl, "action", d->action);
	ctl_str(ctl, "domain", d->domain);
	ctl_str(ctl, "tls", demand_kind_name(d->asks));
	ctl_num(ctl, "waiting", (int64_t)d->waiting);
	ctl_num(ctl, "connections", (int64_t)d->conns);
	ctl_num(ctl, "limit", (int64_t)d->limit);
	ctl_row_end(ctl);
}

static void
run_stats(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	ctl_row(ctl, "stats");
	ctl_num(ctl, "jobs", (int64_t)job_count());
	ctl_num(ctl, "connections", (int64_t)pool_count_conns());
	ctl_num(ctl, "unrecorded", (int64_t)job_unrecorded());
	ctl_num(ctl, "delivered", (int64_t)job_count_results(D_OK));
	ctl_num(ctl, "deferred", (int64_t)job_count_results(D_TEMP));
	ctl_num(ctl, "failed", (int64_t)job_count_results(D_PERM));
	ctl_row_end(ctl);
	pool_each_dest(dest_row, ctl);
	ctl_end(ctl, 0, NULL);
}

const struct ctl_verb ctl_verbs[] = {
	{ "sessions", CTL_READ, run_sessions },
	{ "stats", CTL_READ, run_stats },
	{ NULL, 0, NULL }
};
