/*
 * The one thing that keyd does with a private key of TLS: it signs a statement
 * (common/tls/statement.h), by a scheme that fits key and statement.
 */
#ifndef KEYD_SIGN_H
#define KEYD_SIGN_H

#include <openssl/types.h>

#include "common/tls/scheme.h"

/*
 * The signature in sig, its length in *len. False: nothing was signed, and *why
 * is a static string.
 */
bool	 sign_statement(EVP_PKEY *, enum tls_key, uint16_t scheme,
	    struct span statement, uint8_t sig[SIGNATURE_MAX], size_t *len,
	    const char **why);

#endif
