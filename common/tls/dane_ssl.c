/*
 * See dane_ssl.h.
 */
#include "common/tls/dane_ssl.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

bool
dane_ssl_context(SSL_CTX *ctx)
{
	/* With SHA-256 and SHA-512; RFC 7671, 9: of two digests of the same the
	 * stronger one counts. */
	if (SSL_CTX_dane_enable(ctx) != 1)
		return false;
	/* RFC 7672, 3.1.1: neither names nor dates count with usage 3. */
	SSL_CTX_dane_set_flags(ctx, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	return true;
}

static bool
is_new(const char *name, const char *a, const char *b)
{
	return name[0] != '\0' && !span_caseis(span_str(name), a) &&
	    !span_caseis(span_str(name), b);
}

bool
dane_ssl_begin(SSL *ssl, const struct dane_set *set, const char *base,
    const char *host, const char *domain)
{
	size_t	used = 0;

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	/* RFC 7672, 8.1: SNI is where the records stand. */
	if (SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)base) != 1 ||
	    SSL_dane_enable(ssl, base) != 1 ||
	    (is_new(host, base, base) && SSL_add1_host(ssl, host) != 1) ||
	    (is_new(domain, base, host) && SSL_add1_host(ssl, domain) != 1)) {
		ERR_clear_error();
		return false;
	}
	for (size_t i = 0; i < set->n; i++) {
		const struct dane_rr	*r = &set->rr[i];

		if (SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching,
		    r->data.p, r->data.len) > 0)
			used++;
	}
	ERR_clear_error();
	return used > 0;
}

bool
dane_ssl_proved(SSL *ssl, char why[DANE_WHY_MAX])
{
	long	result = SSL_get_verify_result(ssl);
	X509	*cert = SSL_get1_peer_certificate(ssl);
	bool	 ok = false;

	why[0] = '\0';
	if (cert == NULL)
		snprintf(why, DANE_WHY_MAX, "it has no certificate");
	else if (result == X509_V_ERR_DANE_NO_MATCH)
		snprintf(why, DANE_WHY_MAX, "its certificate matches none of "
		    "its TLSA records");
	else if (result != X509_V_OK)
		snprintf(why, DANE_WHY_MAX, "its TLSA records do not help: %s",
		    X509_verify_cert_error_string(result));
	else if (SSL_get0_dane_authority(ssl, NULL, NULL) < 0)
		snprintf(why, DANE_WHY_MAX, "its TLSA records were not looked "
		    "at");
	else
		ok = true;
	X509_free(cert);
	return ok;
}
