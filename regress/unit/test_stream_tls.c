/*
 * TLS on streams: two of them talk through a pipe of the test's own that cuts
 * what goes through, loses it, or adds to it. The server's key waits, too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <stdlib.h>
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

static void
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

static void
on_drained(struct stream *s, void *arg)
{
	struct end	*e = arg;

	assert_int_equal(stream_waiting(s), 0);
	e->drained++;
}

static void
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

static void
on_timeout(struct stream *s, void *arg)
{
	struct end	*e = arg;

	e->timeout++;
	stream_free(s);
	e->s = NULL;
}

static void
on_secured(struct stream *s, void *arg)
{
	struct end	*e = arg;

	assert_true(stream_secured(s));
	e->secured++;
}

static const struct stream_ops	 ops = { on_readable, on_drained, on_closed,
    on_timeout, NULL, on_secured };

static int
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
static void
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

static void
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
static void
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

static void
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
static SSL *
once(SSL_CTX *ctx)
{
	SSL	*ssl = SSL_new(ctx);

	SSL_CTX_free(ctx);
	assert_non_null(ssl);
	return ssl;
}

static SSL *
server_ssl(int version)
{
	SSL_CTX	*ctx = ident_server(&identity, NULL);

	ident_versions(ctx, version, version);
	return once(ctx);
}

static SSL *
client_ssl(int version)
{
	SSL_CTX	*ctx = ident_client(identity.cert, NULL);

	ident_versions(ctx, version, version);
	return once(ctx);
}

static void
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

static void
test_talk(void **state)
{
	(void)state;
	EACH_VERSION(v) {
		begin_tls(*v, 1000);
		server.echo = true;
		/* Written before the handshake: it goes after. */
		stream_write(client.s, (struct span)SPAN("early"));
		UNTIL(client.got == 5);
		assert_string_equal(client.last, "early");
		assert_int_equal(client.secured, 1);
		assert_int_equal(server.secured, 1);
		assert_int_equal(SSL_version(stream_ssl(server.s)), *v);
		stream_write(client.s, (struct span)SPAN("more"));
		UNTIL(client.got == 9);
		assert_int_equal(client.drained, 2);
		/* A second time: refused, and the first stays. */
		assert_false(stream_tls(client.s, client_ssl(*v),
		    false));
		stream_finish(client.s, 1000);
		client.s = NULL;
		UNTIL(server.closed == 1);
		assert_int_equal(server.error, 0);
		assert_string_equal(server.why, "");
		finish();
	}
}

/* Each byte for itself: handshake, data, close_notify. */
static void
test_byte_by_byte(void **state)
{
	(void)state;
	EACH_VERSION(v) {
		begin_tls(*v, 1000);
		cut = 1;
		server.echo = true;
		stream_write(client.s, (struct span)SPAN("one byte"));
		UNTIL(client.got == 8);
		for (int i = 0; i < 50; i++) {
			stream_write(client.s, (struct span)SPAN("x"));
			UNTIL(client.got == 9 + (size_t)i);
		}
		stream_finish(client.s, 1000);
		client.s = NULL;
		UNTIL(server.closed == 1);
		assert_string_equal(server.why, "");
		finish();
	}
}

/* The 220 goes in the clear, whatever else is written; so does no more. */
static void
test_starttls(void **state)
{
	char	 text[100] = "";

	(void)state;
	begin(1000, 0);
	stream_write(server.s, (struct span)SPAN("220 go\r\n"));
	assert_true(stream_tls(server.s, server_ssl(TLS1_3_VERSION), true));
	stream_write(server.s, (struct span)SPAN("later"));
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_int_equal(recv(down.fd, text, 99, 0), 8);
	assert_string_equal(text, "220 go\r\n");
	assert_true(stream_tls(client.s, client_ssl(TLS1_3_VERSION), false));
	UNTIL(client.got == 5);
	assert_string_equal(client.last, "later");
	finish();
}

/* What waits unread begins the handshake; it never is data. */
static void
test_read_before(void **state)
{
	(void)state;
	begin(20000, 0);
	server.keep = true;
	assert_true(stream_tls(client.s, client_ssl(TLS1_3_VERSION), false));
	stream_write(client.s, (struct span)SPAN("after"));
	UNTIL(stream_in(server.s).len > 100);
	server.keep = false;
	stream_resume(server.s);
	assert_true(stream_tls(server.s, server_ssl(TLS1_3_VERSION), true));
	assert_int_equal(stream_in(server.s).len, 0);
	UNTIL(server.got == 5);
	assert_string_equal(server.last, "after");
	finish();

	begin(1000, 0);
	server.keep = true;
	stream_write(client.s, (struct span)SPAN("MAIL FROM:<>\r\n"));
	UNTIL(stream_in(server.s).len == 14);
	server.keep = false;
	stream_resume(server.s);
	assert_true(stream_tls(server.s, server_ssl(TLS1_3_VERSION), true));
	UNTIL(server.closed == 1);
	assert_int_equal(server.got, 0);
	assert_int_equal(server.error, EPROTO);
	assert_string_equal(server.why, "plain text on a TLS port");
	finish();
}

/* More than all buffers, both ways at once, through small sockets. */
static void
test_much(void **state)
{
	size_t		 sent = 0, want = 1 << 20;
	uint32_t	 sum = 0;
	uint8_t		 bytes[3000];

	(void)state;
	EACH_VERSION(v) {
		begin(5000, 4096);
		assert_true(stream_tls(server.s, server_ssl(*v),
		    true));
		assert_true(stream_tls(client.s, client_ssl(*v),
		    false));
		for (sent = sum = 0; sent < want; pass()) {
			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = (uint8_t)(sent + i * 7);
			if (!stream_write(client.s, (struct span){ bytes,
			    sizeof(bytes) }))
				continue;
			for (size_t i = 0; i < sizeof(bytes); i++)
				sum = sum * 31 + bytes[i];
			sent += sizeof(bytes);
			stream_write(server.s, (struct span){ bytes, 1000 });
		}
		UNTIL(server.got == sent);
		assert_int_equal(server.sum, sum);
		assert_true(client.got > 10000);
		finish();
	}
}

/* A reader that pauses holds the writer up; what waits comes when it goes on
 * though the socket says nothing. */
static void
test_backpressure(void **state)
{
	size_t	 sent = 0;
	char	 bytes[1000] = "";

	(void)state;
	begin(4000, 4096);
	assert_true(stream_tls(server.s, server_ssl(TLS1_3_VERSION), true));
	assert_true(stream_tls(client.s, client_ssl(TLS1_3_VERSION), false));
	UNTIL(server.secured && client.secured);
	server.keep = true;
	for (int i = 0; i < 500; i++, pass())
		if (stream_write(client.s, (struct span){ (uint8_t *)bytes,
		    sizeof(bytes) }))
			sent += sizeof(bytes);
	assert_true(sent < 60000);
	assert_true(stream_in(server.s).len <= 4000);
	assert_int_equal(server.got, 0);
	server.keep = false;
	stream_resume(server.s);
	UNTIL(server.got == sent);
	assert_true(client.drained > 0);
	finish();
}

/* A record that is more than the reader's buffer. */
static void
test_big_record(void **state)
{
	uint8_t	 bytes[16000] = "";

	(void)state;
	begin(100, 0);
	stream_free(client.s);
	close(up.fd);
	client.s = stream_new(base, pair(&up.fd, 0), 100, 20000, &ops,
	    &client);
	assert_true(stream_tls(server.s, server_ssl(TLS1_3_VERSION), true));
	assert_true(stream_tls(client.s, client_ssl(TLS1_3_VERSION), false));
	stream_write(client.s, (struct span){ bytes, sizeof(bytes) });
	stream_finish(client.s, 1000);
	/* It is in the handshake: nothing of that can be sent any more. */
	client.s = NULL;
	UNTIL(server.closed == 1);
	assert_int_equal(server.error, EPROTO);
	finish();

	begin(100, 0);
	stream_free(client.s);
	close(up.fd);
	client.s = stream_new(base, pair(&up.fd, 0), 100, 20000, &ops,
	    &client);
	assert_true(stream_tls(server.s, server_ssl(TLS1_3_VERSION), true));
	assert_true(stream_tls(client.s, client_ssl(TLS1_3_VERSION), false));
	UNTIL(client.secured);
	stream_write(client.s, (struct span){ bytes, sizeof(bytes) });
	stream_finish(client.s, 1000);
	client.s = NULL;
	UNTIL(server.closed == 1);
	assert_int_equal(server.got, sizeof(bytes));
	assert_int_equal(server.error, 0);
	assert_string_equal(server.why, "");
	finish();
}

/* The peer is gone after each number of bytes, without a word. */
static void
test_vanish(void **state)
{
	size_t	 all = 0;

	(void)state;
	EACH_VERSION(v) {
		begin_tls(*v, 1000);
		stream_write(client.s, (struct span)SPAN("data"));
		UNTIL(server.got == 4);
		all = up.passed;
		finish();
		assert_true(all > 200);
		for (size_t n = 0; n <= all; n++) {
			begin_tls(*v, 1000);
			stream_write(client.s, (struct span)SPAN("data"));
			for (int i = 0; i < 40 && up.passed < n; i++) {
				carry(&up, &down, n - up.passed);
				carry(&down, &up, SIZE_MAX);
				event_base_loop(base, EVLOOP_NONBLOCK |
				    EVLOOP_ONCE);
			}
			shutdown(down.fd, SHUT_WR);
			for (int i = 0; i < 40 && !server.closed; i++)
				event_base_loop(base, EVLOOP_NONBLOCK |
				    EVLOOP_ONCE);
			assert_int_equal(server.closed, 1);
			assert_true(server.got == 0 || server.got == 4);
			assert_int_equal(server.error, server.secured ? 0 :
			    EPROTO);
			assert_string_equal(server.why, server.secured ?
			    "the client closed without close_notify" :
			    "the client closed during the handshake");
			finish();
		}
	}
}

/* A half closed without close_notify still gets its answer. */
static void
test_half_closed(void **state)
{
	(void)state;
	begin_tls(TLS1_3_VERSION, 1000);
	server.finish_on_eof = true;
	UNTIL(server.secured && client.secured);
	stream_write(server.s, (struct span)SPAN("answer"));
	shutdown(down.fd, SHUT_WR);
	for (int i = 0; i < 10 && !server.closed; i++)
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_int_equal(server.closed, 1);
	assert_int_equal(server.error, 0);
	UNTIL(client.closed == 1);
	assert_string_equal(client.last, "answer");
	assert_string_equal(client.why, "");
	finish();
}

static void
garbage(const void *p, size_t n, const char *why)
{
	begin(20000, 0);
	assert_true(stream_tls(server.s, server_ssl(TLS1_3_VERSION), true));
	assert_int_equal(write(down.fd, p, n), n);
	for (int i = 0; i < 10 && !server.closed; i++)
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_int_equal(server.closed, 1);
	assert_int_equal(server.error, EPROTO);
	assert_int_equal(server.secured, 0);
	if (why != NULL)
		assert_string_equal(server.why, why);
	assert_true(strlen(server.why) > 0);
	finish();
}

static void
test_garbage(void **state)
{
	uint8_t	 bytes[3000];

	(void)state;
	garbage("EHLO there\r\n", 12, "plain text on a TLS port");
	garbage("GET / HTTP/1.0\r\n\r\n", 18, "plain text on a TLS port");
	garbage("\x15\x03\x03\x00\x02\x02\x28", 7, "unexpected message");
	garbage("\x16\x03\x01\xff\xff", 5, NULL);
	memset(bytes, 0, sizeof(bytes));
	garbage(bytes, sizeof(bytes), "plain text on a TLS port");
	srandom(1);
	for (int round = 0; round < 300; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)random();
		memcpy(bytes, "\x16\x03\x01", 3);
		bytes[3] &= 7;
		bytes[5] = round % 2 ? 1 : bytes[5];
		garbage(bytes, sizeof(bytes), NULL);
	}
}

/* Bytes on the way that are changed end the session, and nothing else. */
static void
test_damage(void **state)
{
	uint8_t	 bytes[200];
	ssize_t	 n;

	(void)state;
	EACH_VERSION(v) {
		begin_tls(*v, 1000);
		UNTIL(server.secured && client.secured);
		stream_write(client.s, (struct span)SPAN("MAIL"));
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		n = recv(up.fd, bytes, sizeof(bytes), 0);
		assert_true(n > 10);
		bytes[n - 1] ^= 1;
		assert_int_equal(write(down.fd, bytes, (size_t)n), n);
		UNTIL(server.closed == 1);
		assert_int_equal(server.got, 0);
		assert_int_equal(server.error, EPROTO);
		assert_string_equal(server.why,
		    "a record was damaged on its way");
		UNTIL(client.closed == 1);
		assert_string_equal(client.why,
		    "the server ended the session: bad record mac");
		finish();
	}
}

static void
fails(SSL *ours, SSL *theirs, const char *server_why, const char *client_why)
{
	begin(1000, 0);
	assert_true(stream_tls(server.s, ours, true));
	assert_true(stream_tls(client.s, theirs, false));
	UNTIL(server.closed && client.closed);
	assert_int_equal(server.error, EPROTO);
	assert_string_equal(server.why, server_why);
	assert_string_equal(client.why, client_why);
	finish();
}

static void
test_refused(void **state)
{
	struct ident	 other = IDENT(.cn = "elsewhere.example",
			    .san = "DNS:elsewhere.example");
	SSL_CTX		*ctx;
	SSL		*ssl;

	(void)state;
	fails(server_ssl(TLS1_3_VERSION), client_ssl(TLS1_2_VERSION),
	    "no common protocol",
	    "no common protocol: the server says so");
	fails(server_ssl(TLS1_2_VERSION), client_ssl(TLS1_3_VERSION),
	    "no common protocol",
	    "no common protocol: the server says so");
	ctx = ident_client(other.cert, NULL);
	ident_versions(ctx, TLS1_2_VERSION, TLS1_2_VERSION);
	fails(server_ssl(TLS1_2_VERSION), once(ctx),
	    "the client does not trust our certificate: unknown CA",
	    "the certificate of the server does not hold: self-signed "
	    "certificate");
	ssl = client_ssl(TLS1_2_VERSION);
	assert_int_equal(SSL_set_cipher_list(ssl, "ECDHE-RSA-AES128-SHA256"),
	    1);
	fails(server_ssl(TLS1_2_VERSION), ssl, "no common cipher",
	    "the server ended the handshake: handshake failure");
	ctx = ident_server(&identity, NULL);
	ident_versions(ctx, TLS1_2_VERSION, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER |
	    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	fails(once(ctx), client_ssl(TLS1_2_VERSION),
	    "the client sent no certificate",
	    "the server ended the handshake: handshake failure");
	ident_free(&other);
}

static void
test_renegotiation(void **state)
{
	(void)state;
	begin_tls(TLS1_2_VERSION, 1000);
	UNTIL(server.secured && client.secured);
	/* The client's own layer would not: take its word back. */
	SSL_clear_options(stream_ssl(client.s), SSL_OP_NO_RENEGOTIATION);
	assert_int_equal(SSL_renegotiate(stream_ssl(client.s)), 1);
	stream_write(client.s, (struct span)SPAN("again"));
	UNTIL(client.closed || server.closed);
	assert_int_equal(server.secured, 1);
	assert_int_equal(server.got, 0);
	finish();
}

static void
test_key_update(void **state)
{
	(void)state;
	begin_tls(TLS1_3_VERSION, 1000);
	server.echo = true;
	UNTIL(server.secured && client.secured);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(SSL_key_update(stream_ssl(client.s),
		    SSL_KEY_UPDATE_REQUESTED), 1);
		stream_write(client.s, (struct span)SPAN("next"));
		UNTIL(client.got == 4 * ((size_t)i + 1));
	}
	finish();
}

/* The handshake has the stream's time, whatever trickles in. */
static void
test_handshake_time(void **state)
{
	(void)state;
	begin(1000, 0);
	assert_true(stream_tls(server.s, server_ssl(TLS1_3_VERSION), true));
	stream_timeout(server.s, 200);
	assert_int_equal(write(down.fd, "\x16\x03", 2), 2);
	while (server.timeout == 0)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(server.closed, 0);
	finish();
}

/* ---- a key that waits --------------------------------------------------- */

/* What a provider would do: the job pauses, and its callback is kept. */
static ASYNC_callback_fn	 job_call;
static void			*job_arg;
static int			 pauses, ended;
static bool			 call_at_once;

static int
slow_cert(SSL *ssl, void *arg)
{
	ASYNC_JOB	*job = ASYNC_get_current_job();
	ASYNC_WAIT_CTX	*wait;

	(void)ssl;
	(void)arg;
	assert_non_null(job);
	wait = ASYNC_get_wait_ctx(job);
	assert_int_equal(ASYNC_WAIT_CTX_get_callback(wait, &job_call,
	    &job_arg), 1);
	if (call_at_once)
		job_call(job_arg);
	for (int i = 0; i < pauses; i++)
		assert_int_equal(ASYNC_pause_job(), 1);
	ended++;
	return 1;
}

static void
begin_slow(int version)
{
	SSL	*ssl = server_ssl(version);

	begin(1000, 0);
	ended = 0;
	job_call = NULL;
	SSL_set_mode(ssl, SSL_MODE_ASYNC);
	SSL_set_cert_cb(ssl, slow_cert, NULL);
	assert_true(stream_tls(server.s, ssl, true));
	assert_true(stream_tls(client.s, client_ssl(version), false));
}

static void
test_job(void **state)
{
	(void)state;
	EACH_VERSION(v) {
		pauses = 1;
		call_at_once = false;
		begin_slow(*v);
		UNTIL(job_call != NULL);
		stream_write(client.s, (struct span)SPAN("data"));
		stream_write(server.s, (struct span)SPAN("ours"));
		for (int i = 0; i < 20; i++)
			pass();
		assert_int_equal(ended, 0);
		job_call(job_arg);
		assert_int_equal(ended, 0);	/* only scheduled */
		job_call(job_arg);
		UNTIL(server.got == 4 && client.got == 4);
		assert_int_equal(ended, 1);
		assert_false(SSL_get_mode(stream_ssl(server.s)) &
		    SSL_MODE_ASYNC);
		finish();
		/* Before it has paused. */
		call_at_once = true;
		begin_slow(*v);
		UNTIL(server.secured && client.secured);
		finish();
	}
}

/* Freed while the job pauses, once and twice; the peer goes meanwhile. */
static void
test_job_freed(void **state)
{
	call_at_once = false;
	(void)state;
	EACH_VERSION(v) {
		for (pauses = 1; pauses < 3; pauses++) {
			begin_slow(*v);
			UNTIL(job_call != NULL);
			pass();
			stream_free(server.s);
			server.s = NULL;
			pass();
			assert_int_equal(ended, 0);
			for (int i = 0; i < pauses; i++) {
				job_call(job_arg);
				pass();
			}
			assert_int_equal(ended, 1);
			UNTIL(client.closed == 1);
			finish();
		}
		pauses = 1;
		begin_slow(*v);
		UNTIL(job_call != NULL);
		stream_free(client.s);
		client.s = NULL;
		for (int i = 0; i < 5; i++)
			pass();
		assert_int_equal(server.closed, 0);
		job_call(job_arg);
		UNTIL(server.closed == 1);
		assert_int_equal(ended, 1);
		finish();
	}
}

static int
make_base(void **state)
{
	(void)state;
	identity = IDENT(.cn = "mail.example", .san = "DNS:mail.example");
	return (base = event_base_new()) == NULL ? -1 : 0;
}

static int
free_base(void **state)
{
	(void)state;
	event_base_free(base);
	ident_free(&identity);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_read_before),
		cmocka_unit_test(test_much),
		cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_big_record),
		cmocka_unit_test(test_vanish),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_handshake_time),
		cmocka_unit_test(test_job),
		cmocka_unit_test(test_job_freed)
	};

	return cmocka_run_group_tests(tests, make_base, free_base);
}
