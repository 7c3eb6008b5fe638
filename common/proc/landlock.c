/*
 * Landlock by its system calls: the headers of the system we build on know
 * fewer rights than the kernels we run on. See landlock.h.
 */
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/proc/landlock.h"

#define SYS_LANDLOCK_CREATE	444
#define SYS_LANDLOCK_ADD	445
#define SYS_LANDLOCK_RESTRICT	446
#define CREATE_VERSION		(1U << 0)
#define RULE_PATH		1
#define RULE_PORT		2

/* File rights by the ABI that brought them. */
#define FS_ABI1		((1ULL << 13) - 1)	/* execute … make_sym */
#define FS_REFER	(1ULL << 13)		/* ABI 2 */
#define FS_TRUNCATE	(1ULL << 14)		/* ABI 3 */
#define FS_IOCTL	(1ULL << 15)		/* ABI 5 */
#define FS_EXECUTE	(1ULL << 0)
#define NET_BIND	(1ULL << 0)		/* ABI 4 */
#define NET_CONNECT	(1ULL << 1)
#define SCOPE_ABSTRACT	(1ULL << 0)		/* ABI 6 */
#define SCOPE_SIGNAL	(1ULL << 1)

struct ruleset {
	uint64_t	fs, net, scoped;
};
struct path_rule {
	uint64_t	allowed;
	int32_t		parent_fd;
} __attribute__((packed));
struct port_rule {
	uint64_t	allowed, port;
};

static struct ruleset
ruleset_of(int abi)
{
	struct ruleset	 r = { FS_ABI1, 0, 0 };

	if (abi >= 2)
		r.fs |= FS_REFER;
	if (abi >= 3)
		r.fs |= FS_TRUNCATE;
	if (abi >= 4)
		r.net = NET_BIND | NET_CONNECT;
	if (abi >= 5)
		r.fs |= FS_IOCTL;
	if (abi >= 6)
		r.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return r;
}

static int
allow_dir(int rules, const struct ruleset *r, const char *dir)
{
	struct path_rule	 p = { r->fs & ~(FS_EXECUTE | FS_IOCTL), -1 };
	int			 rc, saved;

	if ((p.parent_fd = open(dir, O_PATH | O_CLOEXEC)) == -1)
		return -1;
	rc = (int)syscall(SYS_LANDLOCK_ADD, rules, RULE_PATH, &p, 0);
	saved = errno;
	close(p.parent_fd);
	errno = saved;
	return rc;
}

static int
allow_port(int rules, uint64_t right, uint16_t port)
{
	struct port_rule	 p = { right, port };

	return (int)syscall(SYS_LANDLOCK_ADD, rules, RULE_PORT, &p, 0);
}

int
landlock_install(const char *dir, const uint16_t *ports, size_t nports)
{
	struct ruleset	 r;
	size_t		 size;
	int		 abi, rules, saved;

	abi = (int)syscall(SYS_LANDLOCK_CREATE, NULL, 0, CREATE_VERSION);
	if (abi <= 0)
		return 0;
	r = ruleset_of(abi);
	size = abi >= 6 ? sizeof(r) : abi >= 4 ? 16 : 8;
	if ((rules = (int)syscall(SYS_LANDLOCK_CREATE, &r, size, 0)) == -1)
		return -1;
	if (dir != NULL && allow_dir(rules, &r, dir) == -1)
		goto fail;
	for (size_t i = 0; r.net != 0 && i < nports; i++)
		if (allow_port(rules, NET_CONNECT, ports[i]) == -1)
			goto fail;
	/* A source address is bound with port 0, the kernel's to choose. */
	if (r.net != 0 && nports > 0 && allow_port(rules, NET_BIND, 0) == -1)
		goto fail;
	if (syscall(SYS_LANDLOCK_RESTRICT, rules, 0) == -1)
		goto fail;
	close(rules);
	return abi;
fail:
	saved = errno;
	close(rules);
	errno = saved;
	return -1;
}
