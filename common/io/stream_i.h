/*
 * What the files of a stream share: stream.c (sockets, buffers, time), pass.c
 * (the end of a pass of the loop), tls.c (the layer between both).
 */
#ifndef IO_STREAM_I_H
#define IO_STREAM_I_H

#include <sys/queue.h>

#include <event2/event_struct.h>

#include "common/io/stream.h"

#define READ_MAX	65536	/* bytes of one read */
#define IDLE_SIZE_MAX	520	/* bytes of an idle stream */

struct tls;
LIST_HEAD(streams, stream);

/* What the streams of one event base share: the end of its pass. */
struct loop {
	LIST_ENTRY(loop)	 next;
	struct event_base	*base;
	struct event		 soon;
	struct streams		 work;	/* kicked in this pass */
	unsigned		 refs;	/* streams, and loop_run() */
	bool			 running;
};

/* Where a stream stands in the work at the end of the pass. */
enum soon { SOON_NO, SOON_LISTED, SOON_RUNS };
/* What a layer that could not go on waits for. */
enum need { NEED_READ, NEED_WRITE, NEED_CALL };

/*
 * What stands between a stream and its socket. The stream knows no more of it,
 * so that a program without TLS links no TLS. All of them set s->need when
 * they say EAGAIN; NEED_CALL: the layer kicks the stream itself.
 */
struct stream_layer {
	/* Goes on with the handshake: 0 when it is done, EAGAIN, or EPROTO. */
	int	(*shake)(struct stream *);
	/* As recv() and send(). */
	ssize_t	(*recv)(struct stream *, void *, size_t);
	ssize_t	(*send)(struct stream *, const void *, size_t);
	/* It holds bytes that no event of the socket will tell of. */
	bool	(*pending)(const struct stream *);
	/* Says that no more will be sent: EAGAIN, or it is done with. */
	int	(*bye)(struct stream *);
	/* The stream goes; its socket is closed. */
	void	(*gone)(struct stream *);
};

/*
 * The events are part of it, and the one for writing is made when a socket is
 * full for the first time: most never are.
 */
struct stream {
	struct event		 rd;	/* persistent */
	struct event		 timer;
	struct event		*wr;	/* or NULL; only while it is full */
	struct loop		*loop;
	LIST_ENTRY(stream)	 next;	/* in loop->work */
	struct buf		 in, out;
	const struct stream_ops	*ops;
	void			*arg;
	const struct stream_layer *layer;	/* or NULL: the bare socket */
	struct tls		*tls;
	size_t			 plain;		/* bytes of out that go before
						 * the layer's first */
	int64_t			 deadline_ms;	/* 0: none */
	int64_t			 armed_ms;	/* the timer fires; 0: not */
	struct addr		 peer;
	int			 fd;
	int			 error;		/* told at the pass's end */
	unsigned		 busy;		/* callbacks that run */
	enum soon		 soon;
	enum need		 need;		/* of the layer */
	bool			 paused, reading, writing, connecting;
	bool			 shaking;	/* the layer's handshake */
	bool			 rd_needs_write, wr_needs_read;
	bool			 ended;		/* EOF or error was told */
	bool			 broken;	/* error: nothing can be sent */
	bool			 offer;		/* call readable soon */
	bool			 more;		/* read from the layer soon */
	bool			 dead;		/* freed while busy */
	bool			 finishing;
	bool			 was_waiting;	/* bytes left: drained is owed
						 * once none is there */
};
_Static_assert(sizeof(struct stream) <= IDLE_SIZE_MAX, "a stream is too big");

/* The loop of a base, and one reference more; NULL: no memory. */
struct loop *loop_of(struct event_base *);
void	 loop_unref(struct loop *);
/* As stream_kick(), also from the stream's own work: then in the next pass. */
void	 stream_again(struct stream *);
/* The work of one stream at the end of the pass. */
void	 stream_soon(struct stream *);
/* Has the event for reading stand as the stream's state wants it. */
void	 stream_want_read(struct stream *);

#endif
