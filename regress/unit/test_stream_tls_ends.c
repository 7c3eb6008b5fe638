/*
 * TLS on streams that ends badly: the peer is gone, what comes is garbage or
 * damaged, the handshake is refused or takes too long.
 */
#include "regress/lib/tlspipe.h"

#include <stdlib.h>

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

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_vanish),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_handshake_time)
	};

	return cmocka_run_group_tests(tests, make_base, free_base);
}
