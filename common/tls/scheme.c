/*
 * See scheme.h.
 */
#include "common/tls/scheme.h"

static const struct scheme schemes[] = {
	{ 0x0401, "SHA256", true, false, TLS_RSA },	/* rsa_pkcs1_sha256 */
	{ 0x0501, "SHA384", true, false, TLS_RSA },
	{ 0x0601, "SHA512", true, false, TLS_RSA },
	{ 0x0804, "SHA256", true, true, TLS_RSA },	/* rsa_pss_rsae_… */
	{ 0x0805, "SHA384", true, true, TLS_RSA },
	{ 0x0806, "SHA512", true, true, TLS_RSA },
	{ 0x0403, "SHA256", false, false, TLS_P256 },	/* ecdsa_… */
	{ 0x0503, "SHA384", false, false, TLS_P384 },
	{ 0x0807, NULL, false, false, TLS_ED25519 },
};
#define NSCHEMES	(sizeof(schemes) / sizeof(schemes[0]))

const struct scheme *
scheme_find(uint16_t code)
{
	for (size_t i = 0; i < NSCHEMES; i++)
		if (schemes[i].code == code)
			return &schemes[i];
	return NULL;
}

/* "SHA2-256" is "SHA256" by its other name. */
static bool
digest_is(const char *wanted, const char *name)
{
	struct span	 s = span_str(name);

	if (wanted == NULL || s.len == 0)
		return wanted == NULL && s.len == 0;
	if (span_casestarts(s, span_str("SHA2-"))) {
		span_skip(&s, 5);
		return span_is(s, wanted + 3);
	}
	return span_caseis(s, wanted);
}

/* Is it made for keys of this kind, whatever the curve? */
static bool
is_for(const struct scheme *s, enum tls_key key)
{
	if (s->rsa || key == TLS_RSA)
		return s->rsa && key == TLS_RSA;
	return (s->ec == TLS_ED25519) == (key == TLS_ED25519);
}

const struct scheme *
scheme_of(enum tls_key key, const char *digest, bool pss)
{
	for (size_t i = 0; i < NSCHEMES; i++)
		if (is_for(&schemes[i], key) && schemes[i].pss == pss &&
		    digest_is(schemes[i].digest, digest))
			return &schemes[i];
	return NULL;
}

bool
scheme_fits(const struct scheme *s, enum tls_key key, enum statement what)
{
	if (what == STATEMENT_TLS12)
		return is_for(s, key);
	return what == STATEMENT_TLS13 && is_for(s, key) &&
	    (s->rsa ? s->pss : s->ec == key);
}
