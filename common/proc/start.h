/*
 * The life of every daemon: what main() of each is made of. Start-up over the
 * parent's channel (descriptor 3), confinement, then the event loop with the
 * parent's messages handled here. It knows no mail.
 *
 *	int main(int argc, char **argv)
 *	{
 *		struct proc *p = proc_start(IPC_SMTPD, argc, argv);
 *		... open what still needs files ...
 *		proc_confine(p, &profile);
 *		... parse the configuration in proc_conf(p) ...
 *		return proc_run(p, &ops, state);
 *	}
 */
#ifndef PROC_START_H
#define PROC_START_H

#include <event2/event.h>

#include "common/ipc/chan.h"
#include "common/ipc/ctl.h"

#define PROC_DRAIN_MS	50

struct proc;

struct proc_ops {
	/* A channel to another daemon, at the start or after one restarted.
	 * Make a chan of it; an older one to the same worker is dead. */
	void	(*peer)(struct proc *, enum ipc_role, uint16_t worker,
		    const char *title, int fd);
	/* smtpd only. */
	void	(*listener)(struct proc *, uint16_t index, const struct addr *,
		    int fd);
	void	(*pause_listener)(struct proc *, uint16_t index, bool on);
	void	(*fallback)(struct proc *, struct span action, bool on);
	/* smtpd only: the answer to proc_auth_socket(); fd is taken, -1: none,
	 * since why. */
	void	(*auth_socket)(struct proc *, struct span table, int fd,
		    struct span why);
	/* keyd, in both roles; before reload_end or the end of boot. */
	void	(*secret)(struct proc *, enum ipc_secret_kind, const char *name,
		    const char *path, int fd);
	/* smtpd, deliverd, proxyd: a file of CAs; fd is taken. */
	void	(*trust)(const char *path, int fd);
	/* All of the start (or reload) is here. reload: the new bundle has been
	 * put in place of proc_conf(); with check only say whether it is good.
	 * On false *why is sent to the parent (borrowed until return) and
	 * nothing may have changed. NULL where not supported. */
	bool	(*reload)(struct proc *, struct span bundle, bool check,
		    const char **why);
	/* Take nothing new and finish what runs. Said again when the time that
	 * is left has become shorter. NULL: the process ends at once. */
	void	(*drain)(struct proc *, uint32_t grace_ms);
	/* Asked every PROC_DRAIN_MS from then on: has it finished? When left_ms
	 * is 0 it is asked for the last time, and the process ends. */
	bool	(*drained)(struct proc *, int64_t left_ms);
	/* End in order now: called before the process exits. May be NULL. */
	void	(*stop)(struct proc *);
	/* Newest id known, for ready (queued); may be NULL. */
	uint64_t (*id_floor_ms)(struct proc *);
	const struct ctl_verb *verbs;	/* NULL: no control socket */
};

/* Reads the boot messages (blocking), sets up log, ids, rlimit CORE and the
 * event base. Exits with a message if run by hand. argv: for the title. */
struct proc *proc_start(enum ipc_role, int argc, char **argv);
struct event_base *proc_base(const struct proc *);
/* This worker's share of sessions (smtpd, proxyd). */
uint16_t proc_sessions(const struct proc *);
/* The configuration's bundle (common/conf/bundle.h); mapped, read-only. */
struct span proc_conf(const struct proc *);
void	*proc_arg(const struct proc *);
/* Hands over peers, listeners and secrets that came with the boot, says ready,
 * runs the loop until stop, drain's end or the parent's death. */
int	 proc_run(struct proc *, const struct proc_ops *, void *arg);
_Noreturn void proc_exit(struct proc *, int status);
/* smtpd: a connection to the auth socket that this table of users names. */
void	 proc_auth_socket(struct proc *, const char *table);
/* A peer's message was malformed: tell the parent, who rewires. */
void	 proc_report(struct proc *, enum ipc_role, uint16_t worker,
	    const char *why);

#endif
