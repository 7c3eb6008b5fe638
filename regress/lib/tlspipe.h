/*
 * For tests of TLS on streams: two of them that talk through a pipe of the
 * test's own, which cuts what goes through, loses it, or adds to it. For
 * cmocka.
 */
#ifndef REGRESS_TLSPIPE_H
#define REGRESS_TLSPIPE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <unistd.h>

#include "common/io/tls.h"
#include "regress/lib/certhelp.h"

#define ROUNDS	4000	/* passes that any exchange may take */

/* One end: a stream, and what has happened to it. */
struct end {
	struct stream	*s;
	int		 secured, closed, error, timeout, drained;
	char		 why[200];
	size_t		 got;		/* bytes that came, */
	uint32_t	 sum;		/* and a sum over them */
	char		 last[64];
	bool		 echo, keep, finish_on_eof;
};

/* The pipe between: up is from client to server. */
static struct pipe_end {
	int	 fd;		/* of the pipe's side to this end */
	size_t	 passed;	/* bytes that it has let through */
} up, down;

static struct event_base	*base;
static struct ident		 identity;
static struct end		 server, client;
static size_t			 cut;	/* bytes at a time; 0: all */

static inline void
on_readable(struct stream *s, void *arg)
{
	struct end	*e = arg;
	struct span	 in = stream_in(s);
	size_t		 n = in.len < 63 ? in.len : 63;

	if (e->keep) {
		stream_pause(s);
		return;
	}
	memcpy(e->last, in.p, n);
	e->last[n] = '\0';
	for (size_t i = 0; i < in.len; i++)
		e->sum = e->sum * 31 + in.p[i];
	e->got += in.len;
	if (e->echo)
		assert_true(stream_write(s, in));
	stream_eat(s, in.len);
}

static inline void
on_drained(struct stream *s, void *arg)
{
	struct end	*e = arg;

	assert_int_equal(stream_waiting(s), 0);
	e->drained++;
}

static inline void
on_closed(struct stream *s, void *arg, int error)
{
	struct end	*e = arg;
	const char	*why = stream_tls_why(s);

	e->closed++;
	e->error = error;
	strlcpy(e->why, why == NULL ? "" : why, sizeof(e->why));
	e->s = NULL;
	if (e->finish_on_eof && error == 0)
		stream_finish(s, 1000);
	else
		stream_free(s);
}

static inline void
on_timeout(struct stream *s, void *arg)
{
	struct end	*e = arg;

	e->timeout++;
	stream_free(s);
	e->s = NULL;
}

static inline void
on_secured(struct stream *s, void *arg)
{
	struct end	*e = arg;

	assert_true(stream_secured(s));
	e->secured++;
}

static const struct stream_ops	 ops = { on_readable, on_drained, on_closed,
    on_timeout, NULL, on_secured };

static inline int
pair(int *other, int size)
{
	int	 sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, sv), 0);
	if (size > 0) {
		setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	*other = sv[1];
	return sv[0];
}

/* Both ends, bare, over the pipe. */
static inline void
begin(size_t max, int sndbuf)
{
	server = client = (struct end){ 0 };
	up = down = (struct pipe_end){ 0 };
	cut = 0;
	client.s = stream_new(base, pair(&up.fd, sndbuf), max, max, &ops,
	    &client);
	server.s = stream_new(base, pair(&down.fd, sndbuf), max, max, &ops,
	    &server);
	assert_true(client.s != NULL && server.s != NULL);
}

static inline void
finish(void)
{
	stream_free(client.s);
	stream_free(server.s);
	client.s = server.s = NULL;
	if (up.fd != -1)
		close(up.fd);
	if (down.fd != -1)
		close(down.fd);
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_int_equal(ERR_peek_error(), 0);
}

/* Carries bytes one way; an end that has closed closes the other way too. */
static inline void
carry(struct pipe_end *from, struct pipe_end *to, size_t max)
{
	static char	 bytes[65536];
	size_t		 n = cut > 0 && cut < max ? cut : max;
	ssize_t		 got, put;

	if (from->fd == -1 || to->fd == -1)
		return;
	if (n > sizeof(bytes))
		n = sizeof(bytes);
	if (n == 0)
		return;
	if ((got = recv(from->fd, bytes, n, MSG_PEEK)) == 0) {
		shutdown(to->fd, SHUT_WR);
		return;
	}
	if (got <= 0)
		return;
	if ((put = send(to->fd, bytes, (size_t)got, MSG_NOSIGNAL)) > 0) {
		assert_int_equal(recv(from->fd, bytes, (size_t)put, 0), put);
		from->passed += (size_t)put;
	}
}

static inline void
pass(void)
{
	carry(&up, &down, SIZE_MAX);
	carry(&down, &up, SIZE_MAX);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

#define UNTIL(what) do {						\
	int	 left = ROUNDS;						\
	while (!(what) && left-- > 0)					\
		pass();							\
	assert_true(what);						\
} while (0)

/* A context that is used once. */
static inline SSL *
once(SSL_CTX *ctx)
{
	SSL	*ssl = SSL_new(ctx);

	SSL_CTX_free(ctx);
	assert_non_null(ssl);
	return ssl;
}

static inline SSL *
server_ssl(int version)
{
	SSL_CTX	*ctx = ident_server(&identity, NULL);

	ident_versions(ctx, version, version);
	return once(ctx);
}

static inline SSL *
client_ssl(int version)
{
	SSL_CTX	*ctx = ident_client(identity.cert, NULL);

	ident_versions(ctx, version, version);
	return once(ctx);
}

static inline void
begin_tls(int version, size_t max)
{
	begin(max, 0);
	assert_null(stream_ssl(client.s));
	assert_true(stream_tls(server.s, server_ssl(version), true));
	assert_true(stream_tls(client.s, client_ssl(version), false));
	assert_non_null(stream_ssl(client.s));
	assert_false(stream_secured(client.s));
}

static const int	 versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
#define EACH_VERSION(v)	for (const int *v = versions; v < versions + 2; v++)

static inline int
make_base(void **state)
{
	(void)state;
	identity = IDENT(.cn = "mail.example", .san = "DNS:mail.example");
	return (base = event_base_new()) == NULL ? -1 : 0;
}

static inline int
free_base(void **state)
{
	(void)state;
	event_base_free(base);
	ident_free(&identity);
	return 0;
}

#endif
