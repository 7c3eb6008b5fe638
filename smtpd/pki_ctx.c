/*
 * See pki_ctx.h.
 */
#include "smtpd/pki_ctx.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/conf/conf.h"
#include "common/tls/provider.h"

/*
 * Mozilla's "intermediate" list without DHE, whose parameters keyd does not
 * sign. As there, the client's order counts: who has no AES in hardware knows
 * it himself.
 */
#define CIPHERS \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* Not const: the library's macros take them by char *. */
static char	groups[] = "X25519:P-256:P-384";
/* Those of common/tls/scheme.h. */
static char	sigalgs[] =
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ed25519:"
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512";

/* What callbacks need, as long as there is a session of the context. */
struct held {
	struct pki_cert	 certs[PKI_KEYS_MAX];	/* without their chains */
	size_t		 n;
};

void
pki_cert_clear(struct pki_cert *c)
{
	X509_free(c->own);
	sk_X509_pop_free(c->chain, X509_free);
	free(c->ocsp);
	memset(c, 0, sizeof(*c));
}

static void
held_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
    void *argp)
{
	struct held	*h = ptr;

	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	for (size_t i = 0; h != NULL && i < h->n; i++)
		pki_cert_clear(&h->certs[i]);
	free(h);
}

static int
held_index(void)
{
	static int	 idx = -1;

	if (idx == -1)
		idx = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, held_free);
	return idx;
}

static struct held *
held_of(SSL_CTX *ctx)
{
	return SSL_CTX_get_ex_data(ctx, held_index());
}

/* ---- callbacks ----------------------------------------------------------- */

/* RFC 6066, 8: the response for the certificate that was chosen. */
static int
on_status(SSL *ssl, void *arg)
{
	struct held		*h = held_of(SSL_get_SSL_CTX(ssl));
	const X509		*x = SSL_get_certificate(ssl);
	const struct pki_cert	*c = NULL;
	void			*copy;

	(void)arg;
	for (size_t i = 0; h != NULL && i < h->n; i++)
		if (h->certs[i].own == x)
			c = &h->certs[i];
	if (c == NULL || c->ocsp == NULL ||
	    (c->until != 0 && clock_wall().ms / 1000 >= c->until) ||
	    (copy = OPENSSL_memdup(c->ocsp, c->ocsp_len)) == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	/* It frees the copy. */
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)c->ocsp_len);
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301, 3.2: who wants to speak something else is told so. That is what
 * keeps a browser that was led here from taking our answers for his server's. */
static int
on_alpn(SSL *ssl, const uint8_t **out, uint8_t *len, const uint8_t *in,
    unsigned n, void *arg)
{
	static const uint8_t	 smtp[] = "\x04smtp";
	uint8_t			*chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, len, smtp, 5, in, n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- contexts ------------------------------------------------------------ */

static bool
set_up(SSL_CTX *c, int (*sni)(SSL *, int *, void *))
{
	if (SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(c, CIPHERS) != 1 ||
	    SSL_CTX_set1_groups_list(c, groups) != 1 ||
	    SSL_CTX_set1_sigalgs_list(c, sigalgs) != 1 ||
	    SSL_CTX_set_num_tickets(c, 0) != 1 ||
	    SSL_CTX_set_tlsext_status_cb(c, on_status) != 1 ||
	    SSL_CTX_set_tlsext_servername_callback(c, sni) != 1)
		return false;
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(c, SSL_MODE_ASYNC | SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_alpn_select_cb(c, on_alpn, NULL);
	return true;
}

static bool
add(SSL_CTX *ctx, struct held *h, const struct pki_cert *c, const char **why)
{
	struct pki_cert	*keep = &h->certs[h->n];
	EVP_PKEY	*key = provider_key(c->own, c->name, why);
	bool		 ok;

	if (key == NULL)
		return false;
	*why = NULL;
	ok = SSL_CTX_use_cert_and_key(ctx, c->own, key, c->chain, 0) == 1 &&
	    X509_up_ref(c->own) == 1;
	EVP_PKEY_free(key);
	if (!ok)
		return false;
	*keep = (struct pki_cert){ .own = c->own, .until = c->until };
	h->n++;
	if (c->ocsp == NULL)
		return true;
	if ((keep->ocsp = malloc(c->ocsp_len)) == NULL)
		return false;
	memcpy(keep->ocsp, c->ocsp, c->ocsp_len);
	keep->ocsp_len = c->ocsp_len;
	return true;
}

SSL_CTX *
pki_ctx_new(const struct pki_cert *const *certs, size_t n,
    int (*sni)(SSL *, int *, void *), const char **why)
{
	SSL_CTX		*c = SSL_CTX_new(TLS_server_method());
	struct held	*h = calloc(1, sizeof(*h));
	bool		 ok;

	*why = NULL;
	ERR_clear_error();
	ok = c != NULL && h != NULL && n <= PKI_KEYS_MAX &&
	    SSL_CTX_set_ex_data(c, held_index(), h) == 1;
	if (!ok)
		free(h);
	ok = ok && set_up(c, sni);
	for (size_t i = 0; ok && i < n; i++)
		ok = add(c, h, certs[i], why);
	if (ok)
		return c;
	if (*why == NULL)
		*why = ERR_reason_error_string(ERR_peek_last_error());
	if (*why == NULL)
		*why = "out of memory";
	ERR_clear_error();
	SSL_CTX_free(c);
	return NULL;
}

int
pki_ctx_has(SSL_CTX *ctx, const char *name)
{
	struct held	*h = held_of(ctx);
	char		*by;
	int		 has = 0;

	for (size_t i = 0; i < h->n && has != 1; i++) {
		by = NULL;
		if (X509_check_host(h->certs[i].own, name, 0,
		    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, &by) == 1)
			has = by != NULL && by[0] == '*' ? 2 : 1;
		OPENSSL_free(by);
	}
	return has;
}
