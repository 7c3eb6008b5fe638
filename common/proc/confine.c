/*
 * Confinement, step by step, and the proof that each step holds. See
 * confine.h.
 */
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/proc/confine.h"
#include "common/proc/landlock.h"
#include "common/proc/start_i.h"

/* A step that fails ends the process: nothing runs half confined. */
#define MUST(what, cond) do {						\
	if (!(cond))							\
		fatal("confine: %s", what);				\
} while (0)

static void
enter_root(const struct proc *p, bool own)
{
	struct stat	 st, now, here;

	MUST("stat of the root directory", stat(p->root, &st) == 0);
	errno = EPERM;
	MUST("the root directory is root's", S_ISDIR(st.st_mode) &&
	    st.st_uid == 0 && (own || (st.st_mode & 022) == 0));
	MUST("chroot", chroot(p->root) == 0);
	MUST("chdir", chdir("/") == 0);
	/* Proved here: later the uid may not be allowed to look. */
	MUST("stat of the new root", stat("/", &now) == 0 &&
	    stat(".", &here) == 0);
	errno = EPERM;
	MUST("proof: in the new root", now.st_dev == st.st_dev &&
	    now.st_ino == st.st_ino && here.st_dev == st.st_dev &&
	    here.st_ino == st.st_ino);
}

static void
enter_workdir(const struct proc *p)
{
	struct stat	 st;

	MUST("chdir to the working folder", chdir(p->workdir) == 0 &&
	    stat(".", &st) == 0);
	errno = EPERM;
	MUST("proof: the working folder is our own", st.st_uid == getuid());
}

#define SECUREBITS	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | \
	    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | \
	    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* Needs CAP_SETPCAP, so it comes before the uid. */
static void
drop_bounding(void)
{
	MUST("securebits", prctl(PR_SET_SECUREBITS, SECUREBITS) == 0);
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		MUST("bounding set", cap_drop_bound(c) == 0);
}

static void
change_user(uid_t uid, gid_t gid)
{
	errno = EINVAL;
	MUST("a user that is not root", uid != 0 && gid != 0);
	MUST("setgroups", setgroups(1, &gid) == 0);
	MUST("setresgid", setresgid(gid, gid, gid) == 0);
	MUST("setresuid", setresuid(uid, uid, uid) == 0);
}

static void
empty_capabilities(void)
{
	cap_t	 none = cap_init();

	MUST("cap_init", none != NULL);
	MUST("ambient set", cap_reset_ambient() == 0);
	MUST("capability sets", cap_set_proc(none) == 0);
	cap_free(none);
}

static void
set_limit(const char *what, int resource, rlim_t v)
{
	struct rlimit	 l = { v, v }, now;

	MUST(what, setrlimit((__rlimit_resource_t)resource, &l) == 0);
	MUST(what, getrlimit((__rlimit_resource_t)resource, &now) == 0);
	errno = EPERM;
	MUST(what, now.rlim_cur == v && now.rlim_max == v);
}

static void
set_limits(const struct proc *p)
{
	struct stat	 st;

	set_limit("RLIMIT_CORE", RLIMIT_CORE, 0);
	if (p->boot.nofile != 0)
		set_limit("RLIMIT_NOFILE", RLIMIT_NOFILE, p->boot.nofile);
	/* A log that is a regular file would end the process by SIGXFSZ. */
	if (p->boot.fsize != UINT64_MAX && !(fstat(STDERR_FILENO, &st) == 0 &&
	    S_ISREG(st.st_mode)))
		set_limit("RLIMIT_FSIZE", RLIMIT_FSIZE, p->boot.fsize);
	if (p->boot.memlock != 0)
		set_limit("RLIMIT_MEMLOCK", RLIMIT_MEMLOCK, p->boot.memlock);
	set_limit("RLIMIT_NPROC", RLIMIT_NPROC, 0);
#ifndef POSTERN_NO_SANDBOX
	if (p->boot.as != 0)
		set_limit("RLIMIT_AS", RLIMIT_AS, p->boot.as);
#endif
}

static void
prove_user(uid_t uid, gid_t gid)
{
	uid_t	 u[3];
	gid_t	 g[3], group;

	MUST("proof: ids", getresuid(&u[0], &u[1], &u[2]) == 0 &&
	    getresgid(&g[0], &g[1], &g[2]) == 0);
	errno = EPERM;
	for (int i = 0; i < 3; i++)
		MUST("proof: own ids", u[i] == uid && g[i] == gid);
	MUST("proof: own group alone", getgroups(1, &group) == 1 &&
	    group == gid);
}

static void
prove(const struct proc *p, bool separated)
{
	cap_t	 now, none;

	if (separated) {
		prove_user(p->boot.uid, p->boot.gid);
		errno = EPERM;
		MUST("proof: root cannot come back", setresuid(0, 0, 0) == -1);
		MUST("proof: sets", (now = cap_get_proc()) != NULL &&
		    (none = cap_init()) != NULL);
		errno = EPERM;
		MUST("proof: empty sets", cap_compare(now, none) == 0);
		cap_free(now);
		cap_free(none);
		MUST("proof: securebits", prctl(PR_GET_SECUREBITS) ==
		    SECUREBITS);
		for (cap_value_t c = 0; c < cap_max_bits(); c++)
			MUST("proof: bounding set",
			    prctl(PR_CAPBSET_READ, c) == 0);
	}
	errno = EPERM;
	MUST("proof: no_new_privs",
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	MUST("proof: not dumpable", prctl(PR_GET_DUMPABLE) == 0);
}

void
proc_confine(struct proc *p, const struct confine_profile *profile)
{
	bool	 separated = p->root[0] != '\0';
	int	 abi;

	if (separated) {
		enter_root(p, profile->workdir);
		drop_bounding();
		change_user(p->boot.uid, p->boot.gid);
		empty_capabilities();
	}
	if (profile->workdir)
		enter_workdir(p);
	set_limits(p);
	MUST("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST("not dumpable", prctl(PR_SET_DUMPABLE, 0) == 0);
	abi = landlock_install(profile->workdir ? "." : NULL, p->ports,
	    p->nports);
	MUST("landlock", abi != -1);
	/* Before seccomp, which refuses the calls that look. */
	prove(p, separated);
#ifdef POSTERN_NO_SANDBOX
	log_info("event=start generation=%u landlock=%d sandbox=off "
	    "why=\"a build with sanitizers\"", p->boot.generation, abi);
#else
	log_info("event=start generation=%u landlock=%d", p->boot.generation,
	    abi);
	MUST("seccomp", seccomp_install(profile->groups) == 0);
#endif
}
