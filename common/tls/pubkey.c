/*
 * See pubkey.h.
 */
#include "common/tls/pubkey.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

bool
pubkey_hash(X509 *cert, uint8_t hash[PUBKEY_HASH_LEN])
{
	uint8_t		*der = NULL;
	int		 n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool		 ok = n > 0 && EVP_Digest(der, (size_t)n, hash, NULL,
			    EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return ok;
}

bool
pubkey_kind(const EVP_PKEY *key, enum tls_key *kind)
{
	char	 group[24] = "";

	if (EVP_PKEY_is_a(key, "RSA")) {
		*kind = TLS_RSA;
		return true;
	}
	if (EVP_PKEY_is_a(key, "ED25519")) {
		*kind = TLS_ED25519;
		return true;
	}
	if (!EVP_PKEY_is_a(key, "EC"))
		return false;
	(void)EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
	    group, sizeof(group), NULL);
	*kind = strcmp(group, "prime256v1") == 0 ? TLS_P256 : TLS_P384;
	return *kind == TLS_P256 || strcmp(group, "secp384r1") == 0;
}
