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
#include "common/io/stream_i.h"

#define TIMER_GRAIN_MS	100

static void	stream_on_read(evutil_socket_t, short, void *);
static void	stream_on_write(evutil_socket_t, short, void *);
static void	stream_on_timer(evutil_socket_t, short, void *);
static void	stream_pending(struct stream *);

/* ---- making and freeing ------------------------------------------------- */

static void
stream_destroy(struct stream *s)
{
	if (s->layer != NULL)
		s->layer->gone(s);
	if (s->wr != NULL)
		event_free(s->wr);
	buf_clear(&s->in);
	buf_clear(&s->out);
	loop_unref(s->loop);
	free(s);
}

/* A callback begins; the stream stays until the matching leave. */
static void
stream_enter(struct stream *s)
{
	s->busy++;
}

static void
stream_leave(struct stream *s)
{
	if (--s->busy > 0)
		return;
	if (s->dead)
		stream_destroy(s);
	else
		stream_trim(s);
}

/* Bytes may be taken for the owner now. */
static bool
stream_open_in(const struct stream *s)
{
	return !s->paused && !s->ended && !s->finishing && !s->shaking &&
	    buf_len(&s->in) < s->in.max;
}

void
stream_want_read(struct stream *s)
{
	bool	 want = stream_open_in(s) && !s->connecting;

	if (s->shaking)
		want = !s->ended && s->plain == 0 && s->need == NEED_READ;
	else if (s->wr_needs_read && !s->broken)
		want = true;
	if (want == s->reading)
		return;
	s->reading = want;
	if (!want) {
		event_del(&s->rd);
		return;
	}
	event_add(&s->rd, NULL);
	stream_pending(s);
}

/* Waits until the socket takes bytes, or is connected. */
static bool
stream_want_write(struct stream *s)
{
	if (s->wr == NULL && (s->wr = event_new(s->loop->base, s->fd, EV_WRITE,
	    stream_on_write, s)) == NULL)
		return false;
	s->writing = event_add(s->wr, NULL) == 0;
	return s->writing;
}

static struct stream *
stream_make(struct event_base *base, int fd, size_t in_max, size_t out_max,
    const struct stream_ops *ops, void *arg)
{
	struct stream	*s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if ((s->loop = loop_of(base)) == NULL) {
		free(s);
		return NULL;
	}
	if (event_assign(&s->rd, base, fd, EV_READ | EV_PERSIST,
	    stream_on_read, s) == -1 ||
	    event_assign(&s->timer, base, -1, 0, stream_on_timer, s) == -1) {
		loop_unref(s->loop);
		free(s);
		return NULL;
	}
	s->fd = fd;
	s->ops = ops;
	s->arg = arg;
	buf_init(&s->in, in_max);
	buf_init(&s->out, out_max);
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

	if (to->family == 0) {
		errno = EAFNOSUPPORT;
		return NULL;
	}
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
	if (stream_want_write(s))
		return s;
	stream_free(s);
	errno = ENOMEM;
	return NULL;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return NULL;
}

void
stream_owner(struct stream *s, const struct stream_ops *ops, void *arg)
{
	s->ops = ops;
	s->arg = arg;
}

void
stream_free(struct stream *s)
{
	if (s == NULL || s->dead)
		return;
	s->dead = true;
	event_del(&s->rd);
	event_del(&s->timer);
	if (s->wr != NULL)
		event_del(s->wr);
	if (s->soon == SOON_LISTED)
		LIST_REMOVE(s, next);
	s->soon = SOON_NO;
	close(s->fd);
	s->fd = -1;
	if (s->busy == 0)
		stream_destroy(s);
}

/* All that can be sent has been, and the layer's last word. */
static bool
stream_all_sent(struct stream *s)
{
	if (s->shaking)
		return s->plain == 0;
	if (buf_len(&s->out) > 0)
		return false;
	if (s->layer == NULL || s->layer->bye(s) != EAGAIN)
		return true;
	return s->need != NEED_WRITE || !stream_want_write(s);
}

void
stream_finish(struct stream *s, int linger_ms)
{
	s->finishing = true;
	s->ops = NULL;
	stream_want_read(s);
	if (s->broken || s->connecting || stream_all_sent(s)) {
		stream_free(s);
		return;
	}
	stream_timeout(s, linger_ms > 0 ? linger_ms : 1);
	stream_kick(s);
}

/* Tells the owner once that no more will come; the stream may be gone after. */
static void
stream_fail(struct stream *s, int error)
{
	bool	 told = s->ended;

	s->ended = true;
	s->error = 0;
	s->connecting = false;
	if (error != 0) {
		s->broken = true;
		if (s->writing)
			event_del(s->wr);
		s->writing = false;
	}
	stream_want_read(s);
	if (s->finishing) {
		stream_free(s);
	} else if (!told) {
		s->deadline_ms = 0;
		s->ops->closed(s, s->arg, error);
	}
}

/* ---- reading ------------------------------------------------------------ */

/* What the layer holds is read soon: the socket will not tell of it. */
static void
stream_pending(struct stream *s)
{
	if (s->layer == NULL || !stream_open_in(s) || !s->layer->pending(s))
		return;
	s->more = true;
	stream_again(s);
}

/* The layer's recv() waits; the event for reading stands, or is not enough. */
static void
stream_take_later(struct stream *s)
{
	if (s->layer == NULL || s->need != NEED_WRITE)
		return;
	s->rd_needs_write = true;
	if (!s->writing)
		stream_want_write(s);
}

/*
 * Into one place for all streams first, so that a read takes whatever there is
 * and a stream holds no more memory than it has bytes.
 */
static void
stream_take(struct stream *s)
{
	static uint8_t	 bytes[READ_MAX];
	size_t		 n = s->in.max - buf_len(&s->in);
	ssize_t		 got;

	if (n > sizeof(bytes))
		n = sizeof(bytes);
	if (n == 0) {
		stream_want_read(s);
		return;
	}
	got = s->layer != NULL ? s->layer->recv(s, bytes, n) :
	    recv(s->fd, bytes, n, 0);
	if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
		stream_take_later(s);
		return;
	}
	stream_enter(s);
	if (got <= 0) {
		stream_fail(s, got == 0 ? 0 : errno);
	} else if (!buf_add(&s->in, bytes, (size_t)got)) {
		stream_fail(s, ENOMEM);
	} else {
		stream_want_read(s);
		stream_pending(s);
		s->ops->readable(s, s->arg);
		if (s->in.secret)
			explicit_bzero(bytes, (size_t)got);
	}
	stream_leave(s);
}

/* Goes on with the layer's handshake, once all is sent that goes before it. */
static void
stream_shake(struct stream *s)
{
	int	 error = s->layer->shake(s);

	if (error == EAGAIN) {
		stream_want_read(s);
		if (s->need == NEED_WRITE && !stream_want_write(s))
			stream_fail(s, ENOMEM);
		return;
	}
	if (error != 0) {
		stream_fail(s, error);
		return;
	}
	s->shaking = false;
	stream_want_read(s);
	stream_pending(s);
	stream_again(s);
	if (s->ops->secured != NULL)
		s->ops->secured(s, s->arg);
}

static void
stream_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct stream	*s = arg;

	(void)fd;
	(void)what;
	if (s->shaking) {
		stream_enter(s);
		stream_shake(s);
		stream_leave(s);
		return;
	}
	if (s->wr_needs_read) {
		s->wr_needs_read = false;
		stream_want_read(s);
		stream_kick(s);
	}
	if (stream_open_in(s))
		stream_take(s);
}

void
stream_secret(struct stream *s, bool on)
{
	s->in.secret = on || s->in.p != NULL;
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
	stream_want_read(s);
	/* Its memory goes when the callback, or this pass, is over. */
	if (s->busy == 0 && buf_len(&s->in) == 0 && s->in.p != NULL)
		stream_kick(s);
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
	if (buf_len(&s->in) == 0)
		return;
	s->offer = true;
	/* From readable() itself the work of this pass is under way already. */
	stream_again(s);
}

/* ---- writing ------------------------------------------------------------ */

/* What may be sent now: before the layer's handshake is done, only what was
 * written before it began. */
static struct span
stream_sendable(const struct stream *s)
{
	struct span	 o = buf_content(&s->out);

	if (s->shaking && o.len > s->plain)
		o.len = s->plain;
	return o;
}

static ssize_t
stream_send(struct stream *s, struct span o)
{
	if (s->layer != NULL && !s->shaking)
		return s->layer->send(s, o.p, o.len);
	s->need = NEED_WRITE;
	return send(s->fd, o.p, o.len, MSG_NOSIGNAL);
}

/* Writes what there is; 0 or the error. */
static int
stream_push(struct stream *s)
{
	struct span	 o;
	ssize_t		 n;

	if (s->connecting || s->writing || s->broken)
		return 0;
	while ((o = stream_sendable(s)).len > 0) {
		n = stream_send(s, o);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno != EAGAIN)
			return errno;
		s->was_waiting = true;
		if (n > 0)
			buf_drain(&s->out, (size_t)n);
		if (n > 0 && s->shaking)
			s->plain -= (size_t)n;
		if (n == -1 && s->need == NEED_READ) {
			s->wr_needs_read = true;
			stream_want_read(s);
			return 0;
		}
		/* A layer sends a record at a time. */
		if (n == -1 || ((size_t)n < o.len && s->layer == NULL))
			return stream_want_write(s) ? 0 : ENOMEM;
	}
	return 0;
}

/* Pushes, and tells what came of it. */
static void
stream_output(struct stream *s)
{
	int	 error = s->error != 0 ? s->error : stream_push(s);

	if (error != 0) {
		stream_fail(s, error);
		return;
	}
	if (s->finishing) {
		if (!s->writing && stream_all_sent(s))
			stream_free(s);
		return;
	}
	if (s->shaking) {
		if (s->plain == 0 && !s->writing)
			stream_shake(s);
		return;
	}
	if (buf_len(&s->out) > 0)
		return;
	if (s->was_waiting && !s->connecting) {
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
	s->writing = false;
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
	if (s->rd_needs_write) {
		s->rd_needs_write = false;
		if (stream_open_in(s))
			stream_take(s);
	}
	if (!s->dead && !s->broken)
		stream_output(s);
	stream_leave(s);
}

/* At the end of the pass: bytes that wait are offered, what the owner says to
 * them and has said before is sent. */
void
stream_soon(struct stream *s)
{
	stream_enter(s);
	if (s->offer) {
		s->offer = false;
		if (!s->paused && !s->finishing && buf_len(&s->in) > 0)
			s->ops->readable(s, s->arg);
	}
	if (s->more) {
		s->more = false;
		if (!s->dead && stream_open_in(s))
			stream_take(s);
	}
	if (s->soon == SOON_RUNS)
		s->soon = SOON_NO;
	if (!s->dead && !s->broken)
		stream_output(s);
	stream_leave(s);
}

bool
stream_write(struct stream *s, struct span b)
{
	if (b.len > s->out.max - buf_len(&s->out) || !buf_span(&s->out, b))
		return false;
	stream_kick(s);
	return true;
}

bool
stream_fmt(struct stream *s, const char *fmt, ...)
{
	bool	 ok, failed = s->out.failed;
	va_list	 ap;

	va_start(ap, fmt);
	ok = buf_vfmt(&s->out, fmt, ap);
	va_end(ap);
	/* Refused as a whole: what comes next may go. */
	s->out.failed = failed;
	stream_kick(s);
	return ok;
}

struct buf *
stream_out(struct stream *s)
{
	return &s->out;
}

void
stream_flush(struct stream *s)
{
	if (s->dead || s->error != 0)
		return;
	s->error = stream_push(s);
	/* What came of it is told from the loop, never from in here. */
	stream_kick(s);
}

size_t
stream_waiting(const struct stream *s)
{
	return buf_len(&s->out);
}

/* ---- time --------------------------------------------------------------- */

static void
stream_arm(struct stream *s, int64_t now)
{
	int64_t		 wait = s->deadline_ms - now;
	struct timeval	 tv;

	if (wait < TIMER_GRAIN_MS)
		wait = TIMER_GRAIN_MS;
	tv = (struct timeval){ wait / 1000, wait % 1000 * 1000 };
	s->armed_ms = now + wait;
	event_add(&s->timer, &tv);
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
	if (s->armed_ms == 0 || s->armed_ms > s->deadline_ms + TIMER_GRAIN_MS)
		stream_arm(s, now);
}

const struct addr *
stream_peer(const struct stream *s)
{
	return &s->peer;
}

bool
stream_secured(const struct stream *s)
{
	return s->layer != NULL && !s->shaking;
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
