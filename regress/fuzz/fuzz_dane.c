/*
 * TLSA records, each with its length in front: what is kept is usable and is
 * the same when it is asked again.
 */
#include <stdlib.h>

#include "common/tls/dane.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
decide(const struct span *rr, size_t n)
{
	enum dane_verdict	 v;
	struct dane_set		*set, *copy;
	struct dane_rr		 r;
	size_t			 usable = 0;

	for (size_t i = 0; i < n; i++)
		usable += dane_parse(rr[i], &r) && dane_usable(&r);
	v = dane_decide(DNS_OK, true, rr, n, &set);
	if ((v == DANE_REQUIRED) != (set != NULL) ||
	    (usable == 0) != (v == DANE_UNUSABLE))
		abort();
	for (size_t i = 0; set != NULL && i < set->n; i++) {
		if (!dane_usable(&set->rr[i]) || set->rr[i].data.len == 0)
			abort();
	}
	copy = dane_set_dup(set);
	if ((copy == NULL) != (set == NULL) || (set != NULL &&
	    copy->n != set->n))
		abort();
	for (size_t i = 0; set != NULL && i < set->n; i++) {
		if (copy->rr[i].usage != set->rr[i].usage ||
		    copy->rr[i].selector != set->rr[i].selector ||
		    copy->rr[i].matching != set->rr[i].matching ||
		    !span_eq(copy->rr[i].data, set->rr[i].data))
			abort();
	}
	free(copy);
	free(set);
	if (dane_decide(DNS_OK, false, rr, n, &set) != DANE_NONE ||
	    set != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	 in = span(data, size), rr[40];
	char		 text[DANE_TEXT_MAX];
	size_t		 n = 0;

	while (in.len > 0 && n < sizeof(rr) / sizeof(rr[0])) {
		size_t	len = in.p[0];

		span_skip(&in, 1);
		rr[n++] = span_sub(in, 0, len);
		span_skip(&in, len);
	}
	decide(rr, n);
	for (size_t i = 0; i < n; i++) {
		if (strlen(dane_text(rr[i], text, sizeof(text))) >=
		    sizeof(text))
			abort();
	}
	return 0;
}
