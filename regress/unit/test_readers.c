/*
 * Where mail of queued's own goes: rules, lists of actions, aliases with their
 * loops and limits, postmaster's reader.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "queued/readers.h"
#include "regress/lib/confhelp.h"

static const char	text[] =
    "hostname gw.example.org\n"
    "postmaster pm@home.example\n"
    "listen on 192.0.2.1 port 25\n"
    "action out relay to { 192.0.2.9 }\n"
    "action live proxy to { 192.0.2.11 }\n"
    "action twin relay to { 192.0.2.10 }\n"
    "action names expand aliases {\n"
    "sales@a.example = \"anna@home.example, bert, anna@home.example\",\n"
    "bert@a.example = bert@home.example,\n"
    "self@a.example = \"self, dora@home.example\",\n"
    "x@a.example = y, y@a.example = x,\n"
    "half@a.example = \"no@home.example, anna@home.example\",\n"
    "none@a.example = no@home.example,\n"
    "two@a.example = u@two.example }\n"
    "match from any for rcpt-to no@home.example reject \"550 5.7.1 no\"\n"
    "match from any for rcpt-to abuse@home.example reject \"550 5.1.1 no\"\n"
    "match from any for domain a.example action names\n"
    "match from any for domain home.example action out\n"
    "match from any for domain two.example action { out, twin }\n"
    "match from any mail-from \"@vip.example\" for domain one.example "
    "action twin\n"
    "match from any for domain one.example action out\n"
    "match from any for domain live.example action live\n"
    "match from expanded for domain ex.example action out\n"
    "match from local for rcpt-to self@a.example action twin\n"
    "match from local for domain sender.example action out\n";

static struct conf	*conf;
static char		 got[4096];

static const char *
find(const char *to, bool expanded)
{
	struct readers	 r;
	size_t		 n = 0;

	readers_find(conf, span_str(to), expanded, &r);
	got[0] = '\0';
	for (size_t i = 0; i < r.n; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n,
		    "%s %s %u%s;", r.v[i].to, r.v[i].action->name,
		    r.v[i].group, r.v[i].expanded ? " x" : "");
	if (r.n == 0)
		snprintf(got, sizeof(got), "no: %s", r.why);
	readers_clear(&r);
	return got;
}

static void
test_rules(void **state)
{
	(void)state;
	assert_string_equal(find("A+b=c@sender.example", false),
	    "A+b=c@sender.example out 0;");
	assert_string_equal(find("u@two.example", false),
	    "u@two.example out 0;u@two.example twin 0;");
	assert_string_equal(find("no@home.example", false), "no: 5.7.1 no");
	assert_true(strncmp(find("u@ex.example", false), "no: 5.", 6) == 0);
	assert_string_equal(find("u@ex.example", true), "u@ex.example out 0;");
}

static void
test_aliases(void **state)
{
	(void)state;
	assert_string_equal(find("sales@a.example", false),
	    "anna@home.example out 0 x;bert@home.example out 1 x;");
	assert_string_equal(find("self@a.example", false),
	    "self@a.example twin 0;dora@home.example out 1 x;");
	assert_string_equal(find("half@a.example", false),
	    "anna@home.example out 0 x;");
	assert_string_equal(find("two@a.example", false),
	    "u@two.example out 0 x;u@two.example twin 0 x;");
	assert_string_equal(find("x@a.example", false),
	    "no: aliases lead too far");
	assert_string_equal(find("none@a.example", false), "no: 5.7.1 no");
}

static void
test_postmaster(void **state)
{
	(void)state;
	assert_string_equal(find("postmaster", false),
	    "pm@home.example out 0 x;");
	assert_string_equal(find("abuse@home.example", false),
	    "pm@home.example out 0 x;");
	assert_string_equal(find("postmaster@home.example", false),
	    "postmaster@home.example out 0;");
}

/* A recipient of a message that came from somewhere, once more. */
static const char *
again(const char *from, const char *client, const char *to, uint8_t flags)
{
	struct rec_msg	 m = { .from = span_str(from),
			    .helo = SPAN("h.example") };
	struct readers	 r;
	size_t		 n = 0;

	assert_true(addr_parse(span_str(client), &m.client));
	readers_again(conf, &m, span_str(to), flags, &r);
	got[0] = '\0';
	for (size_t i = 0; i < r.n; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n,
		    "%s %s %u%s;", r.v[i].to, r.v[i].action->name,
		    r.v[i].group, r.v[i].expanded ? " x" : "");
	if (r.n == 0)
		snprintf(got, sizeof(got), "no: %s", r.why);
	readers_clear(&r);
	return got;
}

static void
test_again(void **state)
{
	static const char	here[] = "127.0.0.1", there[] = "192.0.2.77";

	(void)state;
	assert_string_equal(again("", there, "sales@a.example", 0),
	    "anna@home.example out 0 x;bert@home.example out 1 x;");
	assert_string_equal(again("", there, "two@a.example", 0),
	    "u@two.example out 0 x;u@two.example twin 0 x;");
	assert_string_equal(again("", there, "postmaster", 0),
	    "pm@home.example out 0 x;");
	/* By whom it came and what it was. */
	assert_string_equal(again("", here, "u@sender.example", 0),
	    "u@sender.example out 0;");
	assert_true(strncmp(again("", there, "u@sender.example", 0), "no: 5.",
	    6) == 0);
	assert_string_equal(again("x@vip.example", there, "u@one.example", 0),
	    "u@one.example twin 0;");
	assert_string_equal(again("x@y.example", there, "u@one.example", 0),
	    "u@one.example out 0;");
	assert_string_equal(again("", there, "u@ex.example", RCPT_F_EXPANDED),
	    "u@ex.example out 0;");
	assert_true(strncmp(again("", there, "u@ex.example", 0), "no: 5.",
	    6) == 0);
	/* What the queue can't deliver by. */
	assert_string_equal(again("", there, "u@live.example", 0),
	    "no: the rule's action is a proxy");
}

/* More than one may stand for, and far more visits than that takes. */
static void
test_limits(void **state)
{
	static char	 big[64 << 10];
	struct conf	*was = conf;
	size_t		 n;

	(void)state;
	for (int many = 0; many < 2; many++) {
		n = (size_t)snprintf(big, sizeof(big), "hostname h.example\n"
		    "listen on 192.0.2.1 port 25\n"
		    "action out relay to { 192.0.2.9 }\n"
		    "action names expand aliases {\n");
		/* Each stands for all behind it: 2^30 ways. */
		for (int i = 0; many == 0 && i < 30; i++) {
			n += (size_t)snprintf(big + n, sizeof(big) - n,
			    "a%d@a.example = \"", i);
			for (int k = i + 1; k < 31; k++)
				n += (size_t)snprintf(big + n,
				    sizeof(big) - n, "a%d%s", k,
				    k < 30 ? "," : "\",\n");
		}
		n += (size_t)snprintf(big + n, sizeof(big) - n,
		    "big@a.example = \"");
		for (int i = 0; i < READERS_MAX + 1; i++)
			n += (size_t)snprintf(big + n, sizeof(big) - n,
			    "u%d@b.example%s", i, i < READERS_MAX ? "," :
			    "\" }\n");
		snprintf(big + n, sizeof(big) - n, "match from any for domain "
		    "a.example action names\n"
		    "match from any for domain b.example action out\n");
		assert_non_null(conf = confhelp_parse(big, NULL));
		assert_string_equal(find("big@a.example", false),
		    "no: the address stands for too many others");
		if (many == 0)
			assert_string_equal(find("a0@a.example", false),
			    "no: aliases lead too far");
		conf_free(conf);
	}
	conf = was;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_postmaster),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_limits),
	};
	struct buf	 msgs;
	int		 st;

	buf_init(&msgs, 1 << 16);
	if ((conf = confhelp_parse(text, &msgs)) == NULL) {
		fprintf(stderr, "%s", buf_cstr(&msgs));
		return 1;
	}
	buf_clear(&msgs);
	st = cmocka_run_group_tests(tests, NULL, NULL);
	conf_free(conf);
	return st;
}
