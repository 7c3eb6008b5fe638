/*
 * dead.letter: the last place for a message. See undelivered.h. The folder and
 * the file must be the caller's own, so that root does not write where a link
 * or another user's name leads.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "posternctl/undelivered.h"

#define FILE_NAME	"dead.letter"

static const char *
home(void)
{
	const char		*dir = getenv("HOME");
	const struct passwd	*pw;

	if (dir != NULL && dir[0] == '/')
		return dir;
	return (pw = getpwuid(geteuid())) != NULL ? pw->pw_dir : "/";
}

/* The home as a descriptor, if it is the caller's. */
static int
open_home(const char *dir, const char **why)
{
	struct stat	 st;
	int		 fd;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		*why = strerror(errno);
		return -1;
	}
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    (st.st_mode & S_IWOTH) == 0)
		return fd;
	*why = "the folder is not yours alone";
	close(fd);
	return -1;
}

static int
open_file(int dir, const char **why)
{
	struct stat	 st;
	int		 fd;

	/* NONBLOCK: what stands there may be a FIFO. */
	fd = openat(dir, FILE_NAME, O_WRONLY | O_APPEND | O_CREAT |
	    O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd == -1) {
		*why = errno == ELOOP ? "it is a link" : strerror(errno);
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == geteuid() && st.st_nlink == 1 &&
	    fchmod(fd, 0600) == 0)
		return fd;
	*why = "it is no file of your own";
	close(fd);
	return -1;
}

/* Lines of an mbox: LF alone, and no line but the first begins "From ". */
static bool
put_lines(struct span in, void *arg)
{
	FILE		*f = arg;
	struct span	 line;

	while (in.len > 0) {
		line = span_sub(in, 0, span_find(in, '\n'));
		span_skip(&in, line.len + 1);
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (span_starts(line, (struct span)SPAN("From ")))
			fputc('>', f);
		fwrite(line.p, 1, line.len, f);
		fputc('\n', f);
	}
	return !ferror(f);
}

static bool
put_message(FILE *f, const struct undelivered *u)
{
	time_t		 now = time(NULL);
	struct tm	 tm;
	char		 date[32];
	bool		 any = false, whole;

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	fprintf(f, "From %.*s %s\n", u->from.len > 0 ? (int)u->from.len : 13,
	    u->from.len > 0 ? (const char *)u->from.p : "MAILER-DAEMON", date);
	for (size_t i = 0; i < u->s->nrcpts; i++) {
		if (u->s->rcpts[i].state == RCPT_SENT)
			continue;
		fprintf(f, "%s%s", any ? ",\n\t" : "X-Failed-Recipients: ",
		    u->s->rcpts[i].addr);
		any = true;
	}
	if (any)
		fputc('\n', f);
	put_lines(u->head, f);
	fputc('\n', f);
	whole = spill_each(u->body, put_lines, f);
	fputc('\n', f);
	return whole;
}

bool
dead_letter(const struct undelivered *u, char *path, size_t size,
    const char **why)
{
	const char	*dir = home();
	int		 dfd, fd;
	off_t		 end;
	bool		 ok;
	FILE		*f;

	snprintf(path, size, "%s/%s", dir, FILE_NAME);
	if ((dfd = open_home(dir, why)) == -1)
		return false;
	fd = open_file(dfd, why);
	close(dfd);
	if (fd == -1)
		return false;
	(void)flock(fd, LOCK_EX);
	end = lseek(fd, 0, SEEK_END);
	if ((f = fdopen(fd, "a")) == NULL) {
		*why = strerror(errno);
		close(fd);
		return false;
	}
	ok = put_message(f, u) && fflush(f) == 0 && !ferror(f) && fsync(fd) == 0;
	/* Half a message would look like one. */
	if (!ok) {
		*why = strerror(errno);
		if (end >= 0 && ftruncate(fd, end) == -1)
			*why = "half of it was written";
	}
	fclose(f);
	return ok;
}
