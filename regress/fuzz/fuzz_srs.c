/*
 * Any local part is judged without harm; what is made of any sender comes back
 * as that sender, but for the case of nothing.
 */
#include <stdlib.h>

#include "keyd/srs.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span key = span_str("sixteen bytes or more");
	struct span	 in = span(data, size > 900 ? 900 : size), local;
	struct buf	 made, again;
	enum srs	 r;

	buf_init(&made, 4096);
	buf_init(&again, 4096);
	if (srs_back(key, 20000, in, &made) == SRS_OK)
		abort();		/* a forged one */
	buf_reset(&made);
	if (srs_make(key, 20000, in, "ours.example", &made)) {
		local = buf_content(&made);
		local.len = span_rfind(local, '@');
		r = srs_back(key, 20000, local, &again);
		if (r != SRS_OK && r != SRS_NOT)
			abort();
		/* SRS1 stands for what was made of the sender before. */
		if (r == SRS_OK && span_casestarts(local, span_str("SRS0=")) &&
		    !span_eq(buf_content(&again), in))
			abort();
	}
	buf_clear(&made);
	buf_clear(&again);
	return 0;
}
