/*
 * The session to the submission socket: see link.h.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posternctl/link.h"

#define QUIT_MS		2000	/* for the reply to QUIT, which says nothing */

bool
link_path(const struct link_place *p, char *dst, size_t size)
{
	struct stat	 st;
	bool		 itself = p->socket != NULL ||
			    (stat(p->dir, &st) == 0 && S_ISSOCK(st.st_mode));
	int		 n;

	n = snprintf(dst, size, "%s%s", p->socket != NULL ? p->socket :
	    p->dir, itself ? "" : "-submission");
	return n > 0 && (size_t)n < size;
}

int
link_connect(const struct link_place *p)
{
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	int			 fd, saved;

	if (!link_path(p, un.sun_path, sizeof(un.sun_path))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	/* A full backlog is EAGAIN: as good as refused, it is tried again. */
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static void
drop(struct link *l)
{
	if (l->fd != -1)
		close(l->fd);
	l->fd = -1;
	smtp_client_free(l->client);
	l->client = NULL;
	buf_clear(&l->out);
	free(l->in);
	l->in = NULL;
}

static bool
broken(struct link *l, const char *what, const char *more)
{
	snprintf(l->why, sizeof(l->why), "%s%s%s", what, more[0] ? ": " : "",
	    more);
	drop(l);
	return false;
}

bool
link_open(struct link *l, const struct link_place *p, struct mono until)
{
	struct smtp_client_event	 ev;

	l->fd = link_connect(p);
	l->in_at = l->in_len = 0;
	buf_init(&l->out, LINK_OUT);
	if (l->fd == -1)
		return broken(l, "the gateway does not listen",
		    strerror(errno));
	if ((l->client = smtp_client_new(&l->out)) == NULL ||
	    (l->in = malloc(LINK_IN)) == NULL)
		return broken(l, "out of memory", "");
	if (!link_reply(l, &ev, until))
		return false;
	if (ev.code == 220 && !smtp_client_ehlo(l->client,
	    span_str("localhost"), true))
		return broken(l, "out of memory", "");
	if (ev.code == 220 && !link_reply(l, &ev, until))
		return false;
	if (ev.code == 250)
		return true;
	/* It said why. */
	drop(l);
	return false;
}

/* Waits for what; gives what came, 0 for nothing in time, -1 for an error. */
static int
wait_for(struct link *l, short what, int64_t ms)
{
	struct pollfd	 p = { .fd = l->fd, .events = what };
	int		 n;

	do
		n = poll(&p, 1, ms < 0 ? 0 : ms > 1000000 ? 1000000 : (int)ms);
	while (n == -1 && errno == EINTR);
	return n <= 0 ? n : p.revents;
}

/* Some of out. */
static bool
put(struct link *l)
{
	struct span	s = buf_content(&l->out);
	ssize_t		n = send(l->fd, s.p, s.len, MSG_NOSIGNAL);

	if (n == -1 && errno != EAGAIN && errno != EINTR)
		return broken(l, "the gateway ended the session",
		    strerror(errno));
	if (n > 0)
		buf_drain(&l->out, (size_t)n);
	return true;
}

bool
link_flush(struct link *l, int64_t quiet_ms)
{
	int	got;

	while (buf_len(&l->out) > 0) {
		got = wait_for(l, POLLIN | POLLOUT, quiet_ms);
		if (got == 0)
			return broken(l, "the gateway does not read", "");
		/* Nothing is to come now but an end. */
		if (got == -1 || (got & POLLIN) != 0)
			return broken(l, "the gateway ended the session "
			    "within the message", "");
		if (!put(l))
			return false;
	}
	return true;
}

static bool
fill(struct link *l, struct mono until)
{
	int	got;
	ssize_t	n;

	got = wait_for(l, buf_len(&l->out) > 0 ? POLLIN | POLLOUT : POLLIN,
	    until.ms - clock_mono().ms);
	if (got == 0)
		return broken(l, "the gateway does not answer", "");
	if (got > 0 && (got & POLLOUT) != 0 && !put(l))
		return false;
	if (got > 0 && (got & (POLLIN | POLLHUP | POLLERR)) == 0)
		return true;
	n = recv(l->fd, l->in, LINK_IN, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return broken(l, "the gateway ended the session", n == 0 ? "" :
		    strerror(errno));
	l->in_at = 0;
	l->in_len = (size_t)n;
	return true;
}

static void
tell(struct link *l, const struct smtp_client_event *ev)
{
	struct buf	b;

	buf_init(&b, sizeof(l->why) - 1);
	if (smtp_reply_flat(&b, ev->code, ev->text) && buf_cstr(&b) != NULL)
		snprintf(l->why, sizeof(l->why), "%s", buf_cstr(&b));
	else
		snprintf(l->why, sizeof(l->why), "%u", (unsigned)ev->code);
	buf_clear(&b);
	if (l->verbose)
		printf("%s: %s\n", smtp_step_name(ev->step), l->why);
}

bool
link_reply(struct link *l, struct smtp_client_event *ev, struct mono until)
{
	const char	*why = "";
	struct span	 in;
	enum parse	 res;

	for (;;) {
		in = span(l->in + l->in_at, l->in_len - l->in_at);
		res = smtp_client_feed(l->client, &in, ev, &why);
		l->in_at = l->in_len - in.len;
		if (res == PARSE_OK) {
			tell(l, ev);
			return true;
		}
		if (res == PARSE_BAD)
			return broken(l, "the gateway speaks no SMTP", why);
		if (!fill(l, until))
			return false;
	}
}

void
link_close(struct link *l)
{
	struct smtp_client_event	 ev;
	struct mono			 until = { clock_mono().ms + QUIT_MS };

	if (l->fd == -1)
		return;
	l->verbose = false;
	while (smtp_client_simple(l->client, STEP_QUIT) &&
	    link_reply(l, &ev, until) && ev.step != STEP_QUIT)
		;
	if (l->fd != -1)
		drop(l);
}
