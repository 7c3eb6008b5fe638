/*
 * System-call filters as arrays: groups of calls, each with the arguments it
 * may have (security.md, 3). A refused call writes one line to fd 2 with its
 * number and ends the process with status 99.
 */
#ifndef PROC_SECCOMP_H
#define PROC_SECCOMP_H

#include <stdint.h>

struct seccomp_arg {
	unsigned	index;		/* argument 0..5 */
	enum { ARG_EQ, ARG_LT, ARG_MASKED } op;	/* of all 64 bits */
	uint64_t	value;		/* ARG_MASKED: (arg & mask) == value */
	uint64_t	mask;
};
struct seccomp_call {
	const char	  *name;
	unsigned	   nargs;	/* all must hold; several rows = or */
	struct seccomp_arg args[3];
};
struct seccomp_group {
	const char	  *name;
	const struct seccomp_call *calls;	/* ends with name NULL */
};

extern const struct seccomp_group seccomp_base, seccomp_loop, seccomp_sock_use,
    seccomp_sock_inet, seccomp_sock_dns, seccomp_fds_in, seccomp_fds_out,
    seccomp_files_spool, seccomp_files_store;

/* Installs the filter of these groups for good. 0, or -1 with errno. */
int	 seccomp_install(const struct seccomp_group *const *groups);

#endif
