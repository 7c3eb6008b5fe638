/*
 * proxyd: the client side of live sessions to the actual servers. Here are its
 * start, its confinement, its end in order, and nothing else.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/lookup/ask.h"
#include "common/proc/confine.h"
#include "common/proc/start.h"
#include "common/tls/client.h"
#include "common/tls/trust.h"
#include "proxyd/ctl.h"
#include "proxyd/idle.h"
#include "proxyd/link.h"
#include "proxyd/place.h"
#include "proxyd/relaytest.h"
#include "proxyd/verify.h"


static const struct seccomp_group *const groups[] = { &seccomp_base,
    &seccomp_loop, &seccomp_sock_use, &seccomp_sock_inet, &seccomp_fds_in,
    NULL };
static const struct confine_profile profile = { .groups = groups };

static struct ask	*ask;

static void
peer(struct proc *p, enum ipc_role role, uint16_t worker, const char *title,
    int fd)
{
	(void)title;
	if (role == IPC_LOOKUPD)
		ask_peer(ask, worker, fd);
	else if (role == IPC_SMTPD)
		link_peer(worker, fd);
	else if (role == IPC_QUEUED)
		place_peer(worker, fd);
	else
		proc_report(p, role, worker, "no peer of proxyd");
}

/* The smtpd workers of the same set drain too and may still open links for
 * their sessions; when they are gone, so are we. */
static void
drain(struct proc *p, uint32_t grace_ms)
{
	(void)p;
	(void)grace_ms;
	idle_end();
}

static bool
drained(struct proc *p, int64_t left_ms)
{
	(void)p;
	if (left_ms == 0)
		link_end_all("4.3.2 The gateway is shutting down");
	return link_count() == 0 && link_count_smtpds() == 0;
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

	p = proc_start(IPC_PROXYD, argc, argv);
	tls_client_init();
	proc_confine(p, &profile);
	buf_init(&msgs, 64 << 10);
	if ((conf = conf_parse(proc_conf(p), &msgs)) == NULL)
		fatalx("the configuration does not parse: %s",
		    log_quote(buf_content(&msgs)));
	buf_clear(&msgs);
	ask = ask_new(p, IPC_PROXYD);
	link_init(p, conf, ask);
	verify_init(p, conf, ask);
	relaytest_init(p, conf, ask);
	ctl_init(conf);
	return proc_run(p, &ops, NULL);
}
