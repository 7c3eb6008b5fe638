/*
 * TLSRPT: the input as a TXT record, then as addresses; what is taken for one
 * is nothing else than that.
 */
#include <stdlib.h>
#include <string.h>

#include "common/tls/rpt.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
uris(struct span list)
{
	struct rpt_uri	u;
	size_t		left;

	for (left = list.len; rpt_uri_next(&list, &u); left = list.len) {
		if (list.len >= left || strlen(u.to) >= RPT_URI_MAX)
			abort();
		for (const char *p = u.to; *p != '\0'; p++)
			if (*p <= ' ' || *p > '~')
				abort();
		if (u.https ? strncasecmp(u.to, "https://", 8) != 0 :
		    strchr(u.to, '@') == NULL ||
		    strpbrk(u.to, "<>\"\\,;:") != NULL)
			abort();
	}
	if (list.len != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	in = span(data, size), two[2] = { in, in }, rua;

	if (rpt_record(&in, 1, &rua)) {
		if (rua.len == 0 || rua.len > RPT_RUA_MAX ||
		    rpt_record(two, 2, &rua))
			abort();
		rpt_record(&in, 1, &rua);
		uris(rua);
	}
	uris(in);
	return 0;
}
