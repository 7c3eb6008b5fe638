/*
 * Aliases: the lists that they stand for, whom those mean for a recipient, the
 * files that they include, and what is told of lists that are none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/conf/alias.h"
#include "common/conf/table.h"
#include "common/smtp/path.h"
#include "regress/lib/confhelp.h"

static const char	kinds[] = "ANDI";

/* "A:user@dom N:bert", or what is wrong. */
static const char *
read_list(const char *list)
{
	static char	 out[1000];
	struct span	 in = span_str(list);
	struct alias	 a;
	const char	*why;
	enum parse	 got;
	size_t		 n = 0;

	out[0] = '\0';
	while ((got = alias_next(&in, &a, &why)) == PARSE_OK)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%c:%.*s",
		    n > 0 ? " " : "", kinds[a.kind], (int)a.text.len,
		    (const char *)a.text.p);
	return got == PARSE_BAD ? why : out;
}

static void
lists(void **state)
{
	static const char	addr[] =
	    "no address, name, @domain or :include:file";
	static const struct { const char *list, *want; } t[] = {
		{ "", "" }, { " , ,, ", "" },
		{ "anna", "N:anna" }, { " anna , bert ", "N:anna N:bert" },
		{ "a@b.example", "A:a@b.example" },
		{ "a+x@b.example,c", "A:a+x@b.example N:c" },
		{ "@new.example", "D:new.example" },
		{ "\"a, b\"@c.example, d", "A:\"a, b\"@c.example N:d" },
		{ "\"x y\"", "N:\"x y\"" },
		{ "\"a@b\"@c.example", "A:\"a@b\"@c.example" },
		{ "a@[192.0.2.1]", "A:a@[192.0.2.1]" },
		{ ":include:/etc/x", "I:/etc/x" },
		{ ":INCLUDE: lists/x , a", "I:lists/x N:a" },
		{ "\":include:/etc/x y\"", "I:/etc/x y" },
		{ "# nobody\na # b\n", addr },
		{ "# nobody\na\n# c, d\nb\r\n", "N:a N:b" },
		{ "m\xc3\xbcller@m\xc3\xbcller.example",
		    "A:m\xc3\xbcller@m\xc3\xbcller.example" },
		{ "|/bin/sh", "a program: postern starts none for mail" },
		{ "a, \"|vacation anna\"",
		    "a program: postern starts none for mail" },
		{ "/dev/null", "a file: postern keeps no mail in files" },
		{ "\"/var/mail/x\"", "a file: postern keeps no mail in files" },
		{ "\"open", "a quote without an end" },
		{ ":include:", "no name of a file behind :include:" },
		{ "a b", addr }, { "a@", addr }, { "@", addr }, { "a@b@c", addr },
		{ "a..b@c.example", addr }, { ".a", addr }, { "a.", addr },
		{ "a@b c", addr }, { "<a@b.example>", addr },
		{ "\"\"@a.example", addr }, { "a@-.example", addr },
		{ "a@[", addr }, { "a:b", addr }, { "\"a\"b@c.example", addr },
		{ "a\x80", addr }, { "a\x7f", addr },
		{ "\"a\x80\"@b.example", addr },
		{ "\"a\x01\"@b.example", addr },
		{ "\"a\x7f\"@b.example", addr }
	};
	static const char	nul[] = "\"a\0b\"@c.example";
	struct span		in = span(nul, sizeof(nul) - 1);
	struct alias		a;
	const char		*why;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (strcmp(read_list(t[i].list), t[i].want) != 0)
			fail_msg("\"%s\": \"%s\"", t[i].list,
			    read_list(t[i].list));
	assert_int_equal(alias_next(&in, &a, &why), PARSE_BAD);
}

/* Local parts are as long as RCPT takes them, with the extension too. */
static void
longest(void **state)
{
	char		 one[300], dst[ALIAS_ADDR_MAX], plus[] = "+";
	struct conf	 c = { .subaddress = plus };
	struct span	 in;
	struct alias	 a;
	const char	*why;

	(void)state;
	for (size_t n = SMTP_LOCAL_MAX - 2; n <= SMTP_LOCAL_MAX; n++) {
		memset(one, 'a', n);
		strlcpy(one + n, "@b.example", sizeof(one) - n);
		in = span_str(one);
		assert_int_equal(alias_next(&in, &a, &why), PARSE_OK);
		assert_true(alias_address(&c, &a, span_str("x@c.example"),
		    false, dst));
		assert_string_equal(dst, one);
		assert_int_equal(alias_address(&c, &a,
		    span_str("x+1@b.example"), true, dst),
		    n + 2 <= SMTP_LOCAL_MAX);
	}
	memset(one, 'a', SMTP_LOCAL_MAX + 1);
	strlcpy(one + SMTP_LOCAL_MAX + 1, "@b.example", 20);
	in = span_str(one);
	assert_int_equal(alias_next(&in, &a, &why), PARSE_BAD);
}

#define CONF								\
	"hostname gw.example.org\nlisten on * port 25\n"		\
	"action x expand aliases { "					\
	"sales = \"anna, bert@example.net\", "				\
	"anna@example.org = \"carl, dora@EXAMPLE.org, emil@other.example, "\
	"fritz+own\", anna+special@example.org = greta, "		\
	"\"@old.example\" = \"@new.example\", example.com = hugo }\n"	\
	"match from any for any action x\n"

static const char *
whom(struct conf *c, const char *rcpt, bool ours)
{
	static char	 out[2000];
	struct span	 value;
	struct alias	 a;
	char		 one[ALIAS_ADDR_MAX];
	const char	*why;
	bool		 by_user;
	size_t		 n = 0;

	out[0] = '\0';
	if (!alias_entry(c, c->actions[0], span_str(rcpt), ours, &value,
	    &by_user))
		return "nobody";
	while (alias_next(&value, &a, &why) == PARSE_OK) {
		assert_true(alias_address(c, &a, span_str(rcpt), by_user, one));
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s",
		    n > 0 ? " " : "", one);
	}
	return out;
}

static struct conf *
conf_of(const char *text)
{
	struct buf	 msgs;
	struct conf	*c;

	buf_init(&msgs, 65536);
	if ((c = confhelp_parse(text, &msgs)) == NULL)
		fail_msg("%s", buf_cstr(&msgs));
	buf_clear(&msgs);
	return c;
}

static void
meanings(void **state)
{
	static const struct { const char *rcpt; bool ours; const char *want; }
	t[] = {
		{ "sales", true, "anna@gw.example.org bert@example.net" },
		{ "sales@gw.example.org", true,
		    "anna@gw.example.org bert@example.net" },
		{ "sales@gw.example.org", false, "nobody" },
		/* His extension goes along within his domain. */
		{ "anna@example.org", false, "carl@example.org "
		    "dora@example.org emil@other.example "
		    "fritz+own@example.org" },
		{ "anna+x@example.org", false, "carl+x@example.org "
		    "dora+x@example.org emil@other.example "
		    "fritz+own@example.org" },
		{ "anna+special@example.org", false, "greta@example.org" },
		{ "Sales+x@gw.example.org", true,
		    "anna+x@gw.example.org bert@example.net" },
		/* The local part stays whole. */
		{ "u+ext@old.example", false, "u+ext@new.example" },
		{ "\"a b\"@old.example", false, "\"a b\"@new.example" },
		/* Of a catch-all it does not. */
		{ "u+ext@example.com", false, "hugo@example.com" },
		{ "other@example.org", false, "nobody" }
	};
	struct conf	*c = conf_of(CONF);

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (strcmp(whom(c, t[i].rcpt, t[i].ours), t[i].want) != 0)
			fail_msg("%s: \"%s\"", t[i].rcpt,
			    whom(c, t[i].rcpt, t[i].ours));
	conf_free(c);
}

/* ---- files ---- */

static void
add(struct buf *b, enum bundle_kind kind, const char *key, const char *text)
{
	char	 name[100];

	snprintf(name, sizeof(name), "/etc/%s", key);
	assert_true(bundle_add(b, kind, span_str(name), span_str(key),
	    span_str(text)));
}

static void
bundle_of(struct buf *b, const char *main_text)
{
	bundle_begin(b);
	add(b, BUNDLE_HOSTNAME, "", "gw.example.org");
	add(b, BUNDLE_MAIN, "main", main_text);
}

static void
on_want(enum bundle_kind kind, struct span key, void *arg)
{
	char	*out = arg;
	size_t	 n = strlen(out);

	snprintf(out + n, 500 - n, "%d:%.*s;", (int)kind, (int)key.len,
	    (const char *)key.p);
}

#define FILES								\
	"hostname gw.example.org\nlisten on * port 25\n"		\
	"table t file \"t\"\naction x expand aliases <t>\n"		\
	"action y expand aliases { z = \"b, :include:one\" }\n"	\
	"match from any for any action x\nmatch from any for any action y\n"

static void
files(void **state)
{
	char		 wants[500] = "";
	struct buf	 b, msgs;
	struct conf	*c;
	struct span	 text;

	(void)state;
	buf_init(&msgs, 65536);
	bundle_of(&b, FILES);
	conf_wants(buf_content(&b), on_want, wants);
	assert_string_equal(wants, "2:t;8:one;");
	add(&b, BUNDLE_TABLE, "t", "# x :include:no\nsales: a, :include:two\n"
	    "all :include:one\n");
	wants[0] = '\0';
	conf_wants(buf_content(&b), on_want, wants);
	assert_string_equal(wants, "8:one;8:two;8:one;");
	add(&b, BUNDLE_LIST, "one", "anna\n:include:three\n");
	add(&b, BUNDLE_LIST, "two", "# who\n\nbert, carl\n");
	wants[0] = '\0';
	conf_wants(buf_content(&b), on_want, wants);
	assert_string_equal(wants, "8:three;");
	add(&b, BUNDLE_LIST, "three", "");
	if ((c = conf_parse(buf_content(&b), &msgs)) == NULL)
		fail_msg("%s", buf_cstr(&msgs));
	assert_int_equal(c->nlists, 3);
	assert_true(alias_file(c, span_str("two"), &text));
	assert_true(span_is(text, "# who\n\nbert, carl\n"));
	assert_false(alias_file(c, span_str("no"), &text));
	conf_free(c);
	buf_clear(&b);
	buf_clear(&msgs);
}

static void
bad_with(const char *table, const char *one, const char *want)
{
	struct buf	 b, msgs;

	buf_init(&msgs, 65536);
	bundle_of(&b, FILES);
	add(&b, BUNDLE_TABLE, "t", table);
	if (one != NULL)
		add(&b, BUNDLE_LIST, "one", one);
	assert_null(conf_parse(buf_content(&b), &msgs));
	if (strstr(buf_cstr(&msgs), want) == NULL)
		fail_msg("%s", buf_cstr(&msgs));
	buf_clear(&b);
	buf_clear(&msgs);
}

static void
errors(void **state)
{
	(void)state;
	bad_with("# a\nok: x\nsales: a, |prog\n", "x",
	    "/etc/t:3:1: error: the alias \"sales\": \"|prog\" is a program: "
	    "postern starts none for mail");
	bad_with("a /dev/null\n", "x", "/etc/t:1:1: error: the alias \"a\": "
	    "\"/dev/null\" is a file: postern keeps no mail in files");
	bad_with("a b\nnothing\n", "x", "/etc/t:2:1: error: the alias "
	    "\"nothing\": it stands for nobody");
	bad_with("a b\n", "x\n\ny z\n", "/etc/one:3:1: error: the alias \"z\": "
	    "\"y z\" is no address");
	bad_with("a b\n", ":include:one\n", "/etc/one:1:1: error: the alias "
	    "\"z\": \"one\" is included too deep, or by itself");
	bad_with("a b\n", NULL, "/etc/main:5:25: error: the alias \"z\": \"one\" "
	    "is a file that can't be read");
}

static void
refused(const char *text, const char *want)
{
	struct buf	 msgs;

	buf_init(&msgs, 65536);
	assert_null(confhelp_parse(text, &msgs));
	if (strstr(buf_cstr(&msgs), want) == NULL)
		fail_msg("%s", buf_cstr(&msgs));
	buf_clear(&msgs);
}

static void
checks(void **state)
{
	(void)state;
	refused("listen on 192.0.2.1 masquerade { a.example = b.example }\n",
	    "1:11: error: what stands for \"a.example\" is no address");
	refused("listen on 192.0.2.1 masquerade { a.example = \"@b c\" }\n",
	    "error: what stands for \"a.example\" is no address");
	refused("listen on 192.0.2.1 port 2525\n"
	    "table t { a.example = \"192.0.2.7, 192.0.2.1:2525\" }\n"
	    "action a relay to <t> by rcpt-domain\nmatch from any for any action a\n", "a loop: "
	    "192.0.2.1 port 2525 is the listener at");
}

static void
masquerade(void **state)
{
	static const struct { const char *in, *want; } t[] = {
		{ "u@x.inner.example", "u@example.org" },
		{ "root@db1.inner.example", "dba@example.org" },
		{ "ROOT@DB1.inner.example", "dba@example.org" },
		{ "\"a b\"@x.inner.example", "\"a b\"@example.org" },
		{ "u@inner.example", NULL }, { "u@other.example", NULL },
		{ "", NULL }, { "root", NULL }, { "u@list.example", NULL }
	};
	struct conf	*c = conf_of("hostname gw.example.org\n"
			    "table o { \".inner.example\" = \"@example.org\", "
			    "\"root@db1.inner.example\" = "
			    "\"dba@example.org\" }\n"
			    "listen on 192.0.2.1 masquerade <o>\n");
	char		 dst[CONF_PATH_MAX];
	bool		 got;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		got = conf_masquerade(c, c->listens[0]->masquerade,
		    span_str(t[i].in), dst);
		assert_int_equal(got, t[i].want != NULL);
		if (got)
			assert_string_equal(dst, t[i].want);
	}
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(longest),
		cmocka_unit_test(meanings),
		cmocka_unit_test(files),
		cmocka_unit_test(errors),
		cmocka_unit_test(checks),
		cmocka_unit_test(masquerade)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
