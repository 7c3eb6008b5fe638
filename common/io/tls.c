/*
 * TLS between a stream and its socket, by OpenSSL on a BIO of our own: a pass
 * of the loop reads the socket once into one place for all, so that bytes wait
 * here only while the owner takes none. See tls.h.
 */
#include <sys/socket.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/io/stream_i.h"
#include "common/io/tls.h"
#include "common/io/tls_why.h"

#define WHY_MAX		200
#define AHEAD_MIN	4096	/* a read of the socket is never smaller */

struct tls {
	SSL		*ssl;
	struct stream	*s;	/* NULL: gone, its job has to end first */
	struct event	*wake;	/* the job may go on; NULL after the handshake */
	struct buf	 ahead;	/* read from the socket, not from here */
	char		*why;
	size_t		 ask;	/* bytes to read from the socket; 0: did */
	int		 error;	/* of the socket */
	int		 end;	/* what recv() says when it is over */
	int		 first;	/* byte of the peer; -1: none yet */
	bool		 server;
	bool		 job;	/* one pauses */
	bool		 eof;	/* of the socket */
	bool		 over;	/* nothing more to decrypt */
};

/* What the socket gave in this call; the rest goes to `ahead`. */
static struct {
	uint8_t	 bytes[READ_MAX];
	size_t	 at, len;
} chunk;

/* ---- the BIO ------------------------------------------------------------ */

/* Reads the socket, at most once a call. */
static void
tls_fill(struct tls *t)
{
	ssize_t	 n;

	if (t->s == NULL) {
		t->error = ECONNABORTED;
		return;
	}
	n = recv(t->s->fd, chunk.bytes, t->ask, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	t->ask = 0;
	if (n == -1)
		t->error = errno;
	else if (n == 0)
		t->eof = true;
	chunk.at = 0;
	chunk.len = n > 0 ? (size_t)n : 0;
}

static int
tls_bio_read(BIO *bio, char *dst, size_t size, size_t *got)
{
	struct tls	*t = BIO_get_data(bio);
	struct span	 from = buf_content(&t->ahead);

	BIO_clear_retry_flags(bio);
	*got = 0;
	if (from.len == 0) {
		if (chunk.at == chunk.len && t->ask > 0 && !t->eof &&
		    t->error == 0)
			tls_fill(t);
		from = (struct span){ chunk.bytes + chunk.at,
		    chunk.len - chunk.at };
	}
	if (from.len == 0) {
		if (!t->eof && t->error == 0)
			BIO_set_retry_read(bio);
		return t->eof ? 0 : -1;
	}
	if (t->first == -1)
		t->first = from.p[0];
	*got = size < from.len ? size : from.len;
	memcpy(dst, from.p, *got);
	if (buf_len(&t->ahead) > 0)
		buf_drain(&t->ahead, *got);
	else
		chunk.at += *got;
	return 1;
}

static int
tls_bio_write(BIO *bio, const char *src, size_t len, size_t *done)
{
	struct tls	*t = BIO_get_data(bio);
	ssize_t		 n;

	BIO_clear_retry_flags(bio);
	*done = 0;
	if (t->s == NULL)
		return -1;
	do
		n = send(t->s->fd, src, len, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n >= 0) {
		*done = (size_t)n;
		return 1;
	}
	if (errno == EAGAIN)
		BIO_set_retry_write(bio);
	else
		t->error = errno;
	return -1;
}

static long
tls_bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO *
tls_bio(struct tls *t)
{
	static BIO_METHOD	*method;
	BIO			*bio;

	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() |
		    BIO_TYPE_SOURCE_SINK, "stream");
		if (method == NULL)
			return NULL;
		BIO_meth_set_read_ex(method, tls_bio_read);
		BIO_meth_set_write_ex(method, tls_bio_write);
		BIO_meth_set_ctrl(method, tls_bio_ctrl);
	}
	if ((bio = BIO_new(method)) == NULL)
		return NULL;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	return bio;
}

/* ---- one call of OpenSSL ------------------------------------------------ */

/* The socket is read once in it, about as many bytes as the owner takes. */
static void
tls_begin(struct tls *t, size_t ask)
{
	ERR_clear_error();
	t->error = 0;
	t->ask = ask < AHEAD_MIN ? AHEAD_MIN : ask;
	if (t->ask > sizeof(chunk.bytes))
		t->ask = sizeof(chunk.bytes);
	chunk.at = chunk.len = 0;
}

/* What it says to the result of SSL_…(), as 0, EAGAIN or another errno. What
 * was read and not used is kept. */
static int
tls_end(struct tls *t, int result)
{
	int	 code = SSL_get_error(t->ssl, result);
	enum need	*need = t->s != NULL ? &t->s->need : NULL;

	if (chunk.at < chunk.len && !buf_add(&t->ahead, chunk.bytes + chunk.at,
	    chunk.len - chunk.at))
		code = SSL_ERROR_SSL;
	chunk.at = chunk.len = 0;
	buf_trim(&t->ahead);
	t->job = code == SSL_ERROR_WANT_ASYNC;
	if (need != NULL)
		*need = t->job ? NEED_CALL : code == SSL_ERROR_WANT_WRITE ?
		    NEED_WRITE : NEED_READ;
	switch (code) {
	case SSL_ERROR_NONE:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
	case SSL_ERROR_WANT_ASYNC:
		return EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return ESHUTDOWN;
	case SSL_ERROR_SYSCALL:
		return t->error != 0 ? t->error : t->eof ? ECONNRESET : EPROTO;
	default:
		return EPROTO;
	}
}

/* Keeps the words for what OpenSSL has just said. */
static void
tls_explain(struct tls *t, bool secured)
{
	struct tls_failure	 f = {
		.error = ERR_peek_last_error(), .sys = t->error,
		.verify = SSL_get_verify_result(t->ssl), .first = t->first,
		.server = t->server, .secured = secured
	};
	char			 words[WHY_MAX];

	if (t->why != NULL)
		return;
	tls_why(words, sizeof(words), &f);
	t->why = strdup(words);
	ERR_clear_error();
}

/* ---- the handshake ------------------------------------------------------ */

static void
tls_destroy(struct tls *t)
{
	SSL_free(t->ssl);
	if (t->wake != NULL)
		event_free(t->wake);
	buf_clear(&t->ahead);
	free(t->why);
	free(t);
}

/* The paused job's callback, from within anything. */
static int
tls_job_done(SSL *ssl, void *arg)
{
	struct tls	*t = arg;

	(void)ssl;
	if (t->wake != NULL)
		event_active(t->wake, EV_TIMEOUT, 0);
	return 1;
}

static void
tls_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct tls	*t = arg;

	(void)fd;
	(void)what;
	if (!t->job)
		return;
	t->job = false;
	if (t->s != NULL) {
		stream_kick(t->s);
		return;
	}
	tls_begin(t, 0);
	if (tls_end(t, SSL_do_handshake(t->ssl)) == EAGAIN && t->job)
		return;
	tls_destroy(t);
}

static int
tls_shake(struct stream *s)
{
	struct tls	*t = s->tls;
	int		 error;

	if (t->job)
		return EAGAIN;
	tls_begin(t, READ_MAX);
	if ((error = tls_end(t, SSL_do_handshake(t->ssl))) == EAGAIN)
		return EAGAIN;
	event_free(t->wake);
	t->wake = NULL;
	if (error != 0) {
		tls_explain(t, false);
		return EPROTO;
	}
	SSL_clear_mode(t->ssl, SSL_MODE_ASYNC);
	return 0;
}

/* ---- bytes -------------------------------------------------------------- */

static bool
tls_holds(const struct tls *t)
{
	return SSL_pending(t->ssl) > 0 || chunk.at < chunk.len ||
	    buf_len(&t->ahead) > 0;
}

/* The session's end by what tls_end() said: keeps what recv() would say. */
static void
tls_over(struct tls *t, int error)
{
	t->over = true;
	if (error != ESHUTDOWN)
		tls_explain(t, true);
	t->end = error == ESHUTDOWN || (t->eof && t->error == 0 &&
	    error != EPROTO) ? 0 : error;
}

static ssize_t
tls_recv(struct stream *s, void *p, size_t n)
{
	struct tls	*t = s->tls;
	uint8_t		*dst = p;
	size_t		 total = 0, got;
	int		 result, error = 0;

	if (!t->over) {
		tls_begin(t, n);
		do {
			result = SSL_read_ex(t->ssl, dst + total, n - total,
			    &got);
			total += result == 1 ? got : 0;
		} while (result == 1 && total < n && tls_holds(t));
		error = tls_end(t, result);
		if (error != 0 && error != EAGAIN)
			tls_over(t, error);
	}
	/* What ended it is told by the next call: see pending(). */
	if (total > 0)
		return (ssize_t)total;
	errno = t->over ? t->end : EAGAIN;
	return errno == 0 ? 0 : -1;
}

static ssize_t
tls_send(struct stream *s, const void *p, size_t n)
{
	struct tls	*t = s->tls;
	size_t		 done = 0;
	int		 error;

	tls_begin(t, 0);
	error = tls_end(t, SSL_write_ex(t->ssl, p, n, &done));
	if (error == 0)
		return (ssize_t)done;
	if (error != EAGAIN)
		tls_explain(t, true);
	errno = error == ESHUTDOWN ? EPIPE : error;
	return -1;
}

static bool
tls_pending(const struct stream *s)
{
	return s->tls->over || tls_holds(s->tls);
}

static int
tls_bye(struct stream *s)
{
	struct tls	*t = s->tls;
	int		 result;

	tls_begin(t, 0);
	result = SSL_shutdown(t->ssl);
	/* 0: sent; the peer's own is not waited for. */
	return tls_end(t, result == 0 ? 1 : result) == EAGAIN ? EAGAIN : 0;
}

static void
tls_gone(struct stream *s)
{
	struct tls	*t = s->tls;

	t->s = NULL;
	if (!t->job)
		tls_destroy(t);
}

static const struct stream_layer	 tls_layer = { tls_shake, tls_recv,
    tls_send, tls_pending, tls_bye, tls_gone };

/* ---- the beginning ------------------------------------------------------ */

static void
tls_settings(struct tls *t)
{
	SSL_set_mode(t->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* What was given to the owner is wiped where it was decrypted. */
	SSL_set_options(t->ssl, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
	SSL_set_async_callback(t->ssl, tls_job_done);
	SSL_set_async_callback_arg(t->ssl, t);
	if (t->server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
}

static struct tls *
tls_new(struct stream *s, SSL *ssl, bool server)
{
	struct tls	*t = calloc(1, sizeof(*t));
	BIO		*bio;

	if (t == NULL || (t->wake = event_new(s->loop->base, -1, 0,
	    tls_on_wake, t)) == NULL || (bio = tls_bio(t)) == NULL) {
		if (t != NULL && t->wake != NULL)
			event_free(t->wake);
		free(t);
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_bio(ssl, bio, bio);
	t->ssl = ssl;
	t->s = s;
	t->server = server;
	t->first = -1;
	return t;
}

bool
stream_tls(struct stream *s, SSL *ssl, bool server)
{
	struct tls	*t;

	if (s->layer != NULL || s->broken || s->dead || s->finishing) {
		SSL_free(ssl);
		return false;
	}
	if ((t = tls_new(s, ssl, server)) == NULL)
		return false;
	tls_settings(t);
	t->ahead = s->in;
	t->ahead.max = s->in.max + READ_MAX;
	buf_init(&s->in, s->in.max);
	s->offer = false;
	s->plain = buf_len(&s->out);
	s->need = NEED_READ;
	s->shaking = true;
	s->tls = t;
	s->layer = &tls_layer;
	stream_want_read(s);
	stream_kick(s);
	return true;
}

SSL *
stream_ssl(const struct stream *s)
{
	return s->layer == NULL ? NULL : s->tls->ssl;
}

const char *
stream_tls_why(const struct stream *s)
{
	return s->layer == NULL ? NULL : s->tls->why;
}
