/*
 * System-call filters. The groups are those of the threat model: each call
 * stands under what needs it, with the arguments it may have. See seccomp.h.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/proc/seccomp.h"

#define IS(i, v)	{ i, ARG_EQ, (uint64_t)(v), 0 }
#define BELOW(i, v)	{ i, ARG_LT, (uint64_t)(v), 0 }
#define BITS(i, v, m)	{ i, ARG_MASKED, (uint64_t)(v), (uint64_t)(m) }
#define CALL(n)		{ n, 0, { { 0, ARG_EQ, 0, 0 } } }
#define CALL1(n, a)	{ n, 1, { a } }
#define CALL2(n, a, b)	{ n, 2, { a, b } }
#define CALL3(n, a, b, c) { n, 3, { a, b, c } }
#define END		{ NULL, 0, { { 0, ARG_EQ, 0, 0 } } }

#define OWN_PID		UINT64_MAX	/* stands for getpid() */

static const struct seccomp_call base_calls[] = {
	/* bytes and memory; no page may ever become executable */
	CALL("read"), CALL("write"), CALL("writev"), CALL("close"),
	CALL("lseek"), CALL("brk"),
	CALL1("mmap", BITS(2, 0, PROT_EXEC)),
	CALL1("mprotect", BITS(2, 0, PROT_EXEC)),
	CALL("munmap"), CALL("mremap"), CALL("madvise"),
	/* malloc's and stdio's locks in a process without threads */
	CALL1("futex", BITS(1, FUTEX_PRIVATE_FLAG, FUTEX_PRIVATE_FLAG)),
	/* who, when, chance */
	CALL("getpid"), CALL("gettid"), CALL("getrandom"),
	CALL("clock_gettime"), CALL("gettimeofday"), CALL("sysinfo"),
	/*
	 * Signals: the handler of a refused call may not be taken away. "Not
	 * SIGSYS" would not do: registers have 64 bits, the kernel looks at
	 * 32 of this one. SIGSYS is the last of the ordinary signals.
	 */
	CALL("rt_sigprocmask"), CALL("rt_sigreturn"),
	CALL1("rt_sigaction", BELOW(0, SIGSYS)),
	/* abort(3) shows as SIGABRT */
	CALL1("tgkill", IS(0, OWN_PID)),
	CALL("exit_group"), CALL("restart_syscall"),
	CALL("fstat"), CALL1("newfstatat", IS(3, AT_EMPTY_PATH)),
	/* the logger's new socket takes the place of descriptor 2 */
	CALL2("dup3", IS(1, STDERR_FILENO), IS(2, 0)),
	END
};
static const struct seccomp_call loop_calls[] = {
	CALL("epoll_wait"), CALL("epoll_ctl"), CALL("recvmsg"),
	CALL("sendmsg"), CALL("recvfrom"), CALL("sendto"),
	/* channels are made non-blocking; configurations come sealed */
	CALL1("fcntl", IS(1, F_SETFL)), CALL1("fcntl", IS(1, F_GET_SEALS)),
	END
};
static const struct seccomp_call sock_use_calls[] = {
	CALL1("accept4", BITS(3, SOCK_NONBLOCK | SOCK_CLOEXEC,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)),
	CALL("shutdown"), CALL("getsockopt"), CALL("getpeername"),
	CALL("getsockname"), CALL("writev"), CALL("readv"),
	CALL2("setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
	CALL2("setsockopt", IS(1, SOL_SOCKET), IS(2, SO_LINGER)),
	CALL2("setsockopt", IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE)),
	CALL2("setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_KEEPIDLE)),
	CALL2("setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_KEEPINTVL)),
	CALL2("setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_KEEPCNT)),
	END
};
#define STREAM_EXACT	(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
static const struct seccomp_call sock_inet_calls[] = {
	CALL3("socket", IS(0, AF_INET), IS(1, STREAM_EXACT), IS(2, 0)),
	CALL3("socket", IS(0, AF_INET6), IS(1, STREAM_EXACT), IS(2, 0)),
	CALL3("socket", IS(0, AF_INET), IS(1, STREAM_EXACT),
	    IS(2, IPPROTO_TCP)),
	CALL3("socket", IS(0, AF_INET6), IS(1, STREAM_EXACT),
	    IS(2, IPPROTO_TCP)),
	CALL("connect"), CALL("bind"),
	CALL2("setsockopt", IS(1, IPPROTO_IP), IS(2, IP_BIND_ADDRESS_NO_PORT)),
	END
};
#define TYPE_MASK	(~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC))
static const struct seccomp_call sock_dns_calls[] = {
	CALL2("socket", IS(0, AF_INET), BITS(1, SOCK_STREAM, TYPE_MASK)),
	CALL2("socket", IS(0, AF_INET6), BITS(1, SOCK_STREAM, TYPE_MASK)),
	CALL2("socket", IS(0, AF_INET), BITS(1, SOCK_DGRAM, TYPE_MASK)),
	CALL2("socket", IS(0, AF_INET6), BITS(1, SOCK_DGRAM, TYPE_MASK)),
	CALL("connect"), CALL("getsockname"),
	CALL1("fcntl", IS(1, F_GETFL)), CALL1("fcntl", IS(1, F_SETFL)),
	CALL1("fcntl", IS(1, F_SETFD)),
	CALL2("setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
	END
};
static const struct seccomp_call fds_in_calls[] = {
	CALL("pread64"), CALL1("fcntl", IS(1, F_GETFL)),
	CALL1("fcntl", IS(1, F_GET_SEALS)), CALL1("fcntl", IS(1, F_SETFD)),
	END
};
static const struct seccomp_call fds_out_calls[] = {
	CALL("dup"), CALL1("fcntl", IS(1, F_GETFL)),
	CALL1("fcntl", IS(1, F_DUPFD_CLOEXEC)),
	END
};
#define OPEN_FLAGS	(O_RDONLY | O_WRONLY | O_RDWR | O_CREAT | O_EXCL | \
	    O_NOFOLLOW | O_CLOEXEC | O_DIRECTORY | O_NONBLOCK)
static const struct seccomp_call files_spool_calls[] = {
	CALL1("openat", BITS(2, 0, ~(uint64_t)OPEN_FLAGS & UINT32_MAX)),
	CALL("pread64"), CALL("pwrite64"), CALL("fdatasync"), CALL("fsync"),
	CALL("sync_file_range"), CALL("ftruncate"), CALL("fallocate"),
	CALL("unlink"), CALL("unlinkat"), CALL("rename"), CALL("renameat2"),
	CALL("flock"),			/* who owns the queue's folder */
	CALL("getdents64"), CALL("getcwd"), CALL("newfstatat"),
	CALL("fstatfs"), CALL("statfs"), CALL("sysinfo"),
	CALL("sched_getaffinity"), CALL("pselect6"),
	CALL1("fcntl", IS(1, F_GETFD)), CALL1("fcntl", IS(1, F_SETFD)),
	CALL1("fcntl", IS(1, F_GETFL)),
	END
};
static const struct seccomp_call files_store_calls[] = {
	CALL1("openat", BITS(2, 0, ~(uint64_t)OPEN_FLAGS & UINT32_MAX)),
	CALL("mkdirat"), CALL("linkat"),
	CALL1("renameat2", IS(4, 1 /* RENAME_NOREPLACE */)),
	CALL("unlinkat"), CALL("fsync"), CALL("newfstatat"),
	CALL("getdents64"), CALL("fstatfs"), CALL("fchmod"),
	END
};

const struct seccomp_group seccomp_base = { "base", base_calls };
const struct seccomp_group seccomp_loop = { "loop", loop_calls };
const struct seccomp_group seccomp_sock_use = { "sock-use", sock_use_calls };
const struct seccomp_group seccomp_sock_inet = { "sock-inet",
    sock_inet_calls };
const struct seccomp_group seccomp_sock_dns = { "sock-dns", sock_dns_calls };
const struct seccomp_group seccomp_fds_in = { "fds-in", fds_in_calls };
const struct seccomp_group seccomp_fds_out = { "fds-out", fds_out_calls };
const struct seccomp_group seccomp_files_spool = { "files-spool",
    files_spool_calls };
const struct seccomp_group seccomp_files_store = { "files-store",
    files_store_calls };

/*
 * A refused call: one line by write(2) alone, then the end. Nothing else is
 * safe to call here.
 */
static void
on_refused(int sig, siginfo_t *si, void *ctx)
{
	char	 line[48] = "seccomp: refused call ", digits[12];
	unsigned n = (unsigned)si->si_syscall;
	size_t	 len = sizeof("seccomp: refused call ") - 1, k = 0;

	(void)sig;
	(void)ctx;
	do {
		digits[k++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	while (k > 0)
		line[len++] = digits[--k];
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, len);
	_exit(99);
}

static int
add_call(scmp_filter_ctx ctx, const struct seccomp_call *call)
{
	struct scmp_arg_cmp	 cmp[3];
	int			 nr = seccomp_syscall_resolve_name(call->name);

	if (nr == __NR_SCMP_ERROR)
		return -ENOSYS;
	for (unsigned i = 0; i < call->nargs; i++) {
		const struct seccomp_arg *a = &call->args[i];
		uint64_t v = a->value == OWN_PID ? (uint64_t)getpid() :
		    a->value;

		switch (a->op) {
		case ARG_EQ:
			cmp[i] = SCMP_CMP64(a->index, SCMP_CMP_EQ, v);
			break;
		case ARG_LT:
			cmp[i] = SCMP_CMP64(a->index, SCMP_CMP_LT, v);
			break;
		case ARG_MASKED:
			cmp[i] = SCMP_CMP64(a->index, SCMP_CMP_MASKED_EQ,
			    a->mask, v);
			break;
		}
	}
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, call->nargs,
	    cmp);
}

int
seccomp_install(const struct seccomp_group *const *groups)
{
	struct sigaction	 sa;
	scmp_filter_ctx		 ctx;
	int			 rc;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_refused;
	sa.sa_flags = SA_SIGINFO;
	if (sigaction(SIGSYS, &sa, NULL) == -1)
		return -1;
	if ((ctx = seccomp_init(SCMP_ACT_TRAP)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (; rc == 0 && *groups != NULL; groups++)
		for (const struct seccomp_call *call = (*groups)->calls;
		    rc == 0 && call->name != NULL; call++)
			if ((rc = add_call(ctx, call)) == -EEXIST)
				rc = 0;
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc < 0) {
		errno = -rc;
		return -1;
	}
	return 0;
}
