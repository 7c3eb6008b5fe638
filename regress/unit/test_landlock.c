/*
 * Landlock, tried in a child where the kernel has it: nothing of the file system
 * but one folder, no TCP but to the named ports.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/proc/landlock.h"

#define NET_ABI	4

static char	dir[64];

/* Runs f in a confined child: its status. */
static int
confined(const char *allowed, const uint16_t *ports, size_t nports,
    int (*f)(int abi))
{
	int	 status, abi;
	pid_t	 pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
		    (abi = landlock_install(allowed, ports, nports)) == -1)
			_exit(90);
		_exit(abi == 0 ? 91 : f(abi));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 91)
		skip();
	return WEXITSTATUS(status);
}

static bool
can_open(const char *path, int flags)
{
	int	 fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd == -1)
		return false;
	close(fd);
	return true;
}

static int
try_nothing(int abi)
{
	char	 path[100];

	(void)abi;
	snprintf(path, sizeof(path), "%s/inside", dir);
	if (can_open("/etc/passwd", O_RDONLY) || can_open("/", O_RDONLY) ||
	    can_open(path, O_RDONLY) || can_open("/dev/null", O_WRONLY))
		return 1;
	snprintf(path, sizeof(path), "%s/new", dir);
	if (can_open(path, O_WRONLY | O_CREAT) || mkdir(path, 0700) == 0 ||
	    symlink("/etc", path) == 0)
		return 2;
	return errno == EACCES ? 0 : 3;
}

static int
try_folder(int abi)
{
	char	 path[100], two[100];

	snprintf(path, sizeof(path), "%s/inside", dir);
	if (!can_open(path, O_RDWR) || !can_open(dir, O_RDONLY))
		return 1;
	snprintf(path, sizeof(path), "%s/made", dir);
	snprintf(two, sizeof(two), "%s/moved", dir);
	if (!can_open(path, O_WRONLY | O_CREAT) || rename(path, two) == -1 ||
	    truncate(two, 10) == -1 || unlink(two) == -1)
		return 2;
	if (can_open("/etc/passwd", O_RDONLY) || can_open("/", O_RDONLY))
		return 3;
	snprintf(path, sizeof(path), "%s/../etc/passwd", dir);
	if (can_open(path, O_RDONLY))
		return 4;
	/* Out of it by a link to the file. */
	snprintf(path, sizeof(path), "%s/link", dir);
	if (can_open(path, O_RDONLY))
		return 5;
	/* Nothing in it may be run. */
	snprintf(path, sizeof(path), "%s/prog", dir);
	if (execl(path, path, (char *)NULL) == -1 && errno != EACCES)
		return 6;
	(void)abi;
	return 0;
}

static uint16_t	open_port;		/* someone listens */
static uint16_t	other_port;		/* here too */

/* From 127.0.0.2, as a `source` of the configuration. */
static int
tcp_connect_from(uint16_t port)
{
	struct sockaddr_in	 to = { .sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in	 from = { .sin_family = AF_INET,
				    .sin_addr = { htonl(0x7f000002) } };
	int			 fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	int			 rc = 0;

	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
	    sizeof(one));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == -1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1)
		rc = errno;
	close(fd);
	return rc;
}

static int
tcp_connect(uint16_t port)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int			 fd = socket(AF_INET, SOCK_STREAM, 0), rc;

	rc = connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 ? 0 :
	    errno;
	close(fd);
	return rc;
}

/* Listens on *port, chosen here if 0; -1. */
static int
tcp_listener(uint16_t *port)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET,
				    .sin_port = htons(*port),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t		 len = sizeof(sin);
	int			 fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&sin, len) == -1 ||
	    listen(fd, 5) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1) {
		close(fd);
		return -1;
	}
	*port = ntohs(sin.sin_port);
	return fd;
}

static int
try_ports(int abi)
{
	uint16_t	 port = 2525;

	if (abi < NET_ABI)
		return 0;
	if (tcp_connect(open_port) != 0)
		return 1;
	if (tcp_connect(other_port) != EACCES)
		return 2;
	if (tcp_connect_from(open_port) != 0)
		return 4;
	return tcp_listener(&port) == -1 && errno == EACCES ? 0 : 3;
}

static int
try_no_ports(int abi)
{
	uint16_t	 port = 0;

	if (abi < NET_ABI)
		return 0;
	if (tcp_connect(open_port) != EACCES ||
	    tcp_connect_from(open_port) != EACCES)
		return 1;
	return tcp_listener(&port) == -1 && errno == EACCES ? 0 : 2;
}

static void
nothing(void **state)
{
	(void)state;
	assert_int_equal(confined(NULL, NULL, 0, try_nothing), 0);
}

static void
folder(void **state)
{
	(void)state;
	assert_int_equal(confined(dir, NULL, 0, try_folder), 0);
}

static void
ports(void **state)
{
	int	 a = tcp_listener(&open_port), b = tcp_listener(&other_port);

	(void)state;
	assert_int_not_equal(a, -1);
	assert_int_not_equal(b, -1);
	assert_int_equal(confined(NULL, &open_port, 1, try_ports), 0);
	assert_int_equal(confined(NULL, NULL, 0, try_no_ports), 0);
	close(a);
	close(b);
}

/* A step that fails is told, not swallowed. */
static void
fails(void **state)
{
	int	 status;
	pid_t	 pid;

	(void)state;
	(void)confined(NULL, NULL, 0, try_no_ports);	/* skips without */
	if ((pid = fork()) == 0) {
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(landlock_install("/nonexistent/folder", NULL, 0) == -1 &&
		    errno == ENOENT ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int
setup(void **state)
{
	char	 path[100];
	int	 fd;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_landlock.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/inside", dir);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	snprintf(path, sizeof(path), "%s/link", dir);
	(void)!symlink("/etc/passwd", path);
	snprintf(path, sizeof(path), "%s/prog", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0700);
	(void)!write(fd, "#!/bin/true\n", 12);
	close(fd);
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "inside", "link", "prog" };
	char	 path[100];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(folder),
		cmocka_unit_test(ports),
		cmocka_unit_test(fails)
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
