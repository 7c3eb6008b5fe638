/*
 * The order of servers, null MX, ourselves among them; both families in turn.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/span.h"
#include "common/dns/mx.h"

static uint32_t
last(uint32_t bound)
{
	return bound - 1;		/* shuffles nothing */
}

static uint32_t
any(uint32_t bound)
{
	return (uint32_t)random() % bound;
}

static bool
is_us(const char *name, void *arg)
{
	return strcmp(name, arg) == 0;
}

/* "10 a 20 b" into hosts. */
static size_t
hosts_of(const char *s, struct mx_host *h)
{
	size_t		n = 0;
	unsigned	pref;
	int		used;

	for (; sscanf(s, "%u %255s%n", &pref, h[n].name, &used) == 2;
	    s += used) {
		h[n].pref = (uint16_t)pref;
		if (strcmp(h[n].name, ".") == 0)
			h[n].name[0] = '\0';
		n++;
	}
	return n;
}

static void
table(void **state)
{
	static const struct { enum dns_status st; const char *in;
	    enum mx_result res; const char *out; } t[] = {
		{ DNS_OK, "20 b 10 a", MX_LIST, "a b " },
		{ DNS_OK, "10 a 10 b 5 c", MX_LIST, "c a b " },
		{ DNS_OK, "0 .", MX_NULL, "" },
		{ DNS_OK, "0 . 10 a", MX_LIST, "a " },
		{ DNS_OK, "10 us", MX_LOOP, "" },
		{ DNS_OK, "10 a 20 us 30 b", MX_LIST, "a " },
		{ DNS_OK, "10 us 10 a 20 b", MX_LOOP, "" },
		{ DNS_OK, "5 z 10 a 10 us 20 b", MX_LIST, "z " },
		{ DNS_OK, "", MX_TEMPFAIL, "" },
		{ DNS_NODATA, "", MX_IMPLICIT, "" },
		{ DNS_NXDOMAIN, "", MX_NONE, "" },
		{ DNS_TEMPFAIL, "10 a", MX_TEMPFAIL, "" },
	};
	struct mx_host	h[MX_HOSTS_MAX];
	char		out[100], us[] = "us";
	size_t		n;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		n = hosts_of(t[i].in, h);
		assert_int_equal(mx_order(t[i].st, h, &n, last, is_us, us),
		    t[i].res);
		out[0] = '\0';
		for (size_t k = 0; k < n; k++) {
			strcat(out, h[k].name);
			strcat(out, " ");
		}
		assert_string_equal(out, t[i].out);
	}
}

/* Equals come first about equally often; preference always holds. */
static void
shuffled(void **state)
{
	struct mx_host	h[MX_HOSTS_MAX];
	int		first[3] = { 0 };
	size_t		n;

	(void)state;
	srandom(1);
	for (int i = 0; i < 3000; i++) {
		n = hosts_of("10 a 20 d 10 b 10 c", h);
		assert_int_equal(mx_order(DNS_OK, h, &n, any, NULL, NULL),
		    MX_LIST);
		assert_string_equal(h[3].name, "d");
		first[h[0].name[0] - 'a']++;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(first[i], 850, 1150);
}

static void
interleave(void **state)
{
	static const struct { const char *in, *out; } t[] = {
		{ "", "" }, { "4", "4" }, { "6", "6" }, { "46", "64" },
		{ "4466", "6464" }, { "4446", "6444" }, { "6664", "6466" },
		{ "444", "444" },
	};
	struct addr	a[8];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t	n = strlen(t[i].in), four = 0, six = 0;

		memset(a, 0, sizeof(a));
		for (size_t k = 0; k < n; k++) {
			a[k].family = (uint8_t)(t[i].in[k] - '0');
			a[k].port = (uint16_t)k;
		}
		mx_interleave(a, n);
		for (size_t k = 0; k < n; k++) {
			size_t	*before = a[k].family == 4 ? &four : &six;

			assert_int_equal(a[k].family, t[i].out[k] - '0');
			assert_true(a[k].port >= *before);
			*before = a[k].port;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(shuffled),
		cmocka_unit_test(interleave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
