/*
 * lookupd's cache: TTLs and their limits, negative answers, bounds in bytes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lookupd/cache.h"

#define NAME(s)	span_str(s)

static struct dns_answer	d;
static struct mono		now = { 1000000 };

static void
one_a(uint32_t ttl)
{
	memset(&d, 0, sizeof(d));
	d.status = DNS_OK;
	d.ttl = ttl;
	d.nrr = 1;
	d.rr[0].type = DNS_A;
	d.rr[0].addr = (struct addr){ .family = 4, .ip = { 192, 0, 2, 1 } };
}

static void
packing(void **state)
{
	struct answer_rr	 r;
	struct answer		*a;
	size_t			 pos = 0;

	(void)state;
	one_a(60);
	d.ad = true;
	d.nrr = 4;
	d.rr[1] = (struct dns_rr){ .type = DNS_MX, .pref = 20,
	    .name = "mx.example" };
	d.rr[2] = (struct dns_rr){ .type = DNS_TXT, .text_len = 3 };
	memcpy(d.store, "a\0b", 3);
	d.rr[2].text = d.store;
	d.rr[3] = (struct dns_rr){ .type = DNS_MX };
	strlcpy(d.canon, "canon.example", sizeof(d.canon));
	a = answer_pack(&d);
	assert_non_null(a);
	assert_true(a->ad && a->nrr == 4 && a->ttl == 60);
	assert_true(answer_next(a, &pos, &r));
	assert_int_equal(r.addr.ip[3], 1);
	assert_true(answer_next(a, &pos, &r));
	assert_int_equal(r.pref, 20);
	assert_true(span_is(r.name, "mx.example"));
	assert_true(answer_next(a, &pos, &r));
	assert_int_equal(r.text.len, 3);
	assert_memory_equal(r.text.p, "a\0b", 3);
	assert_true(answer_next(a, &pos, &r));
	assert_int_equal(r.name.len, 0);
	assert_false(answer_next(a, &pos, &r));
	assert_true(span_is(answer_canon(a), "canon.example"));
	free(a);
	one_a(60);
	a = answer_pack(&d);
	assert_int_equal(answer_canon(a).len, 0);
	free(a);
}

static void
limits(void **state)
{
	static const struct { enum dns_status st; uint32_t ttl, want; } t[] = {
		{ DNS_OK, 0, 1 }, { DNS_OK, 300, 300 },
		{ DNS_OK, 1000000, 86400 }, { DNS_NXDOMAIN, 60, 60 },
		{ DNS_NXDOMAIN, 0, 1 }, { DNS_NODATA, 86400, 3600 },
		{ DNS_TEMPFAIL, 86400, 10 },
	};
	struct answer	*a;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		memset(&d, 0, sizeof(d));
		d.status = t[i].st;
		d.ttl = t[i].ttl;
		a = answer_pack(&d);
		assert_int_equal(a->ttl, t[i].want);
		free(a);
	}
}

static void
expiry(void **state)
{
	struct cache	*c = cache_new(CACHE_BYTES_MAX);
	struct mono	 later;
	uint32_t	 ttl;

	(void)state;
	one_a(60);
	cache_put(c, DNS_A, NAME("A.example"), answer_pack(&d), now);
	assert_null(cache_get(c, DNS_AAAA, NAME("a.example"), now, &ttl));
	assert_null(cache_get(c, DNS_A, NAME("b.example"), now, &ttl));
	assert_non_null(cache_get(c, DNS_A, NAME("a.EXAMPLE"), now, &ttl));
	assert_int_equal(ttl, 60);
	later.ms = now.ms + 59500;
	assert_non_null(cache_get(c, DNS_A, NAME("a.example"), later, &ttl));
	assert_int_equal(ttl, 1);
	later.ms = now.ms + 60000;
	assert_null(cache_get(c, DNS_A, NAME("a.example"), later, &ttl));
	assert_int_equal(cache_entries(c), 0);
	assert_int_equal(cache_bytes(c), 0);
	cache_put(c, DNS_A, NAME("no.example"), answer_none(DNS_NXDOMAIN, 5),
	    now);
	assert_int_equal(cache_get(c, DNS_A, NAME("no.example"), now,
	    &ttl)->status, DNS_NXDOMAIN);
	cache_free(c);
}

/* 10,000 names in 64 KiB: the bound holds, what was used last is kept. */
static void
bounded(void **state)
{
	struct cache	*c = cache_new(64 << 10);
	char		 name[32];
	uint32_t	 ttl;

	(void)state;
	one_a(60);
	cache_put(c, DNS_A, NAME("kept"), answer_pack(&d), now);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		cache_put(c, DNS_A, NAME(name), answer_pack(&d), now);
		assert_true(cache_bytes(c) <= 64 << 10);
		assert_non_null(cache_get(c, DNS_A, NAME("kept"), now, &ttl));
	}
	assert_in_range(cache_entries(c), 50, 400);
	assert_null(cache_get(c, DNS_A, NAME("n0.example"), now, &ttl));
	assert_non_null(cache_get(c, DNS_A, NAME("n9999.example"), now, &ttl));
	cache_free(c);

	c = cache_new(100);		/* nothing fits */
	cache_put(c, DNS_A, NAME("a"), answer_pack(&d), now);
	assert_int_equal(cache_entries(c), 0);
	cache_free(c);
}

static void
flushing(void **state)
{
	struct cache	*c = cache_new(CACHE_BYTES_MAX);
	uint32_t	 ttl;

	(void)state;
	one_a(60);
	cache_put(c, DNS_A, NAME("a"), answer_pack(&d), now);
	cache_put(c, DNS_A, NAME("a"), answer_pack(&d), now);
	cache_put(c, DNS_MX, NAME("a"), answer_none(DNS_NODATA, 5), now);
	cache_put(c, DNS_A, NAME("b"), answer_pack(&d), now);
	assert_int_equal(cache_entries(c), 3);
	assert_int_equal(cache_flush(c, NAME("A")), 2);
	assert_null(cache_get(c, DNS_MX, NAME("a"), now, &ttl));
	assert_int_equal(cache_flush(c, NAME("")), 1);
	assert_int_equal(cache_bytes(c), 0);
	cache_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packing),
		cmocka_unit_test(limits),
		cmocka_unit_test(expiry),
		cmocka_unit_test(bounded),
		cmocka_unit_test(flushing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
