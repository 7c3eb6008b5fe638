/*
 * The system-call filters, tried: each group in a process of its own against
 * each call number, and against each condition on arguments met and just missed,
 * held against the tables. And the tables held against what no daemon may ever
 * do. The calls that get through are made with arguments that come to nothing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/proc/seccomp.h"

#define CALLS		601	/* numbers 0 to 600 */
#define OWN_PID		UINT64_MAX

static const struct seccomp_group *const groups[] = { &seccomp_base,
    &seccomp_loop, &seccomp_sock_use, &seccomp_sock_inet, &seccomp_sock_dns,
    &seccomp_fds_in, &seccomp_fds_out, &seccomp_files_spool,
    &seccomp_files_store };
#define NGROUPS	(sizeof(groups) / sizeof(groups[0]))

/* What security.md gives each daemon. */
static const struct seccomp_group *const profiles[][8] = {
	{ &seccomp_base, &seccomp_loop, &seccomp_sock_use, &seccomp_fds_in },
	{ &seccomp_base, &seccomp_loop, &seccomp_sock_use, &seccomp_sock_inet,
	    &seccomp_fds_in },
	{ &seccomp_base, &seccomp_loop, &seccomp_fds_in,
	    &seccomp_files_store },
	{ &seccomp_base, &seccomp_loop, &seccomp_sock_use,
	    &seccomp_sock_dns },
	{ &seccomp_base, &seccomp_loop, &seccomp_fds_out,
	    &seccomp_files_spool },
	{ &seccomp_base, &seccomp_loop }
};
#define NPROFILES	(sizeof(profiles) / sizeof(profiles[0]))

struct args {
	uint64_t	 v[6];
};
static const struct args	nothing = { { UINT64_MAX, UINT64_MAX,
    UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } };

/* ---- the tables' word ----------------------------------------------------------- */

static bool
arg_holds(const struct seccomp_arg *a, uint64_t v)
{
	uint64_t	 value = a->value == OWN_PID ? (uint64_t)getpid() :
			    a->value;

	switch (a->op) {
	case ARG_EQ:
		return v == value;
	case ARG_LT:
		return v < value;
	case ARG_MASKED:
		return (v & a->mask) == value;
	}
	return false;
}

static bool
allowed(const struct seccomp_group *const *g, int nr, const struct args *args)
{
	bool	 all;

	for (; *g != NULL; g++)
		for (const struct seccomp_call *c = (*g)->calls;
		    c->name != NULL; c++) {
			if (seccomp_syscall_resolve_name(c->name) != nr)
				continue;
			all = true;
			for (unsigned i = 0; i < c->nargs; i++)
				all = all && arg_holds(&c->args[i],
				    args->v[c->args[i].index]);
			if (all)
				return true;
		}
	return false;
}

/* ---- the kernel's --------------------------------------------------------------- */

/*
 * One process makes many calls: it is asked for a call over shared memory, and
 * dies of the first that is refused; then the next is made. The handler is the
 * real one throughout.
 */
struct job {
	int		 nr;
	struct args	 args;
	bool		 expected;
};
static struct shared {
	volatile int	 next;		/* index of the job under way */
} *shared;

/* cmocka's own handlers would lead a child back into the test. */
static void
own_signals(void)
{
	static const int	 sigs[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS,
	    SIGSYS };

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		(void)signal(sigs[i], SIG_DFL);
}

/* uretprobe and uprobe: newer kernels let them pass every filter; without a
 * probe they come to nothing. */
static bool
is_kernels_own(int nr)
{
	return nr == 335 || nr == 336;
}

static _Noreturn void
worker(const struct seccomp_group *const *g, const struct job *jobs, int n)
{
	int	 null = open("/dev/null", O_RDWR);

	own_signals();
	/* Nothing that is let through may reach the test's own files. */
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    seccomp_install(g) == -1)
		_exit(98);
	while (shared->next < n) {
		const struct job *j = &jobs[shared->next];
		const uint64_t *a = j->args.v;

		(void)syscall(j->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		shared->next++;
	}
	_exit(0);
}

static int
run_worker(const struct seccomp_group *const *g, const struct job *jobs, int n)
{
	int	 status;
	pid_t	 pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0)
		worker(g, jobs, n);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Refused: by the handler, or by the kernel where the handler can't be reached
 * (the call was made with signals blocked). */
static bool
refused(int status)
{
	return (WIFEXITED(status) && WEXITSTATUS(status) == 99) ||
	    (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void
run_jobs(const char *name, const struct seccomp_group *const *g,
    const struct job *jobs, int n)
{
	int	 status, at, bad = 0;

	shared->next = 0;
	while ((at = shared->next) < n) {
		status = run_worker(g, jobs, n);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 98)
			fail_msg("%s: the filter does not load", name);
		/* All up to the one it died of were let through. */
		for (; at < shared->next; at++)
			if (!jobs[at].expected &&
			    !is_kernels_own(jobs[at].nr)) {
				print_error("%s: call %d was let through\n",
				    name, jobs[at].nr);
				bad++;
			}
		if (at >= n)
			break;
		if (refused(status) == jobs[at].expected &&
		    !is_kernels_own(jobs[at].nr)) {
			print_error("%s: call %d (%#llx %#llx %#llx): status "
			    "%#x\n", name, jobs[at].nr,
			    (unsigned long long)jobs[at].args.v[0],
			    (unsigned long long)jobs[at].args.v[1],
			    (unsigned long long)jobs[at].args.v[2], status);
			bad++;
		}
		shared->next = at + 1;
	}
	assert_int_equal(bad, 0);
}

static void
every_number(void **state)
{
	static struct job	 jobs[CALLS];

	(void)state;
	for (size_t i = 0; i < NGROUPS; i++) {
		const struct seccomp_group *g[] = { &seccomp_base, groups[i],
		    NULL };

		for (int nr = 0; nr < CALLS; nr++)
			jobs[nr] = (struct job){ nr, nothing,
			    allowed(g, nr, &nothing) };
		run_jobs(groups[i]->name, g, jobs, CALLS);
	}
}

static int
add(struct job *jobs, int n, const struct seccomp_group *const *g, int nr,
    struct args args)
{
	jobs[n] = (struct job){ nr, args, allowed(g, nr, &args) };
	return n + 1;
}

/* Met, and for each condition missed by a bit, by the upper half, by all. */
static int
around(struct job *jobs, int n, const struct seccomp_group *const *g,
    const struct seccomp_call *c)
{
	int		 nr = seccomp_syscall_resolve_name(c->name);
	struct args	 met = nothing, a;

	for (unsigned i = 0; i < c->nargs; i++) {
		const struct seccomp_arg *k = &c->args[i];

		met.v[k->index] = k->op == ARG_LT ? k->value - 1 : k->value;
		if (k->op == ARG_MASKED)	/* other bits are free */
			met.v[k->index] |= 1ULL << 40 & ~k->mask;
	}
	n = add(jobs, n, g, nr, met);
	for (unsigned i = 0; i < c->nargs; i++) {
		const struct seccomp_arg *k = &c->args[i];

		for (unsigned bit = 0; bit < 64; bit++) {
			a = met;
			a.v[k->index] ^= 1ULL << bit;
			n = add(jobs, n, g, nr, a);
		}
		a = met;
		a.v[k->index] = UINT64_MAX;
		n = add(jobs, n, g, nr, a);
		a.v[k->index] = k->value;
		n = add(jobs, n, g, nr, a);
		a.v[k->index] = k->value | 1ULL << 32;
		n = add(jobs, n, g, nr, a);
	}
	return n;
}

static void
every_condition(void **state)
{
	static struct job	 jobs[40000];
	int			 n;

	(void)state;
	for (size_t i = 0; i < NGROUPS; i++) {
		const struct seccomp_group *g[] = { &seccomp_base, groups[i],
		    NULL };

		n = 0;
		for (const struct seccomp_call *c = groups[i]->calls;
		    c->name != NULL; c++)
			/* Its pid is another in each worker. */
			if (c->nargs > 0 && strcmp(c->name, "tgkill") != 0)
				n = around(jobs, n, g, c);
		run_jobs(groups[i]->name, g, jobs, n);
	}
}

/* ---- the tables against the threat model ------------------------------------------ */

/* Names that the library does not know would be left out in silence. */
static void
names_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < NGROUPS; i++)
		for (const struct seccomp_call *c = groups[i]->calls;
		    c->name != NULL; c++)
			if (seccomp_syscall_resolve_name(c->name) < 0)
				fail_msg("%s: no call %s", groups[i]->name,
				    c->name);
}

static void
never_in_a_table(void **state)
{
	static const char *const names[] = { "execve", "execveat", "fork",
	    "vfork", "clone", "clone3", "ptrace", "process_vm_readv",
	    "process_vm_writev", "process_madvise", "prctl", "arch_prctl",
	    "ioctl", "kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
	    "pidfd_send_signal", "pidfd_open", "pidfd_getfd",
	    "open_by_handle_at", "mount", "umount2", "pivot_root", "chroot",
	    "unshare", "setns", "bpf", "io_uring_setup", "io_uring_enter",
	    "io_uring_register", "userfaultfd", "perf_event_open", "keyctl",
	    "add_key", "request_key", "memfd_create", "memfd_secret",
	    "socketpair", "listen", "open", "creat", "openat2", "chmod",
	    "chown", "fchown", "lchown", "fchownat", "setuid", "setgid",
	    "setreuid", "setregid", "setresuid", "setresgid", "setgroups",
	    "setfsuid", "setfsgid", "capset", "setrlimit", "prlimit64",
	    "seccomp", "personality", "pkey_mprotect", "mknod", "mknodat",
	    "symlink", "symlinkat", "init_module", "finit_module",
	    "kexec_load", "reboot", "swapon", "modify_ldt", "iopl", "ioperm",
	    "shmat", "shmget", "semop", "msgsnd", "inotify_init1",
	    "fanotify_init", "sendmmsg", "recvmmsg", "splice", "vmsplice",
	    "tee", "setpriority", "sched_setscheduler", "sched_setaffinity",
	    "timer_create", "signalfd4", "uselib", "quotactl" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t k = 0; k < NGROUPS; k++)
			for (const struct seccomp_call *c = groups[k]->calls;
			    c->name != NULL; c++)
				if (strcmp(c->name, names[i]) == 0)
					fail_msg("%s has %s", groups[k]->name,
					    names[i]);
}

#define A6(a, b, c, d)	{ { (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), \
			    (uint64_t)(d), 0, 0 } }
#define EXACT		(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
#define MISS		(1ULL << 32)	/* above what the kernel looks at */

/* What each daemon may not do, call by call. */
static void
never_in_a_profile(void **state)
{
	static const struct {
		int		 nr;
		struct args	 args;
	} table[] = {
		{ SYS_mmap, A6(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE) },
		{ SYS_mmap, A6(0, 4096, PROT_EXEC, MAP_PRIVATE) },
		{ SYS_mmap, A6(0, 4096, PROT_EXEC | MISS, MAP_PRIVATE) },
		{ SYS_mprotect, A6(0, 4096, PROT_EXEC, 0) },
		{ SYS_mprotect, A6(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    0) },
		{ SYS_rt_sigaction, A6(SIGSYS, 0, 0, 8) },
		{ SYS_rt_sigaction, A6(SIGSYS | MISS, 0, 0, 8) },
		{ SYS_rt_sigaction, A6(SIGSYS | 1ULL << 63, 0, 0, 8) },
		{ SYS_tgkill, A6(1, 1, SIGTERM, 0) },
		{ SYS_tgkill, A6(-1, 1, SIGTERM, 0) },
		{ SYS_socket, A6(AF_UNIX, EXACT, 0, 0) },
		{ SYS_socket, A6(AF_UNIX, SOCK_DGRAM, 0, 0) },
		{ SYS_socket, A6(AF_NETLINK, SOCK_RAW, 0, 0) },
		{ SYS_socket, A6(AF_PACKET, SOCK_RAW, 0, 0) },
		{ SYS_socket, A6(AF_INET, SOCK_RAW, IPPROTO_ICMP, 0) },
		{ SYS_socket, A6(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, 0) },
		{ SYS_socket, A6(AF_INET, SOCK_SEQPACKET, 132, 0) },
		{ SYS_socket, A6(AF_VSOCK, EXACT, 0, 0) },
		{ SYS_socket, A6(AF_ALG, SOCK_SEQPACKET, 0, 0) },
		{ SYS_accept4, A6(0, 0, 0, 0) },
		{ SYS_accept4, A6(0, 0, 0, SOCK_NONBLOCK) },
		{ SYS_accept4, A6(0, 0, 0, SOCK_CLOEXEC) },
		{ SYS_setsockopt, A6(0, SOL_SOCKET, SO_ATTACH_FILTER, 0) },
		{ SYS_setsockopt, A6(0, SOL_SOCKET, SO_MARK, 0) },
		{ SYS_setsockopt, A6(0, SOL_SOCKET, SO_BINDTODEVICE, 0) },
		{ SYS_setsockopt, A6(0, IPPROTO_TCP, TCP_ULP, 0) },
		{ SYS_setsockopt, A6(0, IPPROTO_IP, IP_TRANSPARENT, 0) },
		{ SYS_fcntl, A6(0, F_SETOWN, 1, 0) },
		{ SYS_fcntl, A6(0, F_NOTIFY, 0, 0) },
		{ SYS_fcntl, A6(0, F_ADD_SEALS, 0, 0) },
		{ SYS_newfstatat, A6(AT_FDCWD, 0, 0, AT_SYMLINK_FOLLOW |
		    AT_EMPTY_PATH) },
		{ SYS_dup3, A6(5, 3, 0, 0) },
		{ SYS_dup3, A6(5, 2, O_CLOEXEC, 0) },
		{ SYS_futex, A6(0, 0, 0, 0) }	/* not private */
	};
	const struct seccomp_group *g[9];

	(void)state;
	for (size_t i = 0; i < NPROFILES; i++) {
		memset(g, 0, sizeof(g));
		for (size_t k = 0; k < 8 && profiles[i][k] != NULL; k++)
			g[k] = profiles[i][k];
		for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
			struct job j = { table[k].nr, table[k].args, false };

			/* In the spool and the store alone. */
			if ((profiles[i][3] == &seccomp_files_spool ||
			    profiles[i][3] == &seccomp_files_store) &&
			    j.nr == SYS_newfstatat)
				continue;
			run_jobs("profile", g, &j, 1);
		}
	}
}

/* ---- the end of a process that tried ---------------------------------------------- */

static void
says_so(void **state)
{
	static const struct {
		int		 nr;
		const char	*line;
	} table[] = {
		{ SYS_open, "seccomp: refused call 2\n" },
		{ SYS_socket, "seccomp: refused call 41\n" },
		{ SYS_openat, "seccomp: refused call 257\n" },
		{ 100000, "seccomp: refused call 100000\n" }
	};
	const struct seccomp_group *g[] = { &seccomp_base, NULL };
	char	 line[200];
	int	 p[2], status;
	ssize_t	 n;
	pid_t	 pid;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(pipe(p), 0);
		if ((pid = fork()) == 0) {
			own_signals();
			dup2(p[1], STDERR_FILENO);
			close(p[1]);
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
			    seccomp_install(g) == -1)
				_exit(98);
			(void)syscall(table[i].nr, 0, 0, 0, 0, 0, 0);
			_exit(0);
		}
		close(p[1]);
		n = read(p[0], line, sizeof(line) - 1);
		line[n > 0 ? n : 0] = '\0';
		close(p[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 99);
		assert_string_equal(line, table[i].line);
	}
}

/* No way to a silent end: all signals blocked, the kernel kills. x32 and the
 * 32-bit entry are another architecture. */
static void
other_doors(void **state)
{
	const struct seccomp_group *g[] = { &seccomp_base, NULL };
	sigset_t	 all;
	int		 status;
	pid_t		 pid;

	(void)state;
	for (int door = 0; door < 4; door++) {
		if ((pid = fork()) == 0) {
			own_signals();
			int null = open("/dev/null", O_WRONLY);

			dup2(null, STDERR_FILENO);
			sigfillset(&all);
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
			    seccomp_install(g) == -1)
				_exit(98);
			switch (door) {
			case 0:
				sigprocmask(SIG_BLOCK, &all, NULL);
				(void)syscall(SYS_socket, AF_INET, 1, 0);
				break;
			case 1:		/* x32: getpid */
				(void)syscall(0x40000000 + SYS_getpid);
				break;
			case 2:		/* i386: getpid is 20 */
				__asm__ volatile("int $0x80" :: "a"(20) :
				    "memory");
				break;
			case 3:
				(void)signal(SIGSYS, SIG_IGN);
				(void)syscall(SYS_socket, AF_INET, 1, 0);
				break;
			}
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (door == 3)
			assert_true(WIFEXITED(status) &&
			    WEXITSTATUS(status) == 99);
		else if (door == 2)	/* a kernel without it: SIGSEGV */
			assert_true(WIFSIGNALED(status));
		else
			assert_true(WIFSIGNALED(status) &&
			    WTERMSIG(status) == SIGSYS);
	}
}

/* What must go on working in every daemon. */
static void
still_works(void **state)
{
	const struct seccomp_group *g[] = { &seccomp_base, &seccomp_loop,
	    NULL };
	int	 status;
	pid_t	 pid;
	char	*p;

	(void)state;
	for (int what = 0; what < 2; what++) {
		if ((pid = fork()) == 0) {
			own_signals();
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
			    seccomp_install(g) == -1)
				_exit(98);
			/* Memory small and big, and abort(3) as SIGABRT. */
			for (size_t n = 1; n < 50000000; n *= 7) {
				if ((p = malloc(n)) == NULL)
					_exit(1);
				memset(p, 1, n);
				free(p);
			}
			(void)signal(SIGHUP, SIG_IGN);
			if (what == 1)
				abort();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (what == 0)
			assert_true(WIFEXITED(status) &&
			    WEXITSTATUS(status) == 0);
		else
			assert_true(WIFSIGNALED(status) &&
			    WTERMSIG(status) == SIGABRT);
	}
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(names_known),
		cmocka_unit_test(never_in_a_table),
		cmocka_unit_test(every_number),
		cmocka_unit_test(every_condition),
		cmocka_unit_test(never_in_a_profile),
		cmocka_unit_test(says_so),
		cmocka_unit_test(other_doors),
		cmocka_unit_test(still_works)
	};

	if ((shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0)) == MAP_FAILED)
		return 1;
#ifdef POSTERN_NO_SANDBOX
	/* Sanitizers make calls of their own. */
	return cmocka_run_group_tests_name("tables", ((const struct
	    CMUnitTest[]){ tests[0], tests[1] }), NULL, NULL);
#else
	return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
