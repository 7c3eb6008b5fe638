/*
 * Listening sockets on loopback: accepting, the 421 for who may not come in, a
 * worker that is full and leaves the rest in the backlog, a pause, descriptors
 * that run out, and closing.
 */
#include "regress/lib/smtpdtcp.h"

#include <sys/resource.h>
#include <fcntl.h>

static void
test_per_source(void **state)
{
	int	fds[4];

	(void)state;
	listen_at(REGULAR);
	world_conf->limits.sessions_for.v[0].n = 3;
	for (int i = 0; i < 3; i++) {
		fds[i] = come();
		assert_memory_equal(told(fds[i]), "220 gw.example.org", 18);
	}
	assert_int_equal(queued.source_count, 3);
	fds[3] = come();
	assert_string_equal(told(fds[3]), "421 4.7.0 Too many sessions from "
	    "your address gw.example.org\r\n");
	assert_int_equal(recv(fds[3], (char[1]){ 0 }, 1, 0), 0);
	close(fds[3]);
	close(fds[0]);
	world_run();
	assert_int_equal(queued.source_count, 2);
	/* Those in the other workers count as well. */
	queued_source_total("127.0.0.1", 3);
	fds[3] = come();
	assert_memory_equal(told(fds[3]), "421 4.7.0", 9);
	close(fds[3]);
	queued_source_total("127.0.0.1", 2);
	fds[3] = come();
	assert_memory_equal(told(fds[3]), "220 ", 4);
	/* A queue that was away is told anew. */
	queued_die();
	queued.source_count = 0;
	queued_start();
	assert_int_equal(queued.source_count, 3);
	for (int i = 1; i < 4; i++)
		close(fds[i]);
	world_run();
	assert_int_equal(queued.source_count, 0);
	assert_null(world_leak());
	listener_close_all();
	world_conf->limits.sessions_for.v[0].n = 1000;
}

static void
test_full(void **state)
{
	enum { MAX = 4, ALL = 9 };
	int	fds[ALL];

	(void)state;
	listen_at(REGULAR);
	for (int i = 0; i < ALL; i++)
		fds[i] = come();
	assert_int_equal(session_count(), MAX);
	for (int i = 0; i < ALL; i++)
		assert_int_equal(told(fds[i])[0], i < MAX ? '2' : '\0');
	/* The others wait, and are served as there is room. */
	for (int i = 0; i < ALL; i++) {
		if (i + MAX < ALL)
			assert_string_equal(told(fds[i + MAX]), "");
		close(fds[i]);
		world_run();
		if (i + MAX < ALL)
			assert_int_equal(told(fds[i + MAX])[0], '2');
	}
	assert_null(world_leak());
	listener_close_all();
}

static void
test_pause(void **state)
{
	int	fd;

	(void)state;
	listen_at(REGULAR);
	listener_pause((uint16_t)listen_of(SMALL), true);
	fd = come();
	assert_int_equal(told(fd)[0], '2');
	close(fd);
	listener_pause((uint16_t)listen_of(REGULAR), true);
	fd = come();
	assert_string_equal(told(fd), "");
	listener_pause(UINT16_MAX, false);
	assert_int_equal(told(fd)[0], '2');
	close(fd);
	listener_close_all();
	assert_null(world_leak());
	/* A statement that is not there. */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	listener_add(999, &at, fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Without a descriptor it rests, and does not spin. */
static void
test_descriptors(void **state)
{
	struct rlimit	 had, few;
	struct timeval	 tv = { 0, 150000 };
	int		 fd, top;

	(void)state;
	listen_at(REGULAR);
	top = fcntl(0, F_DUPFD, 3);
	close(top);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
	few = had;
	few.rlim_cur = (rlim_t)top + 1;		/* the client's own, no more */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	fd = come();
	assert_string_equal(told(fd), "");
	assert_int_equal(session_count(), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
	event_base_loopexit(world_base, &tv);
	event_base_dispatch(world_base);
	assert_int_equal(told(fd)[0], '2');
	close(fd);
	listener_close_all();
	assert_null(world_leak());
}

static int
some_for_loopback(void **state)
{
	world_sessions = 4;
	test_init(state);
	/* Loopback is exempt unless it is named, as the configuration does. */
	world_conf->limits.sessions_for.v[0].n = 1000;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_per_source),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_descriptors)
	};

	return cmocka_run_group_tests(tests, some_for_loopback, NULL);
}
