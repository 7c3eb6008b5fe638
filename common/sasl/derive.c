/*
 * See derive.h.
 */
#include "common/sasl/derive.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

bool
sasl_hmac(const EVP_MD *md, struct span key, struct span text, uint8_t *out)
{
	unsigned	n;

	return HMAC(md, key.p, (int)key.len, text.p, text.len, out, &n) !=
	    NULL;
}

bool
scram_derive(const EVP_MD *md, struct span password, struct span salt,
    unsigned rounds, uint8_t *client, uint8_t *server)
{
	uint8_t		salted[EVP_MAX_MD_SIZE];
	size_t		len = (size_t)EVP_MD_get_size(md);
	bool		ok;

	ok = PKCS5_PBKDF2_HMAC((const char *)password.p, (int)password.len,
	    salt.p, (int)salt.len, (int)rounds, md, (int)len, salted) == 1 &&
	    sasl_hmac(md, span(salted, len), span_str("Client Key"),
	    client) &&
	    sasl_hmac(md, span(salted, len), span_str("Server Key"), server);
	OPENSSL_cleanse(salted, sizeof(salted));
	return ok;
}

bool
scram_attribute(struct span *in, char name, struct span *value)
{
	size_t	n = span_find(*in, ',');

	*value = span_sub(*in, 0, n);
	span_skip(in, n + 1);
	if (value->len < 2 || value->p[0] != (uint8_t)name ||
	    value->p[1] != '=')
		return false;
	span_skip(value, 2);
	return true;
}
