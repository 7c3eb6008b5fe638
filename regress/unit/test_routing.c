/*
 * One RCPT and what becomes of it in the queue: lists of actions, aliases,
 * their loops and limits, postmaster and abuse.
 */
#include "regress/lib/smtpdtest.h"

static const char	routing_conf[] =
    "hostname gw.example.org\n"
    "postmaster admin@home.example\n"
    "limit recipients 12\n"
    "listen on 192.0.2.1 port 25\n"
    "action out relay to { 192.0.2.9 } open\n"
    "action twin relay to { 192.0.2.10 } open\n"
    "action live proxy to { 192.0.2.11 } open\n"
    "action ghost discard\n"
    "action names expand aliases {\n"
    "one@a.example = anna@home.example,\n"
    "sales@a.example = \"anna@home.example, bert, @home.example\",\n"
    "bert@a.example = bert@home.example,\n"
    "self@a.example = \"self, dora@home.example\",\n"
    "x@a.example = y, y@a.example = \"x, anna@home.example\",\n"
    "p@a.example = q, q@a.example = p,\n"
    "half@a.example = \"no@home.example, anna@home.example\",\n"
    "none@a.example = \"no@home.example, gone@elsewhere.example\",\n"
    "later@a.example = \"no@home.example, later@home.example\",\n"
    "soon@a.example = \"anna@home.example, later@home.example\",\n"
    "proxied@a.example = u@live.example,\n"
    "copies@a.example = u@two.example,\n"
    "many@a.example = \"1,2,3,4,5,6,7,8,9\",\n"
    "toomany@a.example = \"1,2,3,4,5,6,7,8,9,10,11,12,13\",\n"
    "d0@a.example = d1, d1@a.example = d2, d2@a.example = d3,\n"
    "d3@a.example = d4, d4@a.example = d5, d5@a.example = d6,\n"
    "d6@a.example = d7, d7@a.example = d8, d8@a.example = d9,\n"
    "d9@a.example = d10, d10@a.example = d11, d11@a.example = \"\\\"e f\\\"\",\n"
    "\"@old.example\" = \"@home.example\" }\n"
    "match from any for rcpt-to no@home.example reject \"550 5.1.1 no one\"\n"
    "match from any for rcpt-to later@home.example reject \"450 4.2.0 later\"\n"
    "match from any for domain { a.example, old.example } action names\n"
    "match from any for domain { home.example } action out\n"
    "match from any for domain two.example action { out, twin }\n"
    "match from any for domain live.example action live\n"
    "match from any for rcpt-to self@a.example action ghost\n"
    "match from any for rcpt-to known@b.example action out\n"
    "table l { both@v.example, left@v.example }\n"
    "table r { both@v.example, right@v.example, r@w.example }\n"
    "action left relay to 192.0.2.12 recipients { <l> }\n"
    "action right relay to 192.0.2.13 recipients { <r> }\n"
    "action vnames expand aliases { list@v.example = "
    "\"nobody, left, right, anna@home.example\", nil@v.example = nobody }\n"
    "match from any for rcpt-to { list@v.example, nil@v.example } "
    "action vnames\n"
    "match from any for domain v.example action { left, right }\n"
    "match from any for domain w.example action { out, right } accept all\n";

/* RCPT gets this reply, and the queue hears of that. */
static void
goes_at(const char *rcpt, const char *reply, const char *want, int line)
{
	struct client	*c = hello(REGULAR);
	char		 text[400];
	char		*from;

	say(c, "MAIL FROM:<s@b.example>", "250");
	snprintf(text, sizeof(text), "RCPT TO:<%s>", rcpt);
	client_say(c, text);
	expect_at(c, reply, rcpt, line);
	if (want != NULL) {
		say(c, "DATA", "354");
		say(c, "x: y\r\n\r\nz\r\n.", "250 2.0.0");
		from = strchr(queued.log, ';') + 1;
		if (strcmp(from, want) != 0)
			fail_msg("line %d: %s: \"%s\"", line, rcpt, from);
	}
	quit(c);
}
#define goes(rcpt, reply, want)	goes_at(rcpt, reply, want, __LINE__)
#define END	"commit 11;"

static void
actions(void **state)
{
	(void)state;
	goes("u@home.example", "250 2.1.5", "rcpt u@home.example out;" END);
	goes("u@two.example", "250 2.1.5", "rcpt u@two.example out;"
	    "rcpt u@two.example twin group 0;" END);
	goes("copies@a.example", "250", "rcpt u@two.example out orig "
	    "copies@a.example flags 2;rcpt u@two.example twin orig "
	    "copies@a.example group 0 flags 2;" END);
}

static void
aliases(void **state)
{
	(void)state;
	goes("one@a.example", "250", "rcpt anna@home.example out orig "
	    "one@a.example flags 2;" END);
	goes("SALES+x@A.example", "250",
	    "rcpt anna@home.example out orig SALES+x@a.example flags 2;"
	    "rcpt bert@home.example out orig SALES+x@a.example flags 2;"
	    "rcpt SALES+x@home.example out orig SALES+x@a.example flags 2;"
	    END);
	goes("u+ext@old.example", "250", "rcpt u+ext@home.example out orig "
	    "u+ext@old.example flags 2;" END);
	/* He himself is what the rules behind say. */
	goes("self@a.example", "250", "rcpt self@a.example ghost;"
	    "rcpt dora@home.example out orig self@a.example flags 2;"
	    END);
}

static void
loops(void **state)
{
	(void)state;
	goes("x@a.example", "250", "rcpt anna@home.example out orig "
	    "x@a.example flags 2;" END);
	goes("p@a.example", "550 5.4.6 This alias leads to nobody", NULL);
	goes("d1@a.example", "550 5.4.6 Aliases lead too far", NULL);
	goes("d2@a.example", "550 5.1.1", NULL);
}

static void
some_refused(void **state)
{
	(void)state;
	goes("half@a.example", "250", "rcpt anna@home.example out orig "
	    "half@a.example flags 2;" END);
	goes("none@a.example", "550 5.1.1 no one", NULL);
	goes("later@a.example", "450 4.2.0 later", NULL);
	goes("soon@a.example", "450 4.2.0 later", NULL);
	goes("proxied@a.example", "550 5.3.5", NULL);
}

/* Each gets one copy, however many name him; and there are only so many. */
static void
whole_message(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	say(c, "MAIL FROM:<s@b.example>", "250");
	say(c, "RCPT TO:<sales@a.example>", "250");
	say(c, "RCPT TO:<one@a.example>", "250");
	say(c, "RCPT TO:<u@two.example>", "250");
	say(c, "DATA", "354");
	say(c, "x: y\r\n\r\nz\r\n.", "250 2.0.0");
	assert_string_equal(strchr(queued.log, ';') + 1,
	    "rcpt anna@home.example out orig sales@a.example flags 2;"
	    "rcpt bert@home.example out orig sales@a.example flags 2;"
	    "rcpt sales@home.example out orig sales@a.example flags 2;"
	    "rcpt u@two.example out;rcpt u@two.example twin group 3;" END);
	quit(c);
	/* What is left of a transaction that was reset does not count. */
	c = hello(REGULAR);
	say(c, "MAIL FROM:<s@b.example>", "250");
	for (int i = 0; i < 12; i++) {
		char	line[60];

		snprintf(line, sizeof(line), "RCPT TO:<u%d@two.example>", i);
		say(c, line, i < 6 ? "250" : "452 4.5.3");
	}
	say(c, "RSET", "250");
	say(c, "MAIL FROM:<s@b.example>", "250");
	say(c, "RCPT TO:<u@two.example>", "250");
	quit(c);
}

static void
postmaster(void **state)
{
	static const char	reader[] = "rcpt admin@home.example out orig ";
	char			want[200];
	static const char *const roles[] = { "postmaster", "PostMaster",
	    "postmaster@b.example", "Abuse@b.example" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		snprintf(want, sizeof(want), "%s%s flags 2;" END, reader,
		    roles[i]);
		goes(roles[i], "250 2.1.5", want);
	}
	/* Others there are unknown, and what is nobody's stays so. */
	goes("other@b.example", "550 5.1.1", NULL);
	goes("postmaster@far.example", "550 5.7.1", NULL);
	/* Where the rules have a way, it is theirs. */
	goes("postmaster@home.example", "250",
	    "rcpt postmaster@home.example out;" END);
}

/* Who is known to whom is for tables to say here. */
static void
verified(void **state)
{
	(void)state;
	goes("both@v.example", "250", "rcpt both@v.example left;"
	    "rcpt both@v.example right group 0;" END);
	goes("left@v.example", "250", "rcpt left@v.example left;" END);
	goes("right@v.example", "250", "rcpt right@v.example right;" END);
	goes("no@v.example", "550 5.1.1", NULL);
	goes("r@w.example", "250", "rcpt r@w.example out;"
	    "rcpt r@w.example right group 0;" END);
	goes("l@w.example", "550 5.1.1", NULL);
	goes("list@v.example", "250",
	    "rcpt left@v.example left orig list@v.example flags 2;"
	    "rcpt right@v.example right orig list@v.example flags 2;"
	    "rcpt anna@home.example out orig list@v.example flags 2;" END);
	goes("nil@v.example", "550 5.1.1", NULL);
	/* Whom no server knows, somebody reads the mail of. */
	goes("abuse@v.example", "250", "rcpt admin@home.example out orig "
	    "abuse@v.example flags 2;" END);
}

static int
init(void **state)
{
	(void)state;
	world_init(routing_conf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(actions), T(aliases), T(loops), T(some_refused),
		T(whole_message), T(postmaster),
		T(verified)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
