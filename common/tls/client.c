/*
 * See client.h. The certificate is looked at once the handshake is over and
 * before a word has been said, by us: so there is one place for it, and the
 * words are ours.
 */
#include "common/tls/client.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "common/base/log.h"
#include "common/tls/dane_ssl.h"
#include "common/tls/trust.h"

/*
 * RFC 9325 for what has to be protected; where the alternative is plain text,
 * whatever is better than that (RFC 7435, 3), but for protocols that are gone.
 */
#define STRICT	"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:DHE+AESGCM:" \
		"DHE+CHACHA20:ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:" \
		"!aNULL:!eNULL:!PSK:!SRP:!MD5:!DSS:!3DES"
#define LAX	"DEFAULT:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=1"

static SSL_CTX	*strict, *lax, *dane;

static SSL_CTX *
make(const char *ciphers, bool is_lax)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx,
	    TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(ctx,
	    ciphers) != 1)
		fatalx("OpenSSL could not be set up");
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	/* Renegotiation is what RFC 5746 mends, and we never do it. */
	if (is_lax)
		SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	return ctx;
}

/* libssl would look at the chain for nothing: verify.c does. */
static int
later(X509_STORE_CTX *ctx, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

void
tls_client_init(void)
{
	uint8_t	seed[32];

	if (strict != NULL)
		return;
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_LOAD_SSL_STRINGS,
	    NULL) != 1 || RAND_bytes(seed, sizeof(seed)) != 1)
		fatalx("OpenSSL could not be set up");
	strict = make(STRICT, false);
	lax = make(LAX, true);
	dane = make(STRICT, false);
	if (!dane_ssl_context(dane))
		fatalx("OpenSSL could not be set up");
	SSL_CTX_set_cert_verify_callback(strict, later, NULL);
	SSL_CTX_set_cert_verify_callback(lax, later, NULL);
}

/* RFC 6066, 3: a name, never an address. */
static bool
set_name(SSL *ssl, const char *host)
{
	struct addr	a;

	return host[0] == '\0' || addr_parse(span_str(host), &a) ||
	    SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)host) == 1;
}

SSL *
tls_client_new(const struct conf_tls *t, const char *host)
{
	SSL	*ssl = SSL_new(t->mode == TLS_DANE ? dane :
		    t->mode <= TLS_OPPORTUNISTIC ? lax : strict);

	if (ssl != NULL && !set_name(ssl, t->name != NULL ? t->name : host)) {
		SSL_free(ssl);
		ssl = NULL;
	}
	ERR_clear_error();
	return ssl;
}

static bool
is_verified(SSL *ssl, const struct conf *conf, const struct conf_tls *t,
    const char *host, enum verify_fault *fault, char why[VERIFY_WHY_MAX])
{
	struct verify_want	 w = { .name = t->name != NULL ? t->name :
				    host, .pins = t->pins,
				    .npins = t->npins, .fault = fault };
	X509			*leaf = SSL_get1_peer_certificate(ssl);
	const char		*lack;
	bool			 ok = false;

	*fault = VERIFY_OTHER;
	if (w.npins == 0 && (w.store = trust_store(conf_ca(conf, t),
	    &lack)) == NULL)
		snprintf(why, VERIFY_WHY_MAX, "%s", lack);
	else
		ok = verify_cert(leaf, SSL_get_peer_cert_chain(ssl), &w, why);
	X509_free(leaf);
	return ok;
}

bool
tls_client_check(SSL *ssl, const struct conf *conf, const struct conf_tls *t,
    const char *host, struct tls_facts *f, char why[VERIFY_WHY_MAX])
{
	why[0] = '\0';
	*f = (struct tls_facts){ .verified = false };
	strlcpy(f->protocol, SSL_get_version(ssl), sizeof(f->protocol));
	strlcpy(f->cipher, SSL_get_cipher_name(ssl), sizeof(f->cipher));
	if (t->mode == TLS_DANE) {
		f->verified = dane_ssl_proved(ssl, why);
		f->fault = f->verified ? VERIFY_GOOD : VERIFY_OTHER;
	} else if (t->mode == TLS_VERIFY)
		f->verified = is_verified(ssl, conf, t, host, &f->fault, why);
	return f->verified || t->mode < TLS_VERIFY;
}

void
tls_facts_text(const struct tls_facts *f, char text[TLS_TEXT_MAX])
{
	if (f->protocol[0] == '\0')
		strlcpy(text, "none", TLS_TEXT_MAX);
	else
		snprintf(text, TLS_TEXT_MAX, "%s %s%s", f->protocol,
		    f->cipher, f->verified ? " verified" : "");
}

enum tls_way
tls_client_way(const struct conf_tls *t, bool offered, const struct addr *a)
{
	if (t->mode <= TLS_OFF)
		return TLS_WAY_PLAIN;
	if (t->mode == TLS_OPPORTUNISTIC)
		return offered && !tls_plain_is(a) ? TLS_WAY_START :
		    TLS_WAY_PLAIN;
	return offered ? TLS_WAY_START : TLS_WAY_NONE;
}

enum tls_failed
tls_client_failed(const struct conf_tls *t, bool shaking)
{
	if (t->mode == TLS_OPPORTUNISTIC)
		return TLS_FAILED_PLAIN;
	return t->at_once && shaking ? TLS_FAILED_DOWN : TLS_FAILED_REFUSED;
}

bool
tls_client_wanted(const struct tls_facts *f, uint16_t code, struct span text)
{
	if (code != 530 || f->protocol[0] != '\0')
		return false;
	for (; text.len >= 3; span_skip(&text, 1))
		if (span_casestarts(text, span_str("TLS")))
			return true;
	return false;
}

const char *
tls_mode_name(const struct conf_tls *t)
{
	return conf_tls_mode_name(t->mode);
}
