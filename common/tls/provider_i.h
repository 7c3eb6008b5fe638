/*
 * What provider.c and provider_sign.c share; for these two alone.
 */
#ifndef TLS_PROVIDER_I_H
#define TLS_PROVIDER_I_H

#include <openssl/core.h>

#include "common/tls/provider.h"

/* A key as OpenSSL holds it. */
struct held_key {
	struct provider_key	 key;
	EVP_PKEY		*pub;	/* the default provider's */
};

extern const OSSL_DISPATCH	 provider_signature[];
extern const struct provider_ops *provider_sign_ops;

#endif
