/*
 * STARTTLS, smtps, and what a session has to say differently over TLS: with a
 * certificate of the test's own in place of keyd's.
 */
#include "regress/lib/smtpdtest.h"

#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tls/trust.h"
#include "regress/lib/certhelp.h"
#include "regress/lib/loghelp.h"
#include "smtpd/pki.h"
#include "smtpd/tls.h"

enum { TLS = 41, MUST = 42, SMTPS = 43, LIVE = 44, LOGIN = 45, VIA_LOGIN = 46,
    CLEAR = 47, SLOW = 48, LIVE_CLEAR = 49, VERIFIED = 50 };

static const char	tls_conf[] =
    "hostname gw.example.org\n"
    "ca \"/ca.pem\"\n"
    "pki gw.example.org cert \"/gw.crt\" key \"/gw.key\"\n"
    "action \"out\" relay to { \"192.0.2.9\" }\n"
    "action \"live\" proxy to { \"192.0.2.9\" }\n"
    "action \"judge\" proxy to { \"192.0.2.10\" }\n"
    "listen on 192.0.2.1 port 41 tls pki gw.example.org\n"
    "listen on 192.0.2.1 port 42 tls-require pki gw.example.org\n"
    "listen on 192.0.2.1 port 43 smtps pki gw.example.org\n"
    "listen on 192.0.2.1 port 44 tls pki gw.example.org proxy \"live\"\n"
    "listen on 192.0.2.1 port 45 tls-require pki gw.example.org proxy \"live\" auth\n"
    "listen on 192.0.2.1 port 46 tls pki gw.example.org auth via \"judge\"\n"
    "listen on 192.0.2.1 port 47\n"
    "listen on 192.0.2.1 port 48 smtps pki gw.example.org greet-delay 2s\n"
    "listen on 192.0.2.1 port 49 tls pki gw.example.org proxy \"live\" "
    "auth-plaintext\n"
    "listen on 192.0.2.1 port 50 tls-require verify pki gw.example.org\n"
    "match tls from any for domain \"tls.example\" action \"out\"\n"
    "match not tls from any for domain \"clear.example\" action \"out\"\n"
    "match from any for domain \"dest.example\" action \"out\"\n";

static struct ident	 gateway, client_id;
static SSL_CTX		*ours, *theirs, *known;
static bool		 no_pki;
static char		 fingerprint[5 + 64 + 1];	/* "cert=…" */

SSL	*__wrap_pki_ssl(const struct conf_listen *);
bool	 __wrap_pki_has(const struct conf_listen *);

bool
__wrap_pki_has(const struct conf_listen *l)
{
	(void)l;
	return !no_pki;
}

SSL *
__wrap_pki_ssl(const struct conf_listen *l)
{
	assert_true(l->tls != LISTEN_PLAIN);
	return no_pki ? NULL : SSL_new(ours);
}

#define has(c, s)	assert_non_null(strstr((c)->reply, (s)))
#define lacks(c, s)	assert_null(strstr((c)->reply, (s)))

static struct client *
secured(unsigned port)
{
	struct client	*c = hello(port);

	say(c, "STARTTLS", "220 2.0.0");
	assert_true(client_tls(c, SSL_new(theirs)));
	return c;
}

static void
send_mail(struct client *c, const char *to)
{
	say(c, "MAIL FROM:<a@b.example>", "250");
	client_say(c, to);
	expect(c, "250");
	say(c, "DATA", "354");
	client_send(c, "Subject: x\r\n\r\nhello\r\n.\r\n");
	expect(c, "250 2.0.0");
}

static void
test_starttls(void **state)
{
	struct client	*c = hello(TLS);
	uint64_t	 had = session_stats()->tls;

	(void)state;
	has(c, "|250-STARTTLS|");
	log_begin();
	say(c, "STARTTLS", "220 2.0.0");
	assert_int_equal(c->s->phase, PH_TLS);
	assert_null(c->s->helo);
	assert_true(client_tls(c, SSL_new(theirs)));
	assert_true(log_end("event=tls result=ok how=starttls tls=TLSv1.3 "
	    "cipher=TLS_AES_256_GCM_SHA384"));
	assert_int_equal(session_stats()->tls, had + 1);
	/* All is forgotten, and no greeting comes. */
	expect_nothing(c);
	say(c, "MAIL FROM:<a@b.example>", "503 5.5.1");
	say(c, "EHLO other.example", "250-gw.example.org");
	lacks(c, "STARTTLS");
	has(c, "|250-PIPELINING|");
	say(c, "STARTTLS", "503 5.5.1");
	log_begin();
	send_mail(c, "RCPT TO:<u@dest.example>");
	assert_true(log_end(" tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 "
	    "reply="));
	assert_non_null(strstr(queued.content, "with ESMTPS\r\n"
	    "\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384) id "));
	assert_non_null(strstr(queued.content, "from other.example "));
	log_begin();
	say(c, "QUIT", "221");
	expect_closed(c);
	assert_true(log_end(" tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384"));
	leave(c);
}

static void
test_protocols(void **state)
{
	struct client	*c = secured(TLS);

	(void)state;
	say(c, "HELO c.example", "250");
	send_mail(c, "RCPT TO:<u@dest.example>");
	assert_non_null(strstr(queued.content, "with SMTP\r\n\t(version="));
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example> SMTPUTF8", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	client_send(c, "Subject: x\r\n\r\nhello\r\n.\r\n");
	expect(c, "250");
	assert_non_null(strstr(queued.content, "with UTF8SMTPS\r\n\t("));
	quit(c);

	c = hello(TLS);
	send_mail(c, "RCPT TO:<u@dest.example>");
	assert_non_null(strstr(queued.content, "with ESMTP id "));
	assert_null(strstr(queued.content, "version="));
	quit(c);

	c = secured(VIA_LOGIN);
	say(c, "EHLO c.example", "250");
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	send_mail(c, "RCPT TO:<u@dest.example>");
	assert_non_null(strstr(queued.content, "with ESMTPSA\r\n\t("));
	quit(c);
}

/* When it may come, and with what. */
static void
test_turns(void **state)
{
	struct client	*c = client_at(TLS);

	(void)state;
	expect(c, "220");
	say(c, "STARTTLS", "503 5.5.1");
	say(c, "EHLO c.example", "250");
	say(c, "STARTTLS now", "501 5.5.4");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "STARTTLS", "503 5.5.1");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "STARTTLS", "503 5.5.1");
	say(c, "RSET", "250");
	say(c, "STARTTLS", "220");
	assert_true(client_tls(c, SSL_new(theirs)));
	say(c, "QUIT", "221");
	expect_closed(c);
	leave(c);

	c = hello(CLEAR);
	lacks(c, "STARTTLS");
	say(c, "STARTTLS", "502 5.5.1");
	quit(c);

	no_pki = true;
	c = hello(TLS);
	lacks(c, "STARTTLS");
	say(c, "STARTTLS", "454 4.7.0");
	say(c, "NOOP", "250");
	quit(c);
	no_pki = false;

	/* After HELO, too, though nothing was announced. */
	c = client_at(TLS);
	expect(c, "220");
	say(c, "HELO c.example", "250");
	say(c, "STARTTLS", "220");
	assert_true(client_tls(c, SSL_new(theirs)));
	quit(c);
}

/* Whoever can write to the connection adds commands that would pass for the
 * client's: none runs, before or after the handshake. */
static void
test_injection(void **state)
{
	static const char *const	behind[] = {
		"STARTTLS\r\nEHLO evil.example\r\n",
		"STARTTLS\r\nE",
		"STARTTLS\r\n\r\n",
		"RSET\r\nSTARTTLS\r\nMAIL FROM:<e@evil.example>\r\n"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(behind) / sizeof(*behind); i++) {
		struct client	*c = hello(TLS);
		uint64_t	 had = session_stats()->tls_injected;

		log_begin();
		client_send(c, behind[i]);
		if (behind[i][0] == 'R')
			expect(c, "250");
		expect(c, "554 5.5.1");
		expect_closed(c);
		assert_true(log_end("result=refused how=starttls why=\"plain "
		    "text behind STARTTLS\""));
		assert_int_equal(session_stats()->tls_injected, had + 1);
		leave(c);
	}
	/* A moment later: it is no handshake. */
	struct client	*c = hello(TLS);
	uint64_t	 had = session_stats()->tls_failed;

	say(c, "STARTTLS", "220");
	log_begin();
	client_send(c, "EHLO evil.example\r\n");
	assert_true(log_end("event=tls result=failed how=starttls "
	    "why=\"plain text on a TLS port\""));
	expect_closed(c);
	assert_int_equal(session_stats()->tls_failed, had + 1);
	leave(c);
}

static void
test_required(void **state)
{
	struct client	*c = hello(MUST);

	(void)state;
	has(c, "STARTTLS");
	say(c, "MAIL FROM:<a@b.example>", "530 5.7.0");
	say(c, "AUTH PLAIN AGFubmEAeA==", "530 5.7.0");
	say(c, "VRFY u", "530 5.7.0");
	client_send(c, "BDAT 6 LAST\r\nQUIT\r\n");
	expect(c, "530 5.7.0");
	say(c, "NOOP", "250");
	say(c, "RSET", "250");
	say(c, "STARTTLS", "220");
	assert_true(client_tls(c, SSL_new(theirs)));
	say(c, "EHLO c.example", "250");
	send_mail(c, "RCPT TO:<u@dest.example>");
	quit(c);
}

static void
test_smtps(void **state)
{
	struct client	*c = client_at(SMTPS);
	uint64_t	 had = session_stats()->tls_failed;

	(void)state;
	expect_nothing(c);
	assert_true(client_tls(c, SSL_new(theirs)));
	expect(c, "220 gw.example.org");
	say(c, "EHLO c.example", "250");
	lacks(c, "STARTTLS");
	say(c, "STARTTLS", "503 5.5.1");
	send_mail(c, "RCPT TO:<u@tls.example>");
	quit(c);

	c = client_at(SLOW);
	assert_true(client_tls(c, SSL_new(theirs)));
	expect_nothing(c);
	world_skip_ms(2500);
	expect(c, "220");
	quit(c);

	c = client_at(SLOW);
	assert_true(client_tls(c, SSL_new(theirs)));
	say(c, "EHLO early.example", "554 5.5.1");
	expect_closed(c);
	leave(c);

	/* Who does not speak TLS hears nothing that he would understand. */
	c = client_at(SMTPS);
	log_begin();
	client_send(c, "EHLO c.example\r\n");
	assert_true(log_end("event=tls result=failed how=smtps why=\"plain "
	    "text on a TLS port\""));
	expect_closed(c);
	leave(c);
	assert_int_equal(session_stats()->tls_failed, had + 1);

	no_pki = true;
	log_begin();
	c = client_at(SMTPS);
	expect_closed(c);
	assert_true(log_end("why=\"there is no certificate\""));
	leave(c);
	no_pki = false;
}

/* What a login can be bound to is what the client has as well. */
static void
test_binding(void **state)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	uint8_t		 want[SESSION_BINDING];
	struct client	*c;
	SSL		*ssl;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		c = hello(TLS);
		assert_int_equal(c->s->binding_len, 0);
		say(c, "STARTTLS", "220");
		ssl = SSL_new(theirs);
		assert_int_equal(SSL_set_max_proto_version(ssl, versions[i]),
		    1);
		assert_true(client_tls(c, ssl));
		assert_int_equal(SSL_export_keying_material(ssl, want,
		    sizeof(want), "EXPORTER-Channel-Binding", 24, NULL, 0, 0),
		    1);
		assert_int_equal(c->s->binding_len, i == 0 ? 32 : 0);
		if (i == 0)
			assert_memory_equal(c->s->binding, want, 32);
		quit(c);
	}
}

/* A handshake has its time, a client that goes ends it, and so do we. */
static void
test_unfinished(void **state)
{
	struct client	*c = hello(TLS);

	(void)state;
	say(c, "STARTTLS", "220");
	log_begin();
	world_skip_ms(TLS_WAIT_MS);
	assert_true(log_end("why=\"the handshake takes too long\""));
	expect_closed(c);
	leave(c);

	c = hello(TLS);
	say(c, "STARTTLS", "220");
	log_begin();
	shutdown(c->fd, SHUT_WR);
	world_run();
	assert_true(log_end("why=\"the client closed during the handshake\""));
	leave(c);

	/* It had closed already. */
	c = hello(TLS);
	client_write(c, "STARTTLS\r\n", 10);
	shutdown(c->fd, SHUT_WR);
	world_run();
	expect(c, "220");
	expect_closed(c);
	leave(c);

	c = hello(TLS);
	say(c, "STARTTLS", "220");
	session_fail(c->s, 421, span_str("4.3.2 Down"), "shutting down");
	expect_closed(c);
	leave(c);
}

/* Gone without close_notify: it is told, and half a message is none. */
static void
test_cut(void **state)
{
	struct client	*c = secured(TLS);

	(void)state;
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	client_send(c, "Subject: x\r\n\r\nhello\r\n.\r");
	log_begin();
	SSL_free(c->ssl);
	c->ssl = NULL;
	shutdown(c->fd, SHUT_WR);
	world_run();
	assert_true(log_end("event=tls result=cut why=\"the client closed "
	    "without close_notify\""));
	assert_int_equal(queued.commits, 0);
	leave(c);
}

/* Of a proxied listener: STARTTLS is between the client and us. */
static void
test_proxied(void **state)
{
	struct client	*c;

	(void)state;
	proxyd.caps.bits |= CAP_STARTTLS;
	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	c = hello(LIVE);
	has(c, "|250-STARTTLS|");
	lacks(c, "AUTH");
	say(c, "STARTTLS", "220 2.0.0");
	assert_true(client_tls(c, SSL_new(theirs)));
	assert_string_equal(proxyd.log, "open live;ehlo client.example;");
	say(c, "MAIL FROM:<a@b.example>", "503 5.5.1");
	say(c, "EHLO c2.example", "250-gw.example.org");
	has(c, "AUTH PLAIN");
	lacks(c, "STARTTLS");
	/* The session there is the same; it has seen nothing but EHLO. */
	assert_string_equal(proxyd.log, "open live;ehlo client.example;"
	    "ehlo c2.example;");
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	assert_null(strstr(proxyd.log, "STARTTLS"));
	quit(c);
}

/* Who logged in before has not: the server's session is another one. */
static void
test_proxied_login(void **state)
{
	struct client	*c;
	uint32_t	 tid;

	(void)state;
	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	c = hello(LIVE_CLEAR);
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	assert_true(c->s->authed);
	tid = proxyd.tid;
	say(c, "STARTTLS", "220");
	assert_false(c->s->authed);
	assert_true(client_tls(c, SSL_new(theirs)));
	say(c, "EHLO c2.example", "250");
	assert_int_not_equal(proxyd.tid, tid);
	assert_int_equal(proxyd.links, 1);
	has(c, "AUTH PLAIN");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);

	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	c = hello(LOGIN);
	lacks(c, "AUTH");
	say(c, "AUTH PLAIN AGFubmEAeA==", "530 5.7.0 gw.example.org: Must issue");
	say(c, "STARTTLS", "220");
	assert_true(client_tls(c, SSL_new(theirs)));
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "530 5.7.0 gw.example.org: Authentication");
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);

	/* In clear there is nothing to be had. */
	strlcpy(proxyd.caps.auth, "PLAIN", sizeof(proxyd.caps.auth));
	c = hello(LIVE);
	say(c, "AUTH PLAIN AGFubmEAeA==", "538 5.7.11");
	quit(c);
}

/* Rules may ask for TLS. */
static void
test_match(void **state)
{
	struct client	*c = hello(TLS);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@tls.example>", "550");
	say(c, "RCPT TO:<u@clear.example>", "250");
	quit(c);
	c = secured(TLS);
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@tls.example>", "250");
	say(c, "RCPT TO:<u@clear.example>", "550");
	quit(c);
}

/* ---- certificates of clients ---- */

static struct client *
secured_by(unsigned port, SSL_CTX *ctx, bool *done)
{
	struct client	*c = hello(port);

	say(c, "STARTTLS", "220 2.0.0");
	*done = client_tls(c, SSL_new(ctx));
	return c;
}

static void
test_verify(void **state)
{
	struct ident	 other = IDENT(.cn = "client.example",
			    .san = "DNS:client.example");
	SSL_CTX		*stranger = ident_client(gateway.cert, &other);
	struct client	*c;
	FILE		*f = tmpfile();
	bool		 done;

	(void)state;
	ident_versions(stranger, TLS1_2_VERSION, TLS1_2_VERSION);
	/* Nothing to hold theirs against: no TLS at all. */
	c = hello(VERIFIED);
	lacks(c, "STARTTLS");
	say(c, "STARTTLS", "454 4.7.0");
	quit(c);
	assert_int_equal(PEM_write_X509(f, client_id.cert), 1);
	rewind(f);
	trust_add("/ca.pem", dup(fileno(f)));
	fclose(f);

	c = secured_by(VERIFIED, known, &done);
	assert_true(done);
	say(c, "EHLO c.example", "250");
	send_mail(c, "RCPT TO:<u@dest.example>");
	quit(c);

	log_begin();
	c = secured_by(VERIFIED, stranger, &done);
	assert_false(done);
	assert_true(log_end("why=\"the certificate of the client does not "
	    "hold: self-signed certificate\""));
	leave(c);

	/* In TLS 1.3 the client is done before we are. */
	log_begin();
	c = secured_by(VERIFIED, theirs, &done);
	assert_true(log_end("why=\"the client sent no certificate\""));
	expect_closed(c);
	leave(c);
	SSL_CTX_free(stranger);
	ident_free(&other);
}

/* Rules know clients by their certificates; who has none, or another one, is
 * asked and comes in all the same. */
static void
test_certificates(void **state)
{
	struct client	*c;
	bool		 done;

	(void)state;
	assert_true(world_conf->tls_certs);
	c = secured(TLS);
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@cert.example>", "550 5.1.1 ");
	quit(c);
	log_begin();
	c = secured_by(TLS, known, &done);
	assert_true(done);
	assert_true(log_end(fingerprint));
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@cert.example>", "250");
	quit(c);
	c = hello(TLS);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@cert.example>", "550 5.1.1 ");
	quit(c);
}

/* Much content through TLS, in records of every size. */
static void
test_content(void **state)
{
	struct client	*c = secured(TLS);
	size_t		 sent = 0, n;

	(void)state;
	say(c, "EHLO c.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	memset(big, 'x', sizeof(big));
	for (size_t i = 70; i + 2 < sizeof(big); i += 72)
		memcpy(big + i, "\r\n", 2);
	for (size_t step = 1; sent < 250000; sent += n, step += 37) {
		n = client_write(c, big + sent, step);
		world_pass(2);
	}
	for (int i = 0; i < 100; i++)
		world_run();
	client_send(c, "\r\n.\r\n");
	for (int i = 0; i < 10; i++)
		world_run();
	expect(c, "250 2.0.0");
	assert_true(queued.got > 250000);
	quit(c);
}

static int
init(void **state)
{
	static char	 text[8192];
	uint8_t		 md[EVP_MAX_MD_SIZE];
	unsigned	 n;

	(void)state;
	gateway = IDENT(.cn = "gw.example.org", .san = "DNS:gw.example.org");
	client_id = IDENT(.cn = "client.example",
	    .san = "DNS:client.example");
	ours = ident_server(&gateway, NULL);
	theirs = ident_client(gateway.cert, NULL);
	known = ident_client(gateway.cert, &client_id);
	ident_versions(ours, TLS1_2_VERSION, TLS1_3_VERSION);
	ident_versions(theirs, TLS1_2_VERSION, TLS1_3_VERSION);
	ident_versions(known, TLS1_2_VERSION, TLS1_3_VERSION);
	assert_int_equal(X509_digest(client_id.cert, EVP_sha256(), md, &n), 1);
	for (unsigned i = 0; i < n; i++)
		snprintf(fingerprint + 5 + i * 2, 3, "%02x", md[i]);
	memcpy(fingerprint, "cert=", 5);
	snprintf(text, sizeof(text), "%smatch tls { \"%s\" } from any "
	    "for domain \"cert.example\" action \"out\"\n", tls_conf,
	    fingerprint + 5);
	world_init(text);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_starttls),
		T(test_protocols),
		T(test_turns),
		T(test_injection),
		T(test_required),
		T(test_smtps),
		T(test_binding),
		T(test_unfinished),
		T(test_cut),
		T(test_proxied),
		T(test_proxied_login),
		T(test_match),
		T(test_verify),
		T(test_certificates),
		T(test_content)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
