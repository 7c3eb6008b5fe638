/*
 * Which hosts are held to their TLSA records (RFC 7672, 2): only those that are
 * known by validated answers alone, aliases at their end and then at their
 * beginning; no answer means "not now", never "no".
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "common/lookup/hosts.h"

#define TLSA	"\3\1\1" "0123456789abcdef0123456789abcdef"
#define USELESS	"\1\1\1" "0123456789abcdef0123456789abcdef"

#define MANY	"many"		/* TLSA behind 40 of the useless */

/* What DNS says; the table ends with type 0. */
struct zone {
	enum dns_type	 type;
	const char	*name;
	enum dns_status	 status;
	bool		 ad;
	const char	*data;		/* an address, a host, a record */
	const char	*canon;
};

static const struct zone zone[] = {
	{ DNS_MX, "good.test", DNS_OK, true, "mx.good.test", NULL },
	{ DNS_A, "mx.good.test", DNS_OK, true, "192.0.2.1", NULL },
	{ DNS_TLSA, "_25._tcp.mx.good.test", DNS_OK, true, TLSA, NULL },
	{ DNS_TLSA, "_2525._tcp.mx.good.test", DNS_OK, true, USELESS, NULL },
	/* Its MX answer may be anybody's. */
	{ DNS_MX, "nomx.test", DNS_OK, false, "mx.good.test", NULL },
	/* Not signed at all: the question is not even asked. */
	{ DNS_MX, "plain.test", DNS_OK, true, "mx.plain.test", NULL },
	{ DNS_A, "mx.plain.test", DNS_OK, false, "192.0.2.2", NULL },
	{ DNS_TLSA, "_25._tcp.mx.plain.test", DNS_OK, true, TLSA, NULL },
	/* One of its two families is not signed. */
	{ DNS_MX, "half.test", DNS_OK, true, "mx.half.test", NULL },
	{ DNS_A, "mx.half.test", DNS_OK, true, "192.0.2.2", NULL },
	{ DNS_AAAA, "mx.half.test", DNS_OK, false, "2001:db8::2", NULL },
	{ DNS_TLSA, "_25._tcp.mx.half.test", DNS_OK, true, TLSA, NULL },
	/* The records are not signed, useless, not there, not to be had. */
	{ DNS_MX, "norr.test", DNS_OK, true, "mx.norr.test", NULL },
	{ DNS_A, "mx.norr.test", DNS_OK, true, "192.0.2.3", NULL },
	{ DNS_TLSA, "_25._tcp.mx.norr.test", DNS_NODATA, true, NULL, NULL },
	{ DNS_MX, "fake.test", DNS_OK, true, "mx.fake.test", NULL },
	{ DNS_A, "mx.fake.test", DNS_OK, true, "192.0.2.3", NULL },
	{ DNS_TLSA, "_25._tcp.mx.fake.test", DNS_OK, false, TLSA, NULL },
	{ DNS_MX, "useless.test", DNS_OK, true, "mx.useless.test", NULL },
	{ DNS_A, "mx.useless.test", DNS_OK, true, "192.0.2.3", NULL },
	{ DNS_TLSA, "_25._tcp.mx.useless.test", DNS_OK, true, USELESS, NULL },
	{ DNS_MX, "bogus.test", DNS_OK, true, "mx.bogus.test", NULL },
	{ DNS_A, "mx.bogus.test", DNS_OK, true, "192.0.2.3", NULL },
	{ DNS_TLSA, "_25._tcp.mx.bogus.test", DNS_TEMPFAIL, false, NULL,
	    NULL },
	{ DNS_MX, "many.test", DNS_OK, true, "mx.many.test", NULL },
	{ DNS_A, "mx.many.test", DNS_OK, true, "192.0.2.3", NULL },
	{ DNS_TLSA, "_25._tcp.mx.many.test", DNS_OK, true, MANY, NULL },
	/* Aliases: to a host with records, to one without (its own count), out
	 * of what is signed (the alias itself is, or is not). */
	{ DNS_MX, "alias.test", DNS_OK, true, "www.alias.test", NULL },
	{ DNS_A, "www.alias.test", DNS_OK, true, "192.0.2.1",
	    "mx.good.test" },
	{ DNS_MX, "alias2.test", DNS_OK, true, "www.alias2.test", NULL },
	{ DNS_A, "www.alias2.test", DNS_OK, true, "192.0.2.3",
	    "mx.norr.test" },
	{ DNS_TLSA, "_25._tcp.www.alias2.test", DNS_OK, true, TLSA, NULL },
	{ DNS_MX, "out.test", DNS_OK, true, "www.out.test", NULL },
	{ DNS_A, "www.out.test", DNS_OK, false, "192.0.2.2",
	    "mx.plain.test" },
	{ DNS_CNAME, "www.out.test", DNS_OK, true, "mx.plain.test", NULL },
	{ DNS_TLSA, "_25._tcp.www.out.test", DNS_OK, true, TLSA, NULL },
	{ DNS_MX, "out2.test", DNS_OK, true, "www.out2.test", NULL },
	{ DNS_A, "www.out2.test", DNS_OK, false, "192.0.2.2",
	    "mx.plain.test" },
	{ DNS_CNAME, "www.out2.test", DNS_OK, false, "mx.plain.test", NULL },
	{ DNS_TLSA, "_25._tcp.www.out2.test", DNS_OK, true, TLSA, NULL },
	{ DNS_MX, "out3.test", DNS_OK, true, "www.out3.test", NULL },
	{ DNS_A, "www.out3.test", DNS_OK, false, "192.0.2.2",
	    "mx.plain.test" },
	{ DNS_CNAME, "www.out3.test", DNS_TEMPFAIL, false, NULL, NULL },
	/* No MX: the domain is the host. */
	{ DNS_MX, "bare.test", DNS_NODATA, false, NULL, NULL },
	{ DNS_A, "bare.test", DNS_OK, true, "192.0.2.4", NULL },
	{ DNS_TLSA, "_25._tcp.bare.test", DNS_OK, true, TLSA, NULL },
	{ 0 }
};

static uint32_t
first(uint32_t bound)
{
	return bound - 1;
}

static void
answer(struct hosts *h, unsigned number, enum dns_type type, const char *name)
{
	const struct zone	*z = zone;
	struct hosts_reply	 r = { .ttl = 60, .status = DNS_NXDOMAIN,
				    .ad = true };
	struct addr		 addr = { 0 };
	struct mx_host		 mx = { .pref = 10 };
	struct span		 text, many[41];

	while (z->type != 0 && (z->type != type ||
	    !span_caseis(span_str(z->name), name)))
		z++;
	if (z->type != 0) {
		r.status = z->status;
		r.ad = z->ad;
		r.canon = z->canon;
		r.n = z->data != NULL;
	}
	if (r.n == 1 && (type == DNS_A || type == DNS_AAAA)) {
		assert_true(addr_parse(span_str(z->data), &addr));
		r.addrs = &addr;
	} else if (r.n == 1 && type == DNS_MX) {
		strlcpy(mx.name, z->data, sizeof(mx.name));
		r.mx = &mx;
	} else if (r.n == 1 && strcmp(z->data, MANY) == 0) {
		for (r.n = 0; r.n < 40; r.n++)
			many[r.n] = span_str(USELESS);
		many[r.n++] = span_str(TLSA);
		r.texts = many;
	} else if (r.n == 1 && type == DNS_TLSA) {
		text = span_str(z->data);
		r.texts = &text;
	}
	hosts_answer(h, number, &r);
}

/* "BASE DOMAIN" that the host is held to, "none", "encrypt", or the code. */
static bool	 lax, named;		/* hosts_lax(); of the first */

static void
expect(struct conf_action *a, const char *domain, const char *want)
{
	static struct hosts_list list;
	const struct hosts_tls	*t = list.tls;
	struct conf		 conf = { .hostname = (char *)(uintptr_t)"gw" };
	struct hosts		*h;
	struct buf		 b;
	enum dns_type		 type;
	const char		*name;
	unsigned		 number;

	buf_init(&b, 4096);
	assert_non_null(h = hosts_new(&conf, a, NULL, domain, first));
	if (lax)
		hosts_lax(h);
	while (hosts_question(h, &number, &type, &name))
		answer(h, number, type, name);
	assert_true(hosts_done(h));
	hosts_result(h, &list);
	named = list.n > 0 && list.tls[list.cand[0].host].named;
	if (list.n == 0)
		buf_fmt(&b, "%u %.5s", list.code, list.text);
	else if ((t = &list.tls[list.cand[0].host])->dane == DANE_NONE)
		buf_str(&b, "none");
	else if (t->dane == DANE_UNUSABLE)
		buf_str(&b, "encrypt");
	else
		buf_fmt(&b, "%s %s", t->base, t->domain);
	if (strcmp(buf_cstr(&b), want) != 0)
		fail_msg("%s: %s", domain, buf_cstr(&b));
	assert_true(list.n == 0 || (t->set != NULL) ==
	    (t->dane == DANE_REQUIRED));
	/* Whom the list leaves out for DANE, and why. */
	assert_true((list.left_out != NULL) ==
	    (strcmp(want, "451 4.7.5") == 0));
	if (strcmp(domain, "bogus.test") == 0 && list.left_out != NULL) {
		assert_string_equal(list.left_out, "mx.bogus.test");
		assert_false(list.dane_missing);
	}
	if (strcmp(domain, "plain.test") == 0)
		assert_true(list.dane_missing == (list.left_out != NULL));
	buf_clear(&b);
	hosts_free(h);
}

static void
by_mx(void **state)
{
	static const struct { const char *domain, *want, *dane; } t[] = {
		{ "good.test", "mx.good.test good.test", NULL },
		{ "nomx.test", "none", "451 4.7.5" },
		{ "plain.test", "none", "451 4.7.5" },
		{ "half.test", "none", "451 4.7.5" },
		{ "norr.test", "none", "451 4.7.5" },
		{ "fake.test", "none", "451 4.7.5" },
		{ "useless.test", "encrypt", "451 4.7.5" },
		{ "many.test", "mx.many.test many.test", NULL },
		{ "bogus.test", "451 4.7.5", NULL },
		{ "alias.test", "mx.good.test alias.test", NULL },
		{ "alias2.test", "www.alias2.test alias2.test", NULL },
		{ "out.test", "www.out.test out.test", NULL },
		{ "out2.test", "none", "451 4.7.5" },
		{ "out3.test", "451 4.7.5", NULL },
		{ "bare.test", "bare.test bare.test", NULL },
		{ "[192.0.2.1]", "none", "451 4.7.5" },
	};
	struct conf_action	plain = { .type = ACT_RELAY }, dane = plain,
				require = plain;

	(void)state;
	dane.tls.mode = TLS_DANE;
	require.tls.mode = TLS_REQUIRE;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		expect(&plain, t[i].domain, t[i].want);
		expect(&require, t[i].domain, t[i].want);
		/* With tls dane nobody gets mail without. */
		expect(&dane, t[i].domain, t[i].dane != NULL ? t[i].dane :
		    t[i].want);
	}
}

/* Whose name may anybody have made up? */
static void
names(void **state)
{
	static const struct { const char *domain; bool named; } t[] = {
		{ "nomx.test", false },
		{ "half.test", true },		/* its addresses don't matter */
		{ "plain.test", true },
		{ "[192.0.2.1]", true },
	};
	struct conf_action	a = { .type = ACT_RELAY };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		expect(&a, t[i].domain, "none");
		if (named != t[i].named)
			fail_msg("%s", t[i].domain);
	}
	expect(&a, "good.test", "mx.good.test good.test");
	assert_true(named);
	/* No MX: the domain itself is the name. */
	expect(&a, "bare.test", "bare.test bare.test");
	assert_true(named);
	a.tls.mode = TLS_VERIFY;
	expect(&a, "good.test", "none");
	assert_true(named);
}

/* What the domain asks for may be left alone; not what is configured. */
static void
left_alone(void **state)
{
	struct conf_action	a = { .type = ACT_RELAY };

	(void)state;
	lax = true;
	expect(&a, "good.test", "none");
	expect(&a, "bogus.test", "none");
	a.tls.mode = TLS_REQUIRE;
	expect(&a, "good.test", "none");
	a.tls.mode = TLS_DANE;
	expect(&a, "good.test", "mx.good.test good.test");
	expect(&a, "bogus.test", "451 4.7.5");
	lax = false;
}

/* Other words leave DANE alone. */
static void
not_wanted(void **state)
{
	static const enum conf_tls_mode	modes[] = { TLS_OFF, TLS_VERIFY };
	struct conf_action		a = { .type = ACT_RELAY };

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		a.tls.mode = modes[i];
		expect(&a, "good.test", "none");
		expect(&a, "bogus.test", "none");
	}
}

/* A server that the configuration names, on its port. */
static void
by_list(void **state)
{
	struct conf_dest	d = { .kind = DEST_HOST, .port = 25,
				    .host = (char *)(uintptr_t)"mx.good.test" };
	struct conf_action	a = { .type = ACT_RELAY, .dests = &d,
				    .ndests = 1 };

	(void)state;
	expect(&a, "", "mx.good.test ");
	d.port = 2525;
	expect(&a, "", "encrypt");
	d.port = 26;
	expect(&a, "", "none");
	d.port = 25;
	d.scheme = SCHEME_SMTP_NOTLS;
	expect(&a, "", "none");
	d.scheme = SCHEME_NONE;
	expect(&a, "", "mx.good.test ");
	/* No client waits for it. */
	a.type = ACT_PROXY;
	expect(&a, "", "none");
	a.tls.mode = TLS_REQUIRE;
	expect(&a, "", "none");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(by_mx),
		cmocka_unit_test(names),
		cmocka_unit_test(left_alone),
		cmocka_unit_test(not_wanted),
		cmocka_unit_test(by_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
