/*
 * How a TLS server may sign: the signature schemes (RFC 8446, 4.2.3) that fit
 * the kinds of key we take. Both ends of a remote signature hold a request
 * against this table. Pure functions.
 */
#ifndef TLS_SCHEME_H
#define TLS_SCHEME_H

#include "common/tls/statement.h"

#define SIGNATURE_MAX	512	/* bytes: RSA with 4,096 bits */

enum tls_key { TLS_RSA, TLS_P256, TLS_P384, TLS_ED25519 };

struct scheme {
	uint16_t	 code;		/* SignatureScheme */
	const char	*digest;	/* OpenSSL's name; NULL: Ed25519 */
	bool		 rsa, pss;
	enum tls_key	 ec;		/* whose this is in TLS 1.3, if not rsa */
};

/* NULL: none of ours. */
const struct scheme *scheme_find(uint16_t code);
/* The one of a key that is to sign over this digest ("SHA256", "SHA2-256"; NULL
 * or "" for Ed25519); pss is for RSA alone. NULL: there is none. */
const struct scheme *scheme_of(enum tls_key, const char *digest, bool pss);
/*
 * May a key of this kind sign this statement so? In TLS 1.3 a curve has its one
 * digest, and RSA signs with PSS only; TLS 1.2 knows no such ties (RFC 8446,
 * 4.2.3).
 */
bool	 scheme_fits(const struct scheme *, enum tls_key, enum statement);

#endif
