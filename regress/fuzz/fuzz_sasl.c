/*
 * The first response of an exchange, its mechanism in front: the name is short,
 * clean and the same whether the mechanism is written large or small.
 */
#include <ctype.h>
#include <stdlib.h>

#include "common/base/enc.h"
#include "common/base/utf8.h"
#include "common/sasl/sasl.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
name_of(struct span mech, struct span response)
{
	char	a[SASL_NAME_MAX + 1], b[SASL_NAME_MAX + 1];
	char	large[SASL_MECH_MAX + 1];
	bool	ok = sasl_name(mech, response, a);

	if (ok != (a[0] != '\0') || (ok && (!sasl_says_who(mech) ||
	    sasl_class(mech) != SASL_PASSES || !utf8_valid(span_str(a)))))
		abort();
	for (size_t i = 0; a[i] != '\0'; i++)
		if ((unsigned char)a[i] < ' ' || a[i] == 127)
			abort();
	if (!sasl_mech(mech))
		return;
	for (size_t i = 0; i < mech.len; i++)
		large[i] = (char)toupper(mech.p[i]);
	if (sasl_name(span(large, mech.len), response, b) != ok ||
	    strcmp(a, b) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	in = span(data, size), mech;
	struct buf	b;

	mech = span_sub(in, 0, span_find(in, ' '));
	span_skip(&in, mech.len + 1);
	name_of(mech, in);
	/* And as what is behind the base64. */
	buf_init(&b, 1 << 20);
	if (enc_base64(&b, in))
		name_of(mech, buf_content(&b));
	buf_clear(&b);
	return 0;
}
