/*
 * The decision for a recipient: each condition alone, the first rule that
 * holds, what is told of the others, and the reply when none holds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/conf/match.h"
#include "regress/lib/confhelp.h"

#define HEAD								\
	"listen on * port 25\n"						\
	"action a relay to 192.0.2.9\naction b discard\n"		\
	"action free relay open\n"

struct client {
	const char	*ip;		/* NULL: the submission socket */
	bool		 local, rdns_known, tls;
	const char	*rdns, *helo, *user, *from, *tag;
};

static struct match_in
in_of(const struct client *c, const char *rcpt)
{
	struct match_in	 in = { .local = c->local, .tls = c->tls,
		.rdns_known = c->rdns_known, .rdns = span_str(c->rdns),
		.helo = span_str(c->helo), .auth_user = span_str(c->user),
		.mail_from = span_str(c->from), .tag = span_str(c->tag),
		.rcpt_to = span_str(rcpt) };

	if (c->ip != NULL)
		assert_true(addr_parse(span_str(c->ip), &in.client));
	return in;
}

static const struct client stranger = { "198.51.100.7", false, true, false, "",
    "x.example", "", "s@x.example", "" };

/* "a", "550 5.7.1 …" or "rdns". */
static const char *
decide(const char *rules, const struct client *c, const char *rcpt)
{
	static char	 out[200];
	struct match_in	 in = in_of(c, rcpt);
	struct match_out o;
	struct conf	*conf;
	struct buf	 text, msgs;

	buf_init(&text, 8192);
	buf_init(&msgs, 1 << 16);
	buf_str(&text, HEAD);
	buf_str(&text, rules);
	conf = confhelp_parse(buf_cstr(&text), &msgs);
	if (conf == NULL)
		fail_msg("%s", buf_cstr(&msgs));
	conf_match(conf, &in, &o);
	if (o.kind == MATCH_ACTION)
		snprintf(out, sizeof(out), "%s", o.action->name);
	else if (o.kind == MATCH_NEED_RDNS)
		snprintf(out, sizeof(out), "rdns");
	else
		snprintf(out, sizeof(out), "%u %s", o.code, o.text);
	assert_true((o.rule != NULL) == (o.kind == MATCH_ACTION ||
	    o.kind == MATCH_REJECT));
	conf_free(conf);
	buf_clear(&text);
	buf_clear(&msgs);
	return out;
}

/* Rules, what differs from a stranger, recipient, decision. */
static const struct {
	const char	*rules;
	struct client	 c;
	const char	*rcpt, *want;
} table[] = {
#define S	"198.51.100.7", false, true, false
	/* from */
	{ "match for any action a", { S }, "r@y", "550 5.7.1 relaying denied" },
	{ "match for any action a", { .local = true }, "r@y", "a" },
	{ "match from any for domain y action a", { S }, "r@y", "a" },
	{ "match from not local for domain y action a", { S }, "r@y", "a" },
	{ "match from not local for domain y action a", { .local = true },
	    "r@y", "550 5.7.1 relaying denied" },
	{ "match from auth for any action a", { S }, "r@y",
	    "550 5.7.1 relaying denied" },
	{ "match from auth for any action a", { S, .user = "anna" }, "r@y",
	    "a" },
	{ "match from source 198.51.100.0/24 for any action a", { S }, "r@y",
	    "a" },
	{ "match from source { 10.0.0.0/8 } for any action a", { S }, "r@y",
	    "550 5.7.1 relaying denied" },
	{ "match from source not 198.51.100.0/24 for domain y action a", { S },
	    "r@y", "550 5.7.1 relaying denied" },
	{ "match from ! source 10.0.0.0/8 for domain y action a",
	    { .local = true }, "r@y", "a" },
	{ "match from host .isp.example for any action a", { S,
	    .rdns = "c.isp.example" }, "r@y", "a" },
	{ "match from host .isp.example for any action a", { S,
	    .rdns = "isp.example" }, "r@y", "550 5.7.1 relaying denied" },
	{ "match from host not .isp.example for domain y action a", { S,
	    .rdns = "" }, "r@y", "a" },
	/* A reverse name is asked for only where all else holds. */
	{ "match from host x for any action a", { "198.51.100.7" }, "r@y",
	    "rdns" },
	{ "match from host x for domain z action a", { "198.51.100.7" }, "r@y",
	    "550 5.7.1 relaying denied" },
	{ "match from any for domain y action a\nmatch from host x for any "
	    "action b", { "198.51.100.7" }, "r@y", "a" },
	/* for */
	{ "match from any for domain y action a", { S }, "r@z.y",
	    "550 5.7.1 relaying denied" },
	{ "match from any for domain .y action a", { S }, "r@z.Y", "a" },
	{ "match from any for domain { x, y } action a", { S }, "r@Y", "a" },
	{ "match from any for domain not y action free", { S }, "r@z", "free" },
	{ "match from any for not domain y action free", { S }, "r@y",
	    "550 5.7.1 relaying denied" },
	{ "match from any for rcpt-to r@y action a", { S }, "R+x@y", "a" },
	{ "match from any for rcpt-to r@y action a", { S }, "s@y",
	    "550 5.1.1 unknown user" },
	{ "match for rcpt-to r@y action a", { S }, "s@y",
	    "550 5.7.1 relaying denied" },
	{ "match for rcpt-to r@y action a", { .local = true }, "s@y",
	    "550 5.1.1 unknown user" },
	{ "match from any for rcpt-to postmaster action a", { S },
	    "postmaster@mail.example.org", "a" },
	{ "match from any for rcpt-to postmaster action a", { S },
	    "postmaster@y", "550 5.7.1 relaying denied" },
	{ "match from any for local action a", { S }, "r@Mail.Example.org",
	    "a" },
	{ "match from any for local action a", { S }, "r@localhost", "a" },
	{ "match from any for local action a", { S }, "r@[192.0.2.1]", "a" },
	{ "match from any for local action a", { S }, "r@[IPv6:2001:db8::1]",
	    "a" },
	{ "match from any for local action a", { S }, "r@[192.0.2.2]",
	    "550 5.7.1 relaying denied" },
	{ "match from any for local action a", { S }, "r@[", "550 5.7.1 "
	    "relaying denied" },
	{ "match from any for local action a", { S }, "Postmaster", "a" },
	{ "match from any for local action a", { S }, "r@example.org",
	    "550 5.7.1 relaying denied" },
	/* the others */
	{ "match from auth auth-user anna for any action a", { S,
	    .user = "Anna" }, "r@y", "a" },
	{ "match from auth auth-user anna for any action a", { S,
	    .user = "bert" }, "r@y", "550 5.7.1 relaying denied" },
	{ "match from any mail-from x for domain y action a", { S,
	    .from = "s@x" }, "r@y", "a" },
	{ "match from any mail-from s@x for domain y action a", { S,
	    .from = "s+t@x" }, "r@y", "a" },
	{ "match from any mail-from not s@x for domain y action a", { S,
	    .from = "s@x" }, "r@y", "550 5.1.1 unknown user" },
	{ "match from any mail-from \"<>\" for domain y action a", { S }, "r@y",
	    "a" },
	{ "match from any mail-from x for domain y action a", { S }, "r@y",
	    "550 5.1.1 unknown user" },
	{ "match from any helo .x for domain y action a", { S,
	    .helo = "h.x" }, "r@y", "a" },
	{ "match from any helo not .x for domain y action a", { S,
	    .helo = "h.x" }, "r@y", "550 5.1.1 unknown user" },
	{ "match from any tag in for domain y action a", { S, .tag = "in" },
	    "r@y", "a" },
	{ "match from any tag not in for domain y action a", { S }, "r@y",
	    "a" },
	{ "match from any tls for domain y action a", { S }, "r@y",
	    "550 5.1.1 unknown user" },
	{ "match from any not tls for domain y action a", { S }, "r@y", "a" },
	{ "match from any tls for domain y action a", { "198.51.100.7", false,
	    true, true }, "r@y", "a" },
	/* order */
	{ "match from any for domain y reject \"450 later\"\n"
	    "match from any for domain { x, y } action a", { S }, "r@y",
	    "450 4.7.1 later" },
	{ "match from any for domain x reject\n"
	    "match from any for domain { x, y } action a", { S }, "r@y", "a" },
	{ "match from any for domain x reject", { S }, "r@x",
	    "550 5.7.1 refused by policy" },
	{ "", { S }, "r@x", "550 5.7.1 relaying denied" },
	{ "match from any for any reject \"550 5.1.2 no\"", { S }, "",
	    "550 5.1.2 no" },
};

static void
decisions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *got = decide(table[i].rules, &table[i].c,
		    table[i].rcpt);

		if (strcmp(got, table[i].want) != 0)
			fail_msg("%zu: %s: %s: %s, not %s", i, table[i].rules,
			    table[i].rcpt, got, table[i].want);
	}
}

/* What is told: each rule that was looked at, and why it was not the one. */
static void
looked(void **state)
{
	static const enum match_miss	 want[] = { MISS_FOR, MISS_FROM,
	    MISS_TAG, MISS_HELO, MISS_MAIL_FROM, MISS_AUTH_USER, MISS_TLS,
	    MISS_NOTHING };
	struct conf	*c = confhelp_parse(HEAD
	    "match from any for domain z action a\n"
	    "match for any action a\n"
	    "match from any tag t for domain x.example action a\n"
	    "match from any helo t for domain x.example action a\n"
	    "match from any mail-from t for domain x.example action a\n"
	    "match from any auth-user t for domain x.example action a\n"
	    "match from any tls for domain x.example action a\n"
	    "match from any for domain x.example action b\n"
	    "match from any for any reject\n", NULL);
	struct match_in	 in = in_of(&stranger, "r@x.example");
	struct match_out o;

	(void)state;
	assert_non_null(c);
	conf_match(c, &in, &o);
	assert_int_equal(o.kind, MATCH_ACTION);
	assert_int_equal(o.nlooked, 8);
	for (size_t i = 0; i < o.nlooked; i++) {
		assert_ptr_equal(o.looked[i].rule, c->rules[i]);
		assert_int_equal(o.looked[i].miss, want[i]);
	}
	assert_int_equal(o.rule->pos.line, 12);
	conf_free(c);
}

/* More rules than are told: counted, and decided all the same. */
static void
many(void **state)
{
	struct match_in	 in = in_of(&stranger, "r@d200.example");
	struct match_out o;
	struct conf	*c;
	struct buf	 b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_str(&b, HEAD);
	for (unsigned i = 0; i <= 200; i++)
		buf_fmt(&b, "match from any for domain d%u.example action a\n",
		    i);
	c = confhelp_parse(buf_cstr(&b), NULL);
	assert_non_null(c);
	conf_match(c, &in, &o);
	assert_int_equal(o.kind, MATCH_ACTION);
	assert_int_equal(o.nlooked, 201);
	assert_ptr_equal(o.rule, c->rules[200]);
	conf_free(c);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions),
		cmocka_unit_test(looked),
		cmocka_unit_test(many)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
