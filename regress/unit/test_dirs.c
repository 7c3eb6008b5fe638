/*
 * Root and the folders of others (security.md, R17): links, FIFOs, devices and
 * folders of less right, planted where the control path, the spool, a socket or
 * a file of the configuration should be. Root says so and ends; what the plants
 * point to is as it was. Needs root.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define QUEUE_ID	54321
#define STRANGER_ID	54322
#define ADM_GID		54323

static char		dir[64];	/* ours, 0755 */
static struct conf	conf;
static struct gateway	gw;

static const char *
at(const char *name)
{
	static char	 paths[8][200];
	static unsigned	 turn;
	char		*p = paths[turn++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static void sh(const char *, ...) __attribute__((format(printf, 1, 2)));

static void
sh(const char *fmt, ...)
{
	char	 cmd[1000];
	va_list	 ap;
	int	 n = snprintf(cmd, sizeof(cmd), "cd %s && ", dir);

	va_start(ap, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	assert_int_equal(system(cmd), 0);
}

/* A folder and a file that nobody may touch through us. */
static void
victim_make(void)
{
	sh("rm -rf run spool other && mkdir -p victim && chmod 700 victim && "
	    "chown %d victim && echo precious >victim/file && "
	    "chmod 600 victim/file", STRANGER_ID);
}

static void
victim_is_untouched(void)
{
	struct stat	 st;

	assert_int_equal(lstat(at("victim"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, STRANGER_ID);
	assert_int_equal(lstat(at("victim/file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_size, 9);
	assert_int_equal(st.st_nlink, 1);
	sh("test \"$(ls -A victim)\" = file");
}

/* dirs_make in a child: its status. */
static int
make(void)
{
	int	 status, null;
	pid_t	 pid;

	conf.control_path = (char *)(uintptr_t)at("run/postern");
	conf.queue_path = (char *)(uintptr_t)at("spool/postern");
	if ((pid = fork()) == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		null = open("/dev/null", O_WRONLY);
		dup2(null, STDERR_FILENO);
		dirs_make(&gw, &conf);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool
has(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	struct stat	 st;

	return lstat(at(name), &st) == 0 && S_ISDIR(st.st_mode) &&
	    (st.st_mode & 07777) == mode && st.st_uid == uid &&
	    st.st_gid == gid;
}

static void
made(void **state)
{
	(void)state;
	victim_make();
	(void)umask(0);		/* whatever ours is */
	assert_int_equal(make(), 0);
	(void)umask(022);
	assert_true(has("run/postern", 0750, 0, ADM_GID));
	assert_true(has("run/postern/empty", 0555, 0, 0));
	assert_true(has("spool/postern", 0711, 0, 0));
	assert_true(has("spool/postern/queue", 0700, QUEUE_ID, QUEUE_ID));
	/* Once more: as they are. */
	assert_int_equal(make(), 0);
	/* Ours, but made by another tool. */
	sh("chmod 755 run/postern spool/postern run/postern/empty && "
	    "chgrp 0 run/postern");
	assert_int_equal(make(), 0);
	assert_true(has("run/postern", 0750, 0, ADM_GID));
	assert_true(has("run/postern/empty", 0555, 0, 0));
	assert_true(has("spool/postern", 0711, 0, 0));
}

/* One plant a line, in a tree that is good otherwise; all but the last are to be
 * refused. */
static void
planted(void **state)
{
	static const char *const plants[] = {
		/* in place of each folder: a link, a file, a FIFO, a device */
		"rm -r run/postern && ln -s ../victim run/postern",
		"rm -r run/postern && echo x >run/postern",
		"rm -r run/postern && mkfifo run/postern",
		"rm -r run/postern && mknod run/postern b 7 77",
		"rm -r run/postern && ln -s nowhere run/postern",
		"rm -r run/postern/empty && ln -s ../../victim run/postern/empty",
		"rm -r run/postern/empty && mkfifo run/postern/empty",
		"rm -r spool/postern && ln -s ../victim spool/postern",
		"rm -r spool/postern && mknod spool/postern c 1 3",
		"rm -r spool/postern/queue && "
		    "ln -s ../../victim spool/postern/queue",
		"rm -r spool/postern/queue && mkfifo spool/postern/queue",
		"rm -r spool/postern/queue && mknod spool/postern/queue c 1 3",
		/* the lock */
		"rm run/postern/lock && ln -s ../../victim/file run/postern/lock",
		"rm run/postern/lock && mkfifo run/postern/lock",
		"rm run/postern/lock && mkdir run/postern/lock",
		"rm run/postern/lock && mknod run/postern/lock c 1 3",
		/* another's, or others may write */
		"chown 54322 run/postern", "chmod 770 run/postern",
		"chmod 757 run/postern", "chown 54322 run/postern/empty",
		"chown 54322 spool/postern", "chmod 733 spool/postern",
		"chown 54322 spool/postern/queue",
		"chown 0 spool/postern/queue", "chmod 755 spool/postern/queue",
		"chmod 720 spool/postern/queue",
		/* the folders above */
		"chown 54322 run", "chmod 777 run", "chmod 775 spool",
		"chown 54322 spool",
		"mv run victim-run && chown 54322 victim-run && "
		    "ln -s victim-run run"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(plants) / sizeof(plants[0]); i++) {
		victim_make();
		sh("rm -rf victim-run");
		assert_int_equal(make(), 0);
		sh("%s", plants[i]);
		if (make() != 1)
			fail_msg("not refused: %s", plants[i]);
		victim_is_untouched();
	}
	/* A link of root's own in a root-owned folder is root's business. */
	victim_make();
	sh("rm -rf victim-run && mkdir run other && ln -s other run/x");
	assert_int_equal(make(), 0);
}

/* Inside the queue all may lie: root does not look. */
static void
inside_the_queue(void **state)
{
	(void)state;
	victim_make();
	assert_int_equal(make(), 0);
	sh("cd spool/postern/queue && ln -s ../../../victim/file 00000001.seg && "
	    "ln -s ../../../victim index && mkfifo DB_CONFIG && "
	    "mknod dev c 1 3 && chown -h 54321 *");
	assert_int_equal(make(), 0);
	victim_is_untouched();
	sh("cd spool/postern/queue && test -L 00000001.seg && test -L index && "
	    "test -p DB_CONFIG && test -c dev");
}

static void
one_at_a_time(void **state)
{
	int	 p[2], status;
	pid_t	 pid;
	char	 x;

	(void)state;
	victim_make();
	assert_int_equal(make(), 0);
	assert_int_equal(pipe(p), 0);
	if ((pid = fork()) == 0) {
		conf.control_path = (char *)(uintptr_t)at("run/postern");
		conf.queue_path = (char *)(uintptr_t)at("spool/postern");
		dirs_make(&gw, &conf);
		(void)!write(p[1], "x", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(p[0], &x, 1), 1);
	assert_int_equal(make(), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(make(), 0);
	close(p[0]);
	close(p[1]);
}

/* ---- sockets of the configuration -------------------------------------------- */

static struct conf_listen	 submission = { .kind = LISTEN_UNIX,
    .pos = { "test.conf", 7, 1 } };
static struct conf_listen	*listens[] = { &submission };

static bool
bind_it(const char *path, struct set *set, struct buf *msgs)
{
	submission.path = (char *)(uintptr_t)path;
	conf.listens = listens;
	conf.nlistens = 1;
	memset(set, 0, sizeof(*set));
	set->conf = &conf;
	set->conf_fd = -1;
	return bind_all(&gw, set, NULL, msgs);
}

static void
set_done(struct set *set)
{
	for (size_t i = 0; i < set->nsockets; i++) {
		if (set->sockets[i].fd != -1)
			close(set->sockets[i].fd);
		free(set->sockets[i].path);
	}
	free(set->sockets);
}

static void
sockets(void **state)
{
	static const char *const plants[] = {
		"ln -s ../victim/file run/submission",
		"ln -s nowhere run/submission",
		"echo x >run/submission", "mkfifo run/submission",
		"mkdir run/submission", "mknod run/submission c 1 3",
		"chown 54322 run", "chmod 777 run"
	};
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	struct stat		 st;
	struct set		 set;
	struct buf		 msgs;
	int			 fd;

	(void)state;
	buf_init(&msgs, 4096);
	for (size_t i = 0; i < sizeof(plants) / sizeof(plants[0]); i++) {
		victim_make();
		sh("mkdir run && %s", plants[i]);
		if (bind_it(at("run/submission"), &set, &msgs))
			fail_msg("not refused: %s", plants[i]);
		assert_non_null(strstr(buf_cstr(&msgs), "test.conf:7:1: error:"));
		buf_reset(&msgs);
		victim_is_untouched();
		set_done(&set);
	}
	/* Another's socket is not ours to remove, our own old one is. */
	victim_make();
	sh("mkdir run");
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", at("run/submission"));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	sh("chown 54322 run/submission");
	assert_false(bind_it(at("run/submission"), &set, &msgs));
	set_done(&set);
	buf_reset(&msgs);
	sh("chown 0 run/submission");
	assert_true(bind_it(at("run/submission"), &set, &msgs));
	assert_int_equal(buf_len(&msgs), 0);
	/* Everybody may connect, whatever our umask; the umask is as before. */
	assert_int_equal(lstat(at("run/submission"), &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0666);
	assert_int_equal(umask(022), 022);
	bind_close(&set, NULL);
	assert_int_equal(lstat(at("run/submission"), &st), -1);
	set_done(&set);
	buf_clear(&msgs);
}

/* ---- files of the configuration ------------------------------------------------ */

static void
files(void **state)
{
	static const struct {
		const char	*plant;
		const char	*why;	/* NULL: taken */
		bool		 secret;
	} table[] = {
		{ "chmod 644 etc/f", NULL, false },
		{ "chmod 600 etc/f", NULL, true },
		{ "chmod 640 etc/f", NULL, true },
		{ "chmod 644 etc/f", "others may read", true },
		{ "chmod 666 etc/f", "others than its owner", false },
		{ "chmod 664 etc/f", "others than its owner", false },
		{ "chown 54322 etc/f", "belongs to another user", false },
		{ "chown 54322 etc", "belongs to another user", false },
		{ "chmod 777 etc", "others than its owner", false },
		{ "chmod 1777 etc", NULL, false },
		{ "rm etc/f", "No such file", false },
		{ "rm etc/f && mkfifo etc/f", "not a file", false },
		{ "rm etc/f && mknod etc/f c 1 5", "not a file", false },
		{ "rm etc/f && mkdir etc/f", "not a file", false },
		{ "mv etc/f etc/g && ln -s g etc/f", NULL, false },
		{ "mkdir o && mv etc/f o/f && chmod 600 o/f && "
		    "ln -s ../o/f etc/f", NULL, true },
		{ "mkdir o && mv etc/f o/f && chown 54322 o && "
		    "ln -s ../o/f etc/f", "belongs to another user", false },
		{ "ln -s /dev/zero etc/z && mv etc/z etc/f",
		    "others than its owner", false }
	};
	struct buf	 msgs;
	int		 fd;

	(void)state;
	buf_init(&msgs, 4096);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		sh("rm -rf etc o && mkdir etc && echo x >etc/f");
		sh("%s", table[i].plant);
		fd = file_open(at("etc/f"), table[i].secret, &msgs);
		if ((fd != -1) != (table[i].why == NULL))
			fail_msg("%s", table[i].plant);
		if (fd != -1)
			close(fd);
		else
			assert_non_null(strstr(buf_cstr(&msgs), table[i].why));
		assert_int_equal(buf_len(&msgs) == 0, fd != -1);
		buf_reset(&msgs);
	}
	buf_clear(&msgs);
}

static int
setup(void **state)
{
	(void)state;
	if (getuid() != 0)
		return 0;
	snprintf(dir, sizeof(dir), "/tmp/test_dirs.XXXXXX");
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) == -1)
		return -1;
	gw.root = true;
	gw.adm_gid = ADM_GID;
	gw.uid[role_index(IPC_QUEUED)] = QUEUE_ID;
	gw.gid[role_index(IPC_QUEUED)] = QUEUE_ID;
	(void)umask(022);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (getuid() == 0)
		sh("rm -rf %s", dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(made),
		cmocka_unit_test(planted),
		cmocka_unit_test(inside_the_queue),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(sockets),
		cmocka_unit_test(files)
	};

	log_init("test", LOG_FORM_TEXT, LOG_LV_WARN);
	if (getuid() != 0) {
		printf("[  SKIPPED ] needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
