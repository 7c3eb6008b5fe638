/*
 * Channels to a peer that lies: what is not allowed, malformed, too many
 * descriptors, and the lack of room for them.
 */
#include "regress/lib/chanhelp.h"

static void
not_allowed(void **state)
{
	struct buf	 b;

	(void)state;
	buf_init(&b, IPC_PACKET_MAX);

	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	assert_true(ipc_encode(&b, IPC_T_drain, &(struct ipc_drain){ 1, 2 }));
	send_raw_buf(&b, NULL, 0);
	closed_with("message not expected here");

	/* In the table, but not from this sender. */
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	assert_true(ipc_encode(&b, IPC_T_d_job, &(struct ipc_d_job){ 1 }));
	send_raw_buf(&b, NULL, 0);
	closed_with("message from the wrong sender");
	assert_int_equal(here.jobs, 0);

	/* The good one before it was handled, the one behind it is not. */
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	assert_true(ipc_encode(&b, IPC_T_stop, &(struct ipc_stop){ 1 }));
	assert_true(ipc_encode(&b, IPC_T_drain, &(struct ipc_drain){ 1, 2 }));
	assert_true(ipc_encode(&b, IPC_T_stop, &(struct ipc_stop){ 1 }));
	send_raw_buf(&b, NULL, 0);
	closed_with("message not expected here");
	assert_int_equal(here.stops, 1);
	buf_clear(&b);
}

static void
malformed(void **state)
{
	static uint8_t	 big[IPC_PACKET_MAX + 100];

	(void)state;
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	send_raw("x", 1, NULL, 0);
	closed_with("message ends within a number");

	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	send_raw(big, IPC_PACKET_MAX + 1, NULL, 0);
	closed_with("packet too long");
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	send_raw(big, sizeof(big), NULL, 0);
	closed_with("packet too long");

	/* A handler finds that it makes no sense. */
	begin();
	here.reject = true;
	CHAN_SEND(there.c, stop, .tid = 1);
	CHAN_SEND(there.c, stop, .tid = 2);
	pass(2);
	assert_int_equal(here.stops, 1);
	assert_string_equal(here.why, "no sense in it");
	end();
}

static void
surplus_descriptors(void **state)
{
	int		 p[2], fds[40], before;
	struct buf	 b;

	(void)state;
	buf_init(&b, IPC_PACKET_MAX);
	assert_int_equal(pipe(p), 0);
	for (size_t i = 0; i < 40; i++)
		fds[i] = p[0];
	before = open_fds();

	/* One with a message that has none; with a packet of nothing but rubbish;
	 * two, three, forty with one that has one. */
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	assert_true(ipc_encode(&b, IPC_T_stop, &(struct ipc_stop){ 1 }));
	send_raw_buf(&b, fds, 1);
	closed_with("a descriptor that nobody announced");
	assert_int_equal(open_fds(), before);

	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	send_raw("rubbish that is long enough", 27, fds, 1);
	pass(2);
	assert_int_equal(here.closed, 1);
	end();
	assert_int_equal(open_fds(), before);

	for (size_t n = 2; n <= 40; n += n < 6 ? 1 : 17) {
		begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
		assert_true(ipc_encode(&b, IPC_T_peer, &(struct ipc_peer){
		    .tid = 1 }));
		send_raw_buf(&b, fds, n);
		closed_with("more than one descriptor");
		assert_int_equal(here.peers, 0);
		assert_int_equal(open_fds(), before);
	}

	/* None where there must be one; and not before the last message. */
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	assert_true(ipc_encode(&b, IPC_T_peer, &(struct ipc_peer){ .tid = 1 }));
	send_raw_buf(&b, NULL, 0);
	closed_with("a descriptor is missing");
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	assert_true(ipc_encode(&b, IPC_T_peer, &(struct ipc_peer){ .tid = 1 }));
	assert_true(ipc_encode(&b, IPC_T_peer, &(struct ipc_peer){ .tid = 1 }));
	send_raw_buf(&b, fds, 1);
	closed_with("a descriptor is missing");
	assert_int_equal(open_fds(), before);
	close(p[0]);
	close(p[1]);
	buf_clear(&b);
}

/* Our own table of descriptors is full: that request fails, nothing else. */
static void
no_room(void **state)
{
	struct rlimit	 was, none;
	struct buf	 b;
	int		 p[2];

	(void)state;
	buf_init(&b, IPC_PACKET_MAX);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 3;
	quiet(true);

	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	assert_true(ipc_encode(&b, IPC_T_stop, &(struct ipc_stop){ 1 }));
	assert_true(ipc_encode(&b, IPC_T_peer, &(struct ipc_peer){ .tid = 1 }));
	send_raw_buf(&b, p, 1);
	assert_true(ipc_encode(&b, IPC_T_stop, &(struct ipc_stop){ 2 }));
	send_raw_buf(&b, NULL, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	pass(2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(here.closed, 0);
	assert_int_equal(here.stops, 2);
	assert_int_equal(here.peers, 0);
	end();

	/* One that may be without arrives without. */
	begin_bare(IPC_DELIVERD, IPC_QUEUED, deliverd_rows);
	here.keep_fds = true;
	assert_true(ipc_encode(&b, IPC_T_d_job, &(struct ipc_d_job){
	    .tid = 1 }));
	send_raw_buf(&b, p, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	pass(2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(here.closed, 0);
	assert_int_equal(here.jobs, 1);
	assert_int_equal(here.nfds, 0);
	end();

	/* It does not excuse a descriptor that nobody announced. */
	begin_bare(IPC_SMTPD, IPC_PARENT, child_rows);
	assert_true(ipc_encode(&b, IPC_T_stop, &(struct ipc_stop){ 1 }));
	send_raw_buf(&b, p, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	pass(2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	closed_with("a descriptor that nobody announced");

	/* Nor do we accuse ourselves: dup(2) failed, nothing is sent. */
	begin();
	CHAN_SEND_FD(there.c, peer, -1, .tid = 1);
	CHAN_SEND(there.c, stop, .tid = 2);
	pass(2);
	assert_int_equal(here.closed, 0);
	assert_int_equal(here.stops, 1);
	end();
	quiet(false);
	close(p[0]);
	close(p[1]);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(not_allowed),
		cmocka_unit_test(malformed),
		cmocka_unit_test(surplus_descriptors),
		cmocka_unit_test(no_room)
	};

	base = event_base_new();
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(base);
	return rc;
}
