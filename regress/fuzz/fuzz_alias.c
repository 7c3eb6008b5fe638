/*
 * The values of alias tables: whatever the bytes, the reader ends, and what it
 * takes for an address is one that can be written and read again.
 */
#include <stdlib.h>

#include "common/conf/alias.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char	 plus[] = "+", host[] = "gw.example.org";
	struct conf	 c = { .subaddress = plus, .hostname = host };
	struct span	 in = span(p, n), again;
	struct alias	 a, b;
	const char	*why;
	char		 dst[ALIAS_ADDR_MAX];
	enum parse	 got;

	while ((got = alias_next(&in, &a, &why)) != PARSE_MORE) {
		if (got == PARSE_BAD || a.kind == ALIAS_INCLUDE ||
		    !alias_address(&c, &a, span_str("user+x@example.org"), true,
		    dst))
			continue;
		again = span_str(dst);
		if (alias_next(&again, &b, &why) != PARSE_OK ||
		    b.kind != ALIAS_ADDRESS || again.len != 0)
			abort();
	}
	return 0;
}
