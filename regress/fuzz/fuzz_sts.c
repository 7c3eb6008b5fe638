/*
 * MTA-STS: the input as a TXT record and as a policy; what is taken is the same
 * when it is written and read again.
 */
#include <stdlib.h>

#include "common/tls/sts.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
policy(struct span in)
{
	static struct sts_policy p, q;
	struct buf		 b;
	const char		*why;

	if (sts_policy_parse(in, &p, &why) != PARSE_OK)
		return;
	buf_init(&b, STS_BYTES_MAX + 1024);
	if (!sts_policy_write(&b, &p))
		abort();
	if (sts_policy_parse(buf_content(&b), &q, &why) != PARSE_OK ||
	    p.mode != q.mode || p.max_age != q.max_age || p.nmx != q.nmx ||
	    p.max_age > STS_AGE_MAX)
		abort();
	for (size_t i = 0; i < p.nmx; i++) {
		bool	wild = span_starts(p.mx[i], span_str("*."));

		if (!span_eq(p.mx[i], q.mx[i]) ||
		    (!wild && !sts_policy_has(&p, p.mx[i])))
			abort();
	}
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	 in = span(data, size), two[2] = { in, in };
	char		 id[STS_ID_MAX + 1];
	size_t		 len;

	if (sts_record(&in, 1, id)) {
		len = strlen(id);
		if (len == 0 || len > STS_ID_MAX || sts_record(two, 2, id))
			abort();
	}
	policy(in);
	return 0;
}
