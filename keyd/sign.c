/*
 * See sign.h.
 */
#include "keyd/sign.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

/* RFC 8446, 4.2.3: the salt of PSS is as long as the digest. */
static bool
begin(EVP_MD_CTX *md, EVP_PKEY *key, const struct scheme *s)
{
	EVP_PKEY_CTX	*ctx;

	if (EVP_DigestSignInit_ex(md, &ctx, s->digest, NULL, NULL, key,
	    NULL) != 1)
		return false;
	return !s->pss || (EVP_PKEY_CTX_set_rsa_padding(ctx,
	    RSA_PKCS1_PSS_PADDING) > 0 && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx,
	    RSA_PSS_SALTLEN_DIGEST) > 0);
}

bool
sign_statement(EVP_PKEY *key, enum tls_key kind, uint16_t scheme,
    struct span statement, uint8_t sig[SIGNATURE_MAX], size_t *len,
    const char **why)
{
	const struct scheme	*s = scheme_find(scheme);
	enum statement		 what = statement_is(statement, why);
	EVP_MD_CTX		*md;
	bool			 ok;

	if (what == STATEMENT_NONE)
		return false;
	if (s == NULL || !scheme_fits(s, kind, what)) {
		*why = "the signature scheme does not fit";
		return false;
	}
	*len = SIGNATURE_MAX;
	ok = (md = EVP_MD_CTX_new()) != NULL && begin(md, key, s) &&
	    EVP_DigestSign(md, sig, len, statement.p, statement.len) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	if (!ok)
		*why = "OpenSSL could not sign";
	return ok;
}
