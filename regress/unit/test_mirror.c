/*
 * The second server of a proxied session: it gets the same commands, never an
 * end of content that the actual one has not taken, and whatever it does the
 * client's session goes on.
 */
#include "regress/lib/smtpdtest.h"

#include "smtpd/compare.h"
#include "smtpd/mirror.h"

enum { RCPTS = 40, WHOLE = 41, HALF = 42, RULED = 43 };
static const char	mirror_conf[] =
    "hostname gw.example.org\n"
    "action \"live\" proxy to 192.0.2.9 open mirror \"new\"\n"
    "action \"all\" proxy to 192.0.2.9 open mirror \"new\" content\n"
    "action \"half\" proxy to 192.0.2.9 open mirror \"new\" sample 50%\n"
    "action \"new\" proxy to 192.0.2.10 open\n"
    "listen on 192.0.2.1 port 40 proxy \"live\" auth-plaintext\n"
    "listen on 192.0.2.1 port 41 proxy \"all\"\n"
    "listen on 192.0.2.1 port 42 proxy \"half\"\n"
    "listen on 192.0.2.1 port 43\n"
    "match from any for domain \"dest.example\" action \"all\"\n";

static uint32_t	actual, second;		/* the two links of a session */
static unsigned	ends;			/* of content, at the second */
/* What the second says; code 0: the usual. */
static struct { uint16_t code; const char *text; } says[ASKED_MAX];
static bool	silent;			/* it says nothing */
static uint32_t	without;		/* keywords that it has not */
/* The actual one says nothing to this. */
static enum asked waits;

/* Its keywords are its own. */
static void
second_answers(enum asked what)
{
	uint32_t	had = proxyd.caps.bits;

	proxyd.caps.bits &= ~without;
	proxyd_answer(second, says[what].code, says[what].text);
	proxyd.caps.bits = had;
}

/* The links come in pairs: the session's, then its mirror's. */
static void
asked(uint32_t tid, enum asked what)
{
	if (what == ASKED_OPEN) {
		if (actual == 0)
			actual = tid;
		else
			second = tid;
	}
	if (tid == actual) {
		if (what != waits)
			proxyd_answer(tid, 0, NULL);
		return;
	}
	ends += what == ASKED_END;
	if (!silent)
		second_answers(what);
}

static int
mirror_init_tests(void **state)
{
	(void)state;
	world_init(mirror_conf);
	return 0;
}

static int
mirror_setup(void **state)
{
	test_setup(state);
	compare_reset();
	proxyd.asked = asked;
	memset(says, 0, sizeof(says));
	actual = second = 0;
	ends = 0;
	silent = false;
	without = 0;
	waits = ASKED_MAX;
	return 0;
}

static const struct compare_counts *
counts(const char *action)
{
	return compare_counts(conf_action_find(world_conf, span_str(action)));
}

static void
count_one(const struct difference *d, void *arg)
{
	unsigned	*n = arg;

	(void)d;
	++*n;
}

static unsigned
differences(void)
{
	unsigned	n = 0;

	compare_each_difference(count_one, &n);
	return n;
}

static void
last_one(const struct difference *d, void *arg)
{
	*(struct difference *)arg = *d;
}

/* EHLO is said to a session of that listener. */
static struct client *
greet(unsigned port)
{
	struct client	*c;

	proxyd.log[0] = '\0';
	proxyd.asked = asked;
	actual = second = 0;
	c = hello(port);
	return c;
}

static void
the_end(struct client *c)
{
	say(c, "QUIT", "221");
	expect_closed(c);
	world_run();
	assert_int_equal(proxyd.links, 0);
	leave(c);
}

static void
test_commands(void **state)
{
	struct client	*c = greet(RCPTS);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, "Subject: x\r\n\r\nhello\r\n.", "250");
	say(c, "NOOP", "250");
	say(c, "VRFY somebody", "252");
	say(c, "AUTH PLAIN AGEAYg==", "235");
	say(c, "RSET", "250");
	/* Each twice, but for the content and the password. */
	assert_string_equal(proxyd.log, "open live;open new;"
	    "ehlo client.example;ehlo client.example;"
	    "mail a@b.example;mail a@b.example;"
	    "rcpt u@dest.example;rcpt u@dest.example;"
	    "data;rset;end;noop;noop;VRFY somebody;VRFY somebody;"
	    "auth PLAIN AGEAYg==;rset;rset;");
	the_end(c);
	assert_int_equal(counts("live")->sessions, 1);
	assert_int_equal(counts("live")->what[CMP_RCPT].same, 1);
	assert_int_equal(counts("live")->what[CMP_RSET].same, 1);
	assert_int_equal(counts("live")->what[CMP_CONTENT].same, 0);
	assert_int_equal(counts("live")->failed, 0);
	assert_int_equal(differences(), 0);
}

static void
test_differences(void **state)
{
	struct client		*c = greet(RCPTS);
	struct difference	 d;

	(void)state;
	says[ASKED_RCPT].code = 550;
	says[ASKED_RCPT].text = "5.1.1 who\nis that";
	say(c, "MAIL FROM:<a@b.example>", "250 2.1.0 fine");
	say(c, "RCPT TO:<u@dest.example>", "250 2.1.5 fine");
	/* Another text is no difference. */
	says[ASKED_RCPT].code = 250;
	says[ASKED_RCPT].text = "2.1.5 as you like";
	say(c, "RCPT TO:<v@dest.example>", "250 2.1.5 fine");
	assert_int_equal(counts("live")->what[CMP_RCPT].differ, 1);
	assert_int_equal(counts("live")->what[CMP_RCPT].same, 1);
	assert_int_equal(differences(), 1);
	compare_each_difference(last_one, &d);
	assert_string_equal(d.arg, "u@dest.example");
	assert_string_equal(d.reply, "250 2.1.5 fine");
	assert_string_equal(d.mirror_reply, "550 5.1.1 who / is that");
	assert_string_equal(d.action->name, "live");
	assert_int_equal(strlen(d.id), ID_STRLEN - 1);
	the_end(c);
	/* The ring keeps the last. */
	says[ASKED_RCPT].code = 450;
	c = greet(RCPTS);
	say(c, "MAIL FROM:<a@b.example>", "250");
	for (int i = 0; i < COMPARE_KEPT + 20; i++)
		say(c, "RCPT TO:<w@dest.example>", "250");
	assert_int_equal(differences(), COMPARE_KEPT);
	assert_int_equal(counts("live")->what[CMP_RCPT].differ,
	    COMPARE_KEPT + 21);
	the_end(c);
}

static void
message(struct client *c, const char *answer)
{
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, "Subject: x\r\n\r\nhello\r\n.", answer);
}

/* MAIL waits for the reply to EHLO; what it asks for may not be there. */
static void
test_keywords(void **state)
{
	struct client	*c;

	(void)state;
	silent = true;
	c = client_at(WHOLE);
	proxyd.asked = asked;
	expect(c, "220");
	silent = false;
	second_answers(ASKED_OPEN);
	world_run();
	silent = true;
	say(c, "EHLO client.example", "250-");
	message(c, "250");
	assert_null(strstr(proxyd.log, "mail a@b.example;mail"));
	silent = false;
	second_answers(ASKED_EHLO);
	world_run();
	assert_int_equal(ends, 1);
	assert_int_equal(counts("all")->what[CMP_CONTENT].same, 1);
	the_end(c);

	without = CAP_SMTPUTF8 | CAP_8BITMIME;
	c = greet(WHOLE);
	proxyd.log[0] = '\0';
	say(c, "MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	assert_string_equal(proxyd.log, "mail \xc3\xa4@b.example;close;"
	    "rcpt u@dest.example;");
	say(c, "RSET", "250");
	message(c, "250");
	say(c, "MAIL FROM:<a@b.example> BODY=8BITMIME", "250");
	say(c, "RSET", "250");
	assert_int_equal(ends, 2);
	assert_int_equal(counts("all")->what[CMP_MAIL].same, 2);
	assert_int_equal(differences(), 0);
	the_end(c);
}

/* Who begins a transaction alone has it ended before the next one. */
static void
test_alone(void **state)
{
	struct client	*c = greet(RCPTS);

	(void)state;
	on(ASKED_MAIL, 550, "5.1.8 not you");
	says[ASKED_MAIL].code = 250;
	says[ASKED_MAIL].text = "2.1.0 welcome";
	say(c, "MAIL FROM:<a@b.example>", "550");
	on(ASKED_MAIL, 0, NULL);
	say(c, "MAIL FROM:<c@b.example>", "250");
	assert_non_null(strstr(proxyd.log, "mail c@b.example;rset;"
	    "mail c@b.example;"));
	assert_int_equal(counts("live")->what[CMP_MAIL].differ, 1);
	the_end(c);
}

static void
test_content(void **state)
{
	struct client	*c = greet(WHOLE);

	(void)state;
	message(c, "250 2.0.0 got it");
	assert_int_equal(ends, 1);
	assert_int_equal(counts("all")->what[CMP_CONTENT].same, 1);
	assert_int_equal(counts("all")->what[CMP_DATA].same, 1);
	/* Its end waits until the actual server has said 250. */
	waits = ASKED_END;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	client_say(c, "Subject: y\r\n\r\nhello\r\n.");
	expect_nothing(c);
	assert_int_equal(ends, 1);
	assert_true(proxyd_answer(actual, 250, "2.0.0 late"));
	world_run();
	expect(c, "250 2.0.0 late");
	assert_int_equal(ends, 2);
	/* Refused: no end, and a session of its own for the next one. */
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	client_say(c, "Subject: z\r\n\r\nhello\r\n.");
	proxyd.log[0] = '\0';
	assert_true(proxyd_answer(actual, 554, "5.7.1 spam"));
	world_run();
	expect(c, "554 5.7.1 spam");
	assert_int_equal(ends, 2);
	assert_string_equal(proxyd.log, "close;");
	assert_int_equal(proxyd.links, 1);
	waits = ASKED_MAX;
	message(c, "250");
	assert_int_equal(ends, 3);
	assert_int_equal(counts("all")->what[CMP_CONTENT].same, 3);
	assert_int_equal(counts("all")->what[CMP_CONTENT].differ, 0);
	the_end(c);
}

/* Content that we refuse while it comes: at the actual server it is aborted
 * between chunks, and the session goes on; at the second it is cut. */
static void
test_content_aborted(void **state)
{
	struct client	*c;

	(void)state;
	proxyd.caps.bits |= CAP_CHUNKING;
	c = greet(WHOLE);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	fill(9000);
	write_all(c, big, 9000);
	world_run();
	proxyd.log[0] = '\0';
	say(c, "\r\na bare\rCR\r\n.", "550 5.6.0");
	assert_string_equal(proxyd.log, "abort;close;");
	assert_int_equal(ends, 0);
	message(c, "250");
	assert_int_equal(ends, 1);
	assert_int_equal(counts("all")->what[CMP_CONTENT].same, 1);
	the_end(c);
}

/* The second refuses what the first takes. */
static void
test_content_refused(void **state)
{
	struct client	*c = greet(WHOLE);

	(void)state;
	says[ASKED_DATA].code = 451;
	says[ASKED_DATA].text = "4.3.0 later";
	message(c, "250");
	assert_int_equal(ends, 0);
	assert_int_equal(counts("all")->what[CMP_DATA].differ, 1);
	says[ASKED_DATA].code = 0;
	says[ASKED_END].code = 554;
	says[ASKED_END].text = "5.7.1 spam";
	message(c, "250");
	assert_int_equal(ends, 1);
	assert_int_equal(counts("all")->what[CMP_CONTENT].differ, 1);
	/* The first says no to DATA: the second is not asked. */
	on(ASKED_DATA, 554, "5.5.1 no");
	proxyd.log[0] = '\0';
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "554");
	assert_string_equal(proxyd.log, "mail a@b.example;mail a@b.example;"
	    "rcpt u@dest.example;rcpt u@dest.example;data;rset;rset;");
	the_end(c);
}

/* Who vanishes within a message has sent none, there neither. */
static void
test_client_gone(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct client	*c;

		c = greet(WHOLE);
		silent = i == 1;
		say(c, "MAIL FROM:<a@b.example>", "250");
		say(c, "RCPT TO:<u@dest.example>", "250");
		say(c, "DATA", "354");
		client_send(c, "Subject: x\r\n\r\nhello\r\n");
		client_free(c);
		world_run();
		silent = false;
		while (proxyd_answer(second, 0, NULL))
			world_run();
		assert_int_equal(ends, 0);
		assert_int_equal(proxyd.links, 0);
		assert_null(world_leak());
	}
	(void)state;
}

/* It says nothing: the client's session goes on, and has its end; what was
 * still to come is heard after that. */
static void
test_slow(void **state)
{
	struct client	*c = greet(WHOLE);
	unsigned	 before;

	(void)state;
	silent = true;
	message(c, "250");
	say(c, "QUIT", "221");
	expect_closed(c);
	client_free(c);
	world_run();
	assert_int_equal(proxyd.links, 1);
	assert_int_equal(counts("all")->what[CMP_RCPT].same, 0);
	silent = false;
	before = proxyd_waiting(second);
	assert_true(before >= 2);
	assert_true(proxyd_answer(second, 0, NULL));
	assert_true(proxyd_answer(second, 550, "5.1.1 who"));
	assert_true(proxyd_answer(second, 0, NULL));
	world_run();
	assert_int_equal(counts("all")->what[CMP_RCPT].differ, 1);
	assert_int_equal(counts("all")->what[CMP_CONTENT].same, 0);
	assert_int_equal(counts("all")->what[CMP_DATA].differ, 1);
	assert_int_equal(proxyd.links, 0);
	assert_int_equal(ends, 0);
	assert_null(world_leak());
	/* Not for ever. */
	c = greet(WHOLE);
	silent = true;
	message(c, "250");
	say(c, "QUIT", "221");
	client_free(c);
	world_run();
	assert_int_equal(proxyd.links, 1);
	world_skip_ms(MIRROR_LINGER_MS + 1000);
	assert_int_equal(proxyd.links, 0);
	assert_int_equal(counts("all")->gave_up, 1);
	assert_null(world_leak());
}

/* Too far behind: it is left, and nobody notices. */
static void
test_behind(void **state)
{
	struct client	*c = greet(RCPTS);

	(void)state;
	silent = true;
	say(c, "MAIL FROM:<a@b.example>", "250");
	for (int i = 1; i < MIRROR_COMMANDS_MAX; i++)
		say(c, "RCPT TO:<u@dest.example>", "250");
	assert_int_equal(counts("live")->gave_up, 0);
	assert_int_equal(proxyd.links, 2);
	say(c, "RCPT TO:<u@dest.example>", "250");
	assert_int_equal(counts("live")->gave_up, 1);
	assert_int_equal(proxyd.links, 1);
	say(c, "DATA", "354");
	say(c, "x\r\n.", "250");
	the_end(c);

	/* Content: it takes none. */
	silent = false;
	c = greet(WHOLE);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	silent = true;
	say(c, "DATA", "354");
	fill(290000);
	write_all(c, big, 290000);
	world_run();
	assert_int_equal(counts("all")->gave_up, 1);
	assert_int_equal(proxyd.links, 1);
	say(c, "\r\n.", "250");
	assert_int_equal(ends, 0);
	the_end(c);
}

static void
test_failures(void **state)
{
	static const char *const when[] = { "MAIL FROM:<a@b.example>",
	    "RCPT TO:<u@dest.example>", "DATA", "x\r\n.", "QUIT" };
	static const char *const codes[] = { "250", "250", "354", "250",
	    "221" };
	struct client		*c;

	(void)state;
	/* It goes before each of them. */
	for (size_t at = 0; at < 5; at++) {
		c = greet(WHOLE);
		for (size_t i = 0; i < 5; i++) {
			if (i == at) {
				proxyd_close(second, "gone");
				world_run();
			}
			say(c, when[i], codes[i]);
		}
		expect_closed(c);
		client_free(c);
		world_run();
		assert_int_equal(proxyd.links, 0);
		assert_null(world_leak());
	}
	assert_int_equal(counts("all")->failed, 5);
	/* It refuses the session, or ends it. */
	says[ASKED_OPEN].code = 421;
	says[ASKED_OPEN].text = "4.3.2 busy";
	c = greet(WHOLE);
	message(c, "250");
	the_end(c);
	mirror_setup(NULL);
	c = greet(WHOLE);
	says[ASKED_RCPT].code = 421;
	says[ASKED_RCPT].text = "4.3.2 busy";
	message(c, "250");
	assert_int_equal(counts("all")->what[CMP_RCPT].differ, 1);
	assert_int_equal(ends, 0);
	the_end(c);
	/* No proxyd at all. */
	mirror_setup(NULL);
	c = greet(WHOLE);
	silent = true;
	client_say(c, "MAIL FROM:<a@b.example>");
	proxyd_die();
	expect(c, "250");
	expect(c, "421");
	client_free(c);
	proxyd_start();
	world_run();
	assert_null(world_leak());
}

static void
test_sample(void **state)
{
	unsigned	n = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct client	*c;

		c = greet(HALF);
		n += second != 0;
		the_end(c);
	}
	assert_in_range(n, 60, 140);
	assert_int_equal(counts("half")->sessions, n);
}

static void
test_by_rule(void **state)
{
	struct client	*c = greet(RULED);

	(void)state;
	says[ASKED_RCPT].code = 550;
	says[ASKED_RCPT].text = "5.1.1 who";
	message(c, "250 2.0.0 got it");
	assert_string_equal(proxyd.log, "open all;open new;mail a@b.example;"
	    "rcpt u@dest.example;mail a@b.example;rcpt u@dest.example;"
	    "data;data;end;");
	assert_int_equal(counts("all")->what[CMP_RCPT].differ, 1);
	assert_int_equal(counts("all")->what[CMP_DATA].differ, 1);
	says[ASKED_RCPT].code = 0;
	message(c, "250 2.0.0 got it");
	assert_int_equal(ends, 1);
	the_end(c);
}

/* As many as sessions, and no more. */
static void
test_many(void **state)
{
	struct client	*c;

	(void)state;
	for (unsigned i = 0; i <= world_sessions; i++) {
		c = greet(RCPTS);
		silent = true;
		say(c, "MAIL FROM:<a@b.example>", "250");
		say(c, "QUIT", "221");
		client_free(c);
		world_run();
		assert_int_equal(counts("live")->skipped,
		    i == world_sessions);
		silent = false;
	}
	assert_int_equal(proxyd.links, world_sessions);
	world_skip_ms(MIRROR_LINGER_MS + 1000);
	assert_int_equal(proxyd.links, 0);
	assert_null(world_leak());
}

#undef T
#define T(f)	cmocka_unit_test_setup(f, mirror_setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_commands), T(test_differences), T(test_keywords),
		T(test_alone),
		T(test_content), T(test_content_aborted),
		T(test_content_refused), T(test_client_gone),
		T(test_slow), T(test_behind), T(test_failures), T(test_sample),
		T(test_by_rule), T(test_many)
	};

	world_sessions = 20;
	return cmocka_run_group_tests(tests, mirror_init_tests, NULL);
}
