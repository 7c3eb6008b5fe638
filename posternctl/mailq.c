/*
 * What the other names of sendmail do beside sending: the queue as mailq(1)
 * shows it, another try for what waits (-q), and SMTP on standard input and
 * output (-bs).
 */
#include <sys/socket.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "posternctl/link.h"
#include "posternctl/print.h"
#include "posternctl/sendmail.h"

/* ---- mailq --------------------------------------------------------------- */

struct listing {
	uint64_t	 count;
	int64_t		 bytes;
};

static void
show(const char *before, struct span s, const char *after)
{
	fputs(before, stdout);
	print_safe(s);
	fputs(after, stdout);
}

static void
list_row(const struct row *row, void *arg)
{
	struct listing	*l = arg;
	time_t		 t = (time_t)(row_num(row, "received_ms") / 1000);
	struct span	 from = row_get(row, "from");
	struct span	 id = row_get(row, "id"), reason;
	struct tm	 tm;
	char		 when[32];

	if (strcmp(row->kind, "queued") != 0)
		return;
	if (l->count++ == 0)
		printf("-Queue ID-----  --Size-- ----Arrival Time---- "
		    "-Sender/Recipient-------\n");
	l->bytes += row_num(row, "size");
	localtime_r(&t, &tm);
	strftime(when, sizeof(when), "%a %b %e %H:%M:%S", &tm);
	print_safe(id);
	printf("%-*s %8lld %s  ", 15 - (int)(id.len < 14 ? id.len : 14),
	    span_is(row_get(row, "state"), "held") ? "!" : "",
	    (long long)row_num(row, "size"), when);
	show("", from.len > 0 ? from : span_str("MAILER-DAEMON"), "\n");
	reason = row_get(row, "reason");
	if (reason.len > 0)
		show("                (", reason, ")\n");
	show("                                              ",
	    row_get(row, "to"), "\n\n");
}

int
sendmail_list(const struct sendmail *s)
{
	struct listing	 l = { 0 };
	struct answer	 a = { list_row, NULL, &l };
	int		 st;

	st = ask(s->place.dir, "queued", "queue list", 0, NULL, &a, false);
	if (st != 0)
		return st;
	if (l.count == 0)
		printf("Mail queue is empty\n");
	else
		printf("-- %lld Kbytes in %llu Request%s.\n",
		    (long long)(l.bytes + 1023) / 1024,
		    (unsigned long long)l.count, l.count == 1 ? "" : "s");
	return 0;
}

/* ---- -q ------------------------------------------------------------------ */

int
sendmail_run(const struct sendmail *s)
{
	static char	 all[] = "all";
	char		*words[] = { all }, path[512];
	struct answer	 a = { NULL, NULL, NULL };
	int		 st;

	if (s->every)
		return 0;
	/* For those who may not, the queue is run all the same, by postern. */
	snprintf(path, sizeof(path), "%s/queued", s->place.dir);
	if (access(path, W_OK) == -1 && (errno == EACCES || errno == EPERM))
		return 0;
	st = ask(s->place.dir, "queued", "schedule", 1, words, &a, true);
	return st == EX_DATAERR ? 0 : st;
}

/* ---- -bs ----------------------------------------------------------------- */

static bool
put_all(int fd, const char *p, size_t n)
{
	struct pollfd	 w = { .fd = fd, .events = POLLOUT };
	ssize_t		 k;

	while (n > 0) {
		k = write(fd, p, n);
		if (k == -1 && errno == EAGAIN)
			(void)poll(&w, 1, -1);
		else if (k == -1 && errno != EINTR)
			return false;
		else if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return true;
}

/* What stands in from, to to; false at its end. */
static bool
copy(int from, int to)
{
	char	 bytes[16384];
	ssize_t	 n = read(from, bytes, sizeof(bytes));

	if (n == -1)
		return errno == EINTR || errno == EAGAIN;
	return n > 0 && put_all(to, bytes, (size_t)n);
}

/* Both ways until the gateway ends the session. */
static void
splice_both(int fd)
{
	struct pollfd	 p[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN }
	};

	for (;;) {
		if (poll(p, 2, -1) == -1 && errno != EINTR)
			return;
		if (p[1].revents != 0 && !copy(fd, STDOUT_FILENO))
			return;
		if (p[0].revents != 0 && !copy(STDIN_FILENO, fd)) {
			p[0].fd = -1;
			(void)shutdown(fd, SHUT_WR);
		}
	}
}

int
sendmail_smtp(const struct sendmail *s)
{
	const struct timespec	 ts = { .tv_nsec = 200 * 1000000 };
	struct mono		 end = { clock_mono().ms + s->retry_ms };
	int			 fd;

	while ((fd = link_connect(&s->place)) == -1 &&
	    clock_mono().ms < end.ms)
		nanosleep(&ts, NULL);
	if (fd == -1) {
		printf("421 4.3.2 The mail gateway does not answer\r\n");
		fflush(stdout);
		return EX_TEMPFAIL;
	}
	splice_both(fd);
	close(fd);
	return 0;
}
