/*
 * Makes another process do a system call: for tests of what its sandbox lets
 * through. The process must be at rest in a call (epoll_wait); its registers are
 * set so that it enters the kernel once more with the call asked for. What came
 * back is printed, a signal (SIGSYS of a refused call) is passed on to the
 * process, otherwise it goes on where it was. x86-64; root, because the daemons
 * are not dumpable.
 *	inject PID NUMBER [ARGUMENT ...]	six arguments at most
 */
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef __x86_64__
#error "inject knows the registers of x86-64 only"
#endif

#define TRIES		100	/* until it is found at rest */
#define SYSCALL_INSN	0x050f	/* 0f 05 */
#define SYSCALL_STOP	(SIGTRAP | 0x80)

static long
number(const char *text)
{
	char	*end;
	long	 v;

	errno = 0;
	v = strtol(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0')
		errx(64, "%s: not a number", text);
	return v;
}

/* The next stop of the process; ends with a word about it if there is none. */
static int
wait_stop(pid_t pid)
{
	int	 status;

	if (waitpid(pid, &status, __WALL) == -1)
		err(1, "waitpid");
	if (WIFEXITED(status)) {
		printf("exited with %d\n", WEXITSTATUS(status));
		exit(0);
	}
	if (WIFSIGNALED(status)) {
		printf("killed by SIG%s\n", sigabbrev_np(WTERMSIG(status)));
		exit(0);
	}
	return status;
}

/* Stops it; true if it is within a system call just now. */
static int
stop_at_rest(pid_t pid, struct user_regs_struct *regs)
{
	long	 insn;

	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == -1)
		err(1, "PTRACE_INTERRUPT");
	(void)wait_stop(pid);
	if (ptrace(PTRACE_GETREGS, pid, NULL, regs) == -1)
		err(1, "PTRACE_GETREGS");
	errno = 0;
	insn = ptrace(PTRACE_PEEKTEXT, pid, (void *)(regs->rip - 2), NULL);
	return errno == 0 && (insn & 0xffff) == SYSCALL_INSN &&
	    (long long)regs->orig_rax >= 0;
}

/* Did the filter refuse the call? Its signal then waits to be delivered. */
static int
is_refused(pid_t pid)
{
	struct __ptrace_peeksiginfo_args	 a = { 0, 0, 1 };
	siginfo_t				 si;

	for (; ptrace(PTRACE_PEEKSIGINFO, pid, &a, &si) == 1; a.off++)
		if (si.si_signo == SIGSYS)
			return 1;
	return 0;
}

/* As the kernel does it for a call that a stop interrupted. */
static void
fix_restart(struct user_regs_struct *regs)
{
	long long	 v = (long long)regs->rax;

	if (v == -516)				/* ERESTART_RESTARTBLOCK */
		regs->rax = (unsigned long long)-EINTR;
	else if (v <= -512 && v >= -514) {
		regs->rax = regs->orig_rax;
		regs->rip -= 2;
	}
	regs->orig_rax = (unsigned long long)-1;
}

int
main(int argc, char **argv)
{
	const struct timespec	 pause = { 0, 10000000 };
	struct user_regs_struct	 before, r;
	unsigned long long	*args[6] = { &r.rdi, &r.rsi, &r.rdx, &r.r10,
				    &r.r8, &r.r9 };
	pid_t			 pid;
	int			 status, stops = 0, tries = 0, sig;

	if (argc < 3 || argc > 9)
		errx(64, "usage: inject PID NUMBER [ARGUMENT ...]");
	pid = (pid_t)number(argv[1]);
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) == -1)
		err(1, "PTRACE_SEIZE %d", (int)pid);
	while (!stop_at_rest(pid, &before)) {
		if (++tries == TRIES)
			errx(1, "the process is never at rest");
		if (ptrace(PTRACE_CONT, pid, NULL, NULL) == -1)
			err(1, "PTRACE_CONT");
		nanosleep(&pause, NULL);
	}

	r = before;
	r.rip -= 2;
	r.rax = (unsigned long long)number(argv[2]);
	r.orig_rax = (unsigned long long)-1;	/* nothing to restart */
	for (int i = 0; i < argc - 3; i++)
		*args[i] = (unsigned long long)number(argv[3 + i]);
	if (ptrace(PTRACE_SETREGS, pid, NULL, &r) == -1)
		err(1, "PTRACE_SETREGS");

	/* Two stops, in and out; the first comes before the filter's word. */
	while (stops < 2) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == -1)
			err(1, "PTRACE_SYSCALL");
		status = wait_stop(pid);
		sig = WSTOPSIG(status);
		if (sig == SYSCALL_STOP) {
			stops++;
			continue;
		}
		if (status >> 16 == PTRACE_EVENT_STOP)
			continue;
		printf("call %s: SIG%s\n", argv[2], sigabbrev_np(sig));
		if (ptrace(PTRACE_DETACH, pid, NULL, (long)sig) == -1)
			err(1, "PTRACE_DETACH");
		return 0;
	}
	if (ptrace(PTRACE_GETREGS, pid, NULL, &r) == -1)
		err(1, "PTRACE_GETREGS");
	if (is_refused(pid))
		printf("call %s: refused\n", argv[2]);
	else if ((long long)r.rax < 0 && (long long)r.rax > -4096)
		printf("call %s: -1, %s\n", argv[2],
		    strerrorname_np(-(int)r.rax));
	else
		printf("call %s: %lld\n", argv[2], (long long)r.rax);
	fix_restart(&before);
	if (ptrace(PTRACE_SETREGS, pid, NULL, &before) == -1 ||
	    ptrace(PTRACE_DETACH, pid, NULL, NULL) == -1)
		err(1, "PTRACE_DETACH");
	return 0;
}
