#include "queued/diskio.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <db.h>

#include "common/base/log.h"

#define NAMED_FDS	1024	/* descriptors whose file's name is kept */
#define NAME_MAX_LEN	40

static char	names[NAMED_FDS][NAME_MAX_LEN];
static struct dio_hook hook;
static uint64_t	syncs;

void
dio_hook(const struct dio_hook *h)
{
	static const struct dio_hook none;

	hook = h == NULL ? none : *h;
}

uint64_t
dio_syncs(void)
{
	return syncs;
}

static const char *
fd_name(int fd)
{
	return fd >= 0 && fd < NAMED_FDS && names[fd][0] != '\0' ?
	    names[fd] : "?";
}

static bool
no_space(int err)
{
	return err == ENOSPC || err == EDQUOT;
}

/* Segments, bodies and the reserve; all else is the index. */
static bool
foreseen(const char *name)
{
	return strncmp(name, "seg.", 4) == 0 || strcmp(name, "spare") == 0 ||
	    strncmp(name, "body.", 5) == 0 || strcmp(name, DIO_RESERVE) == 0;
}

/* May the operation go on? False with errno if a test wants it to fail. */
static bool
before(const struct dio_event *e)
{
	int	 err;

	if (hook.inject == NULL || (err = hook.inject(e, hook.arg)) == 0)
		return true;
	errno = err == -1 && e->op == DIO_WRITE ? 0 : err == -1 ? ENOSPC : err;
	return false;
}

static void
after(const struct dio_event *e)
{
	if (hook.trace != NULL)
		hook.trace(e, hook.arg);
}

void
dio_stop(const char *what, const char *name, int err)
{
	errno = err;
	log_warn("event=fault op=%s file=%s", what,
	    log_quote(span_str(name)));
	if (no_space(err))
		unlink(DIO_RESERVE);
	_exit(DIO_EXIT);
}

void
dio_stop_rebuild(const char *what, const char *why)
{
	int	 fd;

	log_warnx("event=fault op=%s why=%s; the index will be made anew from "
	    "the segments", what, log_quote(span_str(why)));
	fd = open(DIO_REBUILD, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1 && no_space(errno)) {
		unlink(DIO_RESERVE);
		fd = open(DIO_REBUILD, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	}
	(void)fd;
	_exit(DIO_EXIT);
}

int
dio_open(const char *name, int flags)
{
	struct dio_event e = { .op = DIO_CREATE, .name = name };
	struct stat	 st;
	bool		 made = false;
	int		 fd;

	flags |= O_CLOEXEC | O_NOFOLLOW;
	fd = open(name, flags & ~(O_CREAT | O_TRUNC | O_EXCL), 0600);
	if (fd != -1 && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
		close(fd);
		errno = EEXIST;
		return -1;
	}
	if (fd == -1 && errno == ENOENT && (flags & O_CREAT)) {
		if (!before(&e))
			return -1;
		fd = open(name, flags | O_EXCL, 0600);
		made = true;
	}
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
		close(fd);
		errno = EPERM;	/* a link, a device: planted by someone */
		return -1;
	}
	if (fd < NAMED_FDS) {
		const char *base = strncmp(name, "./", 2) ? name : name + 2;

		strlcpy(names[fd], base, NAME_MAX_LEN);
	}
	if (made) {
		after(&e);
		dio_sync_dir();
	}
	return fd;
}

void
dio_close(int fd)
{
	if (fd == -1)
		return;
	if (fd < NAMED_FDS)
		names[fd][0] = '\0';
	close(fd);
}

ssize_t
dio_pread(int fd, void *p, size_t len, off_t off)
{
	size_t	 done = 0;
	ssize_t	 n;

	while (done < len) {
		n = pread(fd, (uint8_t *)p + done, len - done,
		    off + (off_t)done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* One write, whole or not at all as far as the caller can tell. */
static int
write_all(int fd, const void *p, size_t len, off_t off)
{
	struct dio_event e = { .op = DIO_WRITE, .name = fd_name(fd),
	    .bytes = p, .len = len, .offset = off };
	size_t	 done = 0;
	ssize_t	 n;

	if (!before(&e)) {
		/* One that falls short leaves its first half. */
		if (errno == 0) {
			(void)!pwrite(fd, p, len / 2, off);
			errno = ENOSPC;
		}
		return -1;
	}
	while (done < len) {
		n = pwrite(fd, (const uint8_t *)p + done, len - done,
		    off + (off_t)done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	after(&e);
	return 0;
}

int
dio_pwrite(int fd, const void *p, size_t len, off_t off)
{
	if (write_all(fd, p, len, off) == 0)
		return 0;
	if (!no_space(errno) || !foreseen(fd_name(fd)))
		dio_stop("write", fd_name(fd), errno);
	return -1;
}

void
dio_sync(int fd)
{
	struct dio_event e = { .op = DIO_SYNC, .name = fd_name(fd) };

	if (!before(&e) || fdatasync(fd) == -1)
		dio_stop("sync", fd_name(fd), errno);
	syncs++;
	after(&e);
}

void
dio_sync_dir(void)
{
	struct dio_event e = { .op = DIO_SYNC_DIR };
	int	 fd;

	fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || !before(&e) || fsync(fd) == -1)
		dio_stop("sync", "the folder", errno);
	close(fd);
	after(&e);
}

void
dio_rename(const char *from, const char *to)
{
	struct dio_event e = { .op = DIO_RENAME, .name = from, .to = to };

	if (!before(&e) || rename(from, to) == -1)
		dio_stop("rename", from, errno);
	for (int fd = 0; fd < NAMED_FDS; fd++)
		if (strcmp(names[fd], from) == 0)
			strlcpy(names[fd], to, NAME_MAX_LEN);
	after(&e);
}

void
dio_unlink(const char *name)
{
	struct dio_event e = { .op = DIO_UNLINK, .name = name };

	if (!before(&e))
		dio_stop("unlink", name, errno);
	if (unlink(name) == -1) {
		if (errno == ENOENT)
			return;
		dio_stop("unlink", name, errno);
	}
	after(&e);
}

int
dio_allocate(int fd, size_t len)
{
	struct dio_event e = { .op = DIO_ALLOCATE, .name = fd_name(fd),
	    .len = len };
	int	 err;

	if (before(&e))
		err = posix_fallocate(fd, 0, (off_t)len);
	else
		err = errno;
	if (err == 0) {
		after(&e);
		return 0;
	}
	if (!no_space(err))
		dio_stop("allocate", fd_name(fd), err);
	return -1;
}

bool
dio_exists(const char *name)
{
	struct stat	 st;

	return lstat(name, &st) == 0;
}

off_t
dio_size(int fd)
{
	struct stat	 st;

	return fstat(fd, &st) == -1 ? -1 : st.st_size;
}

int
dio_lock(void)
{
	int	 fd;

	fd = open(DIO_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 && no_space(errno)) {
		unlink(DIO_RESERVE);
		fd = open(DIO_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	}
	if (fd == -1)
		dio_stop("open", DIO_LOCK, errno);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void
dio_each(void (*f)(const char *, void *), void *arg)
{
	struct dirent	*d;
	DIR		*dir;

	if ((dir = opendir(".")) == NULL)
		dio_stop("read", "the folder", errno);
	while ((d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			f(d->d_name, arg);
	closedir(dir);
}

/* ---- the same for Berkeley DB ---- */

static int
db_open(const char *name, int flags, ...)
{
	return dio_open(name, flags);
}

static int
db_close(int fd)
{
	dio_close(fd);
	return 0;
}

static int
db_fsync(int fd)
{
	dio_sync(fd);
	return 0;
}

static ssize_t
db_pwrite(int fd, const void *p, size_t len, off_t off)
{
	if (dio_pwrite(fd, p, len, off) == -1)
		dio_stop("write", fd_name(fd), errno);
	return (ssize_t)len;
}

static ssize_t
db_write(int fd, const void *p, size_t len)
{
	off_t	 off;

	if ((off = lseek(fd, 0, SEEK_CUR)) == -1)
		dio_stop("seek", fd_name(fd), errno);
	db_pwrite(fd, p, len, off);
	if (lseek(fd, off + (off_t)len, SEEK_SET) == -1)
		dio_stop("seek", fd_name(fd), errno);
	return (ssize_t)len;
}

static int
db_ftruncate(int fd, off_t len)
{
	struct dio_event e = { .op = DIO_TRUNCATE, .name = fd_name(fd),
	    .len = (size_t)len };

	if (!before(&e) || ftruncate(fd, len) == -1)
		dio_stop("truncate", fd_name(fd), errno);
	after(&e);
	return 0;
}

static int
db_rename(const char *from, const char *to)
{
	dio_rename(from, to);
	dio_sync_dir();
	return 0;
}

static int
db_unlink(const char *name)
{
	dio_unlink(strncmp(name, "./", 2) ? name : name + 2);
	return 0;
}

void
dio_use_for_db(void)
{
	db_env_set_func_open(db_open);
	db_env_set_func_close(db_close);
	db_env_set_func_fsync(db_fsync);
	db_env_set_func_pwrite(db_pwrite);
	db_env_set_func_write(db_write);
	db_env_set_func_ftruncate(db_ftruncate);
	db_env_set_func_rename(db_rename);
	db_env_set_func_unlink(db_unlink);
}
