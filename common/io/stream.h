/*
 * A TCP or Unix stream socket on libevent with bounded buffers: reading stops
 * while the input buffer is full or paused, writing tells when it has drained.
 * It knows no mail. An idle stream holds no buffers.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <event2/event.h>

#include "common/base/addr.h"
#include "common/base/buf.h"

struct stream;

struct stream_ops {
	/* Bytes are there (stream_in()). The owner eats what it can with
	 * stream_eat(), or stops reading with stream_pause(). May free. */
	void	(*readable)(struct stream *, void *arg);
	/* The output buffer has become empty. May be NULL. May free. */
	void	(*drained)(struct stream *, void *arg);
	/* EOF (error 0) or an error (errno). No more bytes will come; what is
	 * in stream_in() was offered before. After EOF stream_finish() still
	 * sends what is buffered. May free. */
	void	(*closed)(struct stream *, void *arg, int error);
	/* The time set by stream_timeout() has passed. May free. */
	void	(*timeout)(struct stream *, void *arg);
	/* A connect of ours has succeeded. NULL for accepted sockets. */
	void	(*connected)(struct stream *, void *arg);
	/* The handshake of stream_tls() is done. May be NULL. May free. */
	void	(*secured)(struct stream *, void *arg);
};

/* Over a connected non-blocking socket (taken). in_max, out_max: bytes. */
struct stream *stream_new(struct event_base *, int fd, size_t in_max,
	    size_t out_max, const struct stream_ops *, void *arg);
/*
 * Begins a connection to addr from source (or NULL). On success connected() is
 * called later; on failure closed() is. NULL with errno: could not begin.
 */
struct stream *stream_connect(struct event_base *, const struct addr *,
	    const struct addr *source, size_t in_max, size_t out_max,
	    const struct stream_ops *, void *arg);
/* From now on another one is called back. */
void	 stream_owner(struct stream *, const struct stream_ops *, void *arg);
/* Closes at once; unsent output is lost. Safe from any callback. Takes NULL. */
void	 stream_free(struct stream *);
/* Sends what is buffered, then closes and frees by itself; no more callbacks.
 * Gives up after linger_ms. */
void	 stream_finish(struct stream *, int linger_ms);

/* From here on what is read is a secret: the memory that it went through is
 * wiped. Off: as soon as what is there now has gone. */
void	 stream_secret(struct stream *, bool);
/* The bytes that wait. What was eaten stays readable until the callback (or,
 * outside of one, this pass of the loop) is over. */
struct span stream_in(const struct stream *);
void	 stream_eat(struct stream *, size_t n);
void	 stream_pause(struct stream *);		/* reading */
/* Calls readable soon if bytes wait. */
void	 stream_resume(struct stream *);

/* Appends output; it is written at the end of this pass of the loop, or now
 * with stream_flush(), which calls nothing back. False, and nothing appended,
 * if it does not fit in out_max. */
bool	 stream_write(struct stream *, struct span);
bool	 stream_fmt(struct stream *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
struct buf *stream_out(struct stream *);	/* write here, then … */
void	 stream_kick(struct stream *);		/* … have it sent */
void	 stream_flush(struct stream *);
size_t	 stream_waiting(const struct stream *);	/* bytes not yet sent */
/* One-shot timer, set anew by each call; 0: none. Coarse to 100 ms. */
void	 stream_timeout(struct stream *, int64_t ms);
const struct addr *stream_peer(const struct stream *);
/* TLS stands: the handshake is done. See tls.h. */
bool	 stream_secured(const struct stream *);
int	 stream_fd(const struct stream *);
/* Frees buffers that are empty; done by itself after each callback. */
void	 stream_trim(struct stream *);

#endif
