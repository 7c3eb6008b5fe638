/*
 * TLS on streams: what goes through, however it is cut and whoever is slow. The
 * server's key waits, too.
 */
#include "regress/lib/tlspipe.h"

#include <openssl/async.h>

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
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_job),
		cmocka_unit_test(test_job_freed)
	};

	return cmocka_run_group_tests(tests, make_base, free_base);
}
