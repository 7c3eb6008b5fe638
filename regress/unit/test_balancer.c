/*
 * Load balancers in front: the PROXY header before the greeting, cut at every
 * octet, missing, wrong, late; whose address counts afterwards.
 */
#include "regress/lib/smtpdtcp.h"

#include <errno.h>

#include "smtpd/balancer.h"

#define SIG	"\r\n\r\n\0\r\nQUIT\n"
#define V2	SIG "\x21\x11\0\x0c\xcb\0\x71\7\xc6\x33\x64\1\x12\x67\0\x19"
#define V2_LOCAL SIG "\x20\0\0\0"
#define V1	"PROXY TCP4 203.0.113.7 198.51.100.1 4711 25\r\n"

static struct session	*last;

static void
tell(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
	world_run();
}
#define TELL(fd, lit)	tell((fd), (lit), sizeof(lit) - 1)

#define TOLD(fd, want)	do {						\
	const char	*got_ = told(fd);				\
									\
	if (strncmp(got_, (want), strlen(want)) != 0)			\
		fail_msg("line %d: \"%s\", not \"%s\"", __LINE__, got_,	\
		    (want));						\
} while (0)

static bool
closed(int fd)
{
	char	c;
	ssize_t	n;

	world_run();
	while ((n = recv(fd, &c, 1, MSG_DONTWAIT)) > 0)
		;
	return n == 0 || (n == -1 && errno != EAGAIN);
}

static void
take_last(struct session *s, void *arg)
{
	(void)arg;
	if (last == NULL)
		last = s;
}

static struct session *
newest(void)
{
	last = NULL;
	session_each(take_last, NULL);
	assert_non_null(last);
	return last;
}

static const char *
client_now(void)
{
	static char	text[ADDR_STRLEN];

	return addr_str_port(&newest()->client, text);
}

static void
end(int fd)
{
	close(fd);
	world_run();
	assert_int_equal(balancer_count(), 0);
	assert_null(world_leak());
}

static void
test_header(void **state)
{
	char	text[ADDR_STRLEN];
	int	fd;

	(void)state;
	fd = come();
	assert_string_equal(told(fd), "");
	assert_int_equal(session_count(), 0);
	assert_int_equal(balancer_count(), 1);
	TELL(fd, V1);
	TOLD(fd, "220 gw.example.org");
	assert_int_equal(balancer_count(), 0);
	assert_string_equal(client_now(), "203.0.113.7:4711");
	assert_string_equal(addr_str(&newest()->via, text), "127.0.0.1");
	assert_string_equal(addr_str_port(&newest()->dest, text),
	    "198.51.100.1:25");
	assert_false(session_local(newest()));
	/* Rules, limits and the trace go by it. */
	TELL(fd, "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n"
	    "RCPT TO:<u@local.example>\r\n");
	assert_non_null(strstr(told(fd), "\r\n550 5.7.1"));
	TELL(fd, "RCPT TO:<u@source.example>\r\n");
	TOLD(fd, "250 ");
	TELL(fd, "DATA\r\n");
	TOLD(fd, "354");
	TELL(fd, "\r\nx\r\n.\r\n");
	TOLD(fd, "250 ");
	assert_non_null(strstr(queued.content, "[203.0.113.7]"));
	end(fd);
	assert_string_equal(queued.source, "203.0.113.7");

	/* Version 2, with all that the client has pipelined behind it. */
	fd = come();
	TELL(fd, V2 "EHLO client.example\r\nQUIT\r\n");
	TOLD(fd, "220 gw.example.org");
	assert_true(closed(fd));
	end(fd);
}

/* Octet by octet; nothing behind the header is lost, wherever it is cut. */
static void
test_cut(void **state)
{
	static const struct span	t[] = { SPAN(V1 "NOOP\r\n"),
					    SPAN(V2 "NOOP\r\n") };
	int				fd;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		fd = come();
		for (size_t n = 0; n < t[i].len; n++)
			tell(fd, t[i].p + n, 1);
		assert_string_equal(client_now(), "203.0.113.7:4711");
		TOLD(fd, "220 gw.example.org ESMTP postern\r\n250 2.0.0");
		end(fd);
		for (size_t n = 1; n < t[i].len; n++) {
			fd = come();
			tell(fd, t[i].p, n);
			tell(fd, t[i].p + n, t[i].len - n);
			TOLD(fd, "220 gw.example.org ESMTP postern\r\n"
			    "250 2.0.0");
			end(fd);
			/* The balancer gives up in between. */
			fd = come();
			tell(fd, t[i].p, n);
			end(fd);
		}
	}
}

/* No client is named: the balancer stays, but is no local client. */
static void
test_local(void **state)
{
	static const struct span	t[] = { SPAN("PROXY UNKNOWN\r\n"),
					    SPAN(V2_LOCAL),
					    SPAN(SIG "\x21\x31\0\0") };
	int				fd;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		fd = come();
		tell(fd, t[i].p, t[i].len);
		TOLD(fd, "220 ");
		assert_memory_equal(client_now(), "127.0.0.1:", 10);
		assert_true(newest()->nameless);
		assert_false(session_local(newest()));
		TELL(fd, "EHLO x.example\r\nMAIL FROM:<a@b.example>\r\n"
		    "RCPT TO:<u@local.example>\r\n");
		assert_non_null(strstr(told(fd), "\r\n550 5.7.1"));
		end(fd);
	}
	/* A Unix socket of that length would not do. */
	fd = come();
	tell(fd, t[2].p, t[2].len);
	assert_true(closed(fd));
	end(fd);
	/* A local client, announced, is one. */
	fd = come();
	TELL(fd, "PROXY TCP6 ::1 ::1 1 2\r\n");
	TOLD(fd, "220 ");
	assert_true(session_local(newest()));
	end(fd);
}

static void
test_wrong(void **state)
{
	int	fd;

	(void)state;
	fd = come();
	TELL(fd, "EHLO client.example\r\n");
	assert_true(closed(fd));
	end(fd);
	fd = come();
	TELL(fd, "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n");
	assert_true(closed(fd));
	end(fd);
	/* None, or half of one, in time. */
	fd = come();
	world_skip_ms(BALANCER_WAIT_MS);
	assert_true(closed(fd));
	end(fd);
	fd = come();
	TELL(fd, "PROXY");
	world_skip_ms(BALANCER_WAIT_MS / 2);
	TELL(fd, " TCP4");
	world_skip_ms(BALANCER_WAIT_MS / 2);
	assert_true(closed(fd));
	end(fd);
	/* A second one is no command. */
	fd = come();
	TELL(fd, V1 V1);
	TOLD(fd, "220 gw.example.org ESMTP postern\r\n500 ");
	end(fd);
}

/* Sessions are counted for the client, not for the balancer. */
static void
test_limits(void **state)
{
	int	fds[4];

	(void)state;
	world_conf->limits.sessions_per_source = 2;
	for (int i = 0; i < 3; i++) {
		fds[i] = come();
		TELL(fds[i], V1);
		TOLD(fds[i], i < 2 ? "220 " : "421 4.7.0 Too many sessions "
		    "from your address gw.example.org\r\n");
	}
	assert_true(closed(fds[2]));
	fds[3] = come();
	TELL(fds[3], "PROXY TCP4 203.0.113.8 198.51.100.1 4711 25\r\n");
	TOLD(fds[3], "220 ");
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	world_run();
	for (int i = 0; i < 3; i++) {
		fds[i] = come();
		TELL(fds[i], V2_LOCAL);
		TOLD(fds[i], "220 ");
	}
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	world_run();
	assert_null(world_leak());
}

/* Connections that wait take a session's place, and give it back. */
static void
test_full(void **state)
{
	enum { MAX = 4 };
	int	fds[MAX + 1];

	(void)state;
	for (int i = 0; i <= MAX; i++)
		fds[i] = come();
	assert_int_equal(balancer_count(), MAX);
	TELL(fds[MAX], V1);
	TOLD(fds[MAX], "");
	close(fds[0]);
	TOLD(fds[MAX], "220 ");
	TELL(fds[1], "no\r\n");
	assert_true(closed(fds[1]));
	for (int i = 1; i <= MAX; i++)
		close(fds[i]);
	world_run();
	assert_int_equal(balancer_count(), 0);
	assert_null(world_leak());
	/* The end of the worker. */
	fds[0] = come();
	assert_int_equal(balancer_count(), 1);
	listener_close_all();
	assert_int_equal(balancer_count(), 0);
	assert_true(closed(fds[0]));
	close(fds[0]);
}

/* From anybody else a header is what its octets are as commands. */
static void
test_others(void **state)
{
	int	fd;

	(void)state;
	listen_at(OTHERS);
	fd = come();
	TELL(fd, V1);
	TOLD(fd, "554 5.5.1 You talk before the greeting");
	assert_true(closed(fd));
	end(fd);
	fd = come();
	world_skip_ms(2000);
	TOLD(fd, "220 ");
	assert_memory_equal(client_now(), "127.0.0.1:", 10);
	assert_int_equal(newest()->via.family, 0);
	TELL(fd, V1);
	TOLD(fd, "500 5.5.2");
	TELL(fd, V2);
	assert_non_null(strstr(told(fd), "500 5.5.2 A bare"));
	assert_memory_equal(client_now(), "127.0.0.1:", 10);
	end(fd);
	listener_close_all();
}

static int
setup(void **state)
{
	(void)state;
	world_reset();
	listener_close_all();
	listen_at(BALANCED);
	return 0;
}

static int
start(void **state)
{
	world_sessions = 4;
	return test_init(state);
}

#define B(f)	cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		B(test_header), B(test_cut), B(test_local), B(test_wrong),
		B(test_limits), B(test_full), B(test_others)
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
