/*
 * Whatever is taken for a statement has its exact form: its length, its fixed
 * bytes, and no byte less or more is one.
 */
#include <stdlib.h>

#include "common/tls/scheme.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_tls13(struct span s)
{
	static const char	 fixed[] = "TLS 1.3, server CertificateVerify";

	if ((s.len != 130 && s.len != 146) ||
	    memcmp(s.p + 64, fixed, sizeof(fixed)) != 0)
		abort();
	for (size_t i = 0; i < 64; i++)
		if (s.p[i] != ' ')
			abort();
}

static void
check_tls12(struct span s)
{
	if (s.len < 100 || s.p[64] != 3 || s.p[65] != 0 ||
	    s.p[67] != s.len - 68 || (s.len != 100 && s.p[68] != 4) ||
	    (s.len != 100 && s.len != 133 && s.len != 165))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span		 s = span(data, size);
	const struct scheme	*by;
	const char		*why = NULL;
	enum statement		 what = statement_is(s, &why), less;

	if (what == STATEMENT_NONE && why == NULL)
		abort();
	if (what == STATEMENT_TLS13)
		check_tls13(s);
	if (what == STATEMENT_TLS12)
		check_tls12(s);
	for (size_t cut = 1; what != STATEMENT_NONE && cut < 16; cut++) {
		less = statement_is(span_sub(s, 0, size - cut), &why);
		if (less != STATEMENT_NONE)
			abort();
	}
	/* No scheme signs with two kinds of key in TLS 1.3. */
	if (size >= 2 && (by = scheme_find((uint16_t)(data[0] << 8 |
	    data[1]))) != NULL) {
		int	 n = 0;

		for (int key = TLS_RSA; key <= TLS_ED25519; key++)
			n += scheme_fits(by, (enum tls_key)key,
			    STATEMENT_TLS13);
		if (n > 1)
			abort();
	}
	return 0;
}
