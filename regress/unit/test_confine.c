/*
 * Confinement fails closed (security.md, R3): each call it makes is made to fail
 * in turn, then to do nothing and say it was done; the process must end and never
 * run on half confined. And what a confined process looks like, from inside. The
 * separation of users needs root; the rest runs without.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/proc/confine.h"
#include "common/proc/landlock.h"
#include "common/proc/start_i.h"

#define OTHER_ID	54321

/* ---- stand-ins for each call of confine.c (units.mk: --wrap) --------------------- */

enum how { HONEST, FAILS, LIES };
static struct plan {
	enum how	 how;
	int		 at;		/* which call, from 1 */
	volatile int	 calls;		/* so far */
	char		 name[32];	/* of the one that was hit */
	int		 what;		/* of cap_drop_bound, prctl */
} *plan;

/* Is this the one? */
static enum how
hit(const char *name)
{
	if (++plan->calls != plan->at)
		return HONEST;
	strlcpy(plan->name, name, sizeof(plan->name));
	return plan->how;
}

/* A call with an int to give: -1 when it fails, 0 when it lies. */
#define STAND_IN(name, args, pass)					\
int __real_##name args;							\
int __wrap_##name args;							\
int									\
__wrap_##name args							\
{									\
	switch (hit(#name)) {						\
	case FAILS:							\
		errno = EPERM;						\
		return -1;						\
	case LIES:							\
		return 0;						\
	default:							\
		return __real_##name pass;				\
	}								\
}
STAND_IN(chroot, (const char *p), (p))
STAND_IN(chdir, (const char *p), (p))
STAND_IN(setgroups, (size_t n, const gid_t *g), (n, g))
STAND_IN(setresgid, (gid_t a, gid_t b, gid_t c), (a, b, c))
STAND_IN(cap_reset_ambient, (void), ())
STAND_IN(cap_set_proc, (cap_t c), (c))
STAND_IN(setrlimit, (__rlimit_resource_t r, const struct rlimit *l), (r, l))
STAND_IN(seccomp_install, (const struct seccomp_group *const *g), (g))
STAND_IN(landlock_install, (const char *d, const uint16_t *p, size_t n),
    (d, p, n))

/* Where a lie would have to be a whole answer, it is a failure too. */
#define STAND_IN_ASK(name, args, pass)					\
int __real_##name args;							\
int __wrap_##name args;							\
int									\
__wrap_##name args							\
{									\
	if (hit(#name) == HONEST)					\
		return __real_##name pass;				\
	errno = EPERM;							\
	return -1;							\
}
STAND_IN_ASK(stat, (const char *p, struct stat *st), (p, st))
STAND_IN_ASK(getrlimit, (__rlimit_resource_t r, struct rlimit *l), (r, l))
STAND_IN_ASK(getresuid, (uid_t *a, uid_t *b, uid_t *c), (a, b, c))
STAND_IN_ASK(getresgid, (gid_t *a, gid_t *b, gid_t *c), (a, b, c))
STAND_IN_ASK(getgroups, (int n, gid_t *g), (n, g))

int	 __real_cap_drop_bound(cap_value_t);
int	 __wrap_cap_drop_bound(cap_value_t);
int
__wrap_cap_drop_bound(cap_value_t c)
{
	enum how	 how = hit("cap_drop_bound");

	if (how == HONEST)
		return __real_cap_drop_bound(c);
	plan->what = c;
	errno = EPERM;
	return how == FAILS ? -1 : 0;
}

int	 __real_setresuid(uid_t, uid_t, uid_t);
int	 __wrap_setresuid(uid_t, uid_t, uid_t);
int
__wrap_setresuid(uid_t a, uid_t b, uid_t c)
{
	switch (hit("setresuid")) {
	case FAILS:
		if (a == 0)
			return 0;	/* root can come back: that fails */
		errno = EPERM;
		return -1;
	case LIES:
		return 0;
	default:
		return __real_setresuid(a, b, c);
	}
}

int	 __real_prctl(int, ...);
int	 __wrap_prctl(int, ...);
int
__wrap_prctl(int op, ...)
{
	unsigned long	 a[4];
	enum how	 how;
	va_list		 ap;
	int		 rc;

	va_start(ap, op);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if ((how = hit("prctl")) == HONEST)
		return __real_prctl(op, a[0], a[1], a[2], a[3]);
	plan->what = op;
	if (op == PR_SET_SECUREBITS || op == PR_SET_NO_NEW_PRIVS ||
	    op == PR_SET_DUMPABLE) {
		errno = EPERM;
		return how == FAILS ? -1 : 0;
	}
	/* A question: the opposite, or no answer. */
	rc = __real_prctl(op, a[0], a[1], a[2], a[3]);
	return how == FAILS ? -1 : !rc;
}

cap_t	 __real_cap_init(void);
cap_t	 __wrap_cap_init(void);
cap_t
__wrap_cap_init(void)
{
	return hit("cap_init") == HONEST ? __real_cap_init() : NULL;
}

cap_t	 __real_cap_get_proc(void);
cap_t	 __wrap_cap_get_proc(void);
cap_t
__wrap_cap_get_proc(void)
{
	return hit("cap_get_proc") == HONEST ? __real_cap_get_proc() : NULL;
}

int	 __real_cap_compare(cap_t, cap_t);
int	 __wrap_cap_compare(cap_t, cap_t);
int
__wrap_cap_compare(cap_t a, cap_t b)
{
	return hit("cap_compare") == HONEST ? __real_cap_compare(a, b) : 1;
}

/* ---- a daemon to confine ---------------------------------------------------------- */

static char	dir[64], empty[80], spool[80];
static bool	root;

static const struct seccomp_group *const groups[] = { &seccomp_base,
    &seccomp_loop, NULL };

static struct proc *
daemon_new(bool workdir)
{
	static struct proc	 p;

	memset(&p, 0, sizeof(p));
	p.role = IPC_KEYD;
	p.boot = (struct ipc_boot){ .uid = OTHER_ID, .gid = OTHER_ID,
	    .nofile = 64, .fsize = UINT64_MAX, .as = 256 << 20,
	    .memlock = 1 << 20 };
	if (root)
		strlcpy(p.root, workdir ? dir : empty, sizeof(p.root));
	if (workdir)
		strlcpy(p.workdir, root ? "/spool" : spool,
		    sizeof(p.workdir));
	return &p;
}

/* The status of a child that confines itself; 77: it went on after it. */
static int
confined(bool workdir, enum how how, int at, int (*then)(void))
{
	const struct confine_profile	 profile = { groups, workdir };
	int				 status, null;
	pid_t				 pid;

	*plan = (struct plan){ how, at, 0, "" };
	if ((pid = fork()) == 0) {
		/* cmocka's handlers would lead back into the test. */
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGSYS, SIG_DFL);
		null = open("/dev/null", O_RDWR);
		dup2(null, STDERR_FILENO);
		close(null);
		proc_confine(daemon_new(workdir), &profile);
		_exit(then == NULL ? 77 : then());
	}
	assert_int_not_equal(pid, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int
steps(bool workdir)
{
	assert_int_equal(confined(workdir, HONEST, 0, NULL), 77);
	assert_true(plan->calls > (root ? 60 : 6));
	return plan->calls;
}

static void
each_step_fails(void **state)
{
	int	 n;

	(void)state;
	for (int workdir = 0; workdir < 2; workdir++) {
		n = steps(workdir == 1);
		for (int i = 1; i <= n; i++)
			if (confined(workdir == 1, FAILS, i, NULL) != 1)
				fail_msg("step %d of %d, %s: went on", i, n,
				    plan->name);
	}
}

/*
 * Done, it says, and it was not. What the proof need not cover is named here
 * with the reason; all else must end the process.
 */
static bool
need_no_proof(const char *name)
{
	/* Gone with the uid anyway (SETUID_FIXUP), nothing was ambient. */
	if (strcmp(name, "cap_set_proc") == 0 ||
	    strcmp(name, "cap_reset_ambient") == 0)
		return true;
	/* This machine has taken it from us before. */
	if (strcmp(name, "cap_drop_bound") == 0)
		return __real_prctl(PR_CAPBSET_READ, plan->what, 0, 0, 0) == 0;
	/* The change of uid did it already, where sysctl says 0. */
	if (strcmp(name, "prctl") == 0 && plan->what == PR_SET_DUMPABLE)
		return root;
	/* Our own functions; their tests ask the kernel's word, and the system
	 * test reads Seccomp of /proc/PID/status. */
	return strcmp(name, "landlock_install") == 0 ||
	    strcmp(name, "seccomp_install") == 0;
}

static void
each_step_lies(void **state)
{
	int	 n;

	(void)state;
	for (int workdir = 0; workdir < 2; workdir++) {
		n = steps(workdir == 1);
		for (int i = 1; i <= n; i++)
			if (confined(workdir == 1, LIES, i, NULL) != 1 &&
			    !need_no_proof(plan->name))
				fail_msg("step %d of %d, %s: went on", i, n,
				    plan->name);
	}
}

/* ---- from inside --------------------------------------------------------------------- */

static int
opens(void)
{
	(void)open("/etc/passwd", O_RDONLY);
	return 0;
}

static void
is_filtered(void **state)
{
	(void)state;
#ifdef POSTERN_NO_SANDBOX
	skip();
#endif
	assert_int_equal(confined(false, HONEST, 0, opens), 99);
}

static void
bad_roots(void **state)
{
	char	 path[100];

	(void)state;
	if (!root)
		skip();
	/* Someone else's. */
	assert_int_equal(chown(empty, OTHER_ID, 0), 0);
	assert_int_equal(confined(false, HONEST, 0, NULL), 1);
	assert_int_equal(chown(empty, 0, 0), 0);
	/* Others may write. */
	for (mode_t m = 0777; m > 0555; m = m == 0777 ? 0775 : m == 0775 ?
	    0757 : 0) {
		assert_int_equal(chmod(empty, m), 0);
		assert_int_equal(confined(false, HONEST, 0, NULL), 1);
	}
	assert_int_equal(chmod(empty, 0555), 0);
	assert_int_equal(confined(false, HONEST, 0, NULL), 77);
	/* No folder, none at all. */
	snprintf(path, sizeof(path), "%s/x", dir);
	assert_int_equal(rename(empty, path), 0);
	assert_int_equal(confined(false, HONEST, 0, NULL), 1);
	close(open(empty, O_WRONLY | O_CREAT, 0444));
	assert_int_equal(confined(false, HONEST, 0, NULL), 1);
	assert_int_equal(unlink(empty), 0);
	assert_int_equal(rename(path, empty), 0);
}

static int
setup(void **state)
{
	(void)state;
	root = getuid() == 0;
	snprintf(dir, sizeof(dir), "/tmp/test_confine.XXXXXX");
	if (mkdtemp(dir) == NULL || chmod(dir, 0711) == -1)
		return -1;
	snprintf(empty, sizeof(empty), "%s/empty", dir);
	snprintf(spool, sizeof(spool), "%s/spool", dir);
	if (mkdir(empty, 0555) == -1 || mkdir(spool, 0700) == -1 ||
	    (root && chown(spool, OTHER_ID, OTHER_ID) == -1))
		return -1;
	plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED |
	    MAP_ANONYMOUS, -1, 0);
	return plan == MAP_FAILED ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	rmdir(empty);
	rmdir(spool);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(is_filtered),
		cmocka_unit_test(each_step_fails),
		cmocka_unit_test(each_step_lies),
		cmocka_unit_test(bad_roots)
	};

	log_init("test", LOG_FORM_TEXT, LOG_LV_WARN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
