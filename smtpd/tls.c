/*
 * A session's TLS. See tls.h.
 */
#include "smtpd/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/enc.h"
#include "common/base/log.h"
#include "common/io/tls.h"
#include "common/tls/trust.h"
#include "smtpd/auth.h"
#include "smtpd/cmd.h"
#include "smtpd/link.h"
#include "smtpd/pki.h"
#include "smtpd/reader.h"

bool
tls_at_once(const struct session *s)
{
	return s->listen->tls == LISTEN_SMTPS;
}

bool
tls_needed(const struct session *s)
{
	return s->listen->tls == LISTEN_TLS_REQUIRE && s->tls == NULL;
}

/* Who shows one holds its key; which ones are enough, the rules say. */
static int
any_certificate(int ok, X509_STORE_CTX *ctx)
{
	(void)ok;
	(void)ctx;
	return 1;
}

/* NULL: there is no certificate of ours, or nothing to hold theirs against. */
static SSL *
new_ssl(const struct conf_listen *l)
{
	SSL		*ssl = pki_ssl(l);
	X509_STORE	*store;
	const char	*why;

	if (ssl == NULL || (!l->tls_verify && !session_conf()->tls_certs))
		return ssl;
	if (!l->tls_verify) {
		SSL_set_verify(ssl, SSL_VERIFY_PEER, any_certificate);
		return ssl;
	}
	store = trust_store(session_conf()->ca, &why);
	if (store == NULL || SSL_set1_verify_cert_store(ssl, store) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	    NULL);
	return ssl;
}

static bool
has_starttls(const struct conf_listen *l)
{
	return l->tls == LISTEN_TLS || l->tls == LISTEN_TLS_REQUIRE;
}

bool
tls_offered(const struct session *s)
{
	const char	*why;

	/* It may have no certificate, now or at all, as new_ssl(). */
	return s->tls == NULL && has_starttls(s->listen) &&
	    pki_has(s->listen) && (!s->listen->tls_verify ||
	    trust_store(session_conf()->ca, &why) != NULL);
}

const char *
tls_log(const struct session *s, char dst[TLS_LOG_MAX])
{
	dst[0] = '\0';
	if (s->tls != NULL)
		snprintf(dst, TLS_LOG_MAX, " tls=%s cipher=%s", s->tls,
		    s->cipher);
	return dst;
}

static const char *
how(const struct session *s)
{
	return tls_at_once(s) ? "smtps" : "starttls";
}

/* The same as if it had just come (RFC 3207, 4.2). The session at the actual
 * server goes on by the EHLO that comes, but for what it was told in AUTH. */
static void
forget(struct session *s)
{
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
	s->caps = 0;
	free(s->auth_told);
	s->auth_told = NULL;
	auth_clear(s);
	if (!s->authed)
		return;
	s->authed = false;
	free(s->user);
	s->user = NULL;
	link_close(s->link);
	s->link = NULL;
}

static void
shake(struct session *s, SSL *ssl)
{
	session_phase(s, PH_TLS);
	if (s->eof) {
		SSL_free(ssl);
		tls_failed(s, "the client closed during the handshake");
		return;
	}
	if (!stream_tls(s->stream, ssl, true)) {
		tls_failed(s, "no memory");
		return;
	}
	reader_timer(s, TIMER_TLS, TLS_WAIT_MS);
}

void
tls_begin(struct session *s)
{
	SSL	*ssl = new_ssl(s->listen);

	if (ssl == NULL)
		tls_failed(s, "there is no certificate");
	else
		shake(s, ssl);
}

/* The fingerprint by which rules know the client's certificate. */
static char *
fingerprint(const SSL *ssl)
{
	X509		*x = SSL_get1_peer_certificate(ssl);
	uint8_t		 md[EVP_MAX_MD_SIZE];
	unsigned	 n = 0;
	struct buf	 b;
	char		*hex = NULL;

	buf_init(&b, 2 * sizeof(md) + 1);
	if (x != NULL && X509_digest(x, EVP_sha256(), md, &n) == 1 &&
	    enc_hex(&b, span(md, n)))
		hex = span_dup(buf_content(&b));
	buf_clear(&b);
	X509_free(x);
	return hex;
}

/* "tls-exporter" (RFC 9266). Not before TLS 1.3: there clients take -PLUS to be
 * bound by "tls-unique", and would fail. */
static void
name_channel(struct session *s, SSL *ssl)
{
	static const char	 label[] = "EXPORTER-Channel-Binding";

	if (SSL_version(ssl) >= TLS1_3_VERSION &&
	    SSL_export_keying_material(ssl, s->binding, sizeof(s->binding),
	    label, sizeof(label) - 1, NULL, 0, 0) == 1)
		s->binding_len = sizeof(s->binding);
	ERR_clear_error();
}

void
tls_done(struct session *s)
{
	SSL		*ssl = stream_ssl(s->stream);
	const char	*name = SSL_get_servername(ssl,
			    TLSEXT_NAMETYPE_host_name);

	s->tls = SSL_get_version(ssl);
	s->cipher = SSL_get_cipher_name(ssl);
	s->cert = fingerprint(ssl);
	name_channel(s, ssl);
	s->timer = TIMER_NONE;
	session_stats()->tls++;
	log_info("session=%s event=tls result=ok how=%s tls=%s cipher=%s%s%s"
	    "%s%s", s->id, how(s), s->tls, s->cipher,
	    name != NULL ? " name=" : "",
	    name != NULL ? log_quote(span_str(name)) : "",
	    s->cert != NULL ? " cert=" : "", s->cert != NULL ? s->cert : "");
	if (tls_at_once(s)) {
		session_phase(s, PH_CONNECT);
		session_first(s);
	} else
		session_phase(s, PH_GREETED);
	session_go(s);
}

void
tls_failed(struct session *s, const char *why)
{
	if (why == NULL)
		why = stream_tls_why(s->stream);
	session_stats()->tls_failed++;
	log_info("session=%s event=tls result=failed how=%s why=%s", s->id,
	    how(s), log_quote(span_str(why != NULL ? why : "unknown")));
	session_end(s, "no TLS");
}

/* Bytes behind STARTTLS were said by nobody knows whom: whoever can write to
 * the connection would have them pass for the client's. */
static void
injected(struct session *s)
{
	session_stats()->tls_injected++;
	log_info("session=%s event=tls result=refused how=starttls "
	    "why=\"plain text behind STARTTLS\" size=%zu", s->id,
	    stream_in(s->stream).len);
	session_fail(s, 554, span_str("5.5.1 Nothing may follow STARTTLS in "
	    "clear"), "plain text behind STARTTLS");
}

void
cmd_starttls(struct cmd *c, struct span arg)
{
	struct session	*s = c->s;
	SSL		*ssl;

	if (s->tls != NULL) {
		session_reply(c, 503, "5.5.1 TLS stands already");
	} else if (!has_starttls(s->listen)) {
		session_reply(c, 502, "5.5.1 Not offered here");
	} else if (s->phase != PH_READY) {
		session_reply(c, 503, "%s", s->txn == NULL ?
		    "5.5.1 EHLO or HELO first" :
		    "5.5.1 Not during a mail transaction");
	} else if (arg.len > 0) {
		session_reply(c, 501, "5.5.4 STARTTLS has no argument");
	} else if (stream_in(s->stream).len > 0) {
		injected(s);
	} else if (s->ncmds > 1) {
		session_reply(c, 503, "5.5.1 Wait for the replies before "
		    "STARTTLS");
	} else if ((ssl = new_ssl(s->listen)) == NULL) {
		session_reply(c, 454, "4.7.0 TLS is not available now");
	} else {
		forget(s);
		session_answer(c, 220, span_str("2.0.0 Go ahead"));
		if (s->stream != NULL)
			shake(s, ssl);
		else
			SSL_free(ssl);
	}
}
