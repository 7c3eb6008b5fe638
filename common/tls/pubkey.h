/*
 * A public key as both sides of a remote signature, and pins, know it. Pure
 * functions.
 */
#ifndef TLS_PUBKEY_H
#define TLS_PUBKEY_H

#include <openssl/types.h>

#include "common/tls/scheme.h"

#define PUBKEY_HASH_LEN	32

/* SHA-256 of the certificate's SubjectPublicKeyInfo as it stands there (RFC
 * 7469, 2.4; RFC 7671's 3 1 1). */
bool	 pubkey_hash(X509 *, uint8_t hash[PUBKEY_HASH_LEN]);
/* RSA of any length, P-256, P-384, Ed25519; false: another. */
bool	 pubkey_kind(const EVP_PKEY *, enum tls_key *);

#endif
