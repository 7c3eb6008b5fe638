/*
 * See digest.h.
 */
#include "smtpd/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "common/base/log.h"

struct digest {
	EVP_MD_CTX	*ctx;
	bool		 failed;
};

static EVP_MD	*sha256;

void
digest_init(void)
{
	if (sha256 == NULL && (!OPENSSL_init_crypto(
	    OPENSSL_INIT_NO_LOAD_CONFIG, NULL) ||
	    (sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL))
		fatalx("no SHA-256");
}

struct digest *
digest_new(void)
{
	struct digest	*d = calloc(1, sizeof(*d));

	if (d == NULL || (d->ctx = EVP_MD_CTX_new()) == NULL ||
	    !EVP_DigestInit_ex2(d->ctx, sha256, NULL)) {
		digest_free(d);
		return NULL;
	}
	return d;
}

void
digest_add(struct digest *d, struct span s)
{
	if (s.len > 0 && !EVP_DigestUpdate(d->ctx, s.p, s.len))
		d->failed = true;
}

void
digest_field(struct digest *d, struct span s)
{
	uint64_t	n = s.len;

	digest_add(d, span(&n, sizeof(n)));
	digest_add(d, s);
}

bool
digest_end(struct digest *d, uint8_t out[DIGEST_LEN])
{
	unsigned	n = 0;

	return !d->failed && EVP_DigestFinal_ex(d->ctx, out, &n) &&
	    n == DIGEST_LEN;
}

void
digest_free(struct digest *d)
{
	if (d != NULL)
		EVP_MD_CTX_free(d->ctx);
	free(d);
}
