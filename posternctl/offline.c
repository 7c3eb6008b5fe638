/*
 * Commands that work on the folder of a queue that nobody runs on: verify and
 * recover. What is in it is read by queued(8), as the folder's owner; a backup
 * is held against its manifest here, and copied into the place of a queue.
 */
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/manifest.h"
#include "posternctl/print.h"
#include "posternctl/progress.h"
#include "posternctl/words.h"

#include "common/base/enc.h"

#define QUEUE_USER	"_postern-queue"
#define PIECE		(1 << 18)

/* The queued beside this program (a build folder), else the installed one. */
static void
queued_path(char *dst, size_t size)
{
	char	*p;
	ssize_t	 n = readlink("/proc/self/exe", dst, size - 1);

	if (n > 0) {
		dst[n] = '\0';
		if ((p = strrchr(dst, '/')) != NULL) {
			p[1] = '\0';
			if (strlcat(dst, "queued", size) < size &&
			    access(dst, X_OK) == 0)
				return;
		}
	}
	strlcpy(dst, LIBEXECDIR "/queued", size);
}

static int
queued_run(const char *verb, const char *dir)
{
	char	 path[PATH_MAX];
	char	*argv[4] = { path, strdup(verb), strdup(dir), NULL };
	pid_t	 pid;
	int	 st;

	queued_path(path, sizeof(path));
	fflush(stdout);
	if ((pid = fork()) == 0) {
		execv(path, argv);
		fprintf(stderr, "posternctl: %s: %s\n", path, strerror(errno));
		_exit(EX_UNAVAILABLE);
	}
	free(argv[1]);
	free(argv[2]);
	while (pid != -1 && waitpid(pid, &st, 0) == -1)
		if (errno != EINTR)
			pid = -1;
	if (pid == -1) {
		fprintf(stderr, "posternctl: queued: %s\n", strerror(errno));
		return EX_OSERR;
	}
	return WIFEXITED(st) ? WEXITSTATUS(st) : EX_SOFTWARE;
}

/* ---- a backup against its manifest ---- */

struct checking {
	const char	*dir;
	int		 from, to;	/* folders; to -1: nothing is copied */
	uid_t		 uid;
	gid_t		 gid;
	int64_t		 files;
};

static int
bad(const struct checking *x, const char *name, const char *why)
{
	fprintf(stderr, "posternctl: %s/%s: %s\n", x->dir, name, why);
	return EX_DATAERR;
}

static bool
write_all(int fd, const uint8_t *p, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		if ((n = write(fd, p, len)) == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Reads the bytes that the manifest tells of, and copies them if so wanted. */
static int
file_read(const struct checking *x, const struct manifest_entry *e, int in,
    int out)
{
	static uint8_t	 p[PIECE];
	struct stat	 st;
	uint32_t	 crc = 0;
	int64_t		 left = e->bytes;
	ssize_t		 n;

	if (fstat(in, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size != e->size)
		return bad(x, e->name, "has another length than the manifest "
		    "says");
	while (left > 0) {
		n = read(in, p, left < PIECE ? (size_t)left : PIECE);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return bad(x, e->name, "can't be read");
		crc = enc_crc32c(crc, span(p, (size_t)n));
		left -= n;
		if (out != -1 && !write_all(out, p, (size_t)n))
			return bad(x, e->name, strerror(errno));
	}
	if (crc != e->crc)
		return bad(x, e->name, "checksum");
	if (out != -1 && (ftruncate(out, (off_t)e->size) == -1 ||
	    (geteuid() == 0 && fchown(out, x->uid, x->gid) == -1) ||
	    fsync(out) == -1))
		return bad(x, e->name, strerror(errno));
	return 0;
}

static int
file_check(const struct manifest_entry *e, void *arg)
{
	struct checking	*x = arg;
	int		 in, out = -1, st;

	in = openat(x->from, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	if (in == -1)
		return bad(x, e->name, strerror(errno));
	if (x->to != -1 && (out = openat(x->to, e->name, O_WRONLY | O_CREAT |
	    O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) == -1) {
		close(in);
		return bad(x, e->name, strerror(errno));
	}
	st = file_read(x, e, in, out);
	close(in);
	if (out != -1)
		close(out);
	x->files++;
	return st;
}

static int
folder_open(const char *dir)
{
	int	 fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		fprintf(stderr, "posternctl: %s: %s\n", dir, strerror(errno));
	return fd;
}

/* Is it the folder of a backup, whole or not? */
static bool
is_backup(int fd)
{
	return faccessat(fd, MANIFEST, F_OK, 0) == 0 ||
	    faccessat(fd, MANIFEST_NEW, F_OK, 0) == 0;
}

static int
backup_check(struct checking *x, bool quiet)
{
	int	 st = manifest_each(x->from, file_check, x);

	if (st == -1)
		return bad(x, MANIFEST, "not there, or not whole: this is no "
		    "whole backup");
	if (st == 0 && !quiet)
		printf("%lld files are as the manifest says\n",
		    (long long)x->files);
	return st;
}

/* ---- verify ---- */

static void
verify_row(const struct row *row, void *arg)
{
	struct progress	*p = arg;

	if (strcmp(row->kind, "progress") == 0) {
		progress_row(p, row);
		return;
	}
	progress_end(p);
	if (p->call->json)
		print_json(row);
	else
		print_fields(row);
}

static int
verify_live(const struct call *call)
{
	struct progress	 p = { call, "verify, MiB", 0, false };
	struct answer	 a = { verify_row, NULL, &p };
	int		 st;

	st = ask(call->dir, "queued", "verify", 0, NULL, &a, call->quiet);
	progress_end(&p);
	return st;
}

/* DIR is a spool with a queue in it, the queue's folder, or a backup's. */
static void
queue_of(const char *dir, char *dst, size_t size)
{
	if (snprintf(dst, size, "%s/queue", dir) >= (int)size ||
	    access(dst, F_OK) == -1)
		strlcpy(dst, dir, size);
}

static int
run_verify(const struct call *call)
{
	struct checking	 x = { .to = -1 };
	char		 dir[PATH_MAX];
	int		 st = 0;

	if (call->argc == 0)
		return verify_live(call);
	queue_of(call->argv[0], dir, sizeof(dir));
	x.dir = dir;
	if ((x.from = folder_open(dir)) == -1)
		return EX_NOINPUT;
	if (is_backup(x.from))
		st = backup_check(&x, call->quiet);
	close(x.from);
	return st != 0 ? st : queued_run("verify", dir);
}

/* ---- recover ---- */

/* SPOOL/queue, made as postern(8) makes it; -1 with a word. */
static int
place_make(const char *spool, char *dir, size_t size, struct checking *x)
{
	struct passwd	*pw = geteuid() == 0 ? getpwnam(QUEUE_USER) : NULL;
	struct stat	 st;
	int		 fd;

	x->uid = pw != NULL ? pw->pw_uid : geteuid();
	x->gid = pw != NULL ? pw->pw_gid : getegid();
	if (snprintf(dir, size, "%s/queue", spool) >= (int)size) {
		errno = ENAMETOOLONG;
		goto bad;
	}
	if ((mkdir(spool, 0711) == -1 && errno != EEXIST) ||
	    (mkdir(dir, 0700) == -1 && errno != EEXIST))
		goto bad;
	if ((fd = folder_open(dir)) == -1)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_uid != geteuid()) {
		x->uid = st.st_uid;
		x->gid = st.st_gid;
	} else if (geteuid() == 0 && fchown(fd, x->uid, x->gid) == -1)
		goto bad;
	return fd;
bad:
	fprintf(stderr, "posternctl: %s: %s\n", dir, strerror(errno));
	return -1;
}

/* A queue that is in the place already is not mixed with another one. */
static bool
place_empty(int fd, const char *dir)
{
	int	 again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR	*d = again == -1 ? NULL : fdopendir(again);
	struct dirent *e;
	bool	 empty = d != NULL;

	while (empty && (e = readdir(d)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0;
	if (d != NULL)
		closedir(d);
	if (!empty)
		fprintf(stderr, "posternctl: %s: a queue is there already, or "
		    "files of one; move them away first\n", dir);
	return empty;
}

static int
restore(const struct call *call)
{
	struct checking	 x = { .dir = call->argv[0] };
	char		 dir[PATH_MAX];
	int		 st = EX_CANTCREAT;

	if ((x.from = folder_open(x.dir)) == -1)
		return EX_NOINPUT;
	if ((x.to = place_make(call->argv[1], dir, sizeof(dir), &x)) != -1 &&
	    place_empty(x.to, dir) &&
	    (st = backup_check(&x, call->quiet)) == 0 && fsync(x.to) == -1) {
		fprintf(stderr, "posternctl: %s: %s\n", dir, strerror(errno));
		st = EX_IOERR;
	}
	close(x.from);
	if (x.to != -1)
		close(x.to);
	return st != 0 ? st : queued_run("recover", dir);
}

static int
run_recover(const struct call *call)
{
	char	 dir[PATH_MAX];
	int	 fd;
	bool	 backup;

	if (call->argc == 2)
		return restore(call);
	queue_of(call->argv[0], dir, sizeof(dir));
	if ((fd = folder_open(dir)) == -1)
		return EX_NOINPUT;
	backup = is_backup(fd);
	close(fd);
	if (backup) {
		fprintf(stderr, "posternctl: %s is a backup; say where its "
		    "queue is to be put: recover %s SPOOL\n", dir, dir);
		return EX_USAGE;
	}
	return queued_run("recover", dir);
}

const struct command commands_offline[] = {
	{ "verify", "[DIR]", "checksums, index, segments, bodies", 0, 1,
	    run_verify },
	{ "recover", "DIR [SPOOL]", "an index anew, or a backup in its place",
	    1, 2, run_recover },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
