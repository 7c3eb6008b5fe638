/*
 * deliverd, role remote: takes jobs from queued and delivers them by SMTP. Here
 * are its start, its confinement, its end in order, and nothing else.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/lookup/ask.h"
#include "common/proc/confine.h"
#include "common/proc/start.h"
#include "common/tls/client.h"
#include "common/tls/trust.h"
#include "deliverd/ctl.h"
#include "deliverd/job.h"
#include "deliverd/keyd.h"
#include "deliverd/login.h"
#include "deliverd/pool.h"
#include "deliverd/srs.h"

#define DRAIN_LAST_MS	500	/* of the grace: for queued to record results */

static const struct seccomp_group *const groups[] = { &seccomp_base,
    &seccomp_loop, &seccomp_sock_use, &seccomp_sock_inet, &seccomp_fds_in,
    NULL };
static const struct confine_profile profile = { .groups = groups };

static struct ask	*ask;
static bool		 aborted;

static void
peer(struct proc *p, enum ipc_role role, uint16_t worker, const char *title,
    int fd)
{
	(void)title;
	if (role == IPC_LOOKUPD)
		ask_peer(ask, worker, fd);
	else if (role == IPC_QUEUED) {
		job_peer(worker, fd);
		pool_warm();
	} else if (role == IPC_KEYD)
		keyd_peer(worker, fd);
	else
		proc_report(p, role, worker, "no peer of deliverd");
}

/* What has been handed over is delivered while there is time; new jobs are
 * given back. */
static void
drain(struct proc *p, uint32_t grace_ms)
{
	(void)p;
	(void)grace_ms;
	job_drain();
}

static bool
drained(struct proc *p, int64_t left_ms)
{
	(void)p;
	if (left_ms <= DRAIN_LAST_MS && !aborted) {
		aborted = true;
		pool_abort("421 4.3.2 The gateway is shutting down");
	}
	return job_count() == 0 && job_unrecorded() == 0;
}

int
main(int argc, char **argv)
{
	static const struct proc_ops	 ops = {
		.peer = peer,
		.trust = trust_add,
		.drain = drain,
		.drained = drained,
		.verbs = ctl_verbs
	};
	struct proc			*p;
	struct conf			*conf;
	struct buf			 msgs;

	p = proc_start(IPC_DELIVERD, argc, argv);
	tls_client_init();
	proc_confine(p, &profile);
	buf_init(&msgs, 64 << 10);
	if ((conf = conf_parse(proc_conf(p), &msgs)) == NULL)
		fatalx("the configuration does not parse: %s",
		    log_quote(buf_content(&msgs)));
	buf_clear(&msgs);
	ask = ask_new(p, IPC_DELIVERD);
	pool_init(p, conf, ask);
	srs_init(p, pool_add);
	login_init();
	keyd_init(p);
	job_init(p, conf, srs_job);
	return proc_run(p, &ops, NULL);
}
