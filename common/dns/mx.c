/*
 * Which servers of a domain are tried, in which order (RFC 5321, 5.1; RFC
 * 7505), and which addresses of a server.
 */
#include "common/dns/mx.h"

/* Takes out what has no name (a "." beside other records is a mistake). */
static size_t
drop_nameless(struct mx_host *hosts, size_t n)
{
	size_t	kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (hosts[i].name[0] == '\0')
			continue;
		if (kept != i)
			hosts[kept] = hosts[i];
		kept++;
	}
	return kept;
}

static void
swap(struct mx_host *a, struct mx_host *b)
{
	struct mx_host	t = *a;

	*a = *b;
	*b = t;
}

/* Shuffled first (Fisher-Yates); the insertion sort keeps equals as they are */
static void
order(struct mx_host *hosts, size_t n, uint32_t (*rnd)(uint32_t))
{
	for (size_t i = n; i > 1; i--) {
		size_t	k = rnd((uint32_t)i);

		if (k < i - 1)
			swap(&hosts[i - 1], &hosts[k]);
	}
	for (size_t i = 1; i < n; i++) {
		for (size_t k = i; k > 0 &&
		    hosts[k - 1].pref > hosts[k].pref; k--)
			swap(&hosts[k - 1], &hosts[k]);
	}
}

enum mx_result
mx_order(enum dns_status status, struct mx_host *hosts, size_t *n,
    uint32_t (*rnd)(uint32_t bound),
    bool (*is_us)(const char *name, void *arg), void *arg)
{
	size_t	had = *n;

	*n = 0;
	switch (status) {
	case DNS_OK:
		break;
	case DNS_NODATA:
		return MX_IMPLICIT;
	case DNS_NXDOMAIN:
		return MX_NONE;
	default:
		return MX_TEMPFAIL;
	}
	if (had == 0)
		return MX_TEMPFAIL;	/* records, but none we can read */
	if ((had = drop_nameless(hosts, had)) == 0)
		return MX_NULL;
	order(hosts, had, rnd);
	for (size_t i = 0; i < had; i++) {
		if (is_us == NULL || !is_us(hosts[i].name, arg))
			continue;
		/* 5.1: only what is preferred to us, or mail would loop. */
		while (i > 0 && hosts[i - 1].pref == hosts[i].pref)
			i--;
		*n = i;
		return i > 0 ? MX_LIST : MX_LOOP;
	}
	*n = had;
	return MX_LIST;
}

void
mx_interleave(struct addr *addrs, size_t n)
{
	struct addr	t;
	size_t		k;

	for (size_t i = 0; i < n; i++) {
		for (k = i; k < n; k++) {
			if (addrs[k].family == (i % 2 == 0 ? 6 : 4))
				break;
		}
		if (k == n)
			continue;
		t = addrs[k];
		memmove(&addrs[i + 1], &addrs[i], (k - i) * sizeof(t));
		addrs[i] = t;
	}
}
