/*
 * Archives at the end of a transaction: for whom their conditions hold (who
 * sends from where, by which listener, to whom), and what becomes of a message
 * whose copy can't be made.
 */
#include "regress/lib/smtpdtest.h"

static const char	conf_text[] =
    "hostname gw.example.org\n"
    "table t { one.example = \"192.0.2.7\", "
    "two.example = \"192.0.2.8\" }\n"
    "action \"out\" relay to { \"192.0.2.9\" } open\n"
    "action \"vault\" relay to { \"192.0.2.10\" }\n"
    "action \"by\" relay to <t> by rcpt-domain\n"
    "listen on 192.0.2.1 port 25\n"
    "listen on 192.0.2.1 port 26 tag inside\n"
    "match from any for rcpt-to no@to.example reject \"550 5.1.1 no\"\n"
    "match from any for any action \"out\"\n"
    "archive to \"vault\" as local@v.example when from local\n"
    "archive to \"vault\" as source@v.example "
    "when from source { 198.51.100.0/24, 127.0.0.2 }\n"
    "archive to \"vault\" as other@v.example "
    "when from not source 192.0.2.0/24\n"
    "archive to \"vault\" as tag@v.example when tag inside\n"
    "archive to \"vault\" as from@v.example when mail-from \"@vip.example\"\n"
    "archive to \"vault\" as helo@v.example when helo far.example\n"
    "archive to \"vault\" as rcpt@v.example "
    "when from any for rcpt-to { u@to.example, no@to.example }\n"
    "archive to \"vault\" as both@v.example "
    "when mail-from \"@vip.example\" for domain to.example\n"
    "archive to \"by\" when for domain { one.example, later.example }\n"
    "archive to \"by\" on-failure tempfail when for domain soon.example\n"
    "archive to \"by\" on-failure ignore when for domain skip.example\n";

/* A transaction from there; the archives' addresses in their order, or the reply
 * to DATA. rcpts is a list with blanks. */
static const char *
archives(const char *client, unsigned port, const char *helo, const char *from,
    const char *rcpts)
{
	static char	 out[1000];
	struct client	*c = client_new(listen_of(port), client);
	char		 line[400], list[200], *next = list, *p, *end;

	out[0] = '\0';
	expect(c, "220");
	snprintf(line, sizeof(line), "EHLO %s", helo);
	say(c, line, "250");
	snprintf(line, sizeof(line), "MAIL FROM:<%s>", from);
	say(c, line, "250");
	strlcpy(list, rcpts, sizeof(list));
	while ((p = strsep(&next, " ")) != NULL) {
		snprintf(line, sizeof(line), "RCPT TO:<%s>", p);
		say(c, line, strncmp(p, "no@", 3) == 0 ? "550" : "250");
	}
	client_say(c, "DATA");
	strlcpy(line, client_reply(c), sizeof(line));
	if (strncmp(line, "354", 3) == 0)
		say(c, "x: y\r\n\r\nz\r\n.", "250");
	else
		strlcpy(out, line, sizeof(out));
	for (p = queued.log; (p = strstr(p, "rcpt ")) != NULL; p = end) {
		end = p + strcspn(p, ";");
		if (memmem(p, (size_t)(end - p), " out", 4) == NULL)
			snprintf(out + strlen(out), sizeof(out) - strlen(out),
			    "%.*s ", (int)strcspn(p + 5, " "), p + 5);
	}
	quit(c);
	return out;
}
#define HERE	"192.0.2.7"

static void
conditions(void **state)
{
	static const struct {
		const char	*client, *helo, *from, *rcpts, *want;
		unsigned	 port;
	} t[] = {
		{ HERE, "h.example", "a@b.example", "u@x.example", "" },
		{ "127.0.0.1", "h.example", "a@b.example", "u@x.example",
		    "local@v.example other@v.example " },
		{ "127.0.0.2", "h.example", "a@b.example", "u@x.example",
		    "local@v.example source@v.example other@v.example " },
		{ "198.51.100.9", "h.example", "a@b.example", "u@x.example",
		    "source@v.example other@v.example " },
		{ "203.0.113.9", "h.example", "a@b.example", "u@x.example",
		    "other@v.example " },
		{ HERE, "h.example", "a@b.example", "u@x.example",
		    "tag@v.example ", 26 },
		{ HERE, "h.example", "x@vip.example", "u@x.example",
		    "from@v.example " },
		{ HERE, "h.example", "", "u@x.example", "" },
		{ HERE, "far.example", "a@b.example", "u@x.example",
		    "helo@v.example " },
		/* One of the recipients is enough; one refused is none. */
		{ HERE, "h.example", "a@b.example", "u@x.example u@to.example",
		    "rcpt@v.example " },
		{ HERE, "h.example", "a@b.example", "u@x.example no@to.example",
		    "" },
		/* All conditions of an archive, each archive by itself. */
		{ HERE, "h.example", "x@vip.example", "w@to.example",
		    "from@v.example both@v.example " },
		{ HERE, "far.example", "a@b.example", "u@to.example",
		    "tag@v.example helo@v.example rcpt@v.example ", 26 },
		/* No address of its own: those of the message. */
		{ HERE, "h.example", "a@b.example", "u@one.example",
		    "u@one.example " }
	};
	const char	*got;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		got = archives(t[i].client, t[i].port > 0 ? t[i].port : 25,
		    t[i].helo, t[i].from, t[i].rcpts);
		if (strcmp(got, t[i].want) != 0)
			fail_msg("row %zu: \"%s\"", i, got);
	}
}

/* The table of the archive's action has no entry for it. */
static void
failure(void **state)
{
	static const char	later[] = "451 4.3.5 The archive can't take ";

	(void)state;
	assert_true(strncmp(archives(HERE, 25, "h.example", "a@b.example",
	    "u@later.example"), later, sizeof(later) - 1) == 0);
	assert_true(strncmp(archives(HERE, 25, "h.example", "a@b.example",
	    "u@soon.example"), later, sizeof(later) - 1) == 0);
	/* One of two is too many. */
	assert_true(strncmp(archives(HERE, 25, "h.example", "a@b.example",
	    "u@one.example u@later.example"), later, sizeof(later) - 1) == 0);
	/* The message without a copy; of two recipients the one that can be. */
	assert_string_equal(archives(HERE, 25, "h.example", "a@b.example",
	    "u@skip.example"), "");
	assert_string_equal(archives(HERE, 25, "h.example", "a@b.example",
	    "u@skip.example w@two.example"), "w@two.example ");
}

/* A queue that is full or away: one that does not take it takes neither message nor copy. */
static void
queue_full(void **state)
{
	struct client	*c = hello(25);

	(void)state;
	begin(c, "u@one.example");
	queued.hold = true;
	say(c, "DATA", "354");
	client_say(c, "x: y\r\n\r\nz\r\n.");
	expect_nothing(c);
	assert_non_null(strstr(queued.log, "rcpt u@one.example by"));
	queued_result(Q_FULL);
	expect(c, "452 4.3.1");
	queued.hold = false;
	begin(c, "u@one.example");
	queued_die();
	say(c, "DATA", "451 4.3.2");
	queued_start();
	queued.log[0] = '\0';
	begin(c, "u@one.example");
	say(c, "DATA", "354");
	say(c, "x: y\r\n\r\nz\r\n.", "250");
	assert_non_null(strstr(queued.log, "rcpt u@one.example by"));
	quit(c);
}

static int
init(void **state)
{
	(void)state;
	world_init(conf_text);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(conditions), T(failure), T(queue_full)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
