/*
 * A channel: one SOCK_SEQPACKET socketpair between two processes, on libevent.
 * Messages sent in one pass of the event loop share packets, so many sessions
 * cost one system call. What arrives is checked against the dispatch table
 * before a handler sees it; a malformed or not allowed message closes the
 * channel and is reported through `closed`. It knows no mail.
 */
#ifndef IPC_CHAN_H
#define IPC_CHAN_H

#include <event2/event.h>

#include "common/ipc/codec.h"

#define CHAN_OUT_MAX	(8 << 20)	/* bytes that wait to be sent; below */

struct chan;

/* A handler gets the decoded struct (its spans live until it returns) and the
 * descriptor that came along, or -1; the descriptor is the handler's now. If
 * our own table of descriptors was full, a message that must have one is
 * dropped with a line in the log, one that may have one comes with -1. */
typedef void chan_handler(struct chan *, const void *msg, int fd);

struct chan_row {
	uint16_t	 type;		/* IPC_T_...; the table ends with 0 */
	chan_handler	*handler;
	bool		 secret;	/* its bytes are wiped once handled */
};

/*
 * A new channel over fd (taken, made non-blocking). self and peer are each one
 * role: messages are held against msg.def by them. The table lives as long as
 * the channel. closed is called once, from the event loop, when the peer is
 * gone (why NULL) or sent something malformed (why says what); the channel is
 * then dead: sends are dropped, and the owner calls chan_free(), in `closed` or
 * later. NULL: out of memory.
 */
struct chan *chan_new(struct event_base *, int fd, enum ipc_role self,
	    enum ipc_role peer, const struct chan_row *table,
	    void (*closed)(struct chan *, const char *why), void *arg);
/* Closes; unsent messages are lost. A handler may call it. Takes NULL. */
void	 chan_free(struct chan *);
void	*chan_arg(const struct chan *);
int	 chan_fd(const struct chan *);
/*
 * Queues a message; it goes out at the end of this pass of the loop. fd (or -1)
 * is taken and closed once sent. A message that the codec refuses is a fault of
 * ours: fatal. Beyond CHAN_OUT_MAX waiting bytes the channel is closed: every
 * protocol here has a bound of its own far below, so a peer that gets there
 * has stopped for good. Sending on a dead channel does nothing, nor does
 * sending without a descriptor what must have one (dup(2) failed).
 */
void	 chan_send(struct chan *, uint16_t type, const void *msg, int fd);
#define CHAN_SEND(c, name, ...)	chan_send((c), IPC_T_##name, \
	    &(struct ipc_##name){ __VA_ARGS__ }, -1)
#define CHAN_SEND_FD(c, name, fd, ...)	chan_send((c), IPC_T_##name, \
	    &(struct ipc_##name){ __VA_ARGS__ }, (fd))
/* The same in a packet of its own, whose memory is wiped once it has gone. What
 * a handler gets is wiped behind it in any case. */
void	 chan_send_secret(struct chan *, uint16_t type, const void *msg);
/* What is sent from here on travels in another packet: for a receiver that
 * changes its table in between. */
void	 chan_cut(struct chan *);
/* Sends now what can be sent (before _exit, or from a blocking start-up). */
void	 chan_flush(struct chan *);
/* Bytes that wait to be sent: a streaming writer stops above its own mark and
 * goes on when `drained` is called (once it is 0 again). */
size_t	 chan_waiting(const struct chan *);
void	 chan_on_drained(struct chan *, void (*)(struct chan *));
/*
 * A channel of questions and answers: one packet a turn, so that the next
 * recvmsg() is not one that finds nothing; a packet of content, which others
 * follow, is an exception. Not for whoever must have all that has come.
 */
void	 chan_one_a_turn(struct chan *);
/* A handler found that the meaning of a message makes no sense: closes as for
 * a malformed one. The string is static. */
void	 chan_reject(struct chan *, const char *why);

/*
 * Blocking use before the event loop runs (start-up, posternctl): sends one
 * message; receives the next packet's messages one by one into the same
 * handlers until one of them returns or *done is set. -1: peer gone or bad.
 */
int	 chan_send_now(int fd, uint16_t type, const void *msg, int sendfd);
int	 chan_recv_until(int fd, enum ipc_role self, enum ipc_role peer,
	    const struct chan_row *, void *arg, const bool *done,
	    const char **why);

#endif
