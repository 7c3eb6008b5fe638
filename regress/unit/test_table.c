/*
 * Tables: how keys are compared, addresses of mail, domains, prefixes, files.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/conf/table_i.h"

static struct arena		*mem;
static struct conf_table	*t;

static int
setup(void **state)
{
	(void)state;
	mem = arena_new(64 << 20);
	t = table_new(mem, "t");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	table_clear(t);
	arena_free(mem);
	return 0;
}

static void
add(const char *key, const char *value)
{
	assert_true(table_add(mem, t, span_str(key), span_str(value)));
}

static const char *
mail(const char *address, const char *sub, bool ours)
{
	static char	 out[100];
	struct span	 v;

	if (!table_get_mail(t, span_str(address), sub, ours, &v))
		return "-";
	snprintf(out, sizeof(out), "%.*s", (int)v.len, (const char *)v.p);
	return out;
}

static void
keys(void **state)
{
	struct span	 v;
	char		 big[TABLE_KEY_MAX + 2];

	(void)state;
	add("Anna", "1");
	add("aNNa", "2");		/* the first one stays */
	add("münchen.example", "m");
	add("x@München.example", "x");
	add("empty", "");
	assert_int_equal(table_count(t), 4);
	assert_true(table_get(t, span_str("ANNA"), &v));
	assert_true(span_is(v, "1"));
	assert_false(table_get(t, span_str("ann"), NULL));
	assert_false(table_get(t, span_str(""), NULL));
	assert_true(table_get(t, span_str("xn--mnchen-3ya.example"), &v));
	assert_true(span_is(v, "m"));
	assert_true(table_get(t, span_str("MÜNCHEN.example"), NULL) ||
	    table_get(t, span_str("münchen.EXAMPLE"), NULL));
	assert_true(table_get(t, span_str("X@xn--mnchen-3ya.example"), NULL));
	assert_true(table_get(t, span_str("empty"), &v));
	assert_int_equal(v.len, 0);
	memset(big, 'a', sizeof(big));
	assert_true(table_add(mem, t, span(big, TABLE_KEY_MAX), span_str("")));
	assert_false(table_add(mem, t, span(big, TABLE_KEY_MAX + 1),
	    span_str("")));
	assert_false(table_add(mem, t, span_str(""), span_str("x")));
	assert_false(table_get(t, span(big, sizeof(big)), NULL));
}

/* The most telling entry wins: config.md's order. */
static void
addresses(void **state)
{
	(void)state;
	add("anna+work@example.org", "ext");
	add("anna@example.org", "user");
	add("example.org", "domain");
	add(".example.org", "parent");
	add("@catch.example", "catch");
	add("bert@catch.example", "bert");
	add("postmaster", "bare");
	assert_string_equal(mail("anna+work@example.org", "+", false), "ext");
	assert_string_equal(mail("ANNA+Work@Example.ORG", "+", false), "ext");
	assert_string_equal(mail("anna+x@example.org", "+", false), "user");
	assert_string_equal(mail("anna+x@example.org", "", false), "domain");
	assert_string_equal(mail("anna-x@example.org", "-", false), "user");
	assert_string_equal(mail("+x@example.org", "+", false), "domain");
	assert_string_equal(mail("carl@example.org", "+", false), "domain");
	assert_string_equal(mail("carl@a.b.example.org", "+", false), "parent");
	assert_string_equal(mail("carl@xexample.org", "+", false), "-");
	assert_string_equal(mail("carl@catch.example", "+", false), "catch");
	assert_string_equal(mail("bert+1@catch.example", "+", false), "bert");
	assert_string_equal(mail("postmaster@other.example", "+", false), "-");
	assert_string_equal(mail("postmaster@other.example", "+", true),
	    "bare");
	assert_string_equal(mail("postmaster+1@other.example", "+", true),
	    "bare");
	assert_string_equal(mail("", "+", true), "-");
	assert_string_equal(mail("@", "+", true), "-");
	assert_string_equal(mail("\"a@b\"@catch.example", "+", true), "catch");
	assert_true(table_has_domain(t, span_str("CATCH.example")));
	assert_true(table_has_domain(t, span_str("example.org")));
	assert_false(table_has_domain(t, span_str("a.example.org")));
	assert_false(table_has_domain(t, span_str("")));
}

static void
domains(void **state)
{
	static const struct { const char *d; bool in; } tests[] = {
		{ "example.org", true }, { "EXAMPLE.org", true },
		{ "a.example.org", false }, { "example.net", false },
		{ "a.example.net", true }, { "b.a.example.net", true },
		{ "xexample.net", false }, { "net", false }, { "", false },
		{ ".", false }, { "..", false }, { "a..example.net", true }
	};

	(void)state;
	add("example.org", "");
	add(".example.net", "");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (table_get_domain(t, span_str(tests[i].d), NULL) !=
		    tests[i].in)
			fail_msg("%s", tests[i].d);
}

static void
prefixes(void **state)
{
	static const struct { const char *a, *value; } tests[] = {
		{ "10.1.2.3", "net" }, { "10.1.9.1", "sub" },
		{ "10.1.9.7", "host" }, { "11.0.0.1", NULL },
		{ "2001:db8::1", "six" }, { "2001:db9::1", NULL },
		{ "::ffff:10.1.2.3", "net" }, { "192.0.2.1", "one" }
	};
	struct addr	 a;
	struct span	 v;

	(void)state;
	add("10.0.0.0/8", "net");
	add("10.1.9.0/24", "sub");
	add("10.1.9.7", "host");
	add("192.0.2.1/32", "one");
	add("2001:db8::/32", "six");
	add("10.9.9.9/8", "no prefix: host bits");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		assert_true(addr_parse(span_str(tests[i].a), &a));
		if (table_get_addr(t, &a, &v) != (tests[i].value != NULL) ||
		    (tests[i].value != NULL && !span_is(v, tests[i].value)))
			fail_msg("%s", tests[i].a);
	}
	a = (struct addr){ 0 };
	assert_false(table_get_addr(t, &a, NULL));
	assert_true(addr_parse(span_str("10.0.0.0"), &a));
	assert_true(table_has_prefix(t, &a, 8));
	assert_false(table_has_prefix(t, &a, 9));
}

static void
files(void **state)
{
	static const struct { const char *text; unsigned bad; } tests[] = {
		{ "", 0 }, { "\n\n# x\n", 0 }, { "a b\nc", 0 },
		{ "a\r\nb c\r\n", 0 }, { "ok\nb\001 x\n", 2 },
		{ "ok\n\n\xff\n", 3 }, { "a\tb", 0 }
	};
	struct span	 v;

	(void)state;
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct conf_table *x = table_new(mem, "x");

		if (table_load(mem, x, span_str(tests[i].text)) != tests[i].bad)
			fail_msg("%zu", i);
		table_clear(x);
	}
	assert_int_equal(table_load(mem, t, span_str("key\nkey2 value  of it \n"
	    "key3: a, b # c\na#b@c d#e\n  2001:db8:: six\n::/0: all\nlast:")),
	    0);
	assert_true(table_get(t, span_str("key"), &v) && v.len == 0);
	assert_true(table_get(t, span_str("key2"), &v));
	assert_true(span_is(v, "value  of it"));
	assert_true(table_get(t, span_str("key3"), &v));
	assert_true(span_is(v, "a, b"));
	assert_true(table_get(t, span_str("a#b@c"), &v));
	assert_true(span_is(v, "d#e"));
	assert_true(table_get(t, span_str("2001:db8::"), &v));
	assert_true(table_get(t, span_str("::/0"), &v) && span_is(v, "all"));
	assert_true(table_get(t, span_str("last"), NULL));
}

static bool
first_two(struct span key, struct span value, void *arg)
{
	unsigned	*n = arg;

	(void)value;
	assert_true(span_is(key, *n == 0 ? "b" : "a"));
	return ++*n < 2;
}

static void
each(void **state)
{
	unsigned	 n = 0;

	(void)state;
	add("b", "");
	add("a", "");
	add("c", "");
	table_each(t, first_two, &n);
	assert_int_equal(n, 2);
	assert_string_equal(table_name(t), "t");
}

/* 100,000 entries and prefixes: each look-up costs the same. */
static void
large(void **state)
{
	char		 key[64];
	struct addr	 a;

	(void)state;
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(key, sizeof(key), "user%u@example.org", i);
		add(key, "v");
		snprintf(key, sizeof(key), "10.%u.%u.0/24", i / 256 % 256,
		    i % 256);
		add(key, "");
	}
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(key, sizeof(key), "USER%u+x@example.org", i);
		assert_true(table_get_mail(t, span_str(key), "+", false, NULL));
		snprintf(key, sizeof(key), "10.%u.%u.7", i / 256 % 256,
		    i % 256);
		assert_true(addr_parse(span_str(key), &a));
		assert_true(table_get_addr(t, &a, NULL));
	}
}

/* ---- a table of makemap's gives what the text gave ----------------------- */

static bool
record(struct span key, struct span value, void *arg)
{
	return cdb_make_add(arg, key.p, (unsigned)key.len, value.p == NULL ?
	    (const uint8_t *)"" : value.p, (unsigned)value.len) == 0;
}

/* t as a file's bytes; to be freed. */
static struct span
cdb_of(const struct conf_table *from)
{
	struct cdb_make	 m;
	FILE		*f = tmpfile();
	long		 n;
	char		*p;

	assert_non_null(f);
	assert_int_equal(cdb_make_start(&m, fileno(f)), 0);
	assert_true(table_cdb_records(from, record, &m));
	assert_int_equal(cdb_make_finish(&m), 0);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	assert_true((n = ftell(f)) > 0);
	assert_non_null(p = malloc((size_t)n));
	rewind(f);
	assert_int_equal(fread(p, 1, (size_t)n, f), n);
	fclose(f);
	return span(p, (size_t)n);
}

static bool
count_one(struct span key, struct span value, void *arg)
{
	(void)key;
	(void)value;
	++*(size_t *)arg;
	return true;
}

static void
cdb(void **state)
{
	struct conf_table	*text = t, *made = table_new(mem, "made");
	struct addr		 a, b;
	struct span		 file, v;
	size_t			 n = 0;

	(void)state;
	add("Anna@Example.org", "1");
	add("anna@example.org", "the first one counts");
	add("m\xc3\xbcnchen.example", "2");
	add("@example.net", "3");
	add(".sub.example", "4");
	add("10.0.0.0/8", "5");
	add("10.1.0.0/16", "6");
	add("2001:db8::/32", "7");
	add("postmaster", "");
	file = cdb_of(text);
	assert_null(table_cdb_open(made, file));
	assert_int_equal(table_count(made), table_count(text));
	table_each(made, count_one, &n);
	assert_int_equal(n, 8);
	t = made;
	assert_string_equal(mail("ANNA@example.ORG", "+", false), "1");
	assert_string_equal(mail("anna+x@example.org", "+", false), "1");
	assert_string_equal(mail("x@xn--mnchen-3ya.example", "+", false), "2");
	assert_string_equal(mail("x@example.net", "+", false), "3");
	assert_string_equal(mail("x@a.b.sub.example", "+", false), "4");
	assert_string_equal(mail("postmaster@x.example", "+", true), "");
	assert_string_equal(mail("x@example.com", "+", false), "-");
	assert_true(table_has_domain(made, span_str("EXAMPLE.org")));
	assert_false(table_has_domain(made, span_str("sub.example")));
	assert_true(addr_parse(span_str("10.1.2.3"), &a));
	assert_true(addr_parse(span_str("2001:db8::1"), &b));
	assert_true(table_get_addr(made, &a, &v));
	assert_true(span_is(v, "6"));
	assert_int_equal(table_addr_bits(made, &b), 32);
	assert_true(table_has_prefix(made, &a, 8));
	assert_false(table_has_prefix(made, &a, 24));
	t = text;
	table_clear(made);
	free((void *)(uintptr_t)file.p);
}

/* Cut anywhere, with any byte changed, or none at all: refused, or read within
 * its bounds. */
static void
cdb_broken(void **state)
{
	struct conf_table	*made = table_new(mem, "made");
	struct span		 file;
	uint8_t			*copy;
	size_t			 n = 0;

	(void)state;
	assert_non_null(table_cdb_open(made, span(NULL, 0)));
	add("anna@example.org", "1");
	add("10.0.0.0/8", "5");
	file = cdb_of(t);
	for (size_t cut = 0; cut < file.len; cut++) {
		assert_non_null(copy = malloc(cut + 1));
		memcpy(copy, file.p, cut);
		if (table_cdb_open(made, span(copy, cut)) == NULL) {
			table_get(made, span_str("anna@example.org"), NULL);
			table_each(made, count_one, &n);
		}
		made->is_cdb = false;
		free(copy);
	}
	assert_non_null(copy = malloc(file.len));
	for (size_t i = 0; i < file.len; i++) {
		memcpy(copy, file.p, file.len);
		copy[i] ^= 0xa5;
		if (table_cdb_open(made, span(copy, file.len)) == NULL) {
			table_get(made, span_str("anna@example.org"), NULL);
			table_each(made, count_one, &n);
		}
		made->is_cdb = false;
	}
	free(copy);
	table_clear(made);
	free((void *)(uintptr_t)file.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(domains, setup, teardown),
		cmocka_unit_test_setup_teardown(prefixes, setup, teardown),
		cmocka_unit_test_setup_teardown(files, setup, teardown),
		cmocka_unit_test_setup_teardown(each, setup, teardown),
		cmocka_unit_test_setup_teardown(large, setup, teardown),
		cmocka_unit_test_setup_teardown(cdb, setup, teardown),
		cmocka_unit_test_setup_teardown(cdb_broken, setup, teardown)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
