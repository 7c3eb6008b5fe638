/*
 * smtpd: the SMTP server side. Here are its start, its confinement, its peers
 * and its end in order, and nothing else.
 */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/lookup/ask.h"
#include "common/proc/confine.h"
#include "common/proc/start.h"
#include "common/tls/trust.h"
#include "smtpd/digest.h"
#include "smtpd/ctl.h"
#include "smtpd/dovecot.h"
#include "smtpd/failover.h"
#include "smtpd/guess.h"
#include "smtpd/handoff.h"
#include "smtpd/keyd.h"
#include "smtpd/learn.h"
#include "smtpd/link.h"
#include "smtpd/listener.h"
#include "smtpd/login.h"
#include "smtpd/pki.h"
#include "smtpd/pki_ask.h"
#include "smtpd/relay.h"
#include "smtpd/source.h"
#include "smtpd/srs.h"
#include "smtpd/verify.h"

#define DRAIN_IDLE	10	/* idle for this part of the grace: ended */
#define DRAIN_LAST_MS	500	/* of the grace: to get the last 421s out */

static const struct seccomp_group *const groups[] = { &seccomp_base,
    &seccomp_loop, &seccomp_sock_use, &seccomp_fds_in, NULL };
static const struct confine_profile profile = { .groups = groups };

static struct ask	*ask;
static int64_t		 drain_grace_ms;

static void
peer(struct proc *p, enum ipc_role role, uint16_t worker, const char *title,
    int fd)
{
	(void)title;
	if (role == IPC_LOOKUPD)
		ask_peer(ask, worker, fd);
	else if (role == IPC_QUEUED)
		queue_peer(fd);
	else if (role == IPC_PROXYD)
		link_peer(worker, fd);
	else if (role == IPC_KEYD)
		keyd_peer(worker, fd);
	else if (role == IPC_PASSWD)
		login_peer(worker, fd);
	else {
		close(fd);
		proc_report(p, role, worker, "no peer of smtpd");
	}
}

static void
listener(struct proc *p, uint16_t index, const struct addr *addr, int fd)
{
	(void)p;
	listener_add(index, addr, fd);
}

static void
pause_listener(struct proc *p, uint16_t index, bool on)
{
	(void)p;
	listener_pause(index, on);
}

static void
auth_socket(struct proc *p, struct span table, int fd, struct span why)
{
	(void)p;
	dovecot_socket(table, fd, why);
}

static void
fallback(struct proc *p, struct span action, bool on)
{
	(void)p;
	failover_force(action, on);
}

/* Who does nothing is told to come again; in the end everybody is. */
static void
drain_one(struct session *s, void *arg)
{
	int64_t	left = *(int64_t *)arg;
	bool	idle = session_idle(s) &&
		    clock_mono().ms - s->last.ms >= drain_grace_ms / DRAIN_IDLE;
	bool	last = left <= (drain_grace_ms > DRAIN_LAST_MS ?
		    DRAIN_LAST_MS : drain_grace_ms);

	if (s->phase != PH_CLOSING && (idle || last))
		session_fail(s, 421, span_str("4.3.2 The gateway is shutting "
		    "down"), "shutting down");
}

static void
drain(struct proc *p, uint32_t grace_ms)
{
	(void)p;
	drain_grace_ms = grace_ms;
	listener_close_all();
}

static bool
drained(struct proc *p, int64_t left_ms)
{
	(void)p;
	session_each(drain_one, &left_ms);
	return session_count() == 0;
}

int
main(int argc, char **argv)
{
	static const struct proc_ops	 ops = {
		.peer = peer,
		.listener = listener,
		.pause_listener = pause_listener,
		.fallback = fallback,
		.auth_socket = auth_socket,
		.trust = trust_add,
		.drain = drain,
		.drained = drained,
		.verbs = ctl_verbs
	};
	struct proc			*p;
	struct conf			*conf;
	struct buf			 msgs;

	p = proc_start(IPC_SMTPD, argc, argv);
	digest_init();
	pki_setup();
	proc_confine(p, &profile);
	buf_init(&msgs, 64 << 10);
	if ((conf = conf_parse(proc_conf(p), &msgs)) == NULL)
		fatalx("the configuration does not parse: %s",
		    log_quote(buf_content(&msgs)));
	buf_clear(&msgs);
	ask = ask_new(p, IPC_SMTPD);
	peer_init(ask);
	source_init(conf);
	guess_init(conf);
	queue_init(p);
	link_init(p, conf);
	keyd_init(p);
	srs_init(p, conf);
	pki_ask_init(p);
	pki_init(conf, listener_certified);
	login_init(p, conf);
	dovecot_init(p, conf);
	verify_init(p, conf);
	learn_init(conf);
	failover_init(conf);
	relay_init(p, conf);
	session_init(proc_base(p), conf);
	listener_init(p, conf);
	return proc_run(p, &ops, NULL);
}
