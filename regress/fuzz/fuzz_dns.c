/*
 * A DNS response to each question that postern asks; the name is that of the
 * packet's own question where it is a good one.
 */
#include <stdlib.h>

#include "common/dns/answer.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_answer a;
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX,
	    DNS_TXT, DNS_PTR, DNS_CNAME, DNS_TLSA };
	char		 name[256] = "";
	const char	*why;
	size_t		 n = 0, at = 12;

	while (at < size && data[at] > 0 && data[at] < 64 &&
	    size - at > data[at] && n + data[at] + 1 < sizeof(name)) {
		if (n > 0)
			name[n++] = '.';
		memcpy(name + n, data + at + 1, data[at]);
		n += data[at];
		at += data[at] + 1U;
	}
	name[n] = '\0';
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (dns_answer_parse(span(data, size), name, types[i], &a,
		    &why) != PARSE_OK)
			continue;
		if ((a.status == DNS_OK) != (a.nrr > 0) ||
		    a.nrr > DNS_RRS_MAX)
			abort();
		if (a.canon[0] != '\0' && (a.cnames == 0 ||
		    !dns_name_ok(span_str(a.canon))))
			abort();
		for (size_t k = 0; k < a.nrr; k++) {
			if (a.rr[k].name[0] != '\0' &&
			    !dns_name_ok(span_str(a.rr[k].name)))
				abort();
		}
	}
	return 0;
}
