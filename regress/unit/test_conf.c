/*
 * The tree that comes of a text: defaults, values, macros of the command line,
 * what is asked for, reserved words. Whole files with their messages are in
 * regress/conf.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/conf/lex.h"
#include "common/conf/gram.h"
#include "common/conf/table.h"
#include "regress/lib/confhelp.h"

#define S(lit)	((struct span)SPAN(lit))
#define NONE	span(NULL, 0)

static void
defaults(void **state)
{
	struct buf	 msgs;
	struct conf	*c;

	(void)state;
	buf_init(&msgs, 65536);
	c = confhelp_parse("listen on 192.0.2.1\nmatch for any reject", &msgs);
	assert_non_null(c);
	assert_int_equal(buf_len(&msgs), 0);
	assert_string_equal(c->hostname, "mail.example.org");
	assert_int_equal(c->mode, MODE_ANY);
	assert_int_equal(c->generation, 7);
	assert_int_equal(c->nself, 3);
	assert_string_equal(c->subaddress, "+");
	assert_int_equal(c->nresolvers, 1);
	assert_int_equal(c->resolvers[0].port, 53);
	assert_string_equal(c->queue_path, "/var/spool/postern");
	assert_string_equal(c->control_path, "/run/postern");
	assert_int_equal(c->ttl_ms, 5 * 86400000);
	assert_int_equal(c->bounce_ttl_ms, 86400000);
	assert_int_equal(c->warn_after_ms, 4 * 3600000);
	assert_int_equal(c->retry_min_ms, 60000);
	assert_int_equal(c->retry_max_ms, 7200000);
	assert_int_equal(c->reserve, 512 << 20);
	assert_int_equal(c->log_level, 1);
	assert_int_equal(c->limits.sessions, 4000);
	assert_int_equal(c->limits.sessions_per_source, 50);
	assert_int_equal(c->limits.recipients, 1000);
	assert_int_equal(c->limits.message_size, 50 << 20);
	assert_int_equal(c->limits.errors, 20);
	assert_int_equal(c->limits.received, 50);
	assert_int_equal(c->limits.deliveries, 200);
	assert_int_equal(c->limits.deliveries_per_dest, 20);
	assert_int_equal(c->limits.rate_per_source, 0);
	assert_null(c->credentials);
	conf_free(c);
	buf_clear(&msgs);
	conf_free(NULL);
}

static void
listeners(void **state)
{
	const struct conf_listen	*l;
	struct conf			*c;

	(void)state;
	c = confhelp_parse("action p proxy to 192.0.2.8\n"
	    "listen on * port 26\n"
	    "listen on [::1] proxy p auth-plaintext max-message-size 1G\n"
	    "listen on 127.0.0.1 tag t hostname x.example greet-delay 2s "
	    "max-message-size 1K recipients a@b\nmatch for any reject", NULL);
	assert_non_null(c);
	assert_int_equal(c->nlistens, 4);
	l = c->listens[0];
	assert_int_equal(l->kind, LISTEN_INET);
	assert_int_equal(l->naddrs, 2);
	assert_int_equal(l->addrs[0].family, 6);
	assert_int_equal(l->addrs[1].family, 4);
	assert_int_equal(l->addrs[1].port, 26);
	assert_string_equal(l->hostname, "mail.example.org");
	assert_string_equal(l->tag, "");
	assert_null(l->proxy);
	assert_false(l->takes_passwords);
	l = c->listens[1];
	assert_int_equal(l->index, 1);
	assert_ptr_equal(l->proxy, c->actions[0]);
	assert_true(l->takes_passwords);
	assert_int_equal(l->max_message_size, 50 << 20);
	l = c->listens[2];
	assert_int_equal(l->addrs[0].port, 25);
	assert_string_equal(l->tag, "t");
	assert_string_equal(l->hostname, "x.example");
	assert_int_equal(l->greet_delay_ms, 2000);
	assert_int_equal(l->max_message_size, 1024);
	assert_true(table_get(l->recipients, S("A@B"), NULL));
	/* There without being asked for. */
	l = c->listens[3];
	assert_int_equal(l->kind, LISTEN_UNIX);
	assert_string_equal(l->path, "/run/postern-submission");
	conf_free(c);
}

static void
destinations(void **state)
{
	static const struct {
		const char	*text;
		enum conf_dest_kind kind;
		enum conf_scheme scheme;
		const char	*host;
		unsigned	 family, port;
	} t[] = {
		{ "exch", DEST_HOST, SCHEME_NONE, "exch", 0, 25 },
		{ "Exch.Example:2525", DEST_HOST, SCHEME_NONE, "exch.example",
		    0, 2525 },
		{ "192.0.2.5", DEST_HOST, SCHEME_NONE, "192.0.2.5", 4, 25 },
		{ "192.0.2.5:26", DEST_HOST, SCHEME_NONE, "192.0.2.5", 4, 26 },
		{ "\"[2001:db8::1]:26\"", DEST_HOST, SCHEME_NONE, "2001:db8::1",
		    6, 26 },
		{ "2001:db8::1", DEST_HOST, SCHEME_NONE, "2001:db8::1", 6, 25 },
		{ "mx:Example.org", DEST_MX, SCHEME_NONE, "example.org", 0,
		    25 },
		{ "smtp://h:26", DEST_HOST, SCHEME_SMTP, "h", 0, 26 },
		{ "SMTP+notls://192.0.2.5", DEST_HOST, SCHEME_SMTP_NOTLS,
		    "192.0.2.5", 4, 25 },
		{ "münchen.example", DEST_HOST, SCHEME_NONE,
		    "xn--mnchen-3ya.example", 0, 25 }
	};
	char	 text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct conf_dest	*d;
		struct conf		*c;

		snprintf(text, sizeof(text), "listen on * port 2500\n"
		    "action a relay to { %s }\nmatch for any action a",
		    t[i].text);
		if ((c = confhelp_parse(text, NULL)) == NULL)
			fail_msg("%s", t[i].text);
		d = &c->actions[0]->dests[0];
		assert_ptr_equal(conf_action_find(c, S("a")), c->actions[0]);
		assert_null(conf_action_find(c, S("A")));
		assert_int_equal(d->kind, t[i].kind);
		assert_int_equal(d->scheme, t[i].scheme);
		assert_string_equal(d->host, t[i].host);
		assert_int_equal(d->addr.family, t[i].family);
		assert_int_equal(d->port, t[i].port);
		conf_free(c);
	}
}

/* Includes one after the other, in their order; a macro of the command line is
 * stronger than one of a file; a file without a final newline. */
static void
files(void **state)
{
	struct buf	 b, msgs;
	struct conf	*c;

	(void)state;
	buf_init(&msgs, 65536);
	confhelp_bundle(&b, S("name = table\ninclude \"*.inc\"\n"
	    "table t file \"t\"\nmatch for rcpt-to <t> action $name"));
	bundle_add(&b, BUNDLE_MACRO, NONE, NONE, S("name=given"));
	bundle_add(&b, BUNDLE_INCLUDE, S("1.inc"), S("*.inc"),
	    S("action $name discard"));
	bundle_add(&b, BUNDLE_INCLUDE, S("2.inc"), S("*.inc"),
	    S("listen on 127.0.0.1\naction b discard\ninclude \"deep\"\n"));
	bundle_add(&b, BUNDLE_INCLUDE, S("3.inc"), S("*.inc"),
	    S("match for any action b\n"));
	bundle_add(&b, BUNDLE_INCLUDE, S("deep"), S("deep"),
	    S("hostname deep.example"));
	bundle_add(&b, BUNDLE_TABLE, S("/t"), S("t"), S("a@b\nc@d value\n"));
	c = conf_parse(buf_content(&b), &msgs);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&msgs));
	assert_string_equal(c->hostname, "deep.example");
	assert_int_equal(c->nactions, 2);
	assert_string_equal(c->actions[0]->name, "given");
	assert_string_equal(c->actions[1]->name, "b");
	assert_int_equal(c->nrules, 2);
	assert_string_equal(c->rules[0]->pos.file, "3.inc");
	assert_string_equal(c->rules[1]->pos.file, "t.conf");
	assert_int_equal(c->rules[1]->pos.line, 4);
	assert_int_equal(table_count(c->rules[1]->for_table.table), 2);
	conf_free(c);
	buf_clear(&b);
	buf_clear(&msgs);
}

static void
note(enum bundle_kind kind, struct span key, void *arg)
{
	struct buf	*b = arg;

	buf_str(b, kind == BUNDLE_TABLE ? "t:" : "i:");
	buf_span(b, key);
	buf_byte(b, ' ');
}

static void
wants(void **state)
{
	struct buf	 b, got;

	(void)state;
	buf_init(&got, 4096);
	confhelp_bundle(&b, S("x = \"f1\"\ntable a file $x\n"
	    "table b file \"f2\" # table c file \"no\"\n"
	    "table d { e,\n file }\nthis is no statement\n"
	    "include \"sub\"\ninclude \"got\"\ntable open { a\n"
	    "table e file f3\ntable f \\\n file \"f4\""));
	bundle_add(&b, BUNDLE_INCLUDE, S("got"), S("got"),
	    S("table g file \"f5\""));
	bundle_add(&b, BUNDLE_TABLE, S("f2"), S("f2"), S(""));
	conf_wants(buf_content(&b), note, &got);
	assert_string_equal(buf_cstr(&got), "t:f1 i:sub t:f5 t:f3 t:f4 ");
	buf_clear(&b);
	buf_clear(&got);
}

/* The words of gram.y are searched by halves. */
static void
words(void **state)
{
	(void)state;
	for (int t = K_ACCEPT; t < K_XCLIENT; t++)
		assert_true(strcmp(gram_word(t), gram_word(t + 1)) < 0);
	assert_null(gram_word(K_ACCEPT - 1));
	assert_null(gram_word(K_XCLIENT + 1));
	assert_string_equal(gram_word(K_ACCEPT), "accept");
	assert_string_equal(gram_word(K_XCLIENT), "xclient");
}

/* Every way that a text can end, and a bundle without any. */
static void
cut(void **state)
{
	static const char	 text[] = "a = b\ntable t { x = y, \"z\" }\n"
	    "action $a relay to { h:26, \"[::1]\" } helo x.example\n"
	    "listen on * port 27 tag t\nmatch from source { 10.0.0.0/8 } "
	    "for domain <t> \\\n action b\nmatch from any reject \"550 x\"\n";
	struct buf	 msgs, b;
	struct conf	*c;
	char		*part;

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		part = strndup(text, n);
		buf_init(&msgs, 65536);
		c = confhelp_parse(part, &msgs);
		if (c == NULL)
			assert_true(buf_len(&msgs) > 0);
		conf_free(c);
		buf_clear(&msgs);
		free(part);
	}
	buf_init(&msgs, 65536);
	bundle_begin(&b);
	assert_null(conf_parse(buf_content(&b), &msgs));
	assert_null(conf_parse(NONE, &msgs));
	buf_clear(&b);
	buf_clear(&msgs);
}

/* A message shows the line, and the caret below the place, also behind tabs
 * and characters of several bytes. */
static void
messages(void **state)
{
	static const struct { const char *text, *want; } t[] = {
		{ "mode\tx", "t.conf:1:6: error: unexpected \"x\", expected "
		    "firewall, hybrid or standalone\n    mode x\n"
		    "         ^\n" },
		{ "\n  hostname \"ü\" x\n", "t.conf:2:17: error: unexpected "
		    "\"x\", expected end of line\n      hostname \"ü\" x\n"
		    "                   ^\n" },
		{ "listn on *", "t.conf:1:1: error: \"listn\" begins no "
		    "statement; did you mean listen?\n    listn on *\n"
		    "    ^\n" }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf	 msgs;

		buf_init(&msgs, 65536);
		assert_null(confhelp_parse(t[i].text, &msgs));
		assert_string_equal(buf_cstr(&msgs), t[i].want);
		buf_clear(&msgs);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(listeners),
		cmocka_unit_test(destinations),
		cmocka_unit_test(files),
		cmocka_unit_test(wants),
		cmocka_unit_test(words),
		cmocka_unit_test(cut),
		cmocka_unit_test(messages)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
