/*
 * Stream sockets on libevent: one read and one write a pass of the loop, timers
 * that cost nothing to set anew, buffers only while bytes are in them. See
 * stream.h.
 */
#include <sys/socket.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/io/stream.h"

#define READ_FIRST	4096	/* bytes of the first read buffer */
#define READ_MORE	32768	/* and of one read once it has been full */
#define TIMER_GRAIN_MS	100

struct stream {
	int			 fd;
	struct event		*rd;	/* persistent */
	struct event		*wr;	/* only while the socket is full */
	struct event		*soon;	/* end of this pass: write, readable */
	struct event		*timer;
	struct buf		 in, out;
	const struct stream_ops	*ops;
	void			*arg;
	struct addr		 peer;
	int64_t			 deadline_ms;	/* 0: none */
	int64_t			 armed_ms;	/* when the timer fires; 0: not */
	unsigned		 busy;		/* callbacks that run */
	bool			 paused, reading, connecting;
	bool			 closed;	/* EOF or error was told */
	bool			 offer;		/* call readable soon */
	bool			 dead;		/* freed while busy */
	bool			 finishing;
	bool			 was_waiting;	/* bytes left: drained is owed
						 * once none is there */
	bool			 read_full;
};

static void	stream_on_read(evutil_socket_t, short, void *);
static void	stream_on_write(evutil_socket_t, short, void *);
static void	stream_on_soon(evutil_socket_t, short, void *);
static void	stream_on_timer(evutil_socket_t, short, void *);

static void
stream_destroy(struct stream *s)
{
	event_free(s->rd);
	event_free(s->wr);
	event_free(s->soon);
	event_free(s->timer);
	if (s->fd != -1)
		close(s->fd);
	buf_clear(&s->in);
	buf_clear(&s->out);
	free(s);
}

/* A callback begins; the stream stays until the matching leave. */
static void
stream_enter(struct stream *s)
{
	s->busy++;
}

static bool
stream_leave(struct stream *s)
{
	if (--s->busy > 0 || !s->dead)
		return !s->dead;
	stream_destroy(s);
	return false;
}

static void
stream_want_read(struct stream *s)
{
	bool	 want = !s->paused && !s->closed && !s->connecting &&
		    !s->finishing && buf_len(&s->in) < s->in.max;

	if (want == s->reading)
		return;
	s->reading = want;
	if (want)
		event_add(s->rd, NULL);
	else
		event_del(s->rd);
}

static struct stream *
stream_make(struct event_base *base, int fd, size_t in_max, size_t out_max,
    const struct stream_ops *ops, void *arg)
{
	struct stream	*s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->fd = fd;
	s->ops = ops;
	s->arg = arg;
	buf_init(&s->in, in_max);
	buf_init(&s->out, out_max);
	s->rd = event_new(base, fd, EV_READ | EV_PERSIST, stream_on_read, s);
	s->wr = event_new(base, fd, EV_WRITE, stream_on_write, s);
	s->soon = event_new(base, -1, 0, stream_on_soon, s);
	s->timer = event_new(base, -1, 0, stream_on_timer, s);
	if (s->rd == NULL || s->wr == NULL || s->soon == NULL ||
	    s->timer == NULL) {
		s->fd = -1;
		if (s->rd != NULL)
			event_free(s->rd);
		if (s->wr != NULL)
			event_free(s->wr);
		if (s->soon != NULL)
			event_free(s->soon);
		if (s->timer != NULL)
			event_free(s->timer);
		free(s);
		return NULL;
	}
	return s;
}

static void
stream_nodelay(int fd)
{
	int	 one = 1;

	/* Fails on a Unix socket, which has no Nagle. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

struct stream *
stream_new(struct event_base *base, int fd, size_t in_max, size_t out_max,
    const struct stream_ops *ops, void *arg)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);
	struct stream		*s;

	if ((s = stream_make(base, fd, in_max, out_max, ops, arg)) == NULL)
		return NULL;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from_sockaddr(&s->peer, (struct sockaddr *)&ss);
	if (s->peer.family != 0)
		stream_nodelay(fd);
	stream_want_read(s);
	return s;
}

struct stream *
stream_connect(struct event_base *base, const struct addr *to,
    const struct addr *source, size_t in_max, size_t out_max,
    const struct stream_ops *ops, void *arg)
{
	struct sockaddr_storage	 ss;
	struct stream		*s;
	socklen_t		 len = addr_to_sockaddr(to, &ss);
	int			 fd, one = 1, saved;

	if ((fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0)) == -1)
		return NULL;
	stream_nodelay(fd);
	if (source != NULL && source->family != 0) {
		struct sockaddr_storage	 from;
		socklen_t		 flen = addr_to_sockaddr(source, &from);

		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
		    sizeof(one));
		if (bind(fd, (struct sockaddr *)&from, flen) == -1)
			goto fail;
	}
	if (connect(fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS)
		goto fail;
	if ((s = stream_make(base, fd, in_max, out_max, ops, arg)) == NULL) {
		errno = ENOMEM;
		goto fail;
	}
	s->peer = *to;
	s->connecting = true;
	event_add(s->wr, NULL);
	return s;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return NULL;
}

void
stream_free(struct stream *s)
{
	if (s == NULL || s->dead)
		return;
	s->dead = true;
	event_del(s->rd);
	event_del(s->wr);
	event_del(s->soon);
	event_del(s->timer);
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	if (s->busy == 0)
		stream_destroy(s);
}

void
stream_finish(struct stream *s, int linger_ms)
{
	s->finishing = true;
	s->ops = NULL;
	stream_want_read(s);
	if (buf_len(&s->out) == 0 || s->closed || s->connecting) {
		stream_free(s);
		return;
	}
	stream_timeout(s, linger_ms);
	stream_kick(s);
}

/* Tells the owner once that no more will come; the stream may be gone after. */
static void
stream_fail(struct stream *s, int error)
{
	if (s->closed)
		return;
	s->closed = true;
	s->connecting = false;
	s->deadline_ms = 0;
	stream_want_read(s);
	event_del(s->wr);
	if (s->finishing)
		stream_free(s);
	else
		s->ops->closed(s, s->arg, error);
}

static void
stream_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct stream	*s = arg;
	size_t		 room = s->in.max - buf_len(&s->in);
	size_t		 n = s->read_full ? READ_MORE : READ_FIRST;
	uint8_t		*p;
	ssize_t		 got;

	(void)what;
	if (n > room)
		n = room;
	if (n == 0) {
		stream_want_read(s);
		return;
	}
	if ((p = buf_room(&s->in, n)) == NULL) {
		stream_enter(s);
		stream_fail(s, ENOMEM);
		stream_leave(s);
		return;
	}
	got = recv(fd, p, n, 0);
	if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
		stream_trim(s);
		return;
	}
	stream_enter(s);
	if (got <= 0) {
		stream_fail(s, got == 0 ? 0 : errno);
	} else {
		s->read_full = (size_t)got == n;
		buf_added(&s->in, (size_t)got);
		stream_want_read(s);
		s->ops->readable(s, s->arg);
	}
	stream_leave(s);
}

/* Writes what there is; false if the stream has failed. */
static bool
stream_push(struct stream *s)
{
	struct span	 o;
	ssize_t		 n;

	while ((o = buf_content(&s->out)).len > 0 && !s->connecting &&
	    !s->closed) {
		n = send(s->fd, o.p, o.len, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			s->was_waiting = true;
			event_add(s->wr, NULL);
			return true;
		}
		if (n == -1) {
			stream_fail(s, errno);
			return false;
		}
		buf_drain(&s->out, (size_t)n);
		s->was_waiting = true;
		if ((size_t)n < o.len) {
			event_add(s->wr, NULL);
			return true;
		}
	}
	if (s->out.cap > READ_FIRST)
		buf_trim(&s->out);
	return true;
}

/* After a push: what an empty output buffer means. */
static void
stream_pushed(struct stream *s)
{
	if (s->dead || buf_len(&s->out) > 0)
		return;
	if (s->finishing) {
		stream_free(s);
		return;
	}
	if (s->was_waiting) {
		s->was_waiting = false;
		if (s->ops->drained != NULL)
			s->ops->drained(s, s->arg);
	}
}

static void
stream_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct stream	*s = arg;
	int		 error = 0;
	socklen_t	 len = sizeof(error);

	(void)what;
	stream_enter(s);
	if (s->connecting) {
		s->connecting = false;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
			error = errno;
		if (error != 0) {
			stream_fail(s, error);
		} else {
			stream_want_read(s);
			if (s->ops->connected != NULL)
				s->ops->connected(s, s->arg);
		}
	}
	if (!s->dead && !s->closed && stream_push(s))
		stream_pushed(s);
	stream_leave(s);
}

static void
stream_on_soon(evutil_socket_t fd, short what, void *arg)
{
	struct stream	*s = arg;

	(void)fd;
	(void)what;
	stream_enter(s);
	if (buf_len(&s->out) > 0 || s->was_waiting)
		if (!event_pending(s->wr, EV_WRITE, NULL) && stream_push(s))
			stream_pushed(s);
	if (!s->dead && s->offer) {
		s->offer = false;
		if (!s->paused && !s->finishing && buf_len(&s->in) > 0)
			s->ops->readable(s, s->arg);
	}
	stream_leave(s);
}

static void
stream_arm(struct stream *s, int64_t now)
{
	int64_t		 wait = s->deadline_ms - now;
	struct timeval	 tv;

	if (wait < TIMER_GRAIN_MS)
		wait = TIMER_GRAIN_MS;
	tv = (struct timeval){ wait / 1000, wait % 1000 * 1000 };
	s->armed_ms = now + wait;
	event_add(s->timer, &tv);
}

static void
stream_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct stream	*s = arg;
	int64_t		 now = clock_mono().ms;

	(void)fd;
	(void)what;
	s->armed_ms = 0;
	if (s->deadline_ms == 0)
		return;
	/* The deadline moved on since the timer was armed: go on waiting. */
	if (now + TIMER_GRAIN_MS / 2 < s->deadline_ms) {
		stream_arm(s, now);
		return;
	}
	s->deadline_ms = 0;
	stream_enter(s);
	if (s->finishing)
		stream_free(s);
	else
		s->ops->timeout(s, s->arg);
	stream_leave(s);
}

void
stream_timeout(struct stream *s, int64_t ms)
{
	int64_t	 now;

	if (ms == 0) {
		s->deadline_ms = 0;
		return;
	}
	now = clock_mono().ms;
	s->deadline_ms = now + ms;
	/* An armed timer that fires earlier is set anew then. */
	if (s->armed_ms == 0 || s->armed_ms > s->deadline_ms)
		stream_arm(s, now);
}

struct span
stream_in(const struct stream *s)
{
	return buf_content(&s->in);
}

void
stream_eat(struct stream *s, size_t n)
{
	buf_drain(&s->in, n);
	if (buf_len(&s->in) == 0 && s->in.cap > READ_FIRST) {
		buf_trim(&s->in);
		s->read_full = false;
	}
	stream_want_read(s);
}

void
stream_pause(struct stream *s)
{
	s->paused = true;
	stream_want_read(s);
}

void
stream_resume(struct stream *s)
{
	s->paused = false;
	stream_want_read(s);
	if (buf_len(&s->in) > 0) {
		s->offer = true;
		event_active(s->soon, EV_TIMEOUT, 0);
	}
}

bool
stream_write(struct stream *s, struct span b)
{
	if (!buf_span(&s->out, b))
		return false;
	stream_kick(s);
	return true;
}

bool
stream_fmt(struct stream *s, const char *fmt, ...)
{
	va_list	 ap;
	bool	 ok;

	va_start(ap, fmt);
	ok = buf_vfmt(&s->out, fmt, ap);
	va_end(ap);
	stream_kick(s);
	return ok;
}

struct buf *
stream_out(struct stream *s)
{
	return &s->out;
}

void
stream_kick(struct stream *s)
{
	if (!s->dead)
		event_active(s->soon, EV_TIMEOUT, 0);
}

void
stream_flush(struct stream *s)
{
	stream_enter(s);
	if (!s->dead && !event_pending(s->wr, EV_WRITE, NULL) && stream_push(s))
		stream_pushed(s);
	stream_leave(s);
}

size_t
stream_waiting(const struct stream *s)
{
	return buf_len(&s->out);
}

const struct addr *
stream_peer(const struct stream *s)
{
	return &s->peer;
}

int
stream_fd(const struct stream *s)
{
	return s->fd;
}

void
stream_trim(struct stream *s)
{
	buf_trim(&s->in);
	buf_trim(&s->out);
}
