/*
 * Channels: packets of messages over a SEQPACKET socket. See chan.h.
 */
#include <sys/queue.h>
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/chan.h"

#define PACKETS_A_TURN	32	/* read before the loop serves others */
#define PACKET_OF_MANY	(16 << 10)	/* bytes: content */
#define SURPLUS_FDS	4	/* room to see, and close, unannounced ones */
#define AGAIN_MS	10	/* after the kernel had no room for a packet */

struct packet {
	STAILQ_ENTRY(packet)	 next;
	struct buf		 bytes;
	int			 fd;	/* or -1; with one: one message */
	bool			 shut;	/* takes no more messages */
};

struct chan {
	int			 fd;
	enum ipc_role		 self, peer;
	const struct chan_row	*table;
	void			(*closed)(struct chan *, const char *);
	void			(*on_drained)(struct chan *);
	void			*arg;
	struct event		*rd, *wr, *soon;
	STAILQ_HEAD(, packet)	 out;
	struct packet		*filling;	/* last of out, may take more */
	struct packet		*spare;		/* kept to save an allocation */
	size_t			 waiting;
	const char		*reject;	/* set by chan_reject() */
	bool			 dead;		/* sends are dropped */
	bool			 blocked;	/* the write event is armed */
	bool			 busy, freed;	/* freed in its own handler */
	bool			 owes_drained;
	bool			 one_a_turn;
};

static uint8_t	in_packet[IPC_PACKET_MAX + 1];

static void	chan_on_read(evutil_socket_t, short, void *);
static void	chan_on_write(evutil_socket_t, short, void *);
static void	chan_on_soon(evutil_socket_t, short, void *);

struct chan *
chan_new(struct event_base *base, int fd, enum ipc_role self,
    enum ipc_role peer, const struct chan_row *table,
    void (*closed)(struct chan *, const char *), void *arg)
{
	struct chan	*c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->fd = fd;
	c->self = self;
	c->peer = peer;
	c->table = table;
	c->closed = closed;
	c->arg = arg;
	STAILQ_INIT(&c->out);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	c->rd = event_new(base, fd, EV_READ | EV_PERSIST, chan_on_read, c);
	c->wr = event_new(base, fd, EV_WRITE, chan_on_write, c);
	c->soon = event_new(base, -1, 0, chan_on_soon, c);
	if (c->rd == NULL || c->wr == NULL || c->soon == NULL)
		fatalx("out of memory for a channel");
	event_add(c->rd, NULL);
	return c;
}

static void
packet_free(struct chan *c, struct packet *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
	p->shut = false;
	if (p->bytes.secret)
		buf_clear(&p->bytes);
	if (c->spare == NULL) {
		buf_reset(&p->bytes);
		c->spare = p;
		return;
	}
	buf_clear(&p->bytes);
	free(p);
}

static void
chan_drop_out(struct chan *c)
{
	struct packet	*p;

	while ((p = STAILQ_FIRST(&c->out)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->out, next);
		packet_free(c, p);
	}
	c->filling = NULL;
	c->waiting = 0;
}

static void
chan_destroy(struct chan *c)
{
	chan_drop_out(c);
	if (c->spare != NULL) {
		buf_clear(&c->spare->bytes);
		free(c->spare);
	}
	event_free(c->rd);
	event_free(c->wr);
	event_free(c->soon);
	close(c->fd);
	free(c);
}

void
chan_free(struct chan *c)
{
	if (c == NULL || c->freed)
		return;
	c->dead = c->freed = true;
	event_del(c->rd);
	event_del(c->wr);
	event_del(c->soon);
	if (!c->busy)
		chan_destroy(c);
}

void *
chan_arg(const struct chan *c)
{
	return c->arg;
}

int
chan_fd(const struct chan *c)
{
	return c->fd;
}

size_t
chan_waiting(const struct chan *c)
{
	return c->waiting;
}

void
chan_on_drained(struct chan *c, void (*f)(struct chan *))
{
	c->on_drained = f;
}

void
chan_reject(struct chan *c, const char *why)
{
	c->reject = why;
}

/* Tells the owner, once; called with nothing of ours on the stack but what
 * checks c->freed afterwards. */
static void
chan_end(struct chan *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	event_del(c->rd);
	event_del(c->wr);
	chan_drop_out(c);
	c->closed(c, why);
}

/* ---- sending ----------------------------------------------------------- */

static ssize_t
packet_send(int fd, const struct packet *p)
{
	union {
		struct cmsghdr	 head;
		char		 room[CMSG_SPACE(sizeof(int))];
	}		 control;
	struct span	 s = buf_content(&p->bytes);
	struct iovec	 iov = { (void *)(uintptr_t)s.p, s.len };
	struct msghdr	 m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*h;

	if (p->fd != -1) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &p->fd, sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

/*
 * The first packet did not go: comes back when the peer has read, or in a while
 * where the kernel is short of memory or counts too many descriptors under way
 * (writable would be told at once and for ever then). False: the peer is gone.
 */
static bool
chan_block(struct chan *c, int error)
{
	const struct timeval	 tv = { 0, AGAIN_MS * 1000 };
	struct packet		*last = STAILQ_LAST(&c->out, packet, next);

	if (error == EAGAIN)
		event_add(c->wr, NULL);
	else if (error == ENOBUFS || error == ENOMEM || error == ETOOMANYREFS)
		event_add(c->soon, &tv);
	else
		return false;
	c->blocked = true;
	c->filling = last->shut ? NULL : last;
	return true;
}

/* Sends what goes; false when the peer is gone. */
static bool
chan_push(struct chan *c)
{
	struct packet	*p;

	while ((p = STAILQ_FIRST(&c->out)) != NULL) {
		if (packet_send(c->fd, p) == -1) {
			if (errno == EINTR)
				continue;
			return chan_block(c, errno);
		}
		c->waiting -= buf_len(&p->bytes);
		STAILQ_REMOVE_HEAD(&c->out, next);
		packet_free(c, p);
	}
	c->filling = NULL;
	return true;
}

static void
chan_pushed(struct chan *c)
{
	if (c->dead || c->waiting > 0 || !c->owes_drained)
		return;
	c->owes_drained = false;
	if (c->on_drained != NULL)
		c->on_drained(c);
}

static void
chan_work(struct chan *c)
{
	c->busy = true;
	if (!c->dead && !chan_push(c))
		chan_end(c, NULL);
	chan_pushed(c);
	c->busy = false;
	if (c->freed)
		chan_destroy(c);
}

static void
chan_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct chan	*c = arg;

	(void)fd;
	(void)what;
	c->blocked = false;
	chan_work(c);
}

static void
chan_on_soon(evutil_socket_t fd, short what, void *arg)
{
	struct chan	*c = arg;

	(void)fd;
	if ((what & EV_TIMEOUT) != 0)
		c->blocked = false;
	if (c->dead && !c->freed && c->waiting > CHAN_OUT_MAX) {
		/* Overrun: told from the loop, not from within a send. */
		c->dead = false;
		c->busy = true;
		chan_end(c, "the peer has stopped reading");
		c->busy = false;
		if (c->freed)
			chan_destroy(c);
		return;
	}
	if (!c->blocked)
		chan_work(c);
}

static struct packet *
packet_new(struct chan *c)
{
	struct packet	*p = c->spare;

	c->spare = NULL;
	if (p == NULL) {
		if ((p = calloc(1, sizeof(*p))) == NULL)
			fatalx("out of memory for a packet");
		buf_init(&p->bytes, IPC_PACKET_MAX);
	}
	p->fd = -1;
	STAILQ_INSERT_TAIL(&c->out, p, next);
	return p;
}

void
chan_send(struct chan *c, uint16_t type, const void *msg, int fd)
{
	struct packet	*p = c->filling;
	size_t		 before;

	if (c->dead) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (fd == -1 && ipc_info(type) != NULL && ipc_info(type)->fds == 1) {
		/* The peer would take it for malice; it is our own shortage. */
		log_warnx("message %s has no descriptor to go with it",
		    ipc_info(type)->name);
		return;
	}
	if (p == NULL || fd != -1)
		p = packet_new(c);
	before = buf_len(&p->bytes);
	if (!ipc_encode(&p->bytes, type, msg)) {
		/* Full: the message begins the next packet. */
		if (before == 0)
			fatalx("message %u does not fit its description", type);
		p = packet_new(c);
		before = 0;
		if (!ipc_encode(&p->bytes, type, msg))
			fatalx("message %u does not fit its description", type);
	}
	p->fd = fd;
	p->shut = fd != -1;
	c->filling = p->shut ? NULL : p;
	c->waiting += buf_len(&p->bytes) - before;
	c->owes_drained = true;
	if (c->waiting > CHAN_OUT_MAX)
		c->dead = true;
	event_active(c->soon, EV_WRITE, 0);
}

void
chan_send_secret(struct chan *c, uint16_t type, const void *msg)
{
	if (!c->dead) {
		c->filling = packet_new(c);
		c->filling->bytes.secret = true;
	}
	chan_send(c, type, msg, -1);
	chan_cut(c);
}

void
chan_cut(struct chan *c)
{
	struct packet	*last = STAILQ_LAST(&c->out, packet, next);

	if (last != NULL)
		last->shut = true;
	c->filling = NULL;
}

void
chan_flush(struct chan *c)
{
	if (!c->dead && !chan_push(c))
		event_active(c->soon, EV_WRITE, 0);
}

/* ---- receiving --------------------------------------------------------- */

#define FD_NONE	(-1)
#define FD_LOST	(-2)	/* one was sent, but our table of them is full */

/*
 * One packet into in_packet: its length, 0 at the end, -1 with errno. *fd is
 * the descriptor that came along, FD_NONE or FD_LOST; surplus ones are closed
 * and *bad says so.
 */
static ssize_t
packet_recv(int sock, int *fd, const char **bad)
{
	union {
		struct cmsghdr	 head;
		char		 room[CMSG_SPACE(sizeof(int) * SURPLUS_FDS)];
	}		 control;
	struct iovec	 iov = { in_packet, sizeof(in_packet) };
	struct msghdr	 m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	struct cmsghdr	*h;
	ssize_t		 n;
	int		 got;

	*fd = FD_NONE;
	*bad = NULL;
	if ((n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC)) <= 0)
		return n;
	for (h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) /
		    sizeof(int); i++) {
			memcpy(&got, CMSG_DATA(h) + i * sizeof(int),
			    sizeof(int));
			if (*fd == FD_NONE) {
				*fd = got;
			} else {
				close(got);
				*bad = "more than one descriptor";
			}
		}
	}
	if (*fd == FD_NONE && (m.msg_flags & MSG_CTRUNC) != 0)
		*fd = FD_LOST;
	else if ((m.msg_flags & MSG_CTRUNC) != 0)
		*bad = "more than one descriptor";
	if ((size_t)n > IPC_PACKET_MAX || (m.msg_flags & MSG_TRUNC) != 0)
		*bad = "packet too long";
	return n;
}

static const struct chan_row *
row_find(const struct chan_row *table, uint16_t type)
{
	for (; table->type != 0; table++)
		if (table->type == type)
			return table;
	return NULL;
}

/*
 * Checks one decoded message against its description and the table. Takes *fd
 * if the message has one. NULL with *why: not allowed; NULL without: dropped,
 * because we had no room for its descriptor (that is nobody's malice, and ends
 * this request alone).
 */
static const struct chan_row *
message_check(const struct chan_row *table, enum ipc_role self,
    enum ipc_role peer, uint16_t type, bool last, int *fd, int *taken,
    const char **why)
{
	const struct ipc_info	*info = ipc_info(type);
	const struct chan_row	*row = row_find(table, type);

	*taken = FD_NONE;
	*why = "message not expected here";
	if (row == NULL)
		return NULL;
	*why = "message from the wrong sender";
	if ((info->from & peer) == 0 || (info->to & self) == 0)
		return NULL;
	if (info->fds != 0 && last) {
		*taken = *fd;
		*fd = FD_NONE;
	}
	*why = info->fds == 1 && *taken == FD_NONE ?
	    "a descriptor is missing" : NULL;
	if (*taken == FD_LOST) {
		log_warnx("no room for the descriptor of message %s",
		    info->name);
		*taken = FD_NONE;
		return info->fds == 1 ? NULL : row;
	}
	return *why != NULL ? NULL : row;
}

/* All messages of one packet to their handlers. Takes fd. */
static const char *
chan_dispatch(struct chan *c, size_t len, int fd)
{
	union ipc_any	 m;
	struct span	 in = span(in_packet, len);
	const char	*why = NULL;
	const struct chan_row *row;
	bool		 secret = false;
	uint16_t	 type;
	int		 taken;

	while (in.len > 0 && !c->dead) {
		if (ipc_decode(&in, &type, &m, &why) != PARSE_OK)
			break;
		row = message_check(c->table, c->self, c->peer, type,
		    in.len == 0, &fd, &taken, &why);
		if (why != NULL) {
			if (taken >= 0)
				close(taken);
			break;
		}
		if (row == NULL)
			continue;
		secret |= row->secret;
		row->handler(c, &m, taken);
		if (c->reject != NULL) {
			why = c->reject;
			break;
		}
	}
	if (secret)
		explicit_bzero(in_packet, len);
	if (fd >= 0)
		close(fd);
	if (fd != FD_NONE && why == NULL && !c->dead)
		why = "a descriptor that nobody announced";
	return why;
}

static void
chan_on_read(evutil_socket_t sock, short what, void *arg)
{
	struct chan	*c = arg;
	const char	*why;
	ssize_t		 n;
	int		 fd;

	(void)what;
	c->busy = true;
	for (int i = 0; i < PACKETS_A_TURN && !c->dead; i++) {
		n = packet_recv(sock, &fd, &why);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			chan_end(c, NULL);
			break;
		}
		if (why != NULL && fd >= 0)
			close(fd);
		if (why == NULL)
			why = chan_dispatch(c, (size_t)n, fd);
		if (why != NULL && !c->freed)
			chan_end(c, why);
		if (c->one_a_turn && n < PACKET_OF_MANY)
			break;
	}
	c->busy = false;
	if (c->freed)
		chan_destroy(c);
}

void
chan_one_a_turn(struct chan *c)
{
	c->one_a_turn = true;
}

/* ---- blocking use ------------------------------------------------------ */

int
chan_send_now(int fd, uint16_t type, const void *msg, int sendfd)
{
	struct packet	 p = { .fd = sendfd };
	ssize_t		 n = -1;

	buf_init(&p.bytes, IPC_PACKET_MAX);
	if (ipc_encode(&p.bytes, type, msg))
		while ((n = packet_send(fd, &p)) == -1 && errno == EINTR)
			;
	buf_clear(&p.bytes);
	return n == -1 ? -1 : 0;
}

int
chan_recv_until(int sock, enum ipc_role self, enum ipc_role peer,
    const struct chan_row *table, void *arg, const bool *done,
    const char **why)
{
	struct chan	 c = { .fd = sock, .self = self, .peer = peer,
			    .table = table, .arg = arg };
	ssize_t		 n;
	int		 fd;

	while (!*done) {
		if ((n = packet_recv(sock, &fd, why)) == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			*why = n == 0 ? "the other side is gone" :
			    "cannot receive";
			return -1;
		}
		if (*why != NULL) {
			if (fd >= 0)
				close(fd);
			return -1;
		}
		if ((*why = chan_dispatch(&c, (size_t)n, fd)) != NULL)
			return -1;
	}
	return 0;
}
