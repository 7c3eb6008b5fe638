/*
 * The protocol of Dovecot's auth socket: what it says, line by line, and what
 * is said to it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/sasl/dovecot.h"

static struct dovecot_line	 l;
static const char		*why;

static enum parse
reads(const char *text)
{
	struct span	in = span_str(text);
	enum parse	r = dovecot_read(&in, &l, &why);

	if (r == PARSE_OK)
		assert_int_equal(in.len, 0);
	return r;
}

static void
hello(void **state)
{
	struct span	in = span_str("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\n"
			    "SPID\t7\nDONE\nOK");

	(void)state;
	assert_int_equal(dovecot_read(&in, &l, &why), PARSE_OK);
	assert_int_equal(l.kind, DOVECOT_VERSION);
	assert_int_equal(dovecot_read(&in, &l, &why), PARSE_OK);
	assert_int_equal(l.kind, DOVECOT_MECH);
	assert_true(span_is(l.mech, "PLAIN"));
	assert_int_equal(dovecot_read(&in, &l, &why), PARSE_OK);
	assert_int_equal(l.kind, DOVECOT_OTHER);
	assert_int_equal(dovecot_read(&in, &l, &why), PARSE_OK);
	assert_int_equal(l.kind, DOVECOT_DONE);
	assert_int_equal(dovecot_read(&in, &l, &why), PARSE_MORE);
	assert_true(span_is(in, "OK"));
	assert_int_equal(reads("MECH\tANONYMOUS\tanonymous\n"), PARSE_OK);
	assert_int_equal(l.kind, DOVECOT_OTHER);
	assert_int_equal(reads("MECH\tDOVECOT-TOKEN\tprivate\n"), PARSE_OK);
	assert_int_equal(l.kind, DOVECOT_OTHER);
	assert_int_equal(reads("VERSION\t1\t99\n"), PARSE_OK);
	assert_int_equal(reads("\n"), PARSE_OK);
	assert_int_equal(reads("OKAY\t1\n"), PARSE_OK);
	assert_int_equal(l.kind, DOVECOT_OTHER);
}

static void
answers(void **state)
{
	(void)state;
	assert_int_equal(reads("CONT\t4294967295\tPDE+\n"), PARSE_OK);
	assert_true(l.kind == DOVECOT_CONT && l.id == UINT32_MAX &&
	    span_is(l.data, "PDE+"));
	assert_int_equal(reads("CONT\t1\t\n"), PARSE_OK);
	assert_int_equal(l.data.len, 0);
	assert_int_equal(reads("CONT\t1\n"), PARSE_OK);
	assert_int_equal(l.data.len, 0);
	assert_int_equal(reads("OK\t2\tuser=anna@example.org\tuid=1\n"),
	    PARSE_OK);
	assert_true(l.kind == DOVECOT_OK && l.id == 2);
	assert_string_equal(l.user, "anna@example.org");
	assert_int_equal(reads("FAIL\t3\tuser=anna\treason=it\1twas\n"),
	    PARSE_OK);
	assert_true(l.kind == DOVECOT_FAIL && l.id == 3 && !l.temp);
	assert_string_equal(l.reason, "");	/* a tab in it */
	assert_int_equal(reads("FAIL\t3\ttemp\treason=no server\n"), PARSE_OK);
	assert_true(l.temp);
	assert_string_equal(l.reason, "no server");
	assert_int_equal(reads("FAIL\t3\tcode=temp_fail\n"), PARSE_OK);
	assert_true(l.temp);
	assert_int_equal(reads("FAIL\t3\tcode=authz_fail\tauthz\n"), PARSE_OK);
	assert_false(l.temp);
}

/* A name that is none is not shown, and is nobody's. */
static void
names(void **state)
{
	const struct { const char *line, *want; } t[] = {
		{ "OK\t1\n", "" }, { "OK\t1\tuser=\n", "" },
		{ "OK\t1\tuser=a b\n", "a b" }, { "OK\t1\tusers=a\n", "" },
		{ "OK\t1\tuser=\xc3\xa4\n", "\xc3\xa4" },
		{ "OK\t1\tuser=\xe4\n", "" }, { "OK\t1\tuser=a\1nb\n", "" },
		{ "OK\t1\tuser=a\1tb\n", "" }, { "OK\t1\tuser=a\1" "0b\n", "" },
		{ "OK\t1\tuser=a\1" "1b\n", "" }, { "OK\t1\tuser=a\1\n", "" },
		{ "OK\t1\tuser=a\1xb\n", "" }, { "OK\t1\tuser=a\rb\n", "" },
		{ "OK\t1\tuser=a\x7f\n", "" },
	};
	char	 text[700];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(reads(t[i].line), PARSE_OK);
		assert_string_equal(l.user, t[i].want);
	}
	for (int n = 254; n < 258; n++) {
		snprintf(text, sizeof(text), "OK\t1\tuser=%0*d\n", n, 0);
		assert_int_equal(reads(text), PARSE_OK);
		assert_int_equal(strlen(l.user), n <= DOVECOT_USER_MAX ? n :
		    0);
	}
}

static void
malformed(void **state)
{
	const char *const bad[] = {
		"VERSION\t2\t0\n", "VERSION\n", "VERSION\tx\t1\n", "MECH\n",
		"MECH\t\n", "MECH\tA B\n", "MECH\tVERY-LONG-MECHANISM-NAME\n",
		"CONT\n", "CONT\tx\tQQ==\n", "CONT\t0\tQQ==\n",
		"CONT\t4294967296\tQQ==\n", "CONT\t1\t!\n", "OK\n", "OK\t-1\n",
		"FAIL\t\n",
	};
	char	*big = malloc(DOVECOT_LINE_MAX + 3);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (reads(bad[i]) != PARSE_BAD)
			fail_msg("line %zu is taken", i);
		assert_true(why[0] != '\0');
	}
	memset(big, 'x', DOVECOT_LINE_MAX + 3);
	big[DOVECOT_LINE_MAX] = '\0';
	assert_int_equal(reads(big), PARSE_MORE);
	big[DOVECOT_LINE_MAX] = 'x';
	big[DOVECOT_LINE_MAX + 1] = '\0';
	assert_int_equal(reads(big), PARSE_BAD);
	free(big);
}

static void
said(void **state)
{
	struct addr	 client, local;
	struct buf	 b;

	(void)state;
	buf_init(&b, 1000);
	addr_parse(span_str("192.0.2.1"), &client);
	addr_parse(span_str("2001:db8::1"), &local);
	client.port = 4000;
	local.port = 587;
	assert_true(dovecot_hello(&b, 7));
	assert_string_equal(buf_cstr(&b), "VERSION\t1\t1\nCPID\t7\n");
	buf_reset(&b);
	assert_true(dovecot_auth(&b, &(struct dovecot_auth){ .id = 9,
	    .mech = span_str("PLAIN"), .client = &client, .local = &local,
	    .secured = true, .has_initial = true,
	    .initial = span_str("AGEAYg==") }));
	assert_string_equal(buf_cstr(&b), "AUTH\t9\tPLAIN\tservice=smtp\t"
	    "nologin\tsecured\tlip=2001:db8::1\tlport=587\trip=192.0.2.1\t"
	    "rport=4000\tresp=AGEAYg==\n");
	buf_reset(&b);
	assert_true(dovecot_auth(&b, &(struct dovecot_auth){ .id = 9,
	    .mech = span_str("EXTERNAL"), .has_initial = true,
	    .initial = span_str("=") }));
	assert_string_equal(buf_cstr(&b), "AUTH\t9\tEXTERNAL\tservice=smtp\t"
	    "nologin\tresp=\n");
	buf_reset(&b);
	assert_true(dovecot_auth(&b, &(struct dovecot_auth){ .id = 9,
	    .mech = span_str("LOGIN") }));
	assert_string_equal(buf_cstr(&b), "AUTH\t9\tLOGIN\tservice=smtp\t"
	    "nologin\n");
	buf_reset(&b);
	assert_true(dovecot_cont(&b, 9, span_str("YQ==")) &&
	    dovecot_cont(&b, 9, span(NULL, 0)) && dovecot_cancel(&b, 9));
	assert_string_equal(buf_cstr(&b), "CONT\t9\tYQ==\nCONT\t9\t\n"
	    "CANCEL\t9\n");
	/* Nothing of a client's makes a second line or word. */
	assert_false(dovecot_cont(&b, 9, span_str("a\nb")));
	assert_false(dovecot_cont(&b, 9, span_str("a\tb")));
	assert_false(dovecot_auth(&b, &(struct dovecot_auth){ .id = 9,
	    .mech = span_str("A\tB") }));
	assert_false(dovecot_auth(&b, &(struct dovecot_auth){ .id = 9,
	    .mech = span_str("A"), .has_initial = true,
	    .initial = span_str("x\n") }));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(hello),
		cmocka_unit_test(answers),
		cmocka_unit_test(names),
		cmocka_unit_test(malformed),
		cmocka_unit_test(said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
