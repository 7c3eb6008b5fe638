/*
 * Addresses and prefixes: what is taken is read back from what is written.
 */
#include <stdlib.h>

#include "common/base/addr.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr_prefix	 p;
	struct addr		 a, b;
	struct span		 in = span(data, size);
	char			 text[ADDR_STRLEN], name[80];

	if (addr_parse_port(in, 25, &a)) {
		addr_str_port(&a, text);
		if (!addr_parse_port(span_str(text), 1, &b) ||
		    !addr_eq(&a, &b) || a.port != b.port)
			abort();
		addr_reverse_name(&a, name);
	}
	if (addr_parse_prefix(in, &p) && (!addr_in(&p.addr, &p) ||
	    p.bits > (p.addr.family == 4 ? 32 : 128)))
		abort();
	return 0;
}
