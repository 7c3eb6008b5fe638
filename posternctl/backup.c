/*
 * The command backup: a copy of the queue in a folder, written as the caller.
 * The manifest is its last file; without one a folder is no whole backup. What
 * the daemon says of names and lengths is held against what a queue has.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "posternctl/manifest.h"
#include "posternctl/progress.h"
#include "posternctl/words.h"

#include "common/base/enc.h"

struct saving {
	struct progress	 progress;
	const char	*dir;
	int		 dfd;		/* of the folder */
	FILE		*manifest;
	int		 fd;		/* the file at hand, or -1 */
	char		 name[32];
	int64_t		 bytes, got, size;
	uint32_t	 crc;
	int64_t		 files, all_bytes, messages;
	bool		 ended, failed;
};

static void
failed(struct saving *s, const char *what)
{
	progress_end(&s->progress);
	if (!s->failed)
		fprintf(stderr, "posternctl: %s/%s: %s: %s\n", s->dir,
		    s->name, what, strerror(errno));
	s->failed = true;
}

static void
file_end(struct saving *s)
{
	if (s->fd == -1)
		return;
	if (s->got != s->bytes) {
		errno = EPROTO;
		failed(s, "not all of it came");
	} else if (ftruncate(s->fd, (off_t)s->size) == -1 ||
	    fsync(s->fd) == -1)
		failed(s, "write");
	else if (manifest_file(s->manifest, s->name, s->size, s->bytes,
	    s->crc) == -1)
		failed(s, "manifest");
	if (close(s->fd) == -1)
		failed(s, "close");
	s->fd = -1;
	s->files++;
	s->all_bytes += s->bytes;
}

static void
file_begin(struct saving *s, const struct row *row)
{
	file_end(s);
	s->bytes = row_num(row, "bytes");
	s->size = row_num(row, "size");
	s->got = 0;
	s->crc = 0;
	if (s->failed)
		return;
	if (!span_cstr(row_get(row, "name"), s->name, sizeof(s->name)) ||
	    !manifest_name_ok(s->name) || s->bytes < 0 || s->size < s->bytes) {
		s->name[0] = '\0';
		errno = EPROTO;
		failed(s, "no file of a queue");
		return;
	}
	s->fd = openat(s->dfd, s->name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->fd == -1)
		failed(s, "create");
}

static void
save_row(const struct row *row, void *arg)
{
	struct saving	*s = arg;

	if (strcmp(row->kind, "file") == 0)
		file_begin(s, row);
	else if (strcmp(row->kind, "backup") == 0)
		s->messages = row_num(row, "messages");
	else if (strcmp(row->kind, "end") == 0) {
		file_end(s);
		s->ended = row_num(row, "files") == s->files;
	}
}

static void
save_data(struct span bytes, void *arg)
{
	struct saving	*s = arg;
	ssize_t		 n;

	if (s->fd == -1 || s->failed)
		return;
	s->got += (int64_t)bytes.len;
	s->crc = enc_crc32c(s->crc, bytes);
	while (bytes.len > 0) {
		if ((n = write(s->fd, bytes.p, bytes.len)) == -1 &&
		    errno == EINTR)
			continue;
		if (n <= 0) {
			failed(s, "write");
			return;
		}
		span_skip(&bytes, (size_t)n);
	}
}

/* A folder that is not there, or empty. */
static int
folder_make(const char *dir)
{
	struct dirent	*e;
	DIR		*d;
	int		 fd, n = 0;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return -1;
	if ((d = opendir(dir)) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	fd = n == 0 ? dup(dirfd(d)) : -1;
	if (n > 0)
		errno = ENOTEMPTY;
	n = errno;
	closedir(d);
	errno = n;
	return fd;
}

/* Its last line and its name make the backup whole. */
static bool
manifest_close(struct saving *s)
{
	bool	 ok = manifest_end(s->manifest, s->files) == 0 &&
		    fflush(s->manifest) == 0 &&
		    fsync(fileno(s->manifest)) == 0;

	strlcpy(s->name, MANIFEST, sizeof(s->name));
	if (ok)
		ok = renameat(s->dfd, MANIFEST_NEW, s->dfd, MANIFEST) == 0 &&
		    fsync(s->dfd) == 0;
	if (!ok)
		failed(s, "write");
	return ok;
}

static int
save(const struct call *call, struct saving *s)
{
	struct answer	 a = { save_row, save_data, s };
	int		 fd, st;

	fd = openat(s->dfd, MANIFEST_NEW, O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC, 0600);
	if (fd == -1 || (s->manifest = fdopen(fd, "w")) == NULL ||
	    manifest_begin(s->manifest) == -1) {
		failed(s, "manifest");
		return EX_CANTCREAT;
	}
	st = ask(call->dir, "queued", "backup", 0, NULL, &a, call->quiet);
	file_end(s);
	if (s->failed)
		st = EX_IOERR;
	else if (st == 0 && !s->ended)
		st = EX_PROTOCOL;
	if (st == 0 && !manifest_close(s))
		st = EX_IOERR;
	fclose(s->manifest);
	return st;
}

static int
run_backup(const struct call *call)
{
	struct saving	 s = { .progress = { call, "backup", 0, false },
			    .dir = call->argv[0], .fd = -1 };
	int		 st;

	if ((s.dfd = folder_make(s.dir)) == -1) {
		fprintf(stderr, "posternctl: %s: %s; a new or empty folder is "
		    "wanted\n", s.dir, strerror(errno));
		return EX_CANTCREAT;
	}
	st = save(call, &s);
	close(s.dfd);
	if (st != 0)
		fprintf(stderr, "posternctl: %s is no whole backup\n", s.dir);
	else if (!call->quiet)
		printf(call->json ? "{\"kind\":\"backup\",\"messages\":%lld,"
		    "\"files\":%lld,\"bytes\":%lld}\n" : "%lld messages, "
		    "%lld files, %lld bytes\n", (long long)s.messages,
		    (long long)s.files, (long long)s.all_bytes);
	return st;
}

const struct command commands_backup[] = {
	{ "backup", "DIR", "a copy of the queue, while mail flows", 1, 1,
	    run_backup },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
