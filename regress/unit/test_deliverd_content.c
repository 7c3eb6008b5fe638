/*
 * deliverd's delivery: content on its way to the server, and a server that reads
 * it slowly or not at all.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "regress/lib/deliverdhelp.h"

static void
stuffing(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a",
	    .content = ".a\r\n\r\n.\r\n..\r\nb.\r\n.", .prefix = "P: .\r\n");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .content = "X: y\r\n\r\nno end");
	UNTIL(is_done(2));
	SERVED(sa);
	content_is(sa, "P: .\r\n..a\r\n\r\n..\r\n...\r\nb.\r\n..\r\n"
	    "X: y\r\n\r\nno end\r\n");
}

static void
bounded(const struct conn *conn, void *arg)
{
	(void)arg;
	assert_true(stream_waiting(conn->s) <= REMOTE_OUT_MAX);
	assert_true(stream_waiting(conn->s) > 0);
}

/* A server that reads slowly: what is in memory is bounded, and all arrives. */
static void
slow_reader(void **state)
{
	const size_t	 len = 8 << 20;
	char		 path[] = "/tmp/postern-test.XXXXXX";
	char		*big = malloc(len);
	int		 fd = mkstemp(path);
	struct span	 have;

	(void)state;
	assert_non_null(big);
	unlink(path);
	for (size_t i = 0; i < len; i++)
		big[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' :
		    i % 64 == 0 ? '.' : (char)('a' + i / 64 % 26);
	assert_int_equal(pwrite(fd, big, len, 7), (ssize_t)len);
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "W", "D",
	    OK);
	HAND(.id = 1, .action = "a", .fd = fd, .offset = 7, .len = len);
	UNTIL(server_waits(sa));
	script_settle(100);
	assert_false(is_done(1));
	pool_each_conn(bounded, NULL);
	server_go(sa);
	UNTIL(is_done(1));
	SERVED(sa);
	is(1, 0, D_OK, "250");
	have = server_content(sa);
	assert_int_equal(have.len, len + len / 64);
	for (size_t i = 0; i < len / 64; i++) {
		assert_int_equal(have.p[i * 65], '.');
		assert_memory_equal(have.p + i * 65 + 1, big + i * 64, 64);
	}
	free(big);
}

/* One that has stopped for good costs three minutes. */
static void
stopped_reader(void **state)
{
	const size_t	 len = 32 << 20;
	char		 path[] = "/tmp/postern-test.XXXXXX";
	int		 fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_return_code(ftruncate(fd, (off_t)len), 0);
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "W", "X");
	HAND(.id = 1, .action = "a", .fd = fd, .len = len);
	UNTIL(server_waits(sa));
	/* Until what the kernel takes is full. */
	script_settle(200);
	script_time(REMOTE_DATA_MS + 1000);
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.4.2 ");
	assert_non_null(strstr(result(1, 0)->reply, "sending the message"));
}

/* The file is shorter than was said: no dot, and the next job is another's. */
static void
short_file(void **state)
{
	char	 path[] = "/tmp/postern-test.XXXXXX";
	int	 fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_int_equal(write(fd, "Subject: x\r\n", 12), 12);
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go",
	    "E");
	HAND(.id = 1, .action = "a", .fd = fd, .len = 100);
	UNTIL(is_done(1));
	SERVED(sa);
	is(1, 0, D_TEMP, "451 4.3.0 ");
	/* Less bytes than the size says, without a file. */
	HAND(.id = 2, .action = "a", .size = 1000);
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.3.0 ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(stuffing),
		CASE(slow_reader),
		CASE(stopped_reader),
		CASE(short_file),
	};

	return cmocka_run_group_tests(tests, deliverdhelp_start, NULL);
}
