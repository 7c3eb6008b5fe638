/*
 * What a key of TLS may sign. Whoever holds a key signs no digest and no text
 * that he was merely given: the text must be, byte by byte, what a server of
 * TLS signs in a handshake. Pure functions.
 */
#ifndef TLS_STATEMENT_H
#define TLS_STATEMENT_H

#include "common/base/span.h"

#define STATEMENT_MAX	256	/* bytes; the longest that is one has 165 */

enum statement {
	STATEMENT_NONE,		/* nothing that is ever signed */
	/*
	 * RFC 8446, 4.4.3, of a server: 64 spaces, "TLS 1.3, server
	 * CertificateVerify", a zero, the hash of the handshake until here
	 * (SHA-256 or SHA-384, as the cipher suite has it).
	 */
	STATEMENT_TLS13,
	/*
	 * RFC 8422, 5.4: both randoms and ServerECDHParams with a named curve
	 * that we offer and a point of its length: X25519, or P-256 and P-384
	 * uncompressed.
	 */
	STATEMENT_TLS12
};

/* NONE: *why is a static string. */
enum statement statement_is(struct span, const char **why);

#endif
