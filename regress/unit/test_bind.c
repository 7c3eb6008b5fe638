/*
 * Listening sockets: bound, taken over by the next generation, refused with the
 * place in the configuration and nothing left open.
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
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "postern/postern.h"

#define LISTENS	6

static struct gateway		 gw;
static struct conf		 conf[2];
static struct conf_listen	 listens[2][LISTENS];
static struct conf_listen	*pointers[2][LISTENS];
static struct addr		 addrs[2][LISTENS];
static struct set		 set[2];

static int
open_fds(void)
{
	int	 n = 0;

	for (int i = 0; i < 256; i++)
		n += fcntl(i, F_GETFD) != -1;
	return n;
}

/* An address in 127.0.0.0/8 of this run alone, its n-th port. */
static struct addr
place(unsigned n)
{
	unsigned	 pid = (unsigned)getpid();

	return (struct addr){ .family = 4, .port = (uint16_t)(30000 + n),
	    .ip = { 127, (uint8_t)(pid >> 16 | 128), (uint8_t)(pid >> 8),
	    (uint8_t)pid } };
}

/* A configuration with these ports, and its set without sockets. */
static struct set *
make(int which, const unsigned *ports, size_t n)
{
	memset(&conf[which], 0, sizeof(conf[which]));
	memset(&set[which], 0, sizeof(set[which]));
	for (size_t i = 0; i < n; i++) {
		addrs[which][i] = place(ports[i]);
		listens[which][i] = (struct conf_listen){
			.index = (unsigned)i, .pos = { "x.conf",
			    (unsigned)i + 1, 1 }, .kind = LISTEN_INET,
			.addrs = &addrs[which][i], .naddrs = 1,
			.takes_passwords = i == 1 };
		pointers[which][i] = &listens[which][i];
	}
	conf[which].listens = pointers[which];
	conf[which].nlistens = n;
	set[which].conf = &conf[which];
	return &set[which];
}

static void
done(struct set *s)
{
	free(s->sockets);
	s->sockets = NULL;
	s->nsockets = 0;
}

static bool
answers(unsigned n)
{
	struct addr		 a = place(n);
	struct sockaddr_storage	 ss;
	socklen_t		 len = addr_to_sockaddr(&a, &ss);
	int			 fd = socket(ss.ss_family, SOCK_STREAM, 0);
	bool			 ok;

	ok = connect(fd, (struct sockaddr *)&ss, len) == 0;
	close(fd);
	return ok;
}

static void
bound(void **state)
{
	struct set	*s = make(0, (unsigned[]){ 1, 2 }, 2);
	struct buf	 msgs;
	int		 before = open_fds(), one;
	socklen_t	 len = sizeof(one);

	(void)state;
	buf_init(&msgs, 4096);
	assert_true(bind_all(&gw, s, NULL, &msgs));
	assert_int_equal(buf_len(&msgs), 0);
	assert_int_equal(s->nsockets, 2);
	assert_true(answers(1) && answers(2));
	assert_false(s->sockets[0].passwords);
	assert_true(s->sockets[1].passwords);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fcntl(s->sockets[i].fd, F_GETFD), FD_CLOEXEC);
		assert_true(fcntl(s->sockets[i].fd, F_GETFL) & O_NONBLOCK);
		/* No socket of its own a worker: the backlog would hang. */
		assert_int_equal(getsockopt(s->sockets[i].fd, SOL_SOCKET,
		    SO_REUSEPORT, &one, &len), 0);
		assert_int_equal(one, 0);
	}
	bind_close(s, NULL);
	assert_int_equal(open_fds(), before);
	assert_false(answers(1));
	done(s);
	buf_clear(&msgs);
}

/* What both generations have is one socket, with its backlog. */
static void
taken_over(void **state)
{
	struct set	*old = make(0, (unsigned[]){ 1, 2, 3 }, 3), *new;
	struct buf	 msgs;
	int		 before = open_fds();

	(void)state;
	buf_init(&msgs, 4096);
	assert_true(bind_all(&gw, old, NULL, &msgs));
	old->sockets[2].paused = true;
	new = make(1, (unsigned[]){ 3, 4, 1 }, 3);
	assert_true(bind_all(&gw, new, old, &msgs));
	assert_int_equal(new->sockets[0].fd, old->sockets[2].fd);
	assert_int_equal(new->sockets[2].fd, old->sockets[0].fd);
	assert_true(new->sockets[0].paused);
	assert_false(new->sockets[2].paused);
	assert_true(answers(1) && answers(2) && answers(3) && answers(4));
	/* The old one's ends are those that the new has not. */
	bind_close(old, new);
	assert_true(answers(1) && answers(3) && answers(4));
	assert_false(answers(2));
	bind_close(new, NULL);
	assert_int_equal(open_fds(), before);
	done(old);
	done(new);
	buf_clear(&msgs);
}

static void
in_use(void **state)
{
	struct set	*old = make(0, (unsigned[]){ 1, 2 }, 2), *new;
	struct buf	 msgs;
	int		 before, other;
	struct addr	 a = place(5);
	struct sockaddr_storage ss;
	socklen_t	 len = addr_to_sockaddr(&a, &ss);

	(void)state;
	buf_init(&msgs, 4096);
	other = socket(ss.ss_family, SOCK_STREAM, 0);
	assert_int_equal(bind(other, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_true(bind_all(&gw, old, NULL, &msgs));
	before = open_fds();
	new = make(1, (unsigned[]){ 1, 4, 5, 6 }, 4);
	assert_false(bind_all(&gw, new, old, &msgs));
	assert_non_null(strstr(buf_cstr(&msgs),
	    "x.conf:3:1: error: cannot listen on "));
	assert_non_null(strstr(buf_cstr(&msgs), strerror(EADDRINUSE)));
	/* Nothing is open that was not before, what was still answers. */
	assert_int_equal(open_fds(), before);
	assert_true(answers(1) && answers(2));
	assert_false(answers(4));
	assert_false(answers(6));
	bind_close(old, NULL);
	done(old);
	done(new);
	close(other);
	buf_clear(&msgs);
}

/* `*` on a machine without IPv6 is what there is; ::1 asked for is an error. */
static bool	 no_ipv6;
int		 __real_socket(int, int, int);
int		 __wrap_socket(int, int, int);

int
__wrap_socket(int family, int type, int proto)
{
	if (no_ipv6 && family == AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return __real_socket(family, type, proto);
}

static void
without_ipv6(void **state)
{
	struct addr	 both[2] = { { .family = 6, .port = 30011 },
			    place(11) };
	struct set	*s = make(0, (unsigned[]){ 1 }, 1);
	struct buf	 msgs;

	(void)state;
	buf_init(&msgs, 4096);
	no_ipv6 = true;
	listens[0][0].addrs = both;
	listens[0][0].naddrs = 2;
	assert_true(bind_all(&gw, s, NULL, &msgs));
	assert_int_equal(s->nsockets, 1);
	bind_close(s, NULL);
	done(s);
	listens[0][0].naddrs = 1;
	assert_false(bind_all(&gw, s, NULL, &msgs));
	assert_true(buf_len(&msgs) > 0);
	done(s);
	no_ipv6 = false;
	buf_clear(&msgs);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(bound),
		cmocka_unit_test(taken_over),
		cmocka_unit_test(in_use),
		cmocka_unit_test(without_ipv6)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
