/*
 * Channels: packets of several messages, descriptors, a peer that stops reading
 * or is gone, freeing from within, the blocking calls.
 */
#include "regress/lib/chanhelp.h"

/* What is sent in one pass of the loop is one packet. */
static void
one_packet(void **state)
{
	char	 bytes[IPC_PACKET_MAX];
	ssize_t	 n;

	(void)state;
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	for (uint32_t i = 1; i <= 10; i++)
		CHAN_SEND(here.c, ready, .tid = i);
	assert_int_equal(chan_waiting(here.c), 10 * (IPC_HEAD_LEN + 8));
	assert_int_equal(recv(far, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	pass(1);
	n = recv(far, bytes, sizeof(bytes), MSG_DONTWAIT);
	assert_int_equal(n, 10 * (IPC_HEAD_LEN + 8));
	assert_int_equal(recv(far, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	assert_int_equal(here.drained, 1);
	/* And a cut makes two of them. */
	CHAN_SEND(here.c, ready, .tid = 1);
	chan_cut(here.c);
	CHAN_SEND(here.c, ready, .tid = 2);
	CHAN_SEND(here.c, ready, .tid = 3);
	pass(1);
	n = recv(far, bytes, sizeof(bytes), MSG_DONTWAIT);
	assert_int_equal(n, IPC_HEAD_LEN + 8);
	n = recv(far, bytes, sizeof(bytes), MSG_DONTWAIT);
	assert_int_equal(n, 2 * (IPC_HEAD_LEN + 8));
	end();
}

static void
in_order(void **state)
{
	(void)state;
	begin();
	for (uint32_t i = 1; i <= 20; i++)
		if (i % 2 == 0)
			CHAN_SEND(there.c, log_level, .tid = i);
		else
			CHAN_SEND(there.c, stop, .tid = i);
	CHAN_SEND(here.c, ready, .tid = 5);
	pass(3);
	assert_int_equal(here.n, 20);
	for (int i = 0; i < 20; i++)
		assert_int_equal(here.order[i], i + 1);
	assert_int_equal(there.readies, 1);
	assert_int_equal(here.closed + there.closed, 0);
	end();
}

/* Messages with descriptors between others, all in one pass. */
static void
descriptors(void **state)
{
	int	 p[2], before;
	char	 x;

	(void)state;
	begin();
	before = open_fds();
	here.keep_fds = true;
	assert_int_equal(pipe(p), 0);
	CHAN_SEND(there.c, stop, .tid = 1);
	CHAN_SEND_FD(there.c, peer, p[0], .tid = 2, .title = S("a"));
	CHAN_SEND(there.c, stop, .tid = 3);
	CHAN_SEND_FD(there.c, peer, p[1], .tid = 4, .title = S("b"));
	CHAN_SEND(there.c, stop, .tid = 5);
	pass(3);
	assert_int_equal(here.n, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(here.order[i], i + 1);
	assert_int_equal(here.nfds, 2);
	/* They were closed here, and are close-on-exec there. */
	assert_int_equal(open_fds(), before + 2);
	assert_int_equal(fcntl(here.fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(here.fds[1], "x", 1), 1);
	assert_int_equal(read(here.fds[0], &x, 1), 1);
	close(here.fds[0]);
	close(here.fds[1]);
	end();
}

/* The peer reads again after a while: what waited comes as it was sent. A
 * message behind one with a descriptor must not travel in its packet. */
static void
blocked_then_on(void **state)
{
	uint32_t	 sent = 0;
	int		 p[2];

	(void)state;
	begin();
	assert_int_equal(pipe(p), 0);
	/* Fills the socket without the loop. */
	while (chan_waiting(there.c) == 0 && sent < 100000) {
		CHAN_SEND(there.c, stop, .tid = ++sent);
		chan_flush(there.c);
	}
	assert_true(chan_waiting(there.c) > 0);
	assert_int_equal(there.drained, 0);
	CHAN_SEND_FD(there.c, peer, p[0], .tid = ++sent, .title = S("a"));
	chan_flush(there.c);
	CHAN_SEND(there.c, stop, .tid = ++sent);
	CHAN_SEND_FD(there.c, peer, p[1], .tid = ++sent, .title = S("b"));
	chan_flush(there.c);
	CHAN_SEND(there.c, log_level, .tid = ++sent);
	pass(60);
	assert_int_equal(here.closed, 0);
	assert_int_equal(here.stops + here.peers + here.drains, sent);
	assert_int_equal(here.peers, 2);
	assert_int_equal(there.drained, 1);
	end();
}

/* As above with the receiver's boot: a cut stays one though the packet waits. */
static void
cut_while_blocked(void **state)
{
	char	 bytes[IPC_PACKET_MAX];
	ssize_t	 n, last = 0;

	(void)state;
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	while (chan_waiting(here.c) == 0) {
		CHAN_SEND(here.c, ready, .tid = 1);
		chan_flush(here.c);
	}
	chan_cut(here.c);
	chan_flush(here.c);
	CHAN_SEND(here.c, log_lost, .tid = 2);
	for (int i = 0; i < 1000; i++) {
		n = recv(far, bytes, sizeof(bytes), MSG_DONTWAIT);
		pass(1);
		if (n == -1)
			break;
		assert_true(n == IPC_HEAD_LEN || n == IPC_HEAD_LEN + 8);
		last = n;
	}
	assert_int_equal(last, IPC_HEAD_LEN);
	end();
}

static void
stopped_reader(void **state)
{
	static uint8_t	 bytes[32000];
	size_t		 most = 0;
	int		 i, p[2], before;

	(void)state;
	begin_bare(IPC_SMTPD, IPC_QUEUED, deliverd_rows);
	assert_int_equal(pipe(p), 0);
	before = open_fds();
	for (i = 0; i < 400 && here.closed == 0; i++) {
		CHAN_SEND(here.c, q_data, .tid = 1,
		    .bytes = span(bytes, sizeof(bytes)));
		if (chan_waiting(here.c) > most)
			most = chan_waiting(here.c);
		pass(1);
	}
	assert_true(most > CHAN_OUT_MAX);
	assert_true(most < CHAN_OUT_MAX + 2 * IPC_PACKET_MAX);
	assert_int_equal(here.closed, 1);
	assert_string_equal(here.why, "the peer has stopped reading");
	assert_int_equal(chan_waiting(here.c), 0);
	/* What is sent now goes nowhere, its descriptor is closed. */
	chan_send(here.c, IPC_T_d_job, &(struct ipc_d_job){ .tid = 1 }, p[1]);
	assert_int_equal(open_fds(), before - 1);
	close(p[0]);
	end();
}

static void
peer_gone(void **state)
{
	(void)state;
	for (int with = 0; with < 2; with++) {
		begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
		here.free_in_closed = with == 1;
		close(far);
		far = -1;
		if (with == 1)
			CHAN_SEND(here.c, ready, .tid = 1);
		pass(3);
		assert_int_equal(here.closed, 1);
		assert_null(here.why);
		end();
	}
}

/* ---- freeing from within -------------------------------------------------------- */

static void
free_inside(void **state)
{
	int	 p[2], before;

	(void)state;
	chan_free(NULL);
	before = open_fds();
	/* In a handler: the rest of the packet is not handled. */
	begin();
	here.free_in_handler = true;
	CHAN_SEND(there.c, stop, .tid = 1);
	CHAN_SEND(there.c, stop, .tid = 2);
	pass(1);
	CHAN_SEND(there.c, stop, .tid = 3);
	pass(2);
	assert_int_equal(here.stops, 1);
	assert_int_equal(here.closed, 0);
	assert_int_equal(there.closed, 1);
	end();
	/* In one with a descriptor. */
	begin();
	here.free_in_handler = true;
	assert_int_equal(pipe(p), 0);
	CHAN_SEND_FD(there.c, peer, p[0], .tid = 1);
	pass(3);
	close(p[1]);
	end();
	/* In `closed`, for both reasons. */
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	here.free_in_closed = true;
	send_raw("x", 1, NULL, 0);
	pass(2);
	assert_int_equal(here.closed, 1);
	end();
	/* In `drained`. */
	begin();
	here.free_in_drained = true;
	CHAN_SEND(here.c, ready, .tid = 1);
	pass(2);
	assert_int_equal(here.drained, 1);
	assert_int_equal(there.readies, 1);
	end();
	/* With messages and descriptors unsent. */
	begin();
	assert_int_equal(pipe(p), 0);
	CHAN_SEND_FD(there.c, peer, p[0], .tid = 1);
	CHAN_SEND(there.c, stop, .tid = 1);
	end();
	close(p[1]);
	assert_int_equal(open_fds(), before);
}

/* ---- blocking -------------------------------------------------------------------- */

static bool	 is_done;

static void
on_done(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)msg;
	(void)fd;
	is_done = true;
}

static void
blocking(void **state)
{
	static const struct chan_row rows[] = {
		{ IPC_T_peer, on_peer },
		{ IPC_T_boot_end, on_done },
		{ 0, NULL }
	};
	struct ipc_boot_end	 boot_end = { 1 };
	struct ipc_drain	 drain = { 1, 1 };
	const char		*why = NULL;
	int			 sv[2], p[2];

	(void)state;
	memset(&here, 0, sizeof(here));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(pipe(p), 0);
	is_done = false;
	assert_int_equal(chan_send_now(sv[1], IPC_T_peer, &(struct ipc_peer){
	    .tid = 1 }, p[0]), 0);
	assert_int_equal(chan_send_now(sv[1], IPC_T_boot_end, &boot_end, -1),
	    0);
	/* What comes after it is left for the loop. */
	assert_int_equal(chan_send_now(sv[1], IPC_T_drain, &drain, -1), 0);
	assert_int_equal(chan_recv_until(sv[0], IPC_KEYD, IPC_PARENT, rows,
	    &here, &is_done, &why), 0);
	assert_true(is_done);
	assert_int_equal(here.peers, 1);
	is_done = false;
	assert_int_equal(chan_recv_until(sv[0], IPC_KEYD, IPC_PARENT, rows,
	    &here, &is_done, &why), -1);
	assert_string_equal(why, "message not expected here");
	close(sv[1]);
	assert_int_equal(chan_recv_until(sv[0], IPC_KEYD, IPC_PARENT, rows,
	    &here, &is_done, &why), -1);
	assert_string_equal(why, "the other side is gone");
	assert_int_equal(chan_send_now(sv[0], IPC_T_boot_end, &boot_end, -1),
	    -1);
	close(sv[0]);
	close(p[0]);
	close(p[1]);
}

/* A packet that waits is another turn's, unless it is one of many. */
static void
one_a_turn(void **state)
{
	static const struct chan_row rows[] = {
		{ IPC_T_stop, on_stop },
		{ IPC_T_log_level, on_level },
		{ 0, NULL }
	};
	struct buf	 b;

	(void)state;
	begin_bare(IPC_SMTPD, IPC_PARENT, rows);
	buf_init(&b, IPC_PACKET_MAX);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(ipc_encode(&b, IPC_T_stop,
		    &(struct ipc_stop){ .tid = i }));
		send_raw_buf(&b, NULL, 0);
	}
	chan_one_a_turn(here.c);
	pass(1);
	assert_int_equal(here.n, 1);
	pass(2);
	assert_int_equal(here.n, 3);
	/* As large as content: what lies behind it is read with it. */
	while (buf_len(&b) < 20000)
		assert_true(ipc_encode(&b, IPC_T_log_level,
		    &(struct ipc_log_level){ .tid = 3 }));
	send_raw_buf(&b, NULL, 0);
	assert_true(ipc_encode(&b, IPC_T_stop, &(struct ipc_stop){ .tid = 4 }));
	send_raw_buf(&b, NULL, 0);
	pass(1);
	assert_int_equal(here.stops, 4);
	assert_int_equal(here.closed, 0);
	buf_clear(&b);
	end();
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(one_packet),
		cmocka_unit_test(in_order),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(blocked_then_on),
		cmocka_unit_test(cut_while_blocked),
		cmocka_unit_test(stopped_reader),
		cmocka_unit_test(peer_gone),
		cmocka_unit_test(free_inside),
		cmocka_unit_test(blocking),
		cmocka_unit_test(one_a_turn)
	};

	base = event_base_new();
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(base);
	return rc;
}
