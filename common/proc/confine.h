/*
 * Confinement (security.md, 4): root directory, chroot, capabilities, groups,
 * uid, rlimits, no_new_privs, Landlock, seccomp, and a proof of each. It fails
 * closed: no step may be missing but Landlock, whose ABI is logged.
 */
#ifndef PROC_CONFINE_H
#define PROC_CONFINE_H

#include "common/proc/seccomp.h"
#include "common/proc/start.h"

struct confine_profile {
	const struct seccomp_group *const *groups;	/* ends with NULL */
	/* The directory that Landlock leaves (queued: its workdir), or NULL. */
	bool		 workdir;
};

/* Does it all by the boot message in p; ends the process if a step fails. */
void	 proc_confine(struct proc *, const struct confine_profile *);

#endif
