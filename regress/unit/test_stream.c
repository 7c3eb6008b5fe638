/*
 * Streams over socket pairs and loopback TCP: what is read and written when,
 * how often the kernel is asked, time, and freeing from every callback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/io/stream.h"

enum verb { EAT = 1, KEEP, FREE, PAUSE, ECHO, FINISH };

/* What happened to a stream, and what its owner does about it. */
struct seen {
	int	readable, drained, closed, timeout, connected, error;
	enum verb on_readable, on_drained, on_closed, on_timeout, on_connected;
	size_t	eaten, biggest;
	struct stream *s, *other;
};

static struct event_base	*base;
static int			 far;	/* the other end, blocking */

static void
act(struct stream *s, struct seen *v, enum verb verb)
{
	struct span	 in = stream_in(s);

	switch (verb) {
	case EAT:
		v->eaten += in.len;
		stream_eat(s, in.len);
		break;
	case PAUSE:
		stream_pause(s);
		break;
	case ECHO:
		stream_write(s, in);
		stream_eat(s, in.len);
		break;
	case FINISH:
		stream_write(s, (struct span)SPAN("bye"));
		stream_finish(s, 1000);
		v->s = NULL;
		break;
	case FREE:
		stream_free(s);
		stream_free(v->other);
		v->s = v->other = NULL;
		break;
	case KEEP:
		break;
	}
}

static void
on_readable(struct stream *s, void *arg)
{
	struct seen	*v = arg;

	v->readable++;
	if (stream_in(s).len > v->biggest)
		v->biggest = stream_in(s).len;
	act(s, v, v->on_readable);
}

static void
on_drained(struct stream *s, void *arg)
{
	struct seen	*v = arg;

	v->drained++;
	assert_int_equal(stream_waiting(s), 0);
	act(s, v, v->on_drained);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	struct seen	*v = arg;

	v->closed++;
	v->error = error;
	act(s, v, v->on_closed);
}

static void
on_timeout(struct stream *s, void *arg)
{
	struct seen	*v = arg;

	v->timeout++;
	act(s, v, v->on_timeout);
}

static void
on_connected(struct stream *s, void *arg)
{
	struct seen	*v = arg;

	v->connected++;
	act(s, v, v->on_connected);
}

static const struct stream_ops ops = { on_readable, on_drained, on_closed,
    on_timeout, on_connected };

static struct seen *
begin(size_t in_max, size_t out_max)
{
	static struct seen	 seens[4];
	static unsigned		 turn;
	struct seen		*v = &seens[turn++ % 4];
	int			 sv[2];

	*v = (struct seen){ .on_readable = EAT, .on_drained = KEEP,
	    .on_closed = FREE, .on_timeout = KEEP, .on_connected = KEEP };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    sv), 0);
	assert_int_not_equal(fcntl(sv[0], F_SETFL, O_NONBLOCK), -1);
	v->s = stream_new(base, sv[0], in_max, out_max, &ops, v);
	assert_non_null(v->s);
	far = sv[1];
	return v;
}

static void
end(struct seen *v)
{
	stream_free(v->s);
	v->s = NULL;
	close(far);
}

/* Passes of the loop that do not wait. */
static void
pass(int n)
{
	while (n-- > 0)
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

/* Bytes that the other end gets in one read, 0 if none wait. */
static size_t
got(char *dst, size_t size)
{
	ssize_t	 n = recv(far, dst, size, MSG_DONTWAIT);

	return n == -1 ? 0 : (size_t)n;
}

static void
put(const char *s)
{
	assert_int_equal(write(far, s, strlen(s)), strlen(s));
}

static void
test_read(void **state)
{
	struct seen	*v = begin(100000, 1000);
	char		*big = calloc(1, 60000);

	(void)state;
	pass(1);
	assert_int_equal(v->readable, 0);
	put("hello");
	pass(1);
	assert_int_equal(v->readable, 1);
	assert_int_equal(v->eaten, 5);
	/* All there is, in one read and one callback. */
	assert_int_equal(write(far, big, 60000), 60000);
	pass(1);
	assert_int_equal(v->readable, 2);
	assert_int_equal(v->biggest, 60000);
	assert_int_equal(stream_in(v->s).len, 0);
	free(big);
	end(v);
}

static void
test_in_max(void **state)
{
	struct seen	*v = begin(8, 1000);

	(void)state;
	v->on_readable = KEEP;
	put("0123456789abcdef");
	pass(3);
	assert_int_equal(v->readable, 1);
	assert_true(span_is(stream_in(v->s), "01234567"));
	stream_eat(v->s, 3);
	pass(3);
	assert_int_equal(v->readable, 2);
	assert_true(span_is(stream_in(v->s), "3456789a"));
	end(v);
}

static void
test_pause(void **state)
{
	struct seen	*v = begin(1000, 1000);

	(void)state;
	v->on_readable = PAUSE;
	put("one");
	pass(1);
	put("two");
	pass(3);
	assert_int_equal(v->readable, 1);
	assert_true(span_is(stream_in(v->s), "one"));
	/* What waits is offered again, never from inside the call. */
	v->on_readable = EAT;
	stream_resume(v->s);
	assert_int_equal(v->readable, 1);
	pass(1);
	assert_int_equal(v->readable, 3);	/* "one", and then "two" */
	assert_int_equal(v->biggest, 3);
	assert_int_equal(v->eaten, 6);
	/* Nothing waits: nothing is offered. */
	stream_pause(v->s);
	stream_resume(v->s);
	pass(2);
	assert_int_equal(v->readable, 3);
	end(v);
}

/* Paused again before the offer is due: no call. */
static void
test_pause_again(void **state)
{
	struct seen	*v = begin(1000, 1000);

	(void)state;
	v->on_readable = PAUSE;
	put("one");
	pass(1);
	stream_resume(v->s);
	stream_pause(v->s);
	pass(2);
	assert_int_equal(v->readable, 1);
	end(v);
}

/* Several writes of one pass arrive as one. */
static void
test_write_once(void **state)
{
	struct seen	*v = begin(1000, 1000);
	char		 text[100] = "";

	(void)state;
	assert_true(stream_write(v->s, (struct span)SPAN("one ")));
	assert_true(stream_fmt(v->s, "%s %d ", "two", 3));
	assert_int_equal(got(text, sizeof(text)), 0);
	assert_int_equal(stream_waiting(v->s), 10);
	buf_str(stream_out(v->s), "four");
	stream_kick(v->s);
	pass(1);
	assert_int_equal(got(text, sizeof(text)), 14);
	assert_string_equal(text, "one two 3 four");
	assert_int_equal(v->drained, 1);
	pass(2);
	assert_int_equal(v->drained, 1);
	/* In the pass that read what is answered. */
	v->on_readable = ECHO;
	put("ping");
	pass(1);
	assert_int_equal(got(text, sizeof(text)), 4);
	end(v);
}

static void
test_flush(void **state)
{
	struct seen	*v = begin(1000, 1000);
	char		 text[100];

	(void)state;
	stream_write(v->s, (struct span)SPAN("now"));
	stream_flush(v->s);
	assert_int_equal(got(text, sizeof(text)), 3);
	assert_int_equal(v->drained, 0);
	pass(1);
	assert_int_equal(v->drained, 1);
	/* An error is told from the loop too. */
	close(far);
	stream_write(v->s, (struct span)SPAN("gone"));
	stream_flush(v->s);
	assert_int_equal(v->closed, 0);
	pass(1);
	assert_int_equal(v->closed, 1);
	assert_int_equal(v->error, EPIPE);
	far = -1;
	end(v);
}

static void
test_out_max(void **state)
{
	struct seen	*v = begin(1000, 10);
	char		 text[100];

	(void)state;
	assert_false(stream_write(v->s, (struct span)SPAN("12345678901")));
	assert_false(stream_fmt(v->s, "%s", "12345678901"));
	assert_int_equal(stream_waiting(v->s), 0);
	assert_true(stream_write(v->s, (struct span)SPAN("1234567890")));
	assert_false(stream_write(v->s, (struct span)SPAN("1")));
	pass(1);
	assert_int_equal(got(text, sizeof(text)), 10);
	assert_true(stream_write(v->s, (struct span)SPAN("1")));
	end(v);
}

/* A socket that is full: the rest goes as it is read, drained once. */
static void
test_full(void **state)
{
	struct seen	*v = begin(1000, 4000000);
	char		*big = calloc(1, 3000000);
	size_t		 total = 0, n;

	(void)state;
	assert_true(stream_write(v->s, span(big, 3000000)));
	pass(3);
	assert_int_not_equal(stream_waiting(v->s), 0);
	assert_int_equal(v->drained, 0);
	while ((n = got(big, 3000000)) > 0) {
		total += n;
		pass(2);
	}
	assert_int_equal(total, 3000000);
	assert_int_equal(v->drained, 1);
	free(big);
	end(v);
}

static void
test_eof(void **state)
{
	struct seen	*v = begin(1000, 1000);

	(void)state;
	put("last");
	shutdown(far, SHUT_WR);
	pass(2);
	assert_int_equal(v->eaten, 4);
	assert_int_equal(v->closed, 1);
	assert_int_equal(v->error, 0);
	assert_null(v->s);
	end(v);
}

/* A peer that has only ended its own side still gets the last words. */
static void
test_eof_finish(void **state)
{
	struct seen	*v = begin(1000, 1000);
	char		 text[10];

	(void)state;
	v->on_closed = FINISH;
	shutdown(far, SHUT_WR);
	pass(2);
	assert_int_equal(v->closed, 1);
	assert_int_equal(got(text, sizeof(text)), 3);
	assert_int_equal(recv(far, text, 1, MSG_DONTWAIT), 0);
	end(v);
}

/* What it is sent after that drains as before. */
static void
test_eof_drained(void **state)
{
	struct seen	*v = begin(1000, 4000000);
	char		*big = calloc(1, 3000000);
	size_t		 total = 0, n;

	(void)state;
	v->on_closed = KEEP;
	shutdown(far, SHUT_WR);
	pass(2);
	assert_int_equal(v->closed, 1);
	stream_write(v->s, span(big, 3000000));
	pass(2);
	while ((n = got(big, 3000000)) > 0) {
		total += n;
		pass(2);
	}
	assert_int_equal(total, 3000000);
	assert_int_equal(v->drained, 1);
	free(big);
	end(v);
}

static void
test_finish(void **state)
{
	struct seen	*v = begin(1000, 4000000);
	char		*big = calloc(1, 3000000);
	size_t		 total = 0, n;

	(void)state;
	v->on_readable = FINISH;
	put("QUIT");
	pass(1);
	assert_int_equal(got(big, 10), 3);
	assert_int_equal(recv(far, big, 1, MSG_DONTWAIT), 0);
	end(v);

	/* With much to send, closed when all is sent, and no callback. */
	v = begin(1000, 4000000);
	stream_write(v->s, span(big, 3000000));
	stream_finish(v->s, 5000);
	pass(2);
	put("ignored");
	while ((n = got(big, 3000000)) > 0) {
		total += n;
		pass(2);
	}
	assert_int_equal(total, 3000000);
	assert_int_equal(recv(far, big, 1, MSG_DONTWAIT), 0);
	assert_int_equal(v->drained + v->readable + v->closed, 0);
	v->s = NULL;
	end(v);

	/* Nobody reads: given up. */
	v = begin(1000, 4000000);
	stream_write(v->s, span(big, 3000000));
	stream_finish(v->s, 1);
	event_base_dispatch(base);
	v->s = NULL;
	end(v);
	free(big);
}

/* Runs the loop until the timeout is told; how long that took. */
static int64_t
wait_ms(struct seen *v)
{
	int64_t	 t = clock_mono().ms;
	int	 before = v->timeout;

	while (v->timeout == before)
		event_base_loop(base, EVLOOP_ONCE);
	return clock_mono().ms - t;
}

static void
test_timeout(void **state)
{
	struct seen	*v = begin(1000, 1000);

	(void)state;
	/* Later than it was: the timer that runs is early, and set anew. */
	stream_timeout(v->s, 100);
	stream_timeout(v->s, 250);
	assert_in_range(wait_ms(v), 200, 800);
	/* Sooner than it was. */
	stream_timeout(v->s, 3600000);
	stream_timeout(v->s, 120);
	assert_in_range(wait_ms(v), 60, 700);
	/* One shot; and none at all. */
	stream_timeout(v->s, 50);
	stream_timeout(v->s, 0);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(v->timeout, 2);
	v->on_timeout = FREE;
	stream_timeout(v->s, 1);
	wait_ms(v);
	assert_null(v->s);
	end(v);
}

/* From each callback, with another stream whose event is due in the same pass,
 * and with output and an offer under way. */
static void
test_free_anywhere(void **state)
{
	struct seen	*v, *w;
	int		 far1;

	(void)state;
	for (int i = 0; i < 2; i++) {
		v = begin(1000, 1000);
		far1 = far;
		w = begin(1000, 1000);
		v->on_readable = w->on_readable = FREE;
		v->other = w->s;
		w->other = v->s;
		put("x");
		assert_int_equal(write(far1, "x", 1), 1);
		stream_write(v->s, (struct span)SPAN("x"));
		stream_write(w->s, (struct span)SPAN("x"));
		stream_kick(w->s);
		if (i == 0)
			v->on_drained = w->on_drained = FREE;
		pass(2);
		assert_int_equal(v->readable + w->readable, i);
		assert_int_equal(v->drained + w->drained, i == 0 ? 1 : 2);
		close(far1);
		close(far);
	}
	/* In flight, outside of any callback. */
	v = begin(1000, 1000);
	stream_write(v->s, (struct span)SPAN("x"));
	stream_free(v->s);
	v->s = NULL;
	pass(2);
	end(v);
	/* In an offer. */
	v = begin(1000, 1000);
	v->on_readable = PAUSE;
	put("x");
	pass(1);
	v->on_readable = FREE;
	stream_resume(v->s);
	pass(2);
	assert_null(v->s);
	end(v);
	stream_free(NULL);
}

static int
listener(struct addr *a, int backlog)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd;

	assert_true(addr_parse_port((struct span)SPAN("127.0.0.1"), 0, a));
	len = addr_to_sockaddr(a, &ss);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	if (backlog > 0)
		assert_int_equal(listen(fd, backlog), 0);
	len = sizeof(ss);
	getsockname(fd, (struct sockaddr *)&ss, &len);
	addr_from_sockaddr(a, (struct sockaddr *)&ss);
	return fd;
}

static void
test_connect(void **state)
{
	struct addr		 to, from, peer;
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss), size = sizeof(int);
	int			 l = listener(&to, 5), on = 0;
	struct seen		 v = { .on_readable = EAT, .on_drained = KEEP,
				    .on_closed = FREE, .on_connected = KEEP };
	char			 text[10];

	(void)state;
	assert_true(addr_parse((struct span)SPAN("127.0.0.9"), &from));
	v.s = stream_connect(base, &to, &from, 1000, 1000, &ops, &v);
	assert_non_null(v.s);
	/* Written before it is connected: sent then. */
	stream_write(v.s, (struct span)SPAN("early"));
	assert_int_equal(v.connected, 0);
	pass(3);
	assert_int_equal(v.connected, 1);
	assert_int_equal(v.drained, 1);
	far = accept(l, (struct sockaddr *)&ss, &len);
	assert_int_not_equal(far, -1);
	addr_from_sockaddr(&peer, (struct sockaddr *)&ss);
	assert_true(addr_eq(&peer, &from));
	assert_true(addr_eq(stream_peer(v.s), &to));
	assert_int_equal(got(text, sizeof(text)), 5);
	assert_int_equal(getsockopt(stream_fd(v.s), IPPROTO_TCP, TCP_NODELAY,
	    &on, &size), 0);
	assert_int_not_equal(on, 0);
	put("220");
	pass(2);
	assert_int_equal(v.eaten, 3);
	close(l);
	end(&v);
}

static void
test_connect_fails(void **state)
{
	struct addr	 to, none = { 0 };
	int		 l = listener(&to, 0);	/* bound, not listening */
	struct seen	 v = { .on_closed = FREE };

	(void)state;
	v.s = stream_connect(base, &to, NULL, 1000, 1000, &ops, &v);
	assert_non_null(v.s);
	stream_write(v.s, (struct span)SPAN("early"));
	pass(3);
	assert_int_equal(v.connected, 0);
	assert_int_equal(v.closed, 1);
	assert_int_equal(v.error, ECONNREFUSED);
	assert_null(v.s);
	/* Freed and finished while it connects. */
	v.s = stream_connect(base, &to, NULL, 1000, 1000, &ops, &v);
	stream_free(v.s);
	v.s = stream_connect(base, &to, NULL, 1000, 1000, &ops, &v);
	stream_write(v.s, (struct span)SPAN("early"));
	stream_finish(v.s, 1000);
	pass(2);
	assert_int_equal(v.closed, 1);
	/* A Unix socket's address has nothing to connect to. */
	assert_null(stream_connect(base, &none, NULL, 1000, 1000, &ops, &v));
	assert_int_equal(errno, EAFNOSUPPORT);
	close(l);
}

/* One stream that fills itself for ever does not starve the others. */
static void
refill(struct stream *s, void *arg)
{
	struct seen	*v = arg;

	if (++v->drained < 100000)
		stream_write(s, (struct span)SPAN("more"));
	(void)recv(far, (char[64]){ 0 }, 64, MSG_DONTWAIT);
}

static void
test_fair(void **state)
{
	static const struct stream_ops	 endless = { on_readable, refill,
	    on_closed, on_timeout, on_connected };
	struct seen	*v = begin(1000, 1000), w = { .on_closed = FREE };
	int		 sv[2], keep = far;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    sv), 0);
	w.s = stream_new(base, sv[0], 1000, 1000, &endless, &w);
	far = sv[1];
	stream_write(w.s, (struct span)SPAN("more"));
	pass(1);
	assert_int_equal(write(keep, "x", 1), 1);
	pass(2);
	assert_int_equal(v->readable, 1);
	assert_true(w.drained < 100);
	stream_free(w.s);
	close(sv[1]);
	far = keep;
	end(v);
}

static int
make_base(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return (base = event_base_new()) == NULL ? -1 : 0;
}

static int
free_base(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_in_max),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_again),
		cmocka_unit_test(test_write_once),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_out_max),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_eof),
		cmocka_unit_test(test_eof_finish),
		cmocka_unit_test(test_eof_drained),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_free_anywhere),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_fails),
		cmocka_unit_test(test_fair)
	};

	return cmocka_run_group_tests(tests, make_base, free_base);
}
