/*
 * See verify.h. OpenSSL builds the chain and matches names; which of its rules
 * hold, and the words, are here.
 */
#include "common/tls/verify.h"

#include <stdio.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "common/base/enc.h"
#include "common/tls/pubkey.h"

#define NAMES_SHOWN	4

_Static_assert(PUBKEY_HASH_LEN == CONF_PIN_LEN, "a pin is that hash");

static bool
pinned(X509 *leaf, const struct verify_want *w, char why[VERIFY_WHY_MAX])
{
	uint8_t		 hash[PUBKEY_HASH_LEN];
	struct buf	 hex;

	if (!pubkey_hash(leaf, hash)) {
		snprintf(why, VERIFY_WHY_MAX, "its key can't be read");
		return false;
	}
	for (size_t i = 0; i < w->npins; i++)
		if (memcmp(hash, w->pins[i], sizeof(hash)) == 0)
			return true;
	buf_init(&hex, 256);
	enc_hex(&hex, span(hash, sizeof(hash)));
	snprintf(why, VERIFY_WHY_MAX, "its key is not a pinned one: its pin "
	    "is %s", buf_cstr(&hex) != NULL ? buf_cstr(&hex) : "");
	buf_clear(&hex);
	return false;
}

/* ---- words --------------------------------------------------------------- */

/* Only what a log line may have: the names are the server's. */
static void
append(char why[VERIFY_WHY_MAX], const void *p, size_t len)
{
	const uint8_t	*s = p;
	size_t		 at = strlen(why);

	for (; len > 0 && at + 1 < VERIFY_WHY_MAX; s++, len--)
		why[at++] = *s > ' ' && *s < 127 ? (char)*s : '?';
	why[at] = '\0';
}

static void
append_str(char why[VERIFY_WHY_MAX], const char *s)
{
	size_t	at = strlen(why);

	snprintf(why + at, VERIFY_WHY_MAX - at, "%s", s);
}

/* "it is for a.example, b.example, not for mx.example" */
static void
wrong_name(X509 *leaf, const char *name, char why[VERIFY_WHY_MAX])
{
	GENERAL_NAMES		*all = X509_get_ext_d2i(leaf,
				    NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME	*g;
	int			 shown = 0;

	append_str(why, "the certificate is for ");
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		g = sk_GENERAL_NAME_value(all, i);
		if (g->type != GEN_DNS)
			continue;
		if (shown == NAMES_SHOWN) {
			append_str(why, " ...");
			break;
		}
		append_str(why, shown++ == 0 ? "" : ", ");
		append(why, ASN1_STRING_get0_data(g->d.dNSName),
		    (size_t)ASN1_STRING_length(g->d.dNSName));
	}
	append_str(why, shown == 0 ? "no host by name, not for " :
	    ", not for ");
	append_str(why, name);
	GENERAL_NAMES_free(all);
}

static void
date(const ASN1_TIME *t, char *dst, size_t size)
{
	struct tm	tm;

	dst[0] = '\0';
	if (ASN1_TIME_to_tm(t, &tm) == 1)
		strftime(dst, size, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

static void
by_whom(X509 *cert, char why[VERIFY_WHY_MAX])
{
	char	cn[128];
	int	n = X509_NAME_get_text_by_NID(X509_get_issuer_name(cert),
		    NID_commonName, cn, sizeof(cn));

	append_str(why, "the CA is not one of those that are trusted");
	if (n <= 0)
		return;
	append_str(why, ": ");
	for (int i = 0; i < n; i++)
		if (cn[i] == ' ')
			append_str(why, " ");
		else
			append(why, &cn[i], 1);
}

static void
explain(X509_STORE_CTX *ctx, X509 *leaf, const char *name,
    char why[VERIFY_WHY_MAX])
{
	int	 error = X509_STORE_CTX_get_error(ctx);
	int	 depth = X509_STORE_CTX_get_error_depth(ctx);
	X509	*cert = X509_STORE_CTX_get_current_cert(ctx);
	char	 when[40];

	why[0] = '\0';
	if (cert == NULL)
		cert = leaf;
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		wrong_name(leaf, name, why);
		return;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		date(X509_get0_notAfter(cert), when, sizeof(when));
		snprintf(why, VERIFY_WHY_MAX, "%s has expired on %s",
		    depth == 0 ? "the certificate" : "a CA's certificate",
		    when);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		date(X509_get0_notBefore(cert), when, sizeof(when));
		snprintf(why, VERIFY_WHY_MAX, "%s is not valid before %s",
		    depth == 0 ? "the certificate" : "a CA's certificate",
		    when);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		append_str(why, "the certificate is self-signed");
		return;
	case X509_V_ERR_CERT_REVOKED:
		snprintf(why, VERIFY_WHY_MAX, "%s has been revoked",
		    depth == 0 ? "the certificate" : "a CA's certificate");
		return;
	case X509_V_ERR_CRL_HAS_EXPIRED:
		append_str(why, "the CA's list of revoked certificates is too "
		    "old");
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		by_whom(cert, why);
		return;
	default:
		append_str(why, X509_verify_cert_error_string(error));
	}
}

static enum verify_fault
fault_of(int error)
{
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return VERIFY_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return VERIFY_EXPIRED;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return VERIFY_UNTRUSTED;
	default:
		return VERIFY_OTHER;
	}
}

/* ---- the chain ----------------------------------------------------------- */

static bool
prepare(X509_STORE_CTX *ctx, const char *name)
{
	X509_VERIFY_PARAM	*p = X509_STORE_CTX_get0_param(ctx);
	struct addr		 a;
	char			 text[ADDR_STRLEN];

	if (X509_STORE_CTX_set_default(ctx, "ssl_server") != 1)
		return false;
	/* RFC 6125, 6.4.3 and 6.4.4: no part of a label, no common name. */
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (addr_parse(span_str(name), &a))
		return X509_VERIFY_PARAM_set1_ip_asc(p, addr_str(&a,
		    text)) == 1;
	return name[0] != '\0' &&
	    X509_VERIFY_PARAM_set1_host(p, name, 0) == 1;
}

bool
verify_cert(X509 *leaf, STACK_OF(X509) *chain, const struct verify_want *w,
    char why[VERIFY_WHY_MAX])
{
	X509_STORE_CTX	*ctx;
	enum verify_fault fault = VERIFY_OTHER;
	bool		 ok = false;

	why[0] = '\0';
	if (w->fault != NULL)
		*w->fault = fault;
	if (leaf == NULL) {
		append_str(why, "it has no certificate");
		return false;
	}
	if (w->npins > 0) {
		ok = pinned(leaf, w, why);
		goto out;
	}
	append_str(why, "the certificate could not be looked at");
	if ((ctx = X509_STORE_CTX_new()) != NULL && X509_STORE_CTX_init(ctx,
	    w->store, leaf, chain) == 1 && prepare(ctx, w->name)) {
		ok = X509_verify_cert(ctx) == 1;
		if (!ok) {
			fault = fault_of(X509_STORE_CTX_get_error(ctx));
			explain(ctx, leaf, w->name, why);
		}
	}
	if (ok)
		why[0] = '\0';
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
out:
	if (w->fault != NULL)
		*w->fault = ok ? VERIFY_GOOD : fault;
	return ok;
}
