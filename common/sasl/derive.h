/*
 * What both sides of SCRAM (RFC 5802) need: HMAC, the keys that a password
 * stands for, and the form of a message. Pure.
 */
#ifndef SASL_DERIVE_H
#define SASL_DERIVE_H

#include <openssl/evp.h>

#include "common/base/span.h"

/* HMAC (RFC 2104). out has room for the digest. False: out of memory. */
bool	 sasl_hmac(const EVP_MD *, struct span key, struct span text,
	    uint8_t *out);
/* ClientKey and ServerKey (RFC 5802, 3), each of the digest's size; rounds is at
 * most INT_MAX. False: out of memory. */
bool	 scram_derive(const EVP_MD *, struct span password, struct span salt,
	    unsigned rounds, uint8_t *client, uint8_t *server);
/* The value of the next attribute, which must be this one: "n=…", up to a ","
 * or the end; what stands behind that is left in *in. */
bool	 scram_attribute(struct span *in, char name, struct span *value);

#endif
