/*
 * For tests of channels over a socketpair: what both ends have seen. The other
 * end is a channel or, for a peer that lies, the bare socket. For cmocka.
 */
#ifndef REGRESS_CHANHELP_H
#define REGRESS_CHANHELP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/chan.h"

#define S(lit)	((struct span)SPAN(lit))

static struct event_base	*base;

/* What one end saw. */
struct seen {
	struct chan	*c;
	int		 stops, drains, readies, peers, jobs, closed, drained;
	int		 order[32], n;		/* tids as they came */
	int		 fds[8], nfds;
	bool		 keep_fds, free_in_handler, free_in_closed, reject;
	bool		 free_in_drained;
	const char	*why;
};
static struct seen	here, there;
static int		far;		/* the other end's socket */

static inline struct seen *
seen_of(struct chan *c)
{
	return chan_arg(c);
}

static inline void
note(struct chan *c, uint32_t tid, int fd)
{
	struct seen	*v = seen_of(c);

	if (v->n < 32)
		v->order[v->n++] = (int)tid;
	if (fd != -1) {
		if (v->keep_fds)
			v->fds[v->nfds++] = fd;
		else
			close(fd);
	}
	if (v->reject)
		chan_reject(c, "no sense in it");
	if (v->free_in_handler) {
		chan_free(c);
		v->c = NULL;
	}
}

static inline void
on_stop(struct chan *c, const void *msg, int fd)
{
	assert_int_equal(fd, -1);
	seen_of(c)->stops++;
	note(c, ((const struct ipc_stop *)msg)->tid, fd);
}

static inline void
on_level(struct chan *c, const void *msg, int fd)
{
	seen_of(c)->drains++;
	note(c, ((const struct ipc_log_level *)msg)->tid, fd);
}

static inline void
on_peer(struct chan *c, const void *msg, int fd)
{
	assert_true(fd >= 0);
	seen_of(c)->peers++;
	note(c, ((const struct ipc_peer *)msg)->tid, fd);
}

static inline void
on_ready(struct chan *c, const void *msg, int fd)
{
	seen_of(c)->readies++;
	note(c, ((const struct ipc_ready *)msg)->tid, fd);
}

static inline void
on_job(struct chan *c, const void *msg, int fd)
{
	seen_of(c)->jobs++;
	note(c, ((const struct ipc_d_job *)msg)->tid, fd);
}

static const struct chan_row	child_rows[] = {
	{ IPC_T_stop, on_stop },
	{ IPC_T_log_level, on_level },
	{ IPC_T_peer, on_peer },
	{ IPC_T_d_job, on_job },	/* never from the parent */
	{ 0, NULL }
};
static const struct chan_row	parent_rows[] = {
	{ IPC_T_ready, on_ready },
	{ 0, NULL }
};
static const struct chan_row	deliverd_rows[] = {
	{ IPC_T_d_job, on_job },
	{ 0, NULL }
};

static inline void
on_closed(struct chan *c, const char *why)
{
	struct seen	*v = seen_of(c);

	v->closed++;
	v->why = why;
	CHAN_SEND(c, ready, .tid = 1);	/* into the void */
	if (v->free_in_closed) {
		chan_free(c);
		v->c = NULL;
	}
}

static inline void
on_drained(struct chan *c)
{
	struct seen	*v = seen_of(c);

	v->drained++;
	assert_int_equal(chan_waiting(c), 0);
	if (v->free_in_drained) {
		chan_free(c);
		v->c = NULL;
	}
}

static inline void
pass(int n)
{
	while (n-- > 0)
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

/* here: a daemon of this role; far: the bare socket of the sender. */
static inline void
begin_bare(enum ipc_role self, enum ipc_role peer, const struct chan_row *rows)
{
	int	 sv[2];

	memset(&here, 0, sizeof(here));
	memset(&there, 0, sizeof(there));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    sv), 0);
	here.c = chan_new(base, sv[0], self, peer, rows, on_closed, &here);
	assert_non_null(here.c);
	assert_int_equal(chan_fd(here.c), sv[0]);
	chan_on_drained(here.c, on_drained);
	far = sv[1];
}

/* here: smtpd; there: the parent, a channel too. */
static inline void
begin(void)
{
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	there.c = chan_new(base, far, IPC_PARENT, IPC_SMTPD, parent_rows,
	    on_closed, &there);
	chan_on_drained(there.c, on_drained);
	far = -1;
}

static inline void
end(void)
{
	chan_free(here.c);
	chan_free(there.c);
	if (far != -1)
		close(far);
	here.c = there.c = NULL;
}

/* Descriptors of this process that are open. */
static inline int
open_fds(void)
{
	int	 n = 0;

	for (int i = 0; i < 1024; i++)
		n += fcntl(i, F_GETFD) != -1;
	return n;
}

/* Away with the log lines that a test provokes. */
static inline void
quiet(bool on)
{
	static int	 saved = -1;
	int		 null;

	if (on) {
		saved = dup(STDERR_FILENO);
		null = open("/dev/null", O_WRONLY);
		dup2(null, STDERR_FILENO);
		close(null);
	} else {
		dup2(saved, STDERR_FILENO);
		close(saved);
	}
}

/* A packet by hand, with any number of descriptors. */
static inline void
send_raw(const void *p, size_t n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr	 head;
		char		 room[CMSG_SPACE(sizeof(int) * 64)];
	}		 control;
	struct iovec	 iov = { (void *)(uintptr_t)p, n };
	struct msghdr	 m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*h;

	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * nfds);
	}
	assert_int_equal(sendmsg(far, &m, MSG_NOSIGNAL), (ssize_t)n);
}

static inline void
send_raw_buf(struct buf *b, const int *fds, size_t nfds)
{
	send_raw(buf_content(b).p, buf_len(b), fds, nfds);
	buf_reset(b);
}

static inline void
closed_with(const char *why)
{
	pass(2);
	assert_int_equal(here.closed, 1);
	assert_non_null(here.why);
	assert_string_equal(here.why, why);
	/* Once, and nothing comes or goes after it. */
	CHAN_SEND(here.c, ready, .tid = 2);
	pass(2);
	assert_int_equal(here.closed, 1);
	end();
}

#endif
