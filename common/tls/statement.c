/*
 * See statement.h.
 */
#include "common/tls/statement.h"

#define SPACES		64
#define RANDOMS		64	/* bytes of both */
#define NAMED_CURVE	3	/* RFC 8422, 5.4: ECCurveType */
#define UNCOMPRESSED	4	/* RFC 8422, 5.4.1: form of a point */

static const uint8_t	server[] = "TLS 1.3, server CertificateVerify";

/* The last byte is the zero that parts it from the hash. */
static bool
is_tls13(struct span s)
{
	size_t	 hash;

	if (s.len < SPACES + sizeof(server))
		return false;
	hash = s.len - SPACES - sizeof(server);
	for (size_t i = 0; i < SPACES; i++)
		if (s.p[i] != ' ')
			return false;
	return memcmp(s.p + SPACES, server, sizeof(server)) == 0 &&
	    (hash == 32 || hash == 48);
}

/* RFC 8422: curve type, NamedCurve, then the point behind its length. */
static bool
is_tls12(struct span s)
{
	static const struct { uint16_t group; uint8_t len; } known[] = {
		{ 29, 32 },		/* x25519 */
		{ 23, 65 },		/* secp256r1 */
		{ 24, 97 },		/* secp384r1 */
	};
	const uint8_t	*p = s.p + RANDOMS;

	if (s.len < RANDOMS + 4 || p[0] != NAMED_CURVE)
		return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if ((p[1] << 8 | p[2]) == known[i].group)
			return p[3] == known[i].len &&
			    s.len == RANDOMS + 4u + known[i].len &&
			    (known[i].len == 32 || p[4] == UNCOMPRESSED);
	return false;
}

enum statement
statement_is(struct span s, const char **why)
{
	if (s.len > STATEMENT_MAX)
		*why = "too long for a statement";
	else if (is_tls13(s))
		return STATEMENT_TLS13;
	else if (is_tls12(s))
		return STATEMENT_TLS12;
	else
		*why = "not a statement of a TLS server";
	return STATEMENT_NONE;
}
