/*
 * The order of addresses to try: DEST lists, MX, implicit and null MX, loops,
 * and the reasons why there is none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/lookup/hosts.h"

/* What DNS says in a case; the table ends with type 0. */
struct zone {
	enum dns_type	 type;
	const char	*name;
	enum dns_status	 status;
	const char	*data[4];	/* addresses, or "10 host" */
};

static const char	ours[] = "gw.example.org";

static uint32_t
first(uint32_t bound)
{
	return bound - 1;	/* leaves the order as it is */
}

static void
answer(struct hosts *h, const struct zone *z, unsigned number,
    enum dns_type type, const char *name)
{
	struct addr	addrs[4] = { 0 };
	struct mx_host	mx[4] = { 0 };
	size_t		n = 0;

	for (; z->type != 0; z++) {
		if (z->type == type && span_caseis(span_str(z->name), name))
			break;
	}
	if (z->type == 0) {
		hosts_answer(h, number, &(struct hosts_reply){
		    .status = DNS_NXDOMAIN, .ttl = 60 });
		return;
	}
	for (; n < 4 && z->data[n] != NULL; n++) {
		struct span	s = span_str(z->data[n]), w;
		uint64_t	pref;

		if (type != DNS_MX) {
			assert_true(addr_parse(s, &addrs[n]));
			continue;
		}
		assert_true(span_word(&s, " ", &w));
		assert_true(span_u64(w, 65535, &pref));
		mx[n].pref = (uint16_t)pref;
		assert_true(span_cstr(s, mx[n].name, sizeof(mx[n].name)));
	}
	hosts_answer(h, number, &(struct hosts_reply){ .status = z->status,
	    .ttl = 60, .addrs = type == DNS_MX ? NULL : addrs,
	    .mx = type == DNS_MX ? mx : NULL, .n = n });
}

/* The list as "name=address:port ..." or "CODE TEXT". */
static void
expect_in(struct conf_action *a, const struct conf_pool *p,
    const char *domain, const struct zone *z, const char *want)
{
	static struct hosts_list list;
	struct addr	 self[1];
	struct conf	 conf = { .hostname = (char *)(uintptr_t)ours,
			    .self = self, .nself = 1 };
	char		 s[ADDR_STRLEN];
	struct hosts	*h;
	struct buf	 b;
	enum dns_type	 type;
	const char	*name;
	unsigned	 number;

	assert_true(addr_parse(span_str("192.0.2.99"), &self[0]));
	buf_init(&b, 4096);
	assert_non_null(h = hosts_new(&conf, a, p, domain, first));
	while (hosts_question(h, &number, &type, &name))
		answer(h, z, number, type, name);
	assert_true(hosts_done(h));
	hosts_result(h, &list);
	for (size_t i = 0; i < list.n; i++)
		buf_fmt(&b, "%s%s=%s", i > 0 ? " " : "", list.cand[i].name,
		    addr_str_port(&list.cand[i].addr, s));
	if (list.n == 0)
		buf_fmt(&b, "%u %.6s", list.code, list.text);
	assert_string_equal(buf_cstr(&b), want);
	buf_clear(&b);
	hosts_free(h);
}

static void
expect(struct conf_action *a, const char *domain, const struct zone *z,
    const char *want)
{
	expect_in(a, NULL, domain, z, want);
}

static const struct zone	zone[] = {
	{ DNS_MX, "two.test", DNS_OK, { "20 b.test", "10 a.test" } },
	{ DNS_MX, "same.test", DNS_OK, { "10 a.test", "10 b.test" } },
	{ DNS_MX, "null.test", DNS_OK, { "0 " } },
	{ DNS_MX, "us.test", DNS_OK, { "10 GW.example.org", "20 a.test" } },
	{ DNS_MX, "backup.test", DNS_OK,
	    { "10 a.test", "20 gw.example.org", "30 b.test" } },
	{ DNS_MX, "natted.test", DNS_OK, { "10 a.test", "20 nat.test" } },
	{ DNS_MX, "natonly.test", DNS_OK, { "10 nat.test", "20 b.test" } },
	{ DNS_MX, "plain.test", DNS_NODATA, { NULL } },
	{ DNS_MX, "bare.test", DNS_NODATA, { NULL } },
	{ DNS_MX, "silent.test", DNS_TEMPFAIL, { NULL } },
	{ DNS_MX, "nowhere.test", DNS_OK, { "10 gone.test" } },
	{ DNS_MX, "half.test", DNS_OK, { "10 servfail.test" } },
	/* One name has no answer, the other has: the one that has is tried. */
	{ DNS_MX, "some.test", DNS_OK, { "10 servfail.test", "20 a.test" } },
	{ DNS_MX, "broken.test", DNS_TEMPFAIL, { NULL } },
	/* RFC 2181, 10.3: an MX that is an alias is followed all the same. */
	{ DNS_MX, "alias.test", DNS_OK, { "10 cname.test" } },
	{ DNS_A, "cname.test", DNS_OK, { "192.0.2.1" } },
	{ DNS_AAAA, "cname.test", DNS_OK, { "2001:db8::1" } },
	/* RFC 7505, 3: with others beside it "." is no null MX. */
	{ DNS_MX, "odd.test", DNS_OK, { "0 ", "10 a.test" } },
	{ DNS_MX, "six.test", DNS_OK, { "10 many.test" } },
	{ DNS_A, "many.test", DNS_OK, { "192.0.2.11", "192.0.2.12" } },
	{ DNS_AAAA, "many.test", DNS_OK, { "2001:db8::11", "2001:db8::12" } },
	{ DNS_MX, "nxhost.test", DNS_OK, { "10 gone.test", "20 a.test" } },
	{ DNS_A, "broken.test", DNS_OK, { "192.0.2.1" } },
	{ DNS_MX, "v6only.test", DNS_NODATA, { NULL } },
	{ DNS_A, "v6only.test", DNS_NODATA, { NULL } },
	{ DNS_AAAA, "v6only.test", DNS_OK, { "2001:db8::7" } },
	{ DNS_A, "a.test", DNS_OK, { "192.0.2.1" } },
	{ DNS_AAAA, "a.test", DNS_OK, { "2001:db8::1" } },
	{ DNS_A, "b.test", DNS_OK, { "192.0.2.2", "192.0.2.3" } },
	{ DNS_AAAA, "b.test", DNS_NODATA, { NULL } },
	{ DNS_A, "nat.test", DNS_OK, { "192.0.2.99" } },
	{ DNS_A, "plain.test", DNS_OK, { "192.0.2.7" } },
	{ DNS_A, "bare.test", DNS_NODATA, { NULL } },
	{ DNS_AAAA, "bare.test", DNS_NODATA, { NULL } },
	{ DNS_A, "servfail.test", DNS_TEMPFAIL, { NULL } },
	{ 0 }
};

static void
test_by_mx(void **state)
{
	static const struct { const char *domain, *want; } cases[] = {
		{ "two.test", "a.test=[2001:db8::1]:25 a.test=192.0.2.1:25 "
		    "b.test=192.0.2.2:25 b.test=192.0.2.3:25" },
		{ "same.test", "a.test=[2001:db8::1]:25 a.test=192.0.2.1:25 "
		    "b.test=192.0.2.2:25 b.test=192.0.2.3:25" },
		{ "plain.test", "plain.test=192.0.2.7:25" },
		{ "backup.test",
		    "a.test=[2001:db8::1]:25 a.test=192.0.2.1:25" },
		{ "natted.test",
		    "a.test=[2001:db8::1]:25 a.test=192.0.2.1:25" },
		{ "[192.0.2.5]", "192.0.2.5=192.0.2.5:25" },
		{ "[IPv6:2001:db8::5]", "2001:db8::5=[2001:db8::5]:25" },
		{ "null.test", "556 5.1.10" },
		{ "us.test", "554 5.4.6 " },
		{ "natonly.test", "554 5.4.6 " },
		{ "missing.test", "550 5.1.2 " },
		{ "bare.test", "550 5.4.4 " },
		{ "nowhere.test", "550 5.4.4 " },
		{ "silent.test", "451 4.4.3 " },
		{ "half.test", "451 4.4.3 " },
		{ "some.test", "a.test=[2001:db8::1]:25 "
		    "a.test=192.0.2.1:25" },
		/* No answer to MX is not "no MX": its address is not tried. */
		{ "broken.test", "451 4.4.3 " },
		{ "alias.test", "cname.test=[2001:db8::1]:25 "
		    "cname.test=192.0.2.1:25" },
		{ "odd.test", "a.test=[2001:db8::1]:25 a.test=192.0.2.1:25" },
		{ "six.test", "many.test=[2001:db8::11]:25 "
		    "many.test=192.0.2.11:25 many.test=[2001:db8::12]:25 "
		    "many.test=192.0.2.12:25" },
		{ "nxhost.test", "a.test=[2001:db8::1]:25 "
		    "a.test=192.0.2.1:25" },
		{ "v6only.test", "v6only.test=[2001:db8::7]:25" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(&(struct conf_action){ 0 }, cases[i].domain, zone,
		    cases[i].want);
}

static struct conf_dest
dest(enum conf_dest_kind kind, const char *host, uint16_t port)
{
	struct conf_dest	d = { .kind = kind, .port = port,
				    .host = (char *)(uintptr_t)host };

	if (kind == DEST_HOST)
		(void)addr_parse(span_str(host), &d.addr);
	return d;
}

static void
test_by_list(void **state)
{
	struct conf_dest	d[3] = {
		dest(DEST_HOST, "b.test", 2525),
		dest(DEST_HOST, "192.0.2.99", 25),
		dest(DEST_MX, "two.test", 25)
	};
	struct conf_action	a = { .dests = d, .ndests = 3 };

	(void)state;
	/* Ours by address too: a list is the administrator's word. */
	expect(&a, "", zone, "b.test=192.0.2.2:2525 b.test=192.0.2.3:2525 "
	    "192.0.2.99=192.0.2.99:25 a.test=[2001:db8::1]:25 "
	    "a.test=192.0.2.1:25 b.test=192.0.2.2:25 b.test=192.0.2.3:25");
	assert_true(addr_parse(span_str("2001:db8::9"), &a.source));
	expect(&a, "", zone, "a.test=[2001:db8::1]:25");
	a.source.family = 0;
	/* A name that is missing is a mistake of ours: never permanent. */
	d[0] = dest(DEST_HOST, "missing.test", 25);
	a.ndests = 1;
	expect(&a, "", zone, "451 4.3.5 ");
	d[0] = dest(DEST_HOST, "servfail.test", 25);
	expect(&a, "", zone, "451 4.4.3 ");
	d[0] = dest(DEST_MX, "us.test", 25);
	expect(&a, "", zone, "554 5.4.6 ");
}

/* A table's list stands in the place of the action's own; what is said of each
 * destination goes with its addresses. */
static void
test_by_table(void **state)
{
	struct conf_dest	d[3] = {
		dest(DEST_HOST, "b.test", 2525),
		dest(DEST_HOST, "missing.test", 25),
		dest(DEST_HOST, "192.0.2.4", 26)
	};
	struct conf_pool	p = { .dests = d, .ndests = 3 };
	struct conf_action	a = { .by = BY_RCPT_DOMAIN };
	static struct hosts_list list;
	struct conf		 conf = { .hostname = (char *)(uintptr_t)ours };
	struct hosts		*h;
	enum dns_type		 type;
	const char		*name;
	unsigned		 number;

	(void)state;
	d[0].weight = 3;
	d[2].standby = true;
	expect_in(&a, &p, "two.test", zone, "b.test=192.0.2.2:2525 "
	    "b.test=192.0.2.3:2525 192.0.2.4=192.0.2.4:26");
	assert_non_null(h = hosts_new(&conf, &a, &p, "two.test", first));
	while (hosts_question(h, &number, &type, &name))
		answer(h, zone, number, type, name);
	hosts_result(h, &list);
	assert_int_equal(list.n, 3);
	for (size_t i = 0; i < 2; i++)
		assert_true(list.cand[i].group == 0 &&
		    list.cand[i].weight == 3 && !list.cand[i].standby);
	assert_true(list.cand[2].group == 2 && list.cand[2].weight == 0 &&
	    list.cand[2].standby);
	hosts_free(h);
	p = (struct conf_pool){ .dests = &d[1], .ndests = 1 };
	expect_in(&a, &p, "two.test", zone, "451 4.3.5 ");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_by_mx),
		cmocka_unit_test(test_by_list),
		cmocka_unit_test(test_by_table)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
