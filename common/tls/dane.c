/*
 * TLSA records and the decision that follows from them. See dane.h.
 */
#include "common/tls/dane.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD	3	/* usage, selector, matching type */

enum { USAGE_TA = 2, USAGE_EE = 3 };
enum { MATCH_FULL = 0, MATCH_SHA256 = 1, MATCH_SHA512 = 2 };

bool
dane_parse(struct span rdata, struct dane_rr *r)
{
	if (rdata.len <= HEAD)
		return false;
	r->usage = rdata.p[0];
	r->selector = rdata.p[1];
	r->matching = rdata.p[2];
	span_skip(&rdata, HEAD);
	r->data = rdata;
	return true;
}

bool
dane_usable(const struct dane_rr *r)
{
	/* Usages 0 and 1 need a list of authorities that two strangers agree
	 * on; there is none for mail (RFC 7672, 3.1.3). */
	if ((r->usage != USAGE_TA && r->usage != USAGE_EE) || r->selector > 1)
		return false;
	switch (r->matching) {
	case MATCH_FULL:
		return true;
	case MATCH_SHA256:
		return r->data.len == 32;
	case MATCH_SHA512:
		return r->data.len == 64;
	default:
		return false;
	}
}

static size_t
choose(const struct span *rdata, size_t n, struct dane_rr *rr, size_t *bytes)
{
	size_t	kept = 0;

	*bytes = 0;
	for (size_t i = 0; i < n && kept < DANE_RRS_MAX; i++) {
		if (!dane_parse(rdata[i], &rr[kept]) ||
		    !dane_usable(&rr[kept]))
			continue;
		*bytes += rr[kept++].data.len;
	}
	return kept;
}

static struct dane_set *
make(const struct dane_rr *rr, size_t n, size_t bytes)
{
	struct dane_set	*set;
	uint8_t		*p;

	if ((set = calloc(1, sizeof(*set) + bytes)) == NULL)
		return NULL;
	p = set->bytes;
	for (size_t i = 0; i < n; i++) {
		set->rr[i] = rr[i];
		set->rr[i].data.p = p;
		memcpy(p, rr[i].data.p, rr[i].data.len);
		p += rr[i].data.len;
	}
	set->n = n;
	return set;
}

enum dane_verdict
dane_decide(enum dns_status status, bool ad, const struct span *rdata,
    size_t n, struct dane_set **set)
{
	struct dane_rr	rr[DANE_RRS_MAX];
	size_t		kept, bytes;

	*set = NULL;
	switch (status) {
	case DNS_OK:
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return DANE_NONE;
	default:
		return DANE_DEFER;
	}
	if (!ad)
		return DANE_NONE;
	if ((kept = choose(rdata, n, rr, &bytes)) == 0)
		return DANE_UNUSABLE;
	if ((*set = make(rr, kept, bytes)) == NULL)
		return DANE_DEFER;
	return DANE_REQUIRED;
}

struct dane_set *
dane_set_dup(const struct dane_set *set)
{
	size_t	bytes = 0;

	if (set == NULL)
		return NULL;
	for (size_t i = 0; i < set->n; i++)
		bytes += set->rr[i].data.len;
	return make(set->rr, set->n, bytes);
}

bool
dane_name(uint16_t port, const char *base, char *dst, size_t size)
{
	int	n = snprintf(dst, size, "_%u._tcp.%s", port, base);

	return n > 0 && (size_t)n < size && dns_name_ok(span_str(dst));
}

const char *
dane_text(struct span rdata, char *dst, size_t size)
{
	struct dane_rr	r;
	int		n;

	dst[0] = '\0';
	if (!dane_parse(rdata, &r))
		return dst;
	n = snprintf(dst, size, "%u %u %u ", r.usage, r.selector, r.matching);
	if (n < 0 || (size_t)n >= size)
		return dst;
	for (size_t i = 0; i < r.data.len && (size_t)n + 3 <= size; i++)
		n += snprintf(dst + n, size - (size_t)n, "%02x", r.data.p[i]);
	return dst;
}
