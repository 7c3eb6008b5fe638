/*
 * `mail-from` of an action: the domain that is put in, a map of addresses and
 * domains, and what stays as it came.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "regress/lib/confhelp.h"

static const char	text[] =
    "subaddress +\n"
    "table senders { \"root@db.example\" = \"dba@example.org\", "
    "\".inner.example\" = \"@example.org\", \"plain.example\" = "
    "\"@example.net\" }\n"
    "action none relay\n"
    "action fixed relay mail-from \"@example.org\"\n"
    "action map relay mail-from <senders>\n"
    "listen on * port 25\n"
    "match for any action none\n";

static void
table(void **state)
{
	static const struct { const char *action, *from, *to; } t[] = {
		{ "none", "u@a.example", "u@a.example" },
		{ "fixed", "u@a.example", "u@example.org" },
		{ "fixed", "\"a@b c\"@a.example", "\"a@b c\"@example.org" },
		{ "fixed", "u+x@a.example", "u+x@example.org" },
		/* RFC 5321, 4.5.5. */
		{ "fixed", "", "" },
		{ "map", "", "" },
		{ "map", "root@db.example", "dba@example.org" },
		{ "map", "root+x@db.example", "dba@example.org" },
		{ "map", "other@db.example", "other@db.example" },
		{ "map", "u@one.inner.example", "u@example.org" },
		{ "map", "u@PLAIN.example", "u@example.net" },
		{ "map", "u@elsewhere.example", "u@elsewhere.example" },
	};
	struct conf	*c = confhelp_parse(text, NULL);
	char		 dst[CONF_PATH_MAX], got[CONF_PATH_MAX + 1];

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct conf_action *a = conf_action_find(c,
		    span_str(t[i].action));

		assert_non_null(a);
		assert_true(span_cstr(conf_sender(c, a, span_str(t[i].from),
		    dst), got, sizeof(got)));
		assert_string_equal(got, t[i].to);
	}
	conf_free(c);
}

/* What has no room stays as it came. */
static void
too_long(void **state)
{
	struct conf	*c = confhelp_parse(text, NULL);
	char		 dst[CONF_PATH_MAX], from[600];
	struct span	 s;

	(void)state;
	memset(from, 'x', sizeof(from));
	memcpy(from + 530, "@a.example", 11);
	s = conf_sender(c, conf_action_find(c, span_str("fixed")),
	    span_str(from), dst);
	assert_ptr_equal(s.p, from);
	assert_int_equal(s.len, strlen(from));
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
