/*
 * The first byte chooses a mechanism, the next two lengths: challenges of a
 * server, whatever they are, are answered without harm, and nobody who does not
 * know the password is believed.
 */
#include <stdlib.h>

#include "keyd/login.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct span
take(struct span *s, size_t n)
{
	struct span	part = span_sub(*s, 0, n);

	span_skip(s, n);
	return part;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t	 nonce[LOGIN_NONCE] = "a nonce of some length.";
	struct span		 in = span(data, size), say;
	struct sasl_client	 c;
	struct login		 l = { .user = span_str("us,er"),
				    .secret = span_str("pencil") };
	struct buf		 response, expect;
	const char		*why;
	bool			 says, ok;

	if (size < 4)
		return 0;
	l.mech = data[0] % (MECH_NONE + 1);
	span_skip(&in, 1);
	buf_init(&response, LOGIN_RESPONSE_MAX);
	buf_init(&expect, SASL_EXPECT_MAX);
	sasl_client_begin(&c, l.mech);
	ok = login_next(&l, nonce, &response, &says, &expect, &why);
	/* The first message of ours as it was, or what the input says. */
	if (ok && l.mech <= MECH_SCRAM_SHA_1)
		buf_span(&c.first, data[1] % 4 != 0 ? buf_content(&response) :
		    take(&in, data[2]));
	while (ok && in.len > 0) {
		size_t	n = in.p[0];

		span_skip(&in, 1);
		l.challenge = take(&in, n);
		switch (sasl_client_challenge(&c, l.challenge, &say, &why)) {
		case SASL_ASK:
			l.step = c.challenges;
			l.first = buf_content(&c.first);
			buf_reset(&response);
			ok = login_next(&l, nonce, &response, &says,
			    &c.expect, &why);
			if (!ok && why[0] == '\0')
				abort();
			break;
		case SASL_SAY:
			break;
		case SASL_STOP:
			ok = false;
			break;
		}
		if (l.mech <= MECH_SCRAM_SHA_1 && sasl_client_done(&c))
			abort();	/* a guess of an HMAC */
	}
	buf_clear(&response);
	buf_clear(&expect);
	sasl_client_clear(&c);
	return 0;
}
