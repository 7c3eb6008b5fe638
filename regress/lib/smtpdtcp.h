/*
 * For tests of smtpd's sockets, on top of smtpdtest.h: a listening one on
 * 127.0.0.1, and who connects to it.
 */
#ifndef REGRESS_SMTPDTCP_H
#define REGRESS_SMTPDTCP_H

#include "regress/lib/smtpdtest.h"

#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "smtpd/listener.h"

static struct addr	at;

/* Given to smtpd as the socket of that statement. */
static void
listen_at(unsigned port)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd = socket(AF_INET, SOCK_STREAM |
				    SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(addr_parse(span_str("127.0.0.1"), &at));
	len = addr_to_sockaddr(&at, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(&at, (struct sockaddr *)&ss);
	listener_add((uint16_t)listen_of(port), &at, fd);
}

static int
come(void)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = addr_to_sockaddr(&at, &ss);
	int			 fd = socket(AF_INET, SOCK_STREAM |
				    SOCK_CLOEXEC, 0), one = 1;

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
	    sizeof(one)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	world_run();
	return fd;
}

/* What it was told, "" if nothing. */
static const char *
told(int fd)
{
	static char	 text[2000];
	ssize_t		 n;

	world_run();
	n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

#endif
