/*
 * A daemon taken over says what it likes (security.md, R8). Every message, with
 * and without a descriptor, in every role, to a channel with each other role's
 * table: what msg.def and the table do not allow closes the channel, with a
 * reason and no descriptor left; what they allow is handled. Then the same
 * messages with their bytes changed, by the thousand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/ipc/chan.h"
#include "regress/lib/ipcgen.h"

#define NROLES	9

static struct event_base	*base;
static int			 handled, closed;
static const char		*reason;
static uint64_t			 seed = 0x2545f4914f6cdd1d;

static void
on_any(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)msg;
	handled++;
	if (fd != -1)
		close(fd);
}

static void
on_closed(struct chan *c, const char *why)
{
	(void)c;
	closed++;
	reason = why;
}

/* The widest table that a daemon of this role could have: all it may get. */
static const struct chan_row *
table_of(enum ipc_role role)
{
	static struct chan_row	 tables[NROLES][IPC_T_MAX + 1];
	struct chan_row		*t = tables[__builtin_ctz((unsigned)role)];
	size_t			 n = 0;

	for (uint16_t type = 1; type < IPC_T_MAX; type++)
		if (ipc_info(type) != NULL &&
		    (ipc_info(type)->to & role) != 0)
			t[n++] = (struct chan_row){ type, on_any };
	t[n] = (struct chan_row){ 0, NULL };
	return t;
}

static int
open_fds(void)
{
	int	 n = 0;

	for (int i = 0; i < 64; i++)
		n += fcntl(i, F_GETFD) != -1;
	return n;
}

static void
send_raw(int sock, struct span s, int fd)
{
	union {
		struct cmsghdr	 head;
		char		 room[CMSG_SPACE(sizeof(int))];
	}		 control;
	struct iovec	 iov = { (void *)(uintptr_t)s.p, s.len };
	struct msghdr	 m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*h;

	if (fd != -1) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &m, MSG_NOSIGNAL), (ssize_t)s.len);
}

/* One packet from a rogue to a channel of its own. */
static void
attack(enum ipc_role self, enum ipc_role peer, const struct chan_row *table,
    struct span packet, int fd)
{
	struct chan	*c;
	int		 sv[2];

	handled = closed = 0;
	reason = NULL;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    sv), 0);
	c = chan_new(base, sv[0], self, peer, table, on_closed, NULL);
	assert_non_null(c);
	send_raw(sv[1], packet, fd);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	chan_free(c);
	close(sv[1]);
}

static void
every_message(void **state)
{
	static union ipc_any	 m;
	struct buf		 b;
	int			 fd = open("/dev/null", O_RDONLY), before;
	unsigned		 good = 0, bad = 0;

	(void)state;
	buf_init(&b, IPC_PACKET_MAX);
	before = open_fds();
	for (unsigned self = 1; self < 1 << NROLES; self <<= 1) {
		const struct chan_row *table = table_of((enum ipc_role)self);

		for (unsigned peer = 1; peer < 1 << NROLES; peer <<= 1)
			for (uint16_t t = 0; t < 256; t++) {
				const struct ipc_info *i = ipc_info(t);

				if (i == NULL)
					continue;
				ipcgen_fill(&m, t, GEN_SHORT, &seed);
				buf_reset(&b);
				assert_true(ipc_encode(&b, t, &m));
				for (int with = 0; with < 2; with++) {
					bool ok = (i->from & peer) != 0 &&
					    (i->to & self) != 0 &&
					    (with == 0 ? i->fds != 1 :
					    i->fds != 0);

					attack((enum ipc_role)self,
					    (enum ipc_role)peer, table,
					    buf_content(&b), with ? fd : -1);
					assert_int_equal(closed, !ok);
					assert_int_equal(reason != NULL, !ok);
					if (ok)
						assert_int_equal(handled, 1);
					ok ? good++ : bad++;
				}
			}
	}
	assert_int_equal(open_fds(), before);
	assert_true(good > 100 && bad > 5000);
	close(fd);
	buf_clear(&b);
}

static void
changed_bytes(void **state)
{
	static union ipc_any	 m;
	static uint8_t		 p[IPC_PACKET_MAX];
	const struct chan_row	*table = table_of(IPC_QUEUED);
	struct buf		 b;
	struct span		 s;
	int			 before = open_fds();

	(void)state;
	buf_init(&b, IPC_PACKET_MAX);
	for (int round = 0; round < 20000; round++) {
		uint16_t t;

		do
			t = (uint16_t)(ipcgen_next(&seed) % IPC_T_MAX);
		while (ipc_info(t) == NULL);
		buf_reset(&b);
		ipcgen_fill(&m, t, round % 3 == 0 ? GEN_EMPTY : GEN_SHORT,
		    &seed);
		assert_true(ipc_encode(&b, t, &m));
		s = buf_content(&b);
		memcpy(p, s.p, s.len);
		for (uint64_t n = 1 + ipcgen_next(&seed) % 3; n > 0; n--)
			p[ipcgen_next(&seed) % s.len] =
			    (uint8_t)ipcgen_next(&seed);
		if (round % 5 == 0)
			s.len = 1 + ipcgen_next(&seed) % s.len;
		attack(IPC_QUEUED, round % 2 ? IPC_SMTPD : IPC_DELIVERD, table,
		    span(p, s.len), -1);
		assert_true(handled == 0 || closed == 0);
		assert_int_equal(closed, handled == 0);
	}
	assert_int_equal(open_fds(), before);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(every_message),
		cmocka_unit_test(changed_bytes)
	};

	base = event_base_new();
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(base);
	return rc;
}
